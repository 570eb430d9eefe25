//! One round: what has changed anywhere, what is due by itself, and a pass over each repository of either kind.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::kept::PAUSE;
use super::pass::{self, Turn};
use super::search::Searched;
use super::{Failed, How, Parts, Report, Settings, Sweeper, Watch, net};
use crate::clock::Timestamp;
use crate::gitea as forge;
use crate::issue::RepoName;
use crate::store::{self, SweepCursor};

/// What a round knows before it makes its passes.
struct Round {
    how: How,
    now: Timestamp,
    repos: Vec<RepoName>,
    /// How far the last rounds came.
    cursors: BTreeMap<RepoName, SweepCursor>,
    /// The repositories whose full pass is due.
    full: BTreeSet<RepoName>,
    /// Those that could not be read at last and are tried again.
    retried: BTreeSet<RepoName>,
    /// Those that are not tried again yet.
    waiting: BTreeSet<RepoName>,
    /// Those with issues of which something is to be looked at that no list shows.
    at_work: BTreeSet<RepoName>,
    /// The owners whose repositories were listed in an earlier round.
    remembered: Vec<String>,
}

/// The repositories that are watched.
struct Watched {
    repos: Vec<RepoName>,
    /// The owners whose repositories were listed in an earlier round.
    remembered: Vec<String>,
}

/// What a round does with a repository.
enum Step {
    Pass(Box<Turn>),
    /// Nothing had changed in it, as the cursor spells it, until then, on the forge's clock.
    Quiet(RepoName, Timestamp),
    /// It is not its turn.
    Skip,
}

impl Round {
    /// The repositories of which only the changes are wanted.
    fn followed(&self) -> Vec<SweepCursor> {
        let is_by_itself = |repo: &RepoName| {
            self.how.full
                || [&self.full, &self.retried, &self.waiting].iter().any(|set| set.contains(repo))
        };
        self.cursors.values().filter(|one| !is_by_itself(&one.repo)).cloned().collect()
    }

    /// Whether what no list shows is to be looked at: once an hour, which is enough for what is rarely lost.
    fn is_look_due(&self, last: &SweepCursor, settings: &Settings) -> bool {
        let half = TimeDelta::from_std(settings.every / 2).unwrap_or(PAUSE).min(PAUSE);
        let is_due = || (self.now - last.passed_at).abs() + half >= PAUSE;
        self.at_work.contains(&last.repo) && (self.how.at_once || is_due())
    }

    /// What is done with a repository, by what the searches showed.
    fn step(&self, repo: &RepoName, searched: &mut Searched, settings: &Settings) -> Step {
        if self.waiting.contains(repo) || searched.out.contains(repo) {
            return Step::Skip;
        }
        let last = self.cursors.get(repo).cloned();
        let listing = searched.lists.remove(repo);
        if let Some((last, listing)) = last.as_ref().zip(listing.as_ref())
            && listing.is_empty()
            && !last.is_anew(&settings.rules)
            && !self.is_look_due(last, settings)
        {
            return Step::Quiet(last.repo.clone(), listing.read_at.unwrap_or(self.now));
        }
        let is_full = self.how.full || self.full.contains(repo);
        Step::Pass(Box::new(Turn { repo: repo.clone(), last, is_full, listing }))
    }
}

impl Sweeper {
    /// One round over every repository. What cannot be read is in the report and does not stop the others.
    pub async fn round(&self, how: How, watch: Watch<'_>) -> Result<Report, store::Error> {
        let settings = self.settings();
        let mut report = Report::default();
        let mut round = self.begin(how, &settings, &mut report).await?;
        let mut searched = self.search_all(&mut round, &settings, &mut report).await?;
        let (mut quiet, mut unasked) = (BTreeMap::<_, Vec<_>>::new(), BTreeSet::new());
        for repo in &round.repos {
            match round.step(repo, &mut searched, &settings) {
                Step::Pass(turn) => {
                    self.take_turn(*turn, &round, watch, &mut report).await?;
                    continue;
                }
                Step::Quiet(repo, until) => {
                    report.quiet.push(repo.clone());
                    quiet.entry(until).or_default().push(repo);
                }
                Step::Skip => {}
            }
            unasked.insert(repo.clone());
        }
        if !how.look_only {
            for (until, repos) in quiet {
                self.inner.store.sweep_moved_on(repos, until).await?;
            }
            self.standing.keep(&report, &unasked);
            self.wake(&report).await?;
        }
        Ok(report)
    }

