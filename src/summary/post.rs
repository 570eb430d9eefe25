//! Posting a summary exactly once: the turn is taken on disk, the forge is asked whether it is there, and only then it
//! is written. What may have been written without an answer is looked for, after a pause, before anybody writes again.

use chrono::{NaiveTime, TimeDelta};

use super::{Error, Settings, Summaries, day_of, title};
use crate::clock::Timestamp;
use crate::gitea as forge;
use crate::issue::{Account, Issue, IssueNumber, IssueRef, IssueState};
use crate::store::{Ask, OwnWrite, Posted, SummaryDay, Turn};

/// By how much the forge's clock and ours may differ.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::days(3);
/// The pauses before a failed summary is tried again: doubled each time from the first to the longest.
const FIRST_PAUSE: TimeDelta = TimeDelta::minutes(1);
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(1);
/// How many earlier summaries are looked up to learn whether we closed them before.
const EARLIER: u32 = 100;

/// Who wants a summary posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The timer of the service.
    Timer,
    /// A person.
    Hand,
}

/// What became of posting a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was opened now, as this issue.
    Opened(IssueNumber),
    /// It was there already, as this issue.
    There(IssueNumber),
    /// A dry run holds it back; `is_news` the first time.
    Withheld {
        /// Whether this was not known before.
        is_news: bool,
    },
    /// It is not this caller's turn before then: somebody has it in hand, or it failed a moment ago.
    NotBefore(Timestamp),
    /// It failed for good today.
    GivenUp,
}

impl Summaries {
    /// Posts the summary of a repository and day, unless it is there. Safe to repeat.
    pub async fn post(&self, of: &SummaryDay, by: By) -> Result<Outcome, Error> {
        let (settings, now) = (self.settings(), self.inner.clock.now());
        let store = &self.inner.store;
        let until = self.until(of).await?;
        if let Some(posted) = self.posted(of).await?.filter(|p| !p.is_to_tidy(now)) {
            return Ok(Outcome::There(posted.number));
        }
        if self.inner.forge.is_dry_run() {
            return Ok(Outcome::Withheld { is_news: store.summary_withheld(of, until).await? });
        }
        // As long as a write that got no answer may still be under way.
        let lease = TimeDelta::from_std(settings.timeout.saturating_mul(2)).unwrap_or_default();
        let lease = lease.clamp(TimeDelta::minutes(2), TimeDelta::hours(1));
        let ask = Ask { now, until, lease, by_hand: by == By::Hand };
        let outcome = match store.claim_summary(of, ask).await? {
            Turn::Yours { attempts, until } => self.settle(of, attempts, until).await?,
            Turn::Posted(posted) => Outcome::There(posted.number),
            Turn::NotBefore(at) => return Ok(Outcome::NotBefore(at)),
            Turn::GivenUp => return Ok(Outcome::GivenUp),
        };
        self.tidy(of, &settings).await?;
        Ok(outcome)
    }

    pub(super) async fn posted(&self, of: &SummaryDay) -> Result<Option<Posted>, Error> {
        let newest = self.inner.store.summaries(of, 1).await?.pop();
        Ok(newest.filter(|posted| posted.day == of.day))
    }

