//! The store on a PostgreSQL server that is not as it should be, or goes away. Each of these needs a server, which
//! `GITEA_TRIAGE_TEST_POSTGRES` names; `.ci/run` starts one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod cluster;
#[path = "../database/mod.rs"]
mod database;
mod encrypted;
mod limits;
#[path = "../service/mod.rs"]
mod service;
mod standby;

use std::time::{Duration, Instant};

use bytes::Bytes;
use gitea_triage::clock::from_millis;
use gitea_triage::delivery::{Delivery, DeliveryId};
use gitea_triage::store::{Accepted, Error, OpenMode, Place, Store};
use service::{World, sign};

/// How long the store may take to be of use again after the server is.
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// The goal, which the fastest of a few times keeps whatever else the machine does.
const BACK_WITHIN_GOAL: Duration = Duration::from_secs(5);

fn open(place: Place, how: OpenMode) -> Result<Store, Error> {
    Store::open(place, 16, how)
}

/// What is said when the store at this address is opened.
fn refused(url: &str) -> String {
    open(url.parse().unwrap(), OpenMode::Shared).err().unwrap().to_string()
}

async fn accept(store: &Store, id: &str) -> Result<Accepted, Error> {
    let delivery = Delivery {
        id: DeliveryId::parse(id).unwrap(),
        received_at: from_millis(1),
        body: Bytes::from_static(b"{}"),
        event_header: "issues".into(),
        scope: None,
    };
    store.accept(delivery).await
}

#[tokio::test]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
async fn connections_that_are_cut_are_made_anew_and_what_was_accepted_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.db");
    let url = format!("{}&application_name=cut", database::url(&file));
    let store = open(url.parse().unwrap(), OpenMode::Exclusive).unwrap();
    let cut =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut'";
    let (mut accepted, mut back) = (Vec::new(), BACK_WITHIN);
    for round in 0..20 {
        let id = format!("before-{round}");
        assert_eq!(accept(&store, &id).await.unwrap(), Accepted::New);
        accepted.push(id);
        assert_eq!(store.backlog().await.unwrap(), accepted.len() as u64);
        assert!(!database::rows(&file, cut).is_empty());
        // Whoever comes first finds out; from then on it is as ever.
        let since = Instant::now();
        let id = format!("after-{round}");
        while accept(&store, &id).await.is_err() {
            assert!(since.elapsed() < BACK_WITHIN, "round {round}");
        }
        accepted.push(id);
        while store.backlog().await.is_err() {
            assert!(since.elapsed() < BACK_WITHIN, "round {round}");
        }
        back = back.min(since.elapsed());
    }
    assert!(back < BACK_WITHIN_GOAL, "{back:?}");
    for id in &accepted {
        assert_eq!(accept(&store, id).await.unwrap(), Accepted::Duplicate, "{id}");
    }
}

#[tokio::test]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
async fn a_second_service_is_refused_until_the_first_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    let place: Place = database::url(&folder.path().join("two.db")).parse().unwrap();
    let first = open(place.clone(), OpenMode::Exclusive).unwrap();
    let second = open(place.clone(), OpenMode::Exclusive).err().unwrap();
    assert!(matches!(second, Error::InUse(_)), "{second}");
    drop(open(place.clone(), OpenMode::Shared).unwrap());
    first.close().await.unwrap();
    drop(open(place, OpenMode::Exclusive).unwrap());
}

#[tokio::test]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
async fn what_a_later_version_left_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("later.db");
    let place: Place = database::url(&file).parse().unwrap();
    drop(open(place.clone(), OpenMode::Shared).unwrap());
    database::rows(&file, "UPDATE schema_version SET version = 99");
    let said = open(place, OpenMode::Shared).err().unwrap().to_string();
    assert!(said.contains("later version"), "{said}");
    assert_eq!(database::count(&file, "SELECT version FROM schema_version"), 99);
}

/// The schema of version 14 with an issue in a worker's hands, and another one that waits.
const FOURTEEN: &str = include_str!("../../src/store/schema/postgres/14-first.sql");
const FILLED: &str = "CREATE TABLE schema_version (version BIGINT NOT NULL);
    INSERT INTO schema_version VALUES (14);
    INSERT INTO lane (id, repo, number, state, due_at, claimed_at, epoch) VALUES
        (1, 'acme/widgets', 1, 'claimed', NULL, 5, 3), (2, 'acme/widgets', 2, 'due', 6, NULL, 1);
    INSERT INTO delivery (id, origin, received_at, event, state, lane) VALUES
        ('\\x01', 'webhook', 1, 'issues', 'claimed', 1), ('\\x02', 'webhook', 2, 'issues', 'pending', 2);";

