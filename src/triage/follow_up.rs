//! Whether the agent of a run works again on its pull request: for what people who may write said since, and for the
//! checks that failed at its head. Pure.

use super::{Question, Rules, Snapshot, commands};
use crate::dispatch::run::RunOutcome;
use crate::dispatch::{Answered, CheckState, FollowUp, PullState, Remark, RemarkId, RunSoFar};
use crate::issue::IssueRef;

/// How much of what was said is told, the latest.
const REMARKS: usize = 30;

/// The pull request of a run whose turn has ended.
pub(super) struct Looked {
    /// The commit at its head.
    pub(super) head: String,
    /// Whether checks of it still run.
    pub(super) awaits_checks: bool,
    /// The turn that is asked for.
    pub(super) follow_up: Option<FollowUp>,
}

/// What the open pull request of the dispatch asks for; `None` where there is none, or its agent still works.
pub(super) fn look(s: &Snapshot<'_>, rules: &Rules) -> Result<Option<Looked>, Question> {
    // A dry run starts nobody.
    let run = s.record.run.as_ref().filter(|_| rules.follow_up && !s.is_dry_run);
    let is_over =
        |run: &&RunSoFar| matches!(run.outcome, Some(RunOutcome::Done | RunOutcome::NoChange));
    let Some(run) = run.filter(is_over) else { return Ok(None) };
    let Some(number) = run.pull_request else { return Ok(None) };
    let at = IssueRef { repo: s.at.repo.plain(), number };
    let Some(pull) = s.pull(&at, run)?.filter(|pull| pull.is_open) else { return Ok(None) };
    let awaits_checks = pull.checks.iter().any(|one| one.state == CheckState::Pending);
    let remarks = remarks(s, pull, run)?;
    let known = &run.answered;
    let is_known = |context: &String| known.head == pull.head && known.checks.contains(context);
    // What still runs may fail as well: both are told at once.
    let failed = pull.checks.iter().filter(|one| one.state == CheckState::Failed && !awaits_checks);
    let checks: Vec<_> = failed.filter(|one| !is_known(&one.context)).cloned().collect();
    let head = pull.head.clone();
    if remarks.is_empty() && checks.is_empty() {
        return Ok(Some(Looked { head, awaits_checks, follow_up: None }));
    }
    let mut answered = Answered { head: head.clone(), ..known.clone() };
    if known.head != head {
        answered.checks.clear();
    }
    answered.remarks.extend(remarks.iter().map(|one| one.id));
    answered.checks.extend(checks.iter().map(|one| one.context.clone()));
    let earlier = remarks.len().saturating_sub(REMARKS);
    let follow_up = FollowUp {
        turn: run.turn + 1,
        limit: rules.dispatch_attempts,
        pull: at,
        remarks: remarks.into_iter().skip(earlier).collect(),
        checks,
        answered,
    };
    Ok(Some(Looked { head, awaits_checks, follow_up: Some(follow_up) }))
}

