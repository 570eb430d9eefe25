//! Runs under faults: the real service and two real runners over a repository on disk, killed at random moments, and cut
//! off from each other. At the end every issue has one pull request on one branch, and nothing is left behind.
//!
//! 20 issues and 20 kills in a usual run; `GITEA_TRIAGE_TEST_SCALE=full` makes it 100 and 200.
//! `GITEA_TRIAGE_TEST_SEED` repeats a run, and `GITEA_TRIAGE_TEST_PROGRAM` names another program to try.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod campaign;
mod cuts;
#[path = "../dice/mod.rs"]
mod dice;
#[path = "../git/mod.rs"]
mod git;
mod idle;
mod proxy;
mod stage;
