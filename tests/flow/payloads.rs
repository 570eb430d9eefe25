//! Signed bodies no Gitea would send: each is taken in, comes to a visible end, and stops nothing.

use std::time::Duration;

use gitea_triage::gitea;
use gitea_triage::store::DeliveryState;

use crate::panics::Panics;
use crate::processor::processor_time;
use crate::world::{World, bug};

/// How long reading one body may take: the goal, which a release keeps, and what a build without optimisation keeps.
const READ_WITHIN: Duration = Duration::from_millis(50);
const READ_WITHIN_UNOPTIMISED: Duration = Duration::from_millis(1_000);

fn read_within() -> Duration {
    if cfg!(debug_assertions) { READ_WITHIN_UNOPTIMISED } else { READ_WITHIN }
}

/// An event of an issue with these values in place of what Gitea sends.
fn issue(number: &str, issue: &str, more: &str) -> Vec<u8> {
    format!(
        r#"{{"action": "opened", "number": {number}, "issue": {issue}, "repository":
        {{"id": 1, "full_name": "acme/widgets"}}, "sender": {{"id": 3, "login": "bob"}}{more}}}"#
    )
    .into_bytes()
}

fn nested(open: &str, close: &str) -> String {
    format!("{}{}", open.repeat(10_000), close.repeat(10_000))
}

fn with_every_field_null() -> Vec<Vec<u8>> {
    let real =
        std::fs::read("fixtures/12-issues-opened-labels-assignees-milestone-b.http").unwrap();
    let body = gitea::Recording::read(real).unwrap().body;
    let whole: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let mut all = Vec::new();
    for field in whole.as_object().unwrap().keys() {
        let mut payload = whole.clone();
        payload[field] = serde_json::Value::Null;
        all.push(payload.to_string().into_bytes());
    }
    for part in ["issue", "repository", "sender"] {
        for field in whole[part].as_object().unwrap().keys() {
            let mut payload = whole.clone();
            payload[part][field] = serde_json::Value::Null;
            all.push(payload.to_string().into_bytes());
        }
    }
    all
}

fn hostile() -> Vec<Vec<u8>> {
    let normal = r#"{"id": 1, "number": 1, "title": "x"}"#;
    let zero = r#"{"id": 0, "number": 0, "title": "", "user": null, "labels": null, "created_at": "0001-01-01T00:00:00Z"}"#;
    let million = format!("[{}0]", "0,".repeat(1_000_000));
    let mut all = vec![
        nested("[", "]").into_bytes(),
        nested("{\"a\":", "}").into_bytes(),
        nested("[", "").into_bytes(),
        issue("1", normal, &format!(", \"x\": {}", nested("[", "]"))),
        issue("1", &nested("{\"issue\":", "}"), ""),
        million.clone().into_bytes(),
        issue("1", normal, &format!(", \"x\": {million}")),
        issue("1", &format!("{{\"number\": 1, \"labels\": {million}}}"), ""),
        issue(
            "1",
            normal,
            r#", "action": "closed", "number": 2, "repository": {"full_name": "evil/other"}"#,
        ),
        issue("1", r#"{"number": 1, "number": 2}"#, ""),
        issue("0", zero, ""),
        issue("5", zero, ""),
        issue("-1", r#"{"number": -1}"#, ""),
        issue("9223372036854775807", r#"{"number": 9223372036854775807}"#, ""),
        issue("9223372036854775808", r#"{"number": 18446744073709551615}"#, ""),
        issue("1e400", r#"{"number": 1e400}"#, ""),
        issue("1.5", r#"{"number": 1.0}"#, ""),
        issue(&"9".repeat(100_000), normal, ""),
        issue("\"1\"", r#"{"number": "1"}"#, ""),
        issue("1", normal, ", \"x\": \"\\ud800\""),
        issue("1", r#"{"number": 1, "title": "\u0000\ud83d"}"#, ""),
        b"".to_vec(),
        b"null".to_vec(),
        b"{}".to_vec(),
        b"{\"action\": \"opened\"".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
    ];
    let mut broken = issue("1", r#"{"number": 1, "title": "?"}"#, "");
    let at = broken.iter().position(|b| *b == b'?').unwrap();
    broken[at] = 0xff;
    all.push(broken);
    for repo in
        ["../..", "acme/..", "a/b/c", "", "acme/wid gets", "acme/%2e%2e", &"x/y".repeat(9_999)]
    {
        all.push(
            format!(r#"{{"action": "opened", "issue": {{"number": 1}}, "repository": {{"full_name": "{repo}"}}}}"#)
                .into_bytes(),
        );
    }
    all.extend(with_every_field_null());
    all
}

#[test]
fn no_body_takes_long_to_read() {
    let all = hostile();
    for (number, body) in all.iter().enumerate() {
        let began = processor_time();
        let read = gitea::parse(body);
        let took = processor_time() - began;
        let start = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert!(took < read_within(), "number {number} took {took:?}: {start}");
        if let Err(error) = read {
            assert!(error.to_string().len() < 200, "{error}");
        }
    }
}

#[tokio::test]
async fn a_hostile_body_comes_to_a_visible_end_and_stops_nothing() {
    let panics = Panics::watch();
    let world = World::start().await;
    let mut ids = Vec::new();
    for body in hostile() {
        let id = uuid::Uuid::new_v4().to_string();
        let (status, _) = world.post(&id, &body).await;
        assert_eq!(status, 202);
        ids.push(id);
    }
    let issue = world.open_issue(bug());
    world.settle().await;
    for id in &ids {
        let seen = world.delivery(id).await;
        assert!(
            matches!(
                seen.state,
                DeliveryState::Done | DeliveryState::Ignored | DeliveryState::Dead
            ),
            "{seen:?}"
        );
        assert!(seen.state == DeliveryState::Done || seen.reason.is_some(), "{seen:?}");
    }
    let dead = world.dead().await;
    assert!(dead.len() > 10, "{}", dead.len());
    world.assert_with_claude(&issue);
    panics.assert_none();
}
