//! Assesses an issue, with what its author answered in comments where the text alone says too little. It decides nothing.

use super::Worker;
use super::process::Error;
use crate::clock::Timestamp;
use crate::issue::{Issue, IssueRef};
use crate::triage::{Answers, Assessment};

/// What begins a line that is for the service.
const COMMAND: &str = "/triage";

impl Worker {
    /// What an issue is worth. Where its author may have been asked for what is missing, their comments are read as if they
    /// stood in the text.
    pub(super) async fn assess(
        &self,
        at: &IssueRef,
        issue: &Issue,
        now: Timestamp,
    ) -> Result<Assessment, Error> {
        let rules = self.rules();
        let assessment = rules.triage.assess(issue, now);
        let is_asked = rules.triage.policy().answers != Answers::None;
        if !is_asked || assessment.score.ready || issue.comments == 0 {
            return Ok(assessment);
        }
        let Some(author) = &issue.author else { return Ok(assessment) };
        let comments = self.parts.forge.comments(at).await?;
        let by_author = comments.iter().filter(|comment| {
            let is_theirs = comment.author.as_ref().is_some_and(|by| by.is_same_as(author));
            is_theirs && !comment.body.trim_start().starts_with(COMMAND)
        });
        let body = by_author.fold(issue.body.clone(), |body, one| body + "\n\n" + &one.body);
        Ok(rules.triage.assess(&Issue { body, ..issue.clone() }, now))
    }
}
