//! What people decided about an issue, which stands above anything concluded: holds, choices, approvals, what they took
//! away.

use std::collections::BTreeSet;

use super::engine::{Connection, Row, RowResult, params};
use super::rows::{
    all, first, from_json, kind_and_value, marks, only, parsed, parsed_if_any, run, to_json,
};
use super::{Error, claims, duties};
use crate::clock::from_millis;
use crate::dispatch::run::Permits;
use crate::dispatch::{AgentId, Mark, TaskType};
use crate::reason::Hold;
use crate::triage::{Approval, Choice, Custody, Evaluation, Permit};

/// Who has the issue of a lane while no dispatch is open for it.
pub(super) fn custody(c: &Connection, lane: i64) -> Result<Custody, Error> {
    let sql = "SELECT hold, chosen, chosen_task FROM lane WHERE id = ?1";
    let (hold, chosen, task) = only(c, sql, [lane], |r| {
        Ok((r.get::<Option<String>>(0)?, r.get::<Option<String>>(1)?, parsed_if_any(r, 2)?))
    })?;
    let choice = chosen.map(|agent| Choice { agent: AgentId::new(agent), task });
    if let (None, None, Some(claim)) = (&hold, &choice, claims::open(c, lane)?) {
        return Ok(Custody::Claimed(claim));
    }
    Ok(match (hold, choice) {
        (Some(hold), choice) => Custody::Held(from_json(&hold)?, choice),
        (None, Some(choice)) => Custody::Chosen(choice),
        (None, None) => Custody::Free,
    })
}

/// Whether a person said that the issue of a lane is no duplicate.
pub(super) fn is_no_duplicate(c: &Connection, lane: i64) -> Result<bool, Error> {
    let sql = "SELECT no_duplicate FROM lane WHERE id = ?1";
    Ok(first(c, sql, [lane], |r| r.get(0))?.unwrap_or(false))
}

/// What people took off the issue of a lane.
pub(super) fn removed(c: &Connection, lane: i64) -> Result<BTreeSet<Mark>, Error> {
    let sql = "SELECT kind, value FROM removed WHERE lane = ?1";
    Ok(marks(all(c, sql, [lane], kind_and_value)?))
}

/// What a person approved of the issue of a lane.
pub(super) fn approval(c: &Connection, lane: i64) -> Result<Option<Approval>, Error> {
    let sql = "SELECT approved_by, at, way, digest, edited_by FROM approval WHERE lane = ?1";
    first(c, sql, [lane], |r| {
        Ok(Approval {
            by: r.get(0)?,
            at: from_millis(r.get(1)?),
            way: parsed(r, 2)?,
            digest: r.get(3)?,
            edited_by: r.get(4)?,
        })
    })
}

fn approve(c: &Connection, lane: i64, approval: Option<&Approval>) -> Result<(), Error> {
    run(c, "DELETE FROM approval WHERE lane = ?1", [lane])?;
    let Some(Approval { by, at, way, digest, edited_by }) = approval else { return Ok(()) };
    let insert = "INSERT INTO approval (lane, approved_by, at, way, digest, edited_by)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let at = at.timestamp_millis();
    run(c, insert, params![lane, by, at, way.as_str(), digest, edited_by])
}

/// What people answered to agents that asked for a permission on the issue of a lane.
pub(super) fn permits(c: &Connection, lane: i64) -> Result<Permits, Error> {
    let of = |is_allowed: bool| {
        let sql = "SELECT kind FROM run_permit WHERE lane = ?1 AND is_allowed = ?2 ORDER BY kind";
        all(c, sql, params![lane, is_allowed], |r| parsed(r, 0))
    };
    Ok(Permits { allow: of(true)?, deny: of(false)? })
}

fn permit(c: &Connection, lane: i64, e: &Evaluation) -> Result<(), Error> {
    let Some(Permit { kind, is_allowed, by }) = &e.permits else { return Ok(()) };
    let sql = "INSERT INTO run_permit (lane, kind, is_allowed, given_by, at) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (lane, kind) DO UPDATE SET is_allowed = excluded.is_allowed, given_by = excluded.given_by, at = excluded.at";
    let at = e.at.timestamp_millis();
    run(c, sql, params![lane, kind.as_str(), is_allowed, by, at])
}

