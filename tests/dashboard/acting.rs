//! What an admin may do, and who may not.

use gitea_triage::dispatch::AgentId;
use gitea_triage::dispatch::pause::{Pausable, Pause};
use gitea_triage::fake_gitea::FaultKind;

use crate::browsing::{Browser, world, world_of_accounts};
use crate::service::World;

const ORDERS: &str = "/issues/acme/widgets/1/orders";

/// The id of the failed delivery of an issue that could not be read.
async fn failed_delivery(world: &World) -> String {
    world.fail("/issues/1", FaultKind::Status(403));
    world.open("acme/widgets");
    world.settle(10).await;
    world.gitea.clear_faults();
    let dead = world.service.parts().store.deliveries(gitea_triage::store::Filter {
        state: Some(gitea_triage::store::DeliveryState::Dead),
        limit: 10,
    });
    let dead = dead.await.unwrap();
    assert!(!dead.is_empty());
    dead[0].id.clone()
}

fn comments(world: &World) -> usize {
    world.gitea.issue(&"acme/widgets#1".parse().unwrap()).unwrap().comments.len()
}

#[tokio::test]
async fn a_failed_delivery_is_retried() {
    let world = world().await;
    let id = failed_delivery(&world).await;
    let mut admin = Browser::of_admin(&world).await;
    admin.get("/").await.has("Failed deliveries").has(&format!("/deliveries/{id}/retry"));
    let page = admin.get(&format!("/deliveries/{id}")).await;
    page.has("chip-dead").has("Retry");
    let retry = format!("/deliveries/{id}/retry");
    admin.post(&retry, &[]).await.goes_to(&format!("/deliveries/{id}"));
    world.settle(10).await;
    assert_eq!(comments(&world), 1);
    let page = admin.get(&format!("/deliveries/{id}")).await;
    page.has("The delivery will be retried").has("chip-done").has_not("Retry");
    admin.post(&retry, &[]).await.goes_to(&format!("/deliveries/{id}"));
    admin.get("/").await.has("Nothing was done");
}

#[tokio::test]
async fn an_issue_is_held_and_resumed() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    admin.get("/issues/acme/widgets/1").await.has("Hold").has_not(">Resume<");
    let fields = [("order", "hold"), ("reason", "until\nthe /triage release")];
    admin.post(ORDERS, &fields).await.goes_to("/issues/acme/widgets/1");
    world.settle(10).await;
    let page = admin.get("/issues/acme/widgets/1").await;
    page.has("chip-held").has("until the /triage release").has(">Resume<");
    admin.get("/issues?show=held").await.has("acme/widgets#1");
    admin.post(ORDERS, &[("order", "resume")]).await.goes_to("/issues/acme/widgets/1");
    world.settle(10).await;
    admin.get("/issues/acme/widgets/1").await.has_not("chip-held");
}

#[tokio::test]
async fn an_agent_is_paused_and_resumed_and_the_page_says_by_whom() {
    let world = world().await;
    let mut admin = Browser::of_admin(&world).await;
    admin.get("/agents").await.has(">Pause<").has_not(">Resume<").has_not("chip-paused");
    let fields = [("kind", "agent"), ("name", "kimi"), ("do", "pause")];
    admin.post("/agents/pause", &fields).await.goes_to("/agents");
    let page = admin.get("/agents").await;
    page.has("The agent kimi gets no new work").has("chip-paused").has(">Resume<");
    let fields = [("kind", "agent"), ("name", "kimi"), ("do", "resume")];
    admin.post("/agents/pause", &fields).await.goes_to("/agents");
    admin.get("/agents").await.has("The agent kimi gets work again.").has_not("chip-paused");
    let page = admin.get("/acts").await;
    page.has("paused agent kimi").has("resumed agent kimi");
}

