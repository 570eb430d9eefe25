//! What people claimed by a command: who has what, until when, and how much each has. One open claim an issue.

use std::collections::BTreeMap;

use super::Error;
use super::engine::{Connection, Row, params};
use super::rows::{all, changed, first, run};
use crate::clock::{Timestamp, from_millis};
use crate::issue::Account;
use crate::triage::{Custody, Evaluation, PersonClaim};

/// The claim of a lane, if somebody has one.
pub(super) fn open(c: &Connection, lane: i64) -> Result<Option<PersonClaim>, Error> {
    let sql = "SELECT command, login, coalesce(account, 0), since, remind_at, until, is_reminded
               FROM person_claim WHERE lane = ?1 AND ended_at IS NULL";
    first(c, sql, [lane], |r: &Row<'_>| {
        Ok(PersonClaim {
            order: r.get(0)?,
            holder: Account { login: r.get(1)?, id: r.get(2)? },
            since: from_millis(r.get(3)?),
            remind_at: from_millis(r.get(4)?),
            until: from_millis(r.get(5)?),
            is_reminded: r.get(6)?,
        })
    })
}

/// How many claims whoever gave a command has on other issues. A login counts where one of the accounts is not known.
const CLAIMED: &str = "SELECT command.id, count(person_claim.id) FROM command JOIN person_claim
        ON person_claim.ended_at IS NULL AND person_claim.lane <> command.lane
        AND CASE WHEN account IS NULL OR given_by_id IS NULL THEN login = given_by COLLATE NOCASE ELSE account = given_by_id END";

/// How many other issues those have claimed who claim the one of a lane now, by the ledger's number of the command.
pub(super) fn of_claimants(c: &Connection, lane: i64) -> Result<BTreeMap<i64, u32>, Error> {
    let sql = format!(
        "{CLAIMED} WHERE command.lane = ?1 AND told_at IS NULL AND command.command = 'claim' GROUP BY command.id"
    );
    all(c, &sql, [lane], |r| r.try_into())
}

/// Keeps who has the issue by a claim from now on.
///
/// # Errors
/// [`Error::ClaimLimit`] when they have claimed as many others as they may by now.
pub(super) fn keep(c: &Connection, lane: i64, e: &Evaluation) -> Result<(), Error> {
    let Custody::Claimed(claim) = &e.custody else { return end(c, lane, e.at) };
    let account = Some(claim.holder.id).filter(|id| *id != 0);
    let [remind_at, until, due_at] =
        [claim.remind_at, claim.until, claim.due_at()].map(|at| at.timestamp_millis());
    let login = &claim.holder.login;
    let sql = "UPDATE person_claim SET login = ?3, account = ?4, remind_at = ?5, until = ?6, is_reminded = ?7, due_at = ?8
               WHERE lane = ?1 AND command = ?2 AND ended_at IS NULL";
    let reminded = claim.is_reminded;
    let values = params![lane, claim.order, login, account, remind_at, until, reminded, due_at];
    if changed(c, sql, values)? > 0 {
        return Ok(());
    }
    end(c, lane, e.at)?;
    let count = format!("{CLAIMED} WHERE command.id = ?1 GROUP BY command.id");
    let count: Option<u32> = first(c, &count, [claim.order], |r| r.get(1))?;
    if count.unwrap_or(0) >= e.claim_limit {
        return Err(Error::ClaimLimit(login.clone()));
    }
    let sql =
        "INSERT INTO person_claim (lane, command, login, account, since, remind_at, until, due_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let since = claim.since.timestamp_millis();
    run(c, sql, params![lane, claim.order, login, account, since, remind_at, until, due_at])
}

/// Ends the claim of a lane, if there is one.
pub(super) fn end(c: &Connection, lane: i64, at: Timestamp) -> Result<(), Error> {
    let sql =
        "UPDATE person_claim SET ended_at = ?2, due_at = NULL WHERE lane = ?1 AND ended_at IS NULL";
    run(c, sql, [lane, at.timestamp_millis()])
}

/// Ends a claim whose command was refused after all, because the forge did not take its holder as an assignee.
pub(super) fn end_refused(c: &Connection, lane: i64, at: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE person_claim SET ended_at = ?2, due_at = NULL WHERE lane = ?1 AND ended_at IS NULL
               AND EXISTS (SELECT 1 FROM command WHERE command.id = person_claim.command AND state = 'refused')";
    run(c, sql, [lane, at.timestamp_millis()])
}

