//! What the local agent writes on an issue: comments, quoted like any untrusted text, marked, and posted once; labels.

use sha2::{Digest as _, Sha256};

use super::super::{Unavailable, clean};
use super::{ForgeEnvironment, HELD_BACK, Written};
use crate::apply::MissingLabel;
use crate::dispatch::Mark;
use crate::gitea as forge;
use crate::issue::{Account, IssueRef};
use crate::plan::{Effect, EffectKind, EffectOutcome, EffectState, Marker, fence};
use crate::store::OwnWrite;

/// The marker of a text of the local agent. It counts as an answer, so that no evaluation takes it for its own comment.
pub(super) fn marker(kind: &str, text: &str) -> Marker {
    let digest = Sha256::digest(text.as_bytes());
    Marker { decision: format!("answer:local-{kind}"), digest: hex::encode(&digest[..12]) }
}

/// Whether `who` wrote the comment.
pub(super) fn is_by(comment: &forge::Comment, who: &Account) -> bool {
    comment.author.as_ref().is_some_and(|author| author.is_same_as(who))
}

impl ForgeEnvironment {
    /// Comments, unless the same was said before.
    pub async fn say(&self, at: &IssueRef, text: &str) -> Written {
        let text = clean(text);
        let body = format!("**The local agent says:**\n\n{}", fence(&text));
        self.comment(at, &body, marker("comment", &text)).await
    }

    pub async fn propose_criteria(&self, at: &IssueRef, criteria: &[String]) -> Written {
        let lines: Vec<_> = criteria.iter().map(|c| format!("- [ ] {}", clean(c))).collect();
        let list = lines.join("\n");
        let body = format!(
            "**The local agent proposes these acceptance criteria:**\n\n{}\n\n<sub>Copy into the issue what is right; nothing was changed.</sub>",
            fence(&list)
        );
        self.comment(at, &body, marker("criteria", &list)).await
    }

    /// Mentions the owner, with the reason why the issue was not worked on.
    pub async fn notify_owner(&self, at: &IssueRef, why: &str) -> Written {
        let rules = self.rules.load_full();
        let owner = rules.owner.as_deref().unwrap_or(at.repo.owner());
        let body = format!(
            "@{owner}, the local agent did not work on this: {why}. The triage decision stands."
        );
        let day = self.parts.clock.now().format("%Y-%m-%d").to_string();
        self.comment(at, &body, marker("budget", &day)).await
    }

    /// Writes a comment through the executor, when none with its marker is there.
    pub async fn comment(&self, at: &IssueRef, body: &str, marker: Marker) -> Written {
        let issue = self.read_issue(at).await?;
        if issue.comments > 0 {
            let (us, said) = (self.account(&at.repo).await?, marker.clone());
            let is_said = move |one: forge::Comment| {
                (is_by(&one, &us) && Marker::find(&one.body).as_ref() == Some(&said)).then_some(())
            };
            if !self.parts.forge.comments_of(at, is_said).await?.is_empty() {
                return Ok("this was said before; it is not said again".to_owned());
            }
        }
        let body = format!("{body}\n\n{marker}");
        let effect = Effect::Comment { edit: None, marker, body };
        self.write(at, effect).await
    }

    /// Puts a label on. Those that call an agent or a person, or have an issue left alone, are not the model's to
    /// give: a text could ask for them.
    pub async fn label(&self, at: &IssueRef, name: String) -> Written {
        if self.rules.load().reserved_labels.iter().any(|own| own.eq_ignore_ascii_case(&name)) {
            let why = "this label decides who works on the issue; it is not put on by a tool";
            return Err(Unavailable(why.to_owned()));
        }
        let issue = self.read_issue(at).await?;
        if issue.has_label(&name) {
            return Ok("the issue has this label already".to_owned());
        }
        self.write(at, Effect::Put(Mark::Label(name))).await
    }

    /// Writes one effect through the executor, with the intent in the ledger before and the outcome after.
    async fn write(&self, at: &IssueRef, effect: Effect) -> Written {
        let (store, now) = (&self.parts.store, self.parts.clock.now());
        let is_comment = effect.kind() == EffectKind::Comment;
        let id = store.intend_agent_effect(at, &effect, now).await?;
        boundary!("action::intended");
        let effects = std::slice::from_ref(&effect);
        let applied = self.executor.apply(at, effects, MissingLabel::Left).await;
        boundary!("action::applied");
        if let Some(error) = applied.error {
            // Whether a comment was written, the next evaluation of the issue finds out.
            if !error.is_transient() || !is_comment {
                let refused = EffectOutcome::failed(error.to_string());
                store.settle_agent_effect(id, &refused, now).await?;
            }
            return Err(error.into());
        }
        let not_done = || Unavailable("it was not done".to_owned());
        let outcome = applied.effects.into_iter().next().ok_or_else(not_done)?;
        store.settle_agent_effect(id, &outcome, now).await?;
        match outcome.state {
            EffectState::Done => {
                // The sweep must not take it for a change that no webhook told.
                let kind = if is_comment { OwnWrite::Comment } else { OwnWrite::Content };
                store.note_own_write(at, kind).await?;
                Ok("done".to_owned())
            }
            EffectState::Withheld => Ok(HELD_BACK.to_owned()),
            _ => Err(outcome.note.map_or_else(not_done, Unavailable)),
        }
    }
}
