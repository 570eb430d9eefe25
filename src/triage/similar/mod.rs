//! Whether an issue says what another one said before: by the words of both, without a model. What a form, a program or
//! everybody says counts for little or nothing. Pure; where the words of others are kept is not known here.

mod likeness;
mod words;

use super::references::Here;
use super::statements::Forms;
use super::{SUMMARY_TITLE, Triage, markdown};
use crate::issue::{Issue, IssueRef};
use crate::reason::Reason;

pub use self::likeness::{Lookup, Neighbour, Neighbours};
pub use self::words::Word;

use self::likeness::Likeness;
use self::words::Wording;

impl Triage {
    /// The words by which an issue is compared with others; `None` where issues are not compared, and for what is no
    /// report: a pull request, a daily summary, one that is ignored.
    pub fn words(&self, issue: &Issue) -> Option<Vec<Word>> {
        let is_summary = issue.title.starts_with(SUMMARY_TITLE);
        let is_report = !issue.is_pull_request && !is_summary && !self.ignores(issue);
        (self.policy.duplicates && is_report).then(|| self.wording(issue).words)
    }

    /// Which of the older issues says the same as one, if any does. One that its text names is another one: its writer
    /// knows of it.
    pub fn duplicate(&self, issue: &Issue, at: &IssueRef, among: &Neighbours) -> Option<Reason> {
        let other = |number| IssueRef { repo: at.repo.clone(), number };
        let is_named = |number| {
            let text = markdown::prose(&issue.body);
            Here::on(issue, at).all(&text).any(|one| one == Some(other(number)))
        };
        let own = self.wording(issue);
        let like = Likeness::most(&own, among, self.policy.duplicate_at, is_named)?;
        Some(Reason::Duplicate {
            of: other(like.number),
            percent: like.percent,
            words: like.words,
            closed_at: like.closed_at,
        })
    }

    fn wording(&self, issue: &Issue) -> Wording {
        let of = |forms: &Forms| Wording::of(forms, &issue.title, &issue.body);
        match &self.reader {
            Some(reader) => of(&reader.forms),
            None => of(&Forms::new(&self.policy.fields)),
        }
    }
}
