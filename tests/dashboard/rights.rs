//! What people see and do with their accounts: what the forge says they may, in every repository for itself.

use gitea_triage::fake_gitea::{FaultKind, NewIssue};
use gitea_triage::store::{DeliveryQuery, Sight};

use crate::browsing::{Browser, Page, world_of_accounts, world_of_accounts_with};
use crate::service::{World, bug, repo};

const WIDGETS: &str = "acme/widgets";
const GADGETS: &str = "acme/gadgets";

/// An issue in each of two private repositories: alice and bob write the first, gail writes the second.
async fn two_private_repositories() -> World {
    let world = world_of_accounts().await;
    world.gitea.add_collaborator(&repo(GADGETS), "gail", "write");
    open_both(&world).await;
    world
}

async fn open_both(world: &World) {
    for name in [WIDGETS, GADGETS] {
        world.gitea.set_private(&repo(name), true);
        let title = format!("[bug] Login of {name} crashes");
        world.gitea.open_issue(&repo(name), NewIssue { title, ..bug() });
    }
    world.settle(10).await;
}

/// The ids of the deliveries about a repository.
async fn deliveries(world: &World, name: &str) -> Vec<String> {
    let query = DeliveryQuery { repo: Some(name.into()), limit: 100, ..DeliveryQuery::default() };
    let page = world.service.parts().store.delivery_page(query, Sight::All).await.unwrap();
    page.rows.into_iter().map(|delivery| delivery.id).collect()
}

/// The number of the newest decision about a repository.
async fn decision(world: &World, name: &str) -> i64 {
    let store = &world.service.parts().store;
    let history = store.history(format!("{name}#1").parse().unwrap()).await.unwrap();
    history.unwrap().evaluations.last().unwrap().id
}

/// Every page that lists, and every page of one thing of a repository.
async fn pages_of(world: &World, name: &str) -> Vec<String> {
    let id = &deliveries(world, name).await[0];
    vec![
        format!("/issues/{name}/1"),
        format!("/deliveries/{id}"),
        format!("/deliveries/{id}/body"),
        format!("/decisions/{}", decision(world, name).await),
    ]
}

const LISTS: [&str; 12] = [
    "/",
    "/issues",
    "/issues?repo=acme/gadgets",
    "/issues?q=login",
    "/deliveries",
    "/deliveries?repo=acme/gadgets",
    "/deliveries?q=acme",
    "/agents",
    "/acts",
    "/days",
    "/days?repo=acme%2Fgadgets",
    "/search?q=login",
];

#[tokio::test]
async fn people_see_the_repositories_that_they_may_write_to_and_no_others() {
    let world = two_private_repositories().await;
    for (login, own, other) in [("bob", WIDGETS, GADGETS), ("gail", GADGETS, WIDGETS)] {
        let (mut browser, _) = Browser::of(&world, login).await;
        for path in LISTS {
            let page = browser.get(path).await;
            assert_eq!(page.status, 200, "{path}");
            page.has_not(&format!("{other}#")).has_not(&format!("Login of {other}"));
        }
        browser.get("/issues").await.has(&format!("Login of {own}"));
        for path in pages_of(&world, own).await {
            assert_eq!(browser.get(&path).await.status, 200, "{login} {path}");
        }
        for path in pages_of(&world, other).await {
            let page = browser.get(&path).await;
            assert_eq!(page.status, 404, "{login} {path}");
            page.has_not("crashes");
        }
        let exact = [format!("{other}#1"), deliveries(&world, other).await.swap_remove(0)];
        for text in exact {
            let page = browser.get(&format!("/search?q={}", text.replace('#', "%23"))).await;
            assert_eq!(page.status, 200, "{login} is led to {text}: {:?}", page.location);
            let page = browser.get(&format!("/deliveries?q={}", text.replace('#', "%23"))).await;
            assert_eq!(page.status, 200, "{login} is led to {text}: {:?}", page.location);
        }
    }
}

/// The way in of somebody in one team with these rights, into a private repository.
async fn enter(units: &[(&str, &str)], more: &str) -> (World, Browser, Page) {
    let world = world_of_accounts_with(more).await;
    world.gitea.add_team(&repo(WIDGETS), "team", units);
    world.gitea.join_team("team", "tess");
    open_both(&world).await;
    let (browser, page) = Browser::of(&world, "tess").await;
    (world, browser, page)
}

#[tokio::test]
async fn a_team_lets_in_by_write_to_the_code_and_by_no_other_unit() {
    for unit in ["issues", "pulls", "wiki", "releases", "packages", "projects", "actions"] {
        let (_world, mut browser, page) = enter(&[(unit, "write"), ("code", "read")], "").await;
        page.goes_to("/sign-in");
        browser.get("/sign-in").await.has("<code>tess</code> has no access");
        assert_eq!(browser.get("/issues").await.status, 303, "{unit}");
    }
    let (_world, mut browser, page) = enter(&[("code", "write")], "").await;
    page.goes_to("/issues");
    browser.get("/issues").await.has("Login of acme/widgets").has_not("Login of acme/gadgets");
}

