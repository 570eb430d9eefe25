//! The pure core: an issue, how it stands, the policy and the time go in; a verdict comes out.
//! No clock, file, network or log here, so that the same input gives the same verdict anywhere.

mod answer;
mod approval;
mod blockers;
mod claims;
pub mod commands;
mod criteria;
mod cues;
mod custody;
mod decide;
mod defaults;
mod evaluate;
mod evaluation;
mod evidence;
mod explain;
mod follow_up;
mod forms;
mod kinds;
mod language;
mod lexicon;
mod lifecycle;
mod markdown;
mod marker;
mod notice;
mod observe;
mod outsiders;
mod phrases;
mod points;
mod policy;
mod preset;
mod recognition;
mod references;
mod roster;
mod rotation;
mod rules;
#[cfg(test)]
mod samples;
mod score;
mod signals;
mod similar;
mod snapshot;
mod statements;
mod tags;
mod term;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::dispatch::{Agent, AgentId, TaskType};
use crate::issue::Issue;
use crate::reason::{Missing, Reason};

pub use self::answer::Answer;
pub use self::approval::{Approval, Way};
pub use self::commands::{Audience, CommandRequest, OrderEnd, OrderState, Permission, Source};
pub use self::criteria::{acceptance_criteria, open_tasks};
pub use self::custody::{Choice, Custody, PersonClaim};
pub use self::decide::SUMMARY_TITLE;
pub use self::evaluate::evaluate;
pub use self::evaluation::{Evaluation, Permit};
pub use self::explain::explain;
pub use self::forms::{FieldRules, LabelRules, TypeWords};
pub use self::language::Language;
pub use self::lifecycle::remind_at;
pub(crate) use self::marker::TO_OUTSIDER;
pub use self::marker::{MarkedComment, Marker, Subject};
pub use self::notice::{News, Notice};
pub use self::points::{AcceptanceRules, AlignmentRules, ScopeRules, TagSets};
pub use self::policy::{
    Answers, Authors, AuthorsIn, Policy, PolicyError, Preset, Reads, Route, TaskWords,
};
pub use self::preset::PolicyId;
pub use self::references::named_issues;
pub use self::rules::{Absence, Check, Member, Reopen, Rotation, Rules};
pub use self::similar::{Lookup, Neighbour, Neighbours, Word};
pub use self::snapshot::{
    Facts, MergedPull, Question, Record, Shares, Snapshot, Unconfirmed, UnconfirmedWrite,
};
pub use self::term::TermProblem;
pub use crate::issue::IssueType;
pub use crate::reason::{code, fence};

use self::evidence::Evidence;
use self::lexicon::Lexicon;
use self::score::Basis;
use self::tags::Classes;

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
        /// Why.
        reason: Reason,
    },
    /// Ask the owner.
    Flag {
        /// Why.
        reason: Reason,
    },
    /// Every suitable agent is busy.
    Wait {
        /// Who it waits for.
        agent: AgentId,
        /// Why.
        reason: Reason,
        /// The other agents that suit, and their limits: whoever gets free first has it.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        others: BTreeMap<AgentId, u32>,
    },
    /// Nothing to do.
    Skip {
        /// Why.
        reason: Reason,
    },
    /// It is closed or gone: end what is open.
    Finish {
        /// Why.
        reason: Reason,
    },
}

/// Before the rules are asked.
impl Default for Decision {
    fn default() -> Self {
        Self::Skip { reason: Reason::Earlier(String::new()) }
    }
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

