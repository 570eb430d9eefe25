//! Tools of other programs: a real server from the npm registry, one of our own that behaves as badly as it is told to,
//! and one over HTTP.
//!
//! The real one needs `node` and the registry once; without them its test reports itself as ignored, which libtest
//! cannot decide at run time, hence a harness of our own. This program is also the badly behaved server.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with another suite, which uses more of it")]
#[path = "local_agent/model.rs"]
mod model;
#[allow(dead_code, reason = "shared with another suite, which uses more of it")]
#[path = "local_agent/outside.rs"]
mod outside;
#[path = "mcp/real.rs"]
mod real;
#[path = "mcp/scripted.rs"]
mod scripted;
#[path = "mcp/stories.rs"]
mod stories;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

type Story = std::pin::Pin<Box<dyn Future<Output = ()>>>;

fn main() -> ExitCode {
    if let Some(how) = std::env::args().skip_while(|a| a != "--serve-tools").nth(1) {
        scripted::serve(&how);
        return ExitCode::SUCCESS;
    }
    let trials: Vec<_> = stories::ALL.iter().map(|(name, story)| trial(name, *story)).collect();
    let real = Trial::ignorable_test("a_real_server_is_listed_called_and_killed", || {
        let server = match real::installed() {
            Ok(server) => server,
            Err(why) => return Ok(Completion::ignored_with(why)),
        };
        in_time(Box::pin(real::story(server)));
        Ok(Completion::Completed)
    });
    let trials = trials.into_iter().chain([real]).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: &'static str, story: fn() -> Story) -> Trial {
    Trial::test(name, move || {
        in_time(story());
        Ok(())
    })
}

/// On a runtime of its own.
fn in_time(story: Story) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(story);
}