#[tokio::test]
async fn a_repository_is_paused_under_the_name_that_the_forge_has_for_it() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let pause = |name, what| [("kind", "repository"), ("name", name), ("do", what)];
    for nowhere in ["acme", "acme/nowhere", "other/widgets", ""] {
        assert_eq!(admin.post("/agents/pause", &pause(nowhere, "pause")).await.status, 404);
    }
    admin.post("/agents/pause", &pause("ACME/Widgets", "pause")).await.goes_to("/agents");
    admin.get("/agents").await.has("acme/widgets</bdi>, paused by").has(">Resume<");
    world.open("acme/widgets");
    world.settle(10).await;
    let page = admin.get("/issues/acme/widgets/2").await;
    page.has("the repository is paused by").has_not("claude-ready");
    admin.post("/agents/pause", &pause("acme/widgets", "resume")).await.goes_to("/agents");
    admin.get("/acts").await.has("paused repository acme/widgets");
    let nobody = [("kind", "agent"), ("name", "nobody"), ("do", "pause")];
    assert_eq!(admin.post("/agents/pause", &nobody).await.status, 404);
    assert_eq!(admin.post("/agents/pause", &pause("acme/widgets", "stop")).await.status, 400);
}

#[tokio::test]
async fn what_somebody_did_is_seen_where_the_repository_is() {
    let world = world_of_accounts().await;
    let store = &world.service.parts().store;
    let act = |what: &str, repo: Option<&str>| gitea_triage::store::Act {
        at: world.clock.now(),
        by: "alice".to_owned(),
        what: what.to_owned(),
        repo: repo.map(str::to_owned),
    };
    for (what, repo) in
        [("one", Some("acme/hidden")), ("two", Some("Acme/Widgets")), ("three", None)]
    {
        store.note_act(act(what, repo)).await.unwrap();
    }
    let seen = gitea_triage::store::Sight::of(&["acme/widgets".parse().unwrap()]);
    for (by, expected) in [("alice", &["three", "two"][..]), ("bob", &["two"])] {
        let seen = store.acts(seen.clone(), by.to_owned(), 10).await.unwrap();
        assert_eq!(seen.iter().map(|act| act.what.as_str()).collect::<Vec<_>>(), expected, "{by}");
    }
    let all = store.acts(gitea_triage::store::Sight::All, "bob".to_owned(), 10).await.unwrap();
    assert_eq!(all.len(), 3);
}

#[tokio::test]
async fn an_issue_is_given_to_an_agent() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    admin.get("/issues/acme/widgets/1").await.has("<option value=\"kimi\">");
    let fields = [("order", "assign"), ("to", "kimi now")];
    admin.post(ORDERS, &fields).await.goes_to("/issues/acme/widgets/1");
    world.settle(10).await;
    let page = admin.get("/issues/acme/widgets/1").await;
    page.has("<dt>Labels</dt><dd><code><bdi>kimi-ready</bdi></code>");
    let fields = [("order", "assign"), ("to", "@alice")];
    admin.post(ORDERS, &fields).await.goes_to("/issues/acme/widgets/1");
    world.settle(10).await;
    let page = admin.get("/issues/acme/widgets/1").await;
    page.has("<dt>Assigned to</dt><dd><bdi>alice</bdi></dd>");
    admin.get("/agents").await.has("kimi");
}

#[tokio::test]
async fn an_issue_is_approved_and_its_page_says_by_whom() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    admin.get("/issues/acme/widgets/1").await.has(">Approve<").has_not("<dt>Approved");
    admin.post(ORDERS, &[("order", "approve")]).await.goes_to("/issues/acme/widgets/1");
    world.settle(10).await;
    let page = admin.get("/issues/acme/widgets/1").await;
    page.has("<dt>Approved</dt>").has("(command)").has("/triage approve");
    let history = world.service.parts().store.history("acme/widgets#1".parse().unwrap());
    let approval = history.await.unwrap().unwrap().approval.unwrap();
    page.has(&approval.digest);
}

#[tokio::test]
async fn a_command_that_cannot_work_is_refused_at_once() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    for (to, why) in [("nobody", "no agent has this name"), ("@nobody", "cannot be assigned here")]
    {
        let page = admin.post(ORDERS, &[("order", "assign"), ("to", to)]).await;
        assert_eq!(page.status, 400);
        page.has(why);
    }
    world.gitea.close(&"acme/widgets#1".parse().unwrap(), "alice");
    let page = admin.post(ORDERS, &[("order", "assign"), ("to", "kimi")]).await;
    page.has("the issue is closed");
    assert_eq!(page.status, 400);
    world.settle(10).await;
    admin.get("/issues/acme/widgets/1").await.has_not("Commands, newest first");
}

