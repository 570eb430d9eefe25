//! `completions` and `man`: shell completion and manual pages, generated from the commands.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Arguments, Failure, print};

/// Print a shell completion script
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
    /// The folder to write to; created when missing
    folder: PathBuf,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        let mut command = Arguments::command();
        clap_complete::generate(self.shell, &mut command, "gitea-triage", &mut script);
        print(String::from_utf8_lossy(&script).trim_end())
    }
}

impl Man {
    pub(super) fn run(self) -> Result<(), Failure> {
        let folder = self.folder.display();
        let cannot = || format!("`{folder}` cannot be written");
        std::fs::create_dir_all(&self.folder).with_context(cannot)?;
        clap_mangen::generate_to(Arguments::command(), &self.folder).with_context(cannot)?;
        print(&format!("the manual pages are in `{folder}`"))
    }
}
