//! What is missing: the difference between what a verdict wants on an issue and what is there. Pure; what a person
//! took away is not missing.

mod comment;
mod notice;
mod remark;
mod stage;

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::dispatch::{Agent, Handoff, Interface, TaskType};
use crate::issue::{Issue, IssueRef};
use crate::triage::{Answer, Decision, Signal, Source, Verdict, acceptance_criteria};

pub use crate::triage::{code, fence};
use comment::About;
pub use comment::{Marker, Subject};
pub use notice::Notice;
pub use remark::{Recovery, Remark, WriteOrigin};
pub use stage::Stage;

named_enum! {
    /// The kinds of write.
    EffectKind {
        /// A new comment.
        Comment = "comment",
        /// A comment of ours, brought up to date.
        Edit = "edit",
        /// A label.
        Label = "label",
        /// An assignee.
        Assignee = "assignee",
        /// Telling an agent through its own interface.
        HandOff = "hand_off",
        /// A reaction on a comment.
        Reaction = "reaction",
        /// A label of ours taken off again.
        Unlabel = "unlabel",
        /// An assignee of ours taken off again.
        Unassign = "unassign",
        /// A closed issue opened again.
        Reopen = "reopen",
    }
}

impl EffectKind {
    /// Whether a label or an assignee is on the issue; of other kinds nothing stays there to be seen.
    pub fn is_on(self, issue: &Issue, value: &str) -> Option<bool> {
        match self {
            Self::Label => Some(issue.has_label(value)),
            Self::Assignee => Some(issue.is_assigned_to(value)),
            _ => None,
        }
    }
}

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
    /// The issue carries this label.
    Label(String),
    /// The issue is assigned to this login, beside whoever has it.
    Assignee(String),
    /// The issue does not carry this label, which was ours.
    Unlabel(String),
    /// The issue is not assigned to this login, which was ours.
    Unassign(String),
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
            Self::Comment { edit: None, .. } => EffectKind::Comment,
            Self::Comment { edit: Some(_), .. } => EffectKind::Edit,
            Self::Label(_) => EffectKind::Label,
            Self::Assignee(_) => EffectKind::Assignee,
            Self::Unlabel(_) => EffectKind::Unlabel,
            Self::Unassign(_) => EffectKind::Unassign,
            Self::Reopen => EffectKind::Reopen,
            Self::HandOff { .. } => EffectKind::HandOff,
            Self::Reaction { .. } => EffectKind::Reaction,
        }
    }

    /// The label, login or agent; for a comment the decision it tells.
    pub fn value(&self) -> &str {
        match self {
            Self::Comment { marker, .. } => &marker.decision,
            Self::Label(value)
            | Self::Assignee(value)
            | Self::Unlabel(value)
            | Self::Unassign(value) => value,
            Self::Reopen => "open",
            Self::HandOff { agent, .. } => agent.id.as_str(),
            Self::Reaction { content, .. } => content,
        }
    }

    /// What a comment is.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Comment { marker, .. } => Some(marker.subject()),
            _ => None,
        }
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
            Self::Comment { body, .. } => Some(body),
            _ => None,
        }
    }

    /// The text of a comment that is written once, an answer or a notice: it is needed to write the comment again,
    /// because nobody would conclude it a second time.
    pub fn kept_body(&self) -> Option<&str> {
        self.body().filter(|_| {
            self.kind() == EffectKind::Comment && self.subject() != Some(Subject::Audit)
        })
    }

    /// The digest of what a comment says.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Self::Comment { marker, .. } => Some(&marker.digest),
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

/// All that is missing, in the order in which it is written: the explanation first, so that nobody finds a label
/// or an assignee without a reason beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The writes.
    pub effects: Vec<Effect>,
}

/// A comment of ours that is on the issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurComment {
    /// The forge's id.
    pub id: i64,
    /// What its marker says.
    pub marker: Marker,
}