#[tokio::test]
async fn the_page_of_an_issue_shows_its_commands_and_what_they_came_to() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let fields = [("order", "hold"), ("reason", "friday")];
    admin.post(ORDERS, &fields).await.goes_to("/issues/acme/widgets/1");
    admin.post(ORDERS, &[("order", "done")]).await.goes_to("/issues/acme/widgets/1");
    world.settle(10).await;
    let page = admin.get("/issues/acme/widgets/1").await;
    page.has("/triage hold friday").has("chip-carried_out");
    page.has("chip-refused").has("no agent is working on the issue");
}

#[tokio::test]
async fn an_unknown_command_is_refused_with_the_known_ones() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    assert_eq!(admin.post(ORDERS, &[("order", "assign")]).await.status, 400);
    let page = admin.post(ORDERS, &[("order", "rm -rf")]).await;
    assert_eq!(page.status, 400);
    page.has("use hold, resume");
    for nowhere in
        ["/issues/acme/widgets/99/orders", "/issues/other/place/1/orders", "/issues/../x/1/orders"]
    {
        assert_eq!(admin.post(nowhere, &[("order", "hold")]).await.status, 404, "{nowhere}");
    }
}

#[tokio::test]
async fn without_its_token_or_from_another_site_no_form_does_anything() {
    let world = world().await;
    let id = failed_delivery(&world).await;
    let retry = format!("/deliveries/{id}/retry");
    let mut admin = Browser::of_admin(&world).await;
    let before = world.backlog().await;
    for fields in [&[][..], &[("csrf", "")], &[("csrf", "guessed")]] {
        for path in [retry.as_str(), ORDERS, "/sign-out"] {
            let page = admin.post_with(path, &[fields, &[("order", "hold")]].concat()).await;
            assert_eq!(page.status, 403, "{path}");
            page.has("does not belong to your session");
        }
    }
    let own = admin.origin.clone();
    for origin in [None, Some("null"), Some("https://evil.example"), Some("http://127.0.0.1:1")] {
        admin.origin = origin.map(str::to_owned);
        for path in [retry.as_str(), ORDERS, "/sign-out", "/sign-in/token"] {
            let page = admin.post(path, &[("order", "hold")]).await;
            assert_eq!(page.status, 403, "{path} from {origin:?}");
            page.has("came from another site");
        }
    }
    admin.origin = own;
    // The token of another session is of no use either.
    let mut other = Browser::of_admin(&world).await;
    let foreign = other.get("/").await.csrf();
    assert_eq!(admin.post_with(&retry, &[("csrf", &foreign)]).await.status, 403);
    for path in [&retry, ORDERS] {
        let page = admin.get(path).await;
        assert!([404, 405].contains(&page.status), "a link does nothing: {}", page.status);
    }
    assert_eq!(world.backlog().await, before);
    assert_eq!(world.dead().await.len(), 1);
}

#[tokio::test]
async fn a_read_only_visitor_sees_no_forms_and_is_refused() {
    let world = world_of_accounts().await;
    let id = failed_delivery(&world).await;
    let (mut bob, _) = Browser::of(&world, "bob").await;
    let page = bob.get(&format!("/deliveries/{id}")).await;
    page.has("chip-dead").has_not("Retry");
    bob.get("/issues/acme/widgets/1").await.has_not("orders");
    for path in [format!("/deliveries/{id}/retry"), ORDERS.to_owned()] {
        let page = bob.post(&path, &[("order", "hold")]).await;
        assert_eq!(page.status, 403, "{path}");
        page.has("you have read-only access");
    }
    let mut nobody = Browser::at(&world);
    nobody.get("/sign-in").await;
    let page = nobody.post(ORDERS, &[("order", "hold")]).await;
    assert_eq!(page.status, 403, "it has no session whose token it could bring");
    assert_eq!(world.dead().await.len(), 1);
    let (mut alice, _) = Browser::of(&world, "alice").await;
    alice.get("/").await;
    let done = alice.post(&format!("/deliveries/{id}/retry"), &[]).await;
    done.goes_to(&format!("/deliveries/{id}"));
    assert_eq!(world.dead().await.len(), 0);
}

