//! A crash at each boundary while agents work: one that is called over HTTP is told of one dispatch, however often,
//! and what the local agent writes is there once.

use std::collections::BTreeSet;

use gitea_triage::fake_gitea::{FakeGitea, Fault, FaultKind, NewIssue};
use gitea_triage::issue::IssueRef;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::crashes_at;
use crate::program::{PATIENCE, Stage, until};

/// The boundaries of a walk that hands an issue over by a request: a comment, then the request.
const CALLED: &[(&str, u32)] = &[
    ("reconcile::planned", 0),
    ("intend::inserted", 0),
    ("reconcile::intended", 0),
    ("apply::before", 0),
    ("apply::after", 0),
    ("apply::before", 1),
    ("apply::after", 1),
    ("reconcile::applied", 0),
    ("settle::noted", 0),
    ("reconcile::settled", 0),
];
/// The request had been answered, and nothing of that was on the disk: the agent is told again.
const TOLD_AGAIN: &[(&str, u32)] =
    &[("apply::after", 1), ("reconcile::applied", 0), ("settle::noted", 0)];

/// An issue that `about` its words goes to an agent for.
fn issue(title: &str) -> NewIssue {
    NewIssue {
        title: title.into(),
        body: "## Problem\nWhich queue in src/queue.py keeps order? The report must name two and verify it.\n\n\
               `next()` should return.\n\n## Acceptance criteria\n- two are named\n"
            .into(),
        author: "bob".into(),
        ..NewIssue::default()
    }
}

fn ours(stage: &Stage, at: &IssueRef) -> Vec<(i64, String)> {
    let (bot, comments) = (stage.gitea.bot().login, stage.gitea.issue(at).unwrap().comments);
    comments.into_iter().filter(|c| c.author == bot).map(|c| (c.id, c.body)).collect()
}

async fn is_called_once_after_a_crash_at(boundary: &str, passed: u32) {
    let agent = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(202)).mount(&agent).await;
    let stage = Stage::with(&format!(
        "[worker]\nfuse = 1000\n[agents]\nallow_private = [\"127.0.0.1\"]\n[dispatch]\nroute = \"task-type\"\n\
         [[agent]]\nid = \"api\"\nendpoint = \"{}\"\nsecret = \"agent-secret\"\n",
        agent.uri()
    ))
    .await;
    let place = format!("{boundary}={passed}*off->return");
    let mut at = None;
    let open = || {
        let survey = issue("[feature] Survey the queues");
        at = Some(stage.gitea.open_issue(&stage.repo, survey));
    };
    let _program = crashes_at(&stage, &place, open).await;
    let requests = agent.received_requests().await.unwrap();
    let told: Vec<Value> =
        requests.iter().map(|r| serde_json::from_slice(&r.body).unwrap()).collect();
    let keys: BTreeSet<_> = told.iter().map(|t| t["dispatch_id"].as_str().unwrap()).collect();
    let times = if TOLD_AGAIN.contains(&(boundary, passed)) { 2 } else { 1 };
    assert_eq!((told.len(), keys.len()), (times, 1), "{place}: {told:#?}");
    assert!(told.iter().all(|one| *one == told[0]), "{place}: {told:#?}");
    let known = "SELECT lower(key) FROM dispatch WHERE agent = 'api' AND state = 'assigned'";
    let known = stage.one(known).unwrap();
    assert_eq!(keys.first(), Some(&known.as_str()), "{place}");
    let comments = ours(&stage, &at.unwrap());
    assert_eq!(comments.len(), 1, "{place}: {comments:#?}");
    assert!(comments[0].1.starts_with("**Triage: dispatched to `api`"), "{place}: {comments:#?}");
    assert_eq!(stage.count("SELECT count(*) FROM dispatch"), 1, "{place}");
    assert_eq!(stage.count("SELECT count(*) FROM effect WHERE state = 'intended'"), 0, "{place}");
    stage.check_database();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_around_a_request_to_an_agent_tells_it_of_one_dispatch() {
    for (boundary, passed) in CALLED {
        println!("{boundary} after {passed}");
        is_called_once_after_a_crash_at(boundary, *passed).await;
    }
}

/// A model that says one thing on the issue, puts one label on it, and is done, however often it is asked.
struct Course {
    gitea: FakeGitea,
    /// What the comment meets on its way.
    fault: Option<FaultKind>,
}

