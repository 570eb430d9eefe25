//! Questions to whoever sits before the terminal.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::anyhow;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::super::{Failure, terminal};

/// A question, and the flag that answers it.
pub(super) struct Question<'a> {
    /// The flag.
    pub flag: &'static str,
    /// What is asked.
    pub text: &'a str,
    /// What an empty answer means.
    pub default: Option<&'a str>,
    /// Whether what is typed is not shown.
    pub is_secret: bool,
}

/// Asks, or takes the defaults.
pub(super) struct Questions {
    is_silent: bool,
    interrupt: Signal,
}

impl Questions {
    /// # Errors
    /// When questions are wanted and nobody is there to answer them.
    pub fn new(is_silent: bool) -> Result<Self, Failure> {
        let is_seen = std::io::stdin().is_terminal() && terminal::width().is_some();
        if !is_silent && !is_seen {
            let text = "`init` asks questions, which needs a terminal; in a script give `--yes` and \
                        the answers as flags (`gitea-triage init --help`)";
            return Err(Failure::Usage(text.to_owned()));
        }
        Ok(Self { is_silent, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Text between two questions.
    pub fn say(&self, text: &str) -> Result<(), Failure> {
        if self.is_silent { Ok(()) } else { Ok(terminal::out(text)?) }
    }

    /// The answer, or the default.
    pub async fn ask(&mut self, question: Question<'_>) -> Result<String, Failure> {
        let Question { flag, text, default, is_secret } = question;
        if self.is_silent {
            let missing = || format!("`{flag}` is missing; with `--yes` nothing is asked");
            return default.map(str::to_owned).ok_or_else(|| Failure::Usage(missing()));
        }
        let shown = default.filter(|default| !default.is_empty());
        let shown = shown.map(|default| format!(" [{default}]")).unwrap_or_default();
        loop {
            // Before the question is seen, so that nothing typed after it is shown.
            let unseen = is_secret.then(Unseen::new).flatten();
            terminal::prompt(&format!("{text}{shown}: "))?;
            let line = self.line().await?;
            if unseen.is_some() {
                drop(unseen);
                terminal::out("")?;
            }
            let Some(line) = line else {
                terminal::out("")?;
                return Err(anyhow!("nothing was written: not every question was answered").into());
            };
            let answer = line.trim().to_owned();
            match (answer.is_empty(), default) {
                (false, _) => return Ok(answer),
                (true, Some(default)) => return Ok(default.to_owned()),
                (true, None) => {}
            }
        }
    }

    /// Says what is wrong with an answer.
    ///
    /// # Errors
    /// When nobody can give another one.
    pub fn again(&self, why: Option<String>) -> Result<(), Failure> {
        match (self.is_silent, why) {
            (true, Some(why)) => Err(Failure::Usage(why)),
            (true, None) => Err(Failure::Reported(1)),
            (false, Some(why)) => Ok(terminal::out(&format!("  {why}"))?),
            (false, None) => Ok(()),
        }
    }

    /// A line from standard input; `None` at its end, or when the question is interrupted. The thread that waits for it
    /// ends with the process.
    async fn line(&mut self) -> Result<Option<String>, Failure> {
        let (send, read) = oneshot::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = std::io::stdin().lock().read_line(&mut text);
            // Nobody hears it when the question was interrupted.
            let _ = send.send(read.map(|length| (length > 0).then_some(text)));
        });
        Ok(tokio::select! {
            line = read => line.ok().transpose()?.flatten(),
            _ = self.interrupt.recv() => None,
        })
    }
}

/// While it lives, the terminal does not show what is typed.
struct Unseen(Termios);

impl Unseen {
    fn new() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut now = before.clone();
        now.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &now).ok()?;
        Some(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing anyway.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}