/// What people who may write have said that no turn was begun for. Our own words count for nothing, nor do orders to us,
/// nor a review that approves and says nothing about a line.
fn remarks(s: &Snapshot<'_>, pull: &PullState, run: &RunSoFar) -> Result<Vec<Remark>, Question> {
    let has_lines = |id: RemarkId| pull.remarks.iter().any(|one| one.id == id && !one.is_approval);
    let mut asked = Vec::new();
    for one in &pull.remarks {
        let Some(by) = &one.by else { continue };
        let is_order = !commands::parse(&one.text).is_empty();
        let is_approval = one.is_approval && !has_lines(one.id);
        if is_order || is_approval || run.answered.remarks.contains(&one.id) {
            continue;
        }
        if !by.is_same_as(s.account()?) && s.may_write(&by.login)? {
            asked.push(one.clone());
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{
        AgentId, CommitCheck, DispatchState, Interface, Progress, Report, Reported,
    };
    use crate::issue::Account;
    use crate::reason::Cause;
    use crate::triage::samples::{World, agent, bug, dispatch};
    use crate::triage::{Custody, Evaluation, Facts};

    const HEAD: &str = "0123456789abcdef0123456789abcdef01234567";

    fn remark(id: RemarkId, login: &str) -> Remark {
        let by = Some(Account { id: login.len() as i64, login: login.into() });
        let text = "Use `trim()` here".to_owned();
        Remark { id, by, at: None, is_approval: false, place: None, hunk: String::new(), text }
    }

    fn check(context: &str, state: CheckState) -> CommitCheck {
        CommitCheck {
            context: context.into(),
            state,
            description: String::new(),
            url: String::new(),
        }
    }

    /// A run that has ended, and what is to be seen of its pull request.
    fn world(remarks: Vec<Remark>, checks: Vec<CommitCheck>) -> World {
        let mut claude = agent("claude", &[]);
        (claude.interface, claude.label, claude.login) = (Interface::Runner, None, None);
        let working = dispatch("claude", DispatchState::InProgress);
        let mut world = World::of(bug()).agents(vec![claude]).custody(Custody::Dispatched(working));
        world.record.run = Some(RunSoFar {
            turn: 1,
            outcome: Some(RunOutcome::Done),
            pull_request: Some(7),
            ..RunSoFar::default()
        });
        world.record.handed_off = [AgentId::new("claude")].into();
        world.answered(|facts: &mut Facts| {
            facts.account = Some(Account { id: 99, login: "triage-bot".into() });
            facts.writers = [("anna".to_owned(), true), ("eve".to_owned(), false)].into();
            let head = HEAD.to_owned();
            facts.pull = Some(Some(PullState { is_open: true, head, remarks, checks }));
        })
    }

    fn evaluated(mut world: World) -> Evaluation {
        world.is_live = true;
        world.evaluate()
    }

    fn turn(remarks: Vec<Remark>, checks: Vec<CommitCheck>) -> Option<FollowUp> {
        evaluated(world(remarks, checks)).follow_up
    }

    #[test]
    fn a_review_of_a_writer_begins_a_turn_and_that_of_an_outsider_does_not() {
        let begun = turn(vec![remark(RemarkId::Review(1), "anna")], vec![]).unwrap();
        assert_eq!((begun.turn, begun.limit), (2, 2));
        assert_eq!(begun.pull.to_string(), "owner/name#7");
        assert_eq!(begun.answered.remarks, [RemarkId::Review(1)].into());
        let e = evaluated(world(vec![remark(RemarkId::Review(1), "anna")], vec![]));
        let cause = e.transition.unwrap().cause;
        assert_eq!(cause.to_string(), "turn 2 of 2, for the review of `anna`");
        assert!(e.deadline_at.is_some(), "it has its whole time");
        assert_eq!(turn(vec![remark(RemarkId::Review(1), "eve")], vec![]), None);
        let ours = Remark {
            by: Some(Account { id: 99, login: "triage-bot".into() }),
            ..remark(RemarkId::Comment(1), "")
        };
        assert_eq!(turn(vec![ours], vec![]), None);
        let order = Remark { text: "/triage hold".into(), ..remark(RemarkId::Comment(1), "anna") };
        assert_eq!(turn(vec![order], vec![]), None);
    }

    #[test]
    fn an_approval_counts_where_it_says_something_about_a_line() {
        let approval = Remark { is_approval: true, ..remark(RemarkId::Review(1), "anna") };
        assert_eq!(turn(vec![approval.clone()], vec![]), None);
        let line = Remark {
            place: Some("src/x.py, line 3".into()),
            ..remark(RemarkId::Review(1), "anna")
        };
        assert_eq!(turn(vec![approval, line], vec![]).unwrap().remarks.len(), 2);
    }

    #[test]
    fn a_failed_check_begins_a_turn_once_no_other_runs_and_once_for_a_commit() {
        let [failed, passed, pending] =
            [CheckState::Failed, CheckState::Passed, CheckState::Pending];
        assert_eq!(turn(vec![], vec![check("ci", passed)]), None);
        let both = vec![check("ci", failed), check("lint", pending)];
        let e = evaluated(world(vec![], both));
        assert!(e.follow_up.is_none() && e.awaits_checks);
        let begun = turn(vec![], vec![check("ci", failed), check("lint", passed)]).unwrap();
        assert_eq!(begun.asked(), "the failed check `ci`");
        let mut again = world(vec![], vec![check("ci", failed)]);
        again.record.run.as_mut().unwrap().answered = begun.answered.clone();
        assert_eq!(evaluated(again).follow_up, None);
        let mut newer = world(vec![], vec![check("ci", failed)]);
        let answered = Answered { head: "another".into(), ..begun.answered };
        newer.record.run.as_mut().unwrap().answered = answered;
        assert!(evaluated(newer).follow_up.is_some(), "another commit fails by itself");
    }

    #[test]
    fn no_turn_begins_while_one_goes_on_nor_where_none_is_wanted() {
        let asked = || world(vec![remark(RemarkId::Review(1), "anna")], vec![]);
        let mut works = asked();
        works.record.run.as_mut().unwrap().outcome = None;
        assert_eq!(evaluated(works).follow_up, None);
        let mut off = asked();
        off.rules.follow_up = false;
        assert_eq!(evaluated(off).follow_up, None);
        assert_eq!(asked().evaluate().follow_up, None, "a dry run starts nobody");
        let closed = asked().answered(|facts| {
            facts.pull.as_mut().unwrap().as_mut().unwrap().is_open = false;
        });
        assert_eq!(evaluated(closed).follow_up, None);
    }

    #[test]
    fn after_the_last_turn_a_person_is_called() {
        let mut world = world(vec![remark(RemarkId::Review(1), "anna")], vec![]);
        world.record.run.as_mut().unwrap().turn = 2;
        let e = evaluated(world);
        assert_eq!(e.follow_up, None);
        assert_eq!(e.transition.as_ref().unwrap().state, DispatchState::Escalated);
        assert!(matches!(e.transition.unwrap().cause, Cause::TurnsUsed { limit: 2, .. }));
        assert_eq!(e.notices[0].marker().decision, "notice:escalation:1");
    }

    #[test]
    fn a_turn_that_changed_nothing_calls_a_person_and_the_dispatch_goes_on() {
        let mut world = world(vec![], vec![]);
        let run = world.record.run.as_mut().unwrap();
        (run.turn, run.outcome) = (2, Some(RunOutcome::NoChange));
        run.message = Some("It is as it should be.".into());
        let report = Report::new(Progress::InProgress);
        world.reports = vec![Reported { key: "k".into(), report }];
        let e = evaluated(world);
        assert!(e.custody.dispatch().is_some());
        assert_eq!(e.notices[0].marker().decision, "notice:unchanged:1");
    }
}
