//! What people's commands come to: which of them are carried out, what they change in how an issue stands, and what
//! is answered. Who may command was found out before; here it is only obeyed.

use super::Standing;
use super::commands::{self, Assignee, Command, Refusal};
use crate::dispatch::{AgentId, DispatchState, TaskType};
use crate::issue::{Issue, IssueState};
use crate::triage::code;

/// Whether the writer of a comment may give orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// They may write to the repository.
    Writer,
    /// They may not.
    Reader,
    /// It could not be found out.
    Unknown,
}

/// Where an order was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// In a comment, by the forge's id of it.
    Comment(i64),
    /// On the command line or the dashboard, by its place in the inbox; nobody waits for an answer on the issue.
    Entry(i64),
}

/// One command in one comment, or one given by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Where it was given.
    pub source: Source,
    /// Who wrote it.
    pub by: String,
    /// What they may.
    pub permission: Permission,
    /// What they want.
    pub command: Command,
    /// The kind of task an agent is to have it for, where that was said.
    pub task_type: Option<TaskType>,
}

/// What is answered to a comment with commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where the orders were given that it answers.
    pub source: Source,
    /// Whether all its commands were carried out.
    pub is_obeyed: bool,
    /// The paragraphs of the answer; none where a reaction says enough.
    pub texts: Vec<String>,
    /// Whether the reasons for the decision are asked for.
    pub explains: bool,
}

/// What the orders of one evaluation come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obeyed {
    /// One answer for each comment or entry, in their order.
    pub answers: Vec<Answer>,
    /// How the open dispatch ends by an order, and why.
    pub ends: Option<(DispatchState, String)>,
    /// Who is to be assigned by hand.
    pub assigns: Option<String>,
    /// Whether what people took off may be put back.
    pub forgives: bool,
}

/// Carries the orders out on `standing`, in their order.
pub fn obey(orders: &[Order], standing: &mut Standing, issue: &Issue) -> Obeyed {
    let known: Vec<AgentId> = standing.agents.iter().map(|agent| agent.id.clone()).collect();
    let mut obeyed = Obeyed::default();
    for order in orders {
        let result = check(order, standing, &known, issue);
        let refused = result.as_ref().err().map(|why| commands::refusal(&order.command, why));
        let answer = answer_to(&mut obeyed.answers, order.source);
        answer.is_obeyed &= refused.is_none();
        match refused {
            Some(text) => answer.texts.push(text),
            None => carry_out(order, standing, &known, &mut obeyed),
        }
    }
    obeyed
}

fn answer_to(answers: &mut Vec<Answer>, source: Source) -> &mut Answer {
    let known = answers.iter().position(|answer| answer.source == source);
    let index = known.unwrap_or(answers.len());
    if known.is_none() {
        answers.push(Answer { source, is_obeyed: true, texts: Vec::new(), explains: false });
    }
    &mut answers[index]
}

fn check<'a>(
    order: &'a Order,
    standing: &Standing,
    known: &'a [AgentId],
    issue: &Issue,
) -> Result<(), Refusal<'a>> {
    // Anybody may ask for help.
    if order.command == Command::Help {
        return Ok(());
    }
    match order.permission {
        Permission::Writer => {}
        Permission::Reader => return Err(Refusal::NotAWriter { login: &order.by }),
        Permission::Unknown => return Err(Refusal::PermissionUnknown { login: &order.by }),
    }
    let is_closed = issue.state == IssueState::Closed;
    match &order.command {
        Command::Unknown(_) => Err(Refusal::NoSuchCommand),
        Command::Assign(_) | Command::Retry | Command::Resume if is_closed => Err(Refusal::Closed),
        Command::Resume if standing.held.is_none() => Err(Refusal::NotHeld),
        Command::Done if standing.dispatch.is_none() => Err(Refusal::NoDispatch),
        Command::Assign(Assignee::Agent(id)) if find(known, id).is_none() => {
            Err(Refusal::NoSuchAgent { agents: known })
        }
        Command::Assign(Assignee::Login(login)) if is_among(&standing.unassignable, login) => {
            Err(Refusal::NotAssignable { login })
        }
        _ => Ok(()),
    }
}

fn is_among(logins: &[String], login: &str) -> bool {
    logins.iter().any(|one| one.eq_ignore_ascii_case(login))
}

fn find<'a>(known: &'a [AgentId], id: &AgentId) -> Option<&'a AgentId> {
    known.iter().find(|known| known.as_str().eq_ignore_ascii_case(id.as_str()))
}