    async fn begin(
        &self,
        how: How,
        settings: &Settings,
        report: &mut Report,
    ) -> Result<Round, store::Error> {
        let Parts { store, clock, .. } = &*self.inner;
        let Watched { repos, remembered } = self.watched(settings, how, report).await?;
        let now = clock.now();
        let mut cursors: BTreeMap<_, _> =
            store.sweep_cursors().await?.into_iter().map(|one| (one.repo.clone(), one)).collect();
        let watched: BTreeSet<_> = repos.iter().collect();
        cursors.retain(|repo, _| watched.contains(repo));
        let (mut retried, mut waiting) = (BTreeSet::new(), BTreeSet::new());
        for repo in &repos {
            let Some(is_due) = self.kept.missed(repo, now) else { continue };
            let is_tried = is_due || how.full || how.at_once;
            (if is_tried { &mut retried } else { &mut waiting }).insert(repo.clone());
        }
        let readable = cursors
            .iter()
            .filter(|(repo, _)| !retried.contains(repo) && !waiting.contains(repo))
            .map(|(_, last)| last);
        let full = net::due(readable, settings, now);
        let at_work = store.sweep_at_work().await?;
        Ok(Round { how, now, repos, cursors, full, retried, waiting, at_work, remembered })
    }

    /// Searches for what has changed, where there is more than one repository to ask. Those that nobody knew of yet are
    /// read in the same round.
    async fn search_all(
        &self,
        round: &mut Round,
        settings: &Settings,
        report: &mut Report,
    ) -> Result<Searched, store::Error> {
        let followed = round.followed();
        let mut searched = Searched::default();
        if followed.len() > 1 {
            searched = self.search(followed, &settings.repos, report).await?;
        }
        for owner in std::mem::take(&mut round.remembered) {
            if !searched.owners.contains(&owner.to_lowercase()) {
                let listed = self.owned_by(&owner, &format!("{owner}/*"), report).await;
                searched.new.extend(listed.unwrap_or_default());
            }
        }
        let mut known: BTreeSet<_> = round.repos.iter().cloned().collect();
        searched.new.retain(|repo| settings.repos.allows(repo) && known.insert(repo.clone()));
        self.kept.add_owned(&searched.new);
        round.repos.append(&mut searched.new);
        Ok(searched)
    }

    /// Makes the pass over a repository, under the name that it has now.
    async fn take_turn(
        &self,
        turn: Turn,
        round: &Round,
        watch: Watch<'_>,
        report: &mut Report,
    ) -> Result<(), store::Error> {
        let (repo, how, is_full) = (turn.repo.clone(), round.how, turn.is_full);
        let mut result = self.pass(turn, how, watch).await;
        if let Err(pass::Error::Forge(error)) = &result
            && let Some(name) = self.name_now(&repo, error, how).await?
            && self.settings().repos.allows(&name)
        {
            self.kept.note(&repo, Some(true), round.now);
            if round.repos.contains(&name) {
                return Ok(());
            }
            let last = self.inner.store.sweep_cursor(&name).await?;
            let turn = Turn { repo: name, last, is_full, listing: None };
            result = self.pass(turn, how, watch).await;
        }
        match result {
            Ok(passed) => {
                self.kept.note(&passed.repo, passed.is_put_off.then_some(true), round.now);
                report.passed.push(passed);
            }
            Err(pass::Error::Store(error)) => return Err(error),
            Err(pass::Error::Forge(error)) => {
                self.kept.note(&repo, Some(error.is_hidden()), round.now);
                report.failed.push(Failed { place: repo.to_string(), error });
            }
        }
        Ok(())
    }

