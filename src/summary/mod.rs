//! The daily summary: one issue for each repository and local day that shows how the backlog stands and what needs a
//! person. It reads the ledger and decides nothing.
//!
//! The summary of a day is opened at the day's hour (`summary.at` in `summary.timezone`). It shows the backlog of that
//! moment, and what happened since the summary before it, or since the hour of the day before when there is none. A
//! service that was down at the hour opens it later that day, but not on another: the next one covers both days. A new
//! store waits for its first hour, so that nobody is greeted by an empty summary.

mod post;
mod render;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::NaiveDate;

use crate::clock::{Clock, Timestamp};
use crate::gitea as forge;
use crate::issue::{IssueRef, RepoName, RepoPatterns};
use crate::store::{self, Period, Store, SummaryDay};
use crate::triage::SUMMARY_TITLE;

pub use post::{By, Outcome};
pub use schedule::Schedule;

/// How long to sleep at most before looking at the clock again: it may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// The fact that keeps since when summaries are posted.
const SINCE: &str = "summaries_since";

/// What the owner tunes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether the timer posts.
    pub enabled: bool,
    /// When.
    pub schedule: Schedule,
    /// Whether the newest older summary is closed.
    pub close_previous: bool,
    /// The repositories to look after.
    pub repos: RepoPatterns,
    /// Who decides what an agent cannot; the repository's owner when not given.
    pub owner: Option<String>,
    /// How long one request may take. A write that got no answer is waited out before anyone looks for it.
    pub timeout: Duration,
}

/// What summaries are made with.
pub struct Parts {
    /// The ledger.
    pub store: Store,
    /// Where they are posted.
    pub forge: forge::Client,
    /// The time.
    pub clock: Clock,
    /// What the owner tunes; swapped when the configuration is read again.
    pub settings: ArcSwap<Settings>,
}

/// Writes and posts summaries. Cheap to clone.
#[derive(Clone)]
pub struct Summaries {
    inner: Arc<Parts>,
}

/// Why a summary could not be written or posted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The forge refused, or was unreachable.
    #[error(transparent)]
    Forge(#[from] forge::Error),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The day has not begun.
    #[error("`{0}` is still to come; take today or an earlier day")]
    Future(NaiveDate),
}

/// A summary, written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The issue's title.
    pub title: String,
    /// Its text, as Markdown.
    pub body: String,
    /// Up to when it covers what happened.
    pub until: Timestamp,
}

/// The title of a day's summary.
pub fn title(day: NaiveDate) -> String {
    format!("{SUMMARY_TITLE}{day}")
}

/// The day a title names.
fn day_of(title: &str) -> Option<NaiveDate> {
    title.strip_prefix(SUMMARY_TITLE)?.parse().ok()
}

impl Summaries {
    /// Summaries made with these parts.
    pub fn new(parts: Parts) -> Self {
        Self { inner: Arc::new(parts) }
    }

    /// Swaps the settings; what is being posted ends under the old ones.
    pub fn set_settings(&self, settings: Settings) {
        self.inner.settings.store(Arc::new(settings));
    }

    fn settings(&self) -> Arc<Settings> {
        self.inner.settings.load_full()
    }

    /// Today, on the clock of the summaries.
    pub fn today(&self) -> NaiveDate {
        self.settings().schedule.day(self.inner.clock.now())
    }

    /// The repositories that get a summary: those written out in the configuration, and the allowed ones that any
    /// delivery led to, each spelled as the forge does where that is known.
    pub async fn repos(&self) -> Result<Vec<RepoName>, store::Error> {
        let settings = self.settings();
        let mut repos = self.inner.store.lane_repos().await?;
        repos.retain(|repo| settings.repos.allows(repo));
        for name in settings.repos.names() {
            let is_renamed = self.inner.store.name_now(name).await?.is_some();
            if !is_renamed && !repos.contains(name) {
                repos.push(name.clone());
            }
        }
        repos.sort();
        Ok(repos)
    }

    /// The summary of a repository and day, as it was or would be posted. Nothing is written anywhere.
    pub async fn write(&self, of: &SummaryDay) -> Result<Written, Error> {
        let until = self.until(of).await?;
        self.write_until(of, until).await
    }

