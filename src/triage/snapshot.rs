//! All that is known of one issue when it is evaluated: read once, never changed. What the forge has to be asked for is
//! a [`Question`]; its answer is kept in [`Facts`] and never asked for again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::commands::CommandRequest;
use super::{Approval, Assessment, Custody, Lookup, MarkedComment, Marker, Neighbours};
use crate::clock::Timestamp;
use crate::delivery::ShownText;
use crate::dispatch::budget::UsedUp;
use crate::dispatch::pause::Pauses;
use crate::dispatch::{
    AgentId, Attempt, Dispatch, EffectKind, Mark, PullState, RemarkId, Reported, RunSoFar,
};
use crate::issue::{Account, Issue, IssueRef, TimelineEvent};
use crate::reason::Duty;

/// Stands for the issue where only its text counts.
#[expect(clippy::expect_used, reason = "a fixed text, parsed by every test")]
static NOWHERE: LazyLock<IssueRef> =
    LazyLock::new(|| "owner/name#1".parse().expect("a valid reference"));

/// All that an evaluation is made from.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// The issue.
    pub at: &'a IssueRef,
    /// The issue as the forge shows it now.
    pub issue: &'a Issue,
    /// What its text is worth.
    pub assessment: &'a Assessment,
    /// What the ledger says.
    pub record: &'a Record,
    /// What people ask for, oldest first.
    pub requests: &'a [CommandRequest],
    /// What agents reported, oldest first.
    pub reports: &'a [Reported],
    /// When it is evaluated.
    pub now: Timestamp,
    /// Whether nothing is to be written.
    pub is_dry_run: bool,
    /// The key of the dispatch that this evaluation may open.
    pub key: &'a str,
    /// What the forge was asked for.
    pub facts: Facts,
}

/// What the ledger knows about an issue before it is evaluated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Who has it.
    pub custody: Custody,
    /// A person said that it is no duplicate.
    pub is_no_duplicate: bool,
    /// What a person took off it: not put back until a person says so.
    pub removed: BTreeSet<Mark>,
    /// The latest approval of its text by a person who may write.
    pub approval: Option<Approval>,
    /// The digest of its text at the latest evaluation, where it matters who opened it.
    pub text_digest: Option<String>,
    /// When the latest evaluation was.
    pub evaluated_at: Option<Timestamp>,
    /// What was put on it for the open dispatch.
    pub applied: BTreeSet<Mark>,
    /// What the forge did not let us put on it for the open dispatch, and what it said.
    pub refused: BTreeMap<Mark, String>,
    /// What was put on it for dispatches of ours that have ended.
    pub leftovers: BTreeSet<Mark>,
    /// The agents that were called for the open dispatch through an interface of their own.
    pub handed_off: BTreeSet<AgentId>,
    /// The run of the open dispatch, where its agent works on a runner.
    pub run: Option<RunSoFar>,
    /// The attempts that failed since a person last said to begin anew, oldest first.
    pub attempts: Vec<Attempt>,
    /// The two latest dispatches of ours, open or ended, the newer one first.
    pub recent: Vec<Dispatch>,
    /// The agent of its latest dispatch, open or ended.
    pub last_agent: Option<AgentId>,
    /// When the latest comments of outsiders were answered, at most two.
    pub answered_outsiders: Vec<Timestamp>,
    /// Our latest audit comment on it.
    pub audit_comment: Option<MarkedComment>,
    /// Our comments on it that call a person and do not say that nobody has to act any more.
    pub calls: Vec<MarkedComment>,
    /// Writes that were meant and of which nobody knows whether they were made.
    pub unconfirmed: Vec<Unconfirmed>,
    /// How many dispatches each agent has open, this issue's own not counted.
    pub load: BTreeMap<AgentId, u32>,
    /// The pauses that concern it.
    pub pauses: Pauses,
    /// Whether it was open before its repository was first read, and nobody has touched it since: nobody is called for it.
    pub is_from_before: bool,
    /// How many other issues those have claimed who claim this one now, by the ledger's number of the command.
    pub claims: BTreeMap<i64, u32>,
    /// Who of a rotation is asked about it.
    pub duty: Option<Duty>,
    /// What is counted of each rotation.
    pub shares: BTreeMap<String, Shares>,
}

