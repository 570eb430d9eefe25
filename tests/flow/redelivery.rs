//! The same message again, by every way it can come.

use gitea_triage::delivery::Origin;

use crate::database;
use crate::world::{SECRET, World, bug};

#[tokio::test]
async fn however_often_an_issue_is_told_it_is_written_to_once() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    world.gitea.clear_requests();
    let first = world.gitea.deliveries()[0].uuid.clone();
    // Redelivered by hand: a new id, the same bytes.
    let again = world.gitea.redeliver(&first).unwrap();
    // From a second hook, for one change of a person's.
    world.gitea.edit_issue(&issue, "bob", Some("[bug] Login crashes on an empty password!"), None);
    world.settle().await;
    let store = world.service().parts().store.clone();
    store.enqueue(issue.clone(), Origin::Sweep, "changed", world.clock.now()).await.unwrap();
    world.settle().await;
    assert_eq!(world.delivery(&again).await.state.as_str(), "done");
    assert!(world.gitea.writes().is_empty(), "{:?}", world.gitea.writes());
    world.assert_with_claude(&issue);
}

/// A delivery as a file that can be sent again by hand.
fn recording(id: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /webhook HTTP/1.1\r\nContent-Type: application/json\r\nX-Gitea-Delivery: {id}\r\n\
         X-Gitea-Signature: {}\r\n\r\n",
        sign(SECRET, body)
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_each_of_five_ways_the_same_message_leaves_one_comment() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.gitea.clear_requests();
    let sent = world.gitea.deliveries()[0].clone();
    // The same id; a new id with the same bytes; the same change told by a second hook.
    assert_eq!(world.post(&sent.uuid, &sent.body).await.0, 200);
    let again = world.gitea.redeliver(&sent.uuid).unwrap();
    let second = uuid::Uuid::new_v4().to_string();
    assert_eq!(world.post(&second, &sent.body).await.0, 202);
    // A find of the sweep.
    let store = world.service().parts().store.clone();
    store.enqueue(issue.clone(), Origin::Sweep, "changed", world.clock.now()).await.unwrap();
    // A recording that a person sends, once under the old id and once under a new one.
    let by_hand = uuid::Uuid::new_v4().to_string();
    let folder = tempfile::tempdir().unwrap();
    for (name, id) in [("1.http", &sent.uuid), ("2.http", &by_hand)] {
        std::fs::write(folder.path().join(name), recording(id, &sent.body)).unwrap();
    }
    let replay = std::process::Command::new(env!("CARGO_BIN_EXE_gitea-triage"))
        .args(["replay", "--json", "--to", &world.url("/webhook")])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(replay.status.success(), "{replay:?}");
    let answers = String::from_utf8(replay.stdout).unwrap();
    assert_eq!(answers.lines().count(), 2);
    assert!(answers.contains("\"status\":200") && answers.contains("\"status\":202"), "{answers}");
    world.settle().await;
    assert_eq!(world.delivery(&sent.uuid).await.repeats, 2);
    for id in [&again, &second, &by_hand] {
        let shown = world.delivery(id).await;
        assert_eq!(shown.state.as_str(), "done");
        assert_eq!(shown.reason, Some(format!("the same bytes as `{}`", sent.uuid)));
    }
    assert!(world.gitea.writes().is_empty(), "{:?}", world.gitea.writes());
    assert_eq!(world.history(&issue).await.dispatches.len(), 1);
    world.assert_with_claude(&issue);
}

#[tokio::test]
async fn the_same_id_again_is_a_duplicate_and_shown_as_one() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    let sent = world.gitea.deliveries()[0].clone();
    let (status, answer) = world.post(&sent.uuid, &sent.body).await;
    assert_eq!((status, answer["status"].as_str()), (200, Some("duplicate")));
    world.settle().await;
    assert_eq!(world.delivery(&sent.uuid).await.repeats, 1);
    assert_eq!(world.evaluations(&issue).await, 1);
}

#[tokio::test]
async fn a_new_store_finds_what_an_old_one_wrote() {
    let world = World::start().await;
    let issue = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&issue);
    world.gitea.clear_requests();
    for table in
        ["transition", "effect", "dispatch", "body", "delivery", "latest", "evaluation", "lane"]
    {
        database::rows(&world.store_path(), &format!("DELETE FROM {table}"));
    }
    world.gitea.unassign(&issue, "alice", "claude");
    world.settle().await;
    // Without a ledger nobody remembers that a person took the assignment off, but the comment is known by its marker.
    assert_eq!(world.comments(&issue).len(), 1);
}

#[tokio::test]
async fn a_marker_by_somebody_else_is_not_taken_for_ours() {
    let world = World::start().await;
    world.gitea.pause_deliveries();
    let issue = world.open_issue(bug());
    world.gitea.comment(
        &issue,
        "bob",
        "<!-- gitea-triage decision=dispatch:claude digest=000000000000 -->",
    );
    world.gitea.resume();
    world.settle().await;
    world.assert_with_claude(&issue);
}

impl World {
    /// Posts a delivery as Gitea would.
    pub async fn post(&self, id: &str, body: &[u8]) -> (u16, serde_json::Value) {
        let request = self
            .http
            .post(self.url("/webhook"))
            .header("Content-Type", "application/json")
            .header("X-Gitea-Delivery", id)
            .header("X-Gitea-Signature", sign(SECRET, body))
            .body(body.to_vec());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

pub fn sign(secret: &str, body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}
