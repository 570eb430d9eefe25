//! The time in which a service may act on what it has from a store that others share with it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use tokio::sync::watch;

/// How a service stands among those on the same store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Presence {
    pub id: i64,
    /// When its term ends unless it is renewed.
    pub until: Instant,
    /// Whether it does what is to be done once.
    pub is_first: bool,
    /// How many services live.
    pub living: u64,
}

/// The time in which this service may act on what it has from the store. Over a file it never ends.
#[derive(Clone, Debug, Default)]
pub struct Term(pub(super) Option<(i64, watch::Receiver<Presence>)>);

impl Term {
    /// The number of the service.
    pub(super) fn holder(&self) -> Option<i64> {
        self.0.as_ref().map(|(id, _)| *id)
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        let is_over = |(id, presence): &(i64, watch::Receiver<Presence>)| {
            let now = *presence.borrow();
            now.id != *id || now.until <= Instant::now()
        };
        self.0.as_ref().is_some_and(is_over)
    }

    /// Works as long as it lasts; `None` when it ends first. Nothing of the work is done after its end, also when this
    /// program stood still meanwhile: it is looked at before each step.
    pub async fn hold<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        // On the heap: what is worked on here is deep already.
        let (mut work, mut ended) = (Box::pin(work), pin!(self.ended()));
        poll_fn(|cx| {
            if self.is_over() || ended.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Waits for its end.
    async fn ended(&self) {
        let Some((_, presence)) = &self.0 else { return std::future::pending().await };
        let mut presence = presence.clone();
        while !self.is_over() {
            let until = presence.borrow_and_update().until;
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                // Whoever renews it is gone only with the store.
                changed = presence.changed() => if changed.is_err() { return },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt as _;

    use std::time::Duration;

    use super::*;

    /// A term that has this long to go, and what renews it.
    fn term(rest: Duration) -> (watch::Sender<Presence>, Term) {
        let until = Instant::now() + rest;
        let presence = Presence { id: 7, until, is_first: true, living: 1 };
        let (sender, presence) = watch::channel(presence);
        (sender, Term(Some((7, presence))))
    }

    #[tokio::test]
    async fn work_is_done_within_a_term_and_no_step_of_it_after() {
        let (renews, term) = term(Duration::from_secs(60));
        assert_eq!(term.hold(async { 5 }).await, Some(5));
        let did_more = AtomicBool::new(false);
        let (go_on, wait) = tokio::sync::oneshot::channel();
        let mut work = Box::pin(term.hold(async {
            wait.await.unwrap();
            did_more.store(true, Ordering::SeqCst);
        }));
        assert_eq!(work.as_mut().now_or_never(), None);
        // What it waited for comes in the same moment in which the term is over.
        renews.send_modify(|presence| presence.until = Instant::now());
        go_on.send(()).unwrap();
        assert_eq!(work.await, None);
        assert!(!did_more.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_term_that_is_not_renewed_ends_by_itself_and_a_renewed_one_goes_on() {
        let (renews, short) = term(Duration::from_millis(30));
        assert_eq!(short.hold(std::future::pending::<()>()).await, None);
        assert!(short.is_over());
        renews.send_modify(|presence| presence.until = Instant::now() + Duration::from_secs(60));
        assert!(!short.is_over());
        // Another service has come in its place.
        renews.send_modify(|presence| presence.id = 8);
        assert!(short.is_over());
        assert_eq!(short.hold(async { 5 }).await, None);
    }
}
