//! A server and the program beside it, joined by a webhook.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gitea_triage::gitea::Recording;
use serde_json::{Value, json};

use crate::forge::{Forge, Hook, REPO, Which};
use crate::triage::{Delivery, Triage};
use crate::wait::until;

/// How long everything may take to come to rest.
const REST: Duration = Duration::from_secs(20);

/// All that a story needs.
pub struct World {
    // Dropped in this order: the program ends before its server does.
    pub triage: Triage,
    pub forge: Forge,
    pub hook: Hook,
}

/// How long the parts of one decision took, from the moment before the issue was opened. Seen from outside, so each
/// may be a look too late.
#[derive(Clone, Copy)]
pub struct Times {
    /// The server answered the person.
    pub opened: Duration,
    /// The program had the delivery, by its own clock.
    pub received: Duration,
    /// The server had the program's 202.
    pub accepted: Duration,
    pub comment: Duration,
    pub label: Duration,
    /// `None` when nobody was to be assigned.
    pub assignee: Option<Duration>,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opened, received, accepted, comment, label, assignee } = self;
        write!(
            f,
            "opened {opened:.0?}, received {received:.0?}, 202 {accepted:.0?}, comment {comment:.0?}, label {label:.0?}"
        )?;
        if let Some(assignee) = assignee {
            write!(f, ", assignee {assignee:.0?}")?;
        }
        write!(f, "; decided {:.0?} after it was received", self.decided())
    }
}

impl Times {
    /// From the delivery's arrival until all of the decision could be seen.
    pub fn decided(&self) -> Duration {
        let last = self.comment.max(self.label).max(self.assignee.unwrap_or_default());
        last.saturating_sub(self.received)
    }
}

/// Title and body of a recorded issue, to be opened again.
pub fn recorded(name: &str) -> Value {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let recording = Recording::read(std::fs::read(folder.join(name)).unwrap()).unwrap();
    let payload: Value = serde_json::from_slice(&recording.body).unwrap();
    json!({"title": payload["issue"]["title"], "body": payload["issue"]["body"]})
}

impl World {
    /// Starts both; `more` is added to the program's configuration.
    pub async fn start(which: Which, more: &str) -> Self {
        let forge = Forge::start(which).await;
        let triage = Triage::start(&forge, more).await;
        let hook = forge.hook(&triage.webhook()).await;
        Self { triage, forge, hook }
    }

    /// Opens an issue; gives its number.
    pub async fn open(&self, by: &str, issue: Value) -> u64 {
        let opened = self.forge.person(by).post(&format!("{REPO}/issues"), issue).await;
        opened["number"].as_u64().unwrap()
    }

    /// Opens an issue and watches until it has a comment, the label, and the assignee if one is named.
    pub async fn open_and_watch(
        &self,
        issue: Value,
        (label, assignee): (&str, Option<&str>),
    ) -> (u64, Times) {
        let before = answered(&self.forge);
        let start = Utc::now();
        let number = self.open("bob", issue).await;
        let opened = since(start);
        let watcher = self.forge.person("alice");
        let (issue, comments) =
            (format!("{REPO}/issues/{number}"), format!("{REPO}/issues/{number}/comments"));
        let (mut accepted, mut comment, mut labelled, mut assigned) = (None, None, None, None);
        until(REST, async || {
            if accepted.is_none() && answered(&self.forge) > before {
                accepted = Some(since(start));
            }
            if comment.is_none() && watcher.get(&comments).await[0].is_object() {
                comment = Some(since(start));
            }
            let shown = watcher.get(&issue).await;
            if labelled.is_none() && names(&shown["labels"], "name").iter().any(|n| n == label) {
                labelled = Some(since(start));
            }
            let logins = names(&shown["assignees"], "login");
            if assigned.is_none() && assignee.is_some_and(|a| logins.iter().any(|l| l == a)) {
                assigned = Some(since(start));
            }
            let is_complete = accepted.is_some()
                && comment.is_some()
                && labelled.is_some()
                && assigned.is_some() == assignee.is_some();
            if is_complete { Ok(()) } else { Err(format!("issue {number} is {shown}")) }
        })
        .await;
        let inbox = self.triage.inbox();
        let first = inbox.iter().find(|d| d.is_about(number)).unwrap();
        let received = (first.received_at - start).to_std().unwrap_or_default();
        let times = Times {
            opened,
            received,
            accepted: accepted.unwrap(),
            comment: comment.unwrap(),
            label: labelled.unwrap(),
            assignee: assigned,
        };
        (number, times)
    }

    /// Waits until nothing more will happen by itself: every delivery was answered, has arrived, and has ended.
    /// Gitea makes a delivery before it answers the call that caused it, and an end is recorded after the last write.
    pub async fn rest(&self) -> Vec<Delivery> {
        let rest = until(REST, async || {
            let inbox = self.triage.inbox();
            if let Some(open) = inbox.iter().find(|d| !d.has_ended()) {
                return Err(format!("not ended: {open:?}"));
            }
            let sent = self.forge.sent();
            if let Some(open) = sent.iter().find(|d| d.status.is_none()) {
                return Err(format!("not answered: {open:?}"));
            }
            let arrived = inbox.iter().filter(|d| d.origin == "webhook").count();
            if sent.len() == arrived {
                Ok(inbox)
            } else {
                Err(format!("{} were sent, {arrived} arrived", sent.len()))
            }
        });
        rest.await
    }
}

/// One key of every object in a list; nothing of `null`.
pub fn names(list: &Value, key: &str) -> Vec<String> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|item| item[key].as_str().map(str::to_owned)).collect()
}

fn answered(forge: &Forge) -> usize {
    forge.sent().iter().filter(|d| d.status.is_some()).count()
}

fn since(start: DateTime<Utc>) -> Duration {
    (Utc::now() - start).to_std().unwrap_or_default()
}
