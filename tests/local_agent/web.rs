//! `web_fetch`: pages of listed hosts, and nothing else.

use gitea_triage::agents::local::{LocalAgent, Run};
use serde_json::json;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::model::{Model, call, text};
use crate::outside::{World, task};

async fn page(at: &str, answer: ResponseTemplate) -> MockServer {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = MockServer::start().await;
    Mock::given(path(at)).respond_with(answer).mount(&server).await;
    server
}

async fn fetch(url: &str, private: &[&str]) -> Run {
    let model = Model::says(vec![call("web_fetch", json!({"url": url})), text("ok")]).await;
    let mut settings = model.settings(&["web_fetch"]);
    // Each with the port of the address, where it has one.
    let port = reqwest::Url::parse(url).ok().and_then(|url| url.port());
    let listed = |host: &&str| port.map_or(host.to_string(), |port| format!("{host}:{port}"));
    settings.web_hosts = ["127.0.0.1", "localhost", "169.254.169.254"].iter().map(listed).collect();
    settings.allow_private = private.iter().map(ToString::to_string).collect();
    LocalAgent::start(settings).await.unwrap().run(&task(), &World::new()).await
}

#[track_caller]
fn gave(run: &Run, expected: &str) {
    let result = &run.tool_calls[0].result;
    assert!(result.contains(expected), "{result}");
}

#[tokio::test]
async fn a_page_of_a_listed_host_is_its_words_in_a_fence() {
    let html = "<html><script>x()</script><p>Use <b>WAL</b> mode.</p></html>";
    let server = page("/doc", ResponseTemplate::new(200).set_body_raw(html, "text/html")).await;
    let run = fetch(&format!("{}/doc", server.uri()), &["127.0.0.1"]).await;
    gave(&run, ": a web page]]\nhttp://127.0.0.1:");
    gave(&run, "\nUse WAL mode.\n[[end ");
}

#[tokio::test]
async fn a_private_address_is_not_called_even_when_its_host_is_listed() {
    let server = page("/", ResponseTemplate::new(200)).await;
    let port = server.address().port();
    let run = fetch(&format!("http://127.0.0.1:{port}/"), &[]).await;
    gave(&run, "`127.0.0.1` leads to the private address `127.0.0.1`");
    gave(&fetch(&format!("http://localhost:{port}/"), &[]).await, "or leads to a private address");
    gave(
        &fetch("http://169.254.169.254/latest/meta-data", &["127.0.0.1"]).await,
        "private address",
    );
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn other_hosts_schemes_and_users_are_refused() {
    let wrong = "Error: the arguments of `web_fetch` are wrong: `url` ";
    let long = format!("https://localhost/{}", "x".repeat(600));
    for (url, why) in [
        ("https://evil.example/", "leads to a host that is not listed"),
        ("https://localhost.evil.example/", "leads to a host that is not listed"),
        ("https://localhost@evil.example/", "is not `http://` or `https://`"),
        ("file:///etc/passwd", "is not `http://` or `https://`"),
        ("gopher://localhost/", "is not `http://` or `https://`"),
        ("//localhost/", "is no address"),
        (long.as_str(), "is too long"),
    ] {
        gave(&fetch(url, &["127.0.0.1"]).await, &format!("{wrong}{why}"));
    }
}

#[tokio::test]
async fn redirects_are_not_followed_and_large_or_strange_pages_not_read() {
    let moved = ResponseTemplate::new(302).insert_header("location", "http://169.254.169.254/");
    let server = page("/", moved).await;
    gave(
        &fetch(&server.uri(), &["127.0.0.1"]).await,
        "where the page has moved, which is not followed",
    );
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    let large = ResponseTemplate::new(200).set_body_raw(vec![b'x'; 600 * 1024], "text/plain");
    let server = page("/", large).await;
    gave(&fetch(&server.uri(), &["127.0.0.1"]).await, "the page is larger than 512 KiB");
    let binary = ResponseTemplate::new(200).set_body_raw(vec![0; 10], "application/octet-stream");
    let server = page("/", binary).await;
    gave(&fetch(&server.uri(), &["127.0.0.1"]).await, "neither text, HTML, JSON nor XML");
}

#[tokio::test]
async fn another_port_of_a_listed_host_is_not_read() {
    let server = page("/", ResponseTemplate::new(200)).await;
    let model = |url: String| async move {
        Model::says(vec![call("web_fetch", json!({"url": url})), text("ok")]).await
    };
    for listed in ["127.0.0.1".to_owned(), format!("127.0.0.1:{}", server.address().port() ^ 1)] {
        let model = model(server.uri()).await;
        let mut settings = model.settings(&["web_fetch"]);
        settings.web_hosts = vec![listed];
        settings.allow_private = vec!["127.0.0.1".into()];
        let run = LocalAgent::start(settings).await.unwrap().run(&task(), &World::new()).await;
        gave(&run, "leads to a host that is not listed");
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}