/// What is counted of a rotation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// The ledger's number of the latest choice; 0 before the first.
    pub latest: i64,
    /// What each member has in hand, by login in lower case: whoever has the most is next.
    pub credits: BTreeMap<String, i64>,
}

/// A write that was meant, and then came a crash or an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// The ledger's number of the effect.
    pub effect: i64,
    /// Whether the local agent meant it.
    pub is_agents: bool,
    /// What was to be written.
    pub write: UnconfirmedWrite,
}

/// What was to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnconfirmedWrite {
    /// A comment with this marker; the text of one that is written once, an answer or a notice.
    Comment {
        /// What its marker says.
        marker: Marker,
        /// The text, marker included.
        body: Option<String>,
    },
    /// A reaction on a comment.
    Reaction {
        /// The forge's id of the comment.
        comment: i64,
        /// What it shows.
        content: String,
    },
    /// The closed issue was to be opened again.
    Reopen,
    /// Anything else, by its kind and value.
    Other {
        /// The kind.
        kind: EffectKind,
        /// The value.
        value: String,
    },
}

impl UnconfirmedWrite {
    /// The kind and the value of the effect.
    pub fn key(&self) -> (EffectKind, &str) {
        match self {
            Self::Comment { marker, .. } => (EffectKind::Comment, &marker.decision),
            Self::Reaction { content, .. } => (EffectKind::Reaction, content),
            Self::Reopen => (EffectKind::Reopen, "open"),
            Self::Other { kind, value } => (*kind, value),
        }
    }
}

impl Record {
    /// Whether the issue was to be opened again and nobody knows whether it was.
    pub fn reopens(&self) -> bool {
        self.unconfirmed.iter().any(|one| one.write == UnconfirmedWrite::Reopen)
    }
}

/// What an evaluation asks, of the forge or of what is kept of other issues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The issue's timeline from this moment on.
    Timeline {
        /// The moment.
        since: Timestamp,
    },
    /// The merged pull request that closed the issue, and its checks where they are wanted.
    Review {
        /// Whether the checks are wanted.
        with_checks: bool,
    },
    /// The pull request of an agent, with what was said about it but for what is answered already.
    Pull {
        /// The pull request.
        at: IssueRef,
        /// What is answered.
        answered: BTreeSet<RemarkId>,
    },
    /// Which of these pull requests are open.
    OpenPulls(Vec<IssueRef>),
    /// The open issues that it depends on.
    Dependencies,
    /// Which of these issues are closed.
    Blockers(Vec<IssueRef>),
    /// Whether the forge takes this login as an assignee.
    Assignable(String),
    /// The comments by our own account.
    Comments,
    /// Those of our comments that the forge knows by these ids: a list of all may be too large to be read.
    Texts(Vec<i64>),
    /// Our own account.
    Account,
    /// Whether the repository's owner is a person.
    Owner,
    /// The older issues that have words in common with this one.
    Neighbours(Lookup),
    /// Whether this login may write to the repository's issues; an empty one may not.
    Writer(String),
    /// Whether everybody may read the repository.
    Public,
    /// What the deliveries that led to the evaluation show of the text.
    ShownTexts,
    /// Which budget has nothing left for a run on the issue.
    Budget,
}

/// The merged pull request that a closed issue is linked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedPull {
    /// The pull request.
    pub at: IssueRef,
    /// What its checks say, all together; empty when there are none, `None` when it is gone or they were not wanted.
    pub status: Option<String>,
    /// When it was merged, where the forge says.
    pub merged_at: Option<Timestamp>,
}

