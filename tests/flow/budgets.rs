//! What runs may use: a runner says what was used, and the service warns, stops the run, and lets other issues wait.

use chrono::TimeDelta;
use gitea_triage::dispatch::DispatchState;
use gitea_triage::issue::{IssueRef, RepoName};
use serde_json::{Value, json};

use crate::runs::{ONE, Runner, TWO, Taken, config, handed_over, held, state};
use crate::world::World;

/// `claude` may have several issues at once, and the budget is this one.
fn budget(lines: &str) -> String {
    let several = "login = \"\"\nmax_concurrent = 5\n";
    let config = config(&format!("[[runs.budget]]\n{lines}\n"));
    config.replacen("login = \"\"\n", several, 1)
}

/// A heartbeat of an agent that has used this so far; why the run is to be stopped.
async fn uses(run: &Taken<'_>, tokens: Value, cost: Value) -> Option<String> {
    let beat = json!({"event": "tool", "usage": {"tokens": tokens, "cost": cost}});
    let (status, lease) = run.tell("heartbeat", beat).await;
    assert_eq!(status, 200, "{lease}");
    lease["cancel"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_run_that_has_used_its_budget_up_is_stopped_and_a_person_is_asked_with_what_was_used() {
    let world = World::with(&budget("per = \"dispatch\"\ntokens = 1000")).await;
    let issue = handed_over(&world).await;
    let run = Runner::of(&world, ONE).taken("r1").await;
    assert_eq!(uses(&run, 700.into(), Value::Null).await, None);
    let why = "a budget is used up: 1200 of the 1000 tokens per dispatch";
    assert_eq!(uses(&run, 1200.into(), Value::Null).await.as_deref(), Some(why));
    // Also before anybody has looked at the issue.
    assert_eq!(uses(&run, 1200.into(), Value::Null).await.as_deref(), Some(why));
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::Escalated);
    let comments = world.comments(&issue);
    assert!(
        comments.iter().any(|text| text.contains("@alice") && text.contains(why)),
        "{comments:?}"
    );
    assert_eq!(uses(&run, 1300.into(), Value::Null).await.as_deref(), Some(why));
    assert_eq!(run.finish("cancelled", "stopped").await.0, 200);
    world.settle().await;
    assert_eq!(Runner::of(&world, TWO).take("r2").await.0, 204, "it is nobody's any more");
    // A person who gives it to the agent again gives it another budget.
    world.order(&issue, "alice", "retry").await;
    world.settle().await;
    assert_eq!(Runner::of(&world, TWO).taken("r3").await.epoch(), 1);
    world.comments(&issue);
}

#[tokio::test]
async fn a_runner_that_dies_over_its_budget_leaves_nothing_to_another() {
    let world = World::with(&budget("per = \"dispatch\"\ntokens = 1000")).await;
    let issue = handed_over(&world).await;
    let run = Runner::of(&world, ONE).taken("r1").await;
    assert!(uses(&run, 1000.into(), Value::Null).await.is_some());
    world.clock.advance(TimeDelta::seconds(61));
    assert_eq!(Runner::of(&world, TWO).take("r2").await.0, 204);
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::Escalated);
    world.comments(&issue);
}

#[tokio::test]
async fn what_earlier_leases_used_counts() {
    let world = World::with(&budget("per = \"dispatch\"\ntokens = 1000")).await;
    let issue = handed_over(&world).await;
    let run = Runner::of(&world, ONE).taken("r1").await;
    assert_eq!(uses(&run, 700.into(), Value::Null).await, None);
    world.clock.advance(TimeDelta::seconds(61));
    let run = Runner::of(&world, TWO).taken("r2").await;
    assert_eq!(uses(&run, 299.into(), Value::Null).await, None);
    assert!(uses(&run, 300.into(), Value::Null).await.is_some());
    world.settle().await;
    world.comments(&issue);
}

