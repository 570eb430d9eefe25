//! Completion in real shells: what is typed, and what a press of Tab makes of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::screen::Screen;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gitea-triage");
const CONFIG: &str = "[gitea]\nurl = 'http://127.0.0.1:9'\ntoken = 't'\nrepos = ['acme/widgets']\n\
     [webhook]\nsecrets = ['a-secret-of-the-tests']\n\
     [[agent]]\nid = 'reviewer'\ninterface = 'gitea'\nlabel = 'review-me'\n";

/// A shell that completes our commands.
#[derive(Clone, Copy, Debug)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    pub const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    /// The name of its program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }

    /// Without the settings of whoever runs the tests.
    fn command(self) -> Command {
        let mut command = Command::new(self.name());
        match self {
            Self::Bash => command.args(["--noprofile", "--norc", "-i"]),
            Self::Zsh => command.args(["-f", "-i"]),
            Self::Fish => command.args(["--no-config", "-i"]),
        };
        command
    }

    /// Loads the script, and sets a prompt that the typed line does not hold.
    fn set_up(self) -> &'static str {
        match self {
            Self::Bash => {
                "bind 'set show-all-if-ambiguous on'; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; \
                 . ./script; PS1='REA''DY> '"
            }
            Self::Zsh => {
                "unset zle_bracketed_paste; fpath=($PWD/functions $fpath); autoload -Uz compinit; compinit -u -D; \
                 unsetopt prompt_sp; PS1='REA''DY> '"
            }
            Self::Fish => "source ./script; function fish_prompt; echo -n 'REA''DY> '; end",
        }
    }
}

/// A shell on a terminal, in a folder with a configuration.
struct Session {
    screen: Screen,
    folder: TempDir,
}

impl Session {
    fn new(shell: Shell) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        std::fs::write(at.join("gitea-triage.toml"), CONFIG).unwrap();
        let script = Command::new(PROGRAM).args(["completions", shell.name()]).output().unwrap();
        assert!(script.status.success());
        std::fs::write(at.join("script"), &script.stdout).unwrap();
        std::fs::create_dir(at.join("functions")).unwrap();
        std::fs::write(at.join("functions/_gitea-triage"), &script.stdout).unwrap();
        stand_in(at);
        let path = format!("{}:{}", at.join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = shell.command();
        command.env("PATH", path).env("HOME", at).env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
        command.current_dir(at);
        let mut screen = Screen::start(&command, 120);
        screen.types(&format!("{}\r", shell.set_up()));
        screen.shows(&["READY> "]);
        screen.clear();
        Self { screen, folder }
    }

    /// What is run when this is typed and the line is ended.
    #[track_caller]
    fn runs(&mut self, keys: &str, expected: &str) {
        self.screen.clear();
        self.screen.types(&format!("{keys}\r"));
        self.screen.shows(&["it ran"]);
        let ran = std::fs::read_to_string(self.folder.path().join("ran")).unwrap();
        assert_eq!(ran.trim(), expected, "{}", self.screen.seen());
        self.screen.shows(&["READY> "]);
    }

    /// What is offered when this is typed.
    #[track_caller]
    fn offers(&mut self, keys: &str, expected: &[&str]) {
        self.screen.clear();
        self.screen.types(keys);
        self.screen.shows(expected);
    }
}

/// In place of the program: it says what it was called with, except where completion asks.
fn stand_in(at: &Path) {
    let text = format!(
        "#!/bin/sh\n[ \"$1 $2\" = 'agent list' ] && exec '{PROGRAM}' \"$@\"\nprintf '%s\\n' \"$*\" > '{}'\n\
         echo 'it' 'ran'\n",
        at.join("ran").display()
    );
    let file = at.join("bin/gitea-triage");
    std::fs::create_dir(at.join("bin")).unwrap();
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Past the first word, in each place where something can be known.
pub fn complete(shell: Shell) {
    let mut session = Session::new(shell);
    session.runs("gitea-triage hook ro\t", "hook rotate");
    session.runs("gitea-triage inb\tli\t", "inbox list");
    session.runs("gitea-triage inbox list --state de\t", "inbox list --state dead");
    session.runs("gitea-triage inbox list -s rec\t", "inbox list -s received");
    session.runs("gitea-triage dispatch a/b#1 --agent rev\t", "dispatch a/b#1 --agent reviewer");
    session.runs("gitea-triage score --preset pr\t", "score --preset practical");
    session.runs("gitea-triage hook install --dry\t", "hook install --dry-run");
    session.runs("gitea-triage runner to\t", "runner token");
}

/// What there is to choose from is listed.
pub fn list(shell: Shell) {
    let states = ["received", "pending", "claimed", "done", "ignored", "dead"];
    Session::new(shell).offers("gitea-triage inbox list --state \t", &states);
    let agents = ["claude", "kimi", "api", "local", "reviewer"];
    Session::new(shell).offers("gitea-triage dispatch --agent \t", &agents);
}
