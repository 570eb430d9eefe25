//! Stories through HTTP: a fake forge fires signed webhooks at the real receiver, and the real worker writes back.
//! Each file tells one behaviour, and each story is told twice: on a Gitea, and again on a Forgejo
//! (`STORIES_ON=forgejo cargo test --test flow NAME` tells one there alone).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod answers;
mod approvals;
mod backlog;
mod blocked;
mod budgets;
mod burst;
mod capacity;
mod claims;
mod clock_jumps;
mod commands;
mod comments;
#[path = "../database/mod.rs"]
mod database;
mod deadlines;
mod decisions;
#[path = "../dice/mod.rs"]
mod dice;
mod dry_run;
mod duplicates;
mod echo;
mod floods;
mod follow_ups;
mod hand_overs;
mod histories;
mod hostile;
mod http_agents;
mod identity;
mod inputs;
mod instances;
mod kept_orders;
mod large;
mod local_dispatch;
mod migration;
mod mixes;
mod orders;
mod panics;
mod pauses;
mod payloads;
mod people;
mod permissions;
mod permits;
mod places;
#[path = "../processor/mod.rs"]
mod processor;
mod reading;
mod receiver;
mod redelivery;
mod restart;
mod review;
mod rotation;
mod runs;
mod seed_dispatching;
mod tokens;
mod trouble;
mod truth;
mod unreachable;
mod upgrade;
mod world;

/// The same stories in a process of their own, on the other forge.
#[test]
fn every_story_holds_on_a_forgejo() {
    world::tell_again_on_a_forgejo("every_story_holds_on_a_forgejo");
}
