//! The store on its own: what it must keep whatever the flow around it does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod database;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use gitea_triage::clock::{Timestamp, from_millis};
use gitea_triage::delivery::{Delivery, DeliveryId};
use gitea_triage::dispatch::{Agent, AgentId, DispatchState, Interface, Transition};
use gitea_triage::issue::IssueRef;
use gitea_triage::plan::{Decided, NewDispatch, Outcome, Plan};
use gitea_triage::reason::{Cause, NoPlace, Reason};
use gitea_triage::store::{
    Accepted, Claim, Classified, DeliveryState, Destination, Ended, Error, Filter, OpenMode, Pace,
    Place, Rank, Store,
};
use gitea_triage::triage::{Decision, Record};
use proptest::prelude::*;

const PACE: Pace = Pace {
    siblings: Duration::from_millis(40),
    quiet: Duration::from_millis(250),
    moment: Duration::from_secs(1),
    longest: Duration::from_secs(2),
};

/// Where the store of a test is.
fn place(folder: &tempfile::TempDir) -> Place {
    database::url(&folder.path().join("kept.db")).parse().unwrap()
}

struct Kept {
    store: Store,
    folder: tempfile::TempDir,
}

fn at(seconds: i64) -> Timestamp {
    from_millis(1_774_267_200_000 + seconds * 1_000)
}

fn issue(number: u64) -> IssueRef {
    format!("acme/widgets#{number}").parse().unwrap()
}

impl Kept {
    fn new(queue: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(place(&folder), queue, OpenMode::Exclusive).unwrap();
        Self { store, folder }
    }

    async fn accept(&self, id: &str, now: Timestamp) -> Accepted {
        let delivery = Delivery {
            id: DeliveryId::parse(id).unwrap(),
            received_at: now,
            body: Bytes::from_static(b"{}"),
            event_header: "issues".into(),
            scope: None,
        };
        self.store.accept(delivery).await.unwrap()
    }

    /// Puts everything that is unsorted into the lane of an issue.
    async fn sort_to(&self, number: u64, now: Timestamp) {
        self.sort_as(number, Rank::Ordinary, now).await;
    }

    async fn sort_as(&self, number: u64, rank: Rank, now: Timestamp) {
        let to = |seq| Classified {
            seq,
            action: "issues/edited".into(),
            to: Destination::Lane { at: issue(number), ids: None, more_coming: false, rank },
        };
        let unsorted = self.store.unclassified(1_000).await.unwrap();
        let sorted = unsorted.into_iter().map(|u| to(u.seq)).collect();
        self.store.classify(sorted, PACE, now).await.unwrap();
    }

    async fn state(&self, id: &str) -> DeliveryState {
        self.store.delivery(&DeliveryId::parse(id).unwrap()).await.unwrap().unwrap().state
    }

    async fn skip(&self, claim: Claim, now: Timestamp) -> Result<(), Error> {
        let ended =
            Ended { decided: decided(now, None), recorded: None, outcome: Outcome::default() };
        self.store.settle(claim, ended, PACE).await
    }
}

fn agent(places: u32) -> Agent {
    Agent {
        id: AgentId::new("claude"),
        interface: Interface::Forge,
        label: None,
        login: None,
        strengths: Vec::new(),
        max_concurrent: places,
        timeout: Duration::from_secs(7_200),
        endpoint: None,
    }
}

fn decided(now: Timestamp, opens: Option<Agent>) -> Decided {
    // The key is the time, so that no two dispatches of a story share one.
    let key = now.to_rfc3339();
    let opens = opens.map(|agent| NewDispatch { agent, by_person: false, key });
    let decision = Decision::Skip { reason: Reason::Earlier("a test".into()) };
    let Decided { evaluation, plan } = Decided::only(now, decision, &Record::default());
    Decided { evaluation, plan: Plan { opens, ..plan } }
}

