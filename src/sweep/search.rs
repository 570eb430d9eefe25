//! What has changed, by the forge's search over all repositories: as many requests as its pages, however many
//! repositories there are.
//!
//! One search covers all that we may read. Where that is too long, since it shows what others change in public
//! repositories as well, each owner's repositories are searched, and where that is too long or there is but one, the
//! repository itself is asked. A search that turned out too long is not tried again for an hour.

use std::collections::{BTreeMap, BTreeSet};

use super::kept::{PAUSE, owner};
use super::listing::{List, Listing, Listings, Of};
use super::{Failed, OVERLAP, Report, Sweeper};
use crate::gitea::{self as forge, IssueQuery, StateFilter};
use crate::issue::{RepoName, RepoPatterns};
use crate::store::{self, SweepCursor};

/// What the searches of a round showed.
#[derive(Debug, Default)]
pub(super) struct Searched {
    /// What is listed of each repository that was searched; nothing where nothing had changed.
    pub lists: BTreeMap<RepoName, Listing>,
    /// Those that could not be searched because the forge is away.
    pub out: BTreeSet<RepoName>,
    /// Those that nobody knew of yet.
    pub new: Vec<RepoName>,
    /// The owners of which every repository was searched, or will be from where the last search began.
    pub owners: BTreeSet<String>,
}

/// How a search went.
enum Look {
    Found(Listings),
    /// The forge has none, or it is too long.
    Nothing,
    /// The forge is away, or does not know us.
    Out(forge::Error),
}

impl Sweeper {
    /// Searches for what has changed in these repositories since they were last read.
    pub(super) async fn search(
        &self,
        mut cursors: Vec<SweepCursor>,
        patterns: &RepoPatterns,
        report: &mut Report,
    ) -> Result<Searched, store::Error> {
        let mut searched = Searched::default();
        // One that was left out for long would make the search long for all.
        let newest = cursors.iter().map(|one| one.since).max();
        cursors.retain(|one| newest.is_some_and(|newest| newest - one.since <= PAUSE));
        let mut owners: BTreeMap<String, Vec<SweepCursor>> = BTreeMap::new();
        for one in &cursors {
            owners.entry(owner(&one.repo)).or_default().push(one.clone());
        }
        let mut is_slow = false;
        if owners.len() > 1 {
            match self.look(Of::All, &cursors, owners.len()).await {
                Look::Found(listings) => {
                    searched.owners = owners.into_keys().chain(wild(patterns)).collect();
                    self.sort(listings, &cursors, patterns, &mut searched).await?;
                    return Ok(searched);
                }
                Look::Nothing => {}
                Look::Out(_) => is_slow = true,
            }
        }
        for (owner, cursors) in owners {
            if cursors.len() == 1 {
                continue;
            }
            match self.look(Of::Owner(owner.clone()), &cursors, cursors.len()).await {
                Look::Found(listings) => {
                    searched.owners.insert(owner);
                    self.sort(listings, &cursors, patterns, &mut searched).await?;
                }
                Look::Nothing => {}
                Look::Out(error) => {
                    report.failed.push(Failed { place: format!("{owner}/*"), error });
                    searched.out.extend(cursors.into_iter().map(|one| one.repo));
                    searched.owners.insert(owner);
                }
            }
        }
        if is_slow && searched.out.is_empty() {
            self.kept.give_up(Of::All, self.inner.clock.now());
        }
        Ok(searched)
    }

    /// Searches once; a search is not worth more pages than what it stands for.
    async fn look(&self, of: Of, cursors: &[SweepCursor], most: usize) -> Look {
        let now = self.inner.clock.now();
        if !self.kept.may_search(&of, now) {
            return Look::Nothing;
        }
        let since = cursors.iter().map(|one| one.since - OVERLAP).min();
        let list = List {
            forge: &self.inner.forge,
            of: of.clone(),
            query: IssueQuery { state: StateFilter::All, since },
            most: u32::try_from(most).unwrap_or(u32::MAX),
            watch: &|_, _, _| {},
        };
        match list.read().await {
            Ok(Some(listings)) => return Look::Found(listings),
            Ok(None) => {}
            Err(error) if error.is_outage() || error.status() == Some(401) => {
                return Look::Out(error);
            }
            Err(error) if matches!(error.status(), Some(403..=405)) => {
                if self.kept.refuse(now) {
                    tracing::warn!(%error, "the forge does not let us search over all repositories, so each sweep asks every repository by itself; a longer `sweep.every` makes that cheaper");
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a search over repositories failed; they are asked by themselves")
            }
        }
        self.kept.give_up(of, now);
        Look::Nothing
    }

    /// Keeps what was found of each repository. What is listed of others is of one that has another name now, of a new
    /// one, or of none of ours.
    async fn sort(
        &self,
        mut listings: Listings,
        cursors: &[SweepCursor],
        patterns: &RepoPatterns,
        searched: &mut Searched,
    ) -> Result<(), store::Error> {
        let ours: BTreeSet<_> = cursors.iter().map(|one| &one.repo).collect();
        let others: Vec<_> =
            listings.repos().filter(|repo| !ours.contains(repo)).cloned().collect();
        let mut moved = BTreeSet::new();
        for repo in others {
            let known_as = match listings.id(&repo) {
                Some(id) => self.inner.store.repository_named(id).await?,
                None => None,
            };
            match known_as.filter(|name| ours.contains(name)) {
                Some(name) => drop(moved.insert(name)),
                None if patterns.allows(&repo) => searched.new.push(repo),
                None => {}
            }
        }
        // What has another name now is asked under the old one: the forge leads to the new.
        let stay = cursors.iter().filter(|one| !moved.contains(&one.repo));
        let lists = stay.map(|one| (one.repo.clone(), listings.of(&one.repo)));
        searched.lists.extend(lists);
        Ok(())
    }
}

/// The owners that patterns are of.
fn wild(patterns: &RepoPatterns) -> impl Iterator<Item = String> {
    patterns.wildcards().map(|(owner, _)| owner.to_lowercase())
}
