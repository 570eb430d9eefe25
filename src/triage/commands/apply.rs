//! What people's commands come to: which of them are carried out, who has the issue then, and what is answered. Who may
//! command was found out before.

use chrono::TimeDelta;

use super::{
    Answer, Assignee, Audience, Command, CommandRequest, Permission, Refusal, Source, help, refusal,
};
use crate::dispatch::{AgentId, DispatchState};
use crate::issue::IssueState;
use crate::reason::Cause;
use crate::triage::{Custody, Evaluation, Question, Rules, Snapshot};

/// How many comments of outsiders are answered on an issue within an hour: whoever has no say must not be able to fill
/// an issue with answers.
const ANSWERS_TO_OUTSIDERS: usize = 2;
const HOUR: TimeDelta = TimeDelta::hours(1);

/// Carries the commands out, in their order.
pub(in crate::triage) fn apply_commands(
    evaluation: Evaluation,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Result<Evaluation, Question> {
    let known: Vec<AgentId> = rules.agents.iter().map(|agent| agent.id.clone()).collect();
    s.requests.iter().try_fold(evaluation, |mut e, request| {
        let refused = check(request, &e, s, &known)?;
        let refused = refused.map(|why| refusal(&request.command, &why));
        let to = audience(request, &e.answers, s);
        let answer = answer_to(&mut e.answers, request.source, to);
        answer.is_done &= refused.is_none();
        match (refused, &request.command) {
            (Some(text), _) => answer.texts.push(text),
            (None, Command::Help) => answer.texts.push(help()),
            (None, Command::Explain) => answer.explains = true,
            (None, _) => return Ok(carry_out(request, e, s, &known)),
        }
        Ok(e)
    })
}

/// The answer to what was given at `source`, begun for this audience when there is none.
fn answer_to(answers: &mut Vec<Answer>, source: Source, to: Audience) -> &mut Answer {
    let known = answers.iter().position(|answer| answer.source == source);
    let index = known.unwrap_or(answers.len());
    if known.is_none() {
        answers.push(Answer { source, to, is_done: true, texts: Vec::new(), explains: false });
    }
    &mut answers[index]
}

/// Whom the answer to this command is for.
fn audience(request: &CommandRequest, answers: &[Answer], s: &Snapshot<'_>) -> Audience {
    if request.permission == Permission::Writer {
        return Audience::Writer;
    }
    let earlier = s.record.answered_outsiders.iter();
    let earlier = earlier.filter(|at| (s.now - **at).abs() < HOUR).count();
    let now = answers.iter().filter(|answer| answer.to == Audience::Outsider).count();
    match earlier + now < ANSWERS_TO_OUTSIDERS {
        true => Audience::Outsider,
        false => Audience::Nobody,
    }
}

/// Why the command is not carried out, if it is not.
fn check<'a>(
    request: &'a CommandRequest,
    e: &Evaluation,
    s: &Snapshot<'_>,
    known: &'a [AgentId],
) -> Result<Option<Refusal<'a>>, Question> {
    if request.command.is_for_everybody() {
        return Ok(None);
    }
    match request.permission {
        Permission::Writer => {}
        Permission::Reader => return Ok(Some(Refusal::NotAWriter(&request.by))),
        Permission::Unknown => return Ok(Some(Refusal::PermissionUnknown(&request.by))),
    }
    let is_closed = s.issue.state == IssueState::Closed;
    Ok(match &request.command {
        Command::Unknown(_) => Some(Refusal::NoSuchCommand),
        Command::Assign(_) | Command::Retry | Command::Resume if is_closed => Some(Refusal::Closed),
        Command::Resume if e.custody.hold().is_none() => Some(Refusal::NotHeld),
        Command::Done if e.custody.dispatch().is_none() => Some(Refusal::NoDispatch),
        Command::Assign(Assignee::Agent(id)) if find(known, id).is_none() => {
            Some(Refusal::NoSuchAgent(known))
        }
        Command::Assign(Assignee::Login(login)) if !s.is_assignable(login)? => {
            Some(Refusal::NotAssignable(login))
        }
        _ => None,
    })
}

fn find<'a>(known: &'a [AgentId], id: &AgentId) -> Option<&'a AgentId> {
    known.iter().find(|known| known.as_str().eq_ignore_ascii_case(id.as_str()))
}

