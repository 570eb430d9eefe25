//! The owner's commands around a run.

use std::time::Duration;

use super::confinement::Confinement;
use super::process::{Limits, capture};

/// Runs a hook; `None` when there is none, else the end of what it printed, or why it failed.
pub(super) async fn run_hook(
    argv: &[String],
    kept_in: &Confinement,
    time: Duration,
) -> Option<Result<String, String>> {
    if argv.is_empty() {
        return None;
    }
    let limits = Limits { time, output: 16 * 1024 * 1024 };
    Some(match capture(&mut kept_in.command(argv), limits).await {
        Ok(done) if done.status.success() => Ok(done.stderr),
        Ok(done) => Err(format!("{}: {}", done.status, done.stderr)),
        Err(error) => Err(error.to_string()),
    })
}
