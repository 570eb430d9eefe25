//! What is missing: the difference between what an evaluation wants on an issue and what is there. Pure; what a person
//! took away is not missing, and what only the forge knows is asked for.

mod approval;
mod comment;
mod confirm;
mod duplicate;
mod follow_up;
mod marks;
mod notice;
mod outcome;
mod over;
mod question;
mod reply;
mod stage;

use std::borrow::Cow;

use crate::clock::Timestamp;
use crate::dispatch::{Agent, Handoff, Mark};
use crate::issue::{IssueRef, IssueState};
use crate::triage::{
    Decision, Evaluation, MarkedComment, News, Notice, Question, Record, Rules, Snapshot,
};

pub use self::confirm::{Confirmation, Recovery, WriteOrigin};
pub use self::outcome::Outcome;
pub use self::over::correction;
pub use self::reply::answers;
pub use crate::dispatch::EffectKind;
pub use crate::triage::{Marker, Subject, code, fence};

use self::comment::About;
use self::stage::Stage;

/// What the marker of a comment says that no longer holds.
const OVER: &str = "over";

/// One write to the outside. Each is safe to ask for again: it names what should be there, not a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An audit comment: new, or an edit of the one with this id.
    Comment {
        /// The comment of ours to bring up to date; `None` writes a new one.
        edit: Option<i64>,
        /// What the marker says.
        marker: Marker,
        /// The text, marker included.
        body: String,
    },
    /// A comment on a pull request of an agent: new, or an edit of the one with this id.
    PullComment {
        /// The pull request.
        on: IssueRef,
        /// The comment of ours to bring up to date; `None` writes a new one.
        edit: Option<i64>,
        /// What the marker says.
        marker: Marker,
        /// The text, marker included.
        body: String,
    },
    /// This is on the issue; an assignee beside whoever has it.
    Put(Mark),
    /// This, which was ours, is not on the issue.
    TakeOff(Mark),
    /// The issue is open.
    Reopen,
    /// The agent knows of the issue, by its own interface.
    HandOff {
        /// Who is told.
        agent: Box<Agent>,
        /// What it is told.
        handoff: Box<Handoff>,
    },
    /// Our reaction is on this comment.
    Reaction {
        /// The forge's id of the comment.
        comment: i64,
        /// What it shows, such as `eyes`.
        content: Cow<'static, str>,
    },
}

impl Effect {
    /// What kind of write it is.
    pub fn kind(&self) -> EffectKind {
        match self {
            Self::Comment { edit: None, .. } | Self::PullComment { edit: None, .. } => {
                EffectKind::Comment
            }
            Self::Comment { .. } | Self::PullComment { .. } => EffectKind::Edit,
            Self::Put(mark) => mark.kind(),
            Self::TakeOff(Mark::Label(_)) => EffectKind::Unlabel,
            Self::TakeOff(Mark::Assignee(_)) => EffectKind::Unassign,
            Self::Reopen => EffectKind::Reopen,
            Self::HandOff { .. } => EffectKind::HandOff,
            Self::Reaction { .. } => EffectKind::Reaction,
        }
    }

    /// The label, login or agent; for a comment the decision it tells.
    pub fn value(&self) -> &str {
        match self {
            Self::Comment { marker, .. } | Self::PullComment { marker, .. } => &marker.decision,
            Self::Put(mark) | Self::TakeOff(mark) => mark.value(),
            Self::Reopen => "open",
            Self::HandOff { agent, .. } => agent.id.as_str(),
            Self::Reaction { content, .. } => content,
        }
    }

    /// What the marker of a comment says.
    pub fn marker(&self) -> Option<&Marker> {
        match self {
            Self::Comment { marker, .. } | Self::PullComment { marker, .. } => Some(marker),
            _ => None,
        }
    }

    /// Whether it answers a person's comment, and so speaks of what was written before.
    pub fn is_answer(&self) -> bool {
        let is_answer = |marker: &Marker| marker.subject() == Subject::Answer;
        self.reacts_to().is_some() || self.marker().is_some_and(is_answer)
    }

    /// The forge's id of the comment that a reaction is for.
    pub fn reacts_to(&self) -> Option<i64> {
        match self {
            Self::Reaction { comment, .. } => Some(*comment),
            _ => None,
        }
    }