#[tokio::test]
async fn with_the_key_people_also_see_what_they_may_only_see_on_the_forge() {
    let units = [("pulls", "read"), ("issues", "read"), ("code", "read")];
    let (world, mut browser, page) = enter(&units, "open_to_readers = true\n").await;
    page.goes_to("/issues");
    browser.get("/issues").await.has("Login of acme/widgets").has_not("Login of acme/gadgets");
    for path in pages_of(&world, GADGETS).await {
        assert_eq!(browser.get(&path).await.status, 404, "{path}");
    }
    world.gitea.add_user("stranger");
    let (mut stranger, page) = Browser::of(&world, "stranger").await;
    page.goes_to("/sign-in");
    assert_eq!(stranger.get("/issues").await.status, 303);
}

#[tokio::test]
async fn an_admin_acts_only_in_repositories_that_they_may_write_to() {
    let world = two_private_repositories().await;
    let (mut alice, _) = Browser::of(&world, "alice").await;
    alice.get("/issues/acme/widgets/1").await.has("title=\"admin\"");
    let order = |name: &str| format!("/issues/{name}/1/orders");
    assert_eq!(alice.post(&order(GADGETS), &[("order", "hold")]).await.status, 404);
    let dead = deliveries(&world, GADGETS).await.swap_remove(0);
    assert_eq!(alice.post(&format!("/deliveries/{dead}/retry"), &[]).await.status, 404);
    alice.post(&order(WIDGETS), &[("order", "hold")]).await.goes_to("/issues/acme/widgets/1");
    let (mut bob, _) = Browser::of(&world, "bob").await;
    bob.get("/issues/acme/widgets/1").await;
    assert_eq!(bob.post(&order(WIDGETS), &[("order", "hold")]).await.status, 403);
}

#[tokio::test]
async fn a_pull_request_of_another_repository_is_not_shown_with_the_issue_that_it_names() {
    let world = two_private_repositories().await;
    let pull = NewIssue {
        title: "A secret pull request".into(),
        body: "closes acme/widgets#1".into(),
        is_pull_request: true,
        ..bug()
    };
    world.gitea.open_issue(&repo(GADGETS), pull);
    world.settle(10).await;
    let all = deliveries(&world, WIDGETS).await;
    let (mut bob, _) = Browser::of(&world, "bob").await;
    let mut hidden = 0;
    for id in all {
        let page = bob.get(&format!("/deliveries/{id}/body")).await;
        page.has_not("A secret pull request");
        bob.get(&format!("/deliveries/{id}")).await.has_not("A secret pull request");
        hidden += usize::from(page.status == 404);
    }
    assert_eq!(hidden, 1);
}

#[tokio::test]
async fn what_names_no_repository_is_for_the_token_alone() {
    let world = two_private_repositories().await;
    let dead = |page: &Page| page.text.contains("chip-dead");
    let signed = crate::service::sign(b"{\"action\": \"opened\"}");
    let headers =
        [("x-gitea-signature", signed.as_str()), ("x-gitea-delivery", "without-a-repository")];
    world.post(&headers, b"{\"action\": \"opened\"}".to_vec()).await;
    world.settle(10).await;
    let (mut alice, _) = Browser::of(&world, "alice").await;
    assert!(!dead(&alice.get("/deliveries").await));
    for path in ["/deliveries/without-a-repository", "/deliveries/without-a-repository/body"] {
        assert_eq!(alice.get(path).await.status, 404);
    }
}

#[tokio::test]
async fn a_right_that_was_taken_away_is_gone_within_minutes_and_so_is_what_it_showed() {
    let world = two_private_repositories().await;
    world.gitea.add_collaborator(&repo(GADGETS), "bob", "write");
    let (mut bob, _) = Browser::of(&world, "bob").await;
    bob.get("/issues").await.has("Login of acme/gadgets");
    world.gitea.remove_collaborator(&repo(GADGETS), "bob");
    world.advance(5 * 60);
    bob.get("/issues").await.has("Login of acme/widgets").has_not("Login of acme/gadgets");
    world.gitea.remove_collaborator(&repo(WIDGETS), "bob");
    world.advance(5 * 60);
    assert_eq!(bob.get("/issues").await.status, 303);
    // It is the session that is over, not a look.
    world.gitea.add_collaborator(&repo(WIDGETS), "bob", "write");
    assert_eq!(bob.get("/issues").await.status, 303);
}

