//! Panics on purpose, in the middle of everything, with all that can be logged switched on: the work comes to its end,
//! and no secret is in what they print, in the log, in the figures, in the database or on the forge.

#[path = "../faults/secrets/canaries.rs"]
mod canaries;
#[allow(dead_code, reason = "another test asks which keys there are")]
#[path = "../faults/secrets/settings.rs"]
mod settings;

use wiremock::MockServer;

use self::canaries::Canaries;
use self::settings::{Secrets, Way, config};
use crate::program::{PATIENCE, Program, SECRET, Stage, sign, until};

/// Where it panics, once each: in the receiver, the sorting, the thread that writes the database, and all along the way
/// of an issue.
const PLACES: &[&str] = &[
    "accept::stored",
    "accept::inserted",
    "classify::read",
    "classify::placed",
    "claim::marked",
    "reconcile::planned",
    "intend::inserted",
    "reconcile::intended",
    "apply::before",
    "apply::after",
    "reconcile::applied",
    "settle::noted",
    "reconcile::settled",
];

fn said(program: &Program) -> String {
    program.log().join("\n")
}

async fn metrics(program: &Program) -> String {
    let answer = reqwest::get(program.url("/metrics")).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

/// Panics there once, and lets the work come to its end all the same; everything that was printed and kept.
async fn panics_at(place: &str, stage: &Stage) -> Vec<(String, Vec<u8>)> {
    let program = stage.start_with(|command| {
        command.env("GITEA_TRIAGE_LOG", "trace").env("RUST_BACKTRACE", "full");
        command.env("FAILPOINTS", format!("{place}=1*panic"));
    });
    let issue = stage.open(1);
    until(&format!("the panic at {place}"), PATIENCE, async || {
        said(&program).contains(&format!("failpoint {place} panic"))
    })
    .await;
    stage.gitea.delivered().await;
    // What found nobody to take it is sent again by a person.
    for lost in
        stage.gitea.deliveries().into_iter().filter(|d| !matches!(d.status, Some(200 | 202)))
    {
        let http = reqwest::Client::new();
        let again = crate::delivery(&http, &program.url("/webhook"), lost.body.to_vec());
        assert_eq!(again.send().await.unwrap().status(), 202, "after the panic at {place}");
    }
    stage.processed().await;
    stage.assert_with_claude(&issue);
    let log = said(&program);
    assert!(log.contains("stack backtrace:") && log.contains("\"TRACE\""), "{place}");
    let mut seen = vec![("the log".to_owned(), log.into_bytes())];
    seen.push(("the figures".into(), metrics(&program).await.into_bytes()));
    for file in ["fault.db", "fault.db-wal"] {
        seen.push((file.into(), std::fs::read(stage.path(file)).unwrap_or_default()));
    }
    for comment in stage.gitea.issue(&issue).unwrap().comments {
        seen.push(("a comment".into(), comment.body.into_bytes()));
    }
    drop(program);
    stage.check_database();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_anywhere_tells_no_secret_and_stops_no_work() {
    for place in PLACES {
        println!("{place}");
        let stage = Stage::new().await;
        let outside = MockServer::start().await;
        let mut secrets = Secrets::new(Way::Inline, &stage);
        let text = config(&stage, &outside.uri(), "address-token-4711", &mut secrets);
        std::fs::write(stage.path("config.toml"), text).unwrap();
        let seen = panics_at(place, &stage).await;
        let signatures = stage.gitea.deliveries().into_iter().map(|d| sign(SECRET, &d.body));
        let words = [secrets.words(), vec!["address-token-4711".into()]].concat();
        let canaries = Canaries::of(&words, signatures);
        for (what, bytes) in &seen {
            canaries.are_not_in(&format!("{what} after the panic at {place}"), bytes);
        }
    }
}
