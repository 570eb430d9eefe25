//! What people's commands come to: which of them are carried out, and who has the issue then. Who may command was found
//! out before.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::{
    Assignee, Audience, Command, CommandRequest, OrderEnd, OrderState, Permission, Refusal, refusal,
};
use crate::clock::Timestamp;
use crate::dispatch::run::ToolKind;
use crate::dispatch::{AgentId, Dispatch, DispatchState};
use crate::issue::IssueState;
use crate::reason::{Cause, Hold};
use crate::triage::decide::Chain;
use crate::triage::{
    Choice, Custody, Decision, Evaluation, Permit, Question, Record, Rules, Snapshot, claims,
};

/// How many comments of outsiders are answered on an issue within an hour: whoever has no say must not be able to fill
/// an issue with answers.
const ANSWERS_TO_OUTSIDERS: usize = 2;
const HOUR: TimeDelta = TimeDelta::hours(1);

/// Carries the commands out, in their order. One that is in effect already is not carried out again: what is left of
/// it is to be written.
pub(in crate::triage) fn apply_commands(
    evaluation: Evaluation,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Result<Evaluation, Question> {
    s.requests.iter().try_fold(evaluation, |mut e, request| {
        let mut end = OrderEnd::at(request.order, OrderState::CarriedOut);
        match request.state {
            OrderState::Received => {
                let refused = check(request, &e, s, rules)?;
                match refused.map(|why| refusal(&request.command, &why)) {
                    Some(why) => end = OrderEnd::refused(request.order, why),
                    None => e = carry_out(request, e, s, rules),
                }
            }
            OrderState::Refused => {
                end = OrderEnd::refused(request.order, request.why.as_deref().unwrap_or_default());
            }
            _ => e = go_on(request, e),
        }
        end.to = audience((request, &end), &e, s);
        e.orders.push(end);
        Ok(e)
    })
}

/// Whom the answer to this command is for.
fn audience(
    (request, end): (&CommandRequest, &OrderEnd),
    e: &Evaluation,
    s: &Snapshot<'_>,
) -> Audience {
    if request.permission == Permission::Writer {
        return Audience::Writer;
    }
    let before = s.requests.iter().zip(&e.orders);
    let same = before.clone().find(|(other, _)| other.source == request.source);
    if let Some((_, end)) = same {
        return end.to;
    }
    let sources = before.filter(|(_, end)| end.to == Audience::Outsider);
    let now = sources.map(|(other, _)| other.source).collect::<BTreeSet<_>>().len();
    to_outsider(request, end, answers_left(s.record, s.now).saturating_sub(now))
}

/// How an outsider is answered when so many may still be answered within the hour. A refusal costs a reaction; its words
/// are said once an hour on an issue, and once a day to its author.
pub fn to_outsider(request: &CommandRequest, end: &OrderEnd, left: usize) -> Audience {
    let is_refused = end.state == OrderState::Refused;
    match (is_refused, left) {
        (true, ANSWERS_TO_OUTSIDERS) if !request.is_author_told => Audience::Outsider,
        (true, _) => Audience::Briefly,
        (false, 0) => Audience::Nobody,
        (false, _) => Audience::Outsider,
    }
}

/// How many more comments of outsiders are answered now.
pub fn answers_left(record: &Record, now: Timestamp) -> usize {
    let earlier = record.answered_outsiders.iter().filter(|at| (now - **at).abs() < HOUR);
    ANSWERS_TO_OUTSIDERS.saturating_sub(earlier.count())
}

/// Why the command is not carried out, if it is not.
fn check<'a>(
    request: &'a CommandRequest,
    e: &Evaluation,
    s: &Snapshot<'_>,
    rules: &'a Rules,
) -> Result<Option<Refusal<'a>>, Question> {
    if request.command.is_for_everybody() {
        return Ok(None);
    }
    let chain = Chain { triage: &rules.triage, agents: Some(&rules.agents), s, e };
    match (&request.command, e.custody.claim()) {
        (Command::Claim, _) => return claims::refuses_claim(request, chain, rules),
        (Command::Release, Some(claim)) if claim.holder.is_same_as(&request.account()) => {
            return Ok(None);
        }
        _ => {}
    }
    if let Some(refusal) = request.lacks_access() {
        return Ok(Some(refusal));
    }
    let is_closed = s.issue.state == IssueState::Closed;
    Ok(match &request.command {
        Command::Unknown(_) => Some(Refusal::NoSuchCommand),
        Command::Assign(_) | Command::Retry | Command::Resume | Command::Allow | Command::Deny
            if is_closed =>
        {
            Some(Refusal::Closed)
        }
        Command::Allow | Command::Deny if asked(e).is_none() => Some(Refusal::NothingAsked),
        Command::Resume if e.custody.hold().is_none() => Some(Refusal::NotHeld),
        Command::Done if e.custody.dispatch().is_none() => Some(Refusal::NoDispatch),
        Command::Release if e.custody.claim().is_none() => Some(Refusal::NotClaimed),
        Command::Assign(Assignee::Agent(id))
            if !rules.agents.iter().any(|agent| agent.is_called(id)) =>
        {
            Some(Refusal::NoSuchAgent(&rules.agents))
        }
        Command::Assign(Assignee::Agent(_)) => chain.not_ours()?.map(Refusal::NotDispatched),
        Command::Assign(Assignee::Login(login)) if !s.is_assignable(login)? => {
            Some(Refusal::NotAssignable(login))
        }
        _ => None,
    })
}