#[tokio::test]
async fn people_are_warned_once_at_80_percent() {
    let world = World::with(&budget("per = \"dispatch\"\ntokens = 1000")).await;
    let issue = handed_over(&world).await;
    let run = Runner::of(&world, ONE).taken("r1").await;
    assert_eq!(uses(&run, 799.into(), Value::Null).await, None);
    world.settle().await;
    let before = world.evaluations(&issue).await;
    assert_eq!(uses(&run, 800.into(), Value::Null).await, None);
    world.settle().await;
    let said = world.comment(&issue);
    let warning = "**State:** `in_progress`: the agent works on it, and has nearly used a budget up: 800 of the 1000 tokens per dispatch";
    assert!(said.contains(warning), "{said}");
    for tokens in [810, 820, 999] {
        assert_eq!(uses(&run, tokens.into(), Value::Null).await, None);
        world.settle().await;
    }
    assert_eq!(world.evaluations(&issue).await, before + 1, "only once");
    assert_eq!(run.finish("done", "done").await, held());
    world.settle().await;
    assert!(!world.comment(&issue).contains("nearly"));
}

#[tokio::test]
async fn an_issue_whose_budget_is_used_up_waits_and_says_why_until_the_limit_is_raised() {
    let mut world = World::with(&budget("per = \"issue\"\nmoney = 2")).await;
    let issue = handed_over(&world).await;
    let run = Runner::of(&world, ONE).taken("r1").await;
    let why = "a budget is used up: 2.10 of the 2.00 of money per issue";
    assert_eq!(uses(&run, Value::Null, 2.1.into()).await.as_deref(), Some(why));
    run.finish("cancelled", "stopped").await;
    world.settle().await;
    world.order(&issue, "alice", "retry").await;
    world.settle().await;
    assert_eq!(Runner::of(&world, ONE).take("r2").await.0, 204);
    let reason = "waits for a budget before `claude` gets it: 2.10 of the 2.00 of money per issue are used; \
                  a higher limit in `runs.budget` lets it go on";
    assert_eq!(world.history(&issue).await.evaluations.last().unwrap().reason, reason);
    // A day changes nothing about it.
    world.clock.advance(TimeDelta::days(2));
    world.settle().await;
    assert_eq!(world.history(&issue).await.evaluations.last().unwrap().reason, reason);
    world.configure(|config| config.replace("money = 2", "money = 5.5"));
    world.restart().await;
    world.settle().await;
    let run = Runner::of(&world, ONE).taken("r3").await;
    assert_eq!(uses(&run, Value::Null, 3.3.into()).await, None, "4.60 of 5.50 with the first");
    assert!(uses(&run, Value::Null, 3.4.into()).await.is_some());
    world.settle().await;
    world.comments(&issue);
}

#[tokio::test]
async fn what_is_used_up_for_a_day_holds_all_others_back_until_midnight_where_the_owner_lives() {
    let zone = "\n[summary]\nenabled = false\ntimezone = \"Europe/Berlin\"";
    let world = World::with(&budget(&format!("per = \"day\"\ntokens = 1000{zone}"))).await;
    let (first, second) = (handed_over(&world).await, handed_over(&world).await);
    let run = Runner::of(&world, ONE).taken("r1").await;
    assert!(uses(&run, 1000.into(), Value::Null).await.is_some());
    assert_eq!(Runner::of(&world, TWO).take("r2").await.0, 204, "not even before it is looked at");
    run.finish("cancelled", "stopped").await;
    world.settle().await;
    // What waited for a runner is withdrawn, so that the agent's place is free.
    assert_eq!(state(&world, &second).await, DispatchState::Failed);
    let third = handed_over(&world).await;
    let reason = "waits for a budget before `claude` gets it: 1000 of the 1000 tokens per day are used; \
                  a new day begins at 2026-03-23 23:00 UTC";
    for issue in [&second, &third] {
        let history = world.history(issue).await;
        assert_eq!(history.evaluations.last().unwrap().reason, reason);
        assert!(
            history.dispatches.iter().all(|dispatch| !dispatch.counts),
            "waiting is not failing"
        );
    }
    world.clock.advance(
        "2026-03-23T22:59:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap()
            - world.clock.now(),
    );
    assert_eq!(Runner::of(&world, TWO).take("r3").await.0, 204);
    world.clock.advance(TimeDelta::minutes(2));
    world.settle().await;
    let two = Runner::of(&world, TWO);
    let runs = [two.taken("r4").await, two.taken("r5").await];
    let mut numbers = runs.map(|run| run.assignment["at"].to_string());
    numbers.sort();
    assert_eq!(numbers, ["\"acme/widgets#2\"", "\"acme/widgets#3\""]);
    for issue in [&first, &second, &third] {
        world.comments(issue);
    }
}

