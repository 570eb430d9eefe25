//! Which lane an issue has: known by the forge's ids, addressed by names. A delivery may be old, so it changes no name;
//! what the forge answers does, for everything that is kept of the repository, in one transaction. Whoever had a name
//! that another one has now is set aside under a name that the forge cannot have, and is asked for by its id.

use chrono::TimeDelta;

use super::dispatches::{self, Moment};
use super::engine::{Connection, params};
use super::entries::{Entry, enqueue};
use super::lanes::{self, Claim};
use super::rows::{all, changed, first, is_any, parsed, run};
use super::wakes::wake_dispatched;
use super::{Error, Store, orders, people};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::Origin;
use crate::issue::{ForgeIds, IssueNumber, IssueRef, RepoName};
use crate::reason::Cause;

/// An issue that was opened so long after it was evaluated is another one of its number.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::hours(1);
/// What is kept by a repository's name, with what else its key is made of.
const BY_NAME: [(&str, &str); 10] = [
    ("repository", ""),
    ("lane", "number"),
    ("blocker", "lane, number"),
    ("summary", "day"),
    ("sweep", ""),
    ("note", "topic"),
    ("spending", "day, number"),
    ("proposal", "number"),
    ("paused_repository", ""),
    ("act", "id"),
];

/// An issue as the forge has just shown it.
#[derive(Clone, Debug)]
pub struct ShownIssue {
    /// Where.
    pub at: IssueRef,
    /// Which.
    pub ids: ForgeIds,
    /// When it was opened.
    pub opened_at: Option<Timestamp>,
}

impl Store {
    /// Whether the claimed issue is the one that the forge shows at its place. When it is another one, that one gets a
    /// lane of its own with what was asked for by name, and the claim is given back: it is looked at again by its id.
    ///
    /// # Errors
    /// [`Error::Stale`] when the claim is over.
    pub async fn is_shown(
        &self,
        claim: &Claim,
        shown: ShownIssue,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let claim = claim.clone();
        self.write(move |c| {
            lanes::fence(c, &claim)?;
            let is_free = of_issue(c, shown.ids.issue)?.is_none_or(|lane| lane == claim.lane);
            if is_free && is_same(c, claim.lane, &shown)? {
                settle_name(c, shown.ids.repo, &shown.at.repo, now)?;
                if take_place(c, claim.lane, &shown, now)? {
                    lanes::give_back(c, claim.lane, now)?;
                    return Ok(false);
                }
                return Ok(true);
            }
            settle_name(c, shown.ids.repo, &shown.at.repo, now)?;
            set_aside_alone(c, claim.lane, &shown.at, now)?;
            let other = shown_lane(c, &shown, now)?;
            hand_over(c, claim.lane, other, now)?;
            lanes::give_back(c, claim.lane, now)?;
            Ok(false)
        })
        .await
    }

    /// Notes that the repository of a claimed issue is called otherwise now, with everything that is kept of it.
    ///
    /// # Errors
    /// [`Error::Stale`] when the claim is over.
    pub async fn claim_moved(
        &self,
        claim: &Claim,
        to: RepoName,
        now: Timestamp,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write(move |c| {
            lanes::fence(c, &claim)?;
            match claim.repo_id {
                Some(id) => settle_name(c, id, &to, now),
                None => move_all(c, &claim.at.repo, &to, now),
            }
        })
        .await
    }

    /// Notes what the forge calls a repository.
    pub async fn repository_is(
        &self,
        id: i64,
        name: &RepoName,
        now: Timestamp,
    ) -> Result<(), Error> {
        let known = self.read(move |c| name_of(c, id)).await?;
        if known.is_some_and(|known| known.to_string() == name.to_string()) {
            return Ok(());
        }
        let name = name.clone();
        self.write(move |c| settle_name(c, id, &name, now)).await
    }

    /// Notes that the forge leads from one name of a repository to another.
    pub async fn repository_moved(
        &self,
        from: &RepoName,
        to: &RepoName,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (from, to) = (from.clone(), to.clone());
        self.write(move |c| move_all(c, &from, &to, now)).await
    }

    /// The repositories of which an older version kept no id.
    pub async fn unidentified_repos(&self) -> Result<Vec<RepoName>, Error> {
        let sql = "SELECT repo FROM lane WHERE repo_id IS NULL
                   UNION SELECT repo FROM sweep WHERE repo COLLATE NOCASE NOT IN (SELECT repo FROM repository)";
        let mut repos: Vec<RepoName> = self.read(|c| all(c, sql, [], |row| parsed(row, 0))).await?;
        repos.retain(|repo| !repo.is_former());
        Ok(repos)
    }