fn carry_out(
    request: &CommandRequest,
    e: Evaluation,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Evaluation {
    let by = request.by.clone();
    match &request.command {
        // What is approved is noted with what is approved otherwise.
        Command::Approve
        | Command::Triage
        | Command::Help
        | Command::Explain
        | Command::Unknown(_) => e,
        Command::Hold { reason } => {
            e.hold(DispatchState::Failed, Cause::HeldBy { by, reason: reason.clone() })
        }
        Command::Go => Evaluation { is_no_duplicate: true, ..e },
        Command::Done => e.hold(DispatchState::Completed, Cause::DoneBy { by }),
        Command::Claim => claims::take(request, e, s, rules),
        Command::Release => claims::release(e),
        Command::Resume => choose_again(free(e, s), s),
        Command::Retry => {
            let e = if e.custody.claim().is_none() { claims::let_go(e, "") } else { e };
            choose_again(free(e.end(DispatchState::Failed, Cause::RetriedBy { by }), s), s)
        }
        Command::Allow | Command::Deny => answer_agent(request, e, s),
        Command::Assign(Assignee::Login(login)) => {
            let hold = Hold(Cause::GivenBy { by, to: login.clone() });
            let e = claims::let_go(e, login).end(DispatchState::Failed, hold.0.clone());
            let custody = Custody::Held(hold, None);
            Evaluation { assign: Some(login.clone()), custody, ended_claim: None, ..e }
        }
        Command::Assign(Assignee::Agent(id)) => {
            let known = rules.agents.iter().find(|agent| agent.is_called(id));
            let agent = known.map_or(id, |agent| &agent.id).clone();
            let has_it = |dispatch: &&Dispatch| {
                dispatch.agent == agent && dispatch.failures == 0 && s.now < dispatch.deadline_at
            };
            if e.custody.dispatch().filter(has_it).is_some() {
                return Evaluation { is_chosen_again: true, ..free(e, s) };
            }
            let cause = Cause::GivenBy { by, to: id.to_string() };
            let ended_claim = e.custody.claim().or(e.ended_claim.as_ref()).cloned();
            let e = free(claims::let_go(e, "").end(DispatchState::Failed, cause), s);
            let custody = Custody::Chosen(Choice { agent, task: request.task_type });
            Evaluation { custody, ended_claim, ..e }
        }
    }
}

/// The permission for which an agent waits, and the agent.
fn asked(e: &Evaluation) -> Option<(AgentId, ToolKind)> {
    match &e.custody.hold()?.0 {
        Cause::AsksPermission { agent, asked } => Some((agent.clone(), asked.kind)),
        _ => None,
    }
}

/// Gives the issue to the agent again that asked for a permission, with the answer.
fn answer_agent(request: &CommandRequest, e: Evaluation, s: &Snapshot<'_>) -> Evaluation {
    let Some((agent, kind)) = asked(&e) else { return e };
    let latest = s.record.recent.first().filter(|latest| latest.agent == agent);
    let custody = Custody::Chosen(Choice { agent, task: latest.map(|latest| latest.task_type) });
    let is_allowed = request.command == Command::Allow;
    let permits = Some(Permit { kind, is_allowed, by: request.by.clone() });
    Evaluation { custody, permits, ..free(e, s) }
}

/// What is left to be done for a command that is in effect.
fn go_on(request: &CommandRequest, e: Evaluation) -> Evaluation {
    match &request.command {
        Command::Assign(Assignee::Agent(id)) => {
            let is_it = |open: &Dispatch| open.agent.as_str().eq_ignore_ascii_case(id.as_str());
            let is_chosen_again = e.is_chosen_again || e.custody.dispatch().is_some_and(is_it);
            Evaluation { is_chosen_again, ..e }
        }
        Command::Assign(Assignee::Login(login)) => {
            let is_given = matches!(
                e.custody.hold(), Some(Hold(Cause::GivenBy { to, .. })) if to == login
            );
            let assign = is_given.then(|| login.clone());
            Evaluation { assign: assign.or(e.assign), ..e }
        }
        Command::Claim => {
            let is_theirs = e.custody.claim().is_some_and(|claim| claim.order == request.order);
            let assign = is_theirs.then(|| request.by.clone());
            Evaluation { assign: assign.or(e.assign), ..e }
        }
        _ => e,
    }
}

/// Begins anew: what people took off may be put back, and earlier attempts no longer count.
fn free(mut e: Evaluation, s: &Snapshot<'_>) -> Evaluation {
    if let Custody::Held(_, choice) = e.custody {
        e.custody = choice.map_or(Custody::Free, Custody::Chosen);
    }
    e.removed.clear();
    e.attempts.clear();
    Evaluation { resumes: s.record.last_agent.clone(), begins_anew: true, ..e }
}

/// The agent that a person chose for the latest dispatch gets the issue again, whatever its score, unless somebody else
/// was given it since.
fn choose_again(e: Evaluation, s: &Snapshot<'_>) -> Evaluation {
    let hold = s.record.custody.hold().map(|hold| &hold.0);
    let is_others = matches!(hold, Some(Cause::GivenBy { .. } | Cause::TakenOver { .. }));
    let chosen = s.record.recent.first().filter(|latest| latest.is_chosen && !is_others);
    match chosen {
        Some(latest) if e.custody == Custody::Free => {
            let choice = Choice { agent: latest.agent.clone(), task: Some(latest.task_type) };
            Evaluation { custody: Custody::Chosen(choice), ..e }
        }
        _ => e,
    }
}

/// Refuses the last command that asks for a dispatch where the decision is none, with the reason of the decision: nobody
/// must be told that an agent gets an issue that none gets.
pub(in crate::triage) fn refuse_unmet(
    mut e: Evaluation,
    s: &Snapshot<'_>,
    decision: &Decision,
) -> Evaluation {
    let is_called = e.custody.dispatch().is_some_and(|open| open.state != DispatchState::Pending);
    let is_given =
        is_called || matches!(decision, Decision::Dispatch { .. } | Decision::Wait { .. });
    let places = |request: &CommandRequest| {
        use Command::{Allow, Assign, Claim, Deny, Done, Hold, Release, Resume, Retry};
        matches!(
            request.command,
            Allow | Assign(_) | Claim | Deny | Done | Hold { .. } | Release | Resume | Retry
        )
    };
    let is_done = |end: &OrderEnd| end.state != OrderState::Refused;
    let mut last = s.requests.iter().zip(&mut e.orders).rev();
    let Some((request, end)) = last.find(|(request, end)| places(request) && is_done(end)) else {
        return e;
    };
    let wants_agent = matches!(
        request.command,
        Command::Allow | Command::Deny | Command::Retry | Command::Assign(Assignee::Agent(_))
    );
    if !is_given && wants_agent {
        let why = refusal(&request.command, &Refusal::NotDispatched(decision.reason().clone()));
        *end = OrderEnd::refused(request.order, why);
        if matches!(e.custody, Custody::Chosen(_)) {
            return claims::go_on(Evaluation { custody: Custody::Free, permits: None, ..e });
        }
    }
    e
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{ShownEvent, ShownText};
    use crate::dispatch::AgentId;
    use crate::issue::{Account, Change, Issue, TextDigest, TimelineEvent};
    use crate::reason::{Duty, Reason};
    use crate::triage::commands::Source;
    use crate::triage::policy::Authors;
    use crate::triage::samples::{World, agent, bug, dispatch, issue, now};
    use crate::triage::{PersonClaim, Policy, evaluate};

    fn request(command: Command, permission: Permission) -> CommandRequest {
        CommandRequest {
            order: 1,
            state: OrderState::Received,
            why: None,
            source: Source::Comment(7),
            part: 0,
            is_said: false,
            is_author_told: false,
            by: "alice".into(),
            by_id: 0,
            permission,
            command,
            task_type: None,
        }
    }

    /// Why the first command is refused; empty when it is not.
    fn refused(e: &Evaluation) -> &str {
        e.orders[0].why.as_deref().unwrap_or_default()
    }

    fn writer(command: Command) -> CommandRequest {
        request(command, Permission::Writer)
    }

    fn two_agents() -> World {
        World::of(bug()).agents(vec![agent("claude", &[]), agent("kimi", &[])])
    }

    #[test]
    fn a_reader_is_refused_with_the_reason_and_changes_nothing() {
        for permission in
            [Permission::Reader, Permission::Unknown, Permission::Unshown { is_admin: false }]
        {
            let world = World::of(issue("x", ""))
                .requests(vec![request(Command::Hold { reason: None }, permission)]);
            let e = world.evaluate();
            assert!(refused(&e).contains("`/triage hold` was not carried out"));
            assert_eq!(e.custody, Custody::Free);
        }
    }

    #[test]
    fn a_reader_is_told_the_commands_and_the_reasons() {
        for permission in
            [Permission::Reader, Permission::Unknown, Permission::Unshown { is_admin: false }]
        {
            let asked = [Command::Explain, Command::Help].map(|c| request(c, permission));
            let e = two_agents().requests(asked.to_vec()).evaluate();
            assert!(e.orders.iter().all(|end| end.state == OrderState::CarriedOut), "{e:?}");
        }
    }

    #[test]
    fn a_hold_lasts_until_resume() {
        let hold = Command::Hold { reason: Some("not @now".into()) };
        let mut world = two_agents().requests(vec![writer(hold)]);
        let held = world.evaluate();
        let text = held.custody.hold().unwrap().to_string();
        assert!(text.starts_with("held by `alice`: `not @now`"), "{text}");
        world.record.custody = held.custody;
        let e = world.requests(vec![writer(Command::Resume)]).evaluate();
        assert!(e.begins_anew && e.custody.hold().is_none());
    }

    #[test]
    fn an_agent_is_found_in_any_case_and_an_unknown_one_is_refused_with_the_known() {
        let assign = |id: &str| writer(Command::Assign(Assignee::Agent(AgentId::new(id))));
        let e = two_agents().requests(vec![assign("KIMI")]).evaluate();
        assert_eq!(e.decision.agent(), Some(&AgentId::new("kimi")));
        let e = two_agents().requests(vec![assign("gemini")]).evaluate();
        assert!(refused(&e).contains("`claude`, `kimi`"), "{e:?}");
    }

    #[test]
    fn a_person_whom_the_forge_does_not_take_is_refused_and_changes_nothing() {
        let assign = Command::Assign(Assignee::Login("typo".into()));
        let mut world = two_agents().requests(vec![writer(assign)]);
        let question = world.with(evaluate).unwrap_err();
        assert_eq!(question, Question::Assignable("typo".into()));
        world.facts.assignable.insert("typo".into(), false);
        let e = world.evaluate();
        assert!(!refused(&e).is_empty() && e.assign.is_none() && e.transition.is_none());
        assert_eq!(e.custody.hold(), None);
    }

    fn assign(id: &str) -> CommandRequest {
        writer(Command::Assign(Assignee::Agent(AgentId::new(id))))
    }

    /// An issue that no score gives to anybody.
    fn poor() -> World {
        World::of(issue("It is slow", "")).agents(vec![agent("claude", &[]), agent("kimi", &[])])
    }

    #[test]
    fn a_hold_keeps_the_choice_until_resume() {
        let hold = writer(Command::Hold { reason: None });
        let e = poor().requests(vec![assign("kimi"), hold]).evaluate();
        assert!(e.custody.hold().is_some());
        let mut world = poor();
        world.record.custody = e.custody;
        let e = world.requests(vec![writer(Command::Resume)]).evaluate();
        assert_eq!(e.decision.agent(), Some(&AgentId::new("kimi")));
    }

    #[test]
    fn what_is_in_effect_is_gone_on_with_and_not_applied_again() {
        let mut world = poor();
        let open = Dispatch { is_chosen: true, ..dispatch("kimi", DispatchState::Pending) };
        world.record.custody = Custody::Dispatched(open);
        let again = CommandRequest { state: OrderState::Applied, ..assign("kimi") };
        for requests in [vec![again], vec![]] {
            let e = World { requests, ..world }.evaluate();
            assert_eq!(e.decision.agent(), Some(&AgentId::new("kimi")));
            assert!(!e.begins_anew && e.transition.is_none());
            world = poor().custody(e.custody);
        }
    }

    #[test]
    fn a_retry_goes_back_to_the_agent_that_was_chosen_and_else_says_why_not() {
        let mut world = poor().requests(vec![writer(Command::Retry)]);
        assert!(refused(&world.evaluate()).contains("score 1 is below the threshold"));
        world.record.recent =
            vec![Dispatch { is_chosen: true, ..dispatch("kimi", DispatchState::TimedOut) }];
        let e = world.evaluate();
        assert_eq!(e.decision.agent(), Some(&AgentId::new("kimi")));
        assert_eq!(e.orders[0].state, OrderState::CarriedOut);
    }

    fn claimed_by(login: &str) -> Custody {
        let (since, until) = (now(), now() + TimeDelta::days(7));
        let holder = Account { login: login.into(), id: 0 };
        let (remind_at, is_reminded) = (until - TimeDelta::hours(42), false);
        Custody::Claimed(PersonClaim { order: 9, holder, since, remind_at, until, is_reminded })
    }

    /// Bob's bug, which cleo has claimed and been assigned by us, and whose text was another one when alice gave it to an
    /// agent.
    fn claimed_and_changed() -> World {
        let account = |login: &str, id| Some(Account { login: login.into(), id });
        let text = TextDigest::of(&bug().title, "former");
        let change = Change::Assigned { login: "cleo".into(), on: true };
        let (assignees, author) = (vec!["cleo".to_owned()], account("bob", 2));
        let world = World::of(Issue { author, assignees, ..bug() });
        let policy = Policy { authors: Authors::Approved, ..Policy::default() };
        let answered = world.agents(vec![agent("claude", &[])]).policy(policy).answered(|facts| {
            facts.account = account("bot", 1);
            facts.writers.extend([("alice".to_owned(), true), ("bob".to_owned(), false)]);
            let at = Some(now());
            facts.timeline = Some(vec![TimelineEvent { by: account("bot", 1), at, change }]);
            let by = account("alice", 3);
            facts.shown_texts = Some(vec![ShownText { by, event: ShownEvent::Commented(7), text }]);
        });
        answered.custody(claimed_by("cleo"))
    }

    #[test]
    fn a_command_that_is_refused_takes_the_issue_from_nobody() {
        let e = claimed_and_changed().requests(vec![assign("claude")]).evaluate();
        assert!(refused(&e).contains("waits for approval"), "{:?}", e.orders);
        assert_eq!((e.custody, e.releases), (claimed_by("cleo"), None));
        assert!(matches!(e.decision.reason(), Reason::Claimed { .. }), "{:?}", e.decision);
        // One that somebody with write access released before is free.
        let release = CommandRequest { order: 2, ..writer(Command::Release) };
        let requests = vec![release, CommandRequest { order: 3, ..assign("claude") }];
        let e = claimed_and_changed().requests(requests).evaluate();
        assert_eq!((e.custody, e.releases.as_deref()), (Custody::Free, Some("cleo")));
    }

    /// A bug that says it is blocked, and somebody who claims it.
    fn blocked(permission: Permission) -> World {
        let mut blocked = bug();
        blocked.body.push_str("\nBlocked until the schema is settled.");
        let world = World::of(blocked).agents(vec![agent("claude", &[])]);
        let world = world.answered(|facts| facts.assignable.extend([("alice".to_owned(), true)]));
        world.requests(vec![request(Command::Claim, permission)])
    }

    #[test]
    fn only_who_may_write_claims_an_issue_that_calls_a_person() {
        let e = blocked(Permission::Writer).evaluate();
        assert!(e.custody.claim().is_some(), "{e:?}");
        for permission in
            [Permission::Reader, Permission::Unknown, Permission::Unshown { is_admin: true }]
        {
            let e = blocked(permission).evaluate();
            assert!(!refused(&e).is_empty() && e.custody == Custody::Free, "{e:?}");
            assert!(matches!(e.decision, Decision::Flag { .. }), "{:?}", e.decision);
        }
        insta::assert_snapshot!(refused(&blocked(Permission::Reader).evaluate()), @"`/triage claim` was not carried out: blocked, by its own text: a person has to resolve that; meanwhile only people with write access can claim it: ask one of them.");
        // Nobody is called for one that waits for its author, and whoever is asked in turn may say that they have it.
        let world = World { issue: issue("It is slow", ""), ..blocked(Permission::Reader) };
        assert!(world.evaluate().custody.claim().is_some());
        let mut world = blocked(Permission::Reader);
        world.record.duty = Some(Duty {
            rotation: "backend".into(),
            login: Some("Alice".into()),
            assigns: false,
            of: 1,
            passed: Vec::new(),
        });
        assert!(world.evaluate().custody.claim().is_some());
    }

    #[test]
    fn an_agent_cannot_be_chosen_for_an_issue_that_is_never_given_away() {
        let mut world = poor().requests(vec![assign("kimi")]);
        world.issue.labels = vec!["wontfix".into()];
        let policy = Policy { ignore_labels: vec!["wontfix".into()], ..Policy::default() };
        let e = world.policy(policy).evaluate();
        assert!(refused(&e).contains("its label `wontfix` says to ignore it"));
        assert_eq!(e.custody, Custody::Free);
    }
}
