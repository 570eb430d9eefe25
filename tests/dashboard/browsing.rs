//! A browser without a window: keeps its cookie, says where its forms come from, and follows nothing by itself.

use gitea_triage::fake_gitea::FakeGitea;

use crate::service::World;

pub const TOKEN: &str = "the-dashboards-token";

/// A world that people sign in to with the token.
pub async fn world() -> World {
    World::with(&format!("[dashboard]\ntoken = '{TOKEN}'\n")).await
}

/// A world that people sign in to with their accounts: alice acts, bob writes, eve reads.
pub async fn world_of_accounts() -> World {
    world_of_accounts_with("").await
}

/// The same, with more lines in the section of the dashboard.
pub async fn world_of_accounts_with(more: &str) -> World {
    let secret = client_secret();
    let world = World::with(&format!(
        "[triage]\nowner = 'alice'\n[dashboard]\nclient_id = '{CLIENT_ID}'\nclient_secret = '{secret}'\n{more}"
    ))
    .await;
    add_accounts(&world);
    world
}

/// The secret of the application. It is made when the service runs, so its id is known before: the fake counts.
pub fn client_secret() -> String {
    format!("gto_{}", hex::encode(<sha2::Sha256 as sha2::Digest>::digest(CLIENT_ID)))
}

/// Makes the application and the accounts of its world.
pub fn add_accounts(world: &World) {
    let (id, made) = world.gitea.add_oauth_application("http://127.0.0.1:0/sign-in/callback");
    assert_eq!((id.as_str(), made), (CLIENT_ID, client_secret()));
    let repo = crate::service::repo("acme/widgets");
    for (login, access) in [("alice", "write"), ("bob", "write"), ("eve", "read")] {
        world.gitea.add_collaborator(&repo, login, access);
    }
}

pub const CLIENT_ID: &str = "00000000-0000-4000-8000-000000000001";

pub struct Browser {
    http: reqwest::Client,
    pub root: String,
    pub cookie: Option<String>,
    pub origin: Option<String>,
    csrf: String,
}

pub struct Page {
    pub status: u16,
    pub text: String,
    pub location: Option<String>,
    pub headers: reqwest::header::HeaderMap,
}

impl Page {
    pub fn csrf(&self) -> String {
        value(&self.text, "name=\"csrf\" value=\"").unwrap_or_default()
    }

    #[track_caller]
    pub fn has(&self, wanted: &str) -> &Self {
        assert!(self.text.contains(wanted), "`{wanted}` is not in\n{}", self.text);
        self
    }

    #[track_caller]
    pub fn has_not(&self, unwanted: &str) -> &Self {
        assert!(!self.text.contains(unwanted), "`{unwanted}` is in\n{}", self.text);
        self
    }

    #[track_caller]
    pub fn goes_to(&self, place: &str) {
        assert_eq!((self.status, self.location.as_deref()), (303, Some(place)), "{}", self.text);
    }
}

fn value(text: &str, before: &str) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once('"')?.0.to_owned())
}

impl Browser {
    pub fn at(world: &World) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let root = format!("http://{}", world.service.address());
        let origin = Some(root.clone());
        Self { http: http.build().unwrap(), root, cookie: None, origin, csrf: String::new() }
    }

    /// One that has signed in with the token.
    pub async fn of_admin(world: &World) -> Self {
        let mut browser = Self::at(world);
        browser.get("/sign-in").await;
        browser.post("/sign-in/token", &[("token", TOKEN)]).await.goes_to("/");
        browser.get("/").await;
        browser
    }

    /// One that has signed in with an account; the page that came of it.
    pub async fn of(world: &World, login: &str) -> (Self, Page) {
        let mut browser = Self::at(world);
        let start = browser.get("/sign-in/gitea?next=%2Fissues").await;
        let back = agree(&world.gitea, &start.location.unwrap(), login).await;
        let page = browser.get(&back).await;
        (browser, page)
    }

    pub async fn get(&mut self, path: &str) -> Page {
        let request = self.http.get(format!("{}{path}", self.root));
        self.send(request).await
    }

    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.csrf.clone();
        self.post_with(path, &[fields, &[("csrf", &csrf)]].concat()).await
    }

    /// Posts these fields and no others.
    pub async fn post_with(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = self.http.post(format!("{}{path}", self.root)).body(body);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(origin) = &self.origin {
            request = request.header("origin", origin);
        }
        self.send(request).await
    }

    async fn send(&mut self, mut request: reqwest::RequestBuilder) -> Page {
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let answer = request.send().await.unwrap();
        let headers = answer.headers().clone();
        for line in headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let pair = line.split(';').next().unwrap().to_owned();
            self.cookie = (!line.contains("Max-Age=0")).then_some(pair);
        }
        let location = headers.get("location").map(|v| v.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let page = Page { status, text, location, headers };
        if !page.csrf().is_empty() {
            self.csrf = page.csrf();
        }
        page
    }
}

/// Says on the forge's page who it is; the path it sends the browser back to.
pub async fn agree(gitea: &FakeGitea, authorize: &str, login: &str) -> String {
    assert!(authorize.starts_with(&gitea.url()), "{authorize}");
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let page = http.get(authorize).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let url = url::Url::parse(authorize).unwrap();
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(url.query_pairs()).append_pair("login", login);
    let answer = http
        .post(format!("{}/login/oauth/grant", gitea.url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.finish());
    let answer = answer.send().await.unwrap();
    let back = answer.headers()["location"].to_str().unwrap().to_owned();
    let back = url::Url::parse(&back).unwrap();
    format!("{}?{}", back.path(), back.query().unwrap())
}
