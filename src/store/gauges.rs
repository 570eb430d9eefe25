//! How much there is of what, for the metrics. Every question is answered from a small index, so that asking every
//! few seconds costs nothing worth speaking of.

use super::rows::only;
use super::{AgentSpending, Error, RunnerSeen, Store, budgets, runners};
use crate::clock::{Timestamp, from_millis};

/// How full the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Deliveries nobody has read yet.
    pub received: u64,
    /// Deliveries in a lane, not finished.
    pub pending: u64,
    /// When the oldest of both was received.
    pub oldest_at: Option<Timestamp>,
    /// Lanes that wait for their turn, or for another try.
    pub lanes_due: u64,
    /// Lanes that workers have.
    pub lanes_busy: u64,
    /// Deliveries that ended dead.
    pub dead: u64,
    /// Runs that no runner has.
    pub runs_waiting: u64,
    /// Runs that runners have.
    pub runs_leased: u64,
    /// When the oldest run was handed over that no runner has.
    pub runs_oldest_at: Option<Timestamp>,
    /// The runners that have ever called.
    pub runners: Vec<RunnerSeen>,
    /// What each agent on a runner used in all.
    pub spending: Vec<AgentSpending>,
    /// Changes that no webhook reported, as the sweep counted them.
    pub missed_events: u64,
    /// The services that share the store.
    pub replicas: u64,
    /// Whether this one does what one of them does for all.
    pub leads: bool,
}

const GAUGES: &str = "SELECT
    (SELECT count(*) FROM delivery WHERE state = 'received'),
    (SELECT count(*) FROM delivery WHERE state IN ('pending', 'claimed')),
    (SELECT min(received_at) FROM delivery WHERE seq IN (
        (SELECT min(seq) FROM delivery WHERE state = 'received'),
        (SELECT min(seq) FROM delivery WHERE state IN ('pending', 'claimed')))),
    (SELECT count(*) FROM lane WHERE state = 'due'),
    (SELECT count(*) FROM lane WHERE state = 'claimed'),
    (SELECT count(*) FROM delivery WHERE state = 'dead'),
    (SELECT count(*) FROM run WHERE state = 'waiting'),
    (SELECT count(*) FROM run WHERE state = 'leased'),
    (SELECT min(created_at) FROM run WHERE state = 'waiting'),
    coalesce((SELECT max(0, max(CAST(value AS BIGINT))) FROM fact
        WHERE name IN ('missed_events', 'missed_events_total')), 0)";

impl Store {
    /// How full the store is.
    pub async fn gauges(&self) -> Result<Gauges, Error> {
        let (replicas, leads) = (self.replicas(), self.leads());
        self.read(move |c| {
            let (runners, spending) = (runners::known(c)?, budgets::by_agent(c)?);
            let gauges = only(c, GAUGES, [], |r| {
                Ok(Gauges {
                    received: r.get(0)?,
                    pending: r.get(1)?,
                    oldest_at: r.get::<Option<_>>(2)?.map(from_millis),
                    lanes_due: r.get(3)?,
                    lanes_busy: r.get(4)?,
                    dead: r.get(5)?,
                    runs_waiting: r.get(6)?,
                    runs_leased: r.get(7)?,
                    runs_oldest_at: r.get::<Option<_>>(8)?.map(from_millis),
                    runners,
                    spending,
                    missed_events: r.get(9)?,
                    replicas,
                    leads,
                })
            })?;
            Ok(gauges)
        })
        .await
    }

    /// How many deliveries nobody has read yet, and how many have failed.
    pub async fn unread_and_failed(&self) -> Result<(u64, u64), Error> {
        self.read(|c| {
            let sql = "SELECT (SELECT count(*) FROM delivery WHERE state = 'received'),
                              (SELECT count(*) FROM delivery WHERE state = 'dead')";
            only(c, sql, [], |r| r.try_into())
        })
        .await
    }

    /// How many deliveries have not ended.
    pub async fn backlog(&self) -> Result<u64, Error> {
        self.read(|c| {
            let sql = "SELECT (SELECT count(*) FROM delivery WHERE state = 'received')
                            + (SELECT count(*) FROM delivery WHERE state IN ('pending', 'claimed'))";
            only(c, sql, [], |r| r.get(0))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::{plan, scratch, scratch_file};
    use super::*;

    #[tokio::test]
    async fn every_part_of_the_question_is_answered_from_an_index() {
        let (_folder, store) = scratch_file();
        for step in store.read(|c| plan(c, GAUGES)).await.unwrap() {
            assert!(
                !step.starts_with("SCAN") || step.contains("INDEX") || step == "SCAN CONSTANT ROW",
                "{step}"
            );
        }
        let empty = Gauges { replicas: 1, leads: true, ..Gauges::default() };
        assert_eq!(store.gauges().await.unwrap(), empty);
    }

    #[tokio::test]
    async fn missed_events_are_read_from_their_fact() {
        let (_folder, store) = scratch();
        store.remember("missed_events", "7".to_owned()).await.unwrap();
        assert_eq!(store.gauges().await.unwrap().missed_events, 7);
    }
}
