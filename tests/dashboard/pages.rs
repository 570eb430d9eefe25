//! What the pages say.

use gitea_triage::fake_gitea::{FaultKind, Flavour};

use crate::browsing::{Browser, TOKEN, world};
use crate::service::World;

#[tokio::test]
async fn a_deliverys_page_shows_its_decision_changes_and_body() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let id = world.gitea.deliveries()[0].uuid.clone();
    let mut admin = Browser::of_admin(&world).await;
    let page = admin.get(&format!("/deliveries/{id}")).await;
    page.has(&id).has("chip-done").has("signed webhook").has("issues/opened");
    page.has("acme/widgets#1").has("Decision").has("chip-dispatch");
    page.has("<mark><bdi>src/auth/login.py</bdi></mark>").has("names a file");
    page.has("claude-ready").has("comment").has("assignee");
    page.has("&#34;action&#34;: &#34;opened&#34;");
    let body = admin.get(&format!("/deliveries/{id}/body")).await;
    assert_eq!(body.text.as_bytes(), &world.gitea.deliveries()[0].body[..]);
    let kind = body.headers["content-disposition"].to_str().unwrap();
    assert!(kind.starts_with("attachment"), "{kind}");
    // The answer that Gitea shows leads here.
    assert!(admin.get("/deliveries").await.text.contains(&format!("/deliveries/{id}")));
}

#[tokio::test]
async fn a_day_of_a_repository_has_a_page() {
    let world = world().await;
    let at = world.open("acme/widgets");
    world.settle(10).await;
    world.gitea.close(&at, "alice");
    world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let page = admin.get("/days").await;
    page.has("acme/widgets</bdi> on 2026-03-23").has("<dt>open</dt><dd>1</dd>");
    page.has("<dt>closed on this day</dt><dd>1</dd>").has("chip-dispatch").has("chip-completed");
    let page = admin.get("/days?repo=acme%2Fwidgets&day=2026-03-22").await;
    page.has("Nothing on this day").has("<dt>open</dt><dd>0</dd>");
    // The last day there is.
    admin.get("/days?day=%2B262142-12-31").await.has("+262142-12-31").has("Nothing on this day");
    for other in ["/days?repo=acme%2Fnowhere", "/days?repo=%3Cb%3E&day=never"] {
        admin.get(other).await.has("No issue of such a repository is known");
    }
}

#[tokio::test]
async fn a_day_begins_and_ends_where_the_summaries_are() {
    let world = World::with(&format!(
        "[summary]\nenabled = false\ntimezone = 'Asia/Tokyo'\n[dashboard]\ntoken = '{}'\n",
        crate::browsing::TOKEN
    ))
    .await;
    world.open("acme/widgets");
    world.settle(10).await;
    // Evening in London is the next morning in Tokyo.
    let now = world.clock.now();
    let night = now.date_naive().and_hms_opt(15, 30, 0).unwrap().and_utc();
    world.advance((night - now).num_seconds());
    let at = world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let page = admin.get("/days").await;
    page.has("acme/widgets</bdi> on 2026-03-24").has("(Asia/Tokyo)").has("<dt>open</dt><dd>2</dd>");
    page.has(&format!("widgets#{}<", at.number));
    let before = admin.get("/days?day=2026-03-23").await;
    before.has("<dt>open</dt><dd>1</dd>").has("widgets#1<");
    before.has_not(&format!("widgets#{}<", at.number));
}

#[tokio::test]
async fn a_decision_has_a_page_with_the_words_that_led_to_it() {
    let world = world().await;
    let at = world.open("acme/widgets");
    world.settle(10).await;
    world.gitea.edit_issue(&at, "alice", None, Some("It is slow"));
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let page = admin.get("/decisions/1").await;
    page.has("Decision 1").has("chip-dispatch").has("claude").has("acme/widgets#1");
    page.has("<mark>src/auth/login.py</mark>").has("Issue text from the delivery");
    page.has("Next decision").has_not("Previous decision");
    page.has(&format!("{}/acme/widgets/issues/1", world.gitea.url()));
    admin.get("/decisions/2").await.has("Previous decision");
    for nowhere in
        ["/decisions/99", "/decisions/x", "/decisions/-1", "/decisions/9999999999999999999"]
    {
        assert_eq!(admin.get(nowhere).await.status, 404, "{nowhere}");
    }
}

