//! What people ask the store: the inbox, one delivery, one issue's story. Read-only.

use serde::{Deserialize as _, Serialize};
use serde_json::Value;

use super::dispatches::{TransitionView, dispatch_of, dispatch_where, transitions};
use super::duties::{self, DutyView};
use super::engine::{Connection, Row, RowResult, ToSql, params};
use super::ids::{self, id_of, key};
use super::orders::{self, OrderView};
use super::rows::{all, from_json, parsed, parsed_if_any};
use super::{Error, Store, lanes, people};
use crate::clock::{Timestamp, from_millis};
use crate::delivery::{DeliveryId, DeliveryState, Origin};
use crate::dispatch::Dispatch;
use crate::issue::IssueRef;
use crate::plan::{Recovery, WriteOrigin};
use crate::reason;
use crate::triage::{Approval, Signal, Verdict};

/// How many deliveries of one evaluation are read; a burst can have more.
const MOST: u32 = 50;

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
    #[serde(serialize_with = "reason::or_none")]
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

impl EvaluationView {
    /// Score, task type and decision, unless the issue was gone.
    pub fn verdict(&self) -> Option<Verdict> {
        Verdict::deserialize(&self.verdict).ok()
    }

    /// What gave the points.
    pub fn signals(&self) -> Vec<Signal> {
        Vec::deserialize(&self.signals).unwrap_or_default()
    }
}

/// One write as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct EffectView {
    /// `comment`, `edit`, `label`, `assignee` or `hand_off`.
    pub kind: String,
    /// The label, login, agent, or the decision a comment explains.
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
    pub transitions: Vec<Vec<TransitionView>>,
    /// What waits to be looked at.
    pub pending: Vec<DeliveryView>,
    /// What people ordered, the newest first.
    pub orders: Vec<OrderView>,
    /// Who approved its text, where that mattered.
    pub approval: Option<Approval>,
    /// Whom rotations asked.
    pub duties: Vec<DutyView>,
}

pub(super) const DELIVERY: &str = "SELECT seq, delivery.id, origin, received_at, action, repo, number, delivery.state,
     coalesce(CASE WHEN delivery.state IN ('pending', 'claimed') THEN last_error END, reason), settled_at,
     repeats, coalesce(attempts, 0), evaluation, same_as FROM delivery LEFT JOIN lane ON lane.id = delivery.lane";

impl Store {
    /// Deliveries, newest first.
    pub async fn deliveries(&self, filter: Filter) -> Result<Vec<DeliveryView>, Error> {
        self.read(move |c| match filter.state {
            None => views(c, "ORDER BY seq DESC LIMIT ?1", &[&filter.limit]),
            Some(state) => {
                let rest = "WHERE delivery.state = ?2 ORDER BY seq DESC LIMIT ?1";
                views(c, rest, &[&filter.limit, &state.as_str()])
            }
        })
        .await
    }

    /// The delivery with this id.
    pub async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryView>, Error> {
        self.write_repeats().await?;
        let key = key(id);
        self.read(move |c| view_of(c, &key)).await
    }

