//! What a round costs by the number of repositories and by what has changed, and what the search does not show.

use super::*;

const QUARTER: i64 = 15 * 60;
const DAY: usize = 96;

fn named(text: &str) -> RepoName {
    text.parse().unwrap()
}

/// A world of repositories that were all read, whose names fit `acme/*`.
async fn three() -> (World, [RepoName; 3]) {
    let world = World::start_with("\"acme/*\"").await;
    let repos = ["acme/a", "acme/b", "acme/c"].map(named);
    for repo in &repos {
        world.gitea.add_collaborator(repo, "alice", "write");
        world.gitea.add_collaborator(repo, "claude", "write");
        world.gitea.open_issue(repo, issue("x"));
    }
    // Nobody watches the one that each world has.
    world.gitea.delete_repo(&repo());
    world.settle().await;
    world.pass_time(3_600);
    let report = world.sweep(SERVE).await;
    assert_eq!((report.passed.len(), report.failed.len()), (3, 0));
    world.settle().await;
    (world, repos)
}

fn first_of(repo: &RepoName) -> IssueRef {
    IssueRef { repo: repo.clone(), number: 1 }
}

/// The paths of all requests, below `/api/v1`.
fn paths(world: &World) -> Vec<String> {
    let all = world.gitea.requests().into_iter();
    all.map(|r| r.path.strip_prefix("/api/v1").unwrap().to_owned()).collect()
}

/// What a round asked, but for what belongs to the full passes it made.
async fn round(world: &World) -> (Report, Vec<String>) {
    world.gitea.clear_requests();
    let report = world.sweep(SERVE).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let full = report.passed.iter().filter(|one| one.kind == Kind::Full);
    let net: Vec<_> = full.map(|one| format!("/repos/{}", one.repo)).collect();
    let is_of_net = |path: &str| {
        net.iter()
            .any(|of| path.strip_prefix(of).is_some_and(|r| r.is_empty() || r.starts_with('/')))
    };
    let asked = paths(world).into_iter().filter(|path| !is_of_net(path)).collect();
    (report, asked)
}

/// The same after a quarter of an hour.
async fn next_round(world: &World) -> (Report, Vec<String>) {
    world.pass_time(QUARTER);
    round(world).await
}

fn numbers_of(report: &Report) -> Vec<(String, Why, bool)> {
    report.finds().map(|f| (f.at.to_string(), f.why, f.is_missed)).collect()
}

fn missed(at: &IssueRef) -> (String, Why, bool) {
    (at.to_string(), Why::Changed, true)
}

#[actix_web::test]
async fn two_thousand_repositories_cost_an_hour_four_searches_and_their_share_of_the_day() {
    let world = World::start_with("\"a/*\", \"b/*\", \"c/*\", \"d/*\"").await;
    let repos: Vec<_> =
        (0..2_000).map(|n| named(&format!("{}/r{n:04}", ["a", "b", "c", "d"][n % 4]))).collect();
    repos.iter().for_each(|repo| world.gitea.add_collaborator(repo, "alice", "write"));
    // The last ones by name, which the daily passes come to last.
    let changing: Vec<_> = repos.iter().filter(|r| r.owner() == "d").rev().take(20).collect();
    world
        .unheard(|gitea| changing.iter().for_each(|r| drop(gitea.open_issue(r, issue("x")))))
        .await;
    let report = world.sweep(SERVE).await;
    assert!(report.passed.len() == 2_000 && report.passed.iter().all(|p| p.kind == Kind::First));
    world.settle().await;

    let (mut asked, mut passes) = (Vec::new(), 0);
    for _ in 0..4 {
        let (report, requests) = next_round(&world).await;
        assert_eq!(report.finds().count(), 0);
        assert_eq!(report.passed.len() + report.quiet.len(), 2_000);
        let full = report.passed.iter().filter(|p| p.kind == Kind::Full).count();
        assert!(full <= 2_000_usize.div_ceil(DAY), "{full}");
        passes += full;
        asked.extend(requests);
    }
    println!("a quiet hour: {} requests, and {passes} daily passes", asked.len());
    assert!(asked.len() <= 5, "{asked:?}");

    world.pass_time(60);
    let edit = |gitea: &FakeGitea| {
        changing.iter().for_each(|r| gitea.edit_issue(&first_of(r), "bob", None, Some("other")));
    };
    world.unheard(edit).await;
    let (mut asked, mut found) = (Vec::new(), 0);
    for _ in 0..4 {
        let (report, requests) = next_round(&world).await;
        found += report.finds().filter(|find| find.is_missed).count();
        asked.extend(requests);
        world.settle().await;
    }
    println!("an hour with 20 changed: {} requests", asked.len());
    assert_eq!((found, world.missed().await), (20, 20));
    assert!(asked.len() <= 5 + 2 * 20, "{}: {asked:?}", asked.len());
}

