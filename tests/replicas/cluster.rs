//! A PostgreSQL server of a test's own, on a socket in a folder, which it may kill. It does not run as root.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::program::until;

/// The account of Debian's package, under which the server runs where the test runs as root.
const ACCOUNT: &str = "postgres";

pub struct Cluster {
    folder: tempfile::TempDir,
    programs: PathBuf,
}

/// The folder of the newest server's programs, where one is installed.
pub fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|one| one.path()).max_by_key(|path| number(path))?;
    let programs = newest.join("bin");
    programs.join("initdb").is_file().then_some(programs)
}

impl Cluster {
    /// A new one that runs.
    pub async fn start() -> Self {
        let programs = programs().expect("install Debian's `postgresql`");
        let folder = tempfile::tempdir().unwrap();
        if rustix::process::getuid().is_root() {
            let owner = format!("{ACCOUNT}:");
            assert!(
                Command::new("chown").arg(owner).arg(folder.path()).status().unwrap().success()
            );
        }
        let cluster = Self { folder, programs };
        let made = cluster.run("initdb", |command| {
            let options = [
                "-U",
                "triage",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "-D",
            ];
            command.args(options).arg(cluster.data());
        });
        assert!(made.status.success(), "{made:?}");
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nmax_connections = 100\nfsync = off\n",
            cluster.folder.path().display()
        );
        let path = cluster.data().join("postgresql.auto.conf");
        std::fs::write(path, settings).unwrap();
        cluster.begin().await;
        cluster
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, program: &str, change: impl FnOnce(&mut Command)) -> Output {
        let program = self.programs.join(program);
        let mut command = match rustix::process::getuid().is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", ACCOUNT, "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        change(command.current_dir("/"));
        command.output().unwrap()
    }

    /// Starts it, and waits until it answers.
    pub async fn begin(&self) {
        until("the start of the server", Duration::from_secs(60), async || {
            let log = self.folder.path().join("log");
            let started = self.run("pg_ctl", |command| {
                command.args(["-w", "-t", "30", "start", "-D"]).arg(self.data()).arg("-l").arg(log);
            });
            started.status.success()
        })
        .await;
    }

    /// Kills its first process; the others end by themselves.
    pub fn kill(&self) {
        kill(self.first_process());
    }

    fn first_process(&self) -> u32 {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }

    /// What `GITEA_TRIAGE_TEST_POSTGRES` says for a database in it.
    pub fn url(&self) -> String {
        let socket = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://triage@{socket}/postgres")
    }

    /// Asks it something; nothing while it does not answer.
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
}

/// Ends a process without a word.
pub fn kill(process: u32) {
    // It may have ended by itself.
    let _ = Command::new("kill").args(["-KILL", &process.to_string()]).output();
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        self.run("pg_ctl", |command| {
            command.args(["-m", "immediate", "stop", "-D"]).arg(data);
        });
    }
}
