//! What people ask the store: the inbox, one delivery, one issue's story. Read-only.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::Value;

use super::ids::{self, id_of, key};
use super::lanes;
use super::rows::{from_json, parsed, parsed_if_any};
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::{DeliveryId, DeliveryState, Origin};
use crate::dispatch::Dispatch;
use crate::issue::IssueRef;
use crate::plan::Remark;
use crate::store::dispatches::{self, DISPATCH, Transition, dispatch_of};
use crate::triage::words;

/// A delivery as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryView {
    /// Its place in the inbox.
    pub seq: i64,
    /// The forge's id.
    pub id: String,
    /// Who put it there.
    pub origin: Origin,
    /// When it was received.
    pub received_at: Timestamp,
    /// Kind and action as the body says; empty until it was read.
    pub action: String,
    /// The issue, when there is one.
    pub issue: Option<String>,
    /// How far it has come.
    pub state: DeliveryState,
    /// Why it ended so, for `ignored` and `dead`; the last failure of one that is tried again; which had the same bytes.
    pub reason: Option<String>,
    /// When it ended.
    pub settled_at: Option<Timestamp>,
    /// How often the same id came again.
    pub repeats: u32,
    /// How many tries of its lane have failed.
    pub attempts: u32,
    /// The evaluation it led to.
    pub evaluation: Option<i64>,
}

/// Which deliveries to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// At most so many, newest first.
    pub limit: u32,
}

/// One evaluation as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluationView {
    /// The ledger's number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// `dispatch`, `flag`, `wait`, `skip` or `finish`.
    pub action: String,
    /// The agent it names.
    pub agent: Option<String>,
    /// Why.
    pub reason: String,
    /// Score, task type and decision; `null` when the issue was gone.
    pub verdict: Value,
    /// What gave the points.
    pub signals: Value,
    /// The deliveries that led to it.
    pub deliveries: Vec<DeliveryView>,
    /// What it wrote.
    pub effects: Vec<EffectView>,
}

/// One write as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct EffectView {
    /// `comment`, `edit`, `label`, `assignee` or `hand_off`.
    pub kind: String,
    /// The label, login, agent, or the decision a comment tells.
    pub value: String,
    /// `intended`, `done`, `failed` or `withheld`.
    pub state: String,
    /// When it was meant.
    pub intended_at: Timestamp,
    /// When its end was known.
    pub settled_at: Option<Timestamp>,
    /// The forge's id of the comment.
    pub forge_id: Option<i64>,
    /// What there is to say about it.
    pub detail: Option<String>,
}

/// All that is known about one issue, oldest first.
#[derive(Clone, Debug)]
pub struct History {
    /// What was concluded.
    pub evaluations: Vec<EvaluationView>,
    /// Who had it.
    pub dispatches: Vec<Dispatch>,
    /// How each of them went, in the same order.
    pub transitions: Vec<Vec<Transition>>,
    /// What waits to be looked at.
    pub pending: Vec<DeliveryView>,
}

pub(super) const DELIVERY: &str = "SELECT seq, delivery.id, origin, received_at, action, repo, number, delivery.state,
     coalesce(CASE WHEN delivery.state IN ('pending', 'claimed') THEN last_error END, reason), settled_at,
     repeats, coalesce(attempts, 0), evaluation, same_as FROM delivery LEFT JOIN lane ON lane.id = delivery.lane";

impl Store {
    /// Deliveries, newest first.
    pub async fn deliveries(&self, filter: Filter) -> Result<Vec<DeliveryView>, Error> {
        self.read(move |c| match filter.state {
            None => views(c, "ORDER BY seq DESC LIMIT ?1", params![filter.limit]),
            Some(state) => views(
                c,
                "WHERE delivery.state = ?2 ORDER BY seq DESC LIMIT ?1",
                params![filter.limit, state.as_str()],
            ),
        })
        .await
    }

    /// The delivery with this id.
    pub async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryView>, Error> {
        self.write_repeats().await?;
        let key = key(id);
        self.read(move |c| view_of(c, &key)).await
    }

    /// Gives a dead delivery another chance: it is read again from the start. `false` when none of that id is dead.
    pub async fn revive(&self, id: &DeliveryId, now: Timestamp) -> Result<bool, Error> {
        let key = key(id);
        self.write(move |c| {
            let Some(seq) = ids::find(c, &key)? else { return Ok(false) };
            let dead = c
                .query_row(
                    "SELECT lane, EXISTS (SELECT 1 FROM body WHERE body.seq = delivery.seq)
                     FROM delivery WHERE seq = ?1 AND state = 'dead'",
                    [seq],
                    |r| Ok((r.get::<_, Option<i64>>(0)?, r.get::<_, bool>(1)?)),
                )
                .optional()?;
            let Some((lane, has_body)) = dead else { return Ok(false) };
            let state = if lane.is_some() { "pending" } else { "received" };
            if lane.is_none() && !has_body {
                return Ok(false);
            }
            c.execute(
                "UPDATE delivery SET state = ?2, reason = NULL, settled_at = NULL WHERE seq = ?1",
                params![seq, state],
            )?;
            lane.map_or(Ok(()), |lane| lanes::make_due(c, lane, now))?;
            Ok(true)
        })
        .await
    }

