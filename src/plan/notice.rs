//! What people are told once about a dispatch, each in a comment of its own, because an edit notifies nobody. Text of
//! agents is quoted as code. Pure.

use std::fmt::Write as _;

use super::{Effect, Marker, code, fence};
use crate::clock::Timestamp;
use crate::dispatch::{AgentId, Report, Try};

/// What people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The agent has little time left.
    Reminder {
        /// The ledger's number of the dispatch.
        dispatch: i64,
        /// The account to call, if the agent has one.
        login: Option<String>,
        /// When its time is over.
        deadline_at: Timestamp,
    },
    /// The agent's time is over.
    TimedOut {
        /// The ledger's number of the dispatch.
        dispatch: i64,
        /// Who had it.
        agent: AgentId,
        /// For how many minutes.
        minutes: i64,
    },
    /// A person has to take over.
    Escalation {
        /// The ledger's number of the dispatch.
        dispatch: i64,
        /// What was tried, and what failed.
        tries: Vec<Try>,
    },
    /// The agent delivered.
    Result {
        /// The ledger's number of the dispatch.
        dispatch: i64,
        /// Who.
        agent: AgentId,
        /// What it said.
        report: Report,
    },
    /// A closed issue is open again, and nobody has it yet.
    Reopened {
        /// The ledger's number of the dispatch.
        dispatch: i64,
        /// What was missing.
        cause: String,
    },
}

impl Notice {
    /// The comment that tells it; `owner` is whom it calls where a person is needed.
    pub(super) fn effect(&self, owner: &str) -> Effect {
        let marker = self.marker();
        let body = format!("{}\n\n{marker}", self.text(owner));
        Effect::Comment { edit: None, marker, body }
    }

    /// By what it is found again.
    pub fn marker(&self) -> Marker {
        let (kind, dispatch) = match self {
            Self::Reminder { dispatch, .. } => ("reminder", dispatch),
            Self::TimedOut { dispatch, .. } => ("timed_out", dispatch),
            Self::Escalation { dispatch, .. } => ("escalation", dispatch),
            Self::Result { dispatch, .. } => ("result", dispatch),
            Self::Reopened { dispatch, .. } => ("reopened", dispatch),
        };
        Marker::notice(kind, *dispatch)
    }

    fn text(&self, owner: &str) -> String {
        match self {
            Self::Reminder { login, deadline_at, .. } => reminder(login.as_deref(), *deadline_at),
            Self::TimedOut { agent, minutes, .. } => timed_out(owner, agent, *minutes),
            Self::Escalation { tries, .. } => escalation(owner, tries),
            Self::Result { agent, report, .. } => result(agent, report),
            Self::Reopened { cause, .. } => {
                format!("**Triage: opened again**\n\n{}.\n\n{CLOSE_FOR_GOOD}", sentence(cause))
            }
        }
    }
}

const CLOSE_FOR_GOOD: &str =
    "<sub>To close it all the same: comment `/triage done`, then close it.</sub>";
const WAYS_ON: &str = "<sub>`/triage retry` hands it over once more, `/triage assign <agent>` or `/triage assign @login` gives it to somebody else. Nothing more happens by itself.</sub>";

/// The first letter as a sentence wants it.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str())
}

fn reminder(login: Option<&str>, deadline_at: Timestamp) -> String {
    let whom = login.map(|login| format!("@{login}: ")).unwrap_or_default();
    format!(
        "**Triage: reminder**\n\n{whom}this is due at {}. If it is not closed by then, a person is asked to look at it.",
        deadline_at.format("%Y-%m-%d %H:%M UTC")
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

fn escalation(owner: &str, tries: &[Try]) -> String {
    let mut text =
        format!("**Triage: escalated**\n\n@{owner}, this needs a person. What was tried:\n\n");
    for one in tries {
        let _ = writeln!(text, "- {}: {}", code(one.agent.as_str()), one.cause);
    }
    let _ = write!(text, "\n{WAYS_ON}");
    text
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
        "<sub>Close the issue if that settles it; `/triage retry` hands it over once more.</sub>",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::Progress;

    #[track_caller]
    fn told(notice: &Notice) -> String {
        match notice.effect("alice") {
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
        let one = |agent: &str, cause: &str| Try {
            dispatch: 1,
            agent: AgentId::new(agent),
            cause: cause.into(),
        };
        let tries = vec![
            one("claude", "the review was not passed: 1 task is open"),
            one("kimi", "the agent reported that it failed: `no idea @bob`"),
        ];
        insta::assert_snapshot!(told(&Notice::Escalation { dispatch: 7, tries }), @"
        **Triage: escalated**

        @alice, this needs a person. What was tried:

        - `claude`: the review was not passed: 1 task is open
        - `kimi`: the agent reported that it failed: `no idea @bob`

        <sub>`/triage retry` hands it over once more, `/triage assign <agent>` or `/triage assign @login` gives it to somebody else. Nothing more happens by itself.</sub>

        <!-- gitea-triage decision=notice:escalation:7 digest=- -->
        ");
    }

    #[test]
    fn a_result_is_quoted_so_that_it_calls_nobody() {
        let report = Report {
            state: Progress::Completed,
            message: Some("done, see #12\n```\n@bob".into()),
            url: Some("https://example.com/1".into()),
        };
        let body = told(&Notice::Result { dispatch: 7, agent: AgentId::new("api"), report });
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
