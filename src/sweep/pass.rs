//! One pass over one repository: list, compare, put the finds into the inbox, keep how far it came.

use std::collections::{BTreeMap, BTreeSet};

use super::events;
use super::finds::Ground;
use super::listing::{List, Listing, MAX_PAGES, Of};
use super::{GRACE, How, Kind, OVERLAP, Parts, Passed, Settings, Sweeper, Watch};
use crate::clock::Timestamp;
use crate::delivery::Event;
use crate::gitea::{self as forge, IssueQuery, Repository, StateFilter};
use crate::issue::{Fingerprint, IssueNumber, IssueRef, RepoName};
use crate::store::{self, SweepCursor};

/// How many deliveries that are not classified yet are looked into. There are more only while nobody classifies.
const UNCLASSIFIED: u32 = 1_000;
const OPEN: IssueQuery = IssueQuery { state: StateFilter::Open, since: None };

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
    /// The forge's id of it, where it was asked for.
    id: Option<i64>,
    is_archived: bool,
    /// Everything that was listed; of two readings of an issue the later.
    all: Listing,
    /// The issues of which a comment was written or edited, and when; only a full pass asks.
    commented: BTreeMap<IssueNumber, Timestamp>,
}

impl Lists {
    fn of(repository: Repository, all: Listing) -> Self {
        let Repository { id, name: repo, archived: is_archived, .. } = repository;
        Self { repo, id: Some(id), is_archived, all, commented: BTreeMap::new() }
    }
}

/// The repository whose turn it is.
pub(super) struct Turn {
    pub repo: RepoName,
    /// How far the last pass came.
    pub last: Option<SweepCursor>,
    /// Whether every open issue is read.
    pub is_full: bool,
    /// What has changed since the last pass, where a search has shown it.
    pub listing: Option<Listing>,
}

impl Turn {
    /// What kind of pass it is. Under other rules every open issue is looked at; where a search has shown what changed,
    /// the others are known.
    fn kind(&self, is_anew: bool) -> Kind {
        match &self.last {
            None => Kind::First,
            Some(_) if self.is_full || (is_anew && self.listing.is_none()) => Kind::Full,
            Some(_) => Kind::Changes,
        }
    }
}

/// A pass under way.
pub(super) struct Pass<'a> {
    pub(super) parts: &'a Parts,
    pub(super) settings: &'a Settings,
    repo: &'a RepoName,
    how: How,
    pub(super) kind: Kind,
    /// Whether other rules are in force than at the last pass.
    is_anew: bool,
    last: Option<SweepCursor>,
    watch: Watch<'a>,
}

impl Sweeper {
    /// Reads one repository and puts what it finds into the inbox.
    pub(super) async fn pass(
        &self,
        turn: Turn,
        how: How,
        watch: Watch<'_>,
    ) -> Result<Passed, Error> {
        let (parts, settings, now) = (&*self.inner, self.settings(), self.inner.clock.now());
        let is_anew = turn.last.as_ref().is_some_and(|last| last.is_anew(&settings.rules));
        let kind = turn.kind(is_anew);
        let Turn { repo, last, listing, .. } = turn;
        let (settings, repo) = (&settings, &repo);
        Pass { parts, settings, repo, how, kind, is_anew, last, watch }.run(listing, now).await
    }
}

