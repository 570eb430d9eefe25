//! Any program as an agent: the prompt on its input, its exit code as the answer, its last lines as its words.

use std::process::Stdio;

use futures_util::future::BoxFuture;
use tokio::io::AsyncWriteExt as _;

use super::lines::{Last, Lines, listen};
use super::{Agent, Ended, Pulse, Turn};
use crate::dispatch::run::RunEvent;
use crate::runner::process::Group;

/// The longest line that is read, in bytes.
const LINE: usize = 64 * 1024;

/// Talks to an agent by its input and its exit code.
pub(in crate::runner) struct ByCommand;

impl Agent for ByCommand {
    fn turn<'a>(&'a self, turn: &'a Turn<'a>) -> BoxFuture<'a, Ended> {
        Box::pin(run(turn))
    }
}

async fn run(turn: &Turn<'_>) -> Ended {
    let argv = turn.agent.argv();
    let mut command = turn.confinement.command(&argv);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = match Group::spawn(&mut command) {
        Ok(group) => group,
        Err(error) => {
            let name = argv.first().map(String::as_str).unwrap_or_default();
            return Ended::Failed(format!("`{name}` could not be started: {error}"));
        }
    };
    let (pulse, last) = (Pulse::new(), Last::default());
    let child = &mut group.child;
    let (input, output, complaints) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        // One that does not read its prompt has closed its input; that is its own business.
        if let Some(mut input) = input {
            let _ = input.write_all(turn.prompt.as_bytes()).await;
        }
    };
    let hear = async {
        let Some(output) = output else { return };
        let mut lines = Lines::new(output, LINE);
        while let Ok(Some(line)) = lines.next().await {
            pulse.beat();
            let text = String::from_utf8_lossy(&line.bytes);
            last.add(&text);
            turn.journal.said(&format!("{text}\n"));
        }
    };
    let mind = async {
        if let Some(complaints) = complaints {
            listen(complaints, turn.journal, &last).await;
        }
    };
    turn.journal.event(RunEvent::Prompted, "");
    let whole = async { tokio::join!(feed, hear, mind, group.wait()).3 };
    let ended = tokio::select! {
        ended = whole => match ended {
            Ok(status) if status.success() => Ended::Finished,
            Ok(status) => Ended::Failed(format!("the agent ended with {status}{}", last.said(turn.journal))),
            Err(error) => Ended::Failed(format!("the agent could not be waited for: {error}")),
        },
        ended = pulse.over(turn) => ended,
    };
    group.end().await;
    ended
}
