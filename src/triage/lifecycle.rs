//! What becomes of the open dispatch: from how far it has come, what is seen of the work, and the time. Pure.

use std::collections::BTreeSet;

use super::follow_up::{self, Looked};
use super::{
    Check, Choice, Custody, Evaluation, News, Question, Reopen, Rules, Snapshot, criteria, observe,
};
use crate::clock::Timestamp;
use crate::dispatch::budget::Spent;
use crate::dispatch::run::RunOutcome;
use crate::dispatch::{
    Agent, Attempt, Dispatch, DispatchState, Interface, Mark, Progress, Report, Transition,
};
use crate::issue::{IssueRef, IssueState};
use crate::reason::{Cause, Hold, Reason, Unmet};

/// How much of what an agent says about its failure stands in one line.
const LONGEST_WORDS: usize = 200;
/// Labels that say why an issue is closed without being done.
const NOT_TO_BE_DONE: [&str; 3] = ["duplicate", "wontfix", "invalid"];

/// When an agent is reminded: at three quarters of its time.
pub fn remind_at(opened_at: Timestamp, deadline_at: Timestamp) -> Timestamp {
    deadline_at - (deadline_at - opened_at) / 4
}

/// Moves the open dispatch on.
pub(super) fn follow(
    e: Evaluation,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Result<Evaluation, Question> {
    let Custody::Dispatched(dispatch) = e.custody.clone() else { return Ok(e) };
    // One that was about to be opened again has been reviewed.
    if s.issue.state == IssueState::Closed && !s.record.reopens() {
        let unmet = if dispatch.by_person { Vec::new() } else { unmet(s, rules)? };
        if unmet.is_empty() || is_settled(s, rules, &dispatch)? {
            return Ok(e);
        }
        let under_review = running(&unmet).filter(|_| s.now < dispatch.deadline_at).cloned();
        return Ok(match under_review {
            None => fail(e, &dispatch, Cause::ReviewFailed { unmet }, rules),
            under_review => Evaluation { under_review, ..e },
        });
    }
    let report = latest_report(s, &dispatch);
    if let Some(spent) = report.and_then(|report| report.spent).filter(Spent::is_used_up) {
        return Ok(escalate(e, &dispatch, Cause::BudgetUsedUp { spent }));
    }
    match report {
        Some(report) if report.state == Progress::Completed => {
            return Ok(deliver(e, &dispatch, report.clone()));
        }
        Some(report) if report.state == Progress::Failed => {
            return Ok(fail(e, &dispatch, Cause::ReportedFailed { message: words(report) }, rules));
        }
        Some(report) if report.state == Progress::NeedsPerson => {
            return Ok(escalate(e, &dispatch, needs_person(&dispatch, report)));
        }
        _ => {}
    }
    if report.is_none()
        && let Some(spent) = no_budget(s, rules, &dispatch)?
    {
        return Ok(withdraw(e, dispatch, spent));
    }
    // A report shows that the hand-off arrived, whatever became of its answer. A dispatch whose agent was never called
    // ends at its deadline like any other, or the agent's place would be taken for good.
    let is_uncalled = dispatch.state == DispatchState::Pending && report.is_none();
    if is_uncalled && s.now < dispatch.deadline_at {
        // The same agent would be called again: who gets the issue does not matter.
        let is_given_up = dispatch.failures >= rules.dispatch_attempts;
        let given_up = is_given_up.then(|| dispatch.cause.clone());
        let cause = match given_up {
            Some(cause) => Some(cause),
            None => refused(s, rules, &dispatch)?,
        };
        return Ok(cause.into_iter().fold(e, |e, cause| escalate(e, &dispatch, cause)));
    }
    let e = to_be_seen(e, report, &dispatch);
    let e = on_time(e, s, rules, &dispatch)?;
    if e.custody.dispatch().is_none() {
        return Ok(e);
    }
    let e = unchanged(e, s, &dispatch);
    follow_pull(e, s, rules, &dispatch)
}

/// Lets the agent work again on its pull request, or calls a person where it has had its turns.
fn follow_pull(
    e: Evaluation,
    s: &Snapshot<'_>,
    rules: &Rules,
    dispatch: &Dispatch,
) -> Result<Evaluation, Question> {
    let Some(Looked { head, awaits_checks, follow_up }) = follow_up::look(s, rules)? else {
        return Ok(e);
    };
    let e = Evaluation { pull_head: Some(head), awaits_checks, ..e };
    let Some(follow_up) = follow_up else { return Ok(e) };
    let (limit, asked) = (follow_up.limit, follow_up.asked());
    if follow_up.turn > limit {
        return Ok(escalate(e, dispatch, Cause::TurnsUsed { limit, asked }));
    }
    // It could not be told, again and again.
    if dispatch.failures >= rules.dispatch_attempts {
        return Ok(escalate(e, dispatch, dispatch.cause.clone()));
    }
    let cause = Cause::FollowedUp { turn: follow_up.turn, limit, asked };
    Ok(Evaluation {
        transition: Some(Transition::to(DispatchState::InProgress, cause)),
        deadline_at: Some(put_off(s, rules, dispatch)),
        follow_up: Some(follow_up),
        ..e
    })
}

/// A further turn that came to nothing is a person's matter: whoever asked for it waits.
fn unchanged(e: Evaluation, s: &Snapshot<'_>, dispatch: &Dispatch) -> Evaluation {
    let run = s.record.run.as_ref().filter(|_| latest_report(s, dispatch).is_some());
    let run = run.filter(|run| run.turn > 1 && run.outcome == Some(RunOutcome::NoChange));
    let news = run.and_then(|run| {
        let pull = IssueRef { repo: s.at.repo.plain(), number: run.pull_request? };
        let (agent, message) = (dispatch.agent.clone(), run.message.clone());
        Some(News::Unchanged { agent, pull, message })
    });
    news.into_iter().fold(e, |e, news| e.announce(dispatch.id, news))
}

/// The budget that has nothing left for a run which no runner has begun.
fn no_budget(
    s: &Snapshot<'_>,
    rules: &Rules,
    dispatch: &Dispatch,
) -> Result<Option<Spent>, Question> {
    let is_run = |agent: &Agent| agent.interface == Interface::Runner;
    let is_unbegun = dispatch.state != DispatchState::InProgress;
    if !is_unbegun || !rules.agent(&dispatch.agent).is_some_and(is_run) {
        return Ok(None);
    }
    Ok(s.used_up()?.map(|used_up| used_up.spent))
}

/// The issue waits for the budget like one that nobody has yet, so that the agent's place is free for others.
fn withdraw(e: Evaluation, dispatch: Dispatch, spent: Spent) -> Evaluation {
    let e = e.end(DispatchState::Failed, Cause::BudgetUsedUp { spent });
    if !dispatch.is_chosen {
        return e;
    }
    let (agent, task) = (dispatch.agent, Some(dispatch.task_type));
    Evaluation { custody: Custody::Chosen(Choice { agent, task }), ..e }
}

/// The agent says where its work can be seen, such as a pull request; or it has nearly used a budget up.
fn to_be_seen(e: Evaluation, report: Option<&Report>, dispatch: &Dispatch) -> Evaluation {
    let url = report.and_then(|report| report.url.clone());
    let cause = match report.and_then(|report| report.spent) {
        Some(spent) => Cause::BudgetNear { spent },
        None => Cause::ReportedWorking { url },
    };
    let is_news = !matches!(cause, Cause::ReportedWorking { url: None }) && dispatch.cause != cause;
    let transition = is_news.then(|| Transition::to(DispatchState::InProgress, cause));
    Evaluation { transition: transition.or(e.transition), ..e }
}

fn on_time(
    e: Evaluation,
    s: &Snapshot<'_>,
    rules: &Rules,
    dispatch: &Dispatch,
) -> Result<Evaluation, Question> {
    if s.now >= dispatch.deadline_at {
        let pulls = open_pulls(s, rules, dispatch)?;
        return Ok(match pulls.is_empty() {
            true => time_out(e, dispatch, s.now),
            false => Evaluation { deadline_at: Some(put_off(s, rules, dispatch)), ..e },
        });
    }
    let is_reminder_due = s.now >= remind_at(dispatch.opened_at, dispatch.deadline_at);
    if is_reminder_due && !dispatch.is_reminded {
        let pulls = open_pulls(s, rules, dispatch)?.to_vec();
        return Ok(remind(e, dispatch, pulls, rules));
    }
    let reported = latest_report(s, dispatch).map(|_| Cause::ReportedWorking { url: None });
    let begun = observe::begun(s, rules)?.or(reported);
    Ok(match begun {
        Some(cause) if dispatch.state != DispatchState::InProgress && e.transition.is_none() => {
            let transition = Some(Transition::to(DispatchState::InProgress, cause));
            Evaluation { transition, ..e }
        }
        _ => e,
    })
}

/// That nothing which calls the agent could be put on.
fn refused(
    s: &Snapshot<'_>,
    rules: &Rules,
    dispatch: &Dispatch,
) -> Result<Option<Cause>, Question> {
    let is_called_on_forge = |agent: &&Agent| agent.interface == Interface::Forge;
    let Some(agent) = rules.agent(&dispatch.agent).filter(is_called_on_forge) else {
        return Ok(None);
    };
    let mut why = BTreeSet::new();
    for mark in agent.marks() {
        let refusal = s.record.refused.get(&mark).filter(|_| !mark.is_on(s.issue));
        match (refusal, &mark) {
            (Some(refusal), _) => why.insert(refusal.clone()),
            (None, Mark::Assignee(login)) if !mark.is_on(s.issue) && !s.is_assignable(login)? => {
                why.insert(format!("the account `{login}` cannot be assigned here"))
            }
            _ => return Ok(None),
        };
    }
    let reason = why.into_iter().collect::<Vec<_>>().join("; ");
    Ok(Some(Cause::Refused { reason }))
}

/// The open pull requests of the agent for the issue.
fn open_pulls<'a>(
    s: &'a Snapshot<'_>,
    rules: &Rules,
    dispatch: &Dispatch,
) -> Result<&'a [IssueRef], Question> {
    let login = rules.agent(&dispatch.agent).and_then(|agent| agent.login.as_deref());
    let login = login.unwrap_or(dispatch.agent.as_str());
    observe::open_pulls(s, login, observe::since(dispatch))
}

