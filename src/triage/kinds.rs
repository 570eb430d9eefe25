//! The parts of a score, and the kinds of terms that give points to them.

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
}

impl Kind {
    pub(super) const ALL: [Self; 6] =
        [Self::File, Self::Function, Self::Acceptance, Self::Test, Self::Section, Self::Blocked];

    /// The key of the list in the policy whose terms show it, and the terms.
    pub(super) fn terms(self, policy: &Policy) -> (&'static str, &[String]) {
        match self {
            Self::File => ("scope.file_terms", &policy.scope.file_terms),
            Self::Function => ("scope.function_terms", &policy.scope.function_terms),
            Self::Acceptance => ("acceptance.terms", &policy.acceptance.terms),
            Self::Test => ("acceptance.test_terms", &policy.acceptance.test_terms),
            Self::Section => ("acceptance.section_terms", &policy.acceptance.section_terms),
            Self::Blocked => ("blocked_terms", &policy.blocked_terms),
        }
    }
}
