//! What people are told once about a dispatch or a claim, each in a comment of its own, because an edit notifies nobody. Text of
//! agents is quoted as code. Pure.

use std::fmt::Write as _;

use super::{Effect, code, fence};
use crate::clock::Timestamp;
use crate::dispatch::run::Asked;
use crate::dispatch::{AgentId, Attempt, Report};
use crate::issue::IssueRef;
use crate::reason::{Cause, Duty};
use crate::triage::{News, Notice};

/// Whom a comment calls where a person is needed.
#[derive(Clone, Copy)]
pub(super) struct Called<'a> {
    /// Their login.
    pub(super) login: &'a str,
    /// Why them, where it is their turn.
    pub(super) duty: Option<&'a Duty>,
}

/// The comment that says it.
pub(super) fn effect(notice: &Notice, called: Called<'_>) -> Effect {
    let marker = notice.marker();
    let body = format!("{}\n\n{marker}", text(&notice.news, called));
    Effect::Comment { edit: None, marker, body }
}

fn text(news: &News, called: Called<'_>) -> String {
    let owner = called.login;
    let asked = || called.duty.map(|duty| format!("\n\n**Asked:** {duty}.")).unwrap_or_default();
    match news {
        News::Reminder { login, deadline_at, pulls } => {
            reminder(login.as_deref(), *deadline_at, pulls)
        }
        News::TimedOut { agent, minutes } => timed_out(owner, agent, *minutes) + &asked(),
        News::Escalation { attempts } => escalation(owner, attempts) + &asked(),
        News::Result { agent, report } => result(agent, report),
        News::Unchanged { agent, pull, message } => {
            unchanged(owner, agent, pull) + &said(message.as_deref()) + &asked()
        }
        News::Reopened { cause } => {
            let cause = sentence(&cause.to_string());
            format!("**Triage: opened again**\n\n{cause}.\n\n{CLOSE_FOR_GOOD}")
        }
        News::ClaimReminder { login, until } => claim_reminder(login, *until),
        News::ClaimEnded { login } => claim_ended(login),
    }
}

const CLOSE_FOR_GOOD: &str =
    "<sub>To close it all the same: comment `/triage done`, then close it.</sub>";
const WAYS_ON: &str = "<sub>`/triage retry` dispatches it again, `/triage assign <agent>` or `/triage assign @login` gives it to somebody else. Nothing else happens automatically.</sub>";

/// The first letter as a sentence wants it.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str())
}

fn reminder(login: Option<&str>, deadline_at: Timestamp, pulls: &[IssueRef]) -> String {
    let whom = login.map(|login| format!("@{login}: ")).unwrap_or_default();
    let pulls: Vec<_> = pulls.iter().map(|pull| code(&pull.to_string())).collect();
    let then = match pulls.is_empty() {
        true => "If it is not closed by then, a person is asked to look at it.".to_owned(),
        false => format!("As long as {} is open, it goes on after that.", pulls.join(" or ")),
    };
    let at = deadline_at.format("%Y-%m-%d %H:%M UTC");
    format!("**Triage: reminder**\n\n{whom}this is due at {at}. {then}")
}

fn claim_reminder(login: &str, until: Timestamp) -> String {
    let until = until.format("%Y-%m-%d %H:%M UTC");
    format!(
        "**Triage: reminder**\n\n@{login}: your claim ends at {until}. A comment of yours or a pull request that names the issue keeps it; `/triage release` gives it back."
    )
}

fn claim_ended(login: &str) -> String {
    format!(
        "**Triage: claim ended**\n\n@{login}: there was no sign of work, so your claim has ended, and others may take the issue. `/triage claim` claims it again."
    )
}

fn timed_out(owner: &str, agent: &AgentId, minutes: i64) -> String {
    let time = match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    };
    format!(
        "**Triage: timed out**\n\n@{owner}: {} has had this for {time}, and it is not closed.\n\n{WAYS_ON}",
        code(agent.as_str())
    )
}

