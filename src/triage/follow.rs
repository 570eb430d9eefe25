//! What becomes of an open dispatch: from how far it has come, what is seen of the work, and the time. Pure.

use super::quote::code;
use crate::clock::Timestamp;
use crate::dispatch::{Dispatch, DispatchState, Progress, Report, Try};

/// How much of what an agent says about its failure stands in one line.
const LONGEST_WORDS: usize = 200;

/// What is seen of the work on an issue that is in an agent's hands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// The issue is closed.
    pub is_closed: bool,
    /// What a closed issue lacks of what the owner requires.
    pub unmet: Vec<String>,
    /// What shows that the agent has begun.
    pub begun: Option<String>,
    /// The agent's latest report.
    pub report: Option<Report>,
}

/// The owner's limits on a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many tries, and how many hand-offs of one try, may fail before a person is asked.
    pub max_attempts: u32,
}

/// What becomes of a dispatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing new.
    Stay,
    /// The agent has begun.
    Begin {
        /// What shows it.
        cause: String,
    },
    /// The agent is to be reminded of its deadline.
    Remind,
    /// The deadline has passed.
    TimeOut,
    /// The agent says that it is done.
    Deliver {
        /// What it said.
        report: Report,
    },
    /// This try has failed; another agent may have the issue.
    Fail {
        /// What it failed on.
        cause: String,
    },
    /// This try has failed and was the last: a person has to take over.
    Escalate {
        /// What it failed on.
        cause: String,
    },
}

/// When an agent is reminded: at three quarters of its time.
pub fn remind_at(opened_at: Timestamp, deadline_at: Timestamp) -> Timestamp {
    deadline_at - (deadline_at - opened_at) / 4
}

/// What becomes of `dispatch`, of which `tries` have failed before.
pub fn follow(
    dispatch: &Dispatch,
    signs: &Signs,
    tries: &[Try],
    limits: Limits,
    now: Timestamp,
) -> Step {
    let fail = |cause: String| {
        if tries.len() + 1 >= limits.max_attempts as usize {
            Step::Escalate { cause }
        } else {
            Step::Fail { cause }
        }
    };
    if signs.is_closed {
        let unmet = signs.unmet.join("; ");
        return if unmet.is_empty() {
            Step::Stay
        } else {
            fail(format!("the review was not passed: {unmet}"))
        };
    }
    match &signs.report {
        Some(report) if report.state == Progress::Completed => {
            return Step::Deliver { report: report.clone() };
        }
        Some(report) if report.state == Progress::Failed => return fail(gave_up(report)),
        _ => {}
    }
    // A report shows that the hand-off arrived, whatever became of its answer. One that was never told ends at its
    // deadline like any other, or its agent's place would be taken for good.
    let is_untold = dispatch.state == DispatchState::Pending && signs.report.is_none();
    if is_untold && now < dispatch.deadline_at {
        return handed_over(dispatch, limits);
    }
    on_time(dispatch, signs, now)
}

fn gave_up(report: &Report) -> String {
    let said = report.message.as_deref().map(|text| {
        let words: String = text.chars().take(LONGEST_WORDS).collect();
        format!(": {}", code(&words))
    });
    format!("the agent reported that it failed{}", said.unwrap_or_default())
}

/// A hand-off that fails and fails is no matter of who gets the issue: the same agent would be called again.
fn handed_over(dispatch: &Dispatch, limits: Limits) -> Step {
    if dispatch.failures >= limits.max_attempts {
        Step::Escalate { cause: dispatch.cause.clone() }
    } else {
        Step::Stay
    }
}

