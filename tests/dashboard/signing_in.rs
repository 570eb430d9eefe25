//! Who gets in, and how they leave.

use crate::browsing::{Browser, TOKEN, agree, world, world_of_accounts};
use crate::service::{World, repo};

const PAGES: [&str; 11] = [
    "/",
    "/deliveries",
    "/deliveries/060a98c2-4462-416d-82bf-493fd115ad41",
    "/issues",
    "/issues/acme/widgets/1",
    "/agents",
    "/acts",
    "/days",
    "/search?q=x",
    "/decisions/1",
    "/events",
];

#[tokio::test]
async fn without_a_sign_in_method_the_dashboard_says_how_to_turn_it_on_and_shows_nothing() {
    let world = World::start().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut browser = Browser::at(&world);
    let front = browser.get("/").await;
    assert_eq!(front.status, 200);
    front.has("[dashboard]").has("token_file").has("client_id").has_not("acme/widgets");
    for page in PAGES.into_iter().filter(|page| *page != "/").chain(["/sign-in"]) {
        let page = browser.get(page).await;
        assert_eq!(page.status, 404);
        page.has("[dashboard]").has_not("acme/widgets");
    }
    assert_eq!(browser.post("/sign-in/token", &[("token", "")]).await.status, 404);
    assert_eq!(browser.get("/assets/style.css").await.status, 200);
}

#[tokio::test]
async fn nobody_sees_a_page_before_signing_in() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut browser = Browser::at(&world);
    for path in PAGES {
        let page = browser.get(path).await;
        let next: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
        page.goes_to(&format!("/sign-in?next={next}"));
        assert_eq!(page.text, "");
    }
}

#[tokio::test]
async fn the_token_opens_the_dashboard_and_a_wrong_one_does_not() {
    let world = world().await;
    let mut browser = Browser::at(&world);
    browser
        .get("/sign-in?next=%2Fagents")
        .await
        .has("value=\"/agents\"")
        .has_not("Sign in with Gitea");
    browser.post("/sign-in/token", &[("token", "wrong")]).await.goes_to("/sign-in?next=");
    browser.get("/sign-in").await.has("Wrong token");
    browser.get("/").await.goes_to("/sign-in?next=%2F");
    browser.get("/sign-in").await;
    let fields = [("token", TOKEN), ("next", "/agents")];
    browser.post("/sign-in/token", &fields).await.goes_to("/agents");
    let page = browser.get("/agents").await;
    assert_eq!(page.status, 200);
    page.has("the dashboard&#39;s token").has("Sign out");
    browser.post("/sign-out", &[]).await.goes_to("/sign-in");
    browser.get("/agents").await.goes_to("/sign-in?next=%2Fagents");
}

