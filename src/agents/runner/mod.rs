//! Agents that work on a runner: an issue that is handed over becomes a run, which waits in the store until a runner takes
//! it. What the agent is told is written down then, from the text that was decided upon; people's comments are read at the
//! same moment, where a forge that does not answer leads to another hand-off and not to a runner that waits.

mod prompt;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

pub use self::prompt::{Job, Prompt, Said};
use super::report_of;
use crate::apply::{AgentClient, Executor, HandedOver, LabelRules};
use crate::clock::Clock;
use crate::dispatch::run::{Finish, RunOutcome};
use crate::dispatch::{Agent, AgentId, FollowUp, Handoff, HandoffError, Progress, Report};
use crate::gitea::{self as forge, Rights};
use crate::issue::{IssueNumber, IssueRef, NamedPeople, beginning};
use crate::store::{self, NewRun, NewTurn, Store};

/// The smallest log that a run can have, in bytes.
pub const SMALLEST_LOG: usize = 256 * 1024;

/// How many comments an agent is told of, the latest.
const COMMENTS: usize = 30;
/// How much of a comment is kept, in bytes.
const LARGEST_COMMENT: usize = 16 * 1024;
/// The longest name of a branch behind `triage/`, in characters.
const LONGEST_SLUG: usize = 40;
/// At the start of a line, a comment is an order to us.
const COMMAND: &str = "/triage";

/// What it takes to make runs.
#[derive(Clone)]
pub struct RunParts {
    /// Where runs wait.
    pub store: Store,
    /// The forge, for comments.
    pub forge: forge::Client,
    /// The people whom the configuration names.
    pub named: Arc<NamedPeople>,
    /// The time.
    pub clock: Clock,
    /// Notified when there is a run to take.
    pub offered: Arc<Notify>,
}

/// Makes a run of each issue that it is handed.
pub struct RunnerClient {
    parts: RunParts,
    executor: Executor,
    prompt: Prompt,
}

impl AgentClient for RunnerClient {
    fn hand_off<'a>(&'a self, agent: &'a Agent, handoff: &'a Handoff) -> BoxFuture<'a, HandedOver> {
        Box::pin(self.offer(agent, handoff))
    }
}

impl RunnerClient {
    /// A client that tells agents what this template says; the built-in one when there is none.
    ///
    /// # Errors
    /// When the template cannot be used.
    pub fn new(parts: RunParts, template: Option<&str>) -> Result<Self, HandoffError> {
        let prompt = template.map_or_else(Prompt::built_in, Prompt::new);
        let prompt = prompt.map_err(|why| {
            HandoffError::Settings(format!("what agents are told is no template: {why}"))
        })?;
        let labels = LabelRules { create: false, color: String::new() };
        let executor = Executor::with(parts.forge.clone(), labels, Arc::clone(&parts.named));
        Ok(Self { parts, executor, prompt })
    }

    async fn offer(&self, agent: &Agent, handoff: &Handoff) -> HandedOver {
        let id = &agent.id;
        let RunParts { store, clock, offered, .. } = &self.parts;
        if let Some(follow_up) = &handoff.follow_up {
            return self.follow_up(agent, handoff, follow_up).await;
        }
        let before = store.runs_before(handoff.dispatch_id.clone()).await;
        let before = before.map_err(|error| unkept(id, &error))?;
        let branch = branch(handoff.at.number, &handoff.title, before);
        let prompt = self.tell(job(handoff, branch.clone())).await?;
        let new = NewRun {
            dispatch: handoff.dispatch_id.clone(),
            title: handoff.title.clone(),
            text_digest: handoff.text_digest.clone(),
            prompt,
            branch,
        };
        let kept = store.offer_run(new, clock.now()).await;
        if !kept.map_err(|error| unkept(id, &error))? {
            return Ok(Some("is with a runner already".to_owned()));
        }
        offered.notify_waiters();
        Ok(Some("waits for a runner".to_owned()))
    }

    /// Has the run wait for a runner again, with what was said about its pull request.
    async fn follow_up(
        &self,
        agent: &Agent,
        handoff: &Handoff,
        follow_up: &FollowUp,
    ) -> HandedOver {
        let RunParts { store, offered, .. } = &self.parts;
        let unkept = |error: store::Error| unkept(&agent.id, &error);
        let key = handoff.dispatch_id.clone();
        let branch = store.branch_of(key.clone()).await.map_err(unkept)?;
        let job = job(handoff, branch.unwrap_or_default());
        let new = NewTurn {
            dispatch: key,
            turn: follow_up.turn,
            text_digest: handoff.text_digest.clone(),
            prompt: self.tell(Job { follow_up: Some(follow_up.clone()), ..job }).await?,
            answered: follow_up.answered.clone(),
        };
        if !store.begin_turn(new).await.map_err(unkept)? {
            return Ok(Some("is with a runner already".to_owned()));
        }
        offered.notify_waiters();
        let FollowUp { turn, limit, .. } = follow_up;
        Ok(Some(format!("turn {turn} of {limit} waits for a runner, for {}", follow_up.asked())))
    }

    /// What an agent is told about a job, with the comments as they are now.
    ///
    /// # Errors
    /// When the forge cannot be asked.
    pub async fn tell(&self, job: Job) -> Result<String, HandoffError> {
        let comments = self.comments(&job.at).await.map_err(|error| HandoffError::Unprepared {
            agent: job.agent.clone(),
            is_transient: error.is_transient(),
            reason: error.to_string(),
        })?;
        let agent = job.agent.clone();
        let job = Job { comments, ..job };
        self.prompt.fill(&job).map_err(|reason| HandoffError::Unprepared {
            agent,
            is_transient: false,
            reason,
        })
    }

