//! Why something was decided, why an issue is held, and what a dispatch's state comes from: as data, so that code never
//! compares a sentence. The sentences for people are made in one place, [`words`].

mod duty;
mod quote;
mod words;

use serde::{Deserialize, Serialize, Serializer};

use crate::clock::Timestamp;
use crate::dispatch::budget::{Spent, UsedUp};
use crate::dispatch::pause::PausedBy;
use crate::dispatch::run::Asked;
use crate::dispatch::{AgentId, TaskType};
use crate::issue::{IssueRef, IssueType, RepoName};

pub use self::duty::{Duty, PassedOver, Why};
pub use self::quote::{code, fence};
pub use self::words::{action, age, same_bytes};

/// Serialises an empty text as nothing: JSON has a word for that.
///
/// # Errors
/// Those of the serializer.
pub fn or_none<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    Some(text).filter(|text| !text.is_empty()).serialize(serializer)
}

/// The [code](Reason::code) of an urgent issue that is not ready.
pub const URGENT_NOT_READY: &str = "urgent_not_ready";

/// Why an agent gets no further issue for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPlace {
    /// How many dispatches it has open.
    pub load: u32,
    /// How many it may have.
    pub limit: u32,
    /// Whose pause keeps it from this issue, however many it has.
    pub paused: Option<PausedBy>,
}

/// Why a decision was made. Shown and kept as a sentence; code and the store use [`Reason::code`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The issue is closed.
    Closed,
    /// The issue no longer exists.
    Gone,
    /// The issue is closed, and the checks of its pull request still run.
    ChecksRun(IssueRef),
    /// It is a pull request.
    PullRequest,
    /// It is a daily summary of ours.
    OwnSummary,
    /// Its author is on the owner's list.
    IgnoredAuthor(String),
    /// A label of it, as it stands there, is on the owner's list.
    IgnoredLabel(String),
    /// A person, or the end of a dispatch, took it out of automatic hands.
    Held(Hold),
    /// A person chose the agent.
    Chosen(AgentId),
    /// A person chose the agent, which gets no more for now.
    ChosenButBusy {
        /// The agent.
        agent: AgentId,
        /// Why.
        place: NoPlace,
    },
    /// It needs discussion, not work.
    Philosophy,
    /// People have it, with these logins as the forge writes them.
    Assigned(Vec<String>),
    /// A person has it by `/triage claim`.
    Claimed {
        /// Who.
        login: String,
        /// Until when, unless they show a sign of work.
        until: Timestamp,
    },
    /// A label of it, as it stands there, keeps it for people to claim.
    OpenToClaim(String),
    /// Its score is below the threshold.
    NotReady {
        /// The score.
        score: u8,
        /// The threshold.
        ready_at: u8,
        /// What would give it more points.
        missing: Vec<Missing>,
        /// A tag of it says that it is urgent, so that a person has to look.
        is_urgent: bool,
    },
    /// These issues, which it depends on according to the forge, are open.
    Depends(Vec<IssueRef>),
    /// Its own text says that it is blocked.
    BlockedByText {
        /// By these open issues, where it names any.
        by: Vec<IssueRef>,
        /// Its repository.
        repo: RepoName,
    },
    /// A label of it, as it stands there, says that it is blocked.
    BlockedByLabel(String),
    /// An older issue says the same.
    Duplicate {
        /// The older one.
        of: IssueRef,
        /// How much of the two is the same, in percent.
        percent: u8,
        /// Words that both have, as the newer one writes them.
        words: Vec<String>,
        /// When the older one was closed; `None` while it is open.
        closed_at: Option<Timestamp>,
    },
    /// Who opened it may not write to the repository's issues, and nobody who may lets an agent have it as it is.
    AwaitsApproval {
        /// Who opened it; empty where the forge does not say.
        author: String,
        /// That it was approved, and is not known to be what was approved.
        change: Option<TextChange>,
        /// Whether a person has to choose the agent.
        by_choice: bool,
    },
    /// The agent that has it keeps it.
    StaysWith {
        /// The issue in short.
        subject: Brief,
        /// The agent.
        agent: AgentId,
    },
    /// It is given to an agent.
    GoesTo {
        /// The issue in short.
        subject: Brief,
        /// The agent.
        agent: AgentId,
    },
    /// The agent that suits it is at its limit.
    WaitsFor {
        /// The issue in short.
        subject: Brief,
        /// The agent.
        agent: AgentId,
        /// Why it gets no more for now.
        place: NoPlace,
    },
    /// Nothing is left of a budget.
    WaitsForBudget {
        /// The agent that would get it.
        agent: AgentId,
        /// The budget.
        used_up: UsedUp,
    },
    /// No agent suits it.
    NoAgent {
        /// The issue in short.
        subject: Brief,
        /// The kind of task.
        task: TaskType,
    },
    /// Its dispatch has just timed out, for what the agent failed to do.
    TimedOut(Cause),
    /// Its dispatch has just been escalated, for what the last attempt failed on.
    Escalated(Cause),
    /// A person gave it to the agent on the forge.
    GivenByPerson(AgentId),
    /// It had as many writes as it may have within an hour.
    WriteLimit {
        /// How many it may have.
        limit: u32,
        /// When the next one may be made.
        until: Timestamp,
    },
    /// Not all that was meant could be done.
    GivenUp {
        /// What stopped it.
        error: String,
    },
    /// The local agent was run on it by hand, and nobody evaluated it.
    RunByHand,
    /// As it was written down earlier.
    Earlier(String),
}

