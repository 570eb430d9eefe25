//! What is to happen with an issue. The rules stand in the order in which they are asked; the first that answers
//! decides, and one that needs a fact asks for it.

use std::collections::BTreeMap;

use super::blockers::{self, Blockers};
use super::policy::Reads;
use super::roster::{self, Pick, Roster};
use super::{
    Choice, Custody, Decision, Evaluation, Lookup, Question, Record, Snapshot, Triage, explain,
    outsiders, signals, text,
};
use crate::dispatch::{Agent, Interface, Mark, TaskType};
use crate::issue::{Issue, IssueType};
use crate::reason::{Brief, Reason};

/// How the title of every daily summary begins; the day follows.
pub const SUMMARY_TITLE: &str = "[Triage] Daily backlog summary — ";

/// How many issues named as blockers are looked up.
const MAX_BLOCKERS: usize = 5;

/// All that a decision is made from.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a> {
    pub(super) triage: &'a Triage,
    /// `None` where they are not known.
    pub(super) agents: Option<&'a [Agent]>,
    pub(super) s: &'a Snapshot<'a>,
    pub(super) e: &'a Evaluation,
}

type Rule = Result<Option<Reason>, Question>;

impl Chain<'_> {
    /// What is to happen, as far as there is a budget left for it.
    pub(super) fn decide(self) -> Result<Decision, Question> {
        let decision = self.decide_by_rules()?;
        let Decision::Dispatch { agent, .. } = &decision else { return Ok(decision) };
        let is_run = |one: &&Agent| one.id == *agent && one.interface == Interface::Runner;
        let is_new = self.e.custody.dispatch().is_none();
        if !is_new || !self.agents().iter().any(|one| is_run(&one)) {
            return Ok(decision);
        }
        Ok(match self.s.used_up()? {
            Some(used_up) => {
                let reason = Reason::WaitsForBudget { agent: agent.clone(), used_up };
                Decision::Wait { agent: agent.clone(), reason, others: BTreeMap::new() }
            }
            None => decision,
        })
    }

    fn agents(&self) -> &[Agent] {
        self.agents.unwrap_or_default()
    }

    /// Asks the rules in turn.
    fn decide_by_rules(self) -> Result<Decision, Question> {
        let skip = |reason| Decision::Skip { reason };
        let flag = |reason| Decision::Flag { reason };
        if let Some(pull) = self.e.under_review.clone() {
            return Ok(skip(Reason::ChecksRun(pull)));
        }
        if !self.e.is_open(self.s.issue) {
            return Ok(Decision::Finish { reason: Reason::Closed });
        }
        if let Some(reason) = self.e.needs_person.clone() {
            return Ok(flag(reason));
        }
        let held = || self.e.custody.hold().cloned().map(Reason::Held);
        if let Some(reason) = self.not_ours()?.or_else(held).or_else(|| self.claimed()) {
            return Ok(skip(reason));
        }
        if let Some(decision) = self.chosen() {
            return Ok(self.awaits_approval()?.map_or(decision, skip));
        }
        if let Some(reason) = self.philosophy().or_else(|| self.assigned()) {
            return Ok(skip(reason));
        }
        let decision = self.decide_unassigned()?;
        let is_flag = matches!(decision, Decision::Flag { .. });
        // Who was asked and assigned has it, unless they are still asked.
        match self.on_duty().filter(|_| !is_flag && self.is_free()) {
            Some(login) => Ok(skip(Reason::Assigned(vec![login.to_owned()]))),
            None => Ok(decision),
        }
    }

    /// What is to happen with an issue that nobody has.
    fn decide_unassigned(self) -> Result<Decision, Question> {
        let decision = self.decide_by_issue()?;
        let is_for_people = matches!(decision, Decision::Flag { reason: Reason::NoAgent { .. } });
        if !is_for_people && matches!(decision, Decision::Flag { .. } | Decision::Skip { .. }) {
            return Ok(decision);
        }
        let skip = |reason| Decision::Skip { reason };
        if let Some(reason) = self.duplicate()? {
            return Ok(skip(reason));
        }
        if is_for_people {
            return Ok(decision);
        }
        Ok(self.awaits_approval()?.map_or(decision, skip))
    }

    /// Why a person is called when nobody has the issue, if one is.
    pub(super) fn calls_person(self) -> Rule {
        if self.philosophy().is_some() {
            return Ok(None);
        }
        Ok(match self.decide_by_issue()? {
            Decision::Flag { reason } => Some(reason),
            _ => None,
        })
    }

    /// What is to happen with an issue that nobody has, whoever opened it and whatever others say the same.
    fn decide_by_issue(self) -> Result<Decision, Question> {
        let skip = |reason| Decision::Skip { reason };
        let flag = |reason| Decision::Flag { reason };
        if let Some(reason) = self.open_to_claim().filter(|_| self.is_free()) {
            return Ok(skip(reason));
        }
        if let Some(reason) = self.not_ready() {
            let is_flagged = self.triage.policy.flag_urgent && self.is_urgent() && self.is_free();
            return Ok(if is_flagged { flag(reason) } else { skip(reason) });
        }
        if let Some(reason) = self.blocked()? {
            return Ok(flag(reason));
        }
        if let Some(reason) = self.given() {
            return Ok(skip(reason));
        }
        Ok(self.hand_over())
    }

    /// The kind of work: as a person said, or as the issue's words say.
    pub(super) fn task_type(self) -> TaskType {
        match self.e.custody {
            Custody::Chosen(Choice { task: Some(task), .. }) => task,
            _ => self.s.assessment.facts.task_type(&self.triage.policy),
        }
    }

    /// What is never given to an agent, whoever wants it.
    pub(super) fn not_ours(self) -> Rule {
        if self.s.issue.is_pull_request {
            return Ok(Some(Reason::PullRequest));
        }
        if self.is_our_summary()? {
            return Ok(Some(Reason::OwnSummary));
        }
        let (triage, issue) = (self.triage, self.s.issue);
        let label = match triage.policy.reads {
            Reads::Statements => self.s.assessment.facts.ignored_label.clone(),
            Reads::Text => triage.ignored_label(issue),
        };
        Ok(triage.ignored_author(issue).or_else(|| label.map(Reason::IgnoredLabel)))
    }

    /// Anybody can call an issue like a daily summary; ours are by our own account.
    fn is_our_summary(self) -> Result<bool, Question> {
        let issue = self.s.issue;
        match issue.author.as_ref().filter(|_| issue.title.starts_with(SUMMARY_TITLE)) {
            Some(author) => Ok(author.is_same_as(self.s.account()?)),
            None => Ok(false),
        }
    }

    /// The first label of the issue that is one of these names, compared as the ignored ones are.
    pub(super) fn label_among(self, names: &[String]) -> Option<String> {
        if names.is_empty() {
            return None;
        }
        let reader = self.triage.reader.as_deref();
        let is_among = |label: &&String| {
            let normal = text::normal(label);
            reader.is_some_and(|reader| reader.recognition.is_among(label, names))
                || names.iter().any(|name| text::normal(name) == normal)
        };
        self.s.issue.labels.iter().find(is_among).cloned()
    }

    /// A person has it by a command of theirs.
    fn claimed(self) -> Option<Reason> {
        let claim = self.e.custody.claim()?;
        Some(Reason::Claimed { login: claim.holder.login.clone(), until: claim.until })
    }

    /// A label keeps it for people.
    fn open_to_claim(self) -> Option<Reason> {
        self.label_among(&self.triage.policy.ready_labels).map(Reason::OpenToClaim)
    }

    /// Who was asked in turn, and assigned, and still is; not when the issue is about to be taken from them.
    pub(super) fn on_duty(&self) -> Option<&str> {
        let duty =
            self.e.duty.as_ref().filter(|duty| duty.assigns && duty.login != self.e.releases)?;
        duty.login.as_deref().filter(|login| self.s.issue.is_assigned_to(login))
    }

    /// A person's choice stands above score and blocks until the agent was called. Who has the issue already needs no
    /// further place.
    fn chosen(self) -> Option<Decision> {
        let agent = match &self.e.custody {
            Custody::Chosen(Choice { agent, .. }) => {
                let agent = self.agents().iter().find(|one| one.id == *agent)?;
                if let Pick::Busy { agent, place, others } = self.roster().offer(agent) {
                    let reason = Reason::ChosenButBusy { agent: agent.clone(), place };
                    return Some(Decision::Wait { agent, reason, others });
                }
                &agent.id
            }
            Custody::Dispatched(dispatch)
                if !dispatch.by_person && (self.e.is_chosen_again || dispatch.awaits_choice()) =>
            {
                &dispatch.agent
            }
            _ => return None,
        };
        Some(Decision::Dispatch { agent: agent.clone(), reason: Reason::Chosen(agent.clone()) })
    }

    fn philosophy(self) -> Option<Reason> {
        let is_talk = self.s.assessment.score.issue_type == IssueType::Philosophy;
        is_talk.then_some(Reason::Philosophy)
    }

    pub(super) fn assigned(self) -> Option<Reason> {
        let ours = [self.own_login(), self.on_duty(), self.e.releases.as_deref()];
        let is_other = |login: &&String| {
            !ours.iter().flatten().any(|own| own.eq_ignore_ascii_case(login))
                && !self.e.is_left_over(login, self.s, self.agents())
                && !self.e.revoked.contains(&Mark::Assignee((*login).clone()))
        };
        let logins: Vec<_> = self.s.issue.assignees.iter().filter(is_other).cloned().collect();
        (!logins.is_empty()).then_some(Reason::Assigned(logins))
    }

    fn own_login(&self) -> Option<&str> {
        let own = self.e.custody.dispatch().map(|dispatch| &dispatch.agent);
        let agent = own.or(self.e.resumes.as_ref())?;
        self.agents().iter().find(|a| a.id == *agent)?.login.as_deref()
    }

    fn not_ready(self) -> Option<Reason> {
        let assessment = self.s.assessment;
        (!assessment.score.ready).then(|| Reason::NotReady {
            score: assessment.score.total,
            ready_at: self.triage.policy.ready_at,
            missing: explain::missing(&self.triage.policy, assessment),
            is_urgent: self.is_urgent(),
        })
    }

    /// Whether a tag says so; a bug goes first in line, and is urgent only where somebody said that.
    fn is_urgent(self) -> bool {
        self.s.assessment.facts.classes.p0
    }

    /// Whether nobody has it.
    fn is_free(self) -> bool {
        self.e.custody.dispatch().is_none() && self.e.given.is_none()
    }

    /// Blocked by the words of its text, or by what it depends on according to the forge. Who has the issue already goes
    /// on whatever it depends on.
    fn blocked(self) -> Rule {
        if let Some(reason) = self.blocked_by_text()? {
            return Ok(Some(reason));
        }
        if self.e.custody.dispatch().is_some() {
            return Ok(None);
        }
        let on = self.s.dependencies()?.to_vec();
        Ok((!on.is_empty()).then_some(Reason::Depends(on)))
    }

    /// Blocked as its text says, unless by nothing but issues that are closed by now.
    fn blocked_by_text(self) -> Rule {
        if !self.s.assessment.score.blocked {
            return Ok(None);
        }
        if self.triage.policy.reads == Reads::Statements {
            return self.blocked_by_statement();
        }
        let sounds_blocked = |text: &str| signals::says_blocked(&self.triage.lexicon, text);
        let Blockers { mut named, rest } = blockers::read(self.s.issue, self.s.at, sounds_blocked);
        let asked: Vec<_> = named.iter().take(MAX_BLOCKERS).cloned().collect();
        let closed = self.s.closed_blockers(&asked)?;
        let names_any = !named.is_empty();
        named.retain(|one| !closed.contains(one));
        let is_free = names_any && named.is_empty() && !sounds_blocked(&rest);
        let (by, repo) = (named.into_iter().collect(), self.s.at.repo.clone());
        Ok((!is_free).then_some(Reason::BlockedByText { by, repo }))
    }

    /// Blocked by its label, or by issues that it names as blockers, unless all of them are closed by now.
    fn blocked_by_statement(self) -> Rule {
        if let Some(label) = self.s.assessment.facts.blocking_label.clone() {
            return Ok(Some(Reason::BlockedByLabel(label)));
        }
        let Triage { lexicon, policy, .. } = self.triage;
        let (mut named, leads_nowhere) =
            blockers::stated(lexicon, &policy.negations, self.s.issue, self.s.at);
        let asked: Vec<_> = named.iter().take(MAX_BLOCKERS).cloned().collect();
        let closed = self.s.closed_blockers(&asked)?;
        named.retain(|one| !closed.contains(one));
        // What stands in an answer of the author alone is not looked up: a person has to.
        let is_free = !asked.is_empty() && named.is_empty() && !leads_nowhere;
        let (by, repo) = (named.into_iter().collect(), self.s.at.repo.clone());
        Ok((!is_free).then_some(Reason::BlockedByText { by, repo }))
    }

    /// A person gave it to an agent on the forge: theirs to follow, not ours to give.
    fn given(self) -> Option<Reason> {
        let by_person = self.e.custody.dispatch().filter(|dispatch| dispatch.by_person);
        let agent = self.e.given.as_ref().or(by_person.map(|dispatch| &dispatch.agent))?;
        Some(Reason::GivenByPerson(agent.clone()))
    }

    /// Who opened it may not cause work. It is asked last: most issues need no answer.
    fn awaits_approval(self) -> Rule {
        outsiders::awaits(self.e, self.s, &self.triage.policy)
    }

    fn hand_over(self) -> Decision {
        let score = &self.s.assessment.score;
        let subject = Brief {
            is_first: score.p0 && !score.research,
            issue_type: score.issue_type,
            is_research: score.research,
            score: score.total,
            age_days: score.age_days,
        };
        if let Some(dispatch) = self.e.custody.dispatch() {
            let agent = dispatch.agent.clone();
            let reason = Reason::StaysWith { subject, agent: agent.clone() };
            return Decision::Dispatch { agent, reason };
        }
        let task = self.task_type();
        match roster::pick(&self.triage.policy, self.roster(), task, score.research) {
            Pick::Free(agent) => {
                let reason = Reason::GoesTo { subject, agent: agent.clone() };
                Decision::Dispatch { agent, reason }
            }
            Pick::Busy { agent, place, others } => {
                let reason = Reason::WaitsFor { subject, agent: agent.clone(), place };
                Decision::Wait { agent, reason, others }
            }
            Pick::Nobody => Decision::Flag { reason: Reason::NoAgent { subject, task } },
        }
    }

    /// Whether it says the same as an older issue. Asked of what is ready, and was never given to an agent before.
    fn duplicate(self) -> Rule {
        let was_given = self.e.custody.dispatch().is_some() || self.s.record.last_agent.is_some();
        if was_given || self.e.is_no_duplicate {
            return Ok(None);
        }
        let (issue, policy) = (self.s.issue, &self.triage.policy);
        let among = self.s.neighbours(|| {
            let repo = issue.ids.filter(|_| policy.duplicates)?.repo;
            let words = self.triage.words(issue)?;
            let closed_since = policy.closed_since(self.s.now);
            Some(Lookup { repo, number: issue.number, words, closed_since })
        })?;
        let among = among.filter(|among| !among.issues.is_empty());
        Ok(among.and_then(|among| self.triage.duplicate(issue, self.s.at, among)))
    }

    fn roster(&self) -> Roster<'_> {
        let tried = self.e.attempts.iter().map(|one| one.agent.clone()).collect();
        let Record { load, pauses, .. } = self.s.record;
        Roster { agents: self.agents, load, pauses, tried }
    }
}

