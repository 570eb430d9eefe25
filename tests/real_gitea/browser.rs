//! What a browser does on pages of Gitea and of the dashboard: it keeps cookies, sends forms, and follows nothing by
//! itself. It shows nothing and runs no script.

use std::collections::BTreeMap;

use reqwest::{Client, RequestBuilder, Response};
use url::{Url, form_urlencoded};

use crate::person::client;
use crate::real::PASSWORD;

/// The cookie whose value Gitea up to 1.25 wants back with every form.
const CSRF: &str = "_csrf";

pub struct Browser {
    http: Client,
    /// By origin: cookies do not know ports, but here the sites differ by nothing else.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

impl Browser {
    /// Signs in to the Gitea at `gitea`.
    pub async fn signed_in(login: &str, gitea: &str) -> Self {
        let mut browser = Self { http: client(), cookies: BTreeMap::new() };
        let credentials = [("user_name", login), ("password", PASSWORD)];
        browser.post(&format!("{gitea}/user/login"), credentials).await;
        browser
    }

    /// Somebody who is signed in nowhere.
    pub fn nobody() -> Self {
        Self { http: client(), cookies: BTreeMap::new() }
    }

    /// Another one with the same cookies, as somebody has it who took a copy.
    pub fn copy(&self) -> Self {
        Self { http: client(), cookies: self.cookies.clone() }
    }

    /// Sends a form of a page at `origin`.
    pub async fn submit<const N: usize>(
        &mut self,
        url: &str,
        form: [(&str, &str); N],
        origin: &str,
    ) -> Response {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(url).body(body).header("Origin", origin);
        self.send(request.header("Content-Type", "application/x-www-form-urlencoded"), url).await
    }

    pub async fn page(&mut self, url: &str) -> String {
        let answer = self.get(url).await;
        assert_eq!(answer.status(), 200, "{url}");
        answer.text().await.unwrap()
    }

    pub async fn get(&mut self, url: &str) -> Response {
        self.send(self.http.get(url), url).await
    }

    pub async fn post<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        url: &str,
        form: impl IntoIterator<Item = (K, V)>,
    ) -> Response {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(url).body(body);
        self.send(request.header("Content-Type", "application/x-www-form-urlencoded"), url).await
    }

    async fn send(&mut self, request: RequestBuilder, url: &str) -> Response {
        let origin = Url::parse(url).unwrap().origin().ascii_serialization();
        let jar = self.cookies.entry(origin).or_default();
        let pairs: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let token = jar.get(CSRF).map(String::as_str).unwrap_or_default();
        let request = request.header("Cookie", pairs.join("; ")).header("X-Csrf-Token", token);
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            jar.insert(name.to_owned(), value.to_owned());
        }
        answer
    }
}