    /// What a repository is called now that had this name before.
    pub async fn name_now(&self, name: &RepoName) -> Result<Option<RepoName>, Error> {
        let name = name.to_string();
        let sql = "SELECT now FROM former_name WHERE repo = ?1";
        self.read(move |c| first(c, sql, [name], |row| parsed(row, 0))).await
    }

    /// What the repository with this id was called when it was last seen.
    pub async fn repository_named(&self, id: i64) -> Result<Option<RepoName>, Error> {
        self.read(move |c| name_of(c, id)).await
    }

    /// The forge's id of a repository, where it was ever seen.
    pub async fn repository_id(&self, name: &RepoName) -> Result<Option<i64>, Error> {
        let name = name.to_string();
        self.read(move |c| id_of(c, &name)).await
    }
}

/// The lane of an issue that a delivery is about.
pub(super) fn reported(c: &Connection, at: &IssueRef, ids: Option<ForgeIds>) -> Result<i64, Error> {
    let Some(ids) = ids else { return lanes::lane(c, at) };
    if let Some(lane) = of_issue(c, ids.issue)? {
        return Ok(lane);
    }
    let mut at = at.clone();
    match name_of(c, ids.repo)? {
        Some(name) => at.repo = name,
        None if id_of(c, &at.repo.to_string())?.is_some() => at.repo = vacant(c, &at.repo)?,
        None => {}
    }
    match lanes::named(c, &at)? {
        // Whether it is this one, the forge's answer tells.
        Some(lane) if issue_id(c, lane)?.is_none() => Ok(lane),
        // Which of the two has the number, it tells, too.
        Some(_) => {
            let lane = lanes::insert(c, &IssueRef { repo: vacant(c, &at.repo)?, ..at })?;
            run(c, "UPDATE lane SET issue_id = ?2 WHERE id = ?1", [lane, ids.issue])?;
            Ok(lane)
        }
        None => {
            let lane = lanes::insert(c, &at)?;
            identify(c, lane, ids)?;
            let sql = "INSERT INTO repository (id, repo) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            run(c, sql, (ids.repo, at.repo.to_string()))?;
            Ok(lane)
        }
    }
}

/// The lane of an issue that the forge shows.
pub(super) fn shown_lane(c: &Connection, shown: &ShownIssue, now: Timestamp) -> Result<i64, Error> {
    let ShownIssue { at, ids, .. } = shown;
    settle_name(c, ids.repo, &at.repo, now)?;
    let known = match of_issue(c, ids.issue)? {
        None => lanes::named(c, at)?
            .map_or(Ok(None), |lane| Ok::<_, Error>(is_same(c, lane, shown)?.then_some(lane)))?,
        known => known,
    };
    let lane = match known {
        Some(lane) => lane,
        None => lanes::insert(c, &IssueRef { repo: vacant(c, &at.repo)?, ..at.clone() })?,
    };
    take_place(c, lane, shown, now)?;
    Ok(lane)
}

/// Puts an issue where the forge shows it, in the place of another one that is there no more; whether it was elsewhere.
fn take_place(
    c: &Connection,
    lane: i64,
    shown: &ShownIssue,
    now: Timestamp,
) -> Result<bool, Error> {
    let there = lanes::named(c, &shown.at)?;
    let is_elsewhere = there != Some(lane);
    if let Some(other) = there.filter(|_| is_elsewhere) {
        set_aside_alone(c, other, &shown.at, now)?;
    }
    if is_elsewhere {
        let sql = "UPDATE lane SET repo = ?2, number = ?3 WHERE id = ?1";
        run(c, sql, params![lane, shown.at.repo.to_string(), shown.at.number])?;
    }
    identify(c, lane, shown.ids)?;
    Ok(is_elsewhere)
}

