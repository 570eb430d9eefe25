//! Waiting without guessing how long: look, and look again until a deadline.

use std::time::{Duration, Instant};

/// The pause between two looks. Short, because it adds to every time that is measured.
const STEP: Duration = Duration::from_millis(10);

/// Looks until there is something to give back. `Err` says what is still missing, for the failure message.
pub async fn until<T>(deadline: Duration, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + deadline;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(missing) if Instant::now() >= end => {
                panic!("waited {deadline:?} in vain: {missing}")
            }
            Err(_) => tokio::time::sleep(STEP).await,
        }
    }
}