#[tokio::test]
async fn the_key_of_a_dispatch_is_on_no_page_of_its_reports() {
    let world = world_of_accounts().await;
    let at = world.open("acme/widgets");
    world.settle(10).await;
    let store = &world.service.parts().store;
    let dispatch = store.history(at.clone()).await.unwrap().unwrap().dispatches[0].clone();
    let url = format!("http://{}/dispatches/{}", world.service.address(), dispatch.key);
    let report = serde_json::json!({"state": "in_progress", "message": "half of it is done"});
    let told = reqwest::Client::new().post(url).body(report.to_string()).send().await.unwrap();
    assert_eq!(told.status(), 202);
    world.settle(10).await;
    let filter = gitea_triage::store::Filter { state: None, limit: 100 };
    let all = store.deliveries(filter).await.unwrap();
    let (mut reader, _) = Browser::of(&world, "bob").await;
    let mut seen = 0;
    for delivery in &all {
        for path in
            [format!("/deliveries/{}", delivery.id), format!("/deliveries/{}/body", delivery.id)]
        {
            let page = reader.get(&path).await;
            page.has_not(&dispatch.key);
            seen += usize::from(page.text.contains("half of it is done"));
        }
    }
    assert_eq!(seen, 2, "what was reported is shown all the same");
    for path in [format!("/issues/{}/{}", at.repo, at.number), "/agents".into(), "/".into()] {
        reader.get(&path).await.has_not(&dispatch.key);
    }
}

#[tokio::test]
async fn what_a_command_came_to_is_said_on_the_next_page() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let works = async || loop {
        world.settle(10).await;
        tokio::task::yield_now().await;
    };
    // The page waits a second at most; whoever works may be slower than that now and then.
    let mut said = String::new();
    for round in 0..20 {
        let hold = [("order", "hold"), ("reason", &format!("round-{round}"))];
        tokio::select! {
            page = admin.post(ORDERS, &hold) => page.goes_to("/issues/acme/widgets/1"),
            () = works() => unreachable!(),
        }
        said = admin.get("/issues/acme/widgets/1").await.text;
        let is_late = said.contains("was not carried out yet");
        assert_ne!(
            is_late,
            said.contains(&format!("<code>/triage hold round-{round}</code> was carried out."))
        );
        if !is_late {
            break;
        }
    }
    assert!(said.contains("was carried out."), "{said}");
    // Nobody works on it now.
    admin.post(ORDERS, &[("order", "resume")]).await;
    admin.get("/issues/acme/widgets/1").await.has("was not carried out yet").has_not("was carried");
}

/// Deliveries of both repositories that failed, two and one.
async fn failed_deliveries(world: &World) {
    world.fail("/issues/", FaultKind::Status(403));
    for repo in ["acme/widgets", "acme/widgets", "acme/gadgets"] {
        world.open(repo);
    }
    world.settle(10).await;
    world.gitea.clear_faults();
}