/// When a dispatch is looked at again whose work waits for a review: as long as the agent had for it.
fn put_off(s: &Snapshot<'_>, rules: &Rules, dispatch: &Dispatch) -> Timestamp {
    let had = (dispatch.deadline_at - dispatch.opened_at).to_std().unwrap_or_default();
    s.now + rules.agent(&dispatch.agent).map_or(had, |agent| agent.timeout)
}

/// The latest report about this dispatch in what is pending.
fn latest_report<'a>(s: &'a Snapshot<'_>, dispatch: &Dispatch) -> Option<&'a Report> {
    let about = s.reports.iter().rev().find(|reported| reported.key == dispatch.key);
    about.map(|reported| &reported.report)
}

/// What a person has to decide.
fn needs_person(dispatch: &Dispatch, report: &Report) -> Cause {
    match report.asks.clone() {
        Some(asked) => Cause::AsksPermission { agent: dispatch.agent.clone(), asked },
        None => Cause::NeedsPerson { message: words(report) },
    }
}

/// How the agent's own words begin.
fn words(report: &Report) -> Option<String> {
    report.message.as_ref().map(|text| text.chars().take(LONGEST_WORDS).collect())
}

/// An agent without an account on the forge would not read it; a person who gave the issue away is not reminded.
fn remind(e: Evaluation, dispatch: &Dispatch, pulls: Vec<IssueRef>, rules: &Rules) -> Evaluation {
    let e = Evaluation { is_reminded: true, ..e };
    if dispatch.by_person {
        return e;
    }
    let login = rules.agent(&dispatch.agent).and_then(|agent| agent.login.clone());
    e.announce(dispatch.id, News::Reminder { login, deadline_at: dispatch.deadline_at, pulls })
}