    /// The text of a comment.
    pub fn body(&self) -> Option<&str> {
        match self {
            Self::Comment { body, .. } | Self::PullComment { body, .. } => Some(body),
            _ => None,
        }
    }

    /// The text of a notice, which is written once: it is needed to write the comment again, because nobody would
    /// conclude it a second time.
    pub fn kept_body(&self) -> Option<&str> {
        match self {
            Self::Comment { edit: None, marker, body } if marker.subject() == Subject::Notice => {
                Some(body)
            }
            _ => None,
        }
    }
}

named_enum! {
    /// How far one effect has come.
    EffectState {
        /// It is about to be sent; nobody knows yet how it ends.
        Intended = "intended",
        /// It is on the forge.
        Done = "done",
        /// It is not, and will not be tried again by itself.
        Failed = "failed",
        /// Dry run: it was not sent.
        Withheld = "withheld",
    }
}

/// What is known of one effect after it was tried.
#[derive(Clone, Debug)]
pub struct EffectOutcome {
    /// How it ended.
    pub state: EffectState,
    /// The forge's id of what was written, for a comment.
    pub forge_id: Option<i64>,
    /// What there is to say about it, for people.
    pub note: Option<String>,
    /// The text of a comment that was withheld: nobody can read it elsewhere.
    pub body: Option<String>,
}

impl EffectOutcome {
    /// It is on the forge, with this id.
    pub fn done(forge_id: Option<i64>) -> Self {
        Self { state: EffectState::Done, forge_id, note: None, body: None }
    }

    /// It is not, for this reason.
    pub fn failed(note: impl Into<String>) -> Self {
        Self { state: EffectState::Failed, note: Some(note.into()), ..Self::done(None) }
    }

    /// A dry run held it back; the text of a comment is kept.
    pub fn withheld(body: Option<&str>) -> Self {
        let body = body.map(str::to_owned);
        Self { state: EffectState::Withheld, body, ..Self::done(None) }
    }
}

/// All that is missing, in the order in which it is written: the explanation first, so that nobody finds a label or an
/// assignee without a reason beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The writes.
    pub effects: Vec<Effect>,
    /// The dispatch that is to be opened before the first write.
    pub opens: Option<NewDispatch>,
    /// What became of writes that were meant earlier.
    pub confirmations: Vec<Confirmation>,
    /// What was put on the issue for dispatches and is not there any more: should it come back once they have ended, it
    /// is a person's.
    pub absent: Vec<Mark>,
}

impl Plan {
    /// Where the answers to commands begin among the writes; they come last.
    pub fn answers_from(&self) -> usize {
        let first = self.effects.iter().position(Effect::is_answer);
        first.unwrap_or(self.effects.len())
    }
}

/// An evaluation and its plan, as they go to the ledger and to whoever carries them out.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// What was concluded.
    pub evaluation: Evaluation,
    /// What is missing for it to be true.
    pub plan: Plan,
}

impl Decided {
    /// A decision that writes and changes nothing.
    pub fn only(at: Timestamp, decision: Decision, record: &Record) -> Self {
        Self { evaluation: Evaluation::of(at, decision, record), plan: Plan::default() }
    }
}

/// A dispatch about to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDispatch {
    /// Who gets it.
    pub agent: Agent,
    /// A person gave it to the agent, who knows of it by that and takes it whether a place is free or not.
    pub by_person: bool,
    /// Names the dispatch to an agent that is called directly.
    pub key: String,
}

/// What the comments and the marks are made from.
struct PlanInput<'a> {
    s: &'a Snapshot<'a>,
    e: &'a Evaluation,
    rules: &'a Rules,
    /// The agent that the decision names.
    agent: Option<&'a Agent>,
    /// Our latest audit comment on the issue.
    audit_comment: Option<&'a MarkedComment>,
    /// Whether the forge will take the agent's account as an assignee.
    is_assignable: bool,
    /// Whom a flag calls.
    owner: Cow<'a, str>,
}

