//! The pure core: an issue, how it stands, the policy and the time go in; a verdict comes out.
//! No clock, file, network or log here, so that the same input gives the same verdict anywhere.

mod blockers;
pub mod commands;
mod criteria;
mod decide;
mod defaults;
mod explain;
mod follow;
mod hold;
mod lexicon;
mod orders;
mod own;
mod policy;
mod quote;
mod roster;
#[cfg(test)]
mod samples;
mod score;
mod signals;
mod tags;
mod task_type;
mod term;
mod text;
pub mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::dispatch::{Agent, AgentId, Dispatch, TaskType};
use crate::issue::{Issue, IssueRef};

pub use self::blockers::mentioned_blockers;
pub use self::criteria::{acceptance_criteria, open_tasks};
pub use self::explain::explain;
pub use self::follow::{Limits, Signs, Step, follow, remind_at};
pub use self::hold::Hold;
pub use self::orders::{Answer, Obeyed, Order, Permission, Source, obey};
pub use self::own::{OWN_SUMMARY, SUMMARY_TITLE, is_summary_title};
pub use self::policy::{
    AcceptanceRules, AlignmentRules, Policy, PolicyError, Route, ScopeRules, TagSets, TaskWords,
};
pub use self::quote::{code, fence};
pub use self::term::TermProblem;

use self::lexicon::Lexicon;
use self::tags::Classes;

named_enum! {
    /// What kind of issue it is, from its tags.
    IssueType {
        /// Something is broken.
        Bug = "bug",
        /// Something is to be found out.
        Research = "research",
        /// Something new is wanted.
        Feature = "feature",
        /// Something is to be restructured.
        Refactor = "refactor",
        /// Something is to be talked about.
        Philosophy = "philosophy",
        /// No tag says.
        Unknown = "unknown",
    }
}

/// One reason for points, and the words of the issue that gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Which part of the score it belongs to: `scope`, `acceptance` or `alignment`.
    pub part: String,
    /// What was found, for people: `names a file`.
    pub name: String,
    /// The points it gave; negative for a penalty.
    pub points: i64,
    /// The words that matched, as they stand in the issue, at most five.
    pub words: Vec<String>,
}

/// What the text of an issue is worth, each part 0–3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// The title without its bracket tags.
    pub title: String,
    /// What kind of issue it is.
    #[serde(rename = "type")]
    pub issue_type: IssueType,
    /// Bracket tags and labels, lower-cased.
    pub tags: BTreeSet<String>,
    /// How well it is scoped.
    pub scope: u8,
    /// How clear it is when it is done.
    pub acceptance: u8,
    /// How much it is wanted.
    pub alignment: u8,
    /// The sum of the parts.
    #[serde(rename = "score")]
    pub total: u8,
    /// Whether the sum reaches the threshold.
    pub ready: bool,
    /// Whether it goes first in line.
    pub p0: bool,
    /// Whether its text says that it is blocked.
    pub blocked: bool,
    /// Whether it calls for the research agent.
    pub research: bool,
    /// Whole days since it was opened.
    pub age_days: i64,
}

named_enum! {
    /// The names of the decisions.
    Action {
        /// Give it to an agent.
        Dispatch = "dispatch",
        /// Ask the owner.
        Flag = "flag",
        /// Every suitable agent is busy.
        Wait = "wait",
        /// Nothing to do.
        Skip = "skip",
        /// It is closed or gone.
        Finish = "finish",
    }
}

/// What is to happen with an issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Decision {
    /// Give it to an agent.
    Dispatch {
        /// Who gets it.
        agent: AgentId,
        /// Why, for people.
        reason: String,
    },
    /// Ask the owner.
    Flag {
        /// Why, for people.
        reason: String,
    },
    /// Every suitable agent is busy.
    Wait {
        /// Who it waits for.
        agent: AgentId,
        /// Why, for people.
        reason: String,
    },
    /// Nothing to do.
    Skip {
        /// Why, for people.
        reason: String,
    },
    /// It is closed or gone: end what is open.
    Finish {
        /// Why, for people.
        reason: String,
    },
}

impl Decision {
    /// Its name.
    pub fn action(&self) -> Action {
        match self {
            Self::Dispatch { .. } => Action::Dispatch,
            Self::Flag { .. } => Action::Flag,
            Self::Wait { .. } => Action::Wait,
            Self::Skip { .. } => Action::Skip,
            Self::Finish { .. } => Action::Finish,
        }
    }

    /// The agent it names, if it names one.
    pub fn agent(&self) -> Option<&AgentId> {
        match self {
            Self::Dispatch { agent, .. } | Self::Wait { agent, .. } => Some(agent),
            Self::Flag { .. } | Self::Skip { .. } | Self::Finish { .. } => None,
        }
    }

    /// Why, for people.
    pub fn reason(&self) -> &str {
        match self {
            Self::Dispatch { reason, .. }
            | Self::Flag { reason }
            | Self::Wait { reason, .. }
            | Self::Skip { reason }
            | Self::Finish { reason } => reason,
        }
    }
}

