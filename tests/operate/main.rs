//! What the person who runs it touches: `hook`, `check` and their like, run as programs beside a running service and a
//! fake Gitea.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod check;
mod demo;
#[path = "../demo/mod.rs"]
mod demo_program;
mod hook;
mod stage;
mod store;
mod visit;