    /// The latest comments of people who may write, oldest first; without our own, and without orders to us. None where
    /// there are too many to be read.
    async fn comments(&self, at: &IssueRef) -> Result<Vec<Said>, forge::Error> {
        let found = self.parts.forge.comments_of(at, remark).await;
        let all = match found {
            Err(error @ forge::Error::TooLarge { .. }) => {
                tracing::warn!(issue = %at, %error, "an agent is told no comments");
                return Ok(Vec::new());
            }
            found => found?,
        };
        if all.is_empty() {
            return Ok(all);
        }
        let us = self.parts.forge.whoami_in(&at.repo).await?.login;
        let (mut may_write, mut told) = (BTreeMap::from([(us, false)]), VecDeque::new());
        for one in all.into_iter().rev() {
            if told.len() == COMMENTS {
                break;
            }
            let known = may_write.get(&one.by).copied();
            let is_writer = match known {
                Some(known) => known,
                None => self.may_write(at, &one.by).await?,
            };
            may_write.insert(one.by.clone(), is_writer);
            if is_writer {
                told.push_front(one);
            }
        }
        Ok(told.into())
    }

    /// Where the forge does not say, somebody may not.
    async fn may_write(&self, at: &IssueRef, login: &str) -> Result<bool, forge::Error> {
        match self.executor.rights(&at.repo, login).await {
            Err(error) if error.is_transient() => Err(error),
            answer => Ok(answer.is_ok_and(|rights| rights == Rights::Writer)),
        }
    }
}

/// What there is to do, without comments.
fn job(handoff: &Handoff, branch: String) -> Job {
    Job {
        at: handoff.at.clone(),
        title: handoff.title.clone(),
        body: handoff.description.clone(),
        criteria: handoff.acceptance_criteria.clone(),
        comments: Vec::new(),
        agent: handoff.agent.clone(),
        task_type: handoff.task_type,
        branch,
        follow_up: None,
    }
}

fn unkept(agent: &AgentId, error: &store::Error) -> HandoffError {
    tracing::error!(%agent, %error, "the store failed under a hand-off");
    let reason = "the store could not be used; see the log".to_owned();
    HandoffError::Unprepared { agent: agent.clone(), is_transient: true, reason }
}

/// A comment that says something to an agent, with as much of its text as is kept.
fn remark(comment: forge::Comment) -> Option<Said> {
    let (by, mut text) = (comment.author?.login, comment.body);
    if text.trim_start().starts_with(COMMAND) {
        return None;
    }
    text.truncate(beginning(&text, LARGEST_COMMENT).len());
    text.shrink_to_fit();
    Some(Said { by, text })
}

/// What the end of a turn says about its dispatch: work that is there to be seen goes on until the issue is closed. A further
/// turn has a pull request behind it, beside which another attempt would open a second one: where it fails a person has to
/// look, and where it changes nothing the work is still there. `None` for one that was called off.
pub fn report(end: &Finish, turn: u32) -> Option<Report> {
    let (message, url) = (end.message.as_deref(), end.url.as_deref());
    let state = match end.outcome {
        RunOutcome::Done => return Some(report_of(Progress::InProgress, message, url)),
        RunOutcome::NoChange if turn > 1 => Progress::InProgress,
        RunOutcome::NoChange => {
            let words = message.map(|words| format!(": {words}")).unwrap_or_default();
            let message = format!("nothing was changed{words}");
            return Some(report_of(Progress::Failed, Some(&message), None));
        }
        RunOutcome::Failed if turn > 1 => Progress::NeedsPerson,
        RunOutcome::Failed => Progress::Failed,
        RunOutcome::NeedsPerson => {
            let report = report_of(Progress::NeedsPerson, message, None);
            return Some(Report { asks: end.asks.clone(), ..report });
        }
        RunOutcome::Cancelled => return None,
    };
    Some(report_of(state, message, None))
}

/// `triage/12-login-crashes`; each dispatch of an issue has its own, so that nobody pushes over the work of another.
pub fn branch(number: IssueNumber, title: &str, before: u32) -> String {
    let mut slug = String::new();
    for c in title.chars().map(|c| c.to_ascii_lowercase()) {
        if slug.len() >= LONGEST_SLUG {
            break;
        }
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    let parts = [number.to_string(), slug.trim_end_matches('-').to_owned()];
    let mut name: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    name.extend((before > 0).then(|| (before + 1).to_string()));
    format!("triage/{}", name.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_called_by_what_a_title_says_in_plain_letters() {
        for (title, before, expected) in [
            (
                "[bug] Login crashes on an empty password",
                0,
                "triage/7-bug-login-crashes-on-an-empty-password",
            ),
            ("../../etc $(rm -rf)\n~^:?*[\\", 0, "triage/7-etc-rm-rf"),
            ("登录失败", 0, "triage/7"),
            ("Ünïcode -- x.lock", 1, "triage/7-n-code-x-lock-2"),
            (&"a".repeat(90), 2, &format!("triage/7-{}-3", "a".repeat(40))),
        ] {
            assert_eq!(branch(7, title, before), expected);
        }
    }
}