impl Triage {
    /// Whether an issue is left alone, for its author or a label of it.
    pub(super) fn ignores(&self, issue: &Issue) -> bool {
        self.ignored_author(issue).is_some() || self.ignored_label(issue).is_some()
    }

    fn ignored_author(&self, issue: &Issue) -> Option<Reason> {
        let login = &issue.author.as_ref()?.login;
        let mut ignored = self.policy.ignore_authors.iter();
        let is_ignored = ignored.any(|author| author.eq_ignore_ascii_case(login));
        is_ignored.then(|| Reason::IgnoredAuthor(login.clone()))
    }

    fn ignored_label(&self, issue: &Issue) -> Option<String> {
        let recognition = self.reader.as_deref().map(|reader| &reader.recognition);
        let is_ignored = |label: &&String| match recognition {
            Some(recognition) => recognition.is_ignored(label, &recognition.label(label)),
            None => text::is_among(label, &self.policy.ignore_labels),
        };
        issue.labels.iter().find(is_ignored).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{AgentId, DispatchState};
    use crate::issue::{Account, IssueRef, IssueState};
    use crate::reason::{Cause, Hold};
    use crate::triage::samples::{World, agent, bug, dispatch, issue, triage};
    use crate::triage::{Action, Policy, Preset, Route};

    #[track_caller]
    fn decides(world: World, expected: &str) {
        let decision = world.evaluate().decision;
        assert_eq!(format!("{}: {}", decision.action(), decision.reason()), expected);
    }

    fn claude_and_kimi(issue: Issue) -> World {
        World::of(issue).agents(vec![
            agent("claude", &[TaskType::Architecture, TaskType::Refactoring]),
            agent("kimi", &[TaskType::RoutineCoding, TaskType::Refactoring]),
        ])
    }

    fn busy(mut world: World, agent: &str) -> World {
        world.record.load.insert(AgentId::new(agent), 1);
        world
    }

    fn dispatched_to(agent: &str, state: DispatchState, issue: Issue) -> World {
        let world = claude_and_kimi(issue).custody(Custody::Dispatched(dispatch(agent, state)));
        world.answered(|facts| facts.timeline = Some(Vec::new()))
    }

    fn feature() -> Issue {
        let body = "## Problem\nedit `src/ui.py`: `show()` must pass tox";
        Issue { labels: vec!["feature".into()], ..issue("Add a page", body) }
    }

    #[test]
    fn a_closed_issue_is_finished_whatever_else_holds() {
        let closed = Issue { state: IssueState::Closed, is_pull_request: true, ..bug() };
        decides(World::of(closed), "finish: the issue is closed");
        assert_eq!(triage().gone().action(), Action::Finish);
    }

    #[test]
    fn what_is_not_ours_is_skipped() {
        let pull = Issue { is_pull_request: true, ..bug() };
        decides(World::of(pull), "skip: a pull request, not an issue");
        let policy = Policy {
            ignore_labels: vec!["Wontfix".into()],
            ignore_authors: vec!["renovate".into()],
            ..Policy::default()
        };
        let by_bot = Issue { author: Some(Account { id: 7, login: "Renovate".into() }), ..bug() };
        let expected = "skip: opened by `Renovate`, whose issues are ignored";
        decides(World::of(by_bot).policy(policy.clone()), expected);
        let labelled = Issue { labels: vec!["wontfix".into()], ..bug() };
        let expected = "skip: its label `wontfix` says to ignore it";
        decides(World::of(labelled).policy(policy), expected);
    }

    #[test]
    fn a_daily_summary_is_ours_only_by_our_own_account() {
        let us = Account { id: 7, login: "triage-bot".into() };
        let title = "[Triage] Daily backlog summary — 2026-03-23".to_owned();
        let summary = Issue { title, author: Some(us.clone()), ..bug() };
        let asked = World::of(summary.clone()).asking().1;
        assert_eq!(asked[0], Question::Account);
        let world = World::of(summary.clone()).answered(|facts| facts.account = Some(us));
        decides(world, "skip: our own daily summary");
        let other = Account { id: 8, login: "alice".into() };
        let decision =
            World::of(summary).answered(|facts| facts.account = Some(other)).evaluate().decision;
        assert_eq!(decision.action(), Action::Dispatch);
    }

    #[test]
    fn a_persons_choice_stands_above_the_score_and_waits_for_a_free_place() {
        let chosen =
            |agent: &str| Custody::Chosen(Choice { agent: AgentId::new(agent), task: None });
        let poor = || claude_and_kimi(issue("It is slow", ""));
        decides(poor().custody(chosen("kimi")), "dispatch: chosen for `kimi` by a person");
        let expected = "wait: chosen for `kimi` by a person, busy with 1 of 1";
        decides(busy(poor().custody(chosen("kimi")), "kimi"), expected);
        let evaluation = poor().custody(chosen("gone")).evaluate();
        let why = "an agent that is not there takes nothing";
        assert_eq!(evaluation.decision.action(), Action::Skip, "{why}");
    }

    #[test]
    fn a_persons_choice_stands_above_blocks_and_asks_for_none() {
        let blocked = issue("[bug] crash", "src/db.py must not fail; blocked by #12");
        let chosen = Custody::Chosen(Choice { agent: AgentId::new("kimi"), task: None });
        let (evaluation, asked) = claude_and_kimi(blocked).custody(chosen).asking();
        assert_eq!(evaluation.decision.action(), Action::Dispatch);
        assert_eq!(asked, []);
    }

    #[test]
    fn a_held_issue_is_skipped_with_the_reason_of_the_hold() {
        let hold = Hold(Cause::Earlier { text: "held by `alice`".into() });
        decides(World::of(bug()).custody(Custody::Held(hold, None)), "skip: held by `alice`");
    }

    #[test]
    fn philosophy_comes_before_an_assignee() {
        let labels = vec!["rfc".into()];
        let talk = Issue { labels, assignees: vec!["alice".into()], ..issue("why?", "") };
        let expected = "skip: a philosophy/meta issue: needs discussion, not work";
        decides(World::of(talk), expected);
    }

    #[test]
    fn an_assigned_issue_is_skipped_unless_it_is_our_own_agent() {
        let assigned = Issue { assignees: vec!["Claude".into(), "bob".into()], ..bug() };
        decides(World::of(assigned.clone()), "skip: already assigned to `Claude`, `bob`");
        let ours = dispatched_to("claude", DispatchState::Assigned, assigned);
        decides(ours, "skip: already assigned to `bob`");
        let only_ours = Issue { assignees: vec!["Claude".into()], ..bug() };
        decides(claude_and_kimi(only_ours), "skip: already assigned to `Claude`");
    }

    #[test]
    fn an_issue_below_the_threshold_is_told_what_is_missing() {
        decides(
            World::of(issue("It is slow", "")),
            "skip: score 1 is below the threshold of 5: names no file or function, has no \
             acceptance criteria, mentions no test, has no section for the problem or the \
             solution, has no bug, feature or refactoring tag or label",
        );
    }

    fn blocked_by_12() -> World {
        World::of(issue("[bug] crash", "src/db.py must not fail; blocked by #12"))
    }

    fn on(numbers: &[u64]) -> Vec<IssueRef> {
        numbers.iter().map(|n| format!("owner/name#{n}").parse().expect("an issue")).collect()
    }

    fn depending_on_3(world: World) -> World {
        let three = vec!["acme/widgets#3".parse().expect("an issue")];
        world.answered(|facts| facts.dependencies = Some(three))
    }

    #[test]
    fn a_blocked_issue_flags_the_owner() {
        let by_text = "flag: blocked by `#12`, by its own text: a person has to resolve that";
        decides(blocked_by_12(), by_text);
        let by_forge = "flag: blocked: it depends on `acme/widgets#3`, still open";
        decides(depending_on_3(World::of(bug())), by_forge);
    }

    #[test]
    fn a_closed_blocker_in_the_text_does_not_hide_an_open_dependency() {
        let closed = || blocked_by_12().answered(|facts| facts.closed_blockers = Some(on(&[12])));
        let by_forge = "flag: blocked: it depends on `acme/widgets#3`, still open";
        decides(depending_on_3(closed()), by_forge);
        let (evaluation, asked) = closed().asking();
        assert_eq!(evaluation.decision.action(), Action::Dispatch);
        assert_eq!(asked, [Question::Dependencies]);
    }

    #[track_caller]
    fn with_12_and_13_closed(text: &str, action: &str) {
        let blocked = issue("[bug] crash", &format!("src/db.py must return. {text}"));
        let world =
            World::of(blocked).answered(|facts| facts.closed_blockers = Some(on(&[12, 13])));
        let evaluation = world.evaluate();
        assert!(evaluation.verdict.expect("a verdict").score.blocked, "{text}");
        assert_eq!(evaluation.decision.action().as_str(), action, "{text}");
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
    fn practical_is_blocked_by_what_is_open_only() {
        let practical = |world: World| world.policy(Policy::of(Preset::Practical));
        let ready = |text: &str| {
            let body = format!("`src/db.py` should return at once.\n\n{text}");
            practical(World::of(issue("[Bug] crash", &body)))
        };
        let action = |world: World| world.evaluate().decision.action();
        let closed = |world: World, numbers: &[u64]| {
            world.answered(|facts| facts.closed_blockers = Some(on(numbers)))
        };
        assert_eq!(action(ready("")), Action::Dispatch);
        let by_12 = || ready("Blocked by #12, depends on #13.");
        decides(
            closed(by_12(), &[12]),
            "flag: blocked by `#13`, by its own text: a person has to resolve that",
        );
        assert_eq!(action(closed(by_12(), &[12, 13])), Action::Dispatch);
        let elsewhere = ready("Depends on https://other.example.com/acme/gears/issues/9.");
        assert_eq!(action(elsewhere), Action::Flag, "nobody can tell whether that is closed");
        let by_forge = "flag: blocked: it depends on `acme/widgets#3`, still open";
        decides(depending_on_3(ready("")), by_forge);
        let mut labelled = ready("");
        labelled.issue.labels = vec!["Status/Blocked".into()];
        let by_label =
            "flag: blocked, as its label `Status/Blocked` says: a person has to resolve that";
        decides(labelled, by_label);
    }

    #[test]
    fn bugs_go_to_claude_first_and_research_to_kimi() {
        decides(
            claude_and_kimi(bug()),
            "dispatch: P0/bug issue (score 8, 3 days old): goes to `claude` first",
        );
        let question = Issue { labels: vec!["kimi-ready".into(), "bug".into()], ..bug() };
        decides(
            World::of(question),
            "dispatch: ready bug issue to research (score 8, 3 days old): goes to `kimi`",
        );
        decides(
            World::of(feature()),
            "dispatch: ready feature issue (score 8, 3 days old): goes to `claude`",
        );
    }

    #[test]
    fn a_busy_agent_is_waited_for_but_never_by_its_own_issue() {
        decides(
            busy(claude_and_kimi(bug()), "claude"),
            "wait: P0/bug issue (score 8, 3 days old): waits for `claude`, busy with 1 of 1",
        );
        decides(
            busy(dispatched_to("kimi", DispatchState::InProgress, bug()), "kimi"),
            "dispatch: P0/bug issue (score 8, 3 days old): stays with `kimi`",
        );
    }

    #[test]
    fn without_the_named_agent_strengths_decide() {
        decides(
            World::of(bug()).agents(vec![agent("kimi", &[TaskType::RoutineCoding])]),
            "dispatch: P0/bug issue (score 8, 3 days old): goes to `kimi` first",
        );
        decides(
            World::of(bug()).agents(vec![agent("local", &[TaskType::Creative])]),
            "flag: P0/bug issue (score 8, 3 days old): no agent is configured for it (task type \
             `routine_coding`)",
        );
    }

    #[test]
    fn without_any_agent_a_ready_issue_calls_a_person() {
        let nobody = "flag: P0/bug issue (score 8, 3 days old): no agent is configured for it (task type \
             `routine_coding`)";
        decides(World::of(bug()).agents(Vec::new()), nobody);
        let decision = triage().verdict(&bug(), crate::triage::samples::now()).decision;
        assert_eq!(
            decision.action(),
            Action::Dispatch,
            "the text alone is judged as if it were there"
        );
    }

    #[test]
    fn by_task_type_the_first_free_agent_with_the_strength_is_taken() {
        let refactor = || {
            let policy = Policy { route: Route::TaskType, ..Policy::default() };
            let title = "[bug] refactor the importer".into();
            claude_and_kimi(Issue { title, ..bug() }).policy(policy)
        };
        let to = |agent| {
            format!("dispatch: P0/bug issue (score 8, 3 days old): goes to `{agent}` first")
        };
        decides(refactor(), &to("claude"));
        decides(busy(refactor(), "claude"), &to("kimi"));
    }
}
