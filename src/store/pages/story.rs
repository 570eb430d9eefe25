//! One delivery's and one evaluation's whole story.

use rusqlite::{Connection, OptionalExtension};

use crate::clock::{Timestamp, from_millis};
use crate::delivery::DeliveryId;
use crate::store::history::{EFFECT, effect, view_of, views};
use crate::store::ids::key;
use crate::store::rows::from_json;
use crate::store::{DeliveryView, EffectView, Error, Store};
use crate::triage::{Signal, Verdict};

/// How many deliveries of one evaluation are shown; a burst can have more.
const MOST_DELIVERIES: u32 = 50;

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
    pub evaluation: Option<EvaluationStory>,
}

/// One evaluation, and what it wrote.
#[derive(Clone, Debug)]
pub struct EvaluationStory {
    /// The ledger's number.
    pub id: i64,
    /// `owner/name` of the issue.
    pub repo: String,
    /// The index there.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// `dispatch`, `flag`, `wait`, `skip` or `finish`.
    pub action: String,
    /// The agent it names.
    pub agent: Option<String>,
    /// Why.
    pub reason: String,
    /// Score, task type and decision; `None` when the issue was gone.
    pub verdict: Option<Verdict>,
    /// What gave the points.
    pub signals: Vec<Signal>,
    /// The deliveries that led to it.
    pub deliveries: Vec<DeliveryView>,
    /// What it wrote, or meant to.
    pub effects: Vec<EffectView>,
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
}

fn delivery_story(c: &Connection, delivery: DeliveryView) -> Result<DeliveryStory, Error> {
    let mut row = c.prepare_cached(
        "SELECT event, scope, repeated_at, EXISTS (SELECT 1 FROM body WHERE body.seq = delivery.seq)
         FROM delivery WHERE seq = ?1",
    )?;
    let (event_header, scope, repeated_at, has_body): (_, Option<String>, Option<i64>, _) =
        row.query_row([delivery.seq], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
    let evaluation = delivery.evaluation.map(|id| evaluation_story(c, id)).transpose()?.flatten();
    Ok(DeliveryStory {
        delivery,
        event_header,
        scope: scope.map(|text| from_json(&text)).transpose()?,
        repeated_at: repeated_at.map(from_millis),
        has_body,
        evaluation,
    })
}

fn evaluation_story(c: &Connection, id: i64) -> Result<Option<EvaluationStory>, Error> {
    let mut row = c.prepare_cached(
        "SELECT lane, repo, number, at, action, agent, reason, verdict, signals
         FROM evaluation JOIN lane ON lane.id = lane WHERE evaluation.id = ?1",
    )?;
    let found = row
        .query_row([id], |r| {
            let lane: i64 = r.get(0)?;
            let (verdict, signals): (Option<String>, String) = (r.get(7)?, r.get(8)?);
            // What an older version wrote may have another shape; the rest is shown all the same.
            let story = EvaluationStory {
                id,
                repo: r.get(1)?,
                number: r.get(2)?,
                at: from_millis(r.get(3)?),
                action: r.get(4)?,
                agent: r.get(5)?,
                reason: r.get(6)?,
                verdict: verdict.and_then(|text| from_json(&text).ok()),
                signals: from_json(&signals).unwrap_or_default(),
                deliveries: Vec::new(),
                effects: Vec::new(),
                older: None,
                newer: None,
            };
            Ok((lane, story))
        })
        .optional()?;
    let Some((lane, mut story)) = found else { return Ok(None) };
    story.deliveries =
        views(c, "WHERE evaluation = ?1 ORDER BY seq LIMIT ?2", &[&id, &MOST_DELIVERIES])?;
    story.effects = effects(c, lane, id)?;
    let mut beside = c.prepare_cached(
        "SELECT (SELECT max(id) FROM evaluation WHERE lane = ?1 AND id < ?2),
                (SELECT min(id) FROM evaluation WHERE lane = ?1 AND id > ?2)",
    )?;
    (story.older, story.newer) = beside.query_row([lane, id], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(Some(story))
}

/// By the lane, because effects have no index of their own by evaluation.
pub(super) fn effects(c: &Connection, lane: i64, id: i64) -> Result<Vec<EffectView>, Error> {
    let sql = format!("{EFFECT} WHERE lane = ?1 AND evaluation = ?2 ORDER BY id");
    let mut rows = c.prepare_cached(&sql)?;
    Ok(rows.query_map([lane, id], effect)?.collect::<Result<_, _>>()?)
}
