//! Ways that must lead nowhere.

use std::io::{Read, Write};
use std::net::TcpListener;

use gitea_triage::fake_gitea::NewIssue;

use crate::stage::{Front, TOKEN};

/// A site of somebody else on this machine, which browsers take for the same site as ours: they send our cookie along,
/// and only the origin of its forms tells it apart.
fn other_site(page: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{page}", page.len());
        }
    });
    format!("http://{address}/")
}

pub async fn another_sites_page_can_send_no_form(front: &Front) {
    let browser = &front.browser;
    front.failed_delivery(1).await;
    front.sign_in_with_token("/").await;
    let form = browser.run("return document.querySelector('#dead form').action").await;
    let csrf = browser.run("return document.querySelector('#dead [name=csrf]').value").await;
    // It even knows the token of the session, which it cannot.
    let evil = other_site(format!(
        "<form method=post action={form}><input name=csrf value={csrf}><button>Win a prize</button></form>"
    ));
    browser.goto(&evil).await;
    browser.follow("button").await;
    browser.sees("came from another site").await;
    let data = format!(
        "data:text/html,<form method=post action={form}><input name=csrf value={csrf}><button>x</button></form>"
    );
    browser.goto(&data).await;
    browser.follow("button").await;
    browser.sees("came from another site").await;
    assert_eq!(front.stage.count("SELECT count(*) FROM delivery WHERE state = 'dead'"), 1);
    // Nor can it show our page inside of its own.
    browser.goto(&other_site(format!("<h1>Frame</h1><iframe src={}/></iframe>", front.root))).await;
    browser.sees("Frame").await;
    let complaints = browser.complaints(&front.root).await;
    assert!(complaints.iter().any(|c| c.contains("frame-ancestors")), "{complaints:?}");
}

pub async fn a_form_without_its_token_does_nothing(front: &Front) {
    let browser = &front.browser;
    front.failed_delivery(1).await;
    front.sign_in_with_token("/").await;
    browser.sees("Failed deliveries").await;
    // In one breath: a page that keeps itself up to date would bring the token back.
    browser
        .run("const form = document.querySelector('#dead form'); form.querySelector('[name=csrf]').remove(); form.querySelector('button').click()")
        .await;
    browser.sees("does not belong to your session").await;
    assert_eq!(front.stage.count("SELECT count(*) FROM delivery WHERE state = 'dead'"), 1);
    let sent = browser.run(
        "return fetch('/deliveries/x/retry', { method: 'POST', body: new URLSearchParams() }).then((a) => a.status)",
    );
    assert_eq!(sent.await, 403);
}

pub async fn a_path_leads_to_no_file(front: &Front) {
    front.sign_in_with_token("/").await;
    for path in [
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e%2fCargo.toml",
    ] {
        front.goto(path).await;
        front.browser.sees("there is no").await;
        assert!(!front.browser.text().await.contains("root:"), "{path}");
    }
}

pub async fn a_redirect_to_elsewhere_leads_home(front: &Front) {
    let browser = &front.browser;
    let evil = other_site("<h1>Elsewhere</h1>".into());
    for next in [
        evil.clone(),
        evil.replace("http:", ""),
        evil.replace("http:/", "/\\"),
        "/%5cevil.example".into(),
    ] {
        let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        front.goto(&format!("/sign-in?next={next}")).await;
        browser.write("#token", TOKEN).await;
        browser.follow("//button[text()='Sign in with the token']").await;
        assert!(
            browser.url().await.starts_with(&format!("{}/", front.root)),
            "{}",
            browser.url().await
        );
        assert!(!browser.text().await.contains("Elsewhere"));
        front.goto("/").await;
        browser.follow("//button[text()='Sign out']").await;
        browser.sees("You are signed out").await;
    }
    // The same when signing in through the forge.
    let next: String = url::form_urlencoded::byte_serialize(evil.as_bytes()).collect();
    front.goto(&format!("/sign-in/gitea?next={next}")).await;
    browser.follow("//button[text()='alice']").await;
    assert_eq!(browser.url().await, format!("{}/", front.root));
}

pub async fn a_script_in_a_title_is_only_text(front: &Front) {
    let browser = &front.browser;
    let script =
        "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";
    let issue = NewIssue {
        title: format!("[bug] {script}"),
        body: format!(
            "</code></pre>{script}\n`login()` in src/a.py must return\n\n- [ ] pytest passes"
        ),
        author: "bob".into(),
        ..NewIssue::default()
    };
    front.stage.gitea.open_issue(&front.stage.repo, issue);
    front.stage.processed().await;
    let id = front.stage.gitea.deliveries()[0].uuid.clone();
    front.sign_in_with_token("/").await;
    for path in
        ["/", "/issues", "/issues/acme/widgets/1", "/decisions/1", &format!("/deliveries/{id}")]
    {
        front.goto(path).await;
        browser.sees("document.title='owned'").await;
        assert!(
            browser.title().await.contains("gitea-triage"),
            "{path}: {}",
            browser.title().await
        );
        assert!(!browser.has_element("main script, main img").await, "{path}");
    }
    assert_eq!(browser.complaints(&front.root).await, Vec::<String>::new());
}