#[tokio::test]
async fn a_repository_keeps_what_was_used_when_it_is_renamed() {
    let world = World::with(&budget("per = \"repository\"\ntokens = 1000")).await;
    let (first, second) = (handed_over(&world).await, handed_over(&world).await);
    let one = Runner::of(&world, ONE);
    let runs = [one.taken("r1").await, one.taken("r2").await];
    assert_eq!(uses(&runs[0], 600.into(), Value::Null).await, None);
    world.comments(&first);
    let to: RepoName = "acme/gadgets".parse().unwrap();
    world.gitea.rename_repo(&world.repo, &to);
    let [first, second] = [first, second].map(|at| IssueRef { repo: to.clone(), ..at });
    world.gitea.comment(&first, "alice", "It is called otherwise now.");
    world.settle().await;
    world.comment(&first);
    let why = "a budget is used up: 1050 of the 1000 tokens per repository and day";
    assert_eq!(uses(&runs[1], 450.into(), Value::Null).await.as_deref(), Some(why));
    world.settle().await;
    world.comments(&second);
    let spent = world.service().parts().store.spending_since("2026-03-23".into()).await.unwrap();
    assert_eq!(spent[0].repo, "acme/gadgets");
}

#[tokio::test]
async fn money_comes_from_the_agent_or_its_price_and_what_nobody_says_is_unknown() {
    let price = "per = \"dispatch\"\nmoney = 3";
    let config = budget(price).replacen(
        "max_concurrent",
        "price_per_million_tokens = 2.5\nmax_concurrent",
        1,
    );
    let world = World::with(&config).await;
    let issue = handed_over(&world).await;
    let run = Runner::of(&world, ONE).taken("r1").await;
    let view = || async { world.service().parts().store.run_view(1).await.unwrap().unwrap() };
    assert_eq!(uses(&run, Value::Null, Value::Null).await, None);
    assert_eq!((view().await.tokens, view().await.cost), (None, None));
    assert_eq!(uses(&run, 1_000_000.into(), Value::Null).await, None);
    assert_eq!((view().await.tokens, view().await.cost), (Some(1_000_000), Some(2.5)));
    // Its own word stands above the price.
    assert_eq!(uses(&run, 2_000_000.into(), 1.25.into()).await, None);
    assert_eq!(view().await.cost, Some(1.25));
    assert!(uses(&run, 2_000_000.into(), 3.into()).await.is_some());
    let spent = world.service().parts().store.spending_since("2026-03-23".into()).await.unwrap();
    let spent: Vec<_> =
        spent.iter().map(|one| (one.agent.as_str(), one.used.tokens, one.used.money)).collect();
    assert_eq!(spent, [("claude", Some(2_000_000), Some(3_000_000))]);
    world.settle().await;
    world.comments(&issue);
}

#[tokio::test]
async fn a_repository_has_only_so_many_runs_at_once() {
    let world = World::with(&config("[runs]\nper_repository = 1\n").replacen(
        "login = \"\"\n",
        "login = \"\"\nmax_concurrent = 5\n",
        1,
    ))
    .await;
    let (first, second) = (handed_over(&world).await, handed_over(&world).await);
    let run = Runner::of(&world, ONE).taken("r1").await;
    let two = Runner::of(&world, TWO);
    assert_eq!(two.take("r2").await.0, 204);
    // The same run may go to another runner.
    world.clock.advance(TimeDelta::seconds(61));
    let again = two.taken("r3").await;
    assert_eq!(again.assignment["run"], run.assignment["run"]);
    assert_eq!(two.take("r4").await.0, 204);
    assert_eq!(again.finish("done", "done").await, held());
    assert_eq!(two.taken("r5").await.assignment["run"], 2);
    world.settle().await;
    world.comments(&first);
    world.comments(&second);
}
