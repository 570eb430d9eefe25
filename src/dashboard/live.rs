//! Tells open pages that something has changed, by server-sent events. What has changed is not in them: a page is
//! fetched again as any page is, with all that is checked there.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::access::Reader;
use super::refusal::Refusal;
use crate::store::{Pulse, Store};

/// How often it is looked whether something has changed, while anybody listens.
const EVERY: Duration = Duration::from_secs(1);
/// Proxies end a connection on which nothing comes for long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// After this a page has to come anew, and whether it still may is asked again.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// More pages than these are not told.
const MOST: usize = 200;

/// Knows when something has changed.
pub(super) struct Hub {
    changes: watch::Receiver<u64>,
    task: AbortHandle,
    /// One permit for each page that listens.
    places: Arc<Semaphore>,
}

impl Hub {
    /// Looks after `store`, on `runtime`.
    pub fn start(store: Store, runtime: &Handle) -> Self {
        let (sender, changes) = watch::channel(0);
        let task = runtime.spawn(watch_store(store, sender)).abort_handle();
        Self { changes, task, places: Arc::new(Semaphore::new(MOST)) }
    }

    /// Ends it, and every connection with it.
    pub fn close(&self) {
        self.task.abort();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.close();
    }
}

async fn watch_store(store: Store, changes: watch::Sender<u64>) {
    let mut last = Pulse::default();
    loop {
        tokio::time::sleep(EVERY).await;
        // The one receiver is the hub's own.
        if changes.receiver_count() <= 1 {
            continue;
        }
        match store.pulse().await {
            Ok(pulse) if pulse != last => {
                last = pulse;
                changes.send_modify(|count| *count += 1);
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "whether something changed is not known"),
        }
    }
}

/// The handler of `GET /events`.
pub(super) async fn events(reader: Reader) -> Result<HttpResponse, Refusal> {
    let hub = &reader.dashboard.hub;
    let place = Arc::clone(&hub.places).try_acquire_owned().map_err(|_| {
        let why = "too many pages are open; this one is not kept up to date";
        Refusal::unavailable(&reader.settings, why)
    })?;
    let listener = (hub.changes.clone(), place);
    let until = Instant::now() + LONGEST;
    let first = stream::iter([Ok(Bytes::from_static(b"retry: 5000\n\n"))]);
    let rest = stream::unfold(listener, move |(mut changes, place)| async move {
        if Instant::now() >= until {
            return None;
        }
        let patience = until.min(Instant::now() + KEEP_ALIVE);
        let text = match timeout_at(patience, changes.changed()).await {
            Ok(Ok(())) => format!("event: change\ndata: {}\n\n", *changes.borrow_and_update()),
            Ok(Err(_)) => return None,
            Err(_) => ":\n\n".to_owned(),
        };
        Some((Ok::<_, Infallible>(Bytes::from(text)), (changes, place)))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        // nginx would otherwise wait until it has enough to pass on.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(futures_util::StreamExt::chain(first, rest)))
}