impl Pass<'_> {
    async fn run(self, listing: Option<Listing>, now: Timestamp) -> Result<Passed, Error> {
        let store = &self.parts.store;
        let mark = store.sweep_mark().await?;
        let mut lists = match self.kind {
            Kind::First => self.first().await?,
            Kind::Changes => self.changes(listing).await?,
            Kind::Full => self.everything().await?,
        };
        if let Some(id) = lists.id.filter(|_| !self.how.look_only) {
            store.repository_is(id, &lists.repo, now).await?;
        }
        let (kind, listed) = (self.kind, lists.all.issues.len());
        let since = lists.all.read_at.unwrap_or(now);
        let mut passed = Passed { kind, listed, ..Passed::of(&lists.repo) };
        if !lists.is_archived {
            (passed.finds, passed.left) = self.compare(&mark, &mut lists, since).await?;
            events::count(&self.parts.forge, &mut passed.finds).await;
        }
        passed.unread = std::mem::take(&mut lists.all.unread);
        passed.is_put_off = lists.is_archived && kind == Kind::First;
        if self.how.look_only || passed.is_put_off {
            return Ok(passed);
        }
        // The finds first, and only then it moves on: what a crash leaves out is found again.
        let made = store.enqueue_finds(&passed.finds, now).await?;
        passed.finds.retain(|find| made.contains(&find.at));
        let full_at = match (kind, self.last) {
            (Kind::Changes, Some(last)) => last.full_at,
            _ => now,
        };
        let (repo, rules) = (lists.repo, self.settings.rules.clone());
        let cursor = SweepCursor { repo, passed_at: now, full_at, since, rules };
        store.keep_sweep_cursor(cursor).await?;
        Ok(passed)
    }

    /// What changed since the last pass: what a search has shown, or else one call when nothing did.
    async fn changes(&self, listing: Option<Listing>) -> Result<Lists, Error> {
        let repo = self.last.as_ref().map_or(self.repo, |last| &last.repo).clone();
        let all = match listing {
            Some(listing) => listing,
            None => self.read(self.changed_since(None)).await?,
        };
        Ok(Lists { repo, id: None, is_archived: false, all, commented: BTreeMap::new() })
    }

    /// Every open issue, and what changed since the last full pass: what has closed is in no list of open issues, and
    /// may have been in no search.
    async fn everything(&self) -> Result<Lists, Error> {
        let repository = self.parts.forge.repository(self.repo);
        let start = self.last.as_ref().map(|last| last.since.min(last.full_at));
        let (open, changed) = (self.read(OPEN), self.read(self.changed_since(start)));
        let (repository, open, changed, commented) =
            tokio::try_join!(repository, open, changed, self.commented())?;
        let mut all = Listing { read_at: changed.read_at.min(open.read_at), ..changed };
        all.issues.extend(open.issues);
        all.unread.extend(open.unread);
        Ok(Lists { commented, ..Lists::of(repository, all) })
    }

    async fn commented(&self) -> Result<BTreeMap<IssueNumber, Timestamp>, forge::Error> {
        let Some(last) = &self.last else { return Ok(BTreeMap::new()) };
        self.parts.forge.commented_since(self.repo, last.full_at - OVERLAP).await
    }

    /// Every open issue. An archived repository is not listed, so that its first pass is made when it is back.
    async fn first(&self) -> Result<Lists, Error> {
        let repository = self.parts.forge.repository(self.repo).await?;
        let all = match repository.archived {
            true => Listing::default(),
            false => self.read(OPEN).await?,
        };
        Ok(Lists::of(repository, all))
    }

    async fn read(&self, query: IssueQuery) -> Result<Listing, forge::Error> {
        let (forge, of) = (&self.parts.forge, Of::Repo(self.repo.clone()));
        let list = List { forge, of, query, most: MAX_PAGES, watch: self.watch };
        Ok(list.read().await?.unwrap_or_default().of(self.repo))
    }

    /// What changed since `start`, or since the last pass.
    fn changed_since(&self, start: Option<Timestamp>) -> IssueQuery {
        let start = start.or_else(|| self.last.as_ref().map(|last| last.since));
        IssueQuery { state: StateFilter::All, since: start.map(|start| start - OVERLAP) }
    }

    /// The finds, and how many more are left to their deliveries.
    async fn compare(
        &self,
        mark: &store::Mark,
        lists: &mut Lists,
        read_at: Timestamp,
    ) -> Result<(Vec<store::Find>, usize), Error> {
        let is_changes = self.kind == Kind::Changes && !self.is_anew;
        let only = is_changes.then(|| lists.all.issues.keys().copied().collect());
        let arrived = self.arrived(&lists.repo).await?;
        let known = self.parts.store.known_issues(&lists.repo, only).await?;
        let ground = Ground {
            repo: &lists.repo,
            mark,
            known: known.into_iter().map(|k| (k.number, k)).collect(),
            arrived,
            settled_by: (!self.how.at_once).then(|| read_at - GRACE),
            last: self.last.as_ref().map(|last| last.since),
            is_anew: self.is_anew,
        };
        if self.kind == Kind::Full && !ground.gone(&lists.all.issues).is_empty() {
            // Some of them may have closed while the list was read; those are no longer gone but closed.
            let late = self.read(self.changed_since(Some(read_at))).await?;
            lists.all.issues.extend(late.issues);
        }
        let (mut finds, left) = ground.listed(&lists.all.issues);
        match self.kind {
            Kind::Changes => finds.extend(self.changed_at_work(&ground, &lists.all).await?),
            _ => {
                let gone = ground.gone(&lists.all.issues).into_iter();
                finds.extend(gone.filter(|find| !lists.all.hides(find.at.number)));
            }
        }
        finds.extend(ground.commented(&finds, &lists.commented));
        let unidentified = ground.unidentified(&lists.all.issues);
        if !self.how.look_only {
            self.parts.store.keep_ids(&unidentified, self.parts.clock.now()).await?;
        }
        finds.extend(self.unlisted(&ground, &lists.all, &finds).await?);
        Ok((finds, left))
    }

    /// The issues in somebody's hands that are no more, or have lost a label or an assignee that was deleted everywhere.
    /// No list says so, and no event, so each that did not change is asked for: it keeps an agent's place.
    async fn changed_at_work(
        &self,
        ground: &Ground<'_>,
        all: &Listing,
    ) -> Result<Vec<store::Find>, Error> {
        let (mut changed, repo_id) =
            (Vec::new(), self.parts.store.repository_id(ground.repo).await?);
        for known in self.parts.store.known_dispatched(ground.repo).await? {
            let is_listed = all.issues.contains_key(&known.number);
            if is_listed || known.died_at.is_some() || !ground.is_at_rest(&known) {
                continue;
            }
            let at = IssueRef { repo: ground.repo.clone(), number: known.number };
            match self.parts.forge.issue_of(&at, repo_id).await {
                Err(error) if error.is_transient() => return Err(error.into()),
                Ok(Some(issue)) => {
                    let seen = known.fingerprint.as_ref();
                    if seen.is_some_and(|seen| !seen.covers(&Fingerprint::of(&issue))) {
                        changed.push(ground.input(&known));
                    }
                }
                _ => changed.push(ground.gone_one(&known)),
            }
        }
        Ok(changed)
    }

    /// The issues of which a delivery has arrived that nobody has classified yet.
    async fn arrived(&self, repo: &RepoName) -> Result<BTreeSet<IssueNumber>, Error> {
        let unclassified = self.parts.store.unclassified(UNCLASSIFIED).await?;
        let number = |one: &store::Unclassified| match forge::parse(&one.signed.as_ref().ok()?.body)
        {
            Ok(Event::Issue(event)) if event.at.repo == *repo => Some(event.at.number),
            _ => None,
        };
        Ok(unclassified.iter().filter_map(number).collect())
    }
}
