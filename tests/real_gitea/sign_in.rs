//! People sign in to the dashboard with their accounts of a real Gitea: the way a browser goes, form by form. The tests
//! of the dashboard go it on the fake, which answers as this one does.

use std::collections::BTreeMap;

use reqwest::{Client, Response};
use serde_json::json;
use url::Url;

use crate::forge::{ADMIN, Forge, Which};
use crate::person::client;
use crate::process::free_port;
use crate::real::PASSWORD;
use crate::triage::Triage;

pub async fn play() {
    let gitea = Forge::start(Which::Real).await;
    let port = free_port();
    let service = format!("http://127.0.0.1:{port}");
    let application = json!({
        "name": "triage",
        "redirect_uris": [format!("{service}/sign-in/callback")],
        "confidential_client": true,
    });
    let made = gitea.person(ADMIN).post("/user/applications/oauth2", application).await;
    let dashboard = format!(
        "[dashboard]\nclient_id = {}\nclient_secret = {}\n",
        made["client_id"], made["client_secret"]
    );
    let triage = Triage::start_on(port, &gitea, &dashboard).await;

    let mut owner = Browser::of("alice", &gitea, &service).await;
    assert_eq!(owner.came_to, format!("{service}/issues"));
    let page = owner.page(&format!("{service}/issues")).await;
    assert!(page.contains("<bdi>alice</bdi>") && page.contains("title=\"may act\""), "{page}");

    let mut writer = Browser::of("claude", &gitea, &service).await;
    let page = writer.page(&format!("{service}/deliveries")).await;
    assert!(page.contains("title=\"may look\""), "{page}");

    let mut reader = Browser::of("bob", &gitea, &service).await;
    assert_eq!(reader.came_to, format!("{service}/sign-in"));
    let page = reader.page(&format!("{service}/sign-in")).await;
    assert!(page.contains("`bob` may not see this"), "{page}");
    let refused = reader.get(&format!("{service}/deliveries")).await;
    assert_eq!(refused.status(), 303);

    let complaints = triage.complaints();
    assert!(complaints.iter().all(|line| line.contains("bob")), "{complaints:#?}");
}

/// Keeps the cookies of both sites, and follows nothing by itself.
struct Browser {
    http: Client,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// Where the sign-in ended.
    came_to: String,
}

impl Browser {
    /// Goes from the dashboard to Gitea, signs in there, agrees, and comes back.
    async fn of(login: &str, gitea: &Forge, service: &str) -> Self {
        let mut browser = Self { http: client(), cookies: BTreeMap::new(), came_to: String::new() };
        let credentials = [("user_name", login), ("password", PASSWORD)].map(owned);
        browser.post(&format!("{}/user/login", gitea.url()), credentials.into()).await;
        let start = format!("{service}/sign-in/gitea?next=%2Fissues");
        let authorize = location(&browser.get(&start).await);
        assert!(authorize.starts_with(&gitea.url()), "{authorize}");
        let page = browser.page(&authorize).await;
        let mut form = hidden_fields(&page);
        assert!(form.iter().any(|(name, _)| name == "client_id"), "{page}");
        form.push(owned(("granted", "true")));
        let grant = format!("{}/login/oauth/grant", gitea.url());
        let back = location(&browser.post(&grant, form).await);
        assert!(back.starts_with(&format!("{service}/sign-in/callback?")), "{back}");
        browser.came_to = location(&browser.get(&back).await);
        browser
    }

    async fn page(&mut self, url: &str) -> String {
        let answer = self.get(url).await;
        assert_eq!(answer.status(), 200, "{url}");
        answer.text().await.unwrap()
    }

    async fn get(&mut self, url: &str) -> Response {
        let request = self.http.get(url).header("Cookie", self.jar(url));
        let answer = request.send().await.unwrap();
        self.keep(&answer);
        answer
    }

    async fn post(&mut self, url: &str, form: Vec<(String, String)>) -> Response {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(url).header("Cookie", self.jar(url)).body(body);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = request.send().await.unwrap();
        self.keep(&answer);
        answer
    }

    fn jar(&self, url: &str) -> String {
        let theirs = self.cookies.get(&origin(url));
        let pairs = theirs.into_iter().flatten().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &Response) {
        let jar = self.cookies.entry(origin(answer.url().as_str())).or_default();
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            jar.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// Cookies do not know ports, but here the two sites differ by nothing else.
fn origin(url: &str) -> String {
    Url::parse(url).unwrap().origin().ascii_serialization()
}

fn location(answer: &Response) -> String {
    assert_eq!(answer.status(), 303, "{}", answer.url());
    let to = answer.headers()["location"].to_str().unwrap();
    answer.url().join(to).unwrap().to_string()
}

fn hidden_fields(page: &str) -> Vec<(String, String)> {
    let inputs = page.split("<input type=\"hidden\"").skip(1).map(|i| i.split('>').next().unwrap());
    let value = |input: &str, name: &str| {
        let value = input.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
        Some(value.replace("&amp;", "&"))
    };
    let pairs = inputs.map(|input| Some((value(input, "name")?, value(input, "value")?)));
    pairs.flatten().collect()
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