#[tokio::test]
async fn failed_deliveries_are_retried_and_dismissed_as_a_filter_says() {
    let world = world().await;
    failed_deliveries(&world).await;
    let all = world.dead().await.len();
    let mut admin = Browser::of_admin(&world).await;
    admin.get("/deliveries").await.has_not("/deliveries/failed");
    let page = admin.get("/deliveries?state=dead&repo=acme%2Fgadgets").await;
    page.has("/deliveries/failed").has("of this filter").has("value=\"acme/gadgets\"");
    let fields = [("do", "dismiss"), ("repo", "acme/gadgets")];
    admin.post("/deliveries/failed", &fields).await.goes_to("/deliveries?state=dead");
    admin.get("/").await.has("dismissed.");
    let left = world.dead().await.len();
    assert!(0 < left && left < all, "{left} of {all}");
    let page = admin.get("/deliveries?state=ignored&repo=acme%2Fgadgets").await;
    page.has("dismissed by the dashboard&#39;s token");
    admin.post("/deliveries/failed", &[("do", "retry")]).await.goes_to("/deliveries?state=dead");
    admin.get("/").await.has(&format!("{left} failed deliveries will be retried."));
    world.settle(10).await;
    assert_eq!(world.dead().await.len(), 0);
    // Both are due at once, and the agent has one place.
    let issues = world.gitea.issues(&"acme/widgets".parse().unwrap());
    let comments: usize = issues.iter().map(|(_, issue)| issue.comments.len()).sum();
    assert_eq!(comments, 1);
    assert_eq!(admin.post("/deliveries/failed", &[("do", "burn")]).await.status, 400);
}

#[tokio::test]
async fn all_failed_deliveries_are_those_of_ones_own_repositories() {
    let world = world_of_accounts().await;
    failed_deliveries(&world).await;
    let before = world.dead().await;
    let (mut bob, _) = Browser::of(&world, "bob").await;
    assert_eq!(bob.post("/deliveries/failed", &[("do", "dismiss")]).await.status, 403);
    assert_eq!(world.dead().await, before, "who may only read dismisses nothing");
}

#[tokio::test]
async fn who_may_not_act_pauses_nothing_and_whoever_may_ends_any_pause() {
    let world = world_of_accounts().await;
    world.open("acme/widgets");
    world.open("acme/gadgets");
    world.settle(10).await;
    let pause = |kind, name, what| [("kind", kind), ("name", name), ("do", what)];
    let [agent, repository] =
        [pause("agent", "claude", "pause"), pause("repository", "acme/widgets", "pause")];
    let (mut bob, _) = Browser::of(&world, "bob").await;
    bob.get("/agents").await.has_not(">Pause<").has_not("chip-paused");
    for fields in [&agent, &repository] {
        let page = bob.post("/agents/pause", fields).await;
        assert_eq!(page.status, 403);
        page.has("you have read-only access");
    }
    let (mut alice, _) = Browser::of(&world, "alice").await;
    alice.get("/agents").await.has(">Pause<").has_not("chip-paused");
    let hidden = pause("repository", "acme/gadgets", "pause");
    assert_eq!(alice.post("/agents/pause", &hidden).await.status, 404);
    for fields in [&agent, &repository] {
        alice.post("/agents/pause", fields).await.goes_to("/agents");
    }
    bob.get("/agents").await.has("chip-paused").has("acme/widgets</bdi>, paused by");
    bob.get("/acts").await.has("paused repository acme/widgets").has_not("paused agent");
    world.open("acme/widgets");
    world.settle(10).await;
    let page = bob.get("/issues/acme/widgets/2").await;
    page.has("waits for <bdi>claude</bdi>, <bdi>the repository is paused by");
    alice.post("/agents/pause", &agent).await.goes_to("/agents");
    alice.get("/agents").await.has("was paused already");

    // Of what is not configured any more, and of what is nobody's in sight.
    let store = &world.service.parts().store;
    let away =
        ["acme/gadgets", "else/where"].map(|repo| Pausable::Repository(repo.parse().unwrap()));
    let gone = Pausable::Agent(AgentId::new("gone"));
    for of in away.into_iter().chain([gone]) {
        let pause = Pause { of, at: world.clock.now(), by: "carol".to_owned() };
        assert!(store.pause(pause).await.unwrap());
    }
    let page = alice.get("/agents").await;
    page.has("aria-label=\"gone\"").has_not("gadgets").has_not("else/where");
    let resumed = alice.post("/agents/pause", &pause("repository", "acme/gadgets", "resume")).await;
    assert_eq!(resumed.status, 404);
    for (kind, name) in [("agent", "gone"), ("agent", "claude"), ("repository", "acme/widgets")] {
        alice.post("/agents/pause", &pause(kind, name, "resume")).await.goes_to("/agents");
    }
    assert_eq!(store.pauses().await.unwrap().len(), 2);
}