#[tokio::test]
async fn an_urgent_issue_is_claimed_before_those_that_wait() {
    let kept = Kept::new(10);
    for number in 1..=3 {
        kept.accept(&number.to_string(), at(0)).await;
        let rank = if number == 3 { Rank::Urgent } else { Rank::Ordinary };
        kept.sort_as(number, rank, at(0)).await;
    }
    for number in [3, 1, 2] {
        let claim = kept.store.claim(at(5)).await.unwrap().unwrap();
        assert_eq!(claim.at, issue(number));
    }
}

#[tokio::test]
async fn all_that_is_pending_for_an_issue_is_claimed_at_once_and_by_one_hand() {
    let kept = Kept::new(10);
    for id in ["a", "b", "c"] {
        kept.accept(id, at(0)).await;
    }
    kept.sort_to(1, at(0)).await;
    let claim = kept.store.claim(at(5)).await.unwrap().unwrap();
    assert_eq!(claim.deliveries.len(), 3);
    assert!(kept.store.claim(at(5)).await.unwrap().is_none());
    kept.skip(claim, at(6)).await.unwrap();
    assert_eq!(kept.state("b").await, DeliveryState::Done);
    assert!(kept.store.claim(at(60)).await.unwrap().is_none());
}

#[tokio::test]
async fn what_comes_while_an_issue_is_in_hand_is_looked_at_after() {
    let kept = Kept::new(10);
    kept.accept("first", at(0)).await;
    kept.sort_to(1, at(0)).await;
    let claim = kept.store.claim(at(0)).await.unwrap().unwrap();
    kept.accept("second", at(1)).await;
    kept.sort_to(1, at(1)).await;
    assert!(kept.store.claim(at(1)).await.unwrap().is_none());
    kept.skip(claim, at(2)).await.unwrap();
    assert_eq!(kept.state("second").await, DeliveryState::Pending);
    let again = kept.store.claim(at(10)).await.unwrap().unwrap();
    assert_eq!(again.deliveries.len(), 1);
}

#[tokio::test]
async fn a_hand_that_comes_back_after_a_restart_is_fenced_off() {
    let kept = Kept::new(10);
    kept.accept("a", at(0)).await;
    kept.sort_to(1, at(0)).await;
    let late = kept.store.claim(at(0)).await.unwrap().unwrap();
    let Kept { store, folder } = kept;
    store.close().await.unwrap();
    let kept =
        Kept { store: Store::open(place(&folder), 10, OpenMode::Exclusive).unwrap(), folder };
    assert!(matches!(kept.skip(late, at(1)).await, Err(Error::Stale)));
    let claim = kept.store.claim(at(1)).await.unwrap().unwrap();
    assert_eq!(claim.attempts, 0, "a crash costs no try");
    kept.skip(claim, at(2)).await.unwrap();
}

#[tokio::test]
async fn a_second_service_on_the_same_store_is_refused_and_a_command_beside_it_is_not() {
    let kept = Kept::new(10);
    let second =
        Store::open(place(&kept.folder), 10, OpenMode::Exclusive).err().unwrap().to_string();
    assert!(second.contains("in use by another"), "{second}");
    Store::open(place(&kept.folder), 10, OpenMode::Shared).unwrap();
}

#[tokio::test]
async fn an_agent_has_no_more_places_than_it_has() {
    let kept = Kept::new(10);
    for number in [1, 2] {
        kept.accept(&format!("d{number}"), at(0)).await;
        kept.sort_to(number, at(0)).await;
    }
    let first = kept.store.claim(at(1)).await.unwrap().unwrap();
    let second = kept.store.claim(at(1)).await.unwrap().unwrap();
    let taken = kept.store.intend(&first, decided(at(1), Some(agent(1)))).await.unwrap();
    let refused = kept.store.intend(&second, decided(at(1), Some(agent(1)))).await;
    assert!(matches!(refused, Err(Error::AgentBusy(_))), "{refused:?}");
    let closed = Cause::Decided { reason: "closed".into() };
    let transition = Some(Transition::to(DispatchState::Completed, closed));
    let outcome = Outcome { transition, ..Outcome::default() };
    let ended = Ended { decided: decided(at(1), None), recorded: Some(taken), outcome };
    kept.store.settle(first, ended, PACE).await.unwrap();
    kept.store.intend(&second, decided(at(2), Some(agent(1)))).await.unwrap();
}

