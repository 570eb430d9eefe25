//! What `demo` shows to somebody who looks around in it, without a browser.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Response, StatusCode};

use crate::demo_program::Visit;

const PATIENCE: Duration = Duration::from_secs(20);

/// A client that follows nothing by itself, with the cookie of somebody who came by the link.
struct Visitor {
    http: Client,
    cookie: String,
}

impl Visitor {
    async fn by_link(visit: &Visit) -> Self {
        let policy = reqwest::redirect::Policy::none();
        // Fails when another test has chosen one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().redirect(policy).build().unwrap();
        let entered = http.get(&visit.entrance).send().await.unwrap();
        assert_eq!(entered.status(), StatusCode::SEE_OTHER);
        assert_eq!(entered.headers()[LOCATION], "/");
        let cookie = entered.headers()[SET_COOKIE].to_str().unwrap();
        Self { cookie: cookie.split(';').next().unwrap().to_owned(), http }
    }

    async fn get(&self, url: &str) -> Response {
        self.http.get(url).header(COOKIE, &self.cookie).send().await.unwrap()
    }

    async fn text(&self, url: &str) -> String {
        let answer = self.get(url).await;
        assert_eq!(answer.status(), StatusCode::OK, "{url}");
        answer.text().await.unwrap()
    }

    async fn send(&self, url: &str, origin: Option<&str>, fields: &[(&str, &str)]) -> Response {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(url).body(body);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let request = match origin {
            Some(origin) => request.header(ORIGIN, origin),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// Loads a page until it shows this.
    async fn sees(&self, url: &str, text: &str) -> String {
        let began = Instant::now();
        loop {
            let page = self.text(url).await;
            if page.contains(text) {
                return page;
            }
            assert!(began.elapsed() < PATIENCE, "`{text}` is not on {url}:\n{page}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The addresses behind `href`, as they are meant on a page of `root`.
fn links(page: &str, root: &str) -> Vec<String> {
    let addresses = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let whole = |address: &str| {
        let address = address.replace("&amp;", "&");
        let address = address.split('#').next().unwrap();
        if address.starts_with('/') { format!("{root}{address}") } else { address.to_owned() }
    };
    addresses.map(whole).filter(|address| !address.is_empty()).collect()
}

#[tokio::test]
async fn one_issue_is_in_each_state_and_no_link_is_dead() {
    for (more, repo) in [(&[][..], "acme"), (&["--forgejo"][..], "harbor")] {
        let mut visit = Visit::start(more);
        let visitor = Visitor::by_link(&visit).await;
        visit.wait();
        let overview = visitor.text(&format!("{}/", visit.dashboard)).await;
        let states =
            ["escalated", "chip-flag", "chip-in_progress", "chip-assigned", "chip-wait", "403"];
        for state in states {
            assert!(overview.contains(state), "{state} is not on the overview:\n{overview}");
        }
        let all = visitor.text(&format!("{}/issues?repo={repo}/workshop", visit.dashboard)).await;
        assert!(all.contains("likely a duplicate of"), "{all}");
        let issues = visitor.text(&format!("{}/{repo}/workshop/issues", visit.forge)).await;
        assert!(issues.contains("needs-info") && issues.contains("claude-ready"), "{issues}");
        let runners = visitor.text(&format!("{}/runners", visit.dashboard)).await;
        assert!(runners.contains("workbench") && runners.contains("chip-alive"), "{runners}");
        let pages = crawl(&visit, &visitor).await;
        println!("{repo}: {pages} pages");
        assert!(pages > 100, "{pages}");
    }
}

/// Follows every link of every page; gives how many pages there are.
async fn crawl(visit: &Visit, visitor: &Visitor) -> usize {
    let mut queue = vec![format!("{}/", visit.dashboard), format!("{}/", visit.forge)];
    let mut known: BTreeSet<String> = queue.iter().cloned().collect();
    while let Some(address) = queue.pop() {
        let of = [&visit.dashboard, &visit.forge].into_iter().find(|one| address.starts_with(*one));
        let root = of.unwrap_or_else(|| panic!("{address} is elsewhere"));
        if address == visit.entrance {
            continue;
        }
        let answer = visitor.get(&address).await;
        assert!(answer.status().is_success(), "{address}: {}", answer.status());
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let page = answer.text().await.unwrap();
        if !kind.starts_with("text/html") {
            continue;
        }
        for old in ["20785 d", "20786 d", "01-01T00:00"] {
            assert!(!page.contains(old) || address.contains("/deliveries/"), "{address}: {old}");
        }
        let new = links(&page, root).into_iter().filter(|link| known.insert(link.clone()));
        queue.extend(new);
        assert!(known.len() < 2_000, "the pages do not end");
    }
    known.len()
}

#[tokio::test]
async fn the_forge_shows_pages_beside_its_api_and_takes_an_issue_by_a_form() {
    let visit = Visit::start(&[]);
    let visitor = Visitor::by_link(&visit).await;
    let at = |path: &str| format!("{}{path}", visit.forge);
    for (path, status, says) in [
        ("/api/v1/version", 200, "{\"version\":\"1.25.4\"}"),
        ("/api/v1/nothing", 401, "token is required"),
        ("/nothing", 404, "404 page not found\n"),
        ("/acme/nothing/issues", 404, "There is no such repository."),
        ("/acme/workshop/issues/4711", 404, "There is no such issue."),
        ("/acme/widgets/issues/new", 422, "takes new issues after that"),
        ("/assets/../Cargo.toml", 404, ""),
    ] {
        let answer = visitor.get(&at(path)).await;
        let (found, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert!(found == status && text.contains(says), "{path}: {found} {text}");
    }
    let fields = [
        ("title", "<script>alert(1)</script> Login crashes"),
        (
            "body",
            "`login()` in `src/login.py` <img src=x onerror=y> [x](javascript:y) should answer 400.\n\n- [ ] a test",
        ),
        ("by", "alice"),
    ];
    for origin in [None, Some("http://evil.example"), Some("null")] {
        let answer = visitor.send(&visit.new_issue, origin, &fields).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin:?}");
    }
    let opened = visitor.send(&visit.new_issue, Some(&visit.forge), &fields).await;
    assert_eq!(opened.status(), StatusCode::SEE_OTHER);
    let issue = at(opened.headers()[LOCATION].to_str().unwrap());
    let page = visitor.sees(&issue, "<strong>Triage: dispatched to <code>claude</code>").await;
    assert!(page.contains("&#60;script&#62;alert(1)") || page.contains("&lt;script&gt;alert(1)"));
    assert!(
        page.contains("&lt;img src=x onerror=y&gt;") && !page.contains("javascript:"),
        "{page}"
    );
    visitor.sees(&issue, "added the label <span class=\"chip\">claude-ready</span>").await;
    assert!(!page.contains("<script>alert") && !page.contains("<!-- "), "{page}");
    let untitled = visitor.send(&visit.new_issue, Some(&visit.forge), &[("title", " ")]).await;
    assert_eq!(untitled.status(), StatusCode::UNPROCESSABLE_ENTITY);
    // A visitor's issue waits for somebody who may write.
    let fields = [("title", "Logout crashes, too"), fields[1], ("by", "vera")];
    let opened = visitor.send(&visit.new_issue, Some(&visit.forge), &fields).await;
    let issue = at(opened.headers()[LOCATION].to_str().unwrap());
    let comments = format!("{issue}/comments");
    let fields = [("body", "/triage approve"), ("by", "alice")];
    let answered = visitor.send(&comments, Some(&visit.forge), &fields).await;
    assert_eq!(answered.status(), StatusCode::SEE_OTHER);
    visitor.sees(&issue, "/triage approve").await;
}

#[tokio::test]
async fn the_link_signs_in_again_and_no_other_does() {
    let visit = Visit::start(&[]);
    let visitor = Visitor::by_link(&visit).await;
    let front = format!("{}/", visit.dashboard);
    assert!(visitor.text(&front).await.contains("Needs attention"));
    let again = Visitor::by_link(&visit).await;
    assert!(again.text(&front).await.contains("Needs attention"));
    let mut wrong = visit.entrance.clone();
    let last = wrong.pop().unwrap();
    wrong.push(if last == '0' { '1' } else { '0' });
    for wrong in [wrong, format!("{}/sign-in/link/", visit.dashboard)] {
        assert_eq!(visitor.http.get(&wrong).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
    let stranger = visitor.http.get(&front).send().await.unwrap();
    assert_eq!(stranger.headers()[LOCATION], "/sign-in?next=%2F");
}