/// Ends what an evaluation that failed would keep open for good: a claim past its end, one that was not carried out, or
/// one on an issue that nobody can reach.
pub(super) fn give_up(
    c: &Connection,
    lane: i64,
    at: Timestamp,
    is_out_of_reach: bool,
) -> Result<(), Error> {
    let sql = "UPDATE person_claim SET ended_at = ?2, due_at = NULL
               WHERE lane = ?1 AND ended_at IS NULL AND (?3 = 1 OR until <= ?2 OR EXISTS (
                   SELECT 1 FROM command WHERE command.id = person_claim.command
                       AND (state = 'refused' OR told_at IS NULL)))";
    run(c, sql, params![lane, at.timestamp_millis(), is_out_of_reach])
}

/// Forgets what was claimed by a command that is forgotten itself.
pub(super) fn forget(c: &Connection, order: i64) -> Result<(), Error> {
    run(c, "DELETE FROM person_claim WHERE command = ?1", [order])
}

/// Has the claim on the issue of one lane go on in another that is about the same issue.
pub(super) fn carry_over(c: &Connection, from: i64, to: i64) -> Result<(), Error> {
    let sql = "UPDATE person_claim SET lane = ?2 WHERE lane = ?1 AND ended_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM person_claim WHERE lane = ?2 AND ended_at IS NULL)";
    run(c, sql, [from, to])?;
    let left = "UPDATE person_claim SET ended_at = until, due_at = NULL WHERE lane = ?1 AND ended_at IS NULL";
    run(c, left, [from])
}

/// The claims that have to be looked at by now; each is looked at again later if that comes to no end.
pub(super) fn due(c: &Connection, now: Timestamp, again: Timestamp) -> Result<Vec<i64>, Error> {
    let sql = "UPDATE person_claim SET due_at = ?2 WHERE due_at <= ?1 RETURNING lane";
    all(c, sql, [now.timestamp_millis(), again.timestamp_millis()], |r| r.get(0))
}

/// Makes every claim due so much earlier, because the clock went back.
pub(super) fn set_back(c: &Connection, by: i64) -> Result<(), Error> {
    let sql = "UPDATE person_claim SET due_at = due_at - ?1, remind_at = remind_at - ?1, until = until - ?1,
                   since = since - ?1 WHERE ended_at IS NULL";
    run(c, sql, [by])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::duties;
    use crate::store::scratch;

    const BEFORE: &str = "INSERT INTO lane (id, repo, number) VALUES (1, 'acme/old', 5), (2, 'acme/new', 5), (3, 'acme/new', 6);
        INSERT INTO command (id, lane, source_comment, given_by, command, at) VALUES (7, 1, 70, 'bob', 'claim', 0),
            (8, 3, 80, 'Bob', 'claim', 0);
        INSERT INTO person_claim (lane, command, login, since, remind_at, until, due_at) VALUES (1, 7, 'bob', 0, 1, 2, 1);
        INSERT INTO duty (lane, rotation, login, at, duty) VALUES (1, 'backend', 'anna', 0,
            '{\"rotation\":\"backend\",\"login\":\"anna\",\"assigns\":true,\"of\":1,\"passed\":[]}');";

    #[tokio::test]
    async fn what_people_have_goes_on_in_another_lane_of_the_same_issue() {
        let (_folder, store) = scratch();
        store
            .write(|c| {
                c.batch(BEFORE)?;
                carry_over(c, 1, 2)?;
                duties::carry_over(c, 1, 2)?;
                assert_eq!(open(c, 1)?.or(open(c, 3)?), None);
                assert_eq!(open(c, 2)?.map(|claim| claim.holder.login).as_deref(), Some("bob"));
                let login = duties::open(c, 2)?.and_then(|duty| duty.login);
                assert_eq!((duties::open(c, 1)?, login.as_deref()), (None, Some("anna")));
                // Whoever claims there has one elsewhere, in whatever case they are called.
                assert_eq!(of_claimants(c, 3)?, BTreeMap::from([(8, 1)]));
                assert_eq!(of_claimants(c, 2)?, BTreeMap::new());
                // One that is there already stays, and the other has ended.
                carry_over(c, 2, 1)?;
                c.batch(
                    "INSERT INTO person_claim (lane, command, login, since, remind_at, until, due_at)
                         VALUES (2, 8, 'cleo', 0, 1, 2, 1)",
                )?;
                carry_over(c, 1, 2)?;
                assert_eq!(open(c, 1)?, None);
                assert_eq!(open(c, 2)?.map(|claim| claim.order), Some(8));
                Ok(())
            })
            .await
            .unwrap();
    }
}
