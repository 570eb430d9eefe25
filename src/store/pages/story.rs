//! One delivery's and one evaluation's whole story.

use rusqlite::{Connection, Row};

use crate::clock::{Timestamp, from_millis};
use crate::delivery::DeliveryId;
use crate::store::history::{evaluations, view_of};
use crate::store::ids::key;
use crate::store::rows::from_json;
use crate::store::{DeliveryView, Error, EvaluationView, Store};

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
    /// The index there.
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
}

fn delivery_story(c: &Connection, delivery: DeliveryView) -> Result<DeliveryStory, Error> {
    let mut row = c.prepare_cached(
        "SELECT event, scope, repeated_at, EXISTS (SELECT 1 FROM body WHERE body.seq = delivery.seq)
         FROM delivery WHERE seq = ?1",
    )?;
    let (event_header, scope, repeated_at, has_body): (_, Option<String>, Option<i64>, _) =
        row.query_row([delivery.seq], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
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
    let mut beside = c.prepare_cached(
        "SELECT repo, number,
             (SELECT max(e.id) FROM evaluation e WHERE e.lane = lane.id AND e.id < ?1),
             (SELECT min(e.id) FROM evaluation e WHERE e.lane = lane.id AND e.id > ?1)
         FROM lane WHERE lane.id = (SELECT e.lane FROM evaluation e WHERE e.id = ?1)",
    )?;
    let story = |row: &Row<'_>| {
        Ok(EvaluationStory {
            evaluation,
            repo: row.get(0)?,
            number: row.get(1)?,
            older: row.get(2)?,
            newer: row.get(3)?,
        })
    };
    Ok(Some(beside.query_row([id], story)?))
}