impl Reason {
    /// A short name that stays the same for ever, for filters and the store.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Gone => "gone",
            Self::ChecksRun(_) => "checks_run",
            Self::PullRequest => "pull_request",
            Self::OwnSummary => "own_summary",
            Self::IgnoredAuthor(_) => "ignored_author",
            Self::IgnoredLabel(_) => "ignored_label",
            Self::Held(_) => "held",
            Self::Chosen(_) => "chosen",
            Self::ChosenButBusy { place, .. } | Self::WaitsFor { place, .. }
                if place.paused.is_some() =>
            {
                "paused"
            }
            Self::ChosenButBusy { .. } => "chosen_but_busy",
            Self::Philosophy => "philosophy",
            Self::Assigned(_) => "assigned",
            Self::Claimed { .. } => "claimed",
            Self::OpenToClaim(_) => "open_to_claim",
            Self::NotReady { is_urgent: true, .. } => URGENT_NOT_READY,
            Self::NotReady { .. } => "not_ready",
            Self::Depends(_) => "depends",
            Self::BlockedByText { .. } => "blocked_by_text",
            Self::BlockedByLabel(_) => "blocked_by_label",
            Self::Duplicate { .. } => "duplicate",
            Self::AwaitsApproval { .. } => "awaits_approval",
            Self::StaysWith { .. } => "stays_with",
            Self::GoesTo { .. } => "goes_to",
            Self::WaitsFor { .. } => "waits_for",
            Self::WaitsForBudget { .. } => "waits_for_budget",
            Self::NoAgent { .. } => "no_agent",
            Self::TimedOut(_) => "timed_out",
            Self::Escalated(_) => "escalated",
            Self::GivenByPerson(_) => "given_by_person",
            Self::WriteLimit { .. } => "write_limit",
            Self::GivenUp { .. } => "given_up",
            Self::RunByHand => "run_by_hand",
            Self::Earlier(_) => "earlier",
        }
    }
}

impl Reason {
    /// How many dispatches the agent may have that gets no more for now.
    pub fn limit(&self) -> Option<u32> {
        match self {
            Self::ChosenButBusy { place, .. } | Self::WaitsFor { place, .. } => Some(place.limit),
            _ => None,
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::Earlier)
    }
}

/// That the text of an issue is not known to be what was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextChange {
    /// Who approved it.
    pub approved_by: String,
    /// Who changed it since, where that is known.
    pub by: Option<String>,
}

/// An issue in a few words: `P0/bug issue (score 7, 3 days old)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Whether it goes first in line.
    pub is_first: bool,
    /// What kind of issue it is.
    pub issue_type: IssueType,
    /// Whether it calls for the research agent.
    pub is_research: bool,
    /// Its score.
    pub score: u8,
    /// Whole days since it was opened.
    pub age_days: i64,
}

named_enum! {
    /// What an issue would need to be ready, and how a sentence about it says so.
    Missing {
        /// A file or a function.
        Place = "names no file or function",
        /// A file.
        File = "names no file",
        /// A function.
        Function = "names no function",
        /// A short title.
        ShortTitle = "has a long title",
        /// Acceptance criteria.
        Acceptance = "has no acceptance criteria",
        /// A test.
        Test = "mentions no test",
        /// A section for the problem or the solution.
        Section = "has no section for the problem or the solution",
        /// Agreement.
        Agreement = "a tag or label says that it needs discussion first",
        /// A tag that says what kind of issue it is.
        Kind = "has no bug, feature or refactoring tag or label",
        /// What type of issue it is.
        Type = "does not say whether something is broken, wanted or asked",
        /// How to see it happen.
        Steps = "has no steps to reproduce it, no code and no log",
        /// What should happen.
        Expected = "does not say what should happen",
        /// More words.
        Detail = "says little about it",
    }
}

/// Why an issue is left alone until a person says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hold(pub Cause);