/// Makes a name that of a repository, for everything that is kept of it.
pub(super) fn settle_name(
    c: &Connection,
    id: i64,
    name: &RepoName,
    now: Timestamp,
) -> Result<(), Error> {
    let before = name_of(c, id)?;
    let text = name.to_string();
    if before.as_ref().is_some_and(|before| before.to_string() == text) {
        return Ok(());
    }
    let is_respelled = before.as_ref() == Some(name);
    if let Some(before) = before.as_ref().filter(|_| !is_respelled) {
        adopt(c, name, before, now)?;
    }
    // What is kept without an id is of what this repository was called when it was seen last, unless that is known
    // otherwise.
    let unidentified = "SELECT 1 FROM lane WHERE repo = ?1 AND repo_id IS NULL";
    let is_others =
        id_of(c, &text)?.is_some() || before.is_some() && is_any(c, unidentified, [&text])?;
    if !is_respelled && is_others {
        set_aside(c, name, now)?;
    }
    match before {
        Some(before) => rename(c, &before.to_string(), name)?,
        None => {
            let of_lanes = "UPDATE lane SET repo_id = ?2 WHERE repo = ?1 AND repo_id IS NULL";
            run(c, of_lanes, (&text, id))?;
            run(c, "INSERT INTO repository (id, repo) VALUES (?2, ?1)", (&text, id))?;
        }
    }
    run(c, "DELETE FROM former_name WHERE repo = ?1", [text])
}

/// Gives a repository what was asked for under a name of which nobody knew yet that it is its own.
fn adopt(c: &Connection, name: &RepoName, before: &RepoName, now: Timestamp) -> Result<(), Error> {
    let unseen =
        "SELECT id, number FROM lane WHERE repo = ?1 AND repo_id IS NULL AND evaluated_at IS NULL";
    let unseen: Vec<(i64, IssueNumber)> = all(c, unseen, [name.to_string()], |r| r.try_into())?;
    for (lane, number) in unseen {
        match lanes::named(c, &IssueRef { repo: before.clone(), number })? {
            Some(known) => hand_over(c, lane, known, now)?,
            None => {
                let sql = "UPDATE lane SET repo = ?2 WHERE id = ?1";
                run(c, sql, (lane, before.to_string()))?;
            }
        }
    }
    Ok(())
}

/// Renames whoever has a name that is another's now. Those of it who are at work are looked at by their ids.
fn set_aside(c: &Connection, name: &RepoName, now: Timestamp) -> Result<(), Error> {
    let to = vacant(c, name)?;
    // Nobody could end it under the new name.
    run(c, "DELETE FROM paused_repository WHERE repo = ?1", [name.to_string()])?;
    rename(c, &name.to_string(), &to)?;
    wake_dispatched(c, &to, now)
}

/// Sets one issue aside whose number another one of the repository has: it is gone.
fn set_aside_alone(c: &Connection, lane: i64, at: &IssueRef, now: Timestamp) -> Result<(), Error> {
    let to = vacant(c, &at.repo)?;
    let sql = "UPDATE lane SET repo = ?3, repo_id = NULL WHERE id = ?1 AND repo = ?2";
    let values = params![lane, at.repo.to_string(), to.to_string()];
    if changed(c, sql, values)? == 1 { wake_dispatched(c, &to, now) } else { Ok(()) }
}

/// The next name for one that another repository has.
fn vacant(c: &Connection, name: &RepoName) -> Result<RepoName, Error> {
    let plain = name.former(0).to_string();
    let plain = plain.trim_end_matches('0');
    let sql = "SELECT coalesce(max(CAST(substr(repo, length(?1) + 1) AS BIGINT)), 0) + 1
               FROM (SELECT repo FROM lane UNION ALL SELECT repo FROM repository) AS named
               WHERE substr(repo, 1, length(?1)) = ?1";
    let next = first(c, sql, [plain], |r| r.get(0))?;
    Ok(name.former(next.unwrap_or(1)))
}

fn rename(c: &Connection, from: &str, to: &RepoName) -> Result<(), Error> {
    let name = to.to_string();
    let is_respelled = from.eq_ignore_ascii_case(&name);
    for (table, rest) in BY_NAME {
        if !is_respelled {
            // What stands under the new name with the same key gives way.
            let key = if rest.is_empty() { "1" } else { rest };
            let replaced = format!(
                "DELETE FROM {table} WHERE repo = ?2 COLLATE NOCASE
                     AND ({key}) IN (SELECT {key} FROM {table} WHERE repo = ?1 COLLATE NOCASE)"
            );
            run(c, &replaced, (from, &name))?;
        }
        let sql = format!("UPDATE {table} SET repo = ?2 WHERE repo = ?1 COLLATE NOCASE");
        run(c, &sql, (from, &name))?;
    }
    run(c, "UPDATE former_name SET now = ?2 WHERE now = ?1", (from, &name))?;
    if !to.is_former() && !is_respelled && !from.contains('@') {
        let keep = "INSERT INTO former_name VALUES (?1, ?2) ON CONFLICT (repo) DO UPDATE SET now = excluded.now";
        run(c, keep, (from, &name))?;
    }
    Ok(())
}

