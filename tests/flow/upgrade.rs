//! A database that the version before has left in the middle of its work: every meaning its rows had is kept, and the
//! service goes on with them. The file of each schema stands in `fixtures/store` and is never edited once it is there.

use gitea_triage::clock::Timestamp;
use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::issue::IssueRef;
use gitea_triage::plan::{Effect, EffectOutcome, EffectState, Marker};
use rusqlite::Connection;

use crate::migration::dump;
use crate::world::{PATIENT, World, bug};

fn post_fails(path: &str, kind: FaultKind, times: u32) -> Fault {
    Fault { method: Some("POST".into()), path_contains: path.into(), times, kind }
}

fn blocked() -> NewIssue {
    let mut issue = bug();
    issue.body.push_str("\nBlocked until the schema is settled.");
    issue
}

/// A bug, opened and looked at.
async fn opened(world: &World, issue: NewIssue) -> IssueRef {
    let at = world.open_issue(issue);
    world.settle().await;
    at
}

/// A comment of alice, with what it asks for done.
async fn told(world: &World, at: &IssueRef, command: &str) {
    world.gitea.comment(at, "alice", command);
    world.settle().await;
}

/// A comment of alice, and as much of what it asks for as the forge lets through.
async fn told_in_vain(world: &World, at: &IssueRef, command: &str, fault: Fault) {
    world.gitea.fail(fault);
    world.gitea.comment(at, "alice", command);
    world.gitea.delivered().await;
    world.work_within(std::time::Duration::from_millis(300)).await;
    world.gitea.clear_faults();
}

fn said_by_agent(text: &str) -> Effect {
    let marker = Marker { decision: "answer:local-comment".into(), digest: "0a1b2c3d4e5f".into() };
    let body = format!("{text}\n\n{marker}");
    Effect::Comment { edit: None, marker, body }
}

#[tokio::test]
#[ignore = "writes `fixtures/store/version-N.sql`: run once for a new schema, before it is released"]
async fn a_database_in_the_middle_of_its_work_is_written_down() {
    let mut world = World::with(&format!("[triage]\nowner = \"alice\"\n{PATIENT}")).await;
    // 1: dispatched and done. 2: dispatched. 3: waits. 4: flagged. 5: held. 6: chosen, waits.
    let done = opened(&world, bug()).await;
    world.gitea.close(&done, "alice");
    world.settle().await;
    let open = opened(&world, bug()).await;
    let waiting = opened(&world, bug()).await;
    let flagged = opened(&world, blocked()).await;
    let held = opened(&world, blocked()).await;
    told(&world, &held, "/triage hold until the release").await;
    let chosen = opened(&world, blocked()).await;
    let store = world.service().parts().store.clone();
    let now = world.clock.now();
    store.order(chosen.clone(), "ops".into(), "assign claude".into(), now).await.unwrap();
    world.settle().await;
    // 7: what an agent was called by is taken off by a person.
    let taken_off = opened(&world, blocked()).await;
    told(&world, &taken_off, "/triage assign kimi").await;
    world.gitea.remove_label(&taken_off, "alice", "kimi-ready");
    world.settle().await;
    // 8: answers that were lost on the way and given again.
    let answered = opened(&world, blocked()).await;
    for kind in [FaultKind::AnswerLost, FaultKind::Status(500)] {
        world.gitea.fail(post_fails("/issues/8/comments", kind, 1));
        told(&world, &answered, "/triage explain").await;
    }
    // 9: the daily summary. 10: a write of the local agent that was cut off. 11: it was run by hand.
    let title = "[Triage] Daily backlog summary — 2026-03-23".into();
    let author = world.gitea.bot().login;
    let summary = opened(&world, NewIssue { title, author, ..NewIssue::default() }).await;
    let cut_off = opened(&world, blocked()).await;
    by_agent(&world, &cut_off, Effect::Label("docs".into()), None).await;
    world.gitea.edit_issue(&cut_off, "bob", Some("[bug] It crashes again"), None);
    world.settle().await;
    let alone: IssueRef = "acme/widgets#11".parse().unwrap();
    by_agent(&world, &alone, Effect::Label("docs".into()), Some(finished(None))).await;
    let refused = finished(Some("`acme/widgets#3` could not be changed: Gitea answered 422"));
    by_agent(&world, &waiting, Effect::Label("area/auth".into()), Some(refused)).await;
    by_agent(&world, &waiting, Effect::Label("help wanted".into()), None).await;
    by_agent(&world, &open, said_by_agent("It fails in `login()`."), None).await;
    by_agent(&world, &flagged, Effect::Label("docs".into()), Some(finished(None))).await;
    // A delivery that came again with another id.
    let same = world.gitea.deliveries()[0].clone();
    world.post("0190b5a0-0000-7000-8000-00000000000a", &same.body).await;
    world.post("sent-by-hand", &same.body).await;
    world.settle().await;
    // 12: what a dry run holds back.
    let alone = world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
    assert_eq!(alone.number, 11);
    world.settle().await;
    world.configure(|config| config.replace("[triage]", "[triage]\ndry_run = true"));
    world.restart().await;
    let withheld = opened(&world, blocked()).await;
    world.configure(|config| config.replace("\ndry_run = true", ""));
    world.restart().await;
    // 13: nobody knows whether its comment was written. 8 and 4: whether an answer and a reaction were given.
    let unsure = world.open_issue(blocked());
    world.gitea.fail(post_fails("/issues/13/comments", FaultKind::Status(500), 9));
    world.gitea.delivered().await;
    world.work_within(std::time::Duration::ZERO).await;
    told_in_vain(
        &world,
        &answered,
        "/triage help",
        post_fails("/issues/8/comments", FaultKind::Status(500), 9),
    )
    .await;
    told_in_vain(
        &world,
        &flagged,
        "/triage explain",
        post_fails("/reactions", FaultKind::Status(500), 9),
    )
    .await;
    let database = Connection::open(world.store_path()).unwrap();
    database.execute_batch(NOT_TOLD).unwrap();
    let version: i64 = database.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    let head = format!(
        "-- A database of schema version {version} in the middle of its work. Never edited once released.\n"
    );
    std::fs::write(format!("fixtures/store/version-{version}.sql"), head + &dump(&database))
        .unwrap();
    for at in [
        done, open, waiting, flagged, held, chosen, taken_off, answered, summary, cut_off, alone,
        withheld, unsure,
    ] {
        world.comments(&at);
    }
}

