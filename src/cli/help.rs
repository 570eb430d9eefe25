//! The help: commands in groups, and below each page what holds for all: exit codes, environment, files. The manual
//! pages are made of the same.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};

use super::Arguments;
use super::table::wrapped;
use crate::config::PLACES;

/// The version of the shapes that `--json` prints, described in `docs/src/json.md`: raised when a key goes or changes
/// its meaning, not when one is added.
macro_rules! json_version {
    () => {
        "1"
    };
}

/// What `--version` prints behind the name.
pub(super) const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), "\nJSON shapes: version ", json_version!());

/// How wide a page is where it is not the terminal that says it.
const WIDTH: usize = 80;

/// The commands, in groups.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Set up", &["init", "check", "config", "hook", "demo"]),
    ("Run", &["serve", "runner", "healthcheck"]),
    ("Issues and agents", &["score", "explain", "dispatch", "agent", "summary"]),
    ("Deliveries and the store", &["inbox", "sweep", "replay", "store"]),
    ("Shell", &["completions", "man", "help"]),
];

/// What the process ends with.
pub(super) const EXIT_CODES: [(&str, &str); 3] =
    [("0", "done"), ("1", "failed"), ("2", "wrong usage or configuration")];

/// The variables that are read.
pub(super) const ENVIRONMENT: [(&str, &str); 6] = [
    (
        "GITEA_TRIAGE__SECTION__KEY",
        "a key of the configuration, such as GITEA_TRIAGE__GITEA__URL; goes before the file",
    ),
    ("GITEA_TRIAGE_LOG", "what is logged, such as `debug` or `gitea_triage=debug,warn`"),
    ("GITEA_TRIAGE_HOOK_TOKEN_FILE", "the file of `--hook-token-file`"),
    ("GITEA_TRIAGE_RUNNER_TOKEN_FILE", "the file of the runner's `--token-file`"),
    ("GITEA_TRIAGE_INIT_TOKEN", "the token for `init`, instead of `--token-file`"),
    ("NO_COLOR", "prints no colours when set"),
];

/// The files that are read where none is named.
pub(super) fn files() -> [(String, &'static str); 4] {
    let [here, installed] = PLACES;
    let [runner_here, runner_installed] = crate::runner::PLACES;
    [
        (here.to_owned(), "the configuration"),
        (installed.to_owned(), "the configuration where there is none in the working folder"),
        (runner_here.to_owned(), "the configuration of `runner`"),
        (runner_installed.to_owned(), "the same where there is none in the working folder"),
    ]
}

const EXAMPLES: &str = "Examples:\n  gitea-triage init\n  gitea-triage serve --config gitea-triage.toml\n  gitea-triage explain acme/widgets#12\n  gitea-triage help hook rotate";

/// Every command with its help, as it is parsed.
pub(super) fn command() -> Command {
    let command = plain();
    let groups = template(&command);
    let footer = format!(
        "{EXAMPLES}\n\n{}\n\n{}\n\n{}",
        listed("Exit codes", &EXIT_CODES),
        listed("Environment", &ENVIRONMENT),
        listed("Files", &files()),
    );
    each_below(command, footed).help_template(groups).after_help(footer)
}

/// Every command, with nothing below its own text.
pub(super) fn plain() -> Command {
    Arguments::command().max_term_width(100)
}

/// Changes every command below this one.
fn each_below(command: Command, change: fn(Command) -> Command) -> Command {
    let names: Vec<_> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, change))
}

fn footed(command: Command) -> Command {
    let own = command.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
    let codes: Vec<_> = EXIT_CODES.map(|(code, what)| format!("{code} {what}")).into();
    let footer = format!(
        "{own}Exit codes: {}.\nEnvironment: `gitea-triage --help` lists the variables.",
        codes.join("; ")
    );
    each_below(command, footed).after_help(footer)
}

/// The page of the program itself: clap has no groups of commands.
fn template(command: &Command) -> String {
    let head = command.get_styles().get_header();
    let word = command.get_styles().get_literal();
    let mut groups = String::new();
    for (group, names) in GROUPS {
        let _ = writeln!(groups, "{head}{group}:{head:#}");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map_or_else(
                || "Print this help, or the help of a command".to_owned(),
                ToString::to_string,
            );
            let about = wrapped(&about, 15, WIDTH);
            let _ = writeln!(groups, "  {word}{name:<11}{word:#}  {}", about.trim_start());
        }
        groups.push('\n');
    }
    format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}{head}Options:{head:#}\n{{options}}{{after-help}}"
    )
}

/// A heading and two columns, in at most [`WIDTH`].
fn listed<K: AsRef<str>>(heading: &str, rows: &[(K, &str)]) -> String {
    let widest = rows.iter().map(|(key, _)| key.as_ref().len()).max().unwrap_or(0);
    let mut text = format!("{heading}:");
    for (key, what) in rows {
        let what = wrapped(what, widest + 4, WIDTH);
        let _ = write!(text, "\n  {:<widest$}  {}", key.as_ref(), what.trim_start());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let command = plain();
        let mut all: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        all.push("help");
        grouped.sort_unstable();
        all.sort_unstable();
        assert_eq!(grouped, all);
    }

    #[test]
    fn the_commands_are_put_together_without_contradiction() {
        command().debug_assert();
    }

    /// A letter that means two things is not learnt.
    #[test]
    fn a_short_flag_means_the_same_everywhere() {
        fn walk(command: &Command, seen: &mut std::collections::BTreeMap<char, String>) {
            for arg in command.get_arguments() {
                let (Some(short), Some(long)) = (arg.get_short(), arg.get_long()) else { continue };
                let before = seen.entry(short).or_insert_with(|| long.to_owned());
                assert_eq!(before, long, "-{short} of {}", command.get_name());
            }
            command.get_subcommands().for_each(|one| walk(one, seen));
        }
        let mut seen = Default::default();
        walk(&plain(), &mut seen);
        assert!(seen.len() > 8, "{seen:?}");
    }
}
