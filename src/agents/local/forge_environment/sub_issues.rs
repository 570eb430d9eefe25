//! Splitting an issue into parts: asked first, opened exactly as agreed to, and each part opened once.

use super::super::{Environment as _, SubIssue, Unavailable, clean};
use super::write::{is_by, marker};
use super::{ForgeEnvironment, HELD_BACK, Written};
use crate::clock::Timestamp;
use crate::gitea::{self as forge, Rights};
use crate::issue::IssueRef;
use crate::plan::{Marker, fence};
use crate::store::{OwnWrite, Proposal};

/// How an answer that agrees begins.
const AGREED: &str = "approved";

impl ForgeEnvironment {
    /// Proposes the parts and waits for a person, or opens those a person has agreed to.
    pub async fn split(&self, at: &IssueRef, parts: Vec<SubIssue>) -> Written {
        let cleaned =
            |part: SubIssue| SubIssue { title: clean(&part.title), body: clean(&part.body) };
        let parts: Vec<_> = parts.into_iter().map(cleaned).collect();
        if !self.rules.load().asks_first {
            return self.open(at, &parts, self.parts.clock.now()).await;
        }
        if let Some(waiting) = self.parts.store.proposal(at).await?
            && self.is_agreed(at, &waiting).await?
        {
            let agreed: Vec<SubIssue> = serde_json::from_str(&waiting.parts).unwrap_or_default();
            let opened = self.open(at, &agreed, waiting.at).await?;
            self.parts.store.settle_proposal(at).await?;
            return Ok(opened);
        }
        self.propose(at, &parts).await
    }

    async fn propose(&self, at: &IssueRef, parts: &[SubIssue]) -> Written {
        let kept = serde_json::to_string(parts).unwrap_or_default();
        let numbered =
            (1..).zip(parts).map(|(n, SubIssue { title, body })| format!("{n}. {title}\n{body}"));
        let list: Vec<_> = numbered.collect();
        let body = format!(
            "**The local agent would split this issue into {} parts:**\n\n{}\n\nTo have exactly these opened, answer with a comment that begins with `{AGREED}`.",
            parts.len(),
            fence(&list.join("\n\n"))
        );
        let said = self.comment(at, &body, marker("parts", &kept)).await?;
        if said == HELD_BACK {
            return Ok(said);
        }
        let proposal = Proposal { parts: kept, at: self.parts.clock.now() };
        self.parts.store.propose(at, proposal).await?;
        Ok("proposed in a comment; the parts are opened when a person has agreed".to_owned())
    }

    /// Whether somebody who may write here agreed after the proposal was made.
    async fn is_agreed(&self, at: &IssueRef, proposal: &Proposal) -> Result<bool, Unavailable> {
        let us = self.account(&at.repo).await?;
        let (asked, mut is_asked) = (marker("parts", &proposal.parts), false);
        let answer = move |c: forge::Comment| {
            let is_ours = is_by(&c, &us);
            let is_question = is_ours && Marker::find(&c.body).as_ref() == Some(&asked);
            is_asked |= is_question;
            // Only what was said after the last question counts.
            let yes = is_asked && !is_ours && agrees(&c.body);
            (is_question || yes).then_some((is_question, c.author))
        };
        let said = self.parts.forge.comments_of(at, answer).await?;
        let answers = said.into_iter().rev().take_while(|(is_question, _)| !is_question);
        for by in answers.filter_map(|(_, by)| by) {
            if self.executor.rights(&at.repo, &by.login).await? == Rights::Writer {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Opens the parts that are not there yet; those opened before are found by their marker.
    async fn open(&self, at: &IssueRef, parts: &[SubIssue], since: Timestamp) -> Written {
        if self.is_dry_run() {
            return Ok(HELD_BACK.to_owned());
        }
        let us = self.account(&at.repo).await?;
        let ours = self.parts.forge.issues_of(&at.repo, &us, since).await?;
        let there: Vec<_> = ours.iter().filter_map(|issue| Marker::find(&issue.body)).collect();
        let mut opened = 0;
        for part in parts {
            let marker = marker("part", &format!("{at}\n{}\n{}", part.title, part.body));
            if there.contains(&marker) {
                continue;
            }
            let body = format!("Part of {at}.\n\n{}\n\n{marker}", fence(&part.body));
            let number = self.executor.open_issue(&at.repo, &part.title, &body).await?;
            let part = IssueRef { repo: at.repo.clone(), number };
            self.parts.store.note_own_write(&part, OwnWrite::Content).await?;
            opened += 1;
        }
        Ok(format!("{opened} issues opened, {} were there", parts.len() - opened))
    }
}

/// Whether a comment begins by agreeing, as a word of its own.
fn agrees(body: &str) -> bool {
    let first = body.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    first.eq_ignore_ascii_case(AGREED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_comment_that_begins_so_agrees() {
        for yes in ["approved", "Approved.", "APPROVED: go on\nthanks"] {
            assert!(agrees(yes), "{yes}");
        }
        for no in ["not approved", "> approved", "approvedx", "I approved it", "", "disapproved"] {
            assert!(!agrees(no), "{no}");
        }
    }
}