/// What is missing on the issue for the evaluation to be true, or what has to be known first.
pub fn plan(s: &Snapshot<'_>, e: &Evaluation, rules: &Rules) -> Result<Plan, Question> {
    let opened = stage::opened(s, e, rules);
    let comments = marked_comments(s, e, opened.as_ref())?;
    let [stage, ended] = stage::stages(s, e, rules, opened);
    let agent = e.decision.agent().and_then(|id| rules.agent(id));
    let shown = agent.or(stage.as_ref().map(|stage| stage.agent));
    let audit_comment = match comments {
        Some(found) => found.iter().find(|comment| comment.marker.is_audit()),
        None => s.record.audit_comment.as_ref(),
    };
    let is_assignable = is_assignable(s, e, shown)?;
    let opens = new_dispatch(s, e, agent, rules);
    let owner = owner(s, e, rules)?;
    let input = PlanInput { s, e, rules, agent, audit_comment, is_assignable, owner };
    let said = comments.unwrap_or_default();
    let mut effects = over::over(s, e)?;
    effects.extend(input.comments(stage.as_ref(), ended.as_ref()));
    effects.extend(input.question(said));
    effects.extend(input.notices(said));
    let is_closed = s.issue.state == IssueState::Closed;
    effects.extend((e.reopens && is_closed).then_some(Effect::Reopen));
    effects.extend(input.answer_labels()?);
    effects.extend(e.releases.clone().map(Mark::Assignee).map(Effect::TakeOff));
    effects.extend(input.marks(opens.as_ref()));
    effects.extend(input.follow_up());
    effects.extend(reply::replies(s, e));
    let confirmations = confirm::confirm(s, &effects, said);
    let absent = s.record.leftovers.union(&s.record.applied);
    let absent = absent.filter(|mark| !mark.is_on(s.issue)).cloned().collect();
    Ok(Plan { effects, opens, confirmations, absent })
}

/// The dispatch to open: ours, or the one a person made by giving the issue to an agent. A dry run takes nobody's place:
/// each issue is judged as if it were the only one.
fn new_dispatch(
    s: &Snapshot<'_>,
    e: &Evaluation,
    agent: Option<&Agent>,
    rules: &Rules,
) -> Option<NewDispatch> {
    if e.custody.dispatch().is_some() || s.is_dry_run {
        return None;
    }
    let ours = agent.filter(|_| matches!(e.decision, Decision::Dispatch { .. }));
    let given = e.given.as_ref().and_then(|id| rules.agent(id));
    let agent = ours.or(given)?.clone();
    Some(NewDispatch { agent, by_person: ours.is_none(), key: s.key.to_owned() })
}

/// Our own comments on the issue, newest first, where the ledger cannot say: it knows none although there are comments,
/// or it does not know whether one was written. Before somebody is told something new the issue is read too: a ledger
/// that was restored from a copy does not know what was said since. Anybody can write a marker, so only comments by our
/// own account count.
fn marked_comments<'a>(
    s: &'a Snapshot<'_>,
    e: &Evaluation,
    opened: Option<&Stage<'_>>,
) -> Result<Option<&'a [MarkedComment]>, Question> {
    let writes = matches!(e.decision, Decision::Dispatch { .. } | Decision::Flag { .. })
        && !e.is_quiet(s.record);
    let known = s.record.audit_comment.as_ref();
    let is_new = writes && known.is_none() && s.issue.comments > 0;
    let is_opened_anew = || {
        let said = known.map(|comment| comment.marker.decision.as_str());
        said.zip(opened).is_some_and(|(said, opened)| opened.decision() != said)
    };
    let asks = e.answer.and_then(question::marker_of).filter(|_| s.issue.comments > 0);
    let is_asked = |asks| known.is_some_and(|comment| comment.marker.decision == asks);
    let asks_anew = asks.is_some_and(|asks| !is_asked(asks));
    let is_unsure = s.record.unconfirmed.iter().any(|one| one.write.key().0 == EffectKind::Comment);
    if !(is_unsure || is_new || asks_anew || !e.notices.is_empty() || is_opened_anew()) {
        return Ok(None);
    }
    s.comments().map(Some)
}