    /// Leads a turn to its end and keeps how it ended.
    async fn settle(
        &self,
        of: &SummaryDay,
        attempts: u32,
        until: Timestamp,
    ) -> Result<Outcome, Error> {
        let store = &self.inner.store;
        boundary!("summary::claimed");
        match self.ensure(of, until).await {
            Ok(outcome) => {
                if let Outcome::Opened(number) | Outcome::There(number) = outcome {
                    store.summary_posted(of, number).await?;
                    boundary!("summary::noted");
                }
                Ok(outcome)
            }
            // The row stays as it is: whoever has the next turn, after the lease, looks first.
            Err(Error::Forge(error)) if error.may_have_happened() => Err(error.into()),
            Err(Error::Forge(error)) => {
                let wait = error.retry_after().and_then(|d| TimeDelta::from_std(d).ok());
                let doubled = FIRST_PAUSE * (1 << attempts.min(10));
                let pause = doubled.max(wait.unwrap_or_default()).min(LONGEST_PAUSE);
                // A new name is noted by whoever looks at its issues next.
                let is_renamed = matches!(&error, forge::Error::Moved { to: Some(name), .. }
                    if self.settings().repos.allows(name));
                let is_passing = error.is_transient() || is_renamed;
                let again_at = is_passing.then(|| self.inner.clock.now() + pause);
                store.summary_failed(of, again_at, error.to_string()).await?;
                Err(error.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Looks for the summary and opens it when it is not there.
    async fn ensure(&self, of: &SummaryDay, until: Timestamp) -> Result<Outcome, Error> {
        let forge = &self.inner.forge;
        let us = forge.whoami_in(&of.repo).await?;
        if let Some(number) = self.find(of, &us).await? {
            return Ok(Outcome::There(number));
        }
        let written = self.write_until(of, until).await?;
        boundary!("summary::before");
        let posted = forge.create_issue(&of.repo, &written.title, &written.body).await;
        boundary!("summary::after");
        match posted {
            Ok(issue) => self.alone(of, &us, issue.number).await,
            Err(error) if error.may_have_happened() => match self.find(of, &us).await {
                Ok(Some(number)) => Ok(Outcome::Opened(number)),
                _ => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// A service with another store may have posted at the same moment: then the first of the two stays.
    async fn alone(
        &self,
        of: &SummaryDay,
        us: &Account,
        number: IssueNumber,
    ) -> Result<Outcome, Error> {
        match self.find(of, us).await {
            Ok(Some(first)) if first < number => {
                let at = IssueRef { repo: of.repo.clone(), number };
                if let Err(error) = self.inner.forge.set_state(&at, IssueState::Closed).await {
                    tracing::warn!(issue = %at, %error, "a second summary of the day could not be closed");
                }
                Ok(Outcome::There(first))
            }
            // That ours is there is certain, whatever the list says.
            _ => Ok(Outcome::Opened(number)),
        }
    }

    /// The first issue of ours that is called like the day's summary, open or closed.
    async fn find(
        &self,
        of: &SummaryDay,
        us: &Account,
    ) -> Result<Option<IssueNumber>, forge::Error> {
        let title = title(of.day);
        let ours = self.ours(of, us).await?.into_iter().filter(|i| i.title == title);
        Ok(ours.map(|i| i.number).min())
    }

    /// Our own issues, at least those opened since the day began.
    async fn ours(&self, of: &SummaryDay, us: &Account) -> Result<Vec<Issue>, forge::Error> {
        let since = of.day.and_time(NaiveTime::MIN).and_utc() - CLOCKS_DIFFER;
        self.inner.forge.issues_of(&of.repo, us, since).await
    }

    /// Closes the newest older summary that is open, once. A failure is logged, kept, and tried again by the timer.
    async fn tidy(&self, of: &SummaryDay, settings: &Settings) -> Result<(), Error> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        if !settings.close_previous {
            return Ok(store.summary_tidied(of, None, now).await?);
        }
        match self.close_previous(of).await {
            Ok(closed) => Ok(store.summary_tidied(of, closed, now).await?),
            Err(Error::Forge(error)) => {
                tracing::warn!(repo = %of.repo, day = %of.day, %error, "the older summary was not closed");
                match error.is_transient() {
                    true => Ok(store.summary_untidy(of, now + FIRST_PAUSE * 10).await?),
                    false => Ok(store.summary_tidied(of, None, now).await?),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn close_previous(&self, of: &SummaryDay) -> Result<Option<IssueNumber>, Error> {
        let us = self.inner.forge.whoami_in(&of.repo).await?;
        let known = self.inner.store.summaries(of, EARLIER).await?;
        let Some(issue) = previous(of, self.ours(of, &us).await?, &known) else { return Ok(None) };
        let at = IssueRef { repo: of.repo.clone(), number: issue.number };
        self.inner.forge.set_state(&at, IssueState::Closed).await?;
        self.inner.store.note_own_write(&at, OwnWrite::Content).await?;
        Ok(Some(issue.number))
    }
}

/// The newest summary before the day that is open, known by its title or from the ledger. One that we have closed
/// before was reopened by a person, and stays open.
fn previous(of: &SummaryDay, ours: Vec<Issue>, known: &[Posted]) -> Option<Issue> {
    let dated = ours.into_iter().filter(|i| i.state == IssueState::Open).filter_map(|issue| {
        let row = known.iter().find(|p| p.number == issue.number);
        let day = row.map(|p| p.day).or_else(|| day_of(&issue.title))?;
        (day < of.day && !row.is_some_and(|p| p.was_closed)).then_some((day, issue))
    });
    dated.max_by_key(|(day, issue)| (*day, issue.number)).map(|(_, issue)| issue)
}