#[tokio::test]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
async fn a_filled_store_of_an_earlier_version_is_brought_to_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("earlier.db");
    let place: Place = database::url(&file).parse().unwrap();
    database::rows(&file, &format!("{FOURTEEN}; {FILLED}"));
    let store = open(place, OpenMode::Exclusive).unwrap();
    let version = database::count(&file, "SELECT version FROM schema_version");
    assert_eq!(usize::try_from(version).unwrap(), gitea_triage::store::SCHEMA_VERSION);
    // Whoever had the issue is gone.
    let lanes = database::rows(&file, "SELECT state, due_at, epoch FROM lane ORDER BY id");
    let lane = |state: &str, due_at: &str, epoch: &str| {
        [state, due_at, epoch].map(|text| Some(text.to_owned())).to_vec()
    };
    assert_eq!(lanes, [lane("due", "5", "4"), lane("due", "6", "1")]);
    let claim = store.claim(from_millis(10)).await.unwrap().unwrap();
    assert_eq!((claim.at.number, claim.deliveries.len()), (1, 1));
}

#[tokio::test]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
async fn each_mistake_in_the_address_is_named_with_its_cure() {
    let server = std::env::var("GITEA_TRIAGE_TEST_POSTGRES").unwrap();
    let (before, _) = server.rsplit_once('/').unwrap();
    for (url, wanted) in [
        (format!("{before}/nowhere"), "`createdb`"),
        (format!("{server}?options=-csearch_path%3Dnowhere"), "make the schema"),
        ("postgres://triage@%2Fnowhere/triage".to_owned(), "check the address"),
        ("postgres://triage@127.0.0.1:9/triage?sslmode=disable".to_owned(), "check the address"),
    ] {
        let said = refused(&url);
        assert!(said.contains(wanted), "{url}: {said}");
    }
    let latin = format!("latin_{}", std::process::id());
    let template = "ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    database::rows_outside(&format!("CREATE DATABASE {latin} {template}"));
    let said = refused(&format!("{before}/{latin}"));
    database::rows_outside(&format!("DROP DATABASE {latin} WITH (FORCE)"));
    assert!(said.contains("LATIN1") && said.contains("--encoding UTF8"), "{said}");
}

#[tokio::test]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
async fn a_user_without_rights_is_told_what_to_grant() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rights.db");
    let url = database::url(&file);
    let login = format!("reader_{}", std::process::id());
    database::rows_outside(&format!("CREATE ROLE {login} LOGIN"));
    let schema = url.rsplit_once("%3D").unwrap().1;
    database::rows_outside(&format!("GRANT USAGE ON SCHEMA {schema} TO {login}"));
    let said = refused(&url.replacen("triage@", &format!("{login}@"), 1));
    database::rows_outside(&format!(
        "REVOKE ALL ON SCHEMA {schema} FROM {login}; DROP ROLE {login}"
    ));
    assert!(said.contains("GRANT CREATE ON SCHEMA"), "{said}");
}

#[test]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
fn a_password_is_neither_shown_nor_taken_in_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "canary-of-a-password\n").unwrap();
    let file = folder.path().join("config.toml");
    let run = |url: &str, command: &[&str]| {
        let config = format!(
            "[gitea]\nurl = 'http://127.0.0.1:9'\ntoken = 'a-token'\nrepos = ['acme/*']\n[webhook]\nsecrets = ['a-secret-of-the-tests']\n\
             [store]\nurl = '{url}'\npassword_file = '{}'\n",
            password.display()
        );
        std::fs::write(&file, config).unwrap();
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
        let output = program.env_clear().arg("--config").arg(&file).args(command).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        said.concat()
    };
    for url in ["postgres://triage@127.0.0.1:9/db", &database::url(&folder.path().join("shown.db"))]
    {
        for command in
            [&["config", "show", "--json"][..], &["inbox", "list"], &["check", "--no-delivery"]]
        {
            let said = run(url, command);
            assert!(!said.contains("canary"), "{command:?}: {said}");
            assert_eq!(said.contains("***"), command[0] == "config", "{command:?}: {said}");
        }
    }
    for url in
        ["postgres://triage:canary@127.0.0.1:9/db", "postgres://127.0.0.1:9/db?password=canary"]
    {
        let said = run(url, &["config", "check"]);
        assert!(said.contains("without a password") && !said.contains("canary"), "{said}");
    }
}

/// How long a sender may wait for an answer: the forge gives up after five seconds.
const ANSWERED_WITHIN: Duration = Duration::from_millis(4_500);
/// The goal, which the fastest of a few answers keeps.
const ANSWERED_WITHIN_GOAL: Duration = Duration::from_secs(2);

