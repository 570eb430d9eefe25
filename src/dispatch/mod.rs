//! The nouns of a dispatch: who works on issues, on what kind of task, and how far one hand-over has come.
//! No I/O, no rules.

pub mod budget;
mod follow_up;
mod handoff;
pub mod pause;
pub mod run;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::issue::{Issue, IssueRef};
use crate::reason::Cause;

use self::budget::Spent;
pub use self::follow_up::{
    Answered, CheckState, CommitCheck, FollowUp, PullState, Remark, RemarkId, RunSoFar,
};
pub use self::handoff::{HandoffError, Wrong};
use self::run::Asked;

/// An agent's name in the configuration, such as `claude`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct AgentId(String);

impl AgentId {
    /// The agent called `id`.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

named_enum! {
    /// How an agent is told about its work.
    Interface {
        /// By a label and an assignment on the forge itself; written `gitea` in the configuration.
        Forge = "gitea",
        /// By a POST to the agent's own endpoint.
        Http = "http",
        /// By running the built-in agent.
        Local = "local",
        /// By a run that a runner takes.
        Runner = "runner",
    }
}

named_enum! {
    /// The kind of work an issue asks for.
    TaskType {
        /// System design.
        Architecture = "architecture",
        /// Restructuring existing code.
        Refactoring = "refactoring",
        /// Debugging and hard problems.
        ComplexReasoning = "complex_reasoning",
        /// Reviewing a change.
        CodeReview = "code_review",
        /// Work that splits into parts done side by side.
        ParallelImplementation = "parallel_implementation",
        /// Everyday coding; what is assumed when no word says otherwise.
        RoutineCoding = "routine_coding",
        /// Prototypes and quick turns.
        FastIteration = "fast_iteration",
        /// Finding things out.
        Research = "research",
        /// Measuring and explaining.
        Analysis = "analysis",
        /// Work for a specialist.
        Specialized = "specialized",
        /// Sorting and classifying.
        Triage = "triage",
        /// Roadmaps and plans.
        Planning = "planning",
        /// Writing and stories.
        Creative = "creative",
        /// Coordinating others.
        Orchestration = "orchestration",
    }
}

named_enum! {
    /// How far a dispatch has come.
    DispatchState {
        /// Decided, not yet handed over.
        Pending = "pending",
        /// The agent has been told.
        Assigned = "assigned",
        /// The agent has shown a sign of work.
        InProgress = "in_progress",
        /// The issue was closed and the review, if any, passed.
        Completed = "completed",
        /// Handing over or the work itself failed.
        Failed = "failed",
        /// A person has to take over; nothing more happens by itself.
        Escalated = "escalated",
        /// The deadline passed.
        TimedOut = "timed_out",
    }
}

named_enum! {
    /// What an agent reports about its work.
    Progress {
        /// It has begun, or goes on.
        InProgress = "in_progress",
        /// It is done.
        Completed = "completed",
        /// It gave up.
        Failed = "failed",
        /// A person has to decide something before anybody can go on.
        NeedsPerson = "needs_person",
    }
}

impl DispatchState {
    /// Whether the dispatch still occupies its agent.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Assigned | Self::InProgress)
    }

    /// The state as people read it: what a person ended, or what never began for want of a budget, did not fail.
    pub fn shown(self, cause: &Cause) -> &'static str {
        match self {
            Self::Failed if cause.is_by_person() || cause.is_budget() => "ended",
            state => state.as_str(),
        }
    }
}

/// Somebody or something that works on issues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its name in the configuration.
    pub id: AgentId,
    /// How it is told.
    pub interface: Interface,
    /// The label that calls it.
    pub label: Option<String>,
    /// Its account on the forge, assigned to the issue.
    pub login: Option<String>,
    /// The kinds of task it is good at.
    pub strengths: Vec<TaskType>,
    /// How many dispatches it may have open at once.
    pub max_concurrent: u32,
    /// How long a dispatch may stay open.
    pub timeout: Duration,
    /// Where an HTTP agent listens.
    pub endpoint: Option<String>,
}

impl Agent {
    /// Whether a person means it by this name, whatever its case.
    pub fn is_called(&self, name: &AgentId) -> bool {
        self.id.as_str().eq_ignore_ascii_case(name.as_str())
    }

    /// What calls it on the forge: its label and its login.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        let label = self.label.clone().map(Mark::Label);
        label.into_iter().chain(self.login.clone().map(Mark::Assignee))
    }
}

