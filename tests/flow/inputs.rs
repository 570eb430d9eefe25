//! Changes of what an issue is decided by, besides the issue itself: issues of other repositories and pull requests.

use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::store::DeliveryState;

use crate::world::{World, bug};

const MANY: &str =
    "[triage]\nowner = \"alice\"\n[[agent]]\nid = \"claude\"\nmax_concurrent = 100\n";

fn gears() -> RepoName {
    "acme/gears".parse().unwrap()
}

fn slow() -> NewIssue {
    NewIssue { title: "It is slow".into(), ..NewIssue::default() }
}

fn pull(body: &str) -> NewIssue {
    NewIssue {
        title: "Mend it".into(),
        body: body.into(),
        author: "claude".into(),
        is_pull_request: true,
        ..NewIssue::default()
    }
}

fn blocked_by(name: &str) -> NewIssue {
    let mut blocked = bug();
    blocked.body.push_str(&format!("\n\nBlocked by {name}"));
    blocked
}

async fn dispatched(world: &World) -> IssueRef {
    let issue = world.open_issue(bug());
    world.settle().await;
    assert_eq!(state(world, &issue).await, DispatchState::Assigned);
    world.comments(&issue);
    issue
}

async fn state(world: &World, at: &IssueRef) -> DispatchState {
    world.history(at).await.dispatches.last().unwrap().state
}

/// How the latest delivery about a pull request ended, and why.
async fn end_of_pull(world: &World) -> (DeliveryState, String) {
    let all = world.deliveries().await;
    let last = all.into_iter().find(|d| d.action.starts_with("pull_request/")).unwrap();
    (last.state, last.reason.unwrap_or_default())
}

/// The page of an issue, as the forge links it.
fn page(world: &World, at: &IssueRef) -> String {
    let root = world.gitea.deliveries().into_iter().find_map(|d| {
        let payload: serde_json::Value = serde_json::from_slice(&d.body).unwrap();
        let page = payload["issue"]["html_url"].as_str()?;
        page.split_once("/acme/").map(|(root, _)| root.to_owned())
    });
    format!("{}/{}/issues/{}", root.unwrap(), at.repo, at.number)
}

#[tokio::test]
async fn a_blocker_in_another_repository_clears_when_it_closes() {
    let world = World::with(MANY).await;
    world.gitea.add_repo(&gears());
    let blocker = world.gitea.open_issue(&gears(), slow());
    let page = page(&world, &blocker);
    let names = [
        blocker.to_string(),
        blocker.to_string().to_uppercase(),
        page.clone(),
        format!("{page}#issuecomment-7"),
        format!("[the gears]({page})"),
        format!("issue {blocker} and {page}."),
    ];
    let mut issues = Vec::new();
    for name in names {
        let issue = world.open_issue(blocked_by(&name));
        world.settle().await;
        let comment = world.comment(&issue).to_lowercase();
        assert!(comment.contains("blocked by `acme/gears#1`, by its own text"), "{comment}");
        issues.push(issue);
    }
    world.gitea.close(&blocker, "alice");
    world.settle().await;
    for issue in issues {
        assert_eq!(world.labels(&issue), ["claude-ready"]);
        assert_eq!(world.comments(&issue).len(), 2);
    }
}

#[tokio::test]
async fn a_blocker_that_may_not_be_read_or_is_elsewhere_blocks() {
    let world = World::with(MANY).await;
    let secret: RepoName = "others/secret".parse().unwrap();
    world.gitea.add_repo(&secret);
    let blocker = world.gitea.open_issue(&secret, slow());
    world.gitea.close(&blocker, "alice");
    world.gitea.remove_collaborator(&secret, &world.gitea.bot().login);
    world.gitea.set_private(&secret, true);
    let elsewhere = "https://github.com/acme/widgets/issues/1";
    for name in ["others/secret#1", "acme/nowhere#1", "#4711", elsewhere] {
        let issue = world.open_issue(blocked_by(name));
        world.settle().await;
        assert!(world.comment(&issue).starts_with("**Triage: @alice, this needs you**"), "{name}");
    }
}

