//! `completions`: scripts by which a shell completes our commands, generated from them and mended where the generator
//! falls short.

use clap::{Args, Command};
use clap_complete::Shell;

use super::{Failure, help, print};

/// Stands for the ids of the agents, which are only known when somebody asks.
const AGENTS: &str = "__AGENTS__";
/// What a shell runs to know them. It completes nothing where the configuration cannot be read.
const LIST_AGENTS: &str = "gitea-triage agent list --ids 2>/dev/null";

/// Print a shell completion script
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage completions bash > /etc/bash_completion.d/gitea-triage\n  gitea-triage completions zsh > ~/.zfunc/_gitea-triage\n  gitea-triage completions fish \\\n      > ~/.config/fish/completions/gitea-triage.fish\n\nAgents are completed from the configuration that is found without `--config`."
)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), Failure> {
        print(script(self.shell).trim_end())
    }
}

/// The script, mended.
fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut asking(help::plain()), "gitea-triage", &mut script);
    let script = String::from_utf8_lossy(&script);
    // The one half of bash's script takes a `-` in the program's name for the border of a command, the other does not.
    let script = script.replace("gitea__subcmd__triage__subcmd__", "gitea__triage__subcmd__");
    match shell {
        // Written as a list of words with descriptions.
        Shell::Fish => {
            script.replace(&format!("\"{AGENTS}\\t''\""), &format!("\"({LIST_AGENTS})\""))
        }
        _ => script.replace(AGENTS, &format!("$({LIST_AGENTS})")),
    }
}

/// The commands, with the place of an agent's id marked.
fn asking(command: Command) -> Command {
    let mark = |command: Command, arg| command.mut_arg(arg, |arg| arg.value_parser([AGENTS]));
    command.mut_subcommand("dispatch", |dispatch| mark(dispatch, "agent")).mut_subcommand(
        "runner",
        |runner| {
            runner.mut_subcommand("token", |token| {
                mark(token.mut_arg("agents", |a| a.default_value(AGENTS)), "agents")
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_asks_for_the_agents_and_bash_knows_each_command_by_one_name() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert!(script.contains(LIST_AGENTS) && !script.contains(AGENTS), "{shell}: {script}");
        }
        let bash = script(Shell::Bash);
        let names =
            bash.lines().filter_map(|line| line.trim().strip_prefix("cmd=\"")?.strip_suffix('"'));
        let mut seen = 0;
        for name in names.filter(|name| !name.is_empty()) {
            assert!(bash.contains(&format!("\n        {name})\n")), "{name}");
            seen += 1;
        }
        assert!(seen > 40, "{seen}");
    }
}
