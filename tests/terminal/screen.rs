//! A program on a terminal of its own: what is typed, and what is seen.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How long something may take to appear.
const PATIENCE: Duration = Duration::from_secs(30);

/// The terminal, and the program on it, which does not outlive this.
pub struct Screen {
    keys: File,
    output: Receiver<Vec<u8>>,
    raw: Vec<u8>,
    program: Child,
}

impl Screen {
    /// Starts a program on a terminal with this many columns.
    pub fn start(command: &Command, columns: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let theirs: OwnedFd = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&theirs, size).unwrap();
        let stdio = || Stdio::from(theirs.try_clone().unwrap());
        // A session of its own, of which this is the terminal: that is what a shell expects.
        let mut session = Command::new("setsid");
        session.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        session.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        if let Some(folder) = command.get_current_dir() {
            session.current_dir(folder);
        }
        session.stdin(stdio()).stdout(stdio()).stderr(stdio());
        let program = session.spawn().unwrap();
        drop((session, theirs));
        let (send, output) = channel();
        let mut reader = File::from(ours.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // Ends with the last process that has the terminal.
            while let Ok(length @ 1..) = reader.read(&mut piece) {
                if send.send(piece[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { keys: File::from(ours), output, raw: Vec::new(), program }
    }

    /// Types a text; `\t` is the key of completion, `\r` ends a line.
    pub fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    /// What has been seen since the last [`Self::clear`], without colours and movements.
    pub fn seen(&self) -> String {
        let text = String::from_utf8_lossy(&self.raw).replace('\r', "");
        let escape =
            regex::Regex::new("\x1b(\\[[0-9;?<>=]*[a-zA-Z]|[()][AB0]|\\][^\x07]*\x07|[=>78])")
                .unwrap();
        escape.replace_all(&text, "").into_owned()
    }

    /// The same with colours and movements.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    /// Forgets what has been seen.
    pub fn clear(&mut self) {
        self.raw.clear();
    }

    /// Waits until all of these are on the screen.
    #[track_caller]
    pub fn shows(&mut self, texts: &[&str]) {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.seen();
            let Some(missing) = texts.iter().find(|text| !seen.contains(**text)) else { return };
            let left = end.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(piece) => self.raw.extend(piece),
                Err(RecvTimeoutError::Timeout) => panic!("`{missing}` is not in:\n{seen}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without `{missing}`:\n{seen}")
                }
            }
        }
    }

    /// Waits until the program has ended; how it did.
    pub fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        while let Ok(piece) =
            self.output.recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            self.raw.extend(piece);
        }
        match self.program.try_wait().unwrap() {
            Some(status) => status,
            None if Instant::now() < end => self.program.wait().unwrap(),
            None => panic!("it goes on:\n{}", self.seen()),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Takes the terminal away, which ends what is still on it.
        let kill = format!("pkill -KILL -P {} 2>/dev/null", self.program.id());
        drop(Command::new("sh").args(["-c", &kill]).status());
        drop(self.program.kill());
        drop(self.program.wait());
    }
}