#[actix_web::test]
async fn the_daily_passes_are_spread_over_the_day() {
    let world = World::start_with("\"acme/*\"").await;
    for n in 0..191 {
        world.gitea.add_collaborator(&named(&format!("acme/r{n}")), "alice", "write");
    }
    assert_eq!(world.sweep(SERVE).await.passed.len(), 192);
    let (mut most, mut passed) = (0, BTreeSet::new());
    for _ in 0..DAY {
        let (report, asked) = next_round(&world).await;
        let full: Vec<_> = report.passed.iter().map(|p| p.repo.clone()).collect();
        most = most.max(full.len());
        passed.extend(full);
        // Once a day the owner's repositories are listed.
        assert!(asked.len() <= 1 + 4, "{asked:?}");
    }
    assert_eq!((most, passed.len()), (192 / DAY, 192), "each once, a few at a time");
}

#[actix_web::test]
async fn a_restart_and_an_outage_begin_no_daily_passes() {
    let (mut world, repos) = three().await;
    world.unheard(|gitea| gitea.edit_issue(&first_of(&repos[1]), "bob", Some("y"), None)).await;
    world.pass_time(60);
    world = world.restart().await;
    let (report, asked) = round(&world).await;
    assert_eq!(numbers_of(&report), [missed(&first_of(&repos[1]))]);
    assert!(report.passed.iter().all(|p| p.kind == Kind::Changes));
    // The list of the owner's repositories, the search, who we are, and what stands behind the find.
    assert_eq!(asked.len(), 4, "{asked:?}");
    world.settle().await;

    world.unheard(|gitea| gitea.edit_issue(&first_of(&repos[2]), "bob", Some("y"), None)).await;
    world.pass_time(QUARTER);
    let path_contains = "/repos/issues/search".to_owned();
    let kind = FaultKind::Status(503);
    world.gitea.fail(Fault { method: None, path_contains, times: 2, kind });
    for _ in 0..2 {
        world.gitea.clear_requests();
        let report = world.sweep(SERVE).await;
        assert!(report.saw_outage() && report.passed.is_empty(), "{report:?}");
        assert_eq!(world.gitea.requests().len(), 1, "nothing is asked of each repository");
        world.pass_time(3_600);
    }
    let (report, _) = round(&world).await;
    assert_eq!(numbers_of(&report), [missed(&first_of(&repos[2]))], "from where it was");
}

#[actix_web::test]
async fn what_the_search_shows_late_is_found_by_the_next_round() {
    let (world, repos) = three().await;
    let at = first_of(&repos[1]);
    next_round(&world).await;
    world.pass_time(QUARTER - 60);
    world.unheard(|gitea| gitea.edit_issue(&at, "bob", None, Some("other"))).await;
    world.pass_time(60);
    world.gitea.leave_out_of_search(&repos[1], true);
    assert_eq!(numbers_of(&round(&world).await.0), []);
    world.gitea.leave_out_of_search(&repos[1], false);
    assert_eq!(numbers_of(&next_round(&world).await.0), [missed(&at)]);
    assert_eq!(world.missed().await, 1);
}

