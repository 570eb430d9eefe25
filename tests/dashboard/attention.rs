//! What needs somebody, counted once; lists that are cut to what is sought; pages that keep their frame when something is
//! wrong.

use crate::browsing::{Browser, TOKEN, world, world_of_accounts};
use crate::service::{World, bug, repo};

#[tokio::test]
async fn an_issue_that_needs_somebody_twice_is_counted_and_listed_once() {
    let world = World::with(&format!(
        "[dispatch]\nmax_attempts = 1\n[review]\nrequire = ['tasks']\n[[agent]]\nid = 'kimi'\nenabled = false\n[dashboard]\ntoken = '{TOKEN}'\n"
    ))
    .await;
    for number in 1..=11 {
        let mut blocked = bug();
        blocked.title = format!("[bug] Cannot go on {number}");
        blocked.body.push_str("\nBlocked until the schema is settled.");
        world.gitea.open_issue(&repo("acme/widgets"), blocked);
    }
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let page = admin.get("/").await;
    page.has("<b>11</b> need attention").has("<title>(11) Overview").has("11 flagged</a>");
    // An agent closed one without what was asked for, and there is no other agent.
    let at = world.gitea.open_issue(&repo("acme/widgets"), bug());
    world.settle(10).await;
    world.gitea.close(&at, "claude");
    world.settle(10).await;
    let page = admin.get("/").await;
    page.has("1 escalated</a>").has("11 flagged</a>").has("<b>12</b> need attention");
    assert_eq!(page.text.matches(&format!("/issues/acme/widgets/{}\"", at.number)).count(), 2);
    let list = admin.get("/issues?show=escalated").await;
    list.has(&format!("acme/widgets#{}", at.number));
    list.has("flagged (11)").has("escalated (1)").has("urgent (0)");
    admin.get("/issues?show=urgent").await.has("No issue matches");
}

#[tokio::test]
async fn whoever_was_asked_is_named_and_not_the_owner() {
    let world = World::with(&format!(
        "[triage]\nowner = 'alice'\n[[rotation]]\nname = 'backend'\nmembers = ['ben']\n[dashboard]\ntoken = '{TOKEN}'\n"
    ))
    .await;
    world.gitea.add_collaborator(&repo("acme/widgets"), "ben", "write");
    let mut blocked = bug();
    blocked.body.push_str("\nBlocked until the schema is settled.");
    world.gitea.open_issue(&repo("acme/widgets"), blocked);
    world.settle(10).await;
    let page = Browser::of_admin(&world).await.get("/").await;
    page.has("<b>1</b> need attention").has("for <bdi>ben</bdi>").has_not("for <bdi>alice</bdi>");
}

#[tokio::test]
async fn an_issue_that_waits_says_how_many_are_before_it() {
    let world = world().await;
    for _ in 0..3 {
        world.open("acme/widgets");
    }
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let waiting = admin.get("/issues?show=waiting").await;
    let numbers: Vec<_> =
        (1..=3).filter(|n| waiting.text.contains(&format!(">acme/widgets#{n}<"))).collect();
    let [first, .., last] = numbers[..] else { panic!("{numbers:?}") };
    let page = admin.get(&format!("/issues/acme/widgets/{first}")).await;
    page.has("first in the queue").has(&format!("<title>acme/widgets#{first} "));
    let page = admin.get(&format!("/issues/acme/widgets/{last}")).await;
    page.has(&format!("{} before it in the queue", numbers.len() - 1));
}

#[tokio::test]
async fn lists_are_cut_to_days_and_say_how_many_there_are() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let first_day = world.clock.now().format("%Y-%m-%d").to_string();
    world.advance(3 * 86_400);
    world.open("acme/gadgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let rows = |text: &str| text.matches("data-th=\"Issue\"").count();
    let next_day = (world.clock.now() - chrono::TimeDelta::days(2)).format("%Y-%m-%d");
    let list = "/deliveries";
    let both = rows(&admin.get(list).await.text);
    let [early, late] = ["until", "since"].map(|end| format!("{list}?{end}="));
    let early = admin.get(&format!("{early}{first_day}")).await;
    early.has("acme/widgets#1").has_not("acme/gadgets#1").has(&format!("value=\"{first_day}\""));
    let late = admin.get(&format!("{late}{next_day}")).await;
    late.has("acme/gadgets#1");
    assert_eq!(rows(&early.text) + rows(&late.text), both, "{list}");
    // What is no day limits nothing.
    assert_eq!(rows(&admin.get(&format!("{list}?since=soon")).await.text), both);
    // The first was decided about again when its deadline was over.
    admin.get(&format!("/issues?until={first_day}")).await.has("No issue matches");
    admin.get(&format!("/issues?since={next_day}")).await.has("acme/gadgets#1");
    admin.get("/issues").await.has("flagged (").has("dispatched (1)");
}

#[tokio::test]
async fn an_error_keeps_the_navigation_for_who_is_signed_in() {
    let world = world_of_accounts().await;
    let (mut bob, _) = Browser::of(&world, "bob").await;
    for path in ["/nothing", "/deliveries/none", "/issues/acme/widgets/99", "/decisions/99"] {
        let page = bob.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        page.has("aria-label=\"Pages\"").has("Sign out").has("<title>Not Found");
    }
    let page = bob.post("/issues/acme/widgets/1/orders", &[("order", "hold")]).await;
    assert_eq!(page.status, 403);
    page.has("aria-label=\"Pages\"").has("<code>dashboard.admins</code>").has_not("`");
    let page = Browser::at(&world).get("/nothing").await;
    assert_eq!(page.status, 404);
    page.has("there is no such page").has_not("aria-label=\"Pages\"");
}

#[tokio::test]
async fn pages_are_compressed_and_their_tokens_are_others_each_time() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let [one, other] = [admin.get("/").await.csrf(), admin.get("/").await.csrf()];
    assert_ne!(one, other);
    for token in [one, other] {
        let page = admin
            .post_with("/issues/acme/widgets/1/orders", &[("order", "look"), ("csrf", &token)])
            .await;
        page.goes_to("/issues/acme/widgets/1");
    }
    let (root, cookie) = (admin.root.clone(), admin.cookie.clone().unwrap());
    let ask = |path: &str| {
        let request = reqwest::Client::new().get(format!("{root}{path}"));
        request.header("cookie", &cookie).header("accept-encoding", "gzip")
    };
    for path in ["/", "/assets/style.css", "/deliveries"] {
        let answer = ask(path).send().await.unwrap();
        assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
        let plain = admin.get(path).await;
        let length = answer.bytes().await.unwrap().len();
        assert!(length * 2 < plain.text.len(), "{path}: {length} of {}", plain.text.len());
        assert!(!plain.headers.contains_key("content-encoding"), "{path}");
    }
    let events = ask("/events").send().await.unwrap();
    assert_ne!(events.headers().get("content-encoding").map(|v| v.as_bytes()), Some(&b"gzip"[..]));
}
