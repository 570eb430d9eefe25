//! A PostgreSQL server of a test's own, for what would harm others; gone with its folder.
#![allow(dead_code, reason = "not every test program uses all of it")]

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who the server runs as where we are root, which it refuses to be.
#[derive(Clone, Copy)]
struct Login {
    user: u32,
    group: u32,
}

impl Login {
    /// `postgres`, as Debian has it.
    fn find() -> Option<Self> {
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let line = users.lines().find_map(|line| line.strip_prefix("postgres:"))?;
        let mut numbers = line.split(':').skip(1).map(|number| number.parse().unwrap());
        Some(Self { user: numbers.next()?, group: numbers.next()? })
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says why a story is not told here.
pub fn not_tried(why: &str) {
    eprintln!("NOT TRIED: {why}");
}

/// The programs of a server, and who may run them.
#[derive(Clone)]
struct Programs {
    folder: PathBuf,
    login: Option<Login>,
}

impl Programs {
    /// The newest that Debian has; says so where there are none.
    fn find() -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let folders = versions.map(|version| version.unwrap().path().join("bin"));
        let newest = folders.filter(|folder| folder.join("initdb").exists()).max_by_key(|folder| {
            let version = folder.parent().unwrap().file_name().unwrap().to_str().unwrap();
            version.parse::<u32>().unwrap_or(0)
        });
        let login = Login::find();
        match newest {
            Some(folder) if !is_root() => Some(Self { folder, login: None }),
            Some(folder) if login.is_some() => Some(Self { folder, login }),
            _ => {
                not_tried("no programs of PostgreSQL, or nobody to run them");
                None
            }
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        assert!(self.try_run(program, arguments), "{program} {arguments:?}");
    }

    /// Whether it came to a good end.
    fn try_run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(self.folder.join(program));
        command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(Login { user, group }) = self.login {
            command.uid(user).gid(group);
        }
        command.status().unwrap().success()
    }
}

/// A running server.
pub struct Cluster {
    programs: Programs,
    folder: tempfile::TempDir,
    pub port: u16,
    /// What it was started with.
    options: String,
    is_running: bool,
}

impl Cluster {
    /// Makes one and starts it with these settings; none where its programs are not there.
    pub fn start(settings: &[&str]) -> Option<Self> {
        Self::make(|_| ()).map(|cluster| cluster.started(settings))
    }

    /// The same with something to do in between, in the folder of its data.
    pub fn make(prepare: impl FnOnce(&Self)) -> Option<Self> {
        let cluster = Self::empty(Programs::find()?);
        let data = cluster.data();
        let make = ["-D", &data, "-U", "triage", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"];
        cluster.programs.run("initdb", &[&make[..], &["--no-sync"]].concat());
        prepare(&cluster);
        Some(cluster)
    }

    fn empty(programs: Programs) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { programs, folder, port, options: String::new(), is_running: false };
        cluster.hand_over(cluster.folder.path());
        cluster
    }

    pub fn started(mut self, settings: &[&str]) -> Self {
        let folder = self.folder.path().to_str().unwrap();
        let mut options = format!(
            "-p {} -c unix_socket_directories={folder} -c listen_addresses=127.0.0.1 -c fsync=off",
            self.port
        );
        settings.iter().for_each(|setting| options.push_str(&format!(" -c {setting}")));
        (self.options, self.is_running) = (options, true);
        assert!(self.begin(), "the server did not start");
        self
    }

    /// Starts it as before, and waits for it; whether it did.
    pub fn begin(&self) -> bool {
        let (data, log) = (self.data(), format!("{}/log", self.folder.path().display()));
        let start = ["-D", &data, "-l", &log, "-o", &self.options, "-w", "start"];
        self.programs.try_run("pg_ctl", &start)
    }

    /// Kills its first process; the others end by themselves.
    pub fn kill(&self) {
        let file = std::fs::read_to_string(format!("{}/postmaster.pid", self.data())).unwrap();
        kill(file.lines().next().unwrap().parse().unwrap());
    }

    /// A standby that follows this one.
    pub fn standby(&self) -> Self {
        let standby = Self::empty(self.programs.clone());
        let (folder, port) = (self.folder.path().to_str().unwrap(), self.port.to_string());
        let from = ["-h", folder, "-p", &port, "-U", "triage", "-c", "fast", "--no-sync", "-R"];
        let data = standby.data();
        standby.programs.run("pg_basebackup", &[&from[..], &["-D", &data]].concat());
        standby.started(&["hot_standby=on"])
    }

    /// Makes a standby the one that is written to.
    pub fn promote(&self) {
        self.programs.run("pg_ctl", &["-D", &self.data(), "-w", "promote"]);
    }

    /// Ends it at once, as a crash would.
    pub fn crash(&mut self) {
        self.programs.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
        self.is_running = false;
    }

    /// The address of a database in it.
    pub fn url(&self) -> String {
        let socket = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://triage@{socket}:{}/postgres", self.port)
    }

    /// The first column of an answer; nothing while it does not answer.
    pub fn rows(&self, sql: &str) -> Option<Vec<String>> {
        let ask = || {
            let mut client = postgres::Client::connect(&self.url(), postgres::NoTls).ok()?;
            let said = client.simple_query(sql).ok()?;
            let first = |message| match message {
                postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            };
            Some(said.into_iter().filter_map(first).collect())
        };
        // On a thread of its own, which may wait.
        std::thread::scope(|scope| scope.spawn(ask).join().unwrap())
    }

    /// Runs statements, each on its own.
    pub fn run(&self, statements: &[&str]) {
        let ask = || {
            let mut client = postgres::Client::connect(&self.url(), postgres::NoTls).unwrap();
            statements.iter().for_each(|sql| client.batch_execute(sql).unwrap());
        };
        std::thread::scope(|scope| scope.spawn(ask).join().unwrap());
    }

    /// Gives a file or a folder to whoever the server runs as.
    pub fn hand_over(&self, path: &Path) {
        if let Some(Login { user, group }) = self.programs.login {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> String {
        self.folder.path().join("data").to_str().unwrap().to_owned()
    }
}

/// Ends a process without a word.
pub fn kill(process: u32) {
    // It may have ended by itself.
    let _ = Command::new("kill").args(["-KILL", &process.to_string()]).output();
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.is_running {
            self.crash();
        }
    }
}
