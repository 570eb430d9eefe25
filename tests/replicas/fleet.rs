//! Three services on one store, and a proxy in front of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gitea_triage::fake_gitea::{FakeGitea, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};

use crate::cluster::Cluster;
use crate::program::{PATIENCE, Program, SECRET, bug, until};

const CADDYFILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/caddy/replicas.Caddyfile");
/// What stands there for the replicas.
const UPSTREAMS: &str = "127.0.0.1:8484 127.0.0.1:8485";

pub struct Fleet {
    pub gitea: FakeGitea,
    pub repo: RepoName,
    pub cluster: Cluster,
    pub folder: tempfile::TempDir,
    /// Where each replica listens.
    ports: Vec<u16>,
}

impl Fleet {
    /// One of so many replicas, of which none runs yet, whose configuration has these lines at its end.
    pub async fn of(replicas: usize, more: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let gitea = FakeGitea::start().await.unwrap();
        let cluster = Cluster::start(&[]).expect("install Debian's `postgresql`");
        let repo: RepoName = "acme/widgets".parse().unwrap();
        gitea.add_repo(&repo);
        gitea.add_collaborator(&repo, "claude", "write");
        gitea.add_collaborator(&repo, "alice", "write");
        let ports = free_ports(replicas);
        let fleet = Self { gitea, repo, cluster, folder: tempfile::tempdir().unwrap(), ports };
        std::fs::write(fleet.path("config.toml"), fleet.config() + more).unwrap();
        fleet
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> String {
        format!(
            "[gitea]\nurl = \"{}\"\ntoken = \"{}\"\nrepos = [\"acme/*\"]\n\
             [webhook]\nsecrets = [\"{SECRET}\"]\n[store]\nurl = \"{}\"\n\
             [dashboard]\ntoken = \"{TOKEN}\"\n\
             [[agent]]\nid = \"claude\"\nmax_concurrent = 10000\n[worker]\nfuse = 1000\n",
            self.gitea.url(),
            self.gitea.token(),
            self.cluster.url(),
        )
    }

    /// Starts the replica with this number.
    pub fn start(&self, replica: usize) -> Program {
        Program::start(self.command(replica, "config.toml"))
    }

    /// The same by another configuration.
    pub fn start_with(&self, replica: usize, config: &str) -> Program {
        Program::start(self.command(replica, config))
    }

    /// The same, unless it does not find its server.
    pub fn try_start(&self, replica: usize) -> Option<Program> {
        Program::try_start(self.command(replica, "config.toml")).ok()
    }

    fn program(&self, config: &str) -> Command {
        let program = std::env::var_os("GITEA_TRIAGE_TEST_PROGRAM");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_gitea-triage").into());
        let mut command = Command::new(program);
        command.arg("--config").arg(self.path(config));
        command
    }

    /// What a command says, to whom it may concern.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.program("config.toml").args(arguments).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    fn command(&self, replica: usize, config: &str) -> Command {
        let mut command = self.program(config);
        command.arg("serve");
        command.env("GITEA_TRIAGE__SERVER__LISTEN", format!("127.0.0.1:{}", self.ports[replica]));
        command
    }

    pub fn start_all(&self) -> Vec<Program> {
        (0..self.ports.len()).map(|replica| self.start(replica)).collect()
    }

    /// Sends what happens on the forge to this address.
    pub fn hook(&self, url: &str) {
        self.gitea.set_hook(&format!("{url}/webhook"), SECRET);
    }

    pub fn open(&self, number: usize) -> IssueRef {
        let new = NewIssue { title: format!("[bug] fleet number {number}"), ..bug(number) };
        self.gitea.open_issue(&self.repo, new)
    }

    pub fn count(&self, sql: &str) -> i64 {
        let rows = self.cluster.rows(sql).unwrap_or_else(|| panic!("no answer to {sql}"));
        rows.first().map_or(0, |number| number.parse().unwrap())
    }

