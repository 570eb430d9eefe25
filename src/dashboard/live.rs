//! Server-sent events: open pages learn that something has changed. An event has no content: the page is requested
//! again, with all its checks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ContentEncoding};
use actix_web::web::Bytes;
use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::access::Reader;
use super::refusal::Refusal;
use crate::store::{Pulse, Store};

/// How often the store is checked for changes while a page listens.
const EVERY: Duration = Duration::from_secs(1);
/// Proxies close idle connections.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// After this time a page has to connect again, and is authorised again.
const LONGEST: Duration = Duration::from_secs(10 * 60);
/// Pages beyond this number get no events.
const MOST: usize = 200;

/// Watches the store and notifies the pages.
pub(super) struct Hub {
    changes: watch::Receiver<u64>,
    task: AbortHandle,
    /// One permit for each page that listens.
    permits: Arc<Semaphore>,
}

impl Hub {
    /// Starts to watch `store` on `runtime`.
    pub fn start(store: Store, runtime: &Handle) -> Self {
        let (sender, changes) = watch::channel(0);
        let task = runtime.spawn(watch_store(store, sender)).abort_handle();
        Self { changes, task, permits: Arc::new(Semaphore::new(MOST)) }
    }

    /// Stops, and closes every connection.
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
            Err(error) => tracing::debug!(%error, "the store could not be checked for changes"),
        }
    }
}

/// The handler of `GET /events`.
pub(super) async fn events(reader: Reader) -> Result<HttpResponse, Refusal> {
    let hub = &reader.dashboard.hub;
    let permit = Arc::clone(&hub.permits).try_acquire_owned().map_err(|_| {
        let why = "too many pages are open; this one is not updated automatically";
        Refusal::page(StatusCode::SERVICE_UNAVAILABLE, why)
    })?;
    let listener = (hub.changes.clone(), permit);
    let until = Instant::now() + LONGEST;
    let first = stream::iter([Ok(Bytes::from_static(b"retry: 5000\n\n"))]);
    let rest = stream::unfold(listener, move |(mut changes, permit)| async move {
        if Instant::now() >= until {
            return None;
        }
        let patience = until.min(Instant::now() + KEEP_ALIVE);
        let text = match timeout_at(patience, changes.changed()).await {
            Ok(Ok(())) => format!("event: change\ndata: {}\n\n", *changes.borrow_and_update()),
            Ok(Err(_)) => return None,
            Err(_) => ":\n\n".to_owned(),
        };
        Some((Ok::<_, Infallible>(Bytes::from(text)), (changes, permit)))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        // Compressed, an event would wait for more to come.
        .insert_header(ContentEncoding::Identity)
        // nginx would otherwise buffer the events.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(futures_util::StreamExt::chain(first, rest)))
}