/// What the plan has to know beyond the issue and the verdict.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// Our latest audit comment on the issue.
    pub comment: Option<OurComment>,
    /// What was put on the issue for the open dispatch before, as kind and value; it is not put on twice.
    pub applied: &'a BTreeSet<(EffectKind, String)>,
    /// What was put on it for dispatches that have ended; it goes when somebody else gets the issue.
    pub leftovers: &'a BTreeSet<(EffectKind, String)>,
    /// What a person took off it.
    pub removed: &'a BTreeSet<(EffectKind, String)>,
    /// The agent the verdict names.
    pub agent: Option<&'a Agent>,
    /// Whether the forge will take the agent's account as an assignee.
    pub is_assignable: bool,
    /// Whom a flag calls.
    pub owner: &'a str,
    /// The label a flag puts on, if any.
    pub flag_label: Option<&'a str>,
    /// What gave the points.
    pub signals: &'a [Signal],
    /// How far the latest dispatch of ours has come, or the one about to be opened.
    pub stage: Option<Stage<'a>>,
    /// How the one before it ended.
    pub ended: Option<Stage<'a>>,
    /// What people are to be told once.
    pub notices: &'a [Notice],
    /// A notice belongs to this verdict, told now or already: it calls the owner, so that no other comment has to.
    pub has_notice: bool,
    /// The issue is closed and is to be open.
    pub reopens: bool,
    /// What an agent is told that is called directly.
    pub handoff: Option<Handoff>,
    /// Where the issue's whole story can be seen.
    pub page: Option<String>,
}

/// What is missing on `issue` for `verdict` to be true.
pub fn plan(issue: &Issue, verdict: &Verdict, scene: &Scene<'_>) -> Plan {
    let audit = match (&verdict.decision, &scene.stage) {
        (Decision::Dispatch { .. }, Some(stage)) => {
            comment(About::Dispatch(stage), issue, verdict, scene)
        }
        (decision @ Decision::Flag { .. }, _) if !scene.has_notice => {
            comment(About::Decision(decision), issue, verdict, scene)
        }
        _ => scene.stage.as_ref().and_then(|stage| sticky(stage, issue, verdict, scene)),
    };
    let ended = scene.ended.as_ref().and_then(|stage| sticky(stage, issue, verdict, scene));
    let notices = scene.notices.iter().map(|notice| notice.effect(scene.owner));
    let marks = match &verdict.decision {
        Decision::Dispatch { .. } => dispatch(issue, scene),
        Decision::Flag { .. } => Vec::from_iter(flag(issue, scene)),
        Decision::Wait { .. } | Decision::Skip { .. } | Decision::Finish { .. } => Vec::new(),
    };
    // What has ended is told first: after the next comment nobody would look for this one any more.
    let effects = ended
        .into_iter()
        .chain(audit)
        .chain(notices)
        .chain(scene.reopens.then_some(Effect::Reopen));
    Plan { effects: effects.chain(marks).collect() }
}

fn dispatch(issue: &Issue, scene: &Scene<'_>) -> Vec<Effect> {
    let Some(agent) = scene.agent else { return Vec::new() };
    let label = agent.label.clone().filter(|name| !issue.has_label(name)).map(Effect::Label);
    let may_assign = |login: &String| scene.is_assignable && !issue.is_assigned_to(login);
    let assignee = agent.login.clone().filter(may_assign).map(Effect::Assignee);
    let hand_off = scene.handoff.clone().filter(|_| agent.interface != Interface::Forge);
    let hand_off = hand_off.map(|handoff| Effect::HandOff {
        agent: Box::new(agent.clone()),
        handoff: Box::new(handoff),
    });
    let wanted = label.into_iter().chain(assignee).chain(hand_off);
    let wanted = wanted.filter(|effect| !was_applied(effect, scene));
    left_over(issue, agent, scene).chain(wanted).collect()
}