fn finished(refusal: Option<&str>) -> EffectOutcome {
    let state = if refusal.is_some() { EffectState::Failed } else { EffectState::Done };
    EffectOutcome { state, forge_id: None, detail: refusal.map(str::to_owned) }
}

/// A write of the local agent, and how it ended, if that is known.
async fn by_agent(world: &World, at: &IssueRef, effect: Effect, outcome: Option<EffectOutcome>) {
    let store = &world.service().parts().store;
    let now: Timestamp = world.clock.now();
    let written = store.intend_deed(at, &effect, now).await.unwrap();
    if let Some(outcome) = outcome {
        store.settle_deed(written, &outcome, now).await.unwrap();
    }
}

/// What the story does not come to: a notice nobody knows about, and a hold that the store itself wrote.
const NOT_TOLD: &str = "
    INSERT INTO effect (evaluation, lane, dispatch, kind, value, digest, intended_at, detail)
        SELECT max(evaluation.id), lane.id, dispatch.id, 'comment', 'notice:reminder:' || dispatch.id, '-', 1774267300000,
            '**Triage: reminder**' || char(10) || char(10) || 'This is due soon.' || char(10) || char(10)
                || '<!-- gitea-triage decision=notice:reminder:' || dispatch.id || ' digest=- -->'
        FROM lane JOIN dispatch ON dispatch.lane = lane.id JOIN evaluation ON evaluation.lane = lane.id
        WHERE number = 2 GROUP BY dispatch.id;
    UPDATE lane SET held = 'timed out, and could not be looked at; `/triage retry` hands it over again'
        WHERE number = 3;
    INSERT INTO delivery (id, origin, received_at, event, state, lane, action, evaluation, settled_at)
        SELECT x'0190b5a000007000800000000000000b', 'wake', at, '', 'done', lane, 'wake/a place is free', evaluation.id, at
        FROM evaluation JOIN lane ON lane.id = lane WHERE number = 3;
    -- As they go when they are past their time; the file is to be read by people.
    DELETE FROM body WHERE seq IN (SELECT seq FROM delivery WHERE settled_at IS NOT NULL);";
