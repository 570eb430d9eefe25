//! An agent has as many issues as it may, and the next is taken in order: P0 first, then the score, then the age.

use chrono::TimeDelta;
use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::IssueRef;

use crate::world::{World, noon};

/// A ready feature for `claude`, or research for `kimi`, so many days old.
fn ready(number: usize) -> NewIssue {
    let research = number.is_multiple_of(2);
    let tag = if research { "research" } else { "feature" };
    let p0 = if number >= 8 { "[P0]" } else { "" };
    NewIssue {
        title: format!("[{tag}]{p0} Page number {number}"),
        body: "## Problem\nedit `src/ui.py`: `show()` must pass tox, should verify and return\n"
            .into(),
        author: "bob".into(),
        labels: if research { vec!["feature".into()] } else { Vec::new() },
        created_at: Some(noon() - TimeDelta::days(number as i64)),
        ..NewIssue::default()
    }
}

/// Who has something open, by agent.
async fn open(world: &World, issues: &[IssueRef]) -> Vec<(String, IssueRef)> {
    let mut open = Vec::new();
    for issue in issues {
        let history = world.history(issue).await;
        open.extend(
            history
                .dispatches
                .iter()
                .filter(|d| d.state.is_open())
                .map(|d| (d.agent.to_string(), issue.clone())),
        );
    }
    open
}

#[tokio::test]
async fn two_agents_with_one_place_each_bring_ten_issues_to_their_end_in_order() {
    let mut world = World::start().await;
    let issues: Vec<_> = (0..10).map(|number| world.open_issue(ready(number))).collect();
    let mut taken: Vec<IssueRef> = Vec::new();
    for round in 0..10 {
        world.settle().await;
        let open = open(&world, &issues).await;
        for agent in ["claude", "kimi"] {
            let at_once = open.iter().filter(|(id, _)| id == agent).count();
            assert!(at_once <= 1, "round {round}: {open:?}");
        }
        for (_, issue) in &open {
            if !taken.contains(issue) {
                taken.push(issue.clone());
            }
        }
        if round == 4 {
            world.restart().await;
        }
        let Some((agent, issue)) = open.first() else { break };
        world.gitea.close(issue, agent);
    }
    world.settle().await;
    for issue in &issues {
        let history = world.history(issue).await;
        assert_eq!(history.dispatches.len(), 1, "{issue}");
        assert_eq!(history.dispatches[0].state, DispatchState::Completed, "{issue}");
        world.comment(issue);
    }
    // The P0 first, although it came last; then the older before the younger.
    let order = |parity: u64| -> Vec<u64> {
        let numbers = taken.iter().map(|at| at.number - 1);
        numbers.filter(|number| number % 2 == parity).collect()
    };
    assert_eq!(order(1), [9, 7, 5, 3, 1], "claude");
    assert_eq!(order(0), [8, 6, 4, 2, 0], "kimi");
}
