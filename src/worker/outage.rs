//! Whether the forge is unreachable, as far as the work shows it, and the moment it can be reached again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::gitea as forge;

/// Notices that the forge is unreachable and that it can be reached again.
#[derive(Default)]
pub(super) struct Outage {
    is_on: AtomicBool,
    over: Arc<Notify>,
}

impl Outage {
    /// Work failed with `error`.
    pub fn begins_with(&self, error: &forge::Error) {
        // A forge that asks for fewer requests is there, and loses no delivery.
        if error.is_outage() && error.status() != Some(429) {
            self.is_on.store(true, Ordering::Relaxed);
        }
    }

    /// Work came to its end, so the forge is there.
    pub fn ends(&self) {
        if self.is_on.swap(false, Ordering::Relaxed) {
            self.over.notify_one();
        }
    }

    /// Notified once for each outage that is over.
    pub fn over(&self) -> Arc<Notify> {
        Arc::clone(&self.over)
    }
}
