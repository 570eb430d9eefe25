//! The whole story of one delivery, one evaluation, and one issue.

use crate::clock::{Timestamp, from_millis};
use crate::delivery::DeliveryId;
use crate::dispatch::pause::PausedBy;
use crate::dispatch::{AgentId, Dispatch};
use crate::issue::{Carried, IssueRef};
use crate::store::engine::{Connection, params};
use crate::store::history::{dispatches, evaluations, view_of, views};
use crate::store::ids::key;
use crate::store::orders::{self, OrderView};
use crate::store::people::{self, hold_text};
use crate::store::rows::{all, from_json, only, parsed};
use crate::store::{DeliveryView, Error, EvaluationView, Store, TransitionView, lanes, pauses};
use crate::triage::Approval;

/// How many deliveries and dispatches are shown.
const MOST: u32 = 30;

named_enum! {
    /// Whether an issue is being processed.
    LaneState {
        /// Nothing is pending for it.
        Idle = "idle",
        /// It waits for its turn.
        Due = "due",
        /// A worker has it.
        Claimed = "claimed",
    }
}

/// What is kept about an issue between evaluations.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Whether it is being processed.
    pub state: LaneState,
    /// When its turn comes.
    pub due_at: Option<Timestamp>,
    /// Failed tries in a row.
    pub attempts: u32,
    /// How the last of them failed.
    pub last_error: Option<String>,
    /// The agent whose place it waits for.
    pub waits_for: Option<String>,
    /// Whose pause keeps it from that agent now.
    pub paused: Option<PausedBy>,
    /// How many wait for the same place and get it before.
    pub ahead: u64,
    /// Why it is on hold.
    pub held: Option<String>,
    /// The agent that people chose for it.
    pub chosen: Option<String>,
    /// Who approved its text, where that mattered.
    pub approval: Option<Approval>,
    /// What people took off it, as kind and value.
    pub removed: Vec<(String, String)>,
    /// Its title, when it is known.
    pub title: Option<String>,
    /// Its labels and assignees after the latest evaluation.
    pub carried: Carried,
}

/// One issue's history.
#[derive(Clone, Debug)]
pub struct IssueStory {
    /// How it stands.
    pub lane: Lane,
    /// What was concluded, the newest first.
    pub evaluations: Vec<EvaluationView>,
    /// Where the older evaluations begin.
    pub older: Option<i64>,
    /// Who had it, the newest first, and how each came to where it is.
    pub dispatches: Vec<(Dispatch, Vec<TransitionView>)>,
    /// What waits to be looked at, the oldest first.
    pub pending: Vec<DeliveryView>,
    /// What people ordered, the newest first.
    pub orders: Vec<OrderView>,
    /// What came to an end, the newest first.
    pub ended: Vec<DeliveryView>,
}

/// One delivery, and what became of it.
#[derive(Clone, Debug)]
pub struct DeliveryStory {
    /// The delivery.
    pub delivery: DeliveryView,
    /// The kind of event its header claimed; not signed.
    pub event_header: String,
    /// The repositories its secret covers; `None` covers all.
    pub scope: Option<Vec<String>>,
    /// When the same id came last.
    pub repeated_at: Option<Timestamp>,
    /// Whether its body is still kept.
    pub has_body: bool,
    /// The evaluation it led to.
    pub evaluation: Option<EvaluationView>,
}

/// One evaluation, and where it stands.
#[derive(Clone, Debug)]
pub struct EvaluationStory {
    /// The evaluation.
    pub evaluation: EvaluationView,
    /// `owner/name` of the issue.
    pub repo: String,
    /// The issue's index there.
    pub number: u64,
    /// The evaluation of this issue before it.
    pub older: Option<i64>,
    /// The evaluation of this issue after it.
    pub newer: Option<i64>,
}

impl Store {
    /// All that is known of a delivery; `None` when there is none of this id.
    pub async fn delivery_story(&self, id: &DeliveryId) -> Result<Option<DeliveryStory>, Error> {
        self.write_repeats().await?;
        let key = key(id);
        self.read(move |c| {
            let delivery = view_of(c, &key)?;
            delivery.map(|delivery| delivery_story(c, delivery)).transpose()
        })
        .await
    }

    /// All that is known of an evaluation; `None` when there is none of this number.
    pub async fn evaluation_story(&self, id: i64) -> Result<Option<EvaluationStory>, Error> {
        self.read(move |c| evaluation_story(c, id)).await
    }

