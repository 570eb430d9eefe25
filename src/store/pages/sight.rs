//! What somebody may see of the store. Whatever names no repository is for those alone who see everything.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::issue::RepoName;

/// The repositories whose issues and deliveries somebody sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All that there is.
    All,
    /// These alone, by their names in lower case.
    Only(Arc<BTreeSet<String>>),
}

impl Sight {
    /// The sight of these repositories.
    pub fn of<'a>(repos: impl IntoIterator<Item = &'a RepoName>) -> Self {
        Self::Only(Arc::new(
            repos.into_iter().map(|repo| repo.to_string().to_lowercase()).collect(),
        ))
    }

    /// Whether `owner/name` is in sight.
    pub fn has(&self, repo: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(repos) => repos.contains(&repo.to_lowercase()),
        }
    }

    /// Whether the issue `owner/name#12` is in sight; `None` is what belongs to no issue.
    pub fn has_issue(&self, issue: Option<&str>) -> bool {
        let repo = issue.and_then(|issue| issue.rsplit_once('#'));
        repo.map_or(*self == Self::All, |(repo, _)| self.has(repo))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_in_sight() {
        let names: Vec<RepoName> = vec!["acme/Widgets".parse().unwrap()];
        let sight = Sight::of(&names);
        assert!(sight.has("Acme/widgets") && sight.has_issue(Some("acme/widgets#1")));
        for other in ["acme/widgets2", "acme", "", "acme/widget"] {
            assert!(!sight.has(other), "{other}");
        }
        assert!(!sight.has_issue(None) && !sight.has_issue(Some("acme/widgets")));
        assert!(Sight::All.has_issue(None) && Sight::All.has("x/y"));
        assert!(!Sight::of([]).has("acme/widgets"));
    }
}
