//! The table of answers, over real HTTP.

use gitea_triage::store::DeliveryState;
use reqwest::{Client, Method, StatusCode};

use crate::database;
use crate::redelivery::sign;
use crate::world::{SECRET, World};

const ID: &str = "060a98c2-4462-416d-82bf-493fd115ad41";

fn json_request(world: &World, body: &[u8], signature: &str) -> reqwest::RequestBuilder {
    Client::new()
        .post(world.url("/webhook"))
        .header("Content-Type", "application/json")
        .header("X-Gitea-Delivery", ID)
        .header("X-Gitea-Signature", signature)
        .body(body.to_vec())
}

#[tokio::test]
async fn a_valid_delivery_is_on_disk_before_it_is_answered() {
    let world = World::start().await;
    let (status, answer) = world.post(ID, br#"{"ref": "refs/heads/main", "commits": []}"#).await;
    assert_eq!(status, 202);
    assert_eq!(answer["delivery"], ID);
    assert!(answer.get("details").is_none(), "without a dashboard no page shows it: {answer}");
    assert_eq!(database::count(&world.store_path(), "SELECT count(*) FROM delivery"), 1);
    world.settle().await;
    assert_eq!(world.delivery(ID).await.state, DeliveryState::Ignored);
}

/// The dashboard is off, and on.
const DASHBOARDS: [&str; 2] = ["", "[dashboard]\ntoken = \"a-token-of-the-dashboard\""];

#[tokio::test]
async fn with_a_dashboard_the_details_lead_to_a_page() {
    let world = World::with(DASHBOARDS[1]).await;
    for status in ["accepted", "duplicate"] {
        let (_, answer) = world.post(ID, b"{}").await;
        assert_eq!(answer["status"], status);
        let details = answer["details"].as_str().unwrap();
        let path = details.strip_prefix("https://triage.example.com").unwrap();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let page = client.get(world.url(path)).send().await.unwrap();
        // To the sign-in, which leads back.
        assert_eq!(page.status(), StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn only_what_is_stored_is_a_success_whatever_a_hook_sends_and_where() {
    for dashboard in DASHBOARDS {
        let world = World::with(dashboard).await;
        let body = br#"{"action": "opened"}"#;
        let signature = sign(SECRET, body);
        let paths = [
            "/",
            "/webhooks",
            "/Webhook",
            "/webhook/x",
            "/healthz",
            "/metrics",
            "/issues",
            "/dispatches/",
            "/sign-out",
            "/x?payload={}",
        ];
        let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        for path in paths {
            for method in methods {
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let request = Client::new().request(method.clone(), world.url(path));
                let request =
                    request.header("X-Gitea-Delivery", ID).header("X-Gitea-Signature", &signature);
                let answer =
                    request.header("Content-Type", "application/json").body(body.to_vec()).send();
                let answer = answer.await.unwrap();
                assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method} {path}");
                let said: serde_json::Value = answer.json().await.unwrap();
                let said = said["error"].as_str().unwrap().to_owned();
                assert!(said.contains("`https://triage.example.com/webhook`"), "{said}");
            }
        }
        // One that does not say what it is.
        let bare = Client::new().post(world.url("/")).body("x").send().await.unwrap();
        assert_eq!(bare.status(), StatusCode::NOT_FOUND);
        for method in [Method::PUT, Method::PATCH, Method::DELETE] {
            let answer =
                Client::new().request(method, world.url("/")).body("x").send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        }
        assert!(world.deliveries().await.is_empty());
        let metrics = Client::new().get(world.url("/metrics")).send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let counted = format!("answer=\"wrong_address\"}} {}", paths.len() * methods.len() + 1);
        assert!(metrics.contains(&counted), "{metrics}");
    }
}

#[tokio::test]
async fn a_slash_behind_the_path_is_forgiven() {
    let world = World::start().await;
    let request = |method| {
        Client::new()
            .request(method, world.url("/webhook/"))
            .header("Content-Type", "application/json")
            .header("X-Gitea-Delivery", ID)
            .header("X-Gitea-Signature", sign(SECRET, b"{}"))
            .body("{}")
            .send()
    };
    assert_eq!(request(Method::POST).await.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!(request(Method::GET).await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(world.deliveries().await.len(), 1);
}

#[tokio::test]
async fn a_flipped_byte_is_refused_and_leaves_no_trace() {
    let world = World::start().await;
    let signature = sign(SECRET, b"{}");
    let answer = json_request(&world, b"{ ", &signature).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(!answer.text().await.unwrap().contains(&signature[..8]));
    assert!(world.deliveries().await.is_empty());
}

#[tokio::test]
async fn a_form_is_verified_by_its_decoded_payload() {
    let world = World::start().await;
    let payload = r#"{"note": "Größe & 🐛"}"#;
    let form: String =
        form_urlencoded::Serializer::new(String::new()).append_pair("payload", payload).finish();
    let answer = json_request(&world, form.as_bytes(), &sign(SECRET, payload.as_bytes()))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .send();
    // Two content types would be ambiguous, so the form is sent on its own.
    assert_ne!(answer.await.unwrap().status(), StatusCode::ACCEPTED);
    let answer = Client::new()
        .post(world.url("/webhook"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("X-Gitea-Delivery", ID)
        .header("X-Gitea-Signature", sign(SECRET, payload.as_bytes()))
        .body(form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn other_methods_are_answered_405_and_never_redirected() {
    let world = World::start().await;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD] {
        for path in ["/webhook", "/webhook/", "/webhook?payload=%7B%7D"] {
            let answer = client.request(method.clone(), world.url(path)).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_413_and_one_at_the_limit_is_read() {
    let world = World::with("").await;
    let limit = 10 * 1024 * 1024;
    let over = vec![b'x'; limit + 1];
    let answer = json_request(&world, &over, &"0".repeat(64)).send().await;
    // The answer may come while the body is still being sent, and then cut the sending short.
    if let Ok(answer) = answer {
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let exact = vec![b'x'; limit];
    let answer = json_request(&world, &exact, &"0".repeat(64)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_signature_is_looked_at_before_anything_else() {
    let world = World::start().await;
    let unsigned = Client::new().post(world.url("/webhook")).body("{}");
    assert_eq!(unsigned.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let signed = |body: &'static str| {
        Client::new()
            .post(world.url("/webhook"))
            .header("X-Gitea-Signature", sign(SECRET, body.as_bytes()))
            .body(body)
    };
    let no_id = signed("{}").header("Content-Type", "application/json");
    assert_eq!(no_id.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let odd = signed("{}").header("Content-Type", "text/plain").header("X-Gitea-Delivery", ID);
    assert_eq!(odd.send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_signed_body_that_is_no_json_is_kept_and_ends_dead_with_the_reason() {
    let world = World::start().await;
    let (status, _) = world.post(ID, b"<html>").await;
    assert_eq!(status, 202);
    world.settle().await;
    let dead = world.dead().await;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].reason.as_ref().unwrap().contains("JSON"), "{:?}", dead[0].reason);
}

#[tokio::test]
async fn a_secret_speaks_only_for_its_repositories() {
    let config = "[webhook]\nsecrets = [{ secret = \"of-another\", repos = [\"other/*\"] }]";
    let world = World::with_secrets(config).await;
    let body = br#"{"action": "opened", "number": 1, "issue": {"id": 1, "number": 1, "title": "x"},
        "repository": {"id": 1, "full_name": "acme/widgets"}}"#;
    let answer = json_request(&world, body, &sign("of-another", body)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    world.settle().await;
    let seen = world.delivery(ID).await;
    assert_eq!(seen.state, DeliveryState::Ignored);
    assert!(seen.reason.unwrap().contains("covers other/*, not `acme/widgets`"));
}

#[tokio::test]
async fn health_and_readiness_say_what_is_broken() {
    let world = World::start().await;
    let get = async |path: &str| {
        let answer = Client::new().get(world.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    assert_eq!(get("/healthz").await.0, 200);
    assert_eq!(get("/readyz").await.0, 200);
}
