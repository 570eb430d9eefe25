//! `completions` and `man`: what shells and manual readers want to know of the commands, from the commands themselves.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Arguments, Failure, print};

/// Print what lets a shell complete the commands
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage completions bash > /etc/bash_completion.d/gitea-triage\n  gitea-triage completions zsh > ~/.zfunc/_gitea-triage\n  gitea-triage completions fish > ~/.config/fish/completions/gitea-triage.fish"
)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

/// Write the manual pages
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage man /usr/local/share/man/man1\n\nOne page for each command, as `gitea-triage-hook-install.1`."
)]
pub(super) struct Man {
    /// The folder to write to; made when it is not there
    folder: PathBuf,
}

impl Completions {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        let mut command = Arguments::command();
        clap_complete::generate(self.shell, &mut command, "gitea-triage", &mut script);
        print(String::from_utf8_lossy(&script).trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Man {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let folder = self.folder.display();
        let cannot = || format!("`{folder}` cannot be written");
        std::fs::create_dir_all(&self.folder).with_context(cannot)?;
        clap_mangen::generate_to(Arguments::command(), &self.folder).with_context(cannot)?;
        print(&format!("the pages are in `{folder}`"))?;
        Ok(ExitCode::SUCCESS)
    }
}