    /// Has the finds worked off, and the issues looked at whose pull request waits for people and checks, in the
    /// repositories that were read.
    async fn wake(&self, report: &Report) -> Result<(), store::Error> {
        let Parts { store, clock, filled, .. } = &*self.inner;
        let mut woken = 0;
        for passed in &report.passed {
            woken += store.wake_awaited(&passed.repo, clock.now()).await?;
        }
        if woken > 0 || report.finds().next().is_some() {
            filled();
        }
        Ok(())
    }

    /// What a repository is called now that is not to be found under its name, as its id says or the forge leads.
    async fn name_now(
        &self,
        repo: &RepoName,
        error: &forge::Error,
        how: How,
    ) -> Result<Option<RepoName>, store::Error> {
        let to = match error {
            forge::Error::Moved { to, .. } => to.clone(),
            error if error.status() == Some(404) => None,
            _ => return Ok(None),
        };
        let Parts { store, forge, clock, .. } = &*self.inner;
        let id = store.repository_id(repo).await?;
        let name = match id {
            Some(id) => forge.repository_by_id(id, repo).await.ok().map(|found| found.name),
            None => to,
        };
        let Some(name) = name.filter(|name| name != repo) else { return Ok(None) };
        match id.filter(|_| !how.look_only) {
            Some(id) => store.repository_is(id, &name, clock.now()).await?,
            None if how.look_only => {}
            None => store.repository_moved(repo, &name, clock.now()).await?,
        }
        Ok(Some(name))
    }

    /// The repositories to read: those named, and those the patterns fit, each once. What fits a pattern is asked
    /// of the forge; where it does not say, those that were ever heard of are taken. A list is good for a day, as long as
    /// searches show what is new.
    async fn watched(
        &self,
        settings: &Settings,
        how: How,
        report: &mut Report,
    ) -> Result<Watched, store::Error> {
        let patterns = &settings.repos;
        let day = TimeDelta::from_std(settings.full_every).unwrap_or(TimeDelta::MAX);
        let (now, is_asked) = (self.inner.clock.now(), how.full || how.at_once);
        let mut asked: BTreeMap<&str, Option<Vec<RepoName>>> = BTreeMap::new();
        let mut remembered = Vec::new();
        for (owner, name) in patterns.wildcards() {
            if asked.contains_key(owner) {
                continue;
            }
            // No list of the forge answers an owner with `*`.
            let owned = if owner.contains('*') {
                None
            } else if let Some(owned) = self.kept.owned(owner, now, day).filter(|_| !is_asked) {
                remembered.push(owner.to_owned());
                Some(owned)
            } else {
                self.owned_by(owner, &format!("{owner}/{name}"), report).await
            };
            asked.insert(owner, owned);
        }
        let mut repos: Vec<RepoName> = patterns.names().cloned().collect();
        if asked.values().any(Option::is_none) {
            repos.extend(self.inner.store.known_repos().await?);
        }
        repos.extend(asked.into_values().flatten().flatten());
        let mut seen = BTreeSet::new();
        repos.retain(|r| patterns.allows(r) && seen.insert(r.to_string().to_lowercase()));
        Ok(Watched { repos, remembered })
    }

    /// The repositories of an owner, as the forge lists them now; `None` when it does not, which is in the report.
    async fn owned_by(
        &self,
        owner: &str,
        place: &str,
        report: &mut Report,
    ) -> Option<Vec<RepoName>> {
        match self.inner.forge.repositories(owner).await {
            Ok(repos) => {
                self.kept.keep_owned(owner, &repos, self.inner.clock.now());
                Some(repos)
            }
            Err(error) => {
                report.failed.push(Failed { place: place.to_owned(), error });
                None
            }
        }
    }
}