/// What an agent that failed leaves behind is taken off, where nobody else wants it there.
fn left_over<'a>(
    issue: &'a Issue,
    agent: &'a Agent,
    scene: &'a Scene<'_>,
) -> impl Iterator<Item = Effect> + 'a {
    scene.leftovers.iter().filter_map(|(kind, value)| match kind {
        EffectKind::Label if issue.has_label(value) && agent.label.as_ref() != Some(value) => {
            Some(Effect::Unlabel(value.clone()))
        }
        EffectKind::Assignee
            if issue.is_assigned_to(value) && agent.login.as_ref() != Some(value) =>
        {
            Some(Effect::Unassign(value.clone()))
        }
        _ => None,
    })
}

fn flag(issue: &Issue, scene: &Scene<'_>) -> Option<Effect> {
    let label = scene.flag_label.filter(|name| !issue.has_label(name));
    label.map(|name| Effect::Label(name.to_owned())).filter(|e| !was_applied(e, scene))
}

fn was_applied(effect: &Effect, scene: &Scene<'_>) -> bool {
    let key = (effect.kind(), effect.value().to_owned());
    scene.applied.contains(&key) || scene.removed.contains(&key)
}

/// What an agent that is called directly is told about the issue.
pub fn handoff(issue: &Issue, to: HandoffTo<'_>) -> Handoff {
    Handoff {
        dispatch_id: to.key.to_owned(),
        at: to.at.clone(),
        title: issue.title.clone(),
        description: issue.body.clone(),
        acceptance_criteria: acceptance_criteria(issue),
        agent: to.agent.id.clone(),
        task_type: to.task_type,
        callback_url: to.callback.map(|base| format!("{base}/dispatches/{}", to.key)),
    }
}

/// Whom an issue is handed to, and by which dispatch.
#[derive(Clone, Copy, Debug)]
pub struct HandoffTo<'a> {
    /// The agent.
    pub agent: &'a Agent,
    /// Names the dispatch.
    pub key: &'a str,
    /// The issue.
    pub at: &'a IssueRef,
    /// The kind of task.
    pub task_type: TaskType,
    /// The address of this service, where it is known.
    pub callback: Option<&'a str>,
}

/// The reaction and, where words are needed, the comment that answer a comment with commands. `explanation` is what a
/// comment gets that asks for the reasons. Nobody waits on the issue for the answer to an order given by hand.
pub fn answer(answer: &Answer, explanation: &str) -> Vec<Effect> {
    let Source::Comment(comment) = answer.source else { return Vec::new() };
    let content = if answer.is_obeyed { "+1" } else { "confused" };
    let mut texts = answer.texts.clone();
    if answer.explains {
        texts.push(fence(explanation));
    }
    let mut effects = vec![Effect::Reaction { comment, content: Cow::Borrowed(content) }];
    if !texts.is_empty() {
        let marker = Marker::answer(comment);
        let body = format!("{}\n\n{marker}", texts.join("\n\n"));
        effects.push(Effect::Comment { edit: None, marker, body });
    }
    effects
}

/// The audit comment: new for a new decision, an edit when the same decision has other reasons now, nothing when it
/// says the same.
fn comment(
    about: About<'_>,
    issue: &Issue,
    verdict: &Verdict,
    scene: &Scene<'_>,
) -> Option<Effect> {
    let marker = comment::marker(about, issue, verdict, scene);
    let edit = match &scene.comment {
        Some(ours) if ours.marker == marker => return None,
        Some(ours) if ours.marker.decision == marker.decision => Some(ours.id),
        _ => None,
    };
    let body = format!("{}\n\n{marker}", comment::render(about, issue, verdict, scene));
    Some(Effect::Comment { edit, marker, body })
}

/// The audit comment of a dispatch says how far it has come, also when nothing is decided about it any more. It is
/// never written anew for that.
fn sticky(
    stage: &Stage<'_>,
    issue: &Issue,
    verdict: &Verdict,
    scene: &Scene<'_>,
) -> Option<Effect> {
    scene.comment.as_ref().filter(|ours| ours.marker.decision == stage.decision())?;
    comment(About::Dispatch(stage), issue, verdict, scene)
}
