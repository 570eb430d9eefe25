//! Stories through HTTP: a fake Gitea fires signed webhooks at the real receiver, and the real worker writes back.
//! Each file tells one behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod blocked;
mod burst;
mod capacity;
mod clock_jumps;
mod commands;
mod comments;
mod deadlines;
mod decisions;
#[path = "../dice/mod.rs"]
mod dice;
mod dry_run;
mod echo;
mod floods;
mod hand_overs;
mod histories;
mod hostile;
mod http_agents;
mod identity;
mod instances;
mod local_dispatch;
mod migration;
mod mixes;
mod orders;
mod panics;
mod payloads;
mod people;
mod permissions;
mod places;
mod reading;
mod receiver;
mod redelivery;
mod restart;
mod review;
mod seed_dispatching;
mod trouble;
mod truth;
mod unreachable;
mod upgrade;
mod world;
