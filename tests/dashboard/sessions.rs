//! Sessions are the service's: they end there, whatever a browser still holds.

use crate::browsing::{Browser, CLIENT_ID, TOKEN, client_secret, world, world_of_accounts};
use crate::service::World;

/// The value of a cookie, as somebody has it who took a copy.
fn stolen(world: &World, from: &Browser) -> Browser {
    let mut thief = Browser::at(world);
    thief.cookie.clone_from(&from.cookie);
    thief
}

#[tokio::test]
async fn signing_out_ends_the_session_for_every_copy_of_its_cookie() {
    for with_account in [false, true] {
        let world = if with_account { world_of_accounts().await } else { world().await };
        let mut owner = match with_account {
            true => Browser::of(&world, "alice").await.0,
            false => Browser::of_admin(&world).await,
        };
        owner.get("/").await;
        let mut thief = stolen(&world, &owner);
        assert_eq!(thief.get("/deliveries").await.status, 200);
        owner.post("/sign-out", &[]).await.goes_to("/sign-in");
        assert_eq!(thief.get("/deliveries").await.status, 303, "with_account: {with_account}");
    }
}

#[tokio::test]
async fn signing_in_again_ends_the_session_before() {
    let world = world().await;
    let mut browser = Browser::of_admin(&world).await;
    let mut thief = stolen(&world, &browser);
    browser.get("/sign-in").await;
    browser.post("/sign-in/token", &[("token", TOKEN)]).await.goes_to("/");
    assert_eq!(browser.get("/").await.status, 200);
    assert_eq!(thief.get("/").await.status, 303);
}

#[tokio::test]
async fn people_see_their_own_sessions_and_end_them() {
    let world = world_of_accounts().await;
    let (mut one, _) = Browser::of(&world, "alice").await;
    let (mut other, _) = Browser::of(&world, "alice").await;
    let (mut bob, _) = Browser::of(&world, "bob").await;
    let page = one.get("/sessions").await;
    page.has("Your sessions").has("this one").has("End all others");
    assert_eq!(page.text.matches("/end\"").count(), 2 + 1, "two sessions, and all others");
    let keys: Vec<_> = page
        .text
        .split("/sessions/")
        .skip(1)
        .filter_map(|rest| rest.split_once("/end\""))
        .collect();
    let keys: Vec<_> = keys.into_iter().map(|(key, _)| key.to_owned()).collect();
    bob.get("/sessions").await.has_not(&keys[0]).has_not(&keys[1]);
    // Nobody ends those of others.
    bob.post(&format!("/sessions/{}/end", keys[0]), &[]).await.goes_to("/sessions");
    bob.get("/sessions").await.has("There is no such session of yours");
    assert_eq!((one.get("/").await.status, other.get("/").await.status), (200, 200));
    one.get("/sessions").await;
    one.post("/sessions/end", &[]).await.goes_to("/sessions");
    one.get("/sessions").await.has("1 sessions have ended").has_not("End all others");
    assert_eq!((other.get("/").await.status, bob.get("/").await.status), (303, 200));
}

#[tokio::test]
async fn a_session_is_not_in_the_cookie_alone_and_not_readable_in_the_store() {
    let world = world_of_accounts().await;
    let (mut alice, _) = Browser::of(&world, "alice").await;
    alice.get("/").await;
    let kept =
        world.service.parts().store.sessions_of(Some(world.gitea.add_user("alice").id)).await;
    let kept = kept.unwrap().remove(0);
    let sent = world.gitea.requests();
    assert!(sent.iter().any(|request| request.path.ends_with("/userinfo")));
    assert!(!kept.tokens.contains("access") && !kept.tokens.is_empty(), "sealed");
    assert!(!alice.cookie.as_ref().unwrap().contains(&kept.key));
}

/// Ends when the file names another secret, in a running service and in one that starts again.
async fn ends_with(
    world: &mut World,
    browsers: &mut [Browser],
    change: (&str, &str),
    is_restart: bool,
) {
    for browser in &mut *browsers {
        assert_eq!(browser.get("/deliveries").await.status, 200);
    }
    match is_restart {
        false => world.reload(change),
        true => world.restart(change).await,
    }
    for browser in browsers {
        browser.root = format!("http://{}", world.service.address());
        assert_eq!(browser.get("/deliveries").await.status, 303, "{change:?}, {is_restart}");
    }
}

#[tokio::test]
async fn another_dashboard_token_ends_the_sessions_that_it_began_and_no_others() {
    for is_restart in [false, true] {
        let secret = client_secret();
        let more = format!(
            "[dashboard]\ntoken = '{TOKEN}'\nclient_id = '{CLIENT_ID}'\nclient_secret = '{secret}'\n"
        );
        let mut world = World::with(&more).await;
        crate::browsing::add_accounts(&world);
        let mut of_token = [Browser::of_admin(&world).await];
        let (mut alice, _) = Browser::of(&world, "alice").await;
        ends_with(&mut world, &mut of_token, (TOKEN, "another-token-of-the-dashboard"), is_restart)
            .await;
        if !is_restart {
            assert_eq!(alice.get("/deliveries").await.status, 200, "it began otherwise");
        }
    }
}

#[tokio::test]
async fn another_application_or_secret_ends_the_sessions_of_accounts() {
    let secret = client_secret();
    for change in [(CLIENT_ID, "another-client"), (secret.as_str(), "gto_another")] {
        for is_restart in [false, true] {
            let mut world = world_of_accounts().await;
            let mut of_accounts = [Browser::of(&world, "alice").await.0];
            ends_with(&mut world, &mut of_accounts, change, is_restart).await;
        }
    }
}

#[tokio::test]
async fn a_session_goes_on_after_a_start_with_the_same_secrets() {
    let mut world = world_of_accounts().await;
    let (mut alice, _) = Browser::of(&world, "alice").await;
    alice.get("/").await;
    world.restart(("", "")).await;
    alice.root = format!("http://{}", world.service.address());
    alice.get("/").await.has("<bdi>alice</bdi>");
}
