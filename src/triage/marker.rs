//! The hidden line by which a comment of ours is found again. The forge drops HTML comments from what it shows and keeps
//! them in what it answers.

use std::fmt;

const MARKER: &str = "<!-- gitea-triage decision=";
const ANSWER: &str = "answer:";
/// Stands in the ledger, where the answers that outsiders got are counted.
pub(crate) const TO_OUTSIDER: &str = "answer:outsider:";
const NOTICE: &str = "notice:";

named_enum! {
    /// What a comment of ours is.
    Subject {
        /// What was decided, and why; brought up to date by edits.
        Audit = "audit",
        /// The answer to a comment of a person, or what the local agent says.
        Answer = "answer",
        /// What is told once about a dispatch or a claim.
        Notice = "notice",
    }
}

/// What the hidden line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// What the comment is about: a decision such as `dispatch:claude`, an answer or a notice.
    pub decision: String,
    /// A digest of what is said about it; age and time left out, so that they alone never cause an edit.
    pub digest: String,
}

/// A comment by our own account that carries a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedComment {
    /// The forge's id.
    pub id: i64,
    /// What its marker says.
    pub marker: Marker,
    /// Its text, marker included; empty where only the ledger was asked.
    pub body: String,
}

impl MarkedComment {
    /// What people read of it: all but the marker, which is its last line.
    pub fn text(&self) -> &str {
        let text = self.body.trim_end().rsplit_once('\n').map_or("", |(text, _)| text);
        text.trim_end()
    }
}

impl Marker {
    /// The marker of the answer to the commands of a comment that begin with this one: others than the first where
    /// the comment was changed after an answer.
    pub fn answer(comment: i64, part: u32) -> Self {
        let part = if part == 0 { String::new() } else { format!(":{part}") };
        Self { decision: format!("{ANSWER}{comment}{part}"), digest: "-".to_owned() }
    }

    /// The same for the commands of somebody who may not write to the repository.
    pub fn answer_to_outsider(comment: i64, part: u32) -> Self {
        let part = if part == 0 { String::new() } else { format!(":{part}") };
        Self { decision: format!("{TO_OUTSIDER}{comment}{part}"), digest: "-".to_owned() }
    }

    /// The marker of what is said once about a dispatch or a claim.
    pub fn notice(kind: &str, about: i64) -> Self {
        Self { decision: format!("{NOTICE}{kind}:{about}"), digest: "-".to_owned() }
    }

    /// The marker of what is said about the turns of a dispatch, on its pull request. The digest is one word.
    pub fn follow_up(dispatch: i64, digest: String) -> Self {
        Self { decision: format!("{NOTICE}follow_up:{dispatch}"), digest }
    }

    /// What the comment is.
    pub fn subject(&self) -> Subject {
        match &self.decision {
            answer if answer.starts_with(ANSWER) => Subject::Answer,
            notice if notice.starts_with(NOTICE) => Subject::Notice,
            _ => Subject::Audit,
        }
    }

    /// Whether it marks an audit comment rather than an answer or a notice.
    pub fn is_audit(&self) -> bool {
        self.subject() == Subject::Audit
    }

    /// The marker in a comment's text, if it ends in one. Only the last line counts: anything before may be quoted.
    pub fn find(body: &str) -> Option<Self> {
        let last = body.trim_end().lines().next_back()?;
        let inner = last.strip_prefix(MARKER)?.strip_suffix(" -->")?;
        let (decision, digest) = inner.split_once(" digest=")?;
        let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        (is_word(decision) && is_word(digest))
            .then(|| Self { decision: decision.to_owned(), digest: digest.to_owned() })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARKER}{} digest={} -->", self.decision, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_found_again_in_its_own_comment() {
        let marker = Marker { decision: "dispatch:claude".into(), digest: "0a1b2c".into() };
        assert_eq!(Marker::find(&format!("text\n\n{marker}\n")), Some(marker));
    }

    #[test]
    fn a_quoted_marker_is_not_ours() {
        let marker = Marker { decision: "dispatch:claude".into(), digest: "0a1b2c".into() };
        assert_eq!(Marker::find(&format!("> {marker}\n\nI disagree")), None);
        assert_eq!(Marker::find(&format!("{marker}\n\nI disagree")), None);
        assert_eq!(Marker::find("<!-- gitea-triage decision= digest= -->"), None);
    }
}
