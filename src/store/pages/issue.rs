//! One issue's whole history, the newest first.

use rusqlite::{Connection, params};

use crate::clock::{Timestamp, from_millis};
use crate::dispatch::Dispatch;
use crate::issue::IssueRef;
use crate::store::history::{dispatches, evaluations, views};
use crate::store::people::hold_text;
use crate::store::rows::parsed;
use crate::store::{DeliveryView, Error, EvaluationView, Store, TransitionView, lanes};

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
    /// Why it is on hold.
    pub held: Option<String>,
    /// The agent that people chose for it.
    pub chosen: Option<String>,
    /// What people took off it, as kind and value.
    pub removed: Vec<(String, String)>,
    /// Its title, when it is known.
    pub title: Option<String>,
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
    /// What came to an end, the newest first.
    pub ended: Vec<DeliveryView>,
}

impl Store {
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
            let had = "WHERE dispatch.lane = ?1 ORDER BY dispatch.id DESC LIMIT ?2";
            Ok(Some(IssueStory {
                lane: lane_of(c, lane)?,
                evaluations,
                older,
                dispatches: dispatches(c, had, params![lane, MOST])?,
                pending: views(c, pending, params![lane, MOST])?,
                ended: views(c, ended, params![lane, MOST])?,
            }))
        })
        .await
    }
}

fn lane_of(c: &Connection, id: i64) -> Result<Lane, Error> {
    let mut removed =
        c.prepare_cached("SELECT kind, value FROM removed WHERE lane = ?1 ORDER BY kind, value")?;
    let removed = removed.query_map([id], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let removed = removed.collect::<Result<_, _>>()?;
    let mut row = c.prepare_cached(
        "SELECT state, due_at, attempts, last_error, waits_for, hold, chosen, title
         FROM lane LEFT JOIN latest ON latest.lane = lane.id WHERE id = ?1",
    )?;
    let lane = row.query_row([id], |r| {
        Ok(Lane {
            state: parsed(r, 0)?,
            due_at: r.get::<_, Option<i64>>(1)?.map(from_millis),
            attempts: r.get(2)?,
            last_error: r.get(3)?,
            waits_for: r.get(4)?,
            held: hold_text(r, 5)?,
            chosen: r.get(6)?,
            title: r.get::<_, Option<String>>(7)?.filter(|title| !title.is_empty()),
            removed,
        })
    })?;
    Ok(lane)
}