/// What the state of a dispatch comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// The decision of the evaluation that changed it.
    Decided {
        /// Its reason, as it was shown.
        reason: String,
    },
    /// A writer said `/triage hold`.
    HeldBy {
        /// Who.
        by: String,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// A writer said `/triage done`.
    DoneBy {
        /// Who.
        by: String,
    },
    /// A writer said `/triage retry`.
    RetriedBy {
        /// Who.
        by: String,
    },
    /// A writer said `/triage assign` with an agent or a login.
    GivenBy {
        /// Who.
        by: String,
        /// To whom.
        to: String,
    },
    /// Somebody took off what had called the agent.
    TakenOff {
        /// The labels and logins.
        what: Vec<String>,
    },
    /// Somebody else was assigned.
    TakenOver {
        /// Who has it now.
        login: String,
    },
    /// Somebody who may not cause work changed what was approved.
    TextChanged {
        /// Who, where that is known.
        by: Option<String>,
    },
    /// The agent took off what had called it.
    Accepted {
        /// The agent.
        agent: AgentId,
        /// The label or login.
        what: String,
    },
    /// The agent commented.
    Commented {
        /// The agent.
        agent: AgentId,
    },
    /// A pull request names the issue.
    Linked {
        /// The pull request.
        pull: IssueRef,
    },
    /// The agent reported that it works on it.
    ReportedWorking {
        /// Where the work can be seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// The agent works on its pull request again.
    FollowedUp {
        /// Which turn it is.
        turn: u32,
        /// How many there may be.
        limit: u32,
        /// What for.
        asked: String,
    },
    /// The agent may not work on its pull request again.
    TurnsUsed {
        /// How many turns there may be.
        limit: u32,
        /// What for.
        asked: String,
    },
    /// The agent reported that it is done.
    ReportedDone {
        /// The agent.
        agent: AgentId,
    },
    /// The agent reported that it failed.
    ReportedFailed {
        /// How its own words begin.
        message: Option<String>,
    },
    /// The agent reported that a person has to decide something first.
    NeedsPerson {
        /// How its own words begin.
        message: Option<String>,
    },
    /// The agent asks for a permission that no rule decides.
    AsksPermission {
        /// The agent.
        agent: AgentId,
        /// The permission.
        asked: Asked,
    },
    /// The run has used most of a budget.
    BudgetNear {
        /// Which, and how much of it.
        spent: Spent,
    },
    /// Nothing is left of a budget.
    BudgetUsedUp {
        /// Which, and how much was used.
        spent: Spent,
    },
    /// The closed issue lacks what the owner requires.
    ReviewFailed {
        /// What it lacks.
        unmet: Vec<Unmet>,
    },
    /// The agent could not be called.
    HandOffFailed {
        /// Which hand-off it was, from 1.
        number: u32,
        /// How many there may be.
        limit: u32,
        /// Why.
        reason: String,
        /// How the agent's answer begins; empty when there was none.
        answer: String,
    },
    /// The forge did not let us put on what calls the agent.
    Refused {
        /// What it said.
        reason: String,
    },
    /// The deadline passed, and the issue is not closed.
    NotFinished {
        /// The agent.
        agent: AgentId,
    },
    /// The deadline passed before the agent could be called.
    NotCalled {
        /// The agent.
        agent: AgentId,
    },
    /// The issue could not be evaluated.
    NotEvaluated {
        /// The error.
        #[serde(default)]
        error: String,
    },
    /// Nobody could reach the issue any more.
    OutOfReach {
        /// Why.
        error: String,
    },
    /// As it was written down before causes were kept as data.
    Earlier {
        /// The sentence.
        text: String,
    },
}

impl Cause {
    /// Whether it is a command of a person.
    pub fn is_command(&self) -> bool {
        matches!(
            self,
            Self::HeldBy { .. }
                | Self::DoneBy { .. }
                | Self::RetriedBy { .. }
                | Self::GivenBy { .. }
        )
    }

    /// Whether nothing was left of a budget.
    pub fn is_budget(&self) -> bool {
        matches!(self, Self::BudgetUsedUp { .. })
    }

    /// Whether a person ended it, by a command or on the forge.
    pub fn is_by_person(&self) -> bool {
        let is_on_forge = matches!(
            self,
            Self::TakenOff { .. } | Self::TakenOver { .. } | Self::TextChanged { .. }
        );
        self.is_command() || is_on_forge
    }
}

/// What a closed issue lacks of what the owner requires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Unmet {
    /// Items of its task list are open.
    OpenTasks {
        /// How many.
        count: usize,
    },
    /// No merged pull request is linked to it.
    NoMergedPull,
    /// No merged pull request is linked to it whose checks could be read.
    NoChecksToRead,
    /// The pull request whose checks are wanted no longer exists.
    PullGone {
        /// The pull request.
        pull: IssueRef,
    },
    /// No check ran on the pull request.
    NoChecks {
        /// The pull request.
        pull: IssueRef,
    },
    /// The checks of the pull request are not green.
    Checks {
        /// The pull request.
        pull: IssueRef,
        /// What they say.
        status: String,
    },
}