fn escalation(owner: &str, attempts: &[Attempt]) -> String {
    let mut text =
        format!("**Triage: escalated**\n\n@{owner}, this needs a person. What was tried:\n\n");
    for one in attempts {
        let _ = writeln!(text, "- {}: {}", code(one.agent.as_str()), one.cause);
    }
    if let Some(Cause::AsksPermission { agent, asked }) = attempts.last().map(|one| &one.cause) {
        let (agent, Asked { kind, title }) = (code(agent.as_str()), asked);
        let _ = write!(
            text,
            "\nIt would do this, in its own words:\n\n{}\n\nSomebody with write access answers with `/triage allow` or `/triage deny`. {agent} then gets the issue again, and tools of the kind `{kind}` are allowed or refused in all runs on it.\n",
            fence(title)
        );
    }
    let _ = write!(text, "\n{WAYS_ON}");
    text
}

fn unchanged(owner: &str, agent: &AgentId, pull: &IssueRef) -> String {
    let (agent, pull) = (code(agent.as_str()), code(&pull.to_string()));
    format!(
        "**Triage: nothing was changed**\n\n@{owner}: {agent} was to work again on {pull}, and found nothing to change. It is still its work."
    )
}

/// The agent's own words.
fn said(message: Option<&str>) -> String {
    message.map(|message| format!("\n\n{}", fence(message))).unwrap_or_default()
}

fn result(agent: &AgentId, report: &Report) -> String {
    let mut text = format!("**Triage: {} reports that it is done**\n\n", code(agent.as_str()));
    if let Some(message) = &report.message {
        let _ = write!(text, "{}\n\n", fence(message));
    }
    if let Some(url) = &report.url {
        let _ = write!(text, "To be seen at {}\n\n", code(url));
    }
    text.push_str(
        "<sub>Close the issue if that settles it; `/triage retry` dispatches it again.</sub>",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::Progress;
    use crate::reason::Unmet;
    use crate::triage::Marker;

    #[track_caller]
    fn said(news: News) -> String {
        let called = Called { login: "alice", duty: None };
        match effect(&Notice { about: 7, news }, called) {
            Effect::Comment { edit: None, marker, body } => {
                assert_eq!(Marker::find(&body), Some(marker.clone()));
                assert!(!marker.is_audit());
                body
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_escalation_names_what_was_tried_and_calls_the_owner() {
        let one = |agent: &str, cause| Attempt { dispatch: 1, agent: AgentId::new(agent), cause };
        let unmet = vec![Unmet::OpenTasks { count: 1 }];
        let attempts = vec![
            one("claude", Cause::ReviewFailed { unmet }),
            one("kimi", Cause::ReportedFailed { message: Some("no idea @bob".into()) }),
        ];
        insta::assert_snapshot!(said(News::Escalation { attempts }), @"
        **Triage: escalated**

        @alice, this needs a person. What was tried:

        - `claude`: the review was not passed: 1 task in its list is not ticked
        - `kimi`: the agent reported that it failed: `no idea @bob`

        <sub>`/triage retry` dispatches it again, `/triage assign <agent>` or `/triage assign @login` gives it to somebody else. Nothing else happens automatically.</sub>

        <!-- gitea-triage decision=notice:escalation:7 digest=- -->
        ");
    }

    #[test]
    fn a_result_is_quoted_so_that_it_calls_nobody() {
        let report = Report {
            message: Some("done, see #12\n```\n@bob".into()),
            url: Some("https://example.com/1".into()),
            ..Report::new(Progress::Completed)
        };
        let body = said(News::Result { agent: AgentId::new("api"), report });
        assert!(body.contains("````text\ndone, see #12\n```\n@bob\n````"), "{body}");
        assert!(body.contains("`https://example.com/1`"), "{body}");
    }

    #[test]
    fn a_time_is_told_in_hours_and_minutes() {
        let text = |minutes| timed_out("alice", &AgentId::new("kimi"), minutes);
        assert!(text(45).contains("for 45 min,"));
        assert!(text(120).contains("for 2 h,"));
        assert!(text(150).contains("for 2 h 30 min,"));
    }
}
