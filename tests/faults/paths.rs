//! Guarded paths in other writings: whoever guards a path by its text guards every way to it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::program::{Program, SECRET, Stage, push_payload, sign};

/// Every path that needs a signature, a key, a sign-in, or a proxy that hides it.
const GUARDED: [&str; 16] = [
    "/metrics",
    "/readyz",
    "/webhook",
    "/dispatches/x",
    "/deliveries",
    "/deliveries/x",
    "/deliveries/x/body",
    "/issues",
    "/issues/acme/widgets/1",
    "/agents",
    "/acts",
    "/days",
    "/search",
    "/events",
    "/decisions/1",
    "/sign-in/token",
];

/// The same path as others would write it.
fn writings(path: &str) -> Vec<String> {
    let letter = path.chars().nth(1).unwrap();
    let last = path.chars().last().unwrap();
    let but_last = &path[..path.len() - 1];
    let mut all = vec![
        format!("/%{:02x}{}", u32::from(letter), &path[2..]),
        format!("/%{:02X}{}", u32::from(letter), &path[2..]),
        format!("{but_last}%{:02x}", u32::from(last)),
        format!("/{path}"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("/%2e{path}"),
        format!("/%2f{}", &path[1..]),
        format!("{path}/"),
        format!("{path}//"),
        format!("{path}/."),
        format!("{path}%00"),
        format!("{path};x=1"),
        format!("{path}%20"),
        path.to_uppercase(),
    ];
    // The webhook is meant to be there with a slash at its end, too.
    all.retain(|other| other != "/webhook/");
    all
}

async fn ask(program: &Program, method: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(program.address()).await.unwrap();
    // A request that says it comes from a webhook is told the webhook's path, whatever it asks for.
    let is_hook = method == "POST" && path.to_lowercase().contains("hook");
    let body = if is_hook { push_payload(1, 200) } else { Vec::new() };
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\norigin: http://x\r\nconnection: close\r\n");
    if is_hook {
        let (id, signature) = (uuid::Uuid::new_v4(), sign(SECRET, &body));
        request += &format!(
            "X-Gitea-Delivery: {id}\r\nX-Gitea-Signature: {signature}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
    }
    request += "\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    connection.write_all(&body).await.unwrap();
    let mut answer = Vec::new();
    // A connection may be reset behind an answer to a body that was not read.
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_writing_of_a_guarded_path_leads_past_its_guard() {
    let stage = Stage::new().await;
    let program = stage.start_with(|command| {
        command.env("GITEA_TRIAGE__DASHBOARD__TOKEN", "a-token-of-some-length");
    });
    for path in GUARDED {
        let others = writings(path);
        let methods = ["GET", "POST", "HEAD", "PUT"];
        let asked = others.iter().flat_map(|other| methods.map(|m| (m, other)));
        // A connection whose body was not read stays for a second; so they are asked at once.
        let answers =
            asked.map(async |(method, other)| (method, other, ask(&program, method, other).await));
        for (method, other, answer) in futures_util::future::join_all(answers).await {
            let status = answer.split(' ').nth(1).unwrap_or_default();
            let is_refused = status.starts_with('4') || answer.contains("/sign-in?");
            assert!(is_refused, "{method} {other}: {answer}");
            assert!(!answer.contains("gitea_triage_"), "{method} {other} shows the figures");
        }
    }
    assert_eq!(stage.count("SELECT count(*) FROM delivery"), 0, "nothing came in by another way");
    assert!(ask(&program, "GET", "/metrics").await.contains("gitea_triage_build_info"));
}
