//! Faults from outside, against the real program: a locked or full disk, floods, slow and lying senders, hostile
//! bodies, a stop in the middle of work. `GITEA_TRIAGE_TEST_SCALE=full` takes the sizes of a release.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bodies;
mod burst;
#[path = "../database/mod.rs"]
mod database;
#[path = "../dice/mod.rs"]
mod dice;
mod disk;
mod floods;
mod group;
mod growth;
mod hostile;
mod killed;
mod paths;
mod program;
mod reload;
mod secrets;
mod slow;
mod soak;
mod stop;
mod strangers;