fn carry_out(
    request: &CommandRequest,
    e: Evaluation,
    s: &Snapshot<'_>,
    known: &[AgentId],
) -> Evaluation {
    let by = request.by.clone();
    match &request.command {
        Command::Triage | Command::Help | Command::Explain | Command::Unknown(_) => e,
        Command::Hold { reason } => {
            e.hold(DispatchState::Failed, Cause::HeldBy { by, reason: reason.clone() })
        }
        Command::Done => e.hold(DispatchState::Completed, Cause::DoneBy { by }),
        Command::Resume => free(e, s),
        Command::Retry => free(e.end(DispatchState::Failed, Cause::RetriedBy { by }), s),
        Command::Assign(Assignee::Login(login)) => {
            let cause = Cause::GivenBy { by, to: login.clone() };
            Evaluation { assign: Some(login.clone()), ..e.hold(DispatchState::Failed, cause) }
        }
        Command::Assign(Assignee::Agent(id)) => {
            let agent = find(known, id).unwrap_or(id);
            if e.custody.dispatch().is_some_and(|dispatch| dispatch.agent == *agent) {
                return Evaluation { is_chosen_again: true, ..free(e, s) };
            }
            let cause = Cause::GivenBy { by, to: id.to_string() };
            let e = free(e.end(DispatchState::Failed, cause), s);
            let custody = Custody::Chosen { agent: agent.clone(), task: request.task_type };
            Evaluation { custody, ..e }
        }
    }
}

/// Begins anew: what people took off may be put back, and earlier attempts no longer count.
fn free(mut e: Evaluation, s: &Snapshot<'_>) -> Evaluation {
    if e.custody.hold().is_some() {
        e.custody = Custody::Free;
    }
    e.removed.clear();
    e.attempts.clear();
    Evaluation { resumes: s.record.last_agent.clone(), begins_anew: true, ..e }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::commands;
    use crate::triage::evaluate;
    use crate::triage::samples::{World, agent, bug, issue};

    fn request(command: Command, permission: Permission) -> CommandRequest {
        let source = Source::Comment(7);
        CommandRequest { source, by: "alice".into(), permission, command, task_type: None }
    }

    fn writer(command: Command) -> CommandRequest {
        request(command, Permission::Writer)
    }

    fn two_agents() -> World {
        World::of(bug()).agents(vec![agent("claude", &[]), agent("kimi", &[])])
    }

    #[test]
    fn a_reader_is_refused_with_the_reason_and_changes_nothing() {
        for permission in [Permission::Reader, Permission::Unknown] {
            let world = World::of(issue("x", ""))
                .requests(vec![request(Command::Hold { reason: None }, permission)]);
            let e = world.evaluate();
            assert!(!e.answers[0].is_done);
            assert!(e.answers[0].texts[0].contains("`/triage hold` was not carried out"));
            assert_eq!(e.custody, Custody::Free);
        }
    }

    #[test]
    fn a_reader_is_told_the_commands_and_the_reasons() {
        for permission in [Permission::Reader, Permission::Unknown] {
            let asked = [Command::Explain, Command::Help].map(|c| request(c, permission));
            let e = two_agents().requests(asked.to_vec()).evaluate();
            assert!(e.answers[0].is_done && e.answers[0].explains, "{e:?}");
            assert_eq!(e.answers[0].texts, [commands::help()]);
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
        assert!(e.answers[0].texts[0].contains("`claude`, `kimi`"), "{e:?}");
    }

    #[test]
    fn a_person_whom_the_forge_does_not_take_is_refused_and_changes_nothing() {
        let assign = Command::Assign(Assignee::Login("typo".into()));
        let mut world = two_agents().requests(vec![writer(assign)]);
        let question = world.with(evaluate).unwrap_err();
        assert_eq!(question, Question::Assignable("typo".into()));
        world.facts.assignable.insert("typo".into(), false);
        let e = world.evaluate();
        assert!(!e.answers[0].is_done && e.assign.is_none() && e.transition.is_none());
        assert_eq!(e.custody.hold(), None);
    }

    #[test]
    fn two_commands_in_one_comment_have_one_answer() {
        let requests = vec![request(Command::Help, Permission::Reader), writer(Command::Explain)];
        let e = two_agents().requests(requests).evaluate();
        assert_eq!(e.answers.len(), 1);
        assert!(e.answers[0].explains && e.answers[0].texts == [commands::help()]);
    }
}
