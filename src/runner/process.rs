//! Programs that the runner starts: each in a process group of its own that is ended as a whole, with an environment
//! that was put together for it, and with an end to how long it takes and how much it prints.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long a group may take to end by itself once it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How often it is looked whether a killed group is gone, and the pause in between.
const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// How much of what a program complains about is kept, in bytes.
const COMPLAINTS: usize = 4 * 1024;

/// A program and all that it starts, unless that leaves the group. It is killed when this is dropped.
pub(super) struct Group {
    pub child: Child,
    id: Option<Pid>,
}

impl Group {
    /// Starts a program as the first of a new group.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, id })
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // Fails only when nobody is left.
            let _ = kill_process_group(id, signal);
        }
    }

    /// Asks the group to end, and then ends it.
    pub async fn end(&mut self) {
        self.signal(Signal::TERM);
        let _ = timeout(GRACE, self.child.wait()).await;
        self.kill().await;
    }

    /// Ends what is left of the group, its first program included.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
        self.vanish().await;
    }

    /// Waits for the program itself, and ends what it left behind.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.signal(Signal::KILL);
        self.vanish().await;
        status
    }

    /// Waits until nobody of the group is left that was killed. Where nobody waits for orphans, as in a container without
    /// an init, their entries stay: they are not waited for long.
    async fn vanish(&mut self) {
        let Some(id) = self.id.take() else { return };
        for _ in 0..LOOKS {
            if test_kill_process_group(id).is_err() {
                return;
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// How long a program may take, and how much it may print.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub time: Duration,
    /// In bytes.
    pub output: usize,
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(super) struct Captured {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// The end of what it complained about.
    pub stderr: String,
}

/// Why a program gave no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaptureError {
    /// There is none, or it cannot be run.
    #[error("it could not be started: {0}")]
    NotStarted(io::Error),
    /// It took too long, and was ended.
    #[error("it was ended after {}", humantime::format_duration(*.0))]
    TooSlow(Duration),
    /// It printed too much, and was ended.
    #[error("it printed more than {0} bytes, and was ended")]
    TooMuch(usize),
}

/// Runs a program to its end, with nothing on its input.
pub(super) async fn capture(
    command: &mut Command,
    limits: Limits,
) -> Result<Captured, CaptureError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = Group::spawn(command).map_err(CaptureError::NotStarted)?;
    let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
    let work = async {
        let out = async {
            let (kept, is_all) = head(stdout, limits.output).await;
            if is_all { Ok(kept) } else { Err(CaptureError::TooMuch(limits.output)) }
        };
        let end = async { group.wait().await.map_err(CaptureError::NotStarted) };
        let complaints = async { Ok(tail(stderr).await) };
        tokio::try_join!(out, complaints, end)
    };
    let done = timeout(limits.time, work).await;
    let (stdout, stderr, status) = match done {
        Ok(done) => done?,
        Err(_) => return Err(CaptureError::TooSlow(limits.time)),
    };
    Ok(Captured { status, stdout, stderr })
}

/// The first `most` bytes, and whether that is all.
async fn head(from: Option<impl AsyncRead + Unpin>, most: usize) -> (Vec<u8>, bool) {
    let (mut kept, Some(from)) = (Vec::new(), from) else { return (Vec::new(), true) };
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    // What cannot be read any more is at its end.
    let _ = from.take(limit).read_to_end(&mut kept).await;
    let is_all = kept.len() <= most;
    (kept, is_all)
}

/// The last bytes, as text.
async fn tail(from: Option<impl AsyncRead + Unpin>) -> String {
    let (mut kept, mut piece) = (Vec::new(), [0; 4096]);
    let Some(mut from) = from else { return String::new() };
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        kept.extend_from_slice(&piece[..read]);
        let over = kept.len().saturating_sub(COMPLAINTS);
        kept.drain(..over);
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    const LIMITS: Limits = Limits { time: Duration::from_secs(20), output: 1000 };

    #[tokio::test]
    async fn what_a_program_leaves_behind_is_ended_with_it() {
        let done = capture(&mut shell("sleep 300 & echo $!; echo bad >&2"), LIMITS).await.unwrap();
        assert!(done.status.success());
        assert_eq!(done.stderr, "bad");
        let left = String::from_utf8(done.stdout).unwrap();
        let left = Pid::from_raw(left.trim().parse().unwrap()).unwrap();
        // It is gone, or a zombie that nobody has waited for yet.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", left.as_raw_nonzero()));
        assert!(stat.is_err() || stat.unwrap().contains(") Z "));
    }

    #[tokio::test]
    async fn one_that_prints_without_end_or_hangs_is_ended() {
        let flood = capture(&mut shell("yes"), LIMITS).await;
        assert!(matches!(flood, Err(CaptureError::TooMuch(1000))), "{flood:?}");
        let limits = Limits { time: Duration::from_millis(50), ..LIMITS };
        let hung = capture(&mut shell("sleep 300"), limits).await;
        assert!(matches!(hung, Err(CaptureError::TooSlow(_))), "{hung:?}");
        let missing = capture(&mut Command::new("/nonexistent"), LIMITS).await;
        assert!(matches!(missing, Err(CaptureError::NotStarted(_))));
    }
}
