//! Issues and agents for the tests of this room.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use super::{
    CommandRequest, Custody, Evaluation, Facts, Policy, Question, Record, Rules, Snapshot, Triage,
    evaluate,
};
use crate::clock::Timestamp;
use crate::dispatch::{Agent, AgentId, Dispatch, DispatchState, Interface, Reported, TaskType};
use crate::issue::{Issue, IssueState, RepoPatterns};
use crate::reason::Cause;

/// Three days after [`issue`] was opened.
pub(super) fn now() -> Timestamp {
    "2026-03-23T12:00:00Z".parse().expect("a valid time")
}

/// An open issue nobody has.
pub(super) fn issue(title: &str, body: &str) -> Issue {
    Issue {
        ids: None,
        number: 1,
        title: title.to_owned(),
        body: body.to_owned(),
        labels: Vec::new(),
        assignees: Vec::new(),
        author: None,
        state: IssueState::Open,
        is_pull_request: false,
        created_at: Some("2026-03-20T10:00:00Z".parse().expect("a valid time")),
        updated_at: None,
        closed_at: None,
        comments: 0,
        url: String::new(),
    }
}

/// A bug that scores 8: one short of everything, for it names no function.
pub(super) fn bug() -> Issue {
    issue("[Bug] Crash on start", "## Problem\n`src/db.py` fails; it should return, tox must pass")
}

/// The built-in policy.
pub(super) fn triage() -> Triage {
    Triage::new(Policy::default()).expect("a valid policy")
}

/// An agent that may have one dispatch.
pub(super) fn agent(id: &str, strengths: &[TaskType]) -> Agent {
    Agent {
        id: AgentId::new(id),
        interface: Interface::Forge,
        label: Some(format!("{id}-ready")),
        login: Some(id.to_owned()),
        strengths: strengths.to_vec(),
        max_concurrent: 1,
        timeout: Duration::from_secs(7200),
        endpoint: None,
    }
}

/// An agent that nothing calls and that is never busy.
fn anybody(id: &str) -> Agent {
    Agent { label: None, login: None, max_concurrent: u32::MAX, ..agent(id, &[]) }
}

/// An issue, what is known of it and who there is, to be evaluated by a test.
pub(super) struct World {
    pub(super) issue: Issue,
    pub(super) record: Record,
    pub(super) rules: Rules,
    pub(super) requests: Vec<CommandRequest>,
    pub(super) reports: Vec<Reported>,
    /// What the forge answered; nothing to any other question.
    pub(super) facts: Facts,
    /// Whether what is decided is written.
    pub(super) is_live: bool,
    /// Minutes after [`now`].
    pub(super) minutes: i64,
}

impl World {
    pub(super) fn of(issue: Issue) -> Self {
        let rules = Rules {
            triage: triage(),
            agents: vec![anybody("claude"), anybody("kimi")],
            repos: RepoPatterns::new(["acme/*"]).expect("a pattern"),
            owner: None,
            flag_label: None,
            needs_info_label: Some("needs-info".to_owned()),
            question_label: Some("question".to_owned()),
            approve_label: Some("approved".to_owned()),
            claim_limit: 3,
            claim_expires: Duration::from_secs(7 * 86_400),
            rotations: Vec::new(),
            budgets: Arc::default(),
            max_attempts: 8,
            write_limit: 20,
            dispatch_attempts: 2,
            follow_up: true,
            review: Vec::new(),
            reopen: super::Reopen::default(),
            public_url: None,
            pages: None,
        };
        let (record, requests, reports, facts) = Default::default();
        Self { issue, record, rules, requests, reports, facts, is_live: false, minutes: 0 }
    }

    pub(super) fn policy(mut self, policy: Policy) -> Self {
        self.rules.triage = Triage::new(policy).expect("a valid policy");
        self
    }

    pub(super) fn agents(mut self, agents: Vec<Agent>) -> Self {
        self.rules.agents = agents;
        self
    }

    pub(super) fn custody(mut self, custody: Custody) -> Self {
        self.record.custody = custody;
        self
    }

    pub(super) fn requests(mut self, requests: Vec<CommandRequest>) -> Self {
        self.requests = requests;
        self
    }

    pub(super) fn answered(mut self, answer: impl FnOnce(&mut Facts)) -> Self {
        answer(&mut self.facts);
        self
    }

    /// What `f` makes of the snapshot.
    pub(super) fn with<T>(&self, f: impl FnOnce(&Snapshot<'_>, &Rules) -> T) -> T {
        let now = now() + TimeDelta::minutes(self.minutes);
        let assessment = self.rules.triage.assess(&self.issue, now);
        let mut s = Snapshot::alone(&self.issue, &assessment, &self.record, now);
        (s.requests, s.reports) = (&self.requests, &self.reports);
        s.facts = self.facts.clone();
        s.is_dry_run = !self.is_live;
        f(&s, &self.rules)
    }

    /// The evaluation, and the questions it asked beyond what is known, which are answered with nothing.
    pub(super) fn asking(&self) -> (Evaluation, Vec<Question>) {
        let (mut facts, mut asked) = (self.facts.clone(), Vec::new());
        loop {
            let facts_so_far = facts.clone();
            let result =
                self.with(|s, rules| evaluate(&Snapshot { facts: facts_so_far, ..*s }, rules));
            match result {
                Ok(evaluation) => return (evaluation, asked),
                Err(question) => {
                    asked.push(question.clone());
                    facts.suppose_nothing(question);
                }
            }
        }
    }

    pub(super) fn evaluate(&self) -> Evaluation {
        self.asking().0
    }
}

/// A dispatch to `agent`, opened [`now`] for two hours.
pub(super) fn dispatch(agent: &str, state: DispatchState) -> Dispatch {
    Dispatch {
        id: 1,
        at: "acme/widgets#1".parse().expect("an issue"),
        agent: AgentId::new(agent),
        task_type: TaskType::RoutineCoding,
        state,
        opened_at: now(),
        deadline_at: now() + TimeDelta::hours(2),
        key: "k".into(),
        by_person: false,
        is_chosen: false,
        failures: 0,
        counts: false,
        is_reminded: false,
        reason: "ready".into(),
        cause: Cause::Decided { reason: "ready".into() },
    }
}