fn time_out(e: Evaluation, dispatch: &Dispatch, now: Timestamp) -> Evaluation {
    let agent = dispatch.agent.clone();
    let cause = match dispatch.state {
        DispatchState::Pending => Cause::NotCalled { agent: agent.clone() },
        _ => Cause::NotFinished { agent: agent.clone() },
    };
    let e = e.hold(DispatchState::TimedOut, cause.clone());
    if dispatch.by_person {
        return e;
    }
    let minutes = (now - dispatch.opened_at).num_minutes();
    let e = e.announce(dispatch.id, News::TimedOut { agent, minutes });
    Evaluation { needs_person: Some(Reason::TimedOut(cause)), ..e }
}

fn deliver(e: Evaluation, dispatch: &Dispatch, report: Report) -> Evaluation {
    let agent = dispatch.agent.clone();
    let cause = Cause::ReportedDone { agent: agent.clone() };
    e.hold(DispatchState::Completed, cause).announce(dispatch.id, News::Result { agent, report })
}

/// This attempt has failed; another agent may have the issue, unless it was the last.
fn fail(e: Evaluation, dispatch: &Dispatch, cause: Cause, rules: &Rules) -> Evaluation {
    if e.attempts.len() + 1 >= rules.dispatch_attempts as usize {
        return escalate(e, dispatch, cause);
    }
    let is_closed = matches!(cause, Cause::ReviewFailed { .. });
    let e = count(e, dispatch, DispatchState::Failed, cause.clone());
    let e = Evaluation { custody: Custody::Free, reopens: e.reopens || is_closed, ..e };
    if is_closed { e.announce(dispatch.id, News::Reopened { cause }) } else { e }
}

