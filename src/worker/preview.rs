//! What would be decided about an issue now. Nothing is written or kept.

use super::Worker;
use super::process::Error;
use crate::clock::Timestamp;
use crate::issue::{Issue, IssueRef};
use crate::triage::{Snapshot, Verdict, evaluate};

impl Worker {
    /// An issue and the verdict on it at `now`, from the ledger and the answers of the forge as for any evaluation.
    pub(crate) async fn preview(
        &self,
        at: &IssueRef,
        now: Timestamp,
    ) -> Result<Option<(Issue, Verdict)>, Error> {
        let Some(issue) = self.parts.forge.issue(at).await? else { return Ok(None) };
        let rules = self.rules();
        let assessment = self.assess(at, &issue, now).await?;
        let record = self.parts.store.record(at.clone()).await?;
        let alone = Snapshot::alone(&issue, &assessment, &record, now);
        let mut snapshot = Snapshot { at, ..alone };
        let evaluation = loop {
            match evaluate(&snapshot, &rules) {
                Ok(evaluation) => break evaluation,
                Err(question) => self.ask(at, None, question, &mut snapshot.facts).await?,
            }
        };
        let verdict = evaluation.verdict.unwrap_or_else(|| rules.triage.verdict(&issue, now));
        Ok(Some((issue.clone(), verdict)))
    }
}