    /// Waits until nothing is on its way and nothing waits in the inbox, as long as it gets less.
    pub async fn processed(&self) {
        let open =
            "SELECT count(*) FROM delivery WHERE state IN ('received', 'pending', 'claimed')";
        let (mut quiet, mut least, mut since) = (0, i64::MAX, Instant::now());
        while quiet < 2 {
            self.gitea.delivered().await;
            let left = self.count(open);
            // Our own writes come back as deliveries, so it is looked at twice.
            quiet = if left == 0 { quiet + 1 } else { 0 };
            if left < least {
                (least, since) = (left, Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "{left} deliveries are left: {}", self.standing());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How it stands, for whoever has to find out why it does not go on.
    fn standing(&self) -> String {
        let standing = "SELECT 'replicas ' || (SELECT string_agg(replica::text, ' ') FROM replica) UNION ALL
            SELECT state || ' ' || count(*) FROM delivery GROUP BY state UNION ALL
            SELECT 'lanes ' || state || ' ' || coalesce(claimed_by, 0) || ' ' || count(*) || ' ' || coalesce(min(last_error), '')
                FROM lane GROUP BY state, claimed_by";
        self.cluster.rows(standing).unwrap_or_default().join("; ")
    }

    /// Waits until this many replicas count on each other.
    pub async fn are_living(&self, replicas: i64) {
        until("all replicas", PATIENCE, async || {
            self.count("SELECT count(*) FROM replica") == replicas
        })
        .await;
    }

    /// The deliveries that were answered with a success.
    pub fn accepted(&self) -> BTreeSet<String> {
        let all = self.gitea.deliveries().into_iter();
        all.filter(|d| matches!(d.status, Some(200 | 202))).map(|d| d.uuid).collect()
    }

    /// Those of them that did not come to a good end.
    pub fn lost(&self) -> BTreeSet<String> {
        let ended = "SELECT encode(id, 'hex') FROM delivery WHERE state IN ('done', 'ignored')";
        let ended: BTreeSet<_> = self.cluster.rows(ended).unwrap().into_iter().collect();
        self.accepted().into_iter().filter(|id| !ended.contains(&id.replace('-', ""))).collect()
    }

    /// What is there twice: comments that say the same, labels with one name, hand-offs, summaries of one day.
    pub fn doubled(&self) -> Vec<String> {
        let bot = self.gitea.bot().login;
        let (mut found, mut titles) = (Vec::new(), BTreeMap::<String, u32>::new());
        for (at, issue) in self.gitea.issues(&self.repo) {
            if issue.author == bot {
                *titles.entry(issue.title.clone()).or_default() += 1;
            }
            let ours = issue.comments.iter().filter(|comment| comment.author == bot);
            let markers: Vec<_> =
                ours.map(|one| one.body.lines().next_back().unwrap_or_default()).collect();
            if markers.iter().collect::<BTreeSet<_>>().len() < markers.len() {
                found.push(format!("comments of {at}: {markers:?}"));
            }
        }
        let labels = self.gitea.labels(&self.repo);
        if labels.iter().collect::<BTreeSet<_>>().len() < labels.len() {
            found.push(format!("labels: {labels:?}"));
        }
        found.extend(titles.into_iter().filter(|(_, times)| *times > 1).map(|(title, _)| title));
        let handed = "SELECT number FROM dispatch JOIN lane ON lane.id = dispatch.lane
                      GROUP BY number HAVING count(*) > 1";
        let handed = self.cluster.rows(handed).unwrap();
        found.extend(handed.into_iter().map(|number| format!("hand-offs of #{number}")));
        found
    }
}

pub const TOKEN: &str = "token-of-the-dashboard-of-replicas";

fn free_ports(count: usize) -> Vec<u16> {
    // All at once, so that none is given twice.
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// A Caddy with the site of `deploy/` in front of a fleet.
pub struct Proxy {
    child: Child,
    pub url: String,
}

pub fn is_caddy_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("caddy").is_file())
}

impl Proxy {
    pub async fn start(fleet: &Fleet) -> Self {
        let port = free_ports(1)[0];
        let all: Vec<_> = fleet.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let site = std::fs::read_to_string(CADDYFILE).unwrap();
        assert!(site.contains(UPSTREAMS), "the site names other replicas");
        let site = site
            .replace("triage.example.com {", &format!("http://127.0.0.1:{port} {{"))
            .replace(UPSTREAMS, &all.join(" "));
        let file = fleet.path("Caddyfile");
        std::fs::write(&file, format!("{{\n\tadmin off\n}}\n{site}")).unwrap();
        let child = caddy(&file, fleet.folder.path());
        let proxy = Self { child, url: format!("http://127.0.0.1:{port}") };
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        until("an answer through the proxy", PATIENCE, async || {
            let answer = http.get(format!("{}/healthz", proxy.url)).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        proxy
    }
}

fn caddy(file: &Path, home: &Path) -> Child {
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    command.env("HOME", home).env("XDG_DATA_HOME", home).env("XDG_CONFIG_HOME", home);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long whoever hears nothing more of another one may take to go on with its work.
pub const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(30);