/// What the forge was asked for: the answer to each [`Question`], once there is one.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// To [`Question::Timeline`].
    pub timeline: Option<Vec<TimelineEvent>>,
    /// To [`Question::Review`].
    pub review: Option<Option<MergedPull>>,
    /// To [`Question::Pull`]; `None` inside when it is gone.
    pub pull: Option<Option<PullState>>,
    /// Our own comments there, newest first.
    pub pull_comments: Vec<MarkedComment>,
    /// To [`Question::OpenPulls`].
    pub open_pulls: Option<Vec<IssueRef>>,
    /// To [`Question::Dependencies`].
    pub dependencies: Option<Vec<IssueRef>>,
    /// To [`Question::Blockers`]: those that are closed.
    pub closed_blockers: Option<Vec<IssueRef>>,
    /// To [`Question::Assignable`], by login.
    pub assignable: BTreeMap<String, bool>,
    /// To [`Question::Comments`], newest first.
    pub comments: Option<Vec<MarkedComment>>,
    /// To [`Question::Texts`].
    pub texts: Option<Vec<MarkedComment>>,
    /// To [`Question::Account`].
    pub account: Option<Account>,
    /// To [`Question::Owner`].
    pub owner_is_person: Option<bool>,
    /// To [`Question::Neighbours`].
    pub neighbours: Option<Neighbours>,
    /// To [`Question::Writer`], by login.
    pub writers: BTreeMap<String, bool>,
    /// To [`Question::Public`].
    pub is_public: Option<bool>,
    /// To [`Question::ShownTexts`], oldest first.
    pub shown_texts: Option<Vec<ShownText>>,
    /// To [`Question::Budget`].
    pub used_up: Option<Option<UsedUp>>,
}

impl Facts {
    /// Answers like a forge that knows of nothing, and on which everybody may write.
    pub(super) fn suppose_nothing(&mut self, question: Question) {
        match question {
            Question::Timeline { .. } => self.timeline = Some(Vec::new()),
            Question::Review { .. } => self.review = Some(None),
            Question::Pull { .. } => self.pull = Some(None),
            Question::OpenPulls(_) => self.open_pulls = Some(Vec::new()),
            Question::Dependencies => self.dependencies = Some(Vec::new()),
            Question::Blockers(_) => self.closed_blockers = Some(Vec::new()),
            Question::Assignable(login) => drop(self.assignable.insert(login, false)),
            Question::Comments => self.comments = Some(Vec::new()),
            Question::Texts(_) => self.texts = Some(Vec::new()),
            Question::Owner => self.owner_is_person = Some(true),
            Question::Neighbours(_) => self.neighbours = Some(Neighbours::default()),
            Question::Writer(login) => drop(self.writers.insert(login, true)),
            Question::Public => self.is_public = Some(true),
            Question::ShownTexts => self.shown_texts = Some(Vec::new()),
            Question::Budget => self.used_up = Some(None),
            Question::Account => {
                self.account = Some(Account { id: i64::MIN, login: String::new() })
            }
        }
    }
}

impl<'a> Snapshot<'a> {
    /// An issue of which nothing is known but itself.
    pub fn alone(
        issue: &'a Issue,
        assessment: &'a Assessment,
        record: &'a Record,
        now: Timestamp,
    ) -> Self {
        Self {
            at: &NOWHERE,
            issue,
            assessment,
            record,
            requests: &[],
            reports: &[],
            now,
            is_dry_run: true,
            key: "",
            facts: Facts::default(),
        }
    }

    /// The timeline from `since` on.
    pub fn timeline(&self, since: Timestamp) -> Result<&[TimelineEvent], Question> {
        self.facts.timeline.as_deref().ok_or(Question::Timeline { since })
    }

    /// The merged pull request the issue is linked to.
    pub(super) fn merged_pull(&self, with_checks: bool) -> Result<Option<&MergedPull>, Question> {
        let known = self.facts.review.as_ref().ok_or(Question::Review { with_checks })?;
        Ok(known.as_ref())
    }

