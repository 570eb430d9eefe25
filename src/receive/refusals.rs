//! The log of refused deliveries. It never says what was in one.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Logs refused deliveries, at most one line a second; the line says how many it stands for. Anybody can send
/// forged deliveries, and must not be able to fill the disk with lines about them.
pub struct Refusals {
    started: Instant,
    /// The second, counted from the start, in which a line was last written.
    last: AtomicU64,
    unsaid: AtomicU64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { started: Instant::now(), last: AtomicU64::new(u64::MAX), unsaid: AtomicU64::new(0) }
    }
}

impl Refusals {
    /// Says what happened to a request, and why; `from` is the sender's address.
    pub(super) fn log(&self, what: &str, why: &dyn Display, from: Option<IpAddr>) {
        let second = self.started.elapsed().as_secs();
        if self.last.swap(second, Ordering::Relaxed) == second {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let others = self.unsaid.swap(0, Ordering::Relaxed);
        let from = from.map(tracing::field::display);
        tracing::warn!(others, from, "{what}: {why}");
    }
}