    /// An issue's history, with `limit` evaluations before the evaluation `before`; `None` when it was never seen.
    pub async fn issue_story(
        &self,
        at: IssueRef,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Option<IssueStory>, Error> {
        self.read(move |c| {
            let Some(lane) = lanes::find(c, &at)? else { return Ok(None) };
            let page = "WHERE lane = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
            let values = params![lane, before.unwrap_or(i64::MAX), limit + 1];
            let mut evaluations = evaluations(c, page, values)?;
            let older = (evaluations.len() > limit as usize).then(|| {
                evaluations.truncate(limit as usize);
                evaluations.last().map_or(0, |e| e.id)
            });
            let pending = "WHERE lane = ?1 AND delivery.state IN ('pending', 'claimed')
                           ORDER BY seq LIMIT ?2";
            let ended = "WHERE lane = ?1 AND settled_at IS NOT NULL ORDER BY seq DESC LIMIT ?2";
            let had = "dispatch.lane = ?1 ORDER BY dispatch.id DESC LIMIT ?2";
            Ok(Some(IssueStory {
                lane: lane_of(c, lane)?,
                evaluations,
                older,
                dispatches: dispatches(c, had, params![lane, MOST])?,
                pending: views(c, pending, params![lane, MOST])?,
                orders: orders::views(c, lane, MOST)?,
                ended: views(c, ended, params![lane, MOST])?,
            }))
        })
        .await
    }
}

fn lane_of(c: &Connection, id: i64) -> Result<Lane, Error> {
    let removed = "SELECT kind, value FROM removed WHERE lane = ?1 ORDER BY kind, value";
    let removed = all(c, removed, [id], |r| r.try_into())?;
    let approval = people::approval(c, id)?;
    // In the order in which they are woken.
    let sql = "SELECT state, due_at, attempts, last_error, waits_for, hold, chosen, title,
             (SELECT count(*) FROM lane other WHERE other.waits_for = lane.waits_for
                 AND (other.wait_p0, other.wait_score, -other.wait_since, -other.id)
                     > (lane.wait_p0, lane.wait_score, -lane.wait_since, -lane.id)),
             carried
         FROM lane LEFT JOIN latest ON latest.lane = lane.id WHERE id = ?1";
    let repo: String = only(c, "SELECT repo FROM lane WHERE id = ?1", [id], |r| r.get(0))?;
    let pauses = pauses::of(c, &repo)?;
    only(c, sql, [id], |r| {
        let waits_for: Option<String> = r.get(4)?;
        Ok(Lane {
            paused: waits_for.as_ref().and_then(|agent| pauses.keep(&AgentId::new(agent))),
            state: parsed(r, 0)?,
            due_at: r.get::<Option<_>>(1)?.map(from_millis),
            attempts: r.get(2)?,
            last_error: r.get(3)?,
            waits_for,
            ahead: r.get(8)?,
            held: hold_text(r, 5)?,
            chosen: r.get(6)?,
            title: r.get::<Option<String>>(7)?.filter(|title| !title.is_empty()),
            carried: from_json(&r.get::<Option<String>>(9)?.unwrap_or_default())
                .unwrap_or_default(),
            approval,
            removed,
        })
    })
}

fn delivery_story(c: &Connection, delivery: DeliveryView) -> Result<DeliveryStory, Error> {
    let sql = "SELECT event, scope, repeated_at, EXISTS (SELECT 1 FROM body WHERE body.seq = delivery.seq)
         FROM delivery WHERE seq = ?1";
    let (event_header, scope, repeated_at, has_body): (_, Option<String>, Option<i64>, _) =
        only(c, sql, [delivery.seq], |r| r.try_into())?;
    let evaluation = delivery.evaluation.map(|id| evaluation(c, id)).transpose()?.flatten();
    Ok(DeliveryStory {
        delivery,
        event_header,
        scope: scope.map(|text| from_json(&text)).transpose()?,
        repeated_at: repeated_at.map(from_millis),
        has_body,
        evaluation,
    })
}

fn evaluation(c: &Connection, id: i64) -> Result<Option<EvaluationView>, Error> {
    Ok(evaluations(c, "WHERE id = ?1", &[&id])?.pop())
}

fn evaluation_story(c: &Connection, id: i64) -> Result<Option<EvaluationStory>, Error> {
    let Some(evaluation) = evaluation(c, id)? else { return Ok(None) };
    let sql = "SELECT repo, number,
             (SELECT max(e.id) FROM evaluation e WHERE e.lane = lane.id AND e.id < ?1),
             (SELECT min(e.id) FROM evaluation e WHERE e.lane = lane.id AND e.id > ?1)
         FROM lane WHERE lane.id = (SELECT e.lane FROM evaluation e WHERE e.id = ?1)";
    let (repo, number, older, newer) = only(c, sql, [id], |r| r.try_into())?;
    Ok(Some(EvaluationStory { evaluation, repo, number, older, newer }))
}