#[tokio::test]
async fn wrong_tokens_are_limited() {
    let world = world().await;
    let mut browser = Browser::at(&world);
    browser.get("/sign-in").await;
    let mut statuses = Vec::new();
    for _ in 0..31 {
        statuses.push(browser.post("/sign-in/token", &[("token", "wrong")]).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 30);
    assert_eq!(statuses.last(), Some(&429));
    // The right one is let in all the while, and is no reason to tell others anything.
    Browser::of_admin(&world).await;
    assert_eq!(browser.post("/sign-in/token", &[("token", "wrong")]).await.status, 429);
    world.advance(61);
    browser.post("/sign-in/token", &[("token", TOKEN)]).await.goes_to("/");
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_and_cannot_be_changed() {
    let world = world().await;
    let mut browser = Browser::of_admin(&world).await;
    let cookie = browser.cookie.clone().unwrap();
    world.advance(12 * 3_600);
    assert_eq!(browser.get("/").await.status, 200);
    world.advance(1);
    assert_eq!(browser.get("/").await.status, 303);
    let mut forged = cookie.into_bytes();
    let last = forged.len() - 5;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    browser.cookie = Some(String::from_utf8(forged).unwrap());
    assert_eq!(browser.get("/").await.status, 303);
}

#[tokio::test]
async fn the_cookie_is_kept_from_scripts_and_from_other_sites() {
    let world = world().await;
    let mut browser = Browser::at(&world);
    let page = browser.get("/sign-in").await;
    let cookie = page.headers["set-cookie"].to_str().unwrap().to_owned();
    for wanted in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(wanted), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "over http a browser would not send it: {cookie}");
    assert!(!cookie.contains(&page.csrf()), "what it holds is sealed");
}

#[tokio::test]
async fn people_who_may_write_sign_in_with_their_accounts() {
    let world = world_of_accounts().await;
    let (mut bob, page) = Browser::of(&world, "bob").await;
    page.goes_to("/issues");
    let page = bob.get("/issues").await;
    assert_eq!(page.status, 200);
    page.has("<bdi>bob</bdi>").has("title=\"read-only\"");
    let (mut alice, _) = Browser::of(&world, "alice").await;
    alice.get("/").await.has("title=\"admin\"");
}

#[tokio::test]
async fn people_who_may_only_read_are_turned_away_by_name() {
    let world = world_of_accounts().await;
    let (mut eve, page) = Browser::of(&world, "eve").await;
    page.goes_to("/sign-in");
    eve.get("/sign-in").await.has("<code>eve</code> has no access");
    eve.get("/").await.goes_to("/sign-in?next=%2F");
}

#[tokio::test]
async fn who_may_no_longer_write_is_signed_out_within_minutes_and_an_outage_signs_nobody_out() {
    let world = world_of_accounts().await;
    let (mut bob, _) = Browser::of(&world, "bob").await;
    world.fail("/userinfo", gitea_triage::fake_gitea::FaultKind::Status(502));
    world.advance(6 * 60);
    assert_eq!(
        bob.get("/").await.status,
        200,
        "the pages are needed most when Gitea is unreachable"
    );
    world.gitea.clear_faults();
    world.gitea.add_collaborator(&repo("acme/widgets"), "bob", "read");
    world.advance(6 * 60);
    assert_eq!(bob.get("/").await.status, 303);
}

#[tokio::test]
async fn a_code_is_worth_nothing_without_the_browser_that_asked_for_it() {
    let world = world_of_accounts().await;
    let mut browser = Browser::at(&world);
    let start = browser.get("/sign-in/gitea").await.location.unwrap();
    let back = agree(&world.gitea, &start, "alice").await;
    // Another browser, another state, no state at all.
    let mut other = Browser::at(&world);
    other.get(&back).await.goes_to("/sign-in");
    other.get("/sign-in").await.has("was not started in this browser");
    other.get("/sign-in/gitea").await;
    other.get(&back).await.goes_to("/sign-in");
    other.get("/").await.goes_to("/sign-in?next=%2F");
    browser.get("/sign-in/callback?code=x").await.goes_to("/sign-in");
    // The journey is over even for the browser that began it.
    browser.get(&back).await.goes_to("/sign-in");
    browser.get("/").await.goes_to("/sign-in?next=%2F");
}

#[tokio::test]
async fn nobody_is_redirected_elsewhere_after_signing_in() {
    let world = world().await;
    for evil in ["//evil.example/", "https://evil.example/", "/\\evil.example", "/%2f/evil.example"]
    {
        let mut browser = Browser::at(&world);
        browser.get("/sign-in").await;
        let fields = [("token", TOKEN), ("next", evil)];
        let page = browser.post("/sign-in/token", &fields).await;
        let place = page.location.unwrap();
        assert!(
            place.starts_with('/') && !place.starts_with("//") && !place.contains('\\'),
            "{place}"
        );
    }
}

#[tokio::test]
async fn under_a_path_every_link_and_cookie_stays_below_it() {
    let world = World::with_server(
        "public_url = 'https://git.example.com/triage'",
        &format!("[dashboard]\ntoken = '{TOKEN}'\n"),
    )
    .await;
    let mut browser = Browser::at(&world);
    browser.origin = Some("https://git.example.com".into());
    browser.get("/issues").await.goes_to("/triage/sign-in?next=%2Fissues");
    let page = browser.get("/sign-in").await;
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("Path=/triage/") && cookie.contains("Secure"), "{cookie}");
    page.has("action=\"/triage/sign-in/token\"").has("href=\"/triage/assets/style.css?v=");
    browser
        .post("/sign-in/token", &[("token", TOKEN), ("next", "/issues")])
        .await
        .goes_to("/triage/issues");
    world.open("acme/widgets");
    world.settle(10).await;
    let page = browser.get("/issues").await;
    page.has("href=\"/triage/issues/acme/widgets/1\"").has("data-events=\"/triage/events\"");
    let links = page.text.split("href=\"").skip(1);
    for link in links.map(|rest| rest.split('"').next().unwrap()) {
        assert!(link.starts_with("/triage/") || link.starts_with('#'), "{link}");
    }
}

#[tokio::test]
async fn wrong_tokens_do_not_keep_the_right_one_out() {
    let world = world().await;
    let mut stranger = Browser::at(&world);
    stranger.get("/sign-in").await;
    for _ in 0..40 {
        stranger.post("/sign-in/token", &[("token", "wrong")]).await;
    }
    assert_eq!(stranger.post("/sign-in/token", &[("token", "wrong")]).await.status, 429);
    stranger.post("/sign-in/token", &[("token", TOKEN)]).await.goes_to("/");
}

#[tokio::test]
async fn forged_callbacks_ask_the_forge_no_more_than_a_few_times_a_minute() {
    let world = world_of_accounts().await;
    let asked = || {
        let all = world.gitea.requests();
        all.iter().filter(|request| request.path.ends_with("/access_token")).count()
    };
    let mut stranger = Browser::at(&world);
    for _ in 0..60 {
        let start = stranger.get("/sign-in/gitea").await.location.unwrap();
        let start = url::Url::parse(&start).unwrap();
        let (_, state) = start.query_pairs().find(|(name, _)| name == "state").unwrap();
        let back = format!("/sign-in/callback?code=forged&state={state}");
        stranger.get(&back).await.goes_to("/sign-in");
    }
    assert_eq!(asked(), 20);
    stranger.get("/sign-in").await.has("Too many sign-ins from your address failed");
    world.advance(60);
    let (mut bob, _) = Browser::of(&world, "bob").await;
    assert_eq!(bob.get("/").await.status, 200);
}

#[tokio::test]
async fn a_link_signs_in_only_where_one_was_asked_for() {
    let world = world().await;
    let mut browser = Browser::at(&world);
    let none = "/sign-in/link/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    assert_eq!(browser.get(none).await.status, 404);
    let link = world.service.sign_in_link().unwrap();
    assert!(world.service.sign_in_link().is_none(), "there is one link");
    assert_eq!(browser.get(none).await.status, 404);
    let (_, path) = link.split_once("/sign-in/").unwrap();
    browser.get(&format!("/sign-in/{path}")).await.goes_to("/");
    browser.get("/").await.has("Sign out");
    // Without a token, there is nothing that it could stand for.
    let world = World::start().await;
    assert!(world.service.sign_in_link().is_none());
}
