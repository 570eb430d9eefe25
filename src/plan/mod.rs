//! What is missing: the difference between what a verdict wants on an issue and what is there. Pure; what a person
//! took away is not missing.

mod comment;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::dispatch::Agent;
use crate::issue::Issue;
use crate::triage::{Answer, Decision, Signal, Source, Verdict};

pub use crate::triage::{code, fence};
pub use comment::Marker;

/// The kinds of write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EffectKind {
    /// A new comment.
    Comment,
    /// A comment of ours, brought up to date.
    Edit,
    /// A label.
    Label,
    /// An assignee.
    Assignee,
    /// Telling an agent through its own interface.
    HandOff,
    /// A reaction on a comment.
    Reaction,
}

impl EffectKind {
    const NAMES: [(Self, &'static str); 6] = [
        (Self::Comment, "comment"),
        (Self::Edit, "edit"),
        (Self::Label, "label"),
        (Self::Assignee, "assignee"),
        (Self::HandOff, "hand_off"),
        (Self::Reaction, "reaction"),
    ];

    /// Every kind there is.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::NAMES.iter().map(|(kind, _)| *kind)
    }

    /// The kind's name in answers and in the store.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for EffectKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(kind, _)| *kind).ok_or_else(|| format!("`{text}` is no kind of effect"))
    }
}

impl fmt::Display for EffectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
    /// Our reaction is on this comment.
    Reaction {
        /// The forge's id of the comment.
        comment: i64,
        /// What it shows, such as `eyes`.
        content: &'static str,
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
            Self::Reaction { .. } => EffectKind::Reaction,
        }
    }

    /// The label, login or agent; for a comment the decision it tells.
    pub fn value(&self) -> &str {
        match self {
            Self::Comment { marker, .. } => &marker.decision,
            Self::Label(value) | Self::Assignee(value) => value,
            Self::Reaction { content, .. } => content,
        }
    }

    /// The text of an answer to a comment.
    pub fn answer_text(&self) -> Option<&str> {
        match self {
            Self::Comment { marker, body, edit: None } if marker.is_answer() => Some(body),
            _ => None,
        }
    }

    /// The digest of what a comment says.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Self::Comment { marker, .. } => Some(&marker.digest),
            _ => None,
        }
    }
}

/// How one effect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectState {
    /// It is on the forge.
    Done,
    /// It is not, and will not be tried again by itself.
    Failed,
    /// Dry run: it was not sent.
    Withheld,
}

impl EffectState {
    /// The state's name in answers and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Withheld => "withheld",
        }
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
    pub detail: Option<String>,
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
    /// Our latest comment on the issue.
    pub comment: Option<OurComment>,
    /// What was put on the issue for the open dispatch before, as kind and value; it is not put on twice.
    pub applied: &'a BTreeSet<(EffectKind, String)>,
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
}

/// What is missing on `issue` for `verdict` to be true.
pub fn plan(issue: &Issue, verdict: &Verdict, scene: &Scene<'_>) -> Plan {
    let effects = match &verdict.decision {
        Decision::Dispatch { .. } => dispatch(issue, verdict, scene),
        Decision::Flag { .. } => flag(issue, verdict, scene),
        Decision::Wait { .. } | Decision::Skip { .. } | Decision::Finish { .. } => Vec::new(),
    };
    Plan { effects }
}

fn dispatch(issue: &Issue, verdict: &Verdict, scene: &Scene<'_>) -> Vec<Effect> {
    let mut effects = Vec::from_iter(comment(issue, verdict, scene));
    let Some(agent) = scene.agent else { return effects };
    let wanted = [
        agent.label.clone().filter(|name| !issue.has_label(name)).map(Effect::Label),
        agent
            .login
            .clone()
            .filter(|login| scene.is_assignable && !issue.is_assigned_to(login))
            .map(Effect::Assignee),
    ];
    effects.extend(wanted.into_iter().flatten().filter(|e| !was_applied(e, scene)));
    effects
}

fn flag(issue: &Issue, verdict: &Verdict, scene: &Scene<'_>) -> Vec<Effect> {
    let label = scene.flag_label.filter(|name| !issue.has_label(name));
    let label = label.map(|name| Effect::Label(name.to_owned())).filter(|e| !was_applied(e, scene));
    comment(issue, verdict, scene).into_iter().chain(label).collect()
}

fn was_applied(effect: &Effect, scene: &Scene<'_>) -> bool {
    let key = (effect.kind(), effect.value().to_owned());
    scene.applied.contains(&key) || scene.removed.contains(&key)
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
    let mut effects = vec![Effect::Reaction { comment, content }];
    if !texts.is_empty() {
        let marker = Marker::answer(comment);
        let body = format!("{}\n\n{marker}", texts.join("\n\n"));
        effects.push(Effect::Comment { edit: None, marker, body });
    }
    effects
}

/// The audit comment: new for a new decision, an edit when the same decision has other reasons now, nothing when it
/// says the same.
fn comment(issue: &Issue, verdict: &Verdict, scene: &Scene<'_>) -> Option<Effect> {
    let marker = comment::marker(issue, verdict, scene);
    let edit = match &scene.comment {
        Some(ours) if ours.marker == marker => return None,
        Some(ours) if ours.marker.decision == marker.decision => Some(ours.id),
        _ => None,
    };
    let body = comment::render(issue, verdict, scene, &marker);
    Some(Effect::Comment { edit, marker, body })
}
