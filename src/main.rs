//! The program: arguments, logging and the exit code; everything else is in the library.

use std::process::ExitCode;

use gitea_triage::cli;

/// Gives back what a flood has used; the C library's keeps most of it.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _scenario = fail::FailScenario::setup();
    cli::keep_to_itself();
    let arguments = cli::Arguments::read();
    let _logging = cli::start_logging(&arguments);
    cli::run(arguments)
}