#[tokio::test]
async fn the_overview_says_what_needs_attention_and_who_works_on_what() {
    let world = World::with(&format!(
        "[triage]\nowner = 'alice'\n[dashboard]\ntoken = '{}'\n",
        crate::browsing::TOKEN
    ))
    .await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut blocked = crate::service::bug();
    blocked.title = "[bug] Cannot go on".into();
    blocked.body.push_str("\nBlocked until the schema is settled.");
    world.gitea.open_issue(&crate::service::repo("acme/gadgets"), blocked);
    world.open("acme/gadgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let page = admin.get("/").await;
    page.has("<b>1</b> need attention").has("Cannot go on").has("for <bdi>alice</bdi>");
    page.has("<b>1</b> with agents").has("in 2 h").has("<b>1</b> waiting for an agent");
    page.has("<svg").has("Deliveries per hour, last 24 hours").has("series-dispatch");
    page.has("chip-ok").has_not("chip-failing");
    let agents = admin.get("/agents").await;
    agents.has("<title>claude, 1 open").has("Completed dispatches by duration");
    world.fail("/version", gitea_triage::fake_gitea::FaultKind::Status(500));
    let mut later = admin.get("/").await;
    // A report is good for a second of the machine's own time.
    while !later.text.contains("chip-failing") {
        later = admin.get("/").await;
    }
    later.has("Gitea answered 500");
}

#[tokio::test]
async fn lists_are_filtered_and_paged_and_search_finds_by_name_id_and_word() {
    let world = world().await;
    for _ in 0..60 {
        world.open("acme/widgets");
    }
    world.settle(10).await;
    let id = world.gitea.deliveries()[7].uuid.clone();
    let mut admin = Browser::of_admin(&world).await;
    let page = admin.get("/deliveries?state=done").await;
    let rows = |text: &str| text.matches("data-th=\"Delivery\"").count();
    assert_eq!(rows(&page.text), 50);
    let older =
        page.text.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let older = older.replace("&#38;", "&").replace("&amp;", "&");
    assert!(older.contains("state=done") && older.contains("before="), "{older}");
    let second = admin.get(&older).await;
    assert!(rows(&second.text) >= 10);
    let ids = |text: &str| -> Vec<String> {
        text.split("/deliveries/")
            .skip(1)
            .map(|r| r.split('"').next().unwrap().to_owned())
            .collect()
    };
    assert!(ids(&second.text).iter().all(|id| !ids(&page.text).contains(id)));
    admin.get("/deliveries?repo=acme%2Fgadgets").await.has("No delivery matches");
    admin.get("/deliveries?q=issues%2FOPENED").await.has("issues/opened").has_not("issues/label");
    admin.get(&format!("/search?q={id}")).await.goes_to(&format!("/deliveries/{id}"));
    admin.get("/search?q=acme%2Fwidgets%2312").await.goes_to("/issues/acme/widgets/12");
    admin.get("/search?q=LOGIN+crashes").await.has("Login crashes").has("data-th=\"Issue\"");
    let page = admin.get("/issues?show=waiting").await;
    page.has("chip-wait").has("data-th=\"Title\"");
    admin.get("/issues?show=finished").await.has("No issue matches");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_and_no_path_leads_to_a_file() {
    let world = world().await;
    let mut admin = Browser::of_admin(&world).await;
    for nowhere in [
        "/nothing",
        "/deliveries/060a98c2-4462-416d-82bf-493fd115ad41",
        "/deliveries/060a98c2-4462-416d-82bf-493fd115ad41/body",
        "/issues/acme/widgets/1",
        "/issues/acme/widgets/0",
        "/issues/acme/widgets/x",
        "/issues/..%2f..%2f/passwd/1",
        "/assets/nothing.css",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets/style.css%00",
        "/assets//etc/passwd",
        "/..%2f..%2fetc/passwd",
    ] {
        let page = admin.get(nowhere).await;
        assert_eq!(page.status, 404, "{nowhere}");
        page.has_not("root:").has_not("[package]");
    }
}

#[tokio::test]
async fn an_open_page_learns_that_something_changed() {
    use futures_util::StreamExt as _;
    let world = world().await;
    let admin = Browser::of_admin(&world).await;
    let request = reqwest::Client::new().get(format!("http://{}/events", world.service.address()));
    let answer = request.header("cookie", admin.cookie.unwrap()).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let mut events = answer.bytes_stream();
    let mut seen = String::new();
    world.open("acme/widgets");
    while !seen.contains("event: change") {
        let more = tokio::time::timeout(std::time::Duration::from_secs(30), events.next()).await;
        seen.push_str(std::str::from_utf8(&more.unwrap().unwrap().unwrap()).unwrap());
    }
    assert!(!seen.contains("acme"), "what changed is only on the page: {seen}");
    // Stopping does not wait for whoever still looks.
    let began = std::time::Instant::now();
    world.service.stop().await;
    assert!(began.elapsed() < std::time::Duration::from_secs(4));
}

#[tokio::test]
async fn the_forge_is_called_what_it_is() {
    let more = format!(
        "[triage]\ndry_run = true\n[dashboard]\ntoken = '{TOKEN}'\nclient_id = 'a'\nclient_secret = 'gto_of_the_tests'\n"
    );
    for (flavour, name) in [(Flavour::Gitea, "Gitea"), (Flavour::Forgejo, "Forgejo")] {
        let world = World::on(flavour, "public_url = 'http://127.0.0.1:8484'", &more).await;
        let at = world.open("acme/widgets");
        world.settle(10).await;
        let mut admin = Browser::at(&world);
        admin.get("/sign-in").await.has(&format!("Sign in with {name}"));
        let mut admin = Browser::of_admin(&world).await;
        admin.get("/").await.has(&format!("nothing is written to {name}."));
        admin.get("/decisions/1").await.has(&format!("on {name}"));
        admin.get(&format!("/issues/{}/{}", at.repo, at.number)).await.has(&format!("On {name}"));
        world.fail("/version", FaultKind::Hang(std::time::Duration::from_secs(3)));
        let mut later = admin.get("/").await;
        // A report is good for a second of the machine's own time.
        while !later.text.contains("chip-failing") {
            later = admin.get("/").await;
        }
        later.has(&format!("{name} did not answer within"));
    }
}

#[tokio::test]
async fn the_overview_says_what_cannot_be_swept() {
    let world = world().await;
    world.open("acme/widgets");
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    admin.get("/").await.has_not("<b>Sweep</b>");
    world.fail("/repos/acme/widgets/issues", FaultKind::Status(403));
    let sweeper = &world.service.parts().sweeper;
    let how = gitea_triage::sweep::How { full: true, look_only: false, at_once: true };
    sweeper.round(how, &|_, _, _| {}).await.unwrap();
    let mut page = admin.get("/").await;
    // A report is good for a second of the machine's own time.
    while !page.text.contains("<b>Sweep</b>") {
        page = admin.get("/").await;
    }
    page.has("chip-failing").has("acme/widgets").has("cannot be swept");
}
