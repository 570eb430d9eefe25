//! Text that wants to be more than text.

use gitea_triage::fake_gitea::NewIssue;

use crate::browsing::{Browser, world};
use crate::service::repo;

const SCRIPT: &str = "<script>document.title='owned'</script>";

fn hostile() -> NewIssue {
    NewIssue {
        title: format!("[bug] {SCRIPT} \u{202e}gnp.exe\u{200b} \"onload='x' javascript:alert(1)"),
        body: format!(
            "## Problem\n</div></main>{SCRIPT}<img src=x onerror=alert(1)>\n`login()` in src/a.py must return \
             \u{202e}\n```\n</code></pre><svg onload=alert(1)>\n- [ ] pytest passes\nBlocked by {SCRIPT}"
        ),
        author: "alice".into(),
        labels: vec![format!("{SCRIPT}\"><b>")],
        ..NewIssue::default()
    }
}

/// Every tag of a page that our own templates do not write.
fn foreign_tags(text: &str) -> Vec<&str> {
    let tags = text.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default());
    tags.filter(|tag| {
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap_or_default();
        matches!(name, "img" | "iframe" | "object" | "embed" | "base" | "style")
            || name == "script" && !tag.contains("src=\"/assets/live.js") && *tag != "/script"
            || tag.contains(" on")
            || tag.contains("style=")
            || tag.to_lowercase().contains("javascript:")
    })
    .collect()
}

#[tokio::test]
async fn hostile_text_stays_text_on_every_page() {
    let world = world().await;
    world.gitea.open_issue(&repo("acme/widgets"), hostile());
    world.settle(10).await;
    let body = format!("{{\"action\": \"{}\"}}", SCRIPT.replace('\'', "\\u0027"));
    let sign = |body: &str| {
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"a-secret-of-the-tests").unwrap();
        mac.update(body.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    };
    let id = "%3Cscript%3E'\"<b>/../..";
    let signature = sign(&body);
    let headers = [
        ("x-gitea-signature", signature.as_str()),
        ("x-gitea-delivery", id),
        ("x-gitea-event", SCRIPT),
        ("content-type", "application/json"),
    ];
    assert_eq!(world.post(&headers, body.into_bytes()).await, 202);
    world.settle(10).await;
    let mut admin = Browser::of_admin(&world).await;
    let delivery = world.gitea.deliveries()[0].uuid.clone();
    let encoded: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    for path in [
        "/".to_owned(),
        "/deliveries".to_owned(),
        format!("/deliveries/{delivery}"),
        format!("/deliveries/{encoded}"),
        "/issues".to_owned(),
        "/issues/acme/widgets/1".to_owned(),
        "/decisions/1".to_owned(),
        "/agents".to_owned(),
        "/days".to_owned(),
        "/search?q=%3Cscript%3E%22%3E%3Cimg+src%3Dx%3E".to_owned(),
        "/deliveries?q=%22%3E%3Cscript%3E&state=%22%3E&repo=%22%3E%3Cscript%3E".to_owned(),
        "/issues?q=%22%3E%3Cscript%3E&show=%22%3E".to_owned(),
        "/sign-in?next=%22%3E%3Cscript%3E".to_owned(),
    ] {
        let page = admin.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(foreign_tags(&page.text), Vec::<&str>::new(), "{path}");
        page.has_not("\u{202e}").has_not("\u{200b}");
    }
    let page = admin.get("/issues/acme/widgets/1").await;
    page.has("&lt;script&gt;document.title=&#39;owned&#39;&lt;/script&gt;");
}

#[tokio::test]
async fn every_answer_forbids_what_the_pages_do_not_need() {
    let world = world().await;
    let mut browser = Browser::of_admin(&world).await;
    for path in ["/", "/sign-in", "/nothing", "/assets/style.css", "/assets/live.js", "/deliveries"]
    {
        let page = browser.get(path).await;
        let policy = page.headers["content-security-policy"].to_str().unwrap().to_owned();
        for wanted in
            ["default-src 'none'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(wanted), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
        assert_eq!(page.headers["x-frame-options"], "DENY");
        assert_eq!(page.headers["referrer-policy"], "same-origin");
        let may_be_kept = page.headers["cache-control"] != "no-store";
        assert_eq!(may_be_kept, path.starts_with("/assets/"), "{path}");
    }
    for method in ["PUT", "DELETE", "PATCH"] {
        let method = method.parse().unwrap();
        let url = format!("http://{}/deliveries", world.service.address());
        let answer = reqwest::Client::new().request(method, url).send().await.unwrap();
        assert_eq!(answer.status(), 405);
    }
}