#[actix_web::test]
async fn what_the_search_never_shows_is_found_by_the_daily_pass_and_counted() {
    let (world, repos) = three().await;
    world.gitea.leave_out_of_search(&repos[0], true);
    world.gitea.leave_out_of_search(&repos[2], true);
    let (edited, closed) = (first_of(&repos[0]), first_of(&repos[2]));
    let act = |gitea: &FakeGitea| {
        gitea.edit_issue(&edited, "bob", None, Some("other"));
        gitea.close(&closed, "alice");
    };
    world.unheard(act).await;
    let mut found = Vec::new();
    for _ in 0..=DAY {
        let (report, _) = next_round(&world).await;
        found.extend(numbers_of(&report));
        world.settle().await;
    }
    found.sort();
    assert_eq!(found, [missed(&edited), missed(&closed)]);
    assert_eq!(world.missed().await, 2);
}

#[actix_web::test]
async fn a_forge_without_the_search_is_asked_for_each_repository_and_once_for_the_search() {
    for status in [403, 404] {
        let world = World::start_with("\"acme/a\", \"acme/b\", \"acme/c\"").await;
        world.without_search(status);
        let repos = ["acme/a", "acme/b", "acme/c"].map(named);
        repos.iter().for_each(|repo| drop(world.gitea.open_issue(repo, issue("x"))));
        world.baseline().await;
        let at = first_of(&repos[1]);
        world.unheard(|gitea| gitea.edit_issue(&at, "bob", None, Some("other"))).await;
        let (report, asked) = next_round(&world).await;
        assert_eq!(numbers_of(&report), [missed(&at)]);
        assert_eq!(report.passed.len(), 3);
        assert_eq!(asked.iter().filter(|path| path.ends_with("/search")).count(), 1, "{status}");
        world.settle().await;
        for _ in 0..4 {
            let (_, asked) = next_round(&world).await;
            let of_each = repos.each_ref().map(|repo| format!("/repos/{repo}/issues"));
            assert_eq!(asked, of_each, "{status}");
        }
    }
}

#[actix_web::test]
async fn a_search_that_fails_is_left_for_an_hour() {
    let (world, repos) = three().await;
    next_round(&world).await;
    let path_contains = "/repos/issues/search".to_owned();
    let kind = FaultKind::Html;
    world.gitea.fail(Fault { method: None, path_contains, times: 1, kind });
    let mut searches = Vec::new();
    for _ in 0..5 {
        let (report, asked) = next_round(&world).await;
        assert_eq!(report.passed.len() + report.quiet.len(), repos.len());
        searches.push(asked.iter().filter(|path| path.ends_with("/search")).count());
    }
    assert_eq!(searches, [1, 0, 0, 0, 1]);
}

#[actix_web::test]
async fn a_search_that_shows_too_much_of_others_makes_room_for_one_of_each_owner() {
    let world = World::start_with("\"a/*\", \"b/*\", \"acme/widgets\"").await;
    for name in ["a/one", "a/two", "b/one", "b/two"] {
        world.gitea.open_issue(&named(name), issue("x"));
    }
    world.baseline().await;
    world.pass_time(QUARTER);
    let (_, asked) = round(&world).await;
    assert_eq!(asked.iter().filter(|path| path.ends_with("/search")).count(), 1, "{asked:?}");
    world.pass_time(QUARTER);
    let many = |gitea: &FakeGitea| {
        (0..151).for_each(|_| drop(gitea.open_issue(&named("others/busy"), issue("x"))));
        gitea.edit_issue(&first_of(&named("b/two")), "bob", None, Some("other"));
    };
    world.unheard(many).await;
    world.pass_time(60);
    world.gitea.clear_requests();
    let report = world.sweep(SERVE).await;
    assert_eq!(numbers_of(&report), [missed(&first_of(&named("b/two")))]);
    let queries = |world: &World| -> Vec<_> {
        let all = world.gitea.requests().into_iter();
        let searches = all.filter(|r| r.path.ends_with("/issues/search"));
        let owner =
            |query: &str| query.split('&').find(|q| q.starts_with("owner=")).map(str::to_owned);
        searches.map(|r| owner(&r.query)).collect()
    };
    let of_each = ["a", "b"].map(|owner| Some(format!("owner={owner}")));
    assert_eq!(queries(&world), [None, of_each[0].clone(), of_each[1].clone()]);
    world.settle().await;
    world.pass_time(QUARTER);
    world.gitea.clear_requests();
    world.sweep(SERVE).await;
    assert_eq!(queries(&world), of_each, "the long one is not tried again so soon");
    let asked = paths(&world);
    assert!(asked.contains(&"/repos/acme/widgets/issues".to_owned()), "the only one of its owner");
}

