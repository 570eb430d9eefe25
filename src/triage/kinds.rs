//! The parts of a score, and the kinds of terms that give points to them. A new kind is an arm in each function here,
//! and its keys in `points`.

use super::policy::Policy;

named_enum! {
    /// A part of the score.
    Part { Scope = "scope", Acceptance = "acceptance", Alignment = "alignment" }
}

/// What a term shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Function,
    Acceptance,
    Test,
    Section,
    Blocked,
    /// Code, a log or a trace.
    Example,
    /// Steps to see it happen.
    Steps,
    /// A list of what has to hold.
    Criteria,
    /// What should happen.
    Expected,
    /// A description.
    Detail,
    /// A long one.
    Story,
}

impl Kind {
    pub(super) const ALL: [Self; 12] = [
        Self::File,
        Self::Function,
        Self::Example,
        Self::Steps,
        Self::Acceptance,
        Self::Criteria,
        Self::Expected,
        Self::Test,
        Self::Section,
        Self::Detail,
        Self::Story,
        Self::Blocked,
    ];

    /// The key of the list in the policy whose terms show it, and the terms.
    pub(super) fn terms(self, policy: &Policy) -> (&'static str, &[String]) {
        match self {
            Self::File => ("scope.file_terms", &policy.scope.file_terms),
            Self::Function => ("scope.function_terms", &policy.scope.function_terms),
            Self::Acceptance => ("acceptance.terms", &policy.acceptance.terms),
            Self::Test => ("acceptance.test_terms", &policy.acceptance.test_terms),
            Self::Section => ("acceptance.section_terms", &policy.acceptance.section_terms),
            Self::Blocked => ("blocked_terms", &policy.blocked_terms),
            // These are read off the text's structure.
            Self::Example
            | Self::Steps
            | Self::Criteria
            | Self::Expected
            | Self::Detail
            | Self::Story => ("", &[]),
        }
    }

    /// The part of the score that one of its terms gives points to, and how many.
    pub(super) fn points(self, policy: &Policy) -> Option<(Part, u8)> {
        let Policy { scope, acceptance, .. } = policy;
        Some(match self {
            Self::File => (Part::Scope, scope.file_points),
            Self::Function => (Part::Scope, scope.function_points),
            // Others where there are many.
            Self::Acceptance => (Part::Acceptance, acceptance.some_points),
            Self::Test => (Part::Acceptance, acceptance.test_points),
            Self::Section => (Part::Acceptance, acceptance.section_points),
            Self::Example => (Part::Scope, scope.example_points),
            Self::Steps => (Part::Scope, scope.steps_points),
            Self::Criteria => (Part::Acceptance, acceptance.criteria_points),
            Self::Expected => (Part::Acceptance, acceptance.expected_points),
            Self::Detail => (Part::Acceptance, acceptance.detail_points),
            Self::Story => (Part::Acceptance, acceptance.story_points),
            Self::Blocked => return None,
        })
    }

    /// What the points are given for.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "names a file",
            Self::Function => "names a function or class",
            Self::Acceptance => "states acceptance criteria",
            Self::Test => "mentions tests",
            Self::Section => "describes the problem in sections",
            Self::Example => "shows code or a log",
            Self::Steps => "says how to see it happen",
            Self::Criteria => "lists what has to hold",
            Self::Expected => "says what should happen",
            Self::Detail => "describes it",
            Self::Story => "describes it at length",
            Self::Blocked => "",
        }
    }
}
