//! One pass over one repository: list, compare, put the finds into the inbox, keep how far it came.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::finds::{Finds, Ground};
use super::listing::{List, Listing};
use super::{How, Kind, Passed, Settings, Sweeper, Watch};
use crate::clock::Timestamp;
use crate::delivery::Event;
use crate::gitea::{self as forge, IssueQuery, StateFilter};
use crate::issue::{IssueNumber, RepoName};
use crate::store::{self, SweepCursor, Which};

/// How far the lists of two passes overlap: more than the grace, and than a change may take from its time stamp to
/// the forge's database.
const OVERLAP: TimeDelta = TimeDelta::seconds(120);
/// How many deliveries that are not classified yet are looked into. There are more only while nobody classifies.
const UNCLASSIFIED: u32 = 1_000;

/// Why a pass did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Forge(#[from] forge::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What the lists say.
struct Lists {
    /// The repository as the forge spells it.
    repo: RepoName,
    is_archived: bool,
    /// Everything that was listed; of two readings of an issue the later.
    all: Listing,
}

/// A pass under way.
struct Pass<'a> {
    sweeper: &'a Sweeper,
    settings: &'a Settings,
    repo: &'a RepoName,
    how: How,
    kind: Kind,
    last: Option<SweepCursor>,
    watch: Watch<'a>,
}

impl Sweeper {
    /// Reads one repository and puts what it finds into the inbox.
    pub(super) async fn pass(
        &self,
        repo: &RepoName,
        how: How,
        watch: Watch<'_>,
    ) -> Result<Passed, Error> {
        let settings = self.settings();
        let last = self.inner.store.sweep_cursor(repo).await?;
        let now = self.inner.clock.now();
        let kind = match &last {
            None => Kind::First,
            Some(last) if how.full || is_full_due(last, &settings, now) => Kind::Full,
            Some(_) => Kind::Changes,
        };
        let pass = Pass { sweeper: self, settings: &settings, repo, how, kind, last, watch };
        pass.run(now).await
    }
}

/// A last time that lies ahead comes from a clock that was wrong, and means nothing.
fn is_full_due(last: &SweepCursor, settings: &Settings, now: Timestamp) -> bool {
    let (since, every) = (now - last.full_at, settings.every);
    since.to_std().map_or(-since > delta(every), |since| since >= settings.full_every)
}