#[tokio::test]
async fn a_pull_request_that_closes_or_names_the_issue_is_noticed_at_once() {
    let world = World::with(MANY).await;
    world.gitea.add_repo(&gears());
    let here = world.open_issue(slow());
    let page = |issue: &IssueRef| page(&world, issue);
    let named: [&dyn Fn(&IssueRef) -> String; 5] = [
        &|issue| format!("Closes #{}", issue.number),
        &|issue| format!("Part of {issue}, see also #{}.", here.number),
        &|issue| format!("For {}", page(issue)),
        &|issue| format!("Fixes [it]({})", page(issue)),
        &|issue| format!("> quoted\n\n- resolves #{}", issue.number),
    ];
    for name in named {
        let issue = dispatched(&world).await;
        let before = world.evaluations(&issue).await;
        world.open_issue(pull(&name(&issue)));
        world.settle().await;
        assert_eq!(state(&world, &issue).await, DispatchState::InProgress, "{}", name(&issue));
        assert_eq!(world.evaluations(&issue).await, before + 1);
        assert_eq!(end_of_pull(&world).await.0, DeliveryState::Done);
        world.comments(&issue);
    }
    let issue = dispatched(&world).await;
    let elsewhere = format!("Closes {issue}");
    world.gitea.open_issue(&gears(), pull(&elsewhere));
    world.settle().await;
    assert_eq!(state(&world, &issue).await, DispatchState::InProgress, "from another repository");
    world.comments(&issue);
}

#[tokio::test]
async fn each_issue_that_a_pull_request_names_is_looked_at_once() {
    let world = World::with(MANY).await;
    let (one, two) = (dispatched(&world).await, dispatched(&world).await);
    let text = format!("Closes #{0}, closes #{1}, again #{0}", one.number, two.number);
    world.open_issue(pull(&text));
    world.settle().await;
    for issue in [&one, &two] {
        assert_eq!(state(&world, issue).await, DispatchState::InProgress);
        assert_eq!(world.evaluations(issue).await, 2);
        world.comments(issue);
    }
    let actions: Vec<_> = world.deliveries().await.into_iter().map(|d| d.action).collect();
    assert!(actions.contains(&"wake/a pull request concerns it".to_owned()), "{actions:?}");
}

#[tokio::test]
async fn a_pull_request_that_concerns_no_agents_work_is_ignored_with_the_reason() {
    let world = World::with(MANY).await;
    let quiet = world.open_issue(slow());
    world.settle().await;
    let texts = [
        "nothing".to_owned(),
        format!("Closes #{}", quiet.number),
        "Closes #4711".to_owned(),
        format!("`#{}`", quiet.number),
    ];
    for text in texts {
        world.open_issue(pull(&text));
        world.settle().await;
        let reason = "no issue that it names is in an agent's hands".to_owned();
        assert_eq!(end_of_pull(&world).await, (DeliveryState::Ignored, reason), "{text}");
    }
    assert_eq!(world.evaluations(&quiet).await, 1);
}

#[tokio::test]
async fn an_issue_that_waits_for_a_pull_request_goes_on_when_that_is_merged() {
    let world = World::with(MANY).await;
    for name in ["#", "!"] {
        let pull = world.open_issue(pull("nothing"));
        let issue = world.open_issue(blocked_by(&format!("{name}{}", pull.number)));
        world.settle().await;
        assert!(world.labels(&issue).is_empty());
        world.gitea.merge(&pull, "alice");
        world.settle().await;
        assert_eq!(world.labels(&issue), ["claude-ready"]);
        world.comments(&issue);
    }
}

#[tokio::test]
async fn an_edit_of_its_author_that_adds_what_was_missing_is_decided_anew() {
    let world = World::start().await;
    let issue = world.open_issue(NewIssue { author: "bob".into(), ..slow() });
    world.settle().await;
    world.gitea.comment(&issue, "bob", &bug().body);
    world.settle().await;
    assert!(world.comments(&issue).is_empty(), "the score reads title and text");
    world.gitea.edit_issue(&issue, "bob", Some(&bug().title), Some(&bug().body));
    world.settle().await;
    world.assert_with_claude(&issue);
}
