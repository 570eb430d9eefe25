//! Whatever becomes of an issue that an agent has, the agent's place comes back: at the latest at the deadline, though
//! the forge shows the issue no more, or is away.

use std::time::Duration;

use chrono::TimeDelta;
use gitea_triage::dispatch::DispatchState;
use gitea_triage::fake_gitea::{Fault, FaultKind, NewIssue};
use gitea_triage::issue::{IssueRef, RepoName};
use rstest::rstest;

use crate::world::{World, bug};

/// What makes an issue unreachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    IssueDeleted,
    RepoDeleted,
    RepoMadeAnew,
    Archived,
    Renamed,
    RenamedOutOfReach,
    Transferred,
    OwnerRenamed,
    AccessLost,
    WriteLost,
    TokenRefused,
}

fn name(text: &str) -> RepoName {
    text.parse().unwrap()
}

fn status(status: u16) -> Fault {
    let kind = FaultKind::Status(status);
    Fault { method: None, path_contains: "/api/v1/".into(), times: 1_000_000, kind }
}

impl Way {
    /// Lets it happen to a repository without a word to us.
    fn happens(self, world: &World, at: &IssueRef) {
        let (gitea, bot) = (&world.gitea, world.gitea.bot().login);
        let rename = |to: &str| gitea.rename_repo(&at.repo, &name(to));
        match self {
            Self::IssueDeleted => {
                gitea.drop_next_deliveries(1);
                gitea.delete_issue(at);
            }
            Self::RepoDeleted => gitea.delete_repo(&at.repo),
            Self::RepoMadeAnew => {
                gitea.delete_repo(&at.repo);
                gitea.add_repo(&at.repo);
                gitea.drop_next_deliveries(1);
                gitea.open_issue(&at.repo, NewIssue { title: "It is slow".into(), ..bug() });
            }
            Self::Archived => gitea.set_archived(&at.repo, true),
            Self::Renamed => rename("acme/gadgets"),
            Self::RenamedOutOfReach => rename("acme/hidden"),
            Self::Transferred => rename("elsewhere/widgets"),
            Self::OwnerRenamed => gitea.rename_owner("acme", "elsewhere"),
            Self::AccessLost => {
                gitea.set_private(&at.repo, true);
                gitea.remove_collaborator(&at.repo, &bot);
            }
            Self::WriteLost => gitea.remove_collaborator(&at.repo, &bot),
            Self::TokenRefused => gitea.fail(status(401)),
        }
    }
}

/// An issue that claude has, and one in another repository that waits for the place.
async fn at_work(agent: &str) -> (World, IssueRef, IssueRef) {
    let mut world = World::with(agent).await;
    let repos = "[\"acme/widgets\", \"acme/gadgets\", \"other/one\"]";
    world.configure(|text| text.replace("[\"acme/*\"]", repos));
    world.restart().await;
    world.gitea.add_collaborator(&name("other/one"), "claude", "write");
    let first = world.open_issue(bug());
    world.settle().await;
    let second = world.gitea.open_issue(&name("other/one"), bug());
    world.settle().await;
    assert_eq!(load(&world).await, 1);
    assert!(world.history(&second).await.dispatches.is_empty(), "it waits");
    (world, first, second)
}

async fn load(world: &World) -> u32 {
    let load = world.service().parts().store.load().await.unwrap();
    load.values().sum()
}

async fn ended(world: &World, at: &IssueRef) -> bool {
    let history = match world.service().parts().store.history(at.clone()).await.unwrap() {
        Some(history) if !history.dispatches.is_empty() => history,
        _ => world.history(&format!("{}@1#{}", at.repo, at.number).parse().unwrap()).await,
    };
    !history.dispatches.last().unwrap().state.is_open()
}

fn assert_told(world: &World, at: &IssueRef) {
    for repo in ["acme/widgets", "acme/gadgets", "acme/hidden"] {
        let at = IssueRef { repo: name(repo), number: at.number };
        if world.gitea.issue(&at).is_some() {
            world.comments(&at);
        }
    }
}

