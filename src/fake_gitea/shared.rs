//! The state behind its lock, and who is at it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::web;
use tokio::sync::Notify;

use super::call::Call;
use super::world::State;

/// What the server, the sender of deliveries and the handle hold together.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Notified when there may be something to deliver.
    pub work: Notify,
    /// Notified when there may be nothing left to deliver.
    pub idle: Notify,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    interruptions: Mutex<Vec<Interruption>>,
}

/// What happens just before a request of this kind is looked at.
pub(super) struct Interruption {
    pub method: String,
    pub path_contains: String,
    pub act: Box<dyn FnOnce() + Send>,
}

/// One request that is being answered.
pub(super) struct Busy(web::Data<Shared>);

impl Busy {
    pub fn new(shared: &web::Data<Shared>) -> Self {
        let now = shared.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_at_once.fetch_max(now, Ordering::SeqCst);
        Self(shared.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    pub fn new(state: State) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            work: Notify::new(),
            idle: Notify::new(),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            interruptions: Mutex::default(),
        })
    }

    /// The most requests that were being answered at the same time.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::SeqCst)
    }

    pub fn interrupt(&self, interruption: Interruption) {
        self.interruptions().push(interruption);
    }

    /// Does what was to happen just before this request, once.
    pub fn act_before(&self, call: &Call) {
        let fits = |one: &Interruption| {
            (one.method.is_empty() || one.method.eq_ignore_ascii_case(&call.method))
                && call.path.contains(&one.path_contains)
        };
        let mut all = self.interruptions();
        let found = all.iter().position(fits).map(|index| all.remove(index));
        drop(all);
        if let Some(found) = found {
            (found.act)();
        }
    }

    /// Forgets what was to be done before requests that did not come; whether there was any.
    pub fn forget_interruptions(&self) -> bool {
        !std::mem::take(&mut *self.interruptions()).is_empty()
    }

    fn interruptions(&self) -> MutexGuard<'_, Vec<Interruption>> {
        self.interruptions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state; a panic of another holder leaves it usable.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the state and wakes the sender if that left work for it.
    pub fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state);
        if !state.queue.is_empty() && !state.paused {
            self.work.notify_one();
        }
        result
    }
}
