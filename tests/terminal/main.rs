//! What people see and type: on a real terminal, in real shells, and in a real formatter of manual pages.
//!
//! Tests of a shell or a program that is not installed report themselves as ignored; libtest cannot decide that at run
//! time, hence a harness of our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the failure message"
)]

mod init;
mod man;
mod screen;
mod shells;
mod tables;

use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Completion, Trial};

use shells::Shell;

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for shell in Shell::ALL {
        let name = shell.name();
        let needs = [name, "setsid"];
        trials.push(trial(&format!("{name}_completes_past_the_first_word"), &needs, move || {
            shells::complete(shell)
        }));
        trials.push(trial(&format!("{name}_lists_what_there_is"), &needs, move || {
            shells::list(shell)
        }));
    }
    trials.push(trial("the_manual_pages_are_clean", &["mandoc"], man::is_clean));
    trials.push(trial("the_manual_pages_have_their_sections", &["mandoc"], man::has_its_sections));
    let asked: [(&str, fn()); 2] = [
        ("init_asks_until_each_answer_works", init::asks_until_it_works),
        ("init_can_be_left", init::can_be_left),
    ];
    trials.extend(asked.map(|(name, test)| trial(name, &["setsid"], test)));
    let name = "a_table_fits_the_terminal_and_is_coloured_where_that_is_wanted";
    trials.push(trial(name, &["setsid"], tables::colours_and_widths));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test that is ignored, with the reason, where a program is missing.
fn trial(name: &str, needs: &[&'static str], test: impl FnOnce() + Send + 'static) -> Trial {
    let missing = needs.iter().find(|program| !is_there(program)).copied();
    Trial::ignorable_test(name, move || match missing {
        Some(program) => Ok(Completion::ignored_with(format!("`{program}` is not installed"))),
        None => {
            test();
            Ok(Completion::Completed)
        }
    })
}

fn is_there(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}