#[rstest]
#[case(Way::IssueDeleted)]
#[case(Way::RepoDeleted)]
#[case(Way::RepoMadeAnew)]
#[case(Way::Archived)]
#[case(Way::Renamed)]
#[case(Way::RenamedOutOfReach)]
#[case(Way::Transferred)]
#[case(Way::OwnerRenamed)]
#[case(Way::AccessLost)]
#[case(Way::WriteLost)]
#[tokio::test]
async fn the_place_is_free_at_the_deadline(#[case] way: Way) {
    let (world, first, second) = at_work("").await;
    way.happens(&world, &first);
    world.clock.advance(TimeDelta::hours(2));
    world.settle().await;
    assert!(ended(&world, &first).await);
    world.assert_with_claude(&second);
    world.dead().await;
    assert_told(&world, &first);
}

#[rstest]
#[case(Way::IssueDeleted)]
#[case(Way::RepoDeleted)]
#[case(Way::Archived)]
#[case(Way::AccessLost)]
#[tokio::test]
async fn the_place_is_free_as_soon_as_somebody_looks(#[case] way: Way) {
    let (world, first, second) = at_work("").await;
    way.happens(&world, &first);
    // A quarter of the time before the deadline the agent would be reminded.
    world.clock.advance(TimeDelta::minutes(90));
    world.settle().await;
    assert!(ended(&world, &first).await);
    world.assert_with_claude(&second);
    world.dead().await;
    assert_told(&world, &first);
}

#[tokio::test]
async fn a_token_that_is_refused_keeps_no_place_beyond_the_deadline() {
    let (world, first, second) = at_work("").await;
    Way::TokenRefused.happens(&world, &first);
    world.clock.advance(TimeDelta::hours(2));
    world.work_within(Duration::from_secs(1)).await;
    assert_eq!(load(&world).await, 0);
    world.gitea.clear_faults();
    world.gitea.comment(&second, "bob", "any news?");
    world.settle().await;
    world.assert_with_claude(&second);
    world.dead().await;
    world.comments(&first);
}

#[tokio::test]
async fn a_forge_that_is_away_for_a_day_keeps_no_place_beyond_the_deadline() {
    let (world, first, second) = at_work("").await;
    world.gitea.fail(status(502));
    world.gitea.comment(&second, "bob", "any news?");
    world.gitea.delivered().await;
    // Step by step, as time passes; a probe is made now and then.
    for minute in 0..120 {
        assert_eq!(load(&world).await, 1, "minute {minute}");
        world.clock.advance(TimeDelta::minutes(1));
        world.work_within(Duration::ZERO).await;
    }
    assert_eq!(load(&world).await, 0);
    let dispatch = world.history(&first).await.dispatches.pop().unwrap();
    assert_eq!(dispatch.state, DispatchState::TimedOut);
    world.clock.advance(TimeDelta::days(1));
    world.gitea.clear_faults();
    world.settle().await;
    world.assert_with_claude(&second);
    let told = world.comment(&first);
    assert!(told.contains("**State:** `timed_out`"), "{told}");
}

#[tokio::test]
async fn a_failure_in_passing_at_the_deadline_is_waited_out() {
    let (world, first, second) = at_work("").await;
    world.gitea.fail(Fault {
        method: Some("GET".into()),
        path_contains: "/issues/1".into(),
        times: 1,
        kind: FaultKind::Status(502),
    });
    world.clock.advance(TimeDelta::hours(2));
    world.settle().await;
    let dispatch = world.history(&first).await.dispatches.pop().unwrap();
    assert_eq!(dispatch.cause.to_string(), "`claude` did not finish it in time");
    world.comments(&first);
    world.assert_with_claude(&second);
}

#[tokio::test]
async fn what_nobody_could_reach_is_not_given_away_again_by_itself() {
    let (world, first, second) = at_work("").await;
    Way::AccessLost.happens(&world, &first);
    world.clock.advance(TimeDelta::hours(2));
    world.settle().await;
    assert_eq!(world.dead().await.len(), 1);
    world.assert_with_claude(&second);
    world.gitea.add_collaborator(&first.repo, &world.gitea.bot().login, "write");
    world.gitea.comment(&first, "bob", "any news?");
    world.settle().await;
    assert_eq!(world.history(&first).await.dispatches.len(), 1);
    assert!(world.comment(&first).contains("**State:** `timed_out`"));
}