    /// The pull request of the agent, as it is now.
    pub(super) fn pull(
        &self,
        at: &IssueRef,
        run: &RunSoFar,
    ) -> Result<Option<&PullState>, Question> {
        let known = self.facts.pull.as_ref();
        let known = known.ok_or_else(|| Question::Pull {
            at: at.clone(),
            answered: run.answered.remarks.clone(),
        })?;
        Ok(known.as_ref())
    }

    /// Which of these pull requests are open.
    pub(super) fn open_pulls(&self, of: Vec<IssueRef>) -> Result<&[IssueRef], Question> {
        let known = if of.is_empty() { Some(&[][..]) } else { self.facts.open_pulls.as_deref() };
        known.ok_or(Question::OpenPulls(of))
    }

    /// The open issues it depends on.
    pub(super) fn dependencies(&self) -> Result<&[IssueRef], Question> {
        self.facts.dependencies.as_deref().ok_or(Question::Dependencies)
    }

    /// Which of the issues that its text names as blockers are closed.
    pub(super) fn closed_blockers(&self, of: &[IssueRef]) -> Result<&[IssueRef], Question> {
        let known =
            if of.is_empty() { Some(&[][..]) } else { self.facts.closed_blockers.as_deref() };
        known.ok_or_else(|| Question::Blockers(of.to_vec()))
    }

    /// Whether the forge takes this login as an assignee.
    pub fn is_assignable(&self, login: &str) -> Result<bool, Question> {
        let known = self.facts.assignable.get(login).copied();
        known.ok_or_else(|| Question::Assignable(login.to_owned()))
    }

    /// The comments by our own account, newest first.
    pub fn comments(&self) -> Result<&[MarkedComment], Question> {
        self.facts.comments.as_deref().ok_or(Question::Comments)
    }

    /// Those of our comments that have these ids, and are still there.
    pub fn texts(&self, ids: &[i64]) -> Result<Vec<&MarkedComment>, Question> {
        let known = self.facts.comments.as_ref().or(self.facts.texts.as_ref());
        let known = known.ok_or_else(|| Question::Texts(ids.to_vec()))?;
        Ok(ids.iter().filter_map(|id| known.iter().find(|one| one.id == *id)).collect())
    }

    /// Whether the repository's owner is a person, who hears when they are mentioned.
    pub fn is_owner_person(&self) -> Result<bool, Question> {
        self.facts.owner_is_person.ok_or(Question::Owner)
    }

    /// The older issues that have words in common with this one; `None` where nobody can be asked for them.
    pub(super) fn neighbours(
        &self,
        lookup: impl FnOnce() -> Option<Lookup>,
    ) -> Result<Option<&Neighbours>, Question> {
        let known = self.facts.neighbours.as_ref();
        let asked = if known.is_none() { lookup() } else { None };
        asked.map_or(Ok(known), |lookup| Err(Question::Neighbours(lookup)))
    }

    /// Whether this login may write to the repository's issues.
    pub(super) fn may_write(&self, login: &str) -> Result<bool, Question> {
        let known = self.facts.writers.get(login).copied();
        known.ok_or_else(|| Question::Writer(login.to_owned()))
    }

    /// Whether everybody may read the repository.
    pub(super) fn is_public(&self) -> Result<bool, Question> {
        self.facts.is_public.ok_or(Question::Public)
    }

    /// What the deliveries that led to the evaluation show of the text, oldest first.
    pub(super) fn shown_texts(&self) -> Result<&[ShownText], Question> {
        self.facts.shown_texts.as_deref().ok_or(Question::ShownTexts)
    }

    /// Which budget has nothing left for a run on the issue, if one has.
    pub(super) fn used_up(&self) -> Result<Option<UsedUp>, Question> {
        self.facts.used_up.ok_or(Question::Budget)
    }

    /// Our own account.
    pub fn account(&self) -> Result<&Account, Question> {
        self.facts.account.as_ref().ok_or(Question::Account)
    }
}
