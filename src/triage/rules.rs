//! What the owner tunes, as one piece that is swapped whole when the configuration is read again.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::Triage;
use crate::dispatch::budget::Budgets;
use crate::dispatch::{Agent, AgentId};
use crate::issue::{PathPattern, RepoPatterns};

named_enum! {
    /// One thing that a closed issue has to show.
    Check {
        /// No task-list item is open.
        Tasks = "tasks",
        /// A merged pull request is linked.
        PullRequest = "pull_request",
        /// The checks of that pull request are green.
        Status = "status",
    }
}

named_enum! {
    /// Whose closing is undone when it does not pass the review.
    #[derive(Default)]
    Reopen {
        /// The agent's, and that by a merged pull request; a person's counts.
        #[default]
        Work = "work",
        /// Everybody's.
        Always = "always",
    }
}

/// What the owner tunes.
#[derive(Debug)]
pub struct Rules {
    /// The compiled policy.
    pub triage: Triage,
    /// Who works on issues, in the order they are tried.
    pub agents: Vec<Agent>,
    /// The repositories to look after.
    pub repos: RepoPatterns,
    /// Whom a flag calls; the repository's owner when not given.
    pub owner: Option<String>,
    /// The label a flag puts on.
    pub flag_label: Option<String>,
    /// The label of an issue that lacks what somebody needs to work on it.
    pub needs_info_label: Option<String>,
    /// The label of a question.
    pub question_label: Option<String>,
    /// The label by which a person who may write approves an issue.
    pub approve_label: Option<String>,
    /// How many issues a person may have claimed at once.
    pub claim_limit: u32,
    /// How long a claim lasts without a sign of work.
    pub claim_expires: Duration,
    /// Whom a flag calls in turn, instead of the owner; the first that serves an issue counts.
    pub rotations: Vec<Rotation>,
    /// What runs may use.
    pub budgets: Arc<Budgets>,
    /// How many failed evaluations make a dead letter.
    pub max_attempts: u32,
    /// How many writes one issue may get within an hour.
    pub write_limit: u32,
    /// How many attempts, and how many hand-offs of one, may fail before a person is asked.
    pub dispatch_attempts: u32,
    /// Whether a runner's agent works again on what people and checks say of its pull request.
    pub follow_up: bool,
    /// What a closed issue has to show for its dispatch to be completed.
    pub review: Vec<Check>,
    /// Whose closing is undone when it does not.
    pub reopen: Reopen,
    /// Where agents may report to.
    pub public_url: Option<String>,
    /// Where people see an issue's story; `None` where no page shows it.
    pub pages: Option<String>,
}

impl Rules {
    /// The agent of this name, if it is configured.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.id == *id)
    }
}

/// People who are asked in turn.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Its name.
    pub name: String,
    /// Who, in the order in which equals are asked.
    pub members: Vec<Member>,
    /// It serves issues with one of these labels.
    pub labels: Vec<String>,
    /// It serves issues that name a file which one of these fits. With neither it serves all.
    pub paths: Vec<PathPattern>,
    /// The repositories it serves; all when not given.
    pub repos: Option<RepoPatterns>,
    /// Whether whoever is asked is assigned.
    pub assigns: bool,
    /// Where days begin.
    pub timezone: Tz,
}

/// A member of a rotation.
#[derive(Clone, Debug)]
pub struct Member {
    /// Their login.
    pub login: String,
    /// How often they are asked, beside the others.
    pub weight: u32,
    /// When they are away.
    pub absent: Vec<Absence>,
}

/// Days on which somebody is away, the last one included.
#[derive(Clone, Copy, Debug)]
pub struct Absence {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub until: NaiveDate,
}

impl Member {
    /// The last day they are away, if they are.
    pub(super) fn away_until(&self, today: NaiveDate) -> Option<NaiveDate> {
        let now = self.absent.iter().filter(|one| (one.from..=one.until).contains(&today));
        now.map(|one| one.until).max()
    }

    /// By what their share is counted.
    pub(super) fn key(&self) -> String {
        self.login.to_lowercase()
    }
}
