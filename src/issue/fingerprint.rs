//! What somebody saw of an issue, small enough to keep and to compare.

use sha2::{Digest, Sha256};

use super::{Issue, IssueState};

/// What was seen of an issue: a digest of what a decision is made from, and how many comments there were. Its time of
/// change is left out: our own writes, references from other issues and much else move it and change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The digest of title, body, labels, assignees and state; empty when it is not known what is there.
    pub digest: String,
    /// How many comments there were; a new one may hold a command.
    pub comments: u64,
    /// Whether it was an issue that still asks for something.
    pub is_open: bool,
}

impl Fingerprint {
    /// What there is to see of `issue`.
    pub fn of(issue: &Issue) -> Self {
        Self {
            digest: digest(issue),
            comments: issue.comments,
            is_open: issue.state == IssueState::Open && !issue.is_pull_request,
        }
    }

    /// The same, with what it says unknown: somebody has to look.
    pub fn unknown(issue: &Issue) -> Self {
        Self { digest: String::new(), ..Self::of(issue) }
    }

    /// Whether it is known what was there.
    pub fn is_known(&self) -> bool {
        !self.digest.is_empty()
    }

    /// Whether `now` shows nothing that was not seen.
    pub fn covers(&self, now: &Self) -> bool {
        self.is_known() && self.digest == now.digest && self.comments == now.comments
    }
}

/// Sets are sorted, since the forge's order is none of their content; each part carries its length, so that no two
/// issues share a digest by moving text from one part to the next.
fn digest(issue: &Issue) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    let mut labels: Vec<&str> = issue.labels.iter().map(String::as_str).collect();
    let mut assignees: Vec<String> = issue.assignees.iter().map(|a| a.to_lowercase()).collect();
    labels.sort_unstable();
    assignees.sort_unstable();
    add(&issue.title);
    add(&issue.body);
    add(if issue.state == IssueState::Open { "open" } else { "closed" });
    add(&labels.len().to_string());
    labels.iter().for_each(|label| add(label));
    assignees.iter().for_each(|login| add(login));
    hex::encode(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(labels: &[&str], assignees: &[&str]) -> Issue {
        let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect();
        Issue {
            ids: None,
            number: 1,
            title: "title".into(),
            body: "body".into(),
            labels: texts(labels),
            assignees: texts(assignees),
            author: None,
            state: IssueState::Open,
            is_pull_request: false,
            created_at: None,
            updated_at: None,
            closed_at: None,
            comments: 2,
            url: String::new(),
        }
    }

    #[test]
    fn order_case_of_logins_and_time_are_no_change() {
        let seen = Fingerprint::of(&issue(&["a", "b"], &["Kim", "Alice"]));
        let mut same = issue(&["b", "a"], &["alice", "kim"]);
        same.updated_at = Some(crate::clock::from_millis(5));
        assert!(seen.covers(&Fingerprint::of(&same)));
    }

    #[test]
    fn text_labels_assignees_state_and_comments_are() {
        let seen = Fingerprint::of(&issue(&["a"], &[]));
        let mut closed = issue(&["a"], &[]);
        closed.state = IssueState::Closed;
        let mut said = issue(&["a"], &[]);
        said.comments = 3;
        for other in [issue(&["a", "b"], &[]), issue(&[], &["a"]), closed, said] {
            assert!(!seen.covers(&Fingerprint::of(&other)), "{other:?}");
        }
    }

    #[test]
    fn what_is_unknown_covers_nothing() {
        let issue = issue(&[], &[]);
        assert!(!Fingerprint::unknown(&issue).covers(&Fingerprint::unknown(&issue)));
    }
}