    /// All that is known about an issue; `None` when it was never looked at.
    pub async fn history(&self, at: IssueRef) -> Result<Option<History>, Error> {
        self.read(move |c| {
            let Some(lane) = lanes::find(c, &at)? else { return Ok(None) };
            let dispatches = dispatches_of(c, lane)?;
            let transitions = dispatches.iter().map(|d| dispatches::transitions(c, d.id));
            Ok(Some(History {
                evaluations: evaluations(c, lane)?,
                transitions: transitions.collect::<Result<_, _>>()?,
                dispatches,
                pending: views(
                    c,
                    "WHERE lane = ?1 AND delivery.state IN ('pending', 'claimed') ORDER BY seq",
                    params![lane],
                )?,
            }))
        })
        .await
    }

    /// How many deliveries are in each state that is not an end, and how many lanes are in hands.
    pub async fn backlog(&self) -> Result<u64, Error> {
        self.read(|c| {
            Ok(c.query_row(
                "SELECT (SELECT count(*) FROM delivery WHERE state = 'received')
                      + (SELECT count(*) FROM delivery WHERE state IN ('pending', 'claimed'))",
                [],
                |r| r.get(0),
            )?)
        })
        .await
    }
}

/// The delivery with this id.
pub(super) fn view_of(c: &Connection, key: &[u8]) -> Result<Option<DeliveryView>, Error> {
    let Some(seq) = ids::find(c, key)? else { return Ok(None) };
    Ok(views(c, "WHERE seq = ?1", params![seq])?.pop())
}

pub(super) fn views(
    c: &Connection,
    rest: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<DeliveryView>, Error> {
    let mut rows = c.prepare_cached(&format!("{DELIVERY} {rest}"))?;
    Ok(rows.query_map(values, view)?.collect::<Result<_, _>>()?)
}

pub(super) fn view(row: &Row<'_>) -> rusqlite::Result<DeliveryView> {
    let repo: Option<String> = row.get(5)?;
    let number: Option<u64> = row.get(6)?;
    let same_as = row.get_ref(13)?.as_blob_or_null()?.map(|id| words::same_bytes(&id_of(id)));
    let action = row.get::<_, Option<String>>(4)?.unwrap_or_default();
    Ok(DeliveryView {
        seq: row.get(0)?,
        id: id_of(row.get_ref(1)?.as_blob()?),
        origin: parsed(row, 2)?,
        received_at: from_millis(row.get(3)?),
        action: words::action(action),
        issue: repo.zip(number).map(|(repo, number)| format!("{repo}#{number}")),
        state: parsed(row, 7)?,
        reason: row.get::<_, Option<String>>(8)?.or(same_as),
        settled_at: row.get::<_, Option<i64>>(9)?.map(from_millis),
        repeats: row.get(10)?,
        attempts: row.get(11)?,
        evaluation: row.get(12)?,
    })
}

fn evaluations(c: &Connection, lane: i64) -> Result<Vec<EvaluationView>, Error> {
    let mut rows = c.prepare_cached(
        "SELECT id, at, action, agent, reason, verdict, signals FROM evaluation WHERE lane = ?1 ORDER BY id",
    )?;
    let mut rows = rows.query([lane])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let json = |text: Option<String>| text.map_or(Ok(Value::Null), |t| from_json(&t));
        found.push(EvaluationView {
            id,
            at: from_millis(row.get(1)?),
            action: row.get(2)?,
            agent: row.get(3)?,
            reason: row.get(4)?,
            verdict: json(row.get(5)?)?,
            signals: json(row.get(6)?)?,
            deliveries: views(c, "WHERE evaluation = ?1 ORDER BY seq", params![id])?,
            effects: effects(c, id)?,
        });
    }
    Ok(found)
}

/// The columns [`effect`] reads.
pub(super) const EFFECT: &str =
    "SELECT kind, value, state, intended_at, settled_at, forge_id, origin, recovery, note, body
     FROM effect";

pub(super) fn effect(row: &Row<'_>) -> rusqlite::Result<EffectView> {
    let (origin, recovery) = (parsed(row, 6)?, parsed_if_any(row, 7)?);
    let remark = Remark { origin, recovery, note: row.get(8)?, body: row.get(9)? };
    Ok(EffectView {
        kind: row.get(0)?,
        value: row.get(1)?,
        state: row.get(2)?,
        intended_at: from_millis(row.get(3)?),
        settled_at: row.get::<_, Option<i64>>(4)?.map(from_millis),
        forge_id: row.get(5)?,
        detail: remark.into_text(),
    })
}

fn effects(c: &Connection, evaluation: i64) -> Result<Vec<EffectView>, Error> {
    let mut rows = c.prepare_cached(&format!("{EFFECT} WHERE evaluation = ?1 ORDER BY id"))?;
    Ok(rows.query_map([evaluation], effect)?.collect::<Result<_, _>>()?)
}

fn dispatches_of(c: &Connection, lane: i64) -> Result<Vec<Dispatch>, Error> {
    let sql = format!("{DISPATCH} WHERE dispatch.lane = ?1 ORDER BY dispatch.id");
    let mut rows = c.prepare_cached(&sql)?;
    Ok(rows.query_map([lane], dispatch_of)?.collect::<Result<_, _>>()?)
}