fn carry_out(order: &Order, standing: &mut Standing, known: &[AgentId], obeyed: &mut Obeyed) {
    let by = code(&order.by);
    match &order.command {
        Command::Triage | Command::Unknown(_) => {}
        Command::Help => answer_to(&mut obeyed.answers, order.source).texts.push(commands::help()),
        Command::Explain => answer_to(&mut obeyed.answers, order.source).explains = true,
        Command::Hold { reason } => {
            let reason = reason.as_deref().map(|r| format!(": {}", code(r))).unwrap_or_default();
            end(standing, obeyed, DispatchState::Failed, format!("held by {by}{reason}"));
        }
        Command::Done => {
            end(standing, obeyed, DispatchState::Completed, format!("done, says {by}"))
        }
        Command::Resume => free(standing, obeyed),
        Command::Retry => {
            end(standing, obeyed, DispatchState::Failed, format!("handed over once more by {by}"));
            free(standing, obeyed);
        }
        Command::Assign(Assignee::Login(login)) => {
            end(
                standing,
                obeyed,
                DispatchState::Failed,
                format!("given to {} by {by}", code(login)),
            );
            obeyed.assigns = Some(login.clone());
        }
        Command::Assign(Assignee::Agent(id)) => {
            let chosen = find(known, id).cloned();
            let keeps =
                standing.dispatch.as_ref().is_some_and(|d| Some(&d.agent) == chosen.as_ref());
            if !keeps {
                let reason = format!("given to {} by {by}", code(id.as_str()));
                end(standing, obeyed, DispatchState::Failed, reason);
            }
            free(standing, obeyed);
            standing.chosen = chosen;
            standing.chosen_task = order.task_type;
        }
    }
}

/// Ends the open dispatch, and holds the issue for the same reason.
fn end(standing: &mut Standing, obeyed: &mut Obeyed, state: DispatchState, reason: String) {
    if standing.dispatch.take().is_some() {
        obeyed.ends = Some((state, reason.clone()));
    }
    standing.chosen = None;
    standing.chosen_task = None;
    standing.held = Some(format!("{reason}; `/triage resume` goes on"));
}

fn free(standing: &mut Standing, obeyed: &mut Obeyed) {
    standing.held = None;
    standing.ours = standing.last_agent.clone();
    obeyed.forgives = true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::samples::{agent, bug, issue};

    fn order(command: Command, permission: Permission) -> Order {
        let source = Source::Comment(7);
        Order { source, by: "alice".into(), permission, command, task_type: None }
    }

    fn standing() -> Standing {
        Standing { agents: vec![agent("claude", &[]), agent("kimi", &[])], ..Standing::default() }
    }

    #[test]
    fn a_reader_is_refused_with_the_reason_and_changes_nothing() {
        let mut standing = standing();
        for permission in [Permission::Reader, Permission::Unknown] {
            let orders = [order(Command::Hold { reason: None }, permission)];
            let obeyed = obey(&orders, &mut standing, &issue("x", ""));
            assert!(!obeyed.answers[0].is_obeyed);
            assert!(obeyed.answers[0].texts[0].contains("`/triage hold` was not carried out"));
            assert_eq!(standing.held, None);
        }
    }

    #[test]
    fn a_hold_lasts_until_resume() {
        let mut standing = standing();
        let hold = Command::Hold { reason: Some("not @now".into()) };
        obey(&[order(hold, Permission::Writer)], &mut standing, &bug());
        assert!(standing.held.as_ref().unwrap().starts_with("held by `alice`: `not @now`"));
        let obeyed = obey(&[order(Command::Resume, Permission::Writer)], &mut standing, &bug());
        assert!(obeyed.forgives && standing.held.is_none());
    }

    #[test]
    fn an_agent_is_found_in_any_case_and_an_unknown_one_is_refused_with_the_known() {
        let mut standing = standing();
        let assign = |id: &str| {
            order(Command::Assign(Assignee::Agent(AgentId::new(id))), Permission::Writer)
        };
        obey(&[assign("KIMI")], &mut standing, &bug());
        assert_eq!(standing.chosen, Some(AgentId::new("kimi")));
        let obeyed = obey(&[assign("gemini")], &mut standing, &bug());
        assert!(obeyed.answers[0].texts[0].contains("`claude`, `kimi`"), "{obeyed:?}");
    }

    #[test]
    fn a_person_whom_the_forge_does_not_take_is_refused_and_changes_nothing() {
        let mut standing = Standing { unassignable: vec!["Typo".into()], ..standing() };
        let assign = Command::Assign(Assignee::Login("typo".into()));
        let obeyed = obey(&[order(assign, Permission::Writer)], &mut standing, &bug());
        assert!(!obeyed.answers[0].is_obeyed && obeyed.assigns.is_none() && obeyed.ends.is_none());
        assert_eq!(standing.held, None);
    }

    #[test]
    fn two_commands_in_one_comment_have_one_answer() {
        let orders =
            [order(Command::Help, Permission::Reader), order(Command::Explain, Permission::Writer)];
        let obeyed = obey(&orders, &mut standing(), &bug());
        assert_eq!(obeyed.answers.len(), 1);
        assert!(obeyed.answers[0].explains && obeyed.answers[0].texts.len() == 1);
    }
}
