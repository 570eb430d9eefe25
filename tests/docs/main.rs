//! The book: its configurations can be read, its commands run, its links lead somewhere, and what it quotes of the program the
//! program says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod book;
mod commands;
mod configurations;
mod links;
mod metrics;
mod packaging;
mod quotations;
mod readme;
mod shell;