/// When something comes that another issue waits for: before that issue is claimed, while it is evaluated, or after.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Comes {
    Before,
    Meanwhile,
    After,
}

/// Ends issue 1, which has the agent, while issue 2 is evaluated as `waiting` says; whether 2 is looked at again.
async fn is_woken(comes: Comes, waiting: impl Fn(&mut Decided)) -> bool {
    let kept = Kept::new(10);
    for number in [1, 2] {
        kept.accept(&format!("d{number}"), at(0)).await;
        kept.sort_to(number, at(0)).await;
    }
    let first = kept.store.claim(at(1)).await.unwrap().unwrap();
    let taken = kept.store.intend(&first, decided(at(1), Some(agent(1)))).await.unwrap();
    let closed = Cause::Decided { reason: "closed".into() };
    let transition = Some(Transition::to(DispatchState::Completed, closed));
    let outcome = Outcome { transition, ..Outcome::default() };
    let mut finished = decided(at(2), None);
    finished.evaluation.decision = Decision::Finish { reason: Reason::Closed };
    let mut end = Some(async {
        // A dispatch that was recorded, and the evaluation that ends it.
        let ended = Ended { decided: decided(at(1), None), recorded: Some(taken), outcome };
        kept.store.settle(first, ended, PACE).await.unwrap();
        kept.accept("d3", at(2)).await;
        kept.sort_as(1, Rank::Urgent, at(2)).await;
        let closing = kept.store.claim(at(5)).await.unwrap();
        let closing = closing.filter(|claim| claim.at == issue(1)).unwrap();
        let ended = Ended { decided: finished, recorded: None, outcome: Outcome::default() };
        kept.store.settle(closing, ended, PACE).await.unwrap();
    });
    let mut second = None;
    for now in [Comes::Before, Comes::Meanwhile, Comes::After] {
        if now == Comes::Meanwhile {
            second = kept.store.claim(at(5)).await.unwrap();
        }
        if now == Comes::After {
            let mut decided = decided(at(6), None);
            waiting(&mut decided);
            let ended = Ended { decided, recorded: None, outcome: Outcome::default() };
            kept.store.settle(second.take().unwrap(), ended, PACE).await.unwrap();
        }
        if now == comes {
            end.take().unwrap().await;
        }
    }
    let again = kept.store.claim(at(60)).await.unwrap();
    again.is_some_and(|claim| claim.at == issue(2))
}

#[tokio::test]
async fn an_issue_that_begins_to_wait_while_the_place_gets_free_is_looked_at_again() {
    let waiting = |decided: &mut Decided| {
        let agent = AgentId::new("claude");
        let reason = Reason::ChosenButBusy {
            agent: agent.clone(),
            place: NoPlace { load: 1, limit: 1, paused: None },
        };
        let others = BTreeMap::new();
        decided.evaluation.decision = Decision::Wait { agent, reason, others };
    };
    for comes in [Comes::Meanwhile, Comes::After] {
        assert!(is_woken(comes, waiting).await, "{comes:?}");
    }
}

#[tokio::test]
async fn an_issue_that_begins_to_wait_while_its_blocker_closes_is_looked_at_again() {
    let waiting = |decided: &mut Decided| {
        decided.evaluation.decision = Decision::Flag { reason: Reason::Depends(vec![issue(1)]) };
        decided.evaluation.waits_on = vec![issue(1)];
    };
    for comes in [Comes::Meanwhile, Comes::After] {
        assert!(is_woken(comes, waiting).await, "{comes:?}");
    }
    // It was read after the blocker had closed: what it says is true, and it does not go round for ever.
    assert!(!is_woken(Comes::Before, waiting).await);
}

