//! Carries a plan out, in order. Only this room, `summary` and `hooks` write to the forge. It does not decide what to
//! write, and it keeps nothing but a short memory of labels and accounts.

mod accounts;
mod assignees;
mod clients;
mod labels;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use self::accounts::{Answers, Lists};
use self::labels::LabelCache;
use crate::dispatch::{Agent, Handoff, HandoffError, Mark};
use crate::gitea as forge;
use crate::issue::{IssueNumber, IssueRef, IssueState, NamedPeople, RepoName};
use crate::plan::{Effect, EffectOutcome};

pub use self::clients::{AgentClient, AgentClients, HandedOver};
pub use self::labels::{LabelRules, MissingLabel};

/// What became of one effect, or why the forge did not take it.
type Written = Result<EffectOutcome, forge::Error>;

/// How far a plan was carried out.
#[derive(Debug, Default)]
pub struct Applied {
    /// What became of the effects that were tried, in their order.
    pub effects: Vec<EffectOutcome>,
    /// What stopped it before the end.
    pub error: Option<forge::Error>,
    /// Why work could not be handed to an agent.
    pub hand_off: Option<HandoffError>,
    /// Whether it stopped before a label that does not exist and was left to be made.
    pub lacks_label: bool,
}

/// Writes effects to the forge and hands work to agents.
pub struct Executor {
    forge: forge::Client,
    labels: ArcSwap<LabelRules>,
    clients: ArcSwap<AgentClients>,
    label_caches: Mutex<HashMap<RepoName, LabelCache>>,
    assignable: Answers,
    listed: Lists,
    writers: Answers,
    /// Where the forge does not tell us of other accounts' rights.
    untold: Answers,
    named: Arc<NamedPeople>,
}

impl Executor {
    /// Executor that write through `forge`.
    pub fn new(forge: forge::Client, labels: LabelRules) -> Self {
        Self::with(forge, labels, Arc::default())
    }

    /// The same, with the people whom the configuration names.
    pub fn with(forge: forge::Client, labels: LabelRules, named: Arc<NamedPeople>) -> Self {
        Self {
            forge,
            labels: ArcSwap::from_pointee(labels),
            clients: ArcSwap::default(),
            label_caches: Mutex::default(),
            assignable: Answers::default(),
            listed: Lists::default(),
            writers: Answers::default(),
            untold: Answers::default(),
            named,
        }
    }

    /// Writes what the plan asks for, in order, and stops at the first failure, or before a label that is left to be made.
    /// Nothing is tried twice here.
    pub async fn apply(&self, at: &IssueRef, plan: &[Effect], missing: MissingLabel) -> Applied {
        let mut applied = Applied::default();
        for effect in plan {
            boundary!("apply::before");
            let written = match effect {
                Effect::HandOff { agent, handoff } => {
                    let handed_off = self.hand_off(agent, handoff).await;
                    Ok(handed_off.unwrap_or_else(|why| {
                        let outcome = EffectOutcome::failed(why.in_full());
                        applied.hand_off = Some(why);
                        outcome
                    }))
                }
                Effect::Put(Mark::Label(name)) => {
                    let Some(written) = self.label(at, name, missing).await.transpose() else {
                        return Applied { lacks_label: true, ..applied };
                    };
                    written
                }
                other => self.write(at, other).await,
            };
            match written {
                Ok(outcome) => applied.effects.push(outcome),
                // The rest of the plan may well be possible, and what is not done is said.
                Err(error) if is_refusal(effect, &error) => {
                    applied.effects.push(EffectOutcome::failed(error.to_string()));
                }
                Err(forge::Error::DryRun { .. }) => {
                    applied.effects.push(EffectOutcome::withheld(effect.body()))
                }
                // No repetition helps, and what is left of the plan may be possible all the same.
                Err(error @ forge::Error::Blocked { .. }) => {
                    applied.effects.push(EffectOutcome::failed(error.to_string()));
                }
                Err(error) => {
                    applied.error = Some(error);
                    return applied;
                }
            }
            boundary!("apply::after");
        }
        applied
    }

    /// Makes labels by these rules from now on.
    pub fn set_labels(&self, labels: LabelRules) {
        self.labels.store(Arc::new(labels));
    }

    /// Hands work over by these clients from now on.
    pub fn set_clients(&self, clients: AgentClients) {
        self.clients.store(Arc::new(clients));
    }

    /// Hands work to an agent that is called directly.
    async fn hand_off(&self, agent: &Agent, to: &Handoff) -> Result<EffectOutcome, HandoffError> {
        if self.forge.is_dry_run() {
            return Ok(EffectOutcome::withheld(None));
        }
        let note = self.clients.load_full().hand_off(agent, to).await?;
        Ok(EffectOutcome { note, ..EffectOutcome::done(None) })
    }

    /// Opens an issue; gives its number.
    pub async fn open_issue(
        &self,
        repo: &RepoName,
        title: &str,
        body: &str,
    ) -> Result<IssueNumber, forge::Error> {
        Ok(self.forge.create_issue(repo, title, body).await?.number)
    }

    async fn write(&self, at: &IssueRef, effect: &Effect) -> Written {
        match effect {
            Effect::PullComment { on, edit, marker, body } => {
                let (edit, marker, body) = (*edit, marker.clone(), body.clone());
                Box::pin(self.write(on, &Effect::Comment { edit, marker, body })).await
            }
            Effect::Comment { edit: None, body, .. } => {
                let comment = self.forge.post_comment(at, body).await?;
                Ok(EffectOutcome::done(Some(comment.id)))
            }
            Effect::Comment { edit: Some(id), body, .. } => {
                match self.forge.edit_comment(at, *id, body).await {
                    // Somebody removed it, and what a person removed is not put back.
                    Err(error) if error.status() == Some(404) => {
                        Ok(EffectOutcome::failed("the comment is gone; it is not written again"))
                    }
                    answer => answer.map(|()| EffectOutcome::done(Some(*id))),
                }
            }
            Effect::Put(Mark::Assignee(login)) => self.set_assignee(at, login, true).await,
            Effect::TakeOff(Mark::Label(name)) => self.unlabel(at, name).await,
            Effect::TakeOff(Mark::Assignee(login)) => self.set_assignee(at, login, false).await,
            Effect::HandOff { .. } | Effect::Put(Mark::Label(_)) => {
                Ok(EffectOutcome::failed("this is not written like a comment"))
            }
            Effect::Reopen => {
                self.forge.set_state(at, IssueState::Open).await.map(|()| EffectOutcome::done(None))
            }
            Effect::Reaction { comment, content } => {
                match self.forge.react(at, *comment, content).await {
                    // An owner may have switched this reaction off, and the comment may be gone by now.
                    Err(error) if matches!(error.status(), Some(403 | 404)) => {
                        Ok(EffectOutcome::failed("the forge does not take this reaction here"))
                    }
                    answer => answer.map(|()| EffectOutcome::done(None)),
                }
            }
        }
    }
}

/// Whether the forge does not allow what is to be put on, taken off or brought up to date, and only that.
fn is_refusal(effect: &Effect, error: &forge::Error) -> bool {
    let is_one_of_many = matches!(
        effect,
        Effect::Put(_)
            | Effect::TakeOff(_)
            | Effect::PullComment { .. }
            | Effect::Comment { edit: Some(_), .. }
    );
    is_one_of_many && matches!(error.status(), Some(403 | 412 | 422))
}
