//! Panics of the program itself. The worker catches them and tries again, so that a test would not notice one.

use std::panic;
use std::sync::{Mutex, Once, PoisonError};

/// Where the program panicked, since the first test began to watch.
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Watches until it is asked; it sees what panics in the tests beside it too, which is a mistake just as much.
pub struct Panics {
    before: usize,
}

impl Panics {
    pub fn watch() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let usual = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                // A test that fails panics as well, and fails by that.
                let place = panic.location().filter(|at| !at.file().starts_with("tests/"));
                SEEN.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(place.map(ToString::to_string));
                usual(panic);
            }));
        });
        Self { before: SEEN.lock().unwrap().len() }
    }

    /// Fails when something but a test panicked meanwhile.
    #[track_caller]
    pub fn assert_none(self) {
        let seen = SEEN.lock().unwrap()[self.before..].to_vec();
        assert!(seen.is_empty(), "panicked at {seen:#?}");
    }
}