    /// The agents of which it waits for the first that gets free, and the limits that they are at.
    pub fn waits_for(&self) -> Vec<(&AgentId, u32)> {
        match self {
            Self::Wait { agent, reason, others } => {
                let first = reason.limit().map(|limit| (agent, limit));
                first.into_iter().chain(others.iter().map(|(one, limit)| (one, *limit))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Why.
    pub fn reason(&self) -> &Reason {
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
    /// The policy it was made with; `None` in what an older version wrote down.
    #[serde(default)]
    pub policy: Option<PolicyId>,
}

/// What the text of an issue is worth, and what was found in it.
#[derive(Debug)]
pub struct Assessment {
    /// What its text is worth.
    pub score: Score,
    /// What gave the points; left out where nobody asks.
    pub signals: Vec<Signal>,
    facts: signals::Facts,
}

/// A policy made ready for use; build it once, it can be shared freely.
#[derive(Clone)]
pub struct Triage {
    policy: Policy,
    id: PolicyId,
    lexicon: Arc<Lexicon>,
    /// Where statements are read.
    reader: Option<Arc<evidence::Reader>>,
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
        let id = PolicyId::of(&policy);
        policy.normalise();
        let reader =
            (policy.reads == Reads::Statements).then(|| evidence::Reader::new(&policy).into());
        Ok(Self { lexicon: Arc::new(Lexicon::new(&policy)?), id, reader, policy })
    }

    /// The policy it was made from, with its tags in the form they are compared in.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Which policy it is.
    pub fn id(&self) -> &PolicyId {
        &self.id
    }

    /// What has to hold when the issue is done.
    pub fn criteria(&self, issue: &Issue) -> Vec<String> {
        let evidence = self.evidence(issue);
        evidence.map_or_else(|| acceptance_criteria(issue), |evidence| evidence.criteria())
    }

    /// What the issue would need to be ready.
    pub fn missing(&self, issue: &Issue) -> Vec<Missing> {
        explain::missing(&self.policy, &self.measure(issue, Timestamp::default()))
    }

    /// What people are told where this was decided.
    pub fn answer(&self, decision: &Decision) -> Option<Answer> {
        Answer::to(decision).filter(|answer| match answer {
            // No label says so.
            Answer::Approval => self.policy.answers == Answers::Comment,
            _ => self.policy.answers != Answers::None,
        })
    }

    /// What the text of the issue is worth.
    pub fn score(&self, issue: &Issue, now: Timestamp) -> Score {
        self.measure(issue, now).score
    }

    /// Where the points come from; penalties and caps have their own, negative points.
    pub fn signals(&self, issue: &Issue) -> Vec<Signal> {
        let facts = self.facts(issue);
        explain::signals(self, issue, &Basis::of(&self.policy, issue, &facts).points())
    }

    fn facts(&self, issue: &Issue) -> signals::Facts {
        let tags = tags::among(&issue.title, &issue.labels);
        match self.evidence(issue) {
            Some(evidence) => {
                let classes = evidence.facts.classes;
                evidence.facts.with(tags, classes)
            }
            None => {
                let classes = Classes::new(&self.policy, &tags);
                signals::Facts::of(&self.lexicon, issue).with(tags, classes)
            }
        }
    }

    /// The files that the issue names.
    fn named_files(&self, issue: &Issue) -> Vec<String> {
        explain::named_files(self, issue)
    }

    /// What the issue states, where statements are read.
    fn evidence<'a>(&'a self, issue: &'a Issue) -> Option<Evidence<'a>> {
        let reader = self.reader.as_deref()?;
        Some(Evidence::of(&self.lexicon, reader, &self.policy, issue))
    }

    /// Whether an issue with this title and these labels is looked at before others.
    pub fn is_urgent(&self, title: &str, labels: &[String]) -> bool {
        match &self.reader {
            None => Classes::new(&self.policy, &tags::among(title, labels)).is_urgent(),
            Some(reader) => {
                let recognition = &reader.recognition;
                labels.iter().any(|one| recognition.is_urgent(&recognition.label(one)))
            }
        }
    }

    /// The kind of work the issue asks for.
    pub fn task_type(&self, issue: &Issue) -> TaskType {
        self.facts(issue).task_type(&self.policy)
    }

    /// The agent that suits an issue, whatever its score: by its strengths for a kind of task that somebody named, as
    /// the policy routes it otherwise.
    pub fn suitable(
        &self,
        issue: &Issue,
        agents: &[Agent],
        task: Option<TaskType>,
    ) -> Option<AgentId> {
        let policy = match task {
            Some(_) => Policy { route: Route::TaskType, ..self.policy.clone() },
            None => self.policy.clone(),
        };
        let task = task.unwrap_or_else(|| self.task_type(issue));
        let is_research = self.facts(issue).classes.research;
        let (load, pauses) = Default::default();
        let roster = roster::Roster {
            agents: Some(agents),
            load: &load,
            pauses: &pauses,
            tried: Vec::new(),
        };
        match roster::pick(&policy, roster, task, is_research) {
            roster::Pick::Free(agent) | roster::Pick::Busy { agent, .. } => Some(agent),
            roster::Pick::Nobody => None,
        }
    }

    /// What the text of the issue is worth, and what was found in it.
    pub fn assess(&self, issue: &Issue, now: Timestamp) -> Assessment {
        Assessment { signals: self.signals(issue), ..self.measure(issue, now) }
    }

    fn measure(&self, issue: &Issue, now: Timestamp) -> Assessment {
        let facts = self.facts(issue);
        let score = Basis::of(&self.policy, issue, &facts).score(issue, now);
        Assessment { score, signals: Vec::new(), facts }
    }

    /// All that follows from the issue alone, as if nobody had it, every agent were free and nothing it depends on were
    /// open.
    pub fn verdict(&self, issue: &Issue, now: Timestamp) -> Verdict {
        let (assessment, record) = (self.measure(issue, now), Record::default());
        let mut s = Snapshot::alone(issue, &assessment, &record, now);
        let evaluation = Evaluation::start(&s);
        loop {
            let chain = decide::Chain { triage: self, agents: None, s: &s, e: &evaluation };
            match chain.decide() {
                Ok(decision) => {
                    let task_type = chain.task_type();
                    let policy = Some(self.id.clone());
                    return Verdict { score: assessment.score, task_type, decision, policy };
                }
                Err(question) => s.facts.suppose_nothing(question),
            }
        }
    }

    /// The decision for an issue that no longer exists.
    pub fn gone(&self) -> Decision {
        Decision::Finish { reason: Reason::Gone }
    }
}