#[tokio::test]
async fn a_session_ends_when_the_agreement_or_the_account_is_gone() {
    for is_deleted in [false, true] {
        let world = two_private_repositories().await;
        let (mut bob, _) = Browser::of(&world, "bob").await;
        match is_deleted {
            false => world.gitea.take_back_agreements("bob"),
            true => world.gitea.remove_user("bob"),
        }
        world.advance(5 * 60);
        assert_eq!(bob.get("/issues").await.status, 303);
    }
}

#[tokio::test]
async fn the_forge_is_asked_every_few_minutes_and_a_token_that_is_over_is_renewed() {
    let world = two_private_repositories().await;
    let (mut bob, _) = Browser::of(&world, "bob").await;
    let asked = || world.gitea.requests().iter().filter(|r| r.path.ends_with("/userinfo")).count();
    let before = asked();
    for _ in 0..20 {
        assert_eq!(bob.get("/issues").await.status, 200);
    }
    assert_eq!(asked(), before, "within the minutes");
    for _ in 0..30 {
        world.advance(10 * 60);
        assert_eq!(bob.get("/issues").await.status, 200);
    }
    assert_eq!(asked(), before + 30, "the tokens are good for an hour, and others were had");
}

#[tokio::test]
async fn an_outage_shows_what_was_known_and_nothing_where_nothing_is() {
    let world = two_private_repositories().await;
    let (mut bob, _) = Browser::of(&world, "bob").await;
    world.fail("/repos/acme/widgets", FaultKind::Status(502));
    world.advance(6 * 60);
    let page = bob.get("/issues").await;
    page.has("Login of acme/widgets").has_not("Login of acme/gadgets");
    let (mut alice, page) = Browser::of(&world, "alice").await;
    page.goes_to("/sign-in");
    alice.get("/sign-in").await.has("could not be reached");
}

#[tokio::test]
async fn who_agreed_to_less_before_is_told_what_to_do() {
    let world = two_private_repositories().await;
    let mut browser = Browser::at(&world);
    let start = browser.get("/sign-in/gitea").await.location.unwrap();
    let narrow = start.replace("+read%3Arepository", "");
    assert_ne!(narrow, start);
    let back = crate::browsing::agree(&world.gitea, &narrow, "bob").await;
    browser.get(&back).await.goes_to("/sign-in");
    browser.get("/sign-in").await.has("remove this application under Settings");
    world.gitea.take_back_agreements("bob");
    let (mut bob, page) = Browser::of(&world, "bob").await;
    page.goes_to("/issues");
    assert_eq!(bob.get("/issues").await.status, 200);
}

#[tokio::test]
async fn a_renamed_account_keeps_its_session_and_its_rights_and_whoever_takes_the_login_gets_none()
{
    let world = two_private_repositories().await;
    let (mut alice, _) = Browser::of(&world, "alice").await;
    alice.get("/").await.has("title=\"admin\"");
    world.gitea.rename_owner("alice", "alicia");
    world.gitea.rename_owner("bob", "alice");
    world.advance(5 * 60);
    alice.get("/").await.has("<bdi>alicia</bdi>").has("title=\"admin\"");
    let (mut bob, _) = Browser::of(&world, "alice").await;
    bob.get("/").await.has("<bdi>alice</bdi>").has("title=\"read-only\"");
}

/// Opens an issue that needs its owner, and gives the comment on it once the service has read its people anew.
async fn calls(world: &mut World, wanted: &str) -> String {
    world.reload(("", ""));
    let mut said = String::new();
    // The people are asked for beside the work, so it is looked at again until they are known.
    for _ in 0..40 {
        let blocked = NewIssue { body: format!("{}\nBlocked by the vendor", bug().body), ..bug() };
        let at = world.gitea.open_issue(&repo(WIDGETS), blocked);
        world.settle(10).await;
        said = world.gitea.issue(&at).unwrap().comments[0].body.clone();
        if said.contains(wanted) {
            break;
        }
    }
    said
}

#[tokio::test]
async fn the_owner_is_called_by_the_present_login_and_whoever_takes_the_old_one_is_not() {
    let mut world = world_of_accounts().await;
    let said = calls(&mut world, "@alice, this needs you").await;
    assert!(said.contains("@alice, this needs you"), "{said}");
    world.gitea.rename_owner("alice", "alicia");
    world.gitea.rename_owner("bob", "alice");
    let said = calls(&mut world, "@alicia, this needs you").await;
    assert!(said.contains("@alicia, this needs you"), "{said}");
    world.gitea.remove_user("alicia");
    let said = calls(&mut world, "@acme/owners, this needs you").await;
    assert!(said.contains("@acme/owners, this needs you"), "{said}");
}
