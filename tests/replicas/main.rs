//! Several services on one PostgreSQL: work is shared, what one leaves behind another takes over, and whatever is killed,
//! nothing is lost and nothing is done twice. Each story has a server of its own, which needs Debian's `postgresql`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod campaign;
#[path = "../postgres/cluster.rs"]
mod cluster;
mod costs;
#[path = "../database/mod.rs"]
mod database;
#[path = "../dice/mod.rs"]
mod dice;
mod fleet;
#[path = "../faults/program.rs"]
mod program;
mod stories;