#[tokio::test]
async fn bodies_go_when_they_are_past_their_time_and_rows_stay() {
    let kept = Kept::new(10);
    for id in ["old", "open"] {
        kept.accept(id, at(0)).await;
        if id == "old" {
            kept.sort_to(1, at(0)).await;
            let claim = kept.store.claim(at(1)).await.unwrap().unwrap();
            kept.skip(claim, at(1)).await.unwrap();
        }
    }
    let month = Duration::from_secs(30 * 86_400);
    assert_eq!(kept.store.prune(at(86_400), month).await.unwrap(), 0);
    assert_eq!(kept.store.prune(at(0) + TimeDelta::days(31), month).await.unwrap(), 1);
    assert_eq!(kept.store.body(1).await.unwrap(), None);
    assert_eq!(kept.store.body(2).await.unwrap().as_deref(), Some(&b"{}"[..]));
    assert_eq!(kept.accept("old", at(100)).await, Accepted::Duplicate);
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_before_anything_is_stored() {
    let kept = Arc::new(Kept::new(2));
    // Another process keeps the writer waiting, so that the queue fills.
    let other = database::Held::of(&kept.folder.path().join("kept.db"));
    let tries = (0..8).map(|n| {
        let kept = Arc::clone(&kept);
        tokio::spawn(async move {
            let delivery = Delivery {
                id: DeliveryId::parse(&format!("d{n}")).unwrap(),
                received_at: at(0),
                body: Bytes::from_static(b"{}"),
                event_header: String::new(),
                scope: None,
            };
            kept.store.accept(delivery).await
        })
    });
    let mut refused = 0;
    for task in tries.collect::<Vec<_>>() {
        refused += usize::from(task.await.unwrap().is_err());
    }
    assert_eq!(refused, 8, "two waited in vain, six found no place");
    drop(other);
    let all = kept.store.deliveries(Filter { state: None, limit: 100 }).await.unwrap();
    assert!(all.is_empty(), "{all:?}");
    // A server lets go of the lock a moment after whoever held it has gone.
    let after = Delivery {
        id: DeliveryId::parse("after").unwrap(),
        received_at: at(1),
        body: Bytes::from_static(b"{}"),
        event_header: String::new(),
        scope: None,
    };
    let again = async {
        loop {
            match kept.store.accept(after.clone()).await {
                Err(Error::Overloaded) => tokio::time::sleep(Duration::from_millis(10)).await,
                accepted => break accepted.unwrap(),
            }
        }
    };
    let accepted = tokio::time::timeout(Duration::from_secs(10), again).await;
    assert_eq!(accepted.expect("there is room again"), Accepted::New);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However deliveries come, repeat and are claimed, each ends exactly once and none is forgotten.
    #[test]
    fn every_delivery_ends_exactly_once(steps in proptest::collection::vec((0_u8..4, 1_u64..4), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let kept = Kept::new(100);
            let mut sent = 0;
            for (step, number) in &steps {
                let now = at(i64::from(sent));
                match step {
                    0 | 1 => {
                        sent += 1;
                        assert_eq!(kept.accept(&format!("d{sent}"), now).await, Accepted::New);
                        kept.sort_to(*number, now).await;
                    }
                    2 if sent > 0 => {
                        assert_eq!(kept.accept(&format!("d{sent}"), now).await, Accepted::Duplicate);
                    }
                    _ => {
                        if let Some(claim) = kept.store.claim(now).await.unwrap() {
                            kept.skip(claim, now).await.unwrap();
                        }
                    }
                }
            }
            while let Some(claim) = kept.store.claim(at(10_000)).await.unwrap() {
                kept.skip(claim, at(10_000)).await.unwrap();
            }
            for n in 1..=sent {
                assert_eq!(kept.state(&format!("d{n}")).await, DeliveryState::Done);
            }
        });
    }
}
