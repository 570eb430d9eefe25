//! The runner against a scripted service, a scripted agent, the Gitea in memory and a repository on this disk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the failure message"
)]

mod attacks;
mod embedded;
mod ends;
mod follow_ups;
#[path = "../git/mod.rs"]
mod git;
mod process;
mod sandbox;
mod story;
mod world;