/// Renames what is kept under a name that the forge leads away from. Where something is kept under the other name
/// already, it is the same repository, as it was known since it has the name: what people decided before goes on there.
fn move_all(c: &Connection, from: &RepoName, to: &RepoName, now: Timestamp) -> Result<(), Error> {
    let (before, after) = (from.to_string(), to.to_string());
    if let Some(id) = id_of(c, &before)? {
        return settle_name(c, id, to, now);
    }
    let doubles =
        "SELECT old.id, new.id FROM lane AS old JOIN lane AS new ON new.number = old.number
                   WHERE old.repo = ?1 AND new.repo = ?2";
    let doubles: Vec<(i64, i64)> = all(c, doubles, (&before, &after), |r| r.try_into())?;
    for (old, new) in doubles {
        people::carry_over(c, old, new)?;
        let error = format!("its repository is `{to}` now, where it is followed");
        let moment = Moment { at: now, evaluation: None };
        dispatches::end_unseen(c, old, Cause::OutOfReach { error }, moment)?;
        hand_over(c, old, new, now)?;
        orders::carry_over(c, old, new)?;
        let aside = vacant(c, from)?.to_string();
        run(c, "UPDATE lane SET repo = ?2 WHERE id = ?1", (old, aside))?;
    }
    rename(c, &before, to)?;
    let id = id_of(c, &after)?;
    run(c, "UPDATE lane SET repo_id = ?2 WHERE repo = ?1 AND repo_id IS NULL", (after, id))
}

/// Gives what people and the sweep asked for by name to another lane, or lets that one be looked at.
fn hand_over(c: &Connection, from: i64, to: i64, now: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE delivery SET lane = ?2, state = 'pending'
               WHERE lane = ?1 AND state IN ('pending', 'claimed') AND origin IN ('manual', 'sweep')";
    let is_empty = changed(c, sql, [from, to])? == 0;
    orders::hand_over(c, from, to)?;
    if is_empty {
        enqueue(c, to, &Entry { origin: Origin::Sweep, what: "backlog".into(), at: now })?;
    }
    lanes::make_due(c, to, now)
}

/// Whether what is kept in a lane is about the issue that is shown.
fn is_same(c: &Connection, lane: i64, shown: &ShownIssue) -> Result<bool, Error> {
    let sql = "SELECT repo_id, issue_id, evaluated_at FROM lane WHERE id = ?1";
    let kept: Option<(Option<i64>, Option<i64>, Option<i64>)> =
        first(c, sql, [lane], |r| r.try_into())?;
    let (repo, issue, evaluated_at) = kept.unwrap_or_default();
    Ok(match issue {
        Some(issue) => issue == shown.ids.issue,
        None => {
            let is_newer = shown.opened_at.zip(evaluated_at.map(from_millis));
            let is_newer = is_newer.is_some_and(|(opened, at)| opened > at + CLOCKS_DIFFER);
            !is_newer && repo.is_none_or(|repo| repo == shown.ids.repo)
        }
    })
}

fn identify(c: &Connection, lane: i64, ids: ForgeIds) -> Result<(), Error> {
    let sql = "UPDATE lane SET repo_id = ?2, issue_id = ?3 WHERE id = ?1";
    run(c, sql, [lane, ids.repo, ids.issue])
}

fn of_issue(c: &Connection, issue: i64) -> Result<Option<i64>, Error> {
    first(c, "SELECT id FROM lane WHERE issue_id = ?1", [issue], |r| r.get(0))
}

fn issue_id(c: &Connection, lane: i64) -> Result<Option<i64>, Error> {
    first(c, "SELECT issue_id FROM lane WHERE id = ?1", [lane], |r| r.get(0)).map(Option::flatten)
}

/// What a repository was called when it was seen last.
fn name_of(c: &Connection, id: i64) -> Result<Option<RepoName>, Error> {
    first(c, "SELECT repo FROM repository WHERE id = ?1", [id], |r| parsed(r, 0))
}

/// The id of the repository that had a name when it was seen last.
fn id_of(c: &Connection, name: &str) -> Result<Option<i64>, Error> {
    first(c, "SELECT id FROM repository WHERE repo = ?1", [name], |r| r.get(0))
}
