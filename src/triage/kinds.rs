//! The lists of terms in a policy, and what a term of each shows. A new one is a row here, and its keys in `points`.

use super::policy::Policy;

/// A part of the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Scope,
    Acceptance,
    Alignment,
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
}

/// One list of terms.
pub(super) struct TermList<'a> {
    /// Its key in the policy.
    pub(super) key: &'static str,
    /// The terms.
    pub(super) terms: &'a [String],
    /// What part of the score one of them gives points to, how many, and what they are given for.
    pub(super) gives: Option<(Part, u8, &'static str)>,
}

impl Kind {
    /// In the order in which their points are explained.
    pub(super) const ALL: [Self; 6] =
        [Self::File, Self::Function, Self::Acceptance, Self::Test, Self::Section, Self::Blocked];

    /// The list of the policy whose terms show it.
    pub(super) fn list(self, policy: &Policy) -> TermList<'_> {
        let Policy { scope, acceptance, .. } = policy;
        let (key, terms, gives): (_, &[String], _) = match self {
            Self::File => (
                "scope.file_terms",
                &scope.file_terms,
                Some((Part::Scope, scope.file_points, "names a file")),
            ),
            Self::Function => (
                "scope.function_terms",
                &scope.function_terms,
                Some((Part::Scope, scope.function_points, "names a function or class")),
            ),
            // Its points depend on how many there are.
            Self::Acceptance => (
                "acceptance.terms",
                &acceptance.terms,
                Some((Part::Acceptance, acceptance.some_points, "states acceptance criteria")),
            ),
            Self::Test => (
                "acceptance.test_terms",
                &acceptance.test_terms,
                Some((Part::Acceptance, acceptance.test_points, "mentions tests")),
            ),
            Self::Section => (
                "acceptance.section_terms",
                &acceptance.section_terms,
                Some((
                    Part::Acceptance,
                    acceptance.section_points,
                    "describes the problem in sections",
                )),
            ),
            Self::Blocked => ("blocked_terms", &policy.blocked_terms, None),
        };
        TermList { key, terms, gives }
    }
}