/// A duration of the configuration, or the longest there is.
pub(super) fn delta(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

impl Pass<'_> {
    async fn run(self, now: Timestamp) -> Result<Passed, Error> {
        let mark = self.sweeper.inner.store.sweep_mark().await?;
        let mut lists = match self.kind {
            Kind::First => self.first().await?,
            Kind::Changes => self.changes().await?,
            Kind::Full | Kind::Archived => self.everything().await?,
        };
        let since = lists.all.read_at.unwrap_or(now);
        let mut passed = Passed {
            repo: lists.repo.clone(),
            kind: if lists.is_archived { Kind::Archived } else { self.kind },
            listed: lists.all.issues.len(),
            finds: Vec::new(),
            left: 0,
        };
        if !lists.is_archived {
            let found = self.compare(&mark, &mut lists, since).await?;
            (passed.finds, passed.left) = (found.finds, found.left);
        }
        self.keep(&mut passed, now, since).await?;
        Ok(passed)
    }

    /// What changed since the last pass, in one call when nothing did.
    async fn changes(&self) -> Result<Lists, Error> {
        let repo = self.last.as_ref().map_or(self.repo, |last| &last.repo);
        let all = self.list(self.changed_since(None)).read().await?;
        Ok(Lists { repo: repo.clone(), is_archived: false, all })
    }

    /// Every open issue, and what changed since the last pass: what has closed is in no list of open issues.
    async fn everything(&self) -> Result<Lists, Error> {
        let repository = self.sweeper.inner.forge.repository(self.repo);
        let open = self.list(IssueQuery { state: StateFilter::Open, since: None });
        let changed = self.list(self.changed_since(None));
        let (repository, open, changed) =
            tokio::try_join!(repository, open.read(), changed.read())?;
        let mut all = Listing { read_at: changed.read_at.min(open.read_at), ..changed };
        all.issues.extend(open.issues);
        Ok(Lists { repo: repository.name, is_archived: repository.archived, all })
    }

    /// Every open issue. An archived repository is not listed, so that its first pass is made when it is back.
    async fn first(&self) -> Result<Lists, Error> {
        let repository = self.sweeper.inner.forge.repository(self.repo).await?;
        let all = match repository.archived {
            true => Listing::default(),
            false => self.list(IssueQuery { state: StateFilter::Open, since: None }).read().await?,
        };
        Ok(Lists { repo: repository.name, is_archived: repository.archived, all })
    }

    fn list(&self, query: IssueQuery) -> List<'_> {
        let forge = &self.sweeper.inner.forge;
        List { forge, repo: self.repo, query, watch: self.watch }
    }

    /// What changed since `start`, or since the last pass.
    fn changed_since(&self, start: Option<Timestamp>) -> IssueQuery {
        let start = start.or_else(|| self.last.as_ref().map(|last| last.since));
        IssueQuery { state: StateFilter::All, since: start.map(|start| start - OVERLAP) }
    }

    async fn compare(
        &self,
        mark: &store::Mark,
        lists: &mut Lists,
        read_at: Timestamp,
    ) -> Result<Finds, Error> {
        let store = &self.sweeper.inner.store;
        let which = match self.kind {
            Kind::Changes => Which::These(lists.all.issues.keys().copied().collect()),
            _ => Which::All,
        };
        let arrived = self.arrived(&lists.repo).await?;
        let known = store.known_issues(&lists.repo, which).await?;
        let known = known.into_iter().map(|k| (k.number, k)).collect();
        let ground = Ground {
            repo: &lists.repo,
            kind: self.kind,
            mark,
            known: &known,
            arrived: &arrived,
            settled_by: (!self.how.at_once).then(|| read_at - delta(self.settings.grace)),
            last: self.last.as_ref().map(|last| last.since),
        };
        if self.kind == Kind::Full && !ground.gone(&lists.all.issues).is_empty() {
            // Some of them may have closed while the list was read; those are no longer gone but closed.
            let late = self.list(self.changed_since(Some(read_at))).read().await?;
            lists.all.issues.extend(late.issues);
        }
        let mut found = ground.listed(&lists.all.issues);
        if self.kind != Kind::Changes {
            found.finds.extend(ground.gone(&lists.all.issues));
        }
        Ok(found)
    }

    /// The issues of which a delivery has arrived that nobody has classified yet.
    async fn arrived(&self, repo: &RepoName) -> Result<BTreeSet<IssueNumber>, Error> {
        let unclassified = self.sweeper.inner.store.unclassified(UNCLASSIFIED).await?;
        let number = |one: &store::Unclassified| match forge::parse(&one.signed.as_ref().ok()?.body)
        {
            Ok(Event::Issue(event)) if event.at.repo == *repo => Some(event.at.number),
            _ => None,
        };
        Ok(unclassified.iter().filter_map(number).collect())
    }

    /// Puts the finds into the inbox, and only then moves on: what a crash leaves out is found again.
    async fn keep(
        &self,
        passed: &mut Passed,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<(), Error> {
        let is_unread = self.last.is_none() && passed.kind == Kind::Archived;
        if self.how.look_only || is_unread {
            return Ok(());
        }
        let store = &self.sweeper.inner.store;
        let made = store.enqueue_finds(&passed.finds, now).await?;
        passed.finds.retain(|find| made.contains(&find.at));
        let full_at = match (self.kind, &self.last) {
            (Kind::Changes, Some(last)) => last.full_at,
            _ => now,
        };
        let repo = passed.repo.clone();
        let cursor = SweepCursor { repo, passed_at: now, full_at, since };
        Ok(store.keep_sweep_cursor(cursor).await?)
    }
}
