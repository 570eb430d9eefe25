//! A process that does not outlive its test, whether that passes, fails or panics.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::wait::until;

/// How long a process may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running process, killed when this is dropped.
pub struct Process(Child);

impl Process {
    /// Starts it with both of its outputs in the file `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let out = File::create(log).unwrap();
        let err = out.try_clone().unwrap();
        Self(command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap())
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Sends it a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: every machine has that one.
        let kill = format!("kill -{name} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Asks it to end as an init system does, and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        let pid = self.0.id();
        until(PATIENCE, async || self.ended().ok_or_else(|| format!("process {pid} goes on"))).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A port of 127.0.0.1 that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