    /// All that is known about an issue; `None` when it was never looked at.
    pub async fn history(&self, at: IssueRef) -> Result<Option<History>, Error> {
        self.read(move |c| {
            let Some(lane) = lanes::find(c, &at)? else { return Ok(None) };
            let dispatches = dispatches(c, "dispatch.lane = ?1 ORDER BY dispatch.id", &[&lane])?;
            let (dispatches, transitions) = dispatches.into_iter().unzip();
            let pending =
                "WHERE lane = ?1 AND delivery.state IN ('pending', 'claimed') ORDER BY seq";
            Ok(Some(History {
                evaluations: evaluations(c, "WHERE lane = ?1 ORDER BY id", &[&lane])?,
                transitions,
                dispatches,
                pending: views(c, pending, &[&lane])?,
                orders: orders::views(c, lane, MOST)?,
                approval: people::approval(c, lane)?,
                duties: duties::views(c, lane)?,
            }))
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
    values: &[&dyn ToSql],
) -> Result<Vec<DeliveryView>, Error> {
    all(c, &format!("{DELIVERY} {rest}"), values, view)
}

pub(super) fn view(row: &Row<'_>) -> RowResult<DeliveryView> {
    let repo: Option<String> = row.get(5)?;
    let number: Option<u64> = row.get(6)?;
    let same_as = row.get_ref(13)?.as_blob_or_null()?.map(|id| reason::same_bytes(&id_of(id)));
    let action = row.get::<Option<String>>(4)?.unwrap_or_default();
    Ok(DeliveryView {
        seq: row.get(0)?,
        id: id_of(row.get_ref(1)?.as_blob()?),
        origin: parsed(row, 2)?,
        received_at: from_millis(row.get(3)?),
        action: reason::action(action),
        issue: repo.zip(number).map(|(repo, number)| format!("{repo}#{number}")),
        state: parsed(row, 7)?,
        reason: row.get::<Option<String>>(8)?.or(same_as),
        settled_at: row.get::<Option<_>>(9)?.map(from_millis),
        repeats: row.get(10)?,
        attempts: row.get(11)?,
        evaluation: row.get(12)?,
    })
}

/// By the lane, because effects have no index of their own by evaluation.
const EFFECTS: &str =
    "SELECT kind, value, state, intended_at, settled_at, forge_id, origin, recovery, note, body
     FROM effect WHERE lane = ?1 AND evaluation = ?2 ORDER BY id";

/// Evaluations, each with what led to it and what it wrote.
pub(super) fn evaluations(
    c: &Connection,
    rest: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<EvaluationView>, Error> {
    let sql = format!(
        "SELECT id, at, action, agent, reason, verdict, signals, lane FROM evaluation {rest}"
    );
    let mut found = Vec::new();
    c.query(&sql, values, &mut |row| {
        let (id, lane): (i64, i64) = (row.get(0)?, row.get(7)?);
        // What an older version wrote may have another shape; the rest is shown all the same.
        let json = |text: Option<String>| text.and_then(|t| from_json(&t).ok()).unwrap_or_default();
        found.push(EvaluationView {
            id,
            at: from_millis(row.get(1)?),
            action: row.get(2)?,
            agent: row.get(3)?,
            reason: row.get(4)?,
            verdict: json(row.get(5)?),
            signals: json(row.get(6)?),
            deliveries: views(c, "WHERE evaluation = ?1 ORDER BY seq LIMIT ?2", params![id, MOST])?,
            effects: all(c, EFFECTS, [lane, id], effect)?,
        });
        Ok(true)
    })?;
    Ok(found)
}

/// Dispatches, each with how it came to where it is.
pub(super) fn dispatches(
    c: &Connection,
    rest: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<(Dispatch, Vec<TransitionView>)>, Error> {
    let found: Vec<Dispatch> = all(c, &dispatch_where(rest), values, dispatch_of)?;
    let with = |d: Dispatch| transitions(c, d.id).map(|transitions| (d, transitions));
    found.into_iter().map(with).collect()
}

fn effect(row: &Row<'_>) -> RowResult<EffectView> {
    let recovery: Option<Recovery> = parsed_if_any(row, 7)?;
    let is_agents = parsed::<WriteOrigin>(row, 6)? == WriteOrigin::Agent;
    let by_agent = is_agents.then(|| "by the local agent".to_owned());
    let said = recovery.map(|recovery| recovery.text().to_owned());
    Ok(EffectView {
        kind: row.get(0)?,
        value: row.get(1)?,
        state: row.get(2)?,
        intended_at: from_millis(row.get(3)?),
        settled_at: row.get::<Option<_>>(4)?.map(from_millis),
        forge_id: row.get(5)?,
        detail: said.or(row.get(8)?).or(row.get(9)?).or(by_agent),
    })
}