#[actix_web::test]
async fn a_new_repository_shows_itself_and_the_owners_list_is_read_once_a_day() {
    let (world, _) = three().await;
    // The first search makes the list of the owner's repositories enough.
    next_round(&world).await;
    let new = named("acme/new");
    world.unheard(|gitea| drop(gitea.open_issue(&new, issue("x")))).await;
    let (report, asked) = next_round(&world).await;
    assert_eq!(numbers_of(&report), [(first_of(&new).to_string(), Why::New, false)]);
    let first = report.passed.iter().find(|p| p.repo == new).unwrap();
    assert_eq!(first.kind, Kind::First);
    assert!(!asked.iter().any(|path| path.ends_with("/repos")), "{asked:?}");
    world.settle().await;
    let mut lists = 0;
    for _ in 0..DAY {
        let (report, asked) = next_round(&world).await;
        assert_eq!(report.passed.len() + report.quiet.len(), 4);
        lists += asked.iter().filter(|path| path.ends_with("/repos")).count();
    }
    assert_eq!(lists, 1);
}

#[actix_web::test]
async fn a_repository_renamed_without_a_word_keeps_its_holds_where_all_are_searched() {
    let (world, repos) = three().await;
    let at = first_of(&repos[1]);
    world.unheard(|gitea| gitea.comment(&at, "alice", "/triage hold")).await;
    next_round(&world).await;
    world.settle().await;
    assert!(is_held(&world, "acme/b#1").await);
    let name = named("acme/renamed");
    world.gitea.rename_repo(&repos[1], &name);
    world.unheard(|gitea| gitea.comment(&first_of(&name), "bob", "any news?")).await;
    let (report, _) = next_round(&world).await;
    assert_eq!(numbers_of(&report), [missed(&first_of(&name))]);
    world.settle().await;
    assert!(is_held(&world, "acme/renamed#1").await);
}

#[actix_web::test]
async fn what_an_agent_has_is_looked_at_once_an_hour() {
    let (world, repos) = three().await;
    let at = world.gitea.open_issue(&repos[1], bug());
    world.settle().await;
    // It has changed, so that this round looks at it.
    next_round(&world).await;
    let mut asked = Vec::new();
    for _ in 0..4 {
        let (report, requests) = next_round(&world).await;
        assert_eq!(numbers_of(&report), []);
        asked.push(requests.iter().filter(|path| path.ends_with("/issues/2")).count());
    }
    assert_eq!(asked, [0, 0, 0, 1]);
    world.unheard(|gitea| gitea.delete_issue(&at)).await;
    let mut found = Vec::new();
    for _ in 0..4 {
        found.extend(numbers_of(&next_round(&world).await.0));
    }
    assert_eq!(found, [(at.to_string(), Why::Gone, true)]);
}

#[actix_web::test]
async fn other_rules_ask_nothing_of_each_repository() {
    let (world, repos) = three().await;
    next_round(&world).await;
    let World { gitea, clock, folder, service, repos: patterns } = world;
    stop(service, folder.path()).await;
    let other = format!("{patterns}]\n[triage]\nready_at = 1\nignore_labels = [\"later\"");
    let service = serve(&gitea, &clock, folder.path(), &other).await;
    let world = World { gitea, clock, folder, service, repos: patterns };
    let (report, asked) = next_round(&world).await;
    let of_each = repos.map(|repo| (first_of(&repo).to_string(), Why::Input, false));
    assert_eq!(numbers_of(&report), of_each);
    assert!(asked.len() <= 2, "{asked:?}");
    world.settle().await;
    assert_eq!(numbers_of(&next_round(&world).await.0), []);
}
