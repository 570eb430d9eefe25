//! Who is paused gets no new work by itself, what is in hand goes on, and whoever waited is not forgotten.

use std::time::Duration;

use gitea_triage::dispatch::pause::{Pausable, Pause};
use gitea_triage::dispatch::{Agent, AgentId, Interface};
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::IssueRef;

use crate::world::{World, bug, noon};

const PLACES: &str = "[[agent]]\nid = \"claude\"\nmax_concurrent = 2\n";

async fn pause(world: &World, of: &Pausable) {
    let pause = Pause { of: of.clone(), at: noon(), by: "alice".to_owned() };
    world.service().parts().store.pause(pause).await.unwrap();
}

async fn resume(world: &World, of: &Pausable) {
    let agent = Agent {
        id: AgentId::new("claude"),
        interface: Interface::Forge,
        label: None,
        login: None,
        strengths: Vec::new(),
        max_concurrent: 2,
        timeout: Duration::ZERO,
        endpoint: None,
    };
    let store = &world.service().parts().store;
    store.resume(of.clone(), vec![agent], world.clock.now()).await.unwrap();
    world.settle().await;
}

fn claude() -> Pausable {
    Pausable::Agent(AgentId::new("claude"))
}

async fn reason(world: &World, at: &IssueRef) -> String {
    world.history(at).await.evaluations.last().unwrap().reason.clone()
}

#[tokio::test]
async fn a_paused_agent_keeps_what_it_has_and_gets_nothing_new() {
    let world = World::with(PLACES).await;
    let first = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&first);
    pause(&world, &claude()).await;
    let [second, third] = [1, 2].map(|_| world.open_issue(bug()));
    world.settle().await;
    for waits in [&second, &third] {
        assert!(reason(&world, waits).await.ends_with("waits for `claude`, paused by `alice`"));
        assert_eq!(world.labels(waits), Vec::<String>::new());
    }
    let looks = world.evaluations(&second).await;
    // A place that is free is nobody's now.
    world.gitea.close(&first, "alice");
    world.settle().await;
    assert_eq!(world.evaluations(&second).await, looks);
    resume(&world, &claude()).await;
    world.assert_with_claude(&second);
    world.assert_with_claude(&third);
}

#[tokio::test]
async fn an_order_for_a_paused_agent_waits_and_a_label_by_hand_does_not() {
    let world = World::with(PLACES).await;
    pause(&world, &claude()).await;
    let [ordered, labelled] = [1, 2].map(|_| world.open_issue(bug()));
    world.settle().await;
    world.gitea.comment(&ordered, "alice", "/triage assign claude");
    world.gitea.add_label(&labelled, "alice", "claude-ready");
    world.settle().await;
    let why = "chosen for `claude` by a person, paused by `alice`";
    assert_eq!(reason(&world, &ordered).await, why);
    assert_eq!(world.history(&labelled).await.dispatches.len(), 1);
    resume(&world, &claude()).await;
    world.assert_with_claude(&ordered);
}

#[tokio::test]
async fn others_get_what_a_paused_agent_or_repository_leaves() {
    let more = "[[agent]]\nid = \"claude\"\nmax_concurrent = 1\nstrengths = [\"routine_coding\"]\n";
    let world = World::with(more).await;
    let elsewhere = "acme/gadgets".parse().unwrap();
    world.gitea.add_repo(&elsewhere);
    world.gitea.add_collaborator(&elsewhere, "claude", "write");
    let has = Pausable::Repository(world.repo.clone());
    let first = world.open_issue(bug());
    world.settle().await;
    world.assert_with_claude(&first);
    pause(&world, &has).await;
    // The one with the best claim on the place is of the paused repository.
    let urgent = NewIssue { title: format!("[P0] {}", bug().title), ..bug() };
    let urgent = world.open_issue(urgent);
    let other = world.gitea.open_issue(&elsewhere, bug());
    world.settle().await;
    assert!(reason(&world, &urgent).await.ends_with("the repository is paused by `alice`"));
    world.gitea.close(&first, "alice");
    world.settle().await;
    world.assert_with_claude(&other);
    world.gitea.close(&other, "alice");
    resume(&world, &has).await;
    world.assert_with_claude(&urgent);
}

#[tokio::test]
async fn a_repository_stays_paused_under_its_new_name() {
    let world = World::with(PLACES).await;
    let before = world.open_issue(bug());
    world.settle().await;
    pause(&world, &Pausable::Repository(world.repo.clone())).await;
    let name = "acme/renamed".parse().unwrap();
    world.gitea.rename_repo(&world.repo, &name);
    let issue = world.gitea.open_issue(&name, bug());
    world.settle().await;
    assert!(reason(&world, &issue).await.ends_with("the repository is paused by `alice`"));
    let at = IssueRef { repo: name, ..before };
    assert_eq!(world.history(&at).await.dispatches.len(), 1);
}
