//! From an issue to a merged pull request, with the real service, the real runner, a real agent and a real repository,
//! each in a process of its own; only the forge's API and the agent's model are ours.
//!
//! `cargo test --test end_to_end` prints what happened as a timeline. `OPENCODE_BIN` names the program of OpenCode;
//! without it, that story reports itself as ignored, and only the one with a scripted agent is told. libtest cannot decide
//! that at run time, hence a harness of our own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod actors;
#[path = "../git/mod.rs"]
mod git;
mod handshakes;
mod story;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

use actors::coder::{Coder, HOW, opencode};

fn main() -> ExitCode {
    let scripted = Trial::test("from_an_issue_to_a_merged_pull_request", || {
        tell(|| Coder::Scripted);
        Ok(())
    });
    let name = "from_an_issue_to_a_merged_pull_request_by_opencode";
    let real = Trial::ignorable_test(name, || {
        let Some(program) = opencode() else { return Ok(Completion::ignored_with(HOW)) };
        tell(|| Coder::opencode(program));
        Ok(Completion::Completed)
    });
    let mut trials = vec![scripted, real];
    trials.extend(handshakes::ALL.map(|(agent, program, expected)| {
        let name = format!("check_says_what_to_do_where_{agent}_has_no_account");
        Trial::ignorable_test(name, move || {
            let Some(bin) = handshakes::folder_with(program) else {
                return Ok(Completion::ignored_with(handshakes::HOW));
            };
            handshakes::says(&bin, agent, expected);
            Ok(Completion::Completed)
        })
    }));
    let mut arguments = Arguments::from_args();
    // Each is measured.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn tell(coder: impl FnOnce() -> Coder) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { story::tell(coder()).await });
}