    async fn write_until(&self, of: &SummaryDay, until: Timestamp) -> Result<Written, Error> {
        let settings = self.settings();
        let period = self.period(of, until).await?;
        let digest = self.inner.store.digest(&of.repo, period).await?;
        let link = |number| {
            let at = IssueRef { repo: of.repo.clone(), number };
            self.inner.forge.quiet_issue_url(&at)
        };
        let page = render::Page {
            digest: &digest,
            period,
            timezone: settings.schedule.timezone,
            owner: settings.owner.as_deref().unwrap_or(of.repo.owner()),
            link: &link,
        };
        Ok(Written { title: title(of.day), body: page.render(), until: period.until })
    }

    /// Up to when a day's summary covers what happened: where it was posted, now for today, or the hour of a day
    /// gone by.
    async fn until(&self, of: &SummaryDay) -> Result<Timestamp, Error> {
        let (schedule, now) = (self.settings().schedule, self.inner.clock.now());
        if of.day > schedule.day(now) {
            return Err(Error::Future(of.day));
        }
        Ok(match self.posted(of).await? {
            Some(posted) => posted.until,
            None if of.day == schedule.day(now) => now,
            None => schedule.moment(of.day).min(now),
        })
    }

    /// What a day's summary covers: since the one before it, or since the hour of the day before.
    async fn period(&self, of: &SummaryDay, until: Timestamp) -> Result<Period, Error> {
        let known = self.inner.store.summaries(of, 2).await?;
        let before = known.iter().find(|p| p.day < of.day).map(|p| p.until);
        let schedule = self.settings().schedule;
        let usual = of.day.pred_opt().map_or(until, |day| schedule.moment(day));
        Ok(Period { from: before.filter(|at| *at < until).unwrap_or(usual).min(until), until })
    }

    /// Posts what is due now in every repository. What fails is logged, and tried again when its time has come.
    pub async fn post_due(&self) -> Result<(), store::Error> {
        let settings = self.settings();
        let now = self.inner.clock.now();
        if !settings.enabled || !self.is_due(&settings.schedule, now).await? {
            return Ok(());
        }
        for repo in self.repos().await? {
            let of = SummaryDay { repo, day: settings.schedule.day(now) };
            match self.post(&of, By::Timer).await {
                Ok(Outcome::Opened(number)) => {
                    tracing::info!(repo = %of.repo, day = %of.day, number, "the daily summary was posted");
                }
                Ok(Outcome::Withheld { is_news: true }) => {
                    tracing::info!(repo = %of.repo, day = %of.day, "dry run: the daily summary would have been posted");
                }
                // Nothing has changed.
                Ok(_) => {}
                Err(Error::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::warn!(repo = %of.repo, day = %of.day, %error, "the daily summary was not posted");
                }
            }
        }
        Ok(())
    }

    /// Whether today's hour has come, and had not yet when this store first posted.
    async fn is_due(&self, schedule: &Schedule, now: Timestamp) -> Result<bool, store::Error> {
        let since = self.inner.store.fact(SINCE).await?;
        let since = since.and_then(|text| text.parse::<Timestamp>().ok());
        // A moment still to come was kept before the clock was set right.
        let Some(since) = since.filter(|since| *since <= now) else {
            self.inner.store.remember(SINCE, now.to_rfc3339()).await?;
            return Ok(false);
        };
        let hour = schedule.moment(schedule.day(now));
        Ok(since <= hour && hour <= now)
    }

    /// Posts what is due, whenever it is, until the task is dropped.
    pub async fn post_forever(self) {
        loop {
            let (term, _) = self.inner.store.lead().await;
            if let Some(Err(error)) = term.hold(self.post_due()).await {
                tracing::error!(%error, "the daily summaries could not be looked at; trying again");
            }
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// Until the next hour, but never long: the clock may be set, and what failed is tried again.
    fn pause(&self) -> Duration {
        let (now, schedule) = (self.inner.clock.now(), self.settings().schedule);
        let pause = (schedule.moment(schedule.day(now)) - now).to_std().unwrap_or(LONGEST_SLEEP);
        pause.clamp(Duration::from_millis(10), LONGEST_SLEEP)
    }
}