/// Score, task type and decision: all that was concluded about an issue at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What its text is worth.
    #[serde(flatten)]
    pub score: Score,
    /// The kind of work it asks for.
    pub task_type: TaskType,
    /// What is to happen.
    pub decision: Decision,
}

/// How an issue stands apart from its own text: what was done about it before, and what else is going on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The dispatch that is open for it.
    pub dispatch: Option<Dispatch>,
    /// Whether it is a daily summary that we wrote ourselves.
    pub is_our_summary: bool,
    /// Who or what took it out of automatic hands, if anybody: the reason to show.
    pub held: Option<String>,
    /// The agent that a person chose for it.
    pub chosen: Option<AgentId>,
    /// The kind of task that person chose it for, where they said.
    pub chosen_task: Option<TaskType>,
    /// The agent that had it last.
    pub last_agent: Option<AgentId>,
    /// The agent whose account, still assigned, counts as ours although no dispatch is open.
    pub ours: Option<AgentId>,
    /// The accounts of agents whose try failed: still assigned, they count as ours.
    pub left_over: Vec<String>,
    /// The agents whose try failed: others come first.
    pub tried: Vec<AgentId>,
    /// The issues it depends on according to the forge that are still open.
    pub open_dependencies: Vec<IssueRef>,
    /// The issues its own text says block it (`blocked by #12`) that are closed by now.
    pub closed_blockers: Vec<IssueRef>,
    /// How many dispatches each agent has open, this issue's own not counted.
    pub load: BTreeMap<AgentId, u32>,
    /// Logins that somebody named and that the forge would not take as assignees.
    pub unassignable: Vec<String>,
    /// The agents there are, in the order they are tried.
    pub agents: Vec<Agent>,
}

/// A policy made ready for use; build it once, it can be shared freely.
pub struct Triage {
    policy: Policy,
    lexicon: Lexicon,
}

impl fmt::Debug for Triage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Triage").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Triage {
    /// Compiles the policy, or says which key cannot be used.
    pub fn new(mut policy: Policy) -> Result<Self, PolicyError> {
        policy.check_numbers()?;
        policy.normalise();
        Ok(Self { lexicon: Lexicon::new(&policy)?, policy })
    }

    /// The policy it was made from, with its tags in the form they are compared in.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What the text of the issue is worth.
    pub fn score(&self, issue: &Issue, now: Timestamp) -> Score {
        let facts = signals::facts(&self.lexicon, issue);
        score::score(&self.policy, issue, &facts, now)
    }

    /// Where the points come from; penalties and caps have their own, negative points.
    pub fn signals(&self, issue: &Issue) -> Vec<Signal> {
        let facts = signals::facts(&self.lexicon, issue);
        let tags = tags::of(issue);
        let classes = Classes::new(&self.policy, &tags);
        let points =
            score::points(&self.policy, &tags::without_brackets(&issue.title), &classes, &facts);
        explain::signals(self, issue, &points)
    }

    /// Whether an issue with this title and these labels is looked at before others.
    pub fn is_urgent(&self, title: &str, labels: &[String]) -> bool {
        Classes::new(&self.policy, &tags::among(title, labels)).is_urgent()
    }

    /// The kind of work the issue asks for.
    pub fn task_type(&self, issue: &Issue) -> TaskType {
        task_type::of(&self.policy, &signals::facts(&self.lexicon, issue))
    }

    /// The agent that suits an issue, whatever its score: by its strengths for a kind of task that somebody named, as
    /// the policy routes it otherwise.
    pub fn suitable(
        &self,
        issue: &Issue,
        agents: &[Agent],
        task: Option<TaskType>,
    ) -> Option<AgentId> {
        let facts = signals::facts(&self.lexicon, issue);
        let policy = match task {
            Some(_) => Policy { route: Route::TaskType, ..self.policy.clone() },
            None => self.policy.clone(),
        };
        let task = task.unwrap_or_else(|| task_type::of(&self.policy, &facts));
        let is_research = Classes::new(&self.policy, &tags::of(issue)).research;
        let standing = Standing { agents: agents.to_vec(), ..Standing::default() };
        match roster::pick(&policy, &standing, task, is_research) {
            roster::Pick::Free(agent) | roster::Pick::Busy { agent, .. } => Some(agent),
            roster::Pick::Nobody => None,
        }
    }

    /// All that follows from the issue as it is now.
    pub fn verdict(&self, issue: &Issue, standing: &Standing, now: Timestamp) -> Verdict {
        let facts = signals::facts(&self.lexicon, issue);
        let score = score::score(&self.policy, issue, &facts, now);
        let task_type = standing.chosen_task.unwrap_or_else(|| task_type::of(&self.policy, &facts));
        let case =
            decide::Case { triage: self, issue, standing, facts: &facts, score: &score, task_type };
        let decision = case.decide();
        Verdict { score, task_type, decision }
    }

    /// The decision for an issue that no longer exists.
    pub fn gone(&self) -> Decision {
        Decision::Finish { reason: "the issue no longer exists".to_owned() }
    }
}
