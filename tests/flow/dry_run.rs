//! A dry run over many events: nothing but GET leaves the process, through faults and restarts.

use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};

use crate::world::{World, bug};

#[tokio::test]
async fn a_dry_run_over_many_events_sends_nothing_but_reads() {
    let mut world = World::with("[triage]\ndry_run = true\nowner = \"alice\"").await;
    let full = std::env::var("GITEA_TRIAGE_TEST_SCALE").is_ok_and(|scale| scale == "full");
    let rounds = if full { 200 } else { 20 };
    for round in 0..rounds {
        let ready = world.open_issue(bug());
        let mut blocked = bug();
        blocked.body.push_str("\nBlocked until the schema is settled.");
        let blocked = world.open_issue(blocked);
        world.open_issue(NewIssue { title: "It is slow".into(), ..NewIssue::default() });
        let kind = FaultKind::Status(500);
        world.gitea.fail(Fault { method: None, path_contains: "/issues/".into(), times: 1, kind });
        world.settle().await;
        world.gitea.edit_issue(
            &blocked,
            "bob",
            None,
            Some("src/x.py must return, no longer waiting"),
        );
        world.gitea.close(&ready, "alice");
        if round % 10 == 9 {
            world.restart().await;
        }
    }
    world.settle().await;
    let events = world.gitea.deliveries().len();
    assert!(events >= 5 * rounds, "{events}");
    let requests = world.gitea.requests();
    assert!(requests.len() > events, "{} requests for {events} events", requests.len());
    let others: Vec<_> = requests.iter().filter(|r| r.method != "GET").collect();
    assert!(others.is_empty(), "{others:#?}");
    println!("{events} events, {} requests, all of them GET", requests.len());
}
