//! Proves that a change in a repository arrives here: makes one that changes nothing, and waits for its delivery in
//! the store. The test call of the forge's API proves nothing before Gitea 1.27 (gitea-facts 1.8).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::receiver::Receiver;
use crate::delivery::{Event, Origin};
use crate::gitea::{self as forge, IssueQuery, StateFilter};
use crate::issue::{IssueRef, RepoName};
use crate::store::{self, DeliveryView, Filter, Store};

/// How long to wait between two looks.
const STEP: Duration = Duration::from_millis(50);
/// How long a delivery may take after one was turned away: it may have been somebody else's.
const GRACE: Duration = Duration::from_secs(1);
/// How many deliveries to look back on.
const LOOK_BACK: u32 = 200;

/// What a proof takes.
pub struct Proof {
    /// The forge, as our own account, whose changes lead to nothing.
    pub forge: forge::Client,
    /// Where deliveries end up.
    pub store: Store,
    /// The service that takes them.
    pub receiver: Receiver,
    /// How long a delivery may take. Gitea looks at an idle queue every two seconds.
    pub patience: Duration,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proven {
    /// The delivery arrived.
    Arrived {
        /// The issue it was about.
        issue: IssueRef,
        /// How long it took.
        ms: u64,
    },
    /// The repository has no issue to try it with.
    NoIssue,
    /// The service turned a request away meanwhile.
    Refused {
        /// Why, in one word of the metrics.
        why: String,
    },
    /// Nothing came.
    Nothing,
    /// A dry run sends nothing that could make a delivery.
    DryRun,
}

/// Why nothing could be proven.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The forge could not be asked.
    #[error(transparent)]
    Forge(#[from] forge::Error),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A change that was made to see its delivery arrive.
struct Nudge {
    at: IssueRef,
    /// The newest delivery before it.
    last: i64,
    /// How often requests had been turned away before it, by why.
    refused: BTreeMap<String, u64>,
    began: Instant,
}

impl Proof {
    /// Whether a change in this repository arrives.
    pub async fn of(&self, repo: &RepoName) -> Result<Proven, Error> {
        let query = IssueQuery { state: StateFilter::All, since: None };
        let page = self.forge.issues_page(repo, &query, 1).await?;
        let Some(issue) = page.items.first() else { return Ok(Proven::NoIssue) };
        let at = IssueRef { repo: repo.clone(), number: issue.number };
        let newest = self.store.deliveries(Filter { state: None, limit: 1 }).await?;
        let last = newest.first().map_or(0, |d| d.seq);
        let refused = self.receiver.refused().await;
        let began = Instant::now();
        match self.forge.nudge(&at).await {
            Err(forge::Error::DryRun { .. }) => return Ok(Proven::DryRun),
            nudged => nudged?,
        }
        self.wait(Nudge { at, last, refused, began }).await
    }

    async fn wait(&self, nudge: Nudge) -> Result<Proven, Error> {
        let mut refused: Option<(Instant, String)> = None;
        loop {
            if self.arrived(&nudge).await? {
                let ms = u64::try_from(nudge.began.elapsed().as_millis()).unwrap_or(u64::MAX);
                return Ok(Proven::Arrived { issue: nudge.at, ms });
            }
            if refused.is_none() {
                let why = more(&nudge.refused, &self.receiver.refused().await);
                refused = why.map(|why| (Instant::now(), why));
            }
            match refused {
                Some((since, why)) if since.elapsed() > GRACE => {
                    return Ok(Proven::Refused { why });
                }
                _ if nudge.began.elapsed() > self.patience => return Ok(Proven::Nothing),
                _ => tokio::time::sleep(STEP).await,
            }
        }
    }

    async fn arrived(&self, nudge: &Nudge) -> Result<bool, store::Error> {
        let recent = self.store.deliveries(Filter { state: None, limit: LOOK_BACK }).await?;
        for delivery in recent.into_iter().take_while(|d| d.seq > nudge.last) {
            if delivery.origin == Origin::Webhook && self.is_about(&delivery, &nudge.at).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One that nobody has read yet is read here.
    async fn is_about(&self, delivery: &DeliveryView, at: &IssueRef) -> Result<bool, store::Error> {
        let issue = match &delivery.issue {
            Some(issue) => issue.clone(),
            None => match forge::parse(&self.store.body(delivery.seq).await?.unwrap_or_default()) {
                Ok(Event::Issue(event)) => event.at.to_string(),
                _ => return Ok(false),
            },
        };
        Ok(issue.eq_ignore_ascii_case(&at.to_string()))
    }
}

/// Why more requests were turned away than before.
fn more(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Option<String> {
    let has_grown = |(why, count): &(&String, &u64)| *count > before.get(*why).unwrap_or(&0);
    after.iter().find(has_grown).map(|(why, _)| why.clone())
}