/// Writes down who has the issue from now on, what people approved, and what they took off it.
pub(super) fn keep(c: &Connection, lane: i64, e: &Evaluation) -> Result<(), Error> {
    let choice = e.custody.choice();
    let chosen = choice.map(|choice| choice.agent.as_str());
    let task = choice.and_then(|choice| choice.task).map(TaskType::as_str);
    hold(c, lane, e.custody.hold())?;
    approve(c, lane, e.approval.as_ref())?;
    permit(c, lane, e)?;
    claims::keep(c, lane, e)?;
    let choose = "UPDATE lane SET chosen = ?2, chosen_task = ?3, no_duplicate = ?4 WHERE id = ?1";
    run(c, choose, params![lane, chosen, task, e.is_no_duplicate])?;
    run(c, "DELETE FROM removed WHERE lane = ?1", [lane])?;
    let (insert, at) = ("INSERT INTO removed VALUES (?1, ?2, ?3, ?4)", e.at.timestamp_millis());
    let insert = |m: &Mark| run(c, insert, params![lane, m.kind().as_str(), m.value(), at]);
    e.removed.iter().try_for_each(insert)
}

/// Has what people decided about the issue of one lane go on in another.
pub(super) fn carry_over(c: &Connection, from: i64, to: i64) -> Result<(), Error> {
    let hold = "UPDATE lane SET hold = (SELECT hold FROM lane WHERE id = ?1) WHERE id = ?2 AND hold IS NULL";
    run(c, hold, [from, to])?;
    let go = "UPDATE lane SET no_duplicate = 1
              WHERE id = ?2 AND (SELECT no_duplicate FROM lane WHERE id = ?1) = 1";
    run(c, go, [from, to])?;
    let approval = "INSERT INTO approval SELECT ?2, approved_by, at, way, digest, edited_by
                    FROM approval WHERE lane = ?1 ON CONFLICT DO NOTHING";
    run(c, approval, [from, to])?;
    let removed = "INSERT INTO removed SELECT ?2, kind, value, at FROM removed WHERE lane = ?1
                   ON CONFLICT DO NOTHING";
    run(c, removed, [from, to])?;
    let permits = "INSERT INTO run_permit SELECT ?2, kind, is_allowed, given_by, at FROM run_permit WHERE lane = ?1
                   ON CONFLICT DO NOTHING";
    run(c, permits, [from, to])?;
    claims::carry_over(c, from, to)?;
    duties::carry_over(c, from, to)
}

/// The words of a hold as it is kept. One that cannot be read is shown as it stands there.
pub(super) fn hold_text(row: &Row<'_>, column: usize) -> RowResult<Option<String>> {
    let hold: Option<String> = row.get(column)?;
    Ok(hold.map(|json| from_json(&json).map_or(json, |hold: Hold| hold.to_string())))
}

/// Has the issue of a lane left alone, or not any more.
pub(super) fn hold(c: &Connection, lane: i64, hold: Option<&Hold>) -> Result<(), Error> {
    let sql = "UPDATE lane SET hold = ?2 WHERE id = ?1";
    run(c, sql, params![lane, hold.map(to_json)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch;
    use crate::triage::Way;

    #[tokio::test]
    async fn an_approval_goes_on_in_another_lane_of_the_issue_unless_that_has_its_own() {
        let (_folder, store) = scratch();
        let by = |by: &str| Approval {
            by: by.into(),
            at: from_millis(7),
            way: Way::Label,
            digest: "d".into(),
            edited_by: Some("bob".into()),
        };
        let kept = store.write(move |c| {
            let lanes = "INSERT INTO lane (id, repo, number) VALUES (1, 'a/old', 1), (2, 'a/b', 1), (3, 'a/b', 2)";
            run(c, lanes, [])?;
            approve(c, 1, Some(&by("alice")))?;
            approve(c, 3, Some(&by("carol")))?;
            carry_over(c, 1, 2)?;
            carry_over(c, 1, 3)?;
            Ok([approval(c, 2)?, approval(c, 3)?])
        });
        assert_eq!(kept.await.unwrap(), [Some(by("alice")), Some(by("carol"))]);
    }
}
