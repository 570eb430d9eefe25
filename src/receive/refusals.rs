//! The log of refused deliveries. It never says what was in one.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actix_web::HttpRequest;

use crate::connections::Proxies;

/// How often a line is written at most, in seconds.
const EVERY_S: u64 = 2;

/// Logs refused deliveries, at most one line in two seconds; the line says how many it stands for. Anybody can send
/// forged deliveries, and must not be able to fill the disk with lines about them.
pub struct Refusals {
    proxies: Proxies,
    started: Instant,
    /// The two seconds, counted from the start, in which a line was last written.
    last: AtomicU64,
    unsaid: AtomicU64,
}

impl Refusals {
    /// With the proxies that may say where a request comes from.
    pub fn new(proxies: Proxies) -> Self {
        let (last, unsaid) = (AtomicU64::new(u64::MAX), AtomicU64::new(0));
        Self { proxies, started: Instant::now(), last, unsaid }
    }

    /// Where a request comes from.
    pub fn sender(&self, request: &HttpRequest) -> Option<IpAddr> {
        self.proxies.sender(request.peer_addr(), request.headers())
    }

    /// Says what happened to a request, and why.
    pub fn log(&self, what: &str, why: &dyn Display, request: &HttpRequest) {
        let now = self.started.elapsed().as_secs() / EVERY_S;
        if self.last.swap(now, Ordering::Relaxed) == now {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let others = self.unsaid.swap(0, Ordering::Relaxed);
        let from = self.sender(request).map(tracing::field::display);
        tracing::warn!(others, from, "{what}: {why}");
    }
}
