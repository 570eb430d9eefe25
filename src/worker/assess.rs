//! Assesses an issue, with what its author answered in comments where the text alone says too little. It decides nothing.

use super::Worker;
use super::process::Error;
use crate::clock::Timestamp;
use crate::gitea::{self as forge, Comment};
use crate::issue::{Issue, IssueRef};
use crate::triage::{Answers, Assessment, Marker};

/// What begins a line that is for the service.
const COMMAND: &str = "/triage";
/// What begins each comment of the author behind the text.
const SECTION: &str = "\n\n## Comment\n\n";
/// How much of an author's comments is read: nobody answers at more length.
const LONGEST: usize = 256 * 1024;

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
        let Some(author) = issue.author.clone() else { return Ok(assessment) };
        let mut room = LONGEST;
        let answer = move |comment: Comment| {
            let is_theirs = comment.author.as_ref().is_some_and(|by| by.is_same_as(&author));
            let is_command = comment.body.trim_start().starts_with(COMMAND);
            // Our own words are no answer, whoever's account we have.
            let is_answer = is_theirs && !is_command && Marker::find(&comment.body).is_none();
            room = room.checked_sub(comment.body.len()).filter(|_| is_answer).unwrap_or(room);
            (is_answer && room > 0).then_some(comment.body)
        };
        let said = match self.parts.forge.comments_of(at, answer).await {
            Err(forge::Error::TooLarge { .. }) => return Ok(assessment),
            said => said?,
        };
        // Each is a section of its own: what it says does not belong to the last part of a form.
        let body = said.iter().fold(issue.body.clone(), |body, one| body + SECTION + one);
        Ok(rules.triage.assess(&Issue { body, ..issue.clone() }, now))
    }
}