impl Respond for Course {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let answered = asked["messages"].as_array().unwrap().iter().filter(|m| m["role"] == "tool");
        let call = |name: &str, arguments: Value| {
            let calls = json!([{"function": {"name": name, "arguments": arguments}}]);
            json!({"role": "assistant", "content": "", "tool_calls": calls})
        };
        let answered = answered.count();
        if let Some(kind) = self.fault.clone().filter(|_| answered == 0) {
            let (method, path_contains) = (Some("POST".into()), "/comments".into());
            self.gitea.fail(Fault { method, path_contains, times: 1, kind });
        }
        let message = match answered {
            0 => call("comment", json!({"text": "The order is lost in src/queue.py."})),
            1 => call("add_label", json!({"name": "needs-info"})),
            _ => json!({"role": "assistant", "content": "All is said."}),
        };
        ResponseTemplate::new(200).set_body_json(json!({"message": message, "done": true}))
    }
}

/// A stage with a local agent that may write.
async fn with_local_agent(fault: Option<FaultKind>) -> (Stage, MockServer) {
    let model = MockServer::start().await;
    let stage = Stage::with(&format!(
        "[triage]\nowner = \"alice\"\n[worker]\nfuse = 1000\n[dispatch]\nroute = \"task-type\"\nmax_attempts = 1\n\
         [local_agent]\nurl = \"{}\"\nmodel = \"m\"\ntools = [\"comment\", \"add_label\"]\n",
        model.uri()
    ))
    .await;
    let course = Course { gitea: stage.gitea.clone(), fault };
    Mock::given(any()).respond_with(course).mount(&model).await;
    stage.gitea.create_repo_label(&stage.repo, "needs-info");
    (stage, model)
}

fn planned(stage: &Stage) -> IssueRef {
    stage.gitea.open_issue(&stage.repo, issue("[feature] Plan the next milestone"))
}

/// The local agent's two writes: a comment and a label.
const ACTIONS: [(&str, u32); 4] = [
    ("action::intended", 0),
    ("action::applied", 0),
    ("action::intended", 1),
    ("action::applied", 1),
];

/// What the local agent said and put on is there once, and known.
async fn is_written_once(stage: &Stage, at: &IssueRef, what: &str) {
    let done = "SELECT count(*) FROM dispatch WHERE state = 'completed'";
    until(&format!("the end of the run after {what}"), PATIENCE, async || stage.count(done) == 1)
        .await;
    stage.processed().await;
    let (comments, shown) = (ours(stage, at), stage.gitea.issue(at).unwrap());
    assert_eq!(comments.len(), 3, "decided, said, done: {what}: {comments:#?}");
    let said: Vec<_> =
        comments.iter().filter(|(_, body)| body.starts_with("**The local agent says:**")).collect();
    assert_eq!(said.len(), 1, "{what}: {comments:#?}");
    assert_eq!(shown.labels, ["needs-info"], "{what}");
    assert_eq!(stage.count("SELECT count(*) FROM dispatch"), 1, "{what}");
    assert_eq!(stage.count("SELECT count(*) FROM effect WHERE state = 'intended'"), 0, "{what}");
    let adopted =
        "SELECT count(*) FROM effect WHERE kind = 'comment' AND state = 'done' AND forge_id =";
    assert_eq!(
        stage.count(&format!("{adopted} {}", said[0].0)),
        1,
        "{what}: the same one is known"
    );
}

async fn writes_once_after_a_crash_at(boundary: &str, passed: u32) {
    let (stage, _model) = with_local_agent(None).await;
    let place = format!("{boundary}={passed}*off->return");
    let mut at = None;
    let program = crashes_at(&stage, &place, || at = Some(planned(&stage))).await;
    is_written_once(&stage, &at.unwrap(), &place).await;
    drop(program);
    stage.check_database();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_the_local_agent_writes_leaves_each_thing_once() {
    for (boundary, passed) in ACTIONS {
        println!("{boundary} after {passed}");
        writes_once_after_a_crash_at(boundary, passed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_of_the_local_agent_whose_answer_is_lost_is_there_once_and_known() {
    for kind in [FaultKind::AnswerLost, FaultKind::CutBody] {
        let (stage, _model) = with_local_agent(Some(kind.clone())).await;
        let _program = stage.start();
        let at = planned(&stage);
        is_written_once(&stage, &at, &format!("{kind:?}")).await;
    }
}
