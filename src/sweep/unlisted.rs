//! What an issue is decided by and no list shows: the issues that it waits for, the pull requests that name it, the rules.
//! Asked for only where it can change what was decided.

use std::collections::{BTreeMap, BTreeSet};

use super::Kind;
use super::finds::Ground;
use super::listing::Listing;
use super::pass::{Error, Pass};
use crate::gitea as forge;
use crate::issue::{Change, IssueRef, IssueState};
use crate::store::{Find, Known, Unlisted};

/// The issues that others wait for, as far as they were asked for in this pass.
#[derive(Default)]
struct Blockers {
    /// Those of which every change is told or listed.
    followed: BTreeSet<IssueRef>,
    /// Whether they are closed.
    closed: BTreeMap<IssueRef, bool>,
}

impl Pass<'_> {
    /// The finds among the issues that the lists show unchanged.
    pub(super) async fn unlisted(
        &self,
        ground: &Ground<'_>,
        lists: &Listing,
        finds: &[Find],
    ) -> Result<Vec<Find>, Error> {
        let mut blockers = self.blockers(ground).await?;
        let mut found = Vec::new();
        for known in ground.unchanged(finds) {
            let is_moved = lists.issues.contains_key(&known.number);
            let at = ground.at(known.number);
            if ground.is_anew || self.is_changed(&at, known, is_moved, &mut blockers).await? {
                found.push(ground.input(known));
            }
        }
        Ok(found)
    }

    /// Those that the issues wait for. A full pass takes nobody's word for how they are.
    async fn blockers(&self, ground: &Ground<'_>) -> Result<Blockers, Error> {
        let all = ground.known.values().flat_map(|known| &known.unlisted.blockers);
        let told =
            all.filter(|at| self.kind == Kind::Changes && self.settings.repos.allows(&at.repo));
        let followed = self.parts.store.followed(told.cloned().collect()).await?;
        Ok(Blockers { followed, ..Blockers::default() })
    }

    /// Whether something that an issue is decided by has changed. What it depends on, and a pull request that names it,
    /// moved its time of change.
    async fn is_changed(
        &self,
        at: &IssueRef,
        known: &Known,
        is_moved: bool,
        blockers: &mut Blockers,
    ) -> Result<bool, Error> {
        let Unlisted { blockers: on, by_forge, waits, assigned_at } = &known.unlisted;
        let unfollowed: Vec<_> = on.difference(&blockers.followed).cloned().collect();
        if (*by_forge && !unfollowed.is_empty()) || (is_moved && (*by_forge || *waits)) {
            let depends = self.parts.forge.dependencies(at).await?.into_iter();
            let open = depends.filter(|(_, state)| *state == IssueState::Open);
            return Ok(open.map(|(at, _)| at).collect::<BTreeSet<_>>() != *on);
        }
        for blocker in unfollowed {
            if self.is_closed(blocker, blockers).await? {
                return Ok(true);
            }
        }
        let Some(since) = assigned_at.filter(|_| is_moved) else { return Ok(false) };
        let timeline = self.parts.forge.timeline(at, Some(since)).await?;
        Ok(timeline.iter().any(|one| matches!(one.change, Change::Linked { .. })))
    }

    /// Whether a blocker is closed, asked for once. One that we may not read is not known to be.
    async fn is_closed(&self, at: IssueRef, blockers: &mut Blockers) -> Result<bool, forge::Error> {
        if let Some(known) = blockers.closed.get(&at) {
            return Ok(*known);
        }
        let found = match self.parts.forge.issue(&at).await {
            Err(error) if error.is_hidden() => None,
            found => found?,
        };
        let is_closed = found.is_some_and(|issue| issue.state == IssueState::Closed);
        blockers.closed.insert(at, is_closed);
        Ok(is_closed)
    }
}