/// A person has to take over.
fn escalate(e: Evaluation, dispatch: &Dispatch, cause: Cause) -> Evaluation {
    let is_closed = matches!(cause, Cause::ReviewFailed { .. });
    let e = count(e, dispatch, DispatchState::Escalated, cause.clone());
    let attempts = e.attempts.clone();
    Evaluation {
        custody: Custody::Held(Hold(cause.clone()), None),
        reopens: e.reopens || is_closed,
        needs_person: Some(Reason::Escalated(cause)),
        ..e.announce(dispatch.id, News::Escalation { attempts })
    }
}

/// Ends the dispatch as an attempt that counts.
fn count(mut e: Evaluation, dispatch: &Dispatch, state: DispatchState, cause: Cause) -> Evaluation {
    let (id, agent) = (dispatch.id, dispatch.agent.clone());
    e.attempts.push(Attempt { dispatch: id, agent, cause: cause.clone() });
    Evaluation { transition: Some(Transition { state, cause, counts: true }), ..e }
}

/// Whether somebody has closed the issue for good, whatever it lacks: a label says why nothing is to be done, or a
/// person closed it.
fn is_settled(s: &Snapshot<'_>, rules: &Rules, dispatch: &Dispatch) -> Result<bool, Question> {
    if s.issue.labels.iter().any(|label| says_not_to_be_done(label)) {
        return Ok(true);
    }
    let is_undone =
        rules.reopen == Reopen::Always || observe::is_closed_by_work(dispatch, s, rules)?;
    Ok(!is_undone)
}

/// `duplicate`, `Status: Won't fix`, `resolution/invalid 🚫`: without scope, case, marks and emoji.
fn says_not_to_be_done(label: &str) -> bool {
    let word = label.rsplit(['/', ':']).next().unwrap_or_default();
    let word: String =
        word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    NOT_TO_BE_DONE.contains(&word.as_str())
}