/// What a way to the server does with what goes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    /// Nothing comes through, and nobody is told.
    Silent,
    /// What is there ends, and nothing new begins.
    Cut,
}

/// A way to the server that can be cut, and its address.
struct Proxy {
    way: tokio::sync::watch::Sender<Way>,
    url: String,
}

impl Proxy {
    /// Before the store of a test.
    async fn before(file: &std::path::Path) -> Self {
        let url = database::url(file);
        let (user, rest) = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let (folder, rest) = rest.split_once('/').unwrap();
        let socket = format!("{}/.s.PGSQL.5432", folder.replace("%2F", "/"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (way, state) = tokio::sync::watch::channel(Way::Open);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = tokio::net::UnixStream::connect(&socket).await.unwrap();
                if *state.borrow() != Way::Cut {
                    tokio::spawn(lead(near, far, state.clone()));
                }
            }
        });
        Self { way, url: format!("postgres://{user}@{at}/{rest}&sslmode=disable") }
    }
}

/// Leads bytes both ways for as long as the way is not cut.
async fn lead(
    near: tokio::net::TcpStream,
    far: tokio::net::UnixStream,
    way: tokio::sync::watch::Receiver<Way>,
) {
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let mut cut = way.clone();
    tokio::select! {
        () = pass(near_in, far_out, way.clone()) => {}
        () = pass(far_in, near_out, way) => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn pass(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut way: tokio::sync::watch::Receiver<Way>,
) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if way.wait_for(|way| *way != Way::Silent).await.is_err() {
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// Sends signed deliveries, each with an id of its own.
struct Sender {
    url: String,
    http: reqwest::Client,
    /// Of the last one.
    number: u32,
}

impl Sender {
    fn to(world: &World) -> Self {
        let url = format!("http://{}/webhook", world.service.address());
        Self { url, http: reqwest::Client::new(), number: 0 }
    }

    async fn send(&mut self) -> reqwest::Response {
        self.number += 1;
        self.send_again(self.number).await
    }

    async fn send_again(&self, number: u32) -> reqwest::Response {
        let body = format!("{{\"number\": {number}}}").into_bytes();
        let request = self
            .http
            .post(&self.url)
            .header("x-gitea-delivery", format!("00000000-0000-4000-8000-{number:012}"))
            .header("content-type", "application/json")
            .header("x-gitea-event", "issues")
            .header("x-gitea-signature", sign(&body))
            .body(body);
        request.send().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
async fn while_the_server_is_away_senders_are_told_to_come_back_and_then_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::before(&folder.path().join("away.db")).await;
    let world = World::on_store(&proxy.url).await;
    let mut sender = Sender::to(&world);
    let (mut accepted, mut back) = (0, [BACK_WITHIN; 2]);
    for way in [Way::Silent, Way::Cut, Way::Silent, Way::Cut] {
        assert_eq!(sender.send().await.status(), 202);
        accepted += 1;
        proxy.way.send(way).unwrap();
        let mut fastest = ANSWERED_WITHIN;
        for _ in 0..3 {
            let since = Instant::now();
            let answer = sender.send().await;
            fastest = fastest.min(since.elapsed());
            assert!(since.elapsed() < ANSWERED_WITHIN, "{way:?}: {:?}", since.elapsed());
            assert_eq!(answer.status(), 503, "{way:?}");
            assert!(answer.headers().contains_key("retry-after"), "{way:?}");
        }
        assert!(fastest < ANSWERED_WITHIN_GOAL, "{way:?}: {fastest:?}");
        let (ready, _, _) = world.get("/readyz", "application/json").await;
        assert_eq!(ready, 503, "{way:?}");
        proxy.way.send(Way::Open).unwrap();
        let since = Instant::now();
        while sender.send().await.status() != 202 {
            assert!(since.elapsed() < BACK_WITHIN, "{way:?}");
        }
        println!("{way:?}: refused after {fastest:?}, back after {:?}", since.elapsed());
        let back = &mut back[usize::from(way == Way::Cut)];
        *back = since.elapsed().min(*back);
        accepted += 1;
    }
    assert!(back.iter().all(|back| *back < BACK_WITHIN_GOAL), "{back:?}");
    // What waited in silence may have come through after all; nobody was told that it had.
    assert!(world.backlog().await >= accepted);
}

#[tokio::test]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
async fn a_store_is_opened_while_somebody_else_writes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("written.db");
    let place: Place = database::url(&file).parse().unwrap();
    drop(open(place.clone(), OpenMode::Shared).unwrap());
    let _other = database::Held::of(&file);
    let store = open(place, OpenMode::Shared).unwrap();
    assert_eq!(store.backlog().await.unwrap(), 0);
}
