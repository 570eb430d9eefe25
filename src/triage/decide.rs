//! What is to happen with an issue. The rules stand in the order in which they are asked; the first that
//! answers decides.

use super::roster::{self, Pick};
use super::signals::{self, Facts};
use super::{Decision, IssueType, OWN_SUMMARY, Score, Standing, Triage, blockers, explain, text};
use crate::dispatch::{AgentId, Dispatch, TaskType};
use crate::issue::{Issue, IssueState};

/// All that a decision is made from.
pub(super) struct Case<'a> {
    pub(super) triage: &'a Triage,
    pub(super) issue: &'a Issue,
    pub(super) standing: &'a Standing,
    pub(super) facts: &'a Facts,
    pub(super) score: &'a Score,
    pub(super) task_type: TaskType,
}

impl Case<'_> {
    /// Asks the rules in turn.
    pub(super) fn decide(&self) -> Decision {
        let finish = |reason| Decision::Finish { reason };
        let skip = |reason| Decision::Skip { reason };
        let flag = |reason| Decision::Flag { reason };
        self.closed()
            .map(finish)
            .or_else(|| self.not_ours().map(skip))
            .or_else(|| self.standing.held.clone().map(skip))
            .or_else(|| self.chosen())
            .or_else(|| self.philosophy().map(skip))
            .or_else(|| self.assigned().map(skip))
            .or_else(|| self.not_ready().map(skip))
            .or_else(|| self.blocked().map(flag))
            .unwrap_or_else(|| self.hand_over())
    }

    fn closed(&self) -> Option<String> {
        (self.issue.state == IssueState::Closed).then(|| "the issue is closed".to_owned())
    }

    fn not_ours(&self) -> Option<String> {
        if self.issue.is_pull_request {
            return Some("a pull request, not an issue".to_owned());
        }
        if self.standing.is_our_summary {
            return Some(OWN_SUMMARY.to_owned());
        }
        self.ignored_author().or_else(|| self.ignored_label())
    }

    fn ignored_author(&self) -> Option<String> {
        let login = &self.issue.author.as_ref()?.login;
        let ignored = &self.triage.policy.ignore_authors;
        ignored
            .iter()
            .any(|author| author.eq_ignore_ascii_case(login))
            .then(|| format!("opened by `{login}`, whose issues are ignored"))
    }

    fn ignored_label(&self) -> Option<String> {
        let ignored = &self.triage.policy.ignore_labels;
        let mut labels = self.issue.labels.iter();
        let is_ignored =
            |label: &&String| ignored.iter().any(|name| text::normal(name) == text::normal(label));
        labels.find(is_ignored).map(|label| format!("its label `{label}` says to ignore it"))
    }

    /// A person's choice stands above score and blocks.
    fn chosen(&self) -> Option<Decision> {
        let id = self.standing.chosen.as_ref()?;
        let agent = self.standing.agents.iter().find(|agent| agent.id == *id)?;
        let reason = format!("chosen for `{id}` by a person");
        Some(match roster::offer(self.standing, agent) {
            Pick::Busy { agent, load, limit } if self.own_dispatch().is_none() => {
                let reason = format!("{reason}, busy with {load} of {limit}");
                Decision::Wait { agent, reason }
            }
            _ => Decision::Dispatch { agent: id.clone(), reason },
        })
    }

    fn philosophy(&self) -> Option<String> {
        (self.score.issue_type == IssueType::Philosophy)
            .then(|| "a philosophy/meta issue: to be talked about, not worked on".to_owned())
    }

    fn assigned(&self) -> Option<String> {
        let own = self.own_login();
        let left_over = &self.standing.left_over;
        let is_other = |login: &&String| {
            !own.is_some_and(|own| own.eq_ignore_ascii_case(login))
                && !left_over.iter().any(|left| left.eq_ignore_ascii_case(login))
        };
        let others: Vec<_> = self
            .issue
            .assignees
            .iter()
            .filter(is_other)
            .map(|login| format!("`{login}`"))
            .collect();
        (!others.is_empty()).then(|| format!("already assigned to {}", others.join(", ")))
    }

    fn own_login(&self) -> Option<&str> {
        let own = self.own_dispatch().map(|dispatch| &dispatch.agent);
        let agent = own.or(self.standing.ours.as_ref())?;
        self.standing.agents.iter().find(|a| a.id == *agent)?.login.as_deref()
    }

    fn own_dispatch(&self) -> Option<&Dispatch> {
        self.standing.dispatch.as_ref().filter(|dispatch| dispatch.state.is_open())
    }

    fn not_ready(&self) -> Option<String> {
        (!self.score.ready).then(|| {
            let missing = explain::missing(&self.triage.policy, self.score, self.facts);
            let (total, ready_at) = (self.score.total, self.triage.policy.ready_at);
            format!("score {total} is below the threshold of {ready_at}: {missing}")
        })
    }

    fn blocked(&self) -> Option<String> {
        let open = &self.standing.open_dependencies;
        if !open.is_empty() {
            let open: Vec<_> = open.iter().map(|at| format!("`{at}`")).collect();
            return Some(format!("blocked: it depends on {}, still open", open.join(", ")));
        }
        self.blocked_by_text()
    }

    /// Blocked as its text says, unless by nothing but issues that are closed by now.
    fn blocked_by_text(&self) -> Option<String> {
        if !self.score.blocked {
            return None;
        }
        let mut open = blockers::mentioned_blockers(self.issue);
        let any = !open.is_empty();
        open.retain(|number| self.standing.closed_blockers.iter().all(|at| at.number != *number));
        if any && open.is_empty() && !self.is_blocked_besides() {
            return None;
        }
        let by: Vec<_> = open.iter().map(|number| format!("`#{number}`")).collect();
        let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
        Some(format!("blocked{by}, as its own text says: a person has to clear the way"))
    }

    /// Whether its text is blocked by more than the issues it mentions as blockers.
    fn is_blocked_besides(&self) -> bool {
        let rest = blockers::without_mentions(self.issue);
        signals::says_blocked(&self.triage.lexicon, &rest)
    }

    fn hand_over(&self) -> Decision {
        if let Some(dispatch) = self.own_dispatch() {
            let agent = dispatch.agent.clone();
            let reason = format!("{}: stays with `{agent}`", self.what());
            return Decision::Dispatch { agent, reason };
        }
        let (policy, research) = (&self.triage.policy, self.score.research);
        match roster::pick(policy, self.standing, self.task_type, research) {
            Pick::Free(agent) => self.dispatch(agent),
            Pick::Busy { agent, load, limit } => self.wait(agent, load, limit),
            Pick::Nobody => self.nobody(),
        }
    }

    fn dispatch(&self, agent: AgentId) -> Decision {
        let first = if self.is_first_in_line() { " first" } else { "" };
        let reason = format!("{}: goes to `{agent}`{first}", self.what());
        Decision::Dispatch { agent, reason }
    }

    fn wait(&self, agent: AgentId, load: u32, limit: u32) -> Decision {
        let reason = format!("{}: waits for `{agent}`, busy with {load} of {limit}", self.what());
        Decision::Wait { agent, reason }
    }

    fn nobody(&self) -> Decision {
        let task = self.task_type;
        let reason = format!("{}: no agent is configured for it (task type `{task}`)", self.what());
        Decision::Flag { reason }
    }

    fn is_first_in_line(&self) -> bool {
        self.score.p0 && !self.score.research
    }

    /// `P0/bug issue (score 7, 3 days old)`.
    fn what(&self) -> String {
        let (score, name) = (self.score, explain::type_name(self.score.issue_type));
        let kind = match (self.is_first_in_line(), name) {
            (true, "") => "P0".to_owned(),
            (true, name) => format!("P0/{name}"),
            (false, "") => "ready".to_owned(),
            (false, name) => format!("ready {name}"),
        };
        let purpose = if score.research && name != "research" { " to research" } else { "" };
        format!("{kind} issue{purpose} (score {}, {})", score.total, explain::age(score.age_days))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::dispatch::{Agent, DispatchState};
    use crate::issue::Account;
    use crate::triage::samples::{agent, bug, issue, now, triage};
    use crate::triage::{Action, Policy, Route};

    #[track_caller]
    fn decides_with(policy: Policy, issue: &Issue, standing: &Standing, expected: &str) {
        let triage = Triage::new(policy).expect("a valid policy");
        let decision = triage.verdict(issue, standing, now()).decision;
        assert_eq!(format!("{}: {}", decision.action(), decision.reason()), expected);
    }

    #[track_caller]
    fn decides(issue: &Issue, standing: &Standing, expected: &str) {
        decides_with(Policy::default(), issue, standing, expected);
    }

    fn free() -> Standing {
        Standing::default()
    }

    fn with_agents(agents: Vec<Agent>) -> Standing {
        Standing { agents, ..free() }
    }

    fn claude_and_kimi() -> Standing {
        with_agents(vec![
            agent("claude", &[TaskType::Architecture, TaskType::Refactoring]),
            agent("kimi", &[TaskType::RoutineCoding, TaskType::Refactoring]),
        ])
    }

    fn dispatched_to(agent: &str, state: DispatchState) -> Standing {
        let at: Timestamp = now();
        let dispatch = Dispatch {
            id: 1,
            at: "acme/widgets#1".parse().expect("an issue"),
            agent: AgentId::new(agent),
            task_type: TaskType::RoutineCoding,
            state,
            opened_at: at,
            deadline_at: at,
            key: "k".into(),
            by_person: false,
            failures: 0,
            counts: false,
            is_reminded: false,
            reason: String::new(),
            cause: String::new(),
        };
        Standing { dispatch: Some(dispatch), ..claude_and_kimi() }
    }

    fn feature() -> Issue {
        let body = "## Problem\nedit `src/ui.py`: `show()` must pass tox";
        Issue { labels: vec!["feature".into()], ..issue("Add a page", body) }
    }

    #[test]
    fn a_closed_issue_is_finished_whatever_else_holds() {
        let closed = Issue { state: IssueState::Closed, is_pull_request: true, ..bug() };
        decides(&closed, &free(), "finish: the issue is closed");
        assert_eq!(triage().gone().action(), Action::Finish);
    }

    #[test]
    fn what_is_not_ours_is_skipped() {
        let pull = Issue { is_pull_request: true, ..bug() };
        decides(&pull, &free(), "skip: a pull request, not an issue");
        let policy = Policy {
            ignore_labels: vec!["Wontfix".into()],
            ignore_authors: vec!["renovate".into()],
            ..Policy::default()
        };
        let by_bot = Issue { author: Some(Account { id: 7, login: "Renovate".into() }), ..bug() };
        let expected = "skip: opened by `Renovate`, whose issues are ignored";
        decides_with(policy.clone(), &by_bot, &free(), expected);
        let ours = Standing { is_our_summary: true, ..free() };
        decides(&bug(), &ours, "skip: our own daily summary");
        let labelled = Issue { labels: vec!["wontfix".into()], ..bug() };
        let expected = "skip: its label `wontfix` says to ignore it";
        decides_with(policy, &labelled, &free(), expected);
    }

    #[test]
    fn a_persons_choice_stands_above_the_score_and_waits_for_a_free_place() {
        let mut standing = claude_and_kimi();
        standing.chosen = Some(AgentId::new("kimi"));
        let poor = issue("It is slow", "");
        decides(&poor, &standing, "dispatch: chosen for `kimi` by a person");
        let limit = standing.agents[1].max_concurrent;
        standing.load.insert(AgentId::new("kimi"), limit);
        let expected = format!("wait: chosen for `kimi` by a person, busy with {limit} of {limit}");
        decides(&poor, &standing, &expected);
        // Who has it already needs no further place.
        let dispatch = dispatched_to("kimi", DispatchState::Assigned).dispatch;
        let own = Standing { dispatch, ..standing.clone() };
        decides(&poor, &own, "dispatch: chosen for `kimi` by a person");
        standing.chosen = Some(AgentId::new("gone"));
        let verdict = triage().verdict(&poor, &standing, now());
        assert_eq!(
            verdict.decision.action(),
            Action::Skip,
            "an agent that is not there takes nothing"
        );
    }

    #[test]
    fn a_held_issue_is_skipped_with_the_reason_of_the_hold() {
        let held = Standing { held: Some("held by `alice`".into()), ..free() };
        decides(&bug(), &held, "skip: held by `alice`");
    }

    #[test]
    fn philosophy_comes_before_an_assignee() {
        let labels = vec!["rfc".into()];
        let talk = Issue { labels, assignees: vec!["alice".into()], ..issue("why?", "") };
        let expected = "skip: a philosophy/meta issue: to be talked about, not worked on";
        decides(&talk, &free(), expected);
    }

    #[test]
    fn an_assigned_issue_is_skipped_unless_it_is_our_own_agent() {
        let assigned = Issue { assignees: vec!["Claude".into(), "bob".into()], ..bug() };
        decides(&assigned, &free(), "skip: already assigned to `Claude`, `bob`");
        let ours = dispatched_to("claude", DispatchState::Assigned);
        decides(&assigned, &ours, "skip: already assigned to `bob`");
        let done = dispatched_to("claude", DispatchState::Completed);
        let only_ours = Issue { assignees: vec!["Claude".into()], ..bug() };
        decides(&only_ours, &done, "skip: already assigned to `Claude`");
    }

    #[test]
    fn an_issue_below_the_threshold_is_told_what_is_missing() {
        decides(
            &issue("It is slow", ""),
            &free(),
            "skip: score 1 is below the threshold of 5: names no file or function, has no \
             acceptance criteria, mentions no test, has no section for the problem or the \
             solution, has no bug, feature or refactoring tag or label",
        );
    }

    #[test]
    fn a_blocked_issue_flags_the_owner() {
        let blocked = issue("[bug] crash", "src/db.py must not fail; blocked by #12");
        let by_text = "flag: blocked by `#12`, as its own text says: a person has to clear the way";
        decides(&blocked, &free(), by_text);
        let open_dependencies = vec!["acme/widgets#3".parse().expect("an issue")];
        let dependent = Standing { open_dependencies, ..free() };
        let by_forge = "flag: blocked: it depends on `acme/widgets#3`, still open";
        decides(&bug(), &dependent, by_forge);
    }

    #[track_caller]
    fn with_12_and_13_closed(text: &str, action: &str) {
        let blocked = issue("[bug] crash", &format!("src/db.py must return. {text}"));
        let closed_blockers =
            ["acme/widgets#12", "acme/widgets#13"].map(|at| at.parse().expect("an issue")).into();
        let verdict = triage().verdict(&blocked, &Standing { closed_blockers, ..free() }, now());
        assert!(verdict.score.blocked, "{text}");
        assert_eq!(verdict.decision.action().as_str(), action, "{text}");
    }

    #[test]
    fn closed_blockers_block_no_longer() {
        with_12_and_13_closed("Blocked by #12", "dispatch");
        with_12_and_13_closed("blocked on #12 and issue #13.", "dispatch");
        with_12_and_13_closed("blocked by #12, #14", "flag");
        with_12_and_13_closed("blocked by #12. Also blocks the release", "flag");
        with_12_and_13_closed("blocked by other/repo#12", "flag");
        with_12_and_13_closed("blocking #12", "flag");
    }

    #[test]
    fn bugs_go_to_claude_first_and_research_to_kimi() {
        decides(
            &bug(),
            &claude_and_kimi(),
            "dispatch: P0/bug issue (score 8, 3 days old): goes to `claude` first",
        );
        let question = Issue { labels: vec!["kimi-ready".into(), "bug".into()], ..bug() };
        decides(
            &question,
            &free(),
            "dispatch: ready bug issue to research (score 8, 3 days old): goes to `kimi`",
        );
        decides(
            &feature(),
            &free(),
            "dispatch: ready feature issue (score 8, 3 days old): goes to `claude`",
        );
    }

    #[test]
    fn a_busy_agent_is_waited_for_but_never_by_its_own_issue() {
        let load = [(AgentId::new("claude"), 1)].into();
        decides(
            &bug(),
            &Standing { load, ..claude_and_kimi() },
            "wait: P0/bug issue (score 8, 3 days old): waits for `claude`, busy with 1 of 1",
        );
        let load = [(AgentId::new("kimi"), 1)].into();
        decides(
            &bug(),
            &Standing { load, ..dispatched_to("kimi", DispatchState::InProgress) },
            "dispatch: P0/bug issue (score 8, 3 days old): stays with `kimi`",
        );
    }

    #[test]
    fn without_the_named_agent_strengths_decide() {
        let only_kimi = with_agents(vec![agent("kimi", &[TaskType::RoutineCoding])]);
        decides(
            &bug(),
            &only_kimi,
            "dispatch: P0/bug issue (score 8, 3 days old): goes to `kimi` first",
        );
        decides(
            &bug(),
            &with_agents(vec![agent("local", &[TaskType::Creative])]),
            "flag: P0/bug issue (score 8, 3 days old): no agent is configured for it (task type \
             `routine_coding`)",
        );
    }

    #[test]
    fn by_task_type_the_first_free_agent_with_the_strength_is_taken() {
        let by_task = || Policy { route: Route::TaskType, ..Policy::default() };
        let refactor = Issue { title: "[bug] refactor the importer".into(), ..bug() };
        let to = |agent| {
            format!("dispatch: P0/bug issue (score 8, 3 days old): goes to `{agent}` first")
        };
        decides_with(by_task(), &refactor, &claude_and_kimi(), &to("claude"));
        let load = [(AgentId::new("claude"), 1)].into();
        let busy = Standing { load, ..claude_and_kimi() };
        decides_with(by_task(), &refactor, &busy, &to("kimi"));
    }
}
