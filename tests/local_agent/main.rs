//! The local agent against a scripted model over real HTTP: what it says, what it calls, how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod consult;
mod injection;
mod model;
mod outside;
mod permitted;
mod registration;
mod semantics;
mod service;
mod stories;
mod tools;
mod web;
