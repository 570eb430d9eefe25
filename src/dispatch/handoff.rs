//! Why work could not be handed to an agent. No message holds a secret, nor more of the endpoint than its host: paths and
//! queries carry tokens too.

use std::net::IpAddr;

use super::AgentId;

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Its status is neither 200, 201 nor 202.
    Status,
    /// It is a page for people, as proxies and logins send it.
    Html,
    /// It is longer than the client is willing to hold.
    TooLarge,
}

/// Why a hand-over did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoffError {
    /// The agent has no endpoint.
    #[error("No API endpoint configured for agent `{agent}`; set `endpoint` in its `[[agent]]`")]
    NoEndpoint {
        /// The agent.
        agent: AgentId,
    },
    /// The endpoint is no address that can be called.
    #[error(
        "the `endpoint` of agent `{agent}` {why}; write it as `https://agents.example.com/run`"
    )]
    BadEndpoint {
        /// The agent.
        agent: AgentId,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The endpoint is inside a network that was not opened to agents.
    #[error(
        "agent `{agent}` was not called: `{host}` leads to the private address `{address}`; \
         list it in `agents.allow_private` if that is meant"
    )]
    Private {
        /// The agent.
        agent: AgentId,
        /// The endpoint's host.
        host: String,
        /// The address that is refused.
        address: IpAddr,
    },
    /// No whole answer came.
    #[error("agent `{agent}` at `{host}`: {reason}")]
    Unreachable {
        /// The agent.
        agent: AgentId,
        /// The endpoint's host.
        host: String,
        /// What happened to the connection.
        reason: &'static str,
    },
    /// The answer is none of a hand-over taken.
    #[error("API agent `{agent}` returned {status}{}", advice(*.status, *.wrong))]
    Answer {
        /// The agent.
        agent: AgentId,
        /// The HTTP status.
        status: u16,
        /// What is wrong.
        wrong: Wrong,
        /// How the answer begins, at most 200 characters in the agent's own words: quote them as code.
        answer: String,
    },
    /// The issue has no title.
    #[error("`title` is required; give the issue one")]
    NoTitle,
    /// There is no local agent to start.
    #[error(
        "no model is configured for the local agent; add `[local_agent]` with its `url` and `model`"
    )]
    NoModel,
    /// There is nothing here that makes runs.
    #[error("runs are made by `gitea-triage serve` only")]
    NoRunner,
    /// What the agent is to be told could not be put together.
    #[error("the work of agent `{agent}` could not be prepared: {reason}")]
    Unprepared {
        /// The agent.
        agent: AgentId,
        /// Why.
        reason: String,
        /// Whether it may well be possible later.
        is_transient: bool,
    },
    /// The client could not be built from its settings.
    #[error("{0}")]
    Settings(String),
}

fn advice(status: u16, wrong: Wrong) -> &'static str {
    match (wrong, status) {
        (Wrong::Html, _) => " and a page for people; see that `endpoint` leads to the agent itself",
        (Wrong::TooLarge, _) => " and more than 256 KiB, which was not read to its end",
        (_, 300..=399) => ", a redirect, which is not followed; set `endpoint` to where it leads",
        (_, 401 | 403) => "; see that both sides have the same secret",
        _ => "",
    }
}

impl HandoffError {
    /// How the agent's answer begins, in its own words, to be quoted as code; empty when there was none.
    pub fn answer(&self) -> &str {
        match self {
            Self::Answer { answer, .. } => answer,
            _ => "",
        }
    }

    /// Why, with the agent's own words.
    pub fn in_full(&self) -> String {
        match self.answer() {
            "" => self.to_string(),
            answer => format!("{self}: {answer}"),
        }
    }

    /// Whether the same hand-over may well succeed later, with nobody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Answer { wrong: Wrong::Html, .. } => true,
            Self::Unprepared { is_transient, .. } => *is_transient,
            Self::Answer { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, wrong: Wrong) -> HandoffError {
        HandoffError::Answer { agent: AgentId::new("api"), status, wrong, answer: "no".into() }
    }

    #[test]
    fn statuses_are_sorted_into_later_and_never() {
        for later in [408, 425, 429, 500, 502, 503, 504] {
            assert!(answer(later, Wrong::Status).is_transient(), "{later}");
        }
        for never in [204, 301, 400, 401, 403, 404, 410, 422] {
            assert!(!answer(never, Wrong::Status).is_transient(), "{never}");
        }
        assert!(answer(200, Wrong::Html).is_transient());
        assert!(!answer(200, Wrong::TooLarge).is_transient());
    }

    #[test]
    fn an_error_says_what_to_do() {
        let none = HandoffError::NoEndpoint { agent: AgentId::new("api") };
        assert_eq!(
            none.to_string(),
            "No API endpoint configured for agent `api`; set `endpoint` in its `[[agent]]`"
        );
        assert_eq!(
            answer(403, Wrong::Status).to_string(),
            "API agent `api` returned 403; see that both sides have the same secret"
        );
    }
}