/// Whether the forge takes the account of the agent that a comment shows. Asked before it is assigned: for an unknown
/// login Gitea answers 500 and may have dropped the old assignees by then.
fn is_assignable(
    s: &Snapshot<'_>,
    e: &Evaluation,
    agent: Option<&Agent>,
) -> Result<bool, Question> {
    match (agent.and_then(|agent| agent.login.as_deref()), &e.decision) {
        (Some(login), Decision::Dispatch { .. }) if !s.issue.is_assigned_to(login) => {
            s.is_assignable(login)
        }
        (login, _) => Ok(login.is_some()),
    }
}

/// Whom a flag calls: whose turn it is, else the owner. A mention of an organisation reaches nobody, one of its owners' team reaches each of them
/// (models/issues/issue_update.go, `ResolveIssueMentionsByVisibility`).
fn owner<'a>(
    s: &'a Snapshot<'_>,
    e: &Evaluation,
    rules: &'a Rules,
) -> Result<Cow<'a, str>, Question> {
    if let Some(login) = e.duty.as_ref().and_then(|duty| duty.login.clone()) {
        return Ok(login.into());
    }
    let of_repo = s.at.repo.owner();
    let called = rules.owner.as_deref().unwrap_or(of_repo);
    let is_flag = matches!(e.decision, Decision::Flag { .. }) && !e.is_quiet(s.record);
    let calls = is_flag || !e.notices.is_empty();
    let is_heard = !calls || !called.eq_ignore_ascii_case(of_repo) || s.is_owner_person()?;
    Ok(if is_heard { called.into() } else { format!("{called}/owners").into() })
}

impl PlanInput<'_> {
    /// The audit comments. What has ended is said first: after the next comment nobody would look for this one any more.
    fn comments(&self, stage: Option<&Stage<'_>>, ended: Option<&Stage<'_>>) -> Vec<Effect> {
        let audit = match (&self.e.decision, stage) {
            (Decision::Dispatch { .. }, Some(stage)) => self.comment(About::Dispatch(stage)),
            // A notice calls the owner already.
            (decision @ Decision::Flag { .. }, _) if self.calls_owner() => {
                self.comment(About::Decision(decision))
            }
            _ => stage.and_then(|stage| self.sticky(stage)),
        };
        let ended = ended.and_then(|stage| self.sticky(stage));
        ended.into_iter().chain(audit).collect()
    }

    /// Whether the comment of a flag is to call the owner.
    fn calls_owner(&self) -> bool {
        let is_told = self.e.notices.iter().any(Notice::is_about_dispatch);
        !is_told && !self.e.is_quiet(self.s.record)
    }

    /// The audit comment: new for a new decision, an edit when the same decision has other reasons now, nothing when it
    /// says the same.
    fn comment(&self, about: About<'_>) -> Option<Effect> {
        let marker = comment::marker(about, self);
        let edit = match self.audit_comment {
            Some(ours) if ours.marker == marker => return None,
            // An edit notifies nobody: who is called anew gets a new comment.
            Some(ours) if ours.marker.digest == OVER => None,
            Some(ours) if ours.marker.decision == marker.decision => Some(ours.id),
            _ => None,
        };
        let body = format!("{}\n\n{marker}", comment::render(about, self));
        Some(Effect::Comment { edit, marker, body })
    }

    /// The audit comment of a dispatch says how far it has come, also when nothing is decided about it any more. It is
    /// never written anew for that.
    fn sticky(&self, stage: &Stage<'_>) -> Option<Effect> {
        self.audit_comment.filter(|ours| ours.marker.decision == stage.decision())?;
        self.comment(About::Dispatch(stage))
    }

    /// What people are told now: not what is on the issue already, nor that the issue is open again where the next
    /// agent's comment says so, with the reason.
    fn notices(&self, said: &[MarkedComment]) -> Vec<Effect> {
        let is_dispatched = matches!(self.e.decision, Decision::Dispatch { .. });
        let is_new = |notice: &&Notice| {
            let marker = notice.marker();
            let is_in_comment = is_dispatched && matches!(notice.news, News::Reopened { .. });
            !is_in_comment && said.iter().all(|comment| comment.marker != marker)
        };
        let new = self.e.notices.iter().filter(is_new);
        let called = notice::Called { login: &self.owner, duty: self.e.duty.as_ref() };
        new.map(|notice| notice::effect(notice, called)).collect()
    }
}
