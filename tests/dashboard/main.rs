//! The dashboard as a browser sees it: who gets in, who may act, what the pages say, and that hostile text stays text.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod acting;
mod attention;
mod browsing;
#[path = "../database/mod.rs"]
mod database;
mod hostile;
mod pages;
mod rights;
mod runs;
mod scale;
#[path = "../service/mod.rs"]
mod service;
mod sessions;
mod signing_in;