/// One issue in one agent's hands.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// The ledger's number for it.
    pub id: i64,
    /// The issue.
    pub at: IssueRef,
    /// Who has it.
    pub agent: AgentId,
    /// The kind of task it was taken for.
    pub task_type: TaskType,
    /// How far it has come.
    pub state: DispatchState,
    /// When it was decided.
    pub opened_at: Timestamp,
    /// When it times out.
    pub deadline_at: Timestamp,
    /// Names it to an agent that is called directly, the same each time it is told.
    pub key: String,
    /// A person gave the issue to the agent; it is followed like ours, without a comment.
    pub by_person: bool,
    /// A person chose the agent; the score did not.
    pub is_chosen: bool,
    /// How many hand-offs have failed.
    pub failures: u32,
    /// Whether its end is one of the tries after which a person is asked.
    pub counts: bool,
    /// Whether it was reminded of its deadline.
    pub is_reminded: bool,
    /// Why the agent was given the issue.
    pub reason: String,
    /// What the latest change of its state came from.
    pub cause: Cause,
}

impl Dispatch {
    /// Whether a person chose the agent, which has not been called yet.
    pub fn awaits_choice(&self) -> bool {
        self.is_chosen && self.state == DispatchState::Pending
    }
}

/// A dispatch that failed, as far as the next hand-over has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The ledger's number of the dispatch.
    pub dispatch: i64,
    /// Who had it.
    pub agent: AgentId,
    /// What it failed on.
    pub cause: Cause,
}

/// A change of a dispatch's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Its state from now on.
    pub state: DispatchState,
    /// What it comes from.
    pub cause: Cause,
    /// Whether an end counts as one of the attempts after which a person is asked.
    pub counts: bool,
}

impl Transition {
    /// One that is no failed attempt.
    pub fn to(state: DispatchState, cause: Cause) -> Self {
        Self { state, cause, counts: false }
    }

    /// Whether it ends the agent's work, so that nothing of what called the agent may stay on the issue.
    pub fn is_called_off(&self) -> bool {
        self.counts || matches!(self.cause, Cause::TextChanged { .. } | Cause::BudgetUsedUp { .. })
    }
}

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

/// Something of ours that stays on an issue to be seen, and that a person may take off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// A label, by its name.
    Label(String),
    /// An assignee, by the login.
    Assignee(String),
}

impl Mark {
    /// What an effect of this kind and value puts on an issue, if that stays to be seen.
    pub fn of(kind: EffectKind, value: String) -> Option<Self> {
        match kind {
            EffectKind::Label => Some(Self::Label(value)),
            EffectKind::Assignee => Some(Self::Assignee(value)),
            _ => None,
        }
    }

    /// The kind of effect that puts it on.
    pub fn kind(&self) -> EffectKind {
        match self {
            Self::Label(_) => EffectKind::Label,
            Self::Assignee(_) => EffectKind::Assignee,
        }
    }

    /// The label or the login.
    pub fn value(&self) -> &str {
        match self {
            Self::Label(value) | Self::Assignee(value) => value,
        }
    }

    /// Whether it is on the issue.
    pub fn is_on(&self, issue: &Issue) -> bool {
        match self {
            Self::Label(name) => issue.has_label(name),
            Self::Assignee(login) => issue.is_assigned_to(login),
        }
    }
}

/// What an agent that is called directly reports about its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How far the work has come.
    pub state: Progress,
    /// What the agent says about it, in its own words: quote them as code.
    pub message: Option<String>,
    /// Where the work can be seen.
    pub url: Option<String>,
    /// The budget that its run has used up, or nearly; only the service says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    /// The permission that its agent asks for; only a runner says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<Asked>,
}

impl Report {
    /// One that says no more than how far the work has come.
    pub fn new(state: Progress) -> Self {
        Self { state, message: None, url: None, spent: None, asks: None }
    }
}

/// A report, and the key of the dispatch it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// The dispatch's key.
    pub key: String,
    /// What was reported.
    pub report: Report,
}

/// Who gives the orders of the local agent: it may give an issue away, and approves no text.
pub const LOCAL_AGENT: &str = "the local agent";

/// What an agent that is called directly is told about an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// Names this hand-over, the same each time it is tried, so that the agent can tell a repetition.
    pub dispatch_id: String,
    /// The issue.
    pub at: IssueRef,
    /// Its title as typed.
    pub title: String,
    /// Its body as typed.
    pub description: String,
    /// The digest of the two, see [`TextDigest`](crate::issue::TextDigest).
    pub text_digest: String,
    /// What has to hold when it is done.
    pub acceptance_criteria: Vec<String>,
    /// Who is told.
    pub agent: AgentId,
    /// The kind of task it was taken for.
    pub task_type: TaskType,
    /// Where the agent may report its progress.
    pub callback_url: Option<String>,
    /// What is to be done again, where it has worked on the issue before.
    pub follow_up: Option<Box<FollowUp>>,
}