fn on_time(dispatch: &Dispatch, signs: &Signs, now: Timestamp) -> Step {
    if now >= dispatch.deadline_at {
        return Step::TimeOut;
    }
    if now >= remind_at(dispatch.opened_at, dispatch.deadline_at) && !dispatch.is_reminded {
        return Step::Remind;
    }
    let reported = signs.report.as_ref().map(|_| "the agent reported that it works on it");
    let begun = signs.begun.clone().or_else(|| reported.map(str::to_owned));
    match begun {
        Some(cause) if dispatch.state != DispatchState::InProgress => Step::Begin { cause },
        _ => Step::Stay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{AgentId, TaskType};
    use crate::triage::samples::now;
    use chrono::TimeDelta;

    const LIMITS: Limits = Limits { max_attempts: 2 };

    fn dispatch(state: DispatchState) -> Dispatch {
        Dispatch {
            id: 1,
            at: "acme/widgets#1".parse().unwrap(),
            agent: AgentId::new("claude"),
            task_type: TaskType::RoutineCoding,
            state,
            opened_at: now(),
            deadline_at: now() + TimeDelta::hours(2),
            key: "k".into(),
            by_person: false,
            failures: 0,
            counts: false,
            is_reminded: false,
            reason: "ready".into(),
            cause: "ready".into(),
        }
    }

    fn report(state: Progress) -> Signs {
        Signs { report: Some(Report { state, message: None, url: None }), ..Signs::default() }
    }

    #[track_caller]
    fn becomes(dispatch: &Dispatch, signs: &Signs, minutes: i64, expected: &Step) {
        let step = follow(dispatch, signs, &[], LIMITS, now() + TimeDelta::minutes(minutes));
        assert_eq!(step, *expected);
    }

    #[test]
    fn a_dispatch_is_reminded_once_and_times_out_at_its_deadline() {
        let assigned = dispatch(DispatchState::Assigned);
        becomes(&assigned, &Signs::default(), 89, &Step::Stay);
        becomes(&assigned, &Signs::default(), 90, &Step::Remind);
        let reminded = Dispatch { is_reminded: true, ..assigned };
        becomes(&reminded, &Signs::default(), 119, &Step::Stay);
        becomes(&reminded, &Signs::default(), 120, &Step::TimeOut);
    }

    #[test]
    fn work_is_noticed_once() {
        let begun = Signs { begun: Some("`claude` commented".into()), ..Signs::default() };
        let cause = "`claude` commented".to_owned();
        becomes(&dispatch(DispatchState::Assigned), &begun, 1, &Step::Begin { cause });
        becomes(&dispatch(DispatchState::InProgress), &begun, 1, &Step::Stay);
        let cause = "the agent reported that it works on it".to_owned();
        let reported = report(Progress::InProgress);
        becomes(&dispatch(DispatchState::Assigned), &reported, 1, &Step::Begin { cause });
    }

    #[test]
    fn a_failed_try_is_followed_by_another_until_there_were_enough() {
        let failed = report(Progress::Failed);
        let cause = "the agent reported that it failed".to_owned();
        let open = dispatch(DispatchState::InProgress);
        becomes(&open, &failed, 1, &Step::Fail { cause: cause.clone() });
        let tries = [Try { dispatch: 1, agent: AgentId::new("kimi"), cause: String::new() }];
        let step = follow(&open, &failed, &tries, LIMITS, now());
        assert_eq!(step, Step::Escalate { cause });
    }

    #[test]
    fn a_closed_issue_fails_only_by_its_review() {
        let mut signs = Signs { is_closed: true, ..report(Progress::Failed) };
        becomes(&dispatch(DispatchState::InProgress), &signs, 500, &Step::Stay);
        signs.unmet = vec!["1 task is open".into(), "no pull request".into()];
        let cause = "the review was not passed: 1 task is open; no pull request".to_owned();
        becomes(&dispatch(DispatchState::InProgress), &signs, 1, &Step::Fail { cause });
    }

    #[test]
    fn hand_offs_that_fail_again_and_again_are_a_persons_matter() {
        let cause = "no answer".to_owned();
        let pending = |failures| {
            let cause = cause.clone();
            Dispatch { failures, cause, ..dispatch(DispatchState::Pending) }
        };
        becomes(&pending(1), &Signs::default(), 1, &Step::Stay);
        becomes(&pending(2), &Signs::default(), 1, &Step::Escalate { cause: cause.clone() });
    }

    #[test]
    fn a_result_counts_even_after_the_deadline() {
        let done = report(Progress::Completed);
        let expected = Step::Deliver { report: done.report.clone().unwrap() };
        becomes(&dispatch(DispatchState::Assigned), &done, 500, &expected);
    }
}