/// What a closed issue lacks, in the order in which it is required.
fn unmet(s: &Snapshot<'_>, rules: &Rules) -> Result<Vec<Unmet>, Question> {
    let with_checks = rules.review.contains(&Check::Status);
    let mut unmet = Vec::new();
    for check in &rules.review {
        unmet.extend(match check {
            Check::Tasks => Some(criteria::open_tasks(s.issue))
                .filter(|open| *open > 0)
                .map(|count| Unmet::OpenTasks { count }),
            Check::PullRequest => match s.merged_pull(with_checks)? {
                Some(_) => None,
                None => Some(Unmet::NoMergedPull),
            },
            Check::Status => unmet_checks(s)?,
        });
    }
    Ok(unmet)
}

/// The pull request whose checks are all that is left to know.
fn running(unmet: &[Unmet]) -> Option<&IssueRef> {
    match unmet {
        [Unmet::Checks { pull, status }] if status == "pending" => Some(pull),
        _ => None,
    }
}

fn unmet_checks(s: &Snapshot<'_>) -> Result<Option<Unmet>, Question> {
    let Some(pull) = s.merged_pull(true)? else { return Ok(Some(Unmet::NoChecksToRead)) };
    let at = pull.at.clone();
    Ok(match pull.status.as_deref() {
        Some("success") => None,
        None => Some(Unmet::PullGone { pull: at }),
        Some("") => Some(Unmet::NoChecks { pull: at }),
        Some(status) => Some(Unmet::Checks { pull: at, status: status.to_owned() }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{AgentId, Reported};
    use crate::issue::{Account, Change, Issue, TimelineEvent};
    use crate::triage::samples::{World, agent, bug, dispatch};
    use crate::triage::{Action, Facts};

    fn world(dispatch: Dispatch) -> World {
        World::of(bug())
            .agents(vec![agent("claude", &[]), agent("kimi", &[])])
            .custody(Custody::Dispatched(dispatch))
    }

    fn with_report(mut world: World, state: Progress) -> World {
        let report = Report::new(state);
        world.reports = vec![Reported { key: "k".into(), report }];
        world
    }

    /// The state the dispatch goes to, and what people are told.
    #[track_caller]
    fn becomes(
        world: World,
        minutes: i64,
        state: Option<DispatchState>,
        marker: Option<&str>,
    ) -> Evaluation {
        let e = World { minutes, ..world }.evaluate();
        assert_eq!(e.transition.as_ref().map(|to| to.state), state);
        let told = e.notices.first().map(|notice| notice.marker().decision);
        assert_eq!(told.as_deref(), marker);
        e
    }

    #[test]
    fn a_dispatch_is_reminded_once_and_times_out_at_its_deadline() {
        let assigned = dispatch("claude", DispatchState::Assigned);
        assert!(!becomes(world(assigned.clone()), 89, None, None).is_reminded);
        let reminder = Some("notice:reminder:1");
        assert!(becomes(world(assigned.clone()), 90, None, reminder).is_reminded);
        let reminded = Dispatch { is_reminded: true, ..assigned };
        becomes(world(reminded.clone()), 119, None, None);
        let timed_out = Some(DispatchState::TimedOut);
        let e = becomes(world(reminded), 120, timed_out, Some("notice:timed_out:1"));
        assert_eq!(e.decision.reason().code(), "timed_out");
        assert!(e.custody.hold().is_some());
    }

    #[test]
    fn work_is_noticed_once() {
        let by = Some(Account { id: 0, login: "claude".into() });
        let commented = TimelineEvent { by, at: None, change: Change::Commented };
        let seen = |facts: &mut Facts| facts.timeline = Some(vec![commented.clone()]);
        let begun = Some(DispatchState::InProgress);
        let assigned = dispatch("claude", DispatchState::Assigned);
        let e = becomes(world(assigned.clone()).answered(seen), 1, begun, None);
        assert_eq!(e.transition.unwrap().cause.to_string(), "`claude` commented");
        let working = dispatch("claude", DispatchState::InProgress);
        becomes(world(working).answered(seen), 1, None, None);
        becomes(with_report(world(assigned), Progress::InProgress), 1, begun, None);
    }

    #[test]
    fn where_work_can_be_seen_is_told_once_and_the_dispatch_goes_on() {
        let seen = |dispatch: Dispatch| {
            let mut world = with_report(world(dispatch), Progress::InProgress);
            world.reports[0].report.url = Some("https://example.com/7".into());
            world
        };
        let begun = Some(DispatchState::InProgress);
        let working = dispatch("claude", DispatchState::InProgress);
        let e = becomes(seen(working.clone()), 1, begun, None);
        let cause = e.transition.unwrap().cause;
        let expected = "the agent reported that it works on it: `https://example.com/7`";
        assert_eq!(cause.to_string(), expected);
        becomes(seen(Dispatch { cause, ..working.clone() }), 1, None, None);
        // A reminder that is due at the same time takes nothing away.
        assert!(becomes(seen(working), 90, begun, Some("notice:reminder:1")).is_reminded);
    }

    #[test]
    fn what_a_person_has_to_decide_goes_to_nobody_else() {
        let asks = with_report(
            world(dispatch("claude", DispatchState::InProgress)),
            Progress::NeedsPerson,
        );
        let e = becomes(asks, 1, Some(DispatchState::Escalated), Some("notice:escalation:1"));
        assert_eq!(e.decision.action(), Action::Flag);
    }

    #[test]
    fn a_failed_attempt_is_followed_by_another_until_there_were_enough() {
        let open =
            || with_report(world(dispatch("claude", DispatchState::InProgress)), Progress::Failed);
        let e = becomes(open(), 1, Some(DispatchState::Failed), None);
        assert!(e.transition.is_some_and(|to| to.counts));
        let mut second = open();
        let cause = Cause::ReportedWorking { url: None };
        second.record.attempts = vec![Attempt { dispatch: 0, agent: AgentId::new("kimi"), cause }];
        let e = becomes(second, 1, Some(DispatchState::Escalated), Some("notice:escalation:1"));
        assert_eq!((e.attempts.len(), e.decision.action()), (2, Action::Flag));
    }

    #[test]
    fn a_closed_issue_fails_only_by_its_review() {
        let closed = |review| {
            let mut world =
                with_report(world(dispatch("claude", DispatchState::InProgress)), Progress::Failed);
            world.issue = Issue { state: IssueState::Closed, body: "- [ ] one".into(), ..bug() };
            world.rules.review = review;
            world.rules.reopen = Reopen::Always;
            world
        };
        let e = becomes(closed(vec![]), 500, None, None);
        assert_eq!(e.decision.action(), Action::Finish);
        let review = vec![Check::Tasks, Check::PullRequest];
        let failed = Some(DispatchState::Failed);
        let e = becomes(closed(review), 1, failed, Some("notice:reopened:1"));
        assert!(e.reopens);
        let expected = "the review was not passed: 1 task in its list is not ticked; no merged pull request is linked to it";
        assert_eq!(e.transition.unwrap().cause.to_string(), expected);
    }

    #[test]
    fn labels_that_say_why_nothing_is_to_be_done_are_told_apart() {
        for settled in [
            "duplicate",
            "Won't Fix",
            "wontfix 🚫",
            "resolution/invalid",
            "Status: Duplicate",
            "⛔ INVALID",
        ] {
            assert!(says_not_to_be_done(settled), "{settled}");
        }
        for other in ["bug", "not-a-duplicate", "duplicate/bug", "validate", ""] {
            assert!(!says_not_to_be_done(other), "{other}");
        }
    }

    #[test]
    fn hand_offs_that_fail_again_and_again_are_a_persons_matter() {
        let pending =
            |failures| world(Dispatch { failures, ..dispatch("claude", DispatchState::Pending) });
        becomes(pending(1), 1, None, None);
        becomes(pending(2), 1, Some(DispatchState::Escalated), Some("notice:escalation:1"));
    }

    #[test]
    fn a_result_counts_even_after_the_deadline() {
        let done =
            with_report(world(dispatch("claude", DispatchState::Assigned)), Progress::Completed);
        becomes(done, 500, Some(DispatchState::Completed), Some("notice:result:1"));
    }
}
