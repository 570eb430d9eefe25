//! One request to Gitea and its answer: the write gate, the limits, the errors, the pages. It knows no endpoint.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat};
use reqwest::header::{AsHeaderName, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use tracing::Span;
use tracing::field::Empty;

use super::error::{Call, Error, Reached};
use super::wire::{Limits, Refusal};
use super::{Client, stream};
use crate::clock::{Clock, Timestamp};
use crate::issue::{IssueRef, RepoName};

/// More pages than any list has; a server that never ends a list must not hold us forever.
const MAX_PAGES: u32 = 10_000;
/// The longest refusal that is read.
const REFUSAL: usize = 4_096;
/// The longest wait an answer may ask for; a proxy's slip must not put an issue off for a year.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How much longer than one that is kept an answer may be that is read as a stream: most of a large issue is dropped on
/// the way.
const STREAMED: usize = 4;
/// The same of a list that cannot be had in parts.
const UNDIVIDED: usize = 16;

/// A request about to be sent: what it is for people, and where it goes.
#[derive(Clone)]
pub(super) struct Request {
    call: Call,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<serde_json::Value>,
}

impl Request {
    pub fn new(method: Method, what: impl fmt::Display, path: Vec<String>) -> Self {
        Self { call: Call::new(method, what), path, query: Vec::new(), body: None }
    }

    pub fn get(what: impl fmt::Display, path: Vec<String>) -> Self {
        Self::new(Method::GET, what, path)
    }

    /// About what a repository has, named by the first segment: `acme/widgets labels`.
    pub fn of_repo(method: Method, repo: &RepoName, tail: &[&str]) -> Self {
        Self::new(method, format_args!("{repo} {}", tail[0]), repo_path(repo, tail))
    }

    /// About what an issue has: `acme/widgets#5 comments`.
    pub fn of_issue(method: Method, at: &IssueRef, tail: &[&str]) -> Self {
        Self::new(method, format_args!("{at} {}", tail[0]), issue_path(at, tail))
    }

    /// Only what changed at or after this moment.
    pub fn since(self, since: Option<Timestamp>) -> Self {
        self.maybe("since", since.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)))
    }

    pub fn query(self, key: &'static str, value: impl ToString) -> Self {
        self.maybe(key, Some(value))
    }

    /// A parameter, when there is a value for it.
    pub fn maybe(mut self, key: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (key, value.to_string())));
        self
    }

    /// Only this part of a list.
    fn page(self, PageOf { page, size }: PageOf) -> Self {
        self.query("page", page).query("limit", size)
    }

    pub fn json(mut self, body: serde_json::Value) -> Self {
        self.body = Some(body);
        self
    }
}

/// The path of something that belongs to no repository.
pub(super) fn path(segments: &[&str]) -> Vec<String> {
    segments.iter().map(|s| (*s).to_owned()).collect()
}

pub(super) fn repo_path(repo: &RepoName, tail: &[&str]) -> Vec<String> {
    [&["repos", repo.owner(), repo.name()], tail].concat().into_iter().map(str::to_owned).collect()
}

pub(super) fn issue_path(at: &IssueRef, tail: &[&str]) -> Vec<String> {
    let number = at.number.to_string();
    repo_path(&at.repo, &[&["issues", &number], tail].concat())
}

/// A success, read to its end.
pub(super) struct Answer {
    call: Call,
    /// When it was given, on Gitea's own clock.
    pub at: Option<Timestamp>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        // The error's own text may quote the answer, so only its place is kept.
        serde_json::from_slice(&self.body).map_err(|e| Error::Malformed {
            reason: format!("at line {}, column {}", e.line(), e.column()),
            call: self.call,
        })
    }

    /// The answer as `T`, made into one of our nouns.
    pub fn read<T, N>(self, convert: impl FnOnce(T) -> Result<N, String>) -> Result<N, Error>
    where
        T: DeserializeOwned,
    {
        let call = self.call.clone();
        convert(self.json()?).map_err(|reason| Error::Malformed { call, reason })
    }

    /// A list; Gitea writes some empty ones as `null`.
    pub fn list<T: DeserializeOwned>(self) -> Result<Vec<T>, Error> {
        Ok(self.json::<Option<Vec<T>>>()?.unwrap_or_default())
    }
}

/// The part of a list that was asked for.
pub(super) struct Part<N> {
    pub items: Vec<N>,
    /// `X-Total-Count`, which most lists carry.
    pub total: Option<u64>,
    /// When it was given, on Gitea's own clock.
    pub at: Option<Timestamp>,
    /// The places in the whole list, from 0 on, of items that are too large to be read.
    pub skipped: Vec<u64>,
}

/// Which part of a list is asked for. Pages count from 1.
#[derive(Clone, Copy)]
pub(super) struct PageOf {
    pub page: u32,
    pub size: u32,
}

impl Client {
    /// Sends a request and reads its answer. The one place where a dry run holds writes back.
    pub(super) async fn send(&self, request: Request) -> Result<Answer, Error> {
        let limit = self.link().settings.max_response;
        self.ask(request, |call, response| whole(call, response, limit)).await
    }

    /// Sends a request and lets `take` read its answer.
    async fn ask<A, F>(
        &self,
        request: Request,
        take: impl FnOnce(Call, Response) -> F,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<A, Error>>,
    {
        let Request { mut call, path, query, body } = request;
        call.forge = self.product();
        // Held for the whole request: the gate and the token are of the same settings.
        let link = self.link();
        if link.settings.dry_run && call.is_write() {
            tracing::debug!(%call, "held back by the dry run");
            return Err(Error::DryRun { call });
        }
        let mut http = link.http.request(call.method.clone(), link.api_url(&path, &query));
        if let Some(body) = &body {
            http = http.json(body);
        }
        let (method, started) = (method_name(&call.method), Instant::now());
        let result = match self.exchange(http, &call, &path).await {
            Ok(response) => take(call, response).await,
            Err(error) => Err(error),
        };
        let meters = &self.inner.calls;
        meters.time.add(started.elapsed());
        meters.outcomes.add([method, outcome(result.as_ref().err())]);
        result
    }

    /// Like [`Client::send`], where one of these statuses says that there is nothing.
    pub(super) async fn find(
        &self,
        request: Request,
        nothing: &[u16],
    ) -> Result<Option<Answer>, Error> {
        match self.send(request).await {
            Err(Error::Status { status, .. }) if nothing.contains(&status) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Reads what is wanted of a list that the forge gives whole, whatever is asked.
    pub(super) async fn undivided<T, N>(
        &self,
        request: Request,
        keep: impl FnMut(T) -> Result<Option<N>, String> + Send + 'static,
    ) -> Result<Vec<N>, Error>
    where
        T: DeserializeOwned + 'static,
        N: Send + 'static,
    {
        Ok(self.stream(request, UNDIVIDED, keep).await?.items)
    }

    /// The one object of an answer as `T`, made into one of our nouns.
    pub(super) async fn one<T, N>(
        &self,
        request: Request,
        convert: fn(T) -> Result<N, String>,
    ) -> Result<N, Error>
    where
        T: DeserializeOwned + 'static,
        N: Send + 'static,
    {
        let call = request.call.clone();
        let convert = move |item| convert(item).map(Some);
        let found = self.stream(request, STREAMED, convert).await?.items.pop();
        found.ok_or_else(|| Error::Malformed { call, reason: "it is empty".into() })
    }

    /// Like [`Client::one`], where one of these statuses says that there is nothing.
    pub(super) async fn find_one<T, N>(
        &self,
        request: Request,
        convert: fn(T) -> Result<N, String>,
        nothing: &[u16],
    ) -> Result<Option<N>, Error>
    where
        T: DeserializeOwned + 'static,
        N: Send + 'static,
    {
        match self.one(request, convert).await {
            Err(Error::Status { status, .. }) if nothing.contains(&status) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Sends a request and reads its answer item by item, up to `times` the length of an answer that is kept.
    async fn stream<T, N>(
        &self,
        request: Request,
        times: usize,
        keep: impl FnMut(T) -> Result<Option<N>, String> + Send + 'static,
    ) -> Result<Part<N>, Error>
    where
        T: DeserializeOwned + 'static,
        N: Send + 'static,
    {
        let limit = self.link().settings.max_response.saturating_mul(times);
        let read = |call: Call, response: Response| async move {
            let (total, at) = (total(&response), header(response.headers(), DATE).and_then(date));
            let items = stream::items(&call, response, limit, keep).await?;
            Ok(Part { items, total, at, skipped: Vec::new() })
        };
        self.ask(request, read).await
    }

    /// One page of a list. One that is too large is asked for in parts, down to single items; what is too large by itself
    /// is skipped, and its place is said.
    pub(super) async fn page<T, N>(
        &self,
        request: &Request,
        of: PageOf,
        keep: impl Fn(T) -> Result<Option<N>, String> + Clone + Send + 'static,
    ) -> Result<Part<N>, Error>
    where
        T: DeserializeOwned + 'static,
        N: Send + 'static,
    {
        match self.stream(request.clone().page(of), STREAMED, keep.clone()).await {
            Err(Error::TooLarge { .. }) => self.in_parts(request, of, keep).await,
            part => part,
        }
    }

    /// The parts of a page, as large as they can be. Pages are the only way to name a part, so that its size divides its
    /// place.
    async fn in_parts<T, N>(
        &self,
        request: &Request,
        of: PageOf,
        keep: impl Fn(T) -> Result<Option<N>, String> + Clone + Send + 'static,
    ) -> Result<Part<N>, Error>
    where
        T: DeserializeOwned + 'static,
        N: Send + 'static,
    {
        let size = of.size.min(self.most_items().await?).max(1);
        let start = (of.page - 1) * size;
        let (mut place, mut most) = (start, (size / 2).max(1));
        let mut page = Part { items: Vec::new(), total: None, at: None, skipped: Vec::new() };
        while place < start + size {
            let size = part_size(place, most.min(start + size - place));
            let part = PageOf { page: place / size + 1, size };
            match self.stream(request.clone().page(part), STREAMED, keep.clone()).await {
                Ok(found) => {
                    page.items.extend(found.items);
                    (page.total, page.at) = (found.total, page.at.or(found.at));
                    (place, most) = (place + size, most * 2);
                }
                Err(Error::TooLarge { call, limit }) if size == 1 => {
                    tracing::warn!(%call, limit, place, "an item of the list is too large; it is skipped");
                    page.skipped.push(u64::from(place));
                    place += 1;
                }
                Err(Error::TooLarge { .. }) => most = size / 2,
                Err(error) => return Err(error),
            }
        }
        Ok(page)
    }

    /// How many items the forge gives at most, whatever is asked.
    async fn most_items(&self) -> Result<u32, Error> {
        let request = Request::get("settings", path(&["settings", "api"]));
        let limits: Option<Limits> = match self.find(request, &[403, 404]).await? {
            Some(answer) => Some(answer.json()?),
            None => None,
        };
        Ok(limits.map(|limits| limits.max_response_items).filter(|n| *n > 0).unwrap_or(u32::MAX))
    }

    #[tracing::instrument(level = "debug", name = "call_forge", skip_all, fields(otel.kind = "client", http.request.method = %call.method, http.response.status_code = Empty, otel.status_code = Empty))]
    async fn exchange(
        &self,
        http: reqwest::RequestBuilder,
        call: &Call,
        path: &[String],
    ) -> Result<Response, Error> {
        let started = Instant::now();
        let result = http.send().await;
        log(call, path, result.as_ref(), started);
        success(call, result.map_err(|e| Error::unreachable(call, &e))?).await
    }

    pub(super) fn page_size(&self) -> u32 {
        self.link().settings.page_size
    }

    /// Every item of a list, each known by its `id`. Pages are counted rather than followed: the links in Gitea's answers are made from
    /// `ROOT_URL`, which may not be reachable from here, and without `page` some versions give a part only.
    pub(super) async fn all<T: DeserializeOwned + Send + 'static, K: Hash + Eq>(
        &self,
        what: impl fmt::Display,
        path: Vec<String>,
        id: fn(&T) -> K,
    ) -> Result<Vec<T>, Error> {
        let (mut items, mut seen) = (Vec::new(), HashSet::new());
        let (request, size) = (Request::get(what, path), self.page_size());
        for page in 1..=MAX_PAGES {
            let part = self.page(&request, PageOf { page, size }, |item: T| Ok(Some(item))).await?;
            let (received, before) = (part.items.len() + part.skipped.len(), items.len());
            items.extend(part.items.into_iter().filter(|item| seen.insert(id(item))));
            let asked = u64::from(page) * u64::from(size);
            // A server may give fewer than asked for, and may leave out what we cannot see, so a short page is not
            // the last one. A page that brings nothing new comes from a server that does not page this list.
            let done = match part.total {
                Some(total) if items.len() as u64 >= total => true,
                Some(total) => received == 0 && asked >= total,
                None => received == 0,
            };
            if done || (received > 0 && items.len() == before && part.skipped.is_empty()) {
                break;
            }
        }
        Ok(items)
    }
}

/// The largest part of at most `most` items that begins at this place.
fn part_size(place: u32, most: u32) -> u32 {
    let most = 1 << most.max(1).ilog2();
    if place == 0 { most } else { most.min(1 << place.trailing_zeros()) }
}

/// The answer, read to its end.
async fn whole(call: Call, response: Response, limit: usize) -> Result<Answer, Error> {
    let at = header(response.headers(), DATE).and_then(date);
    match read(response, limit).await {
        Ok(Some(body)) => Ok(Answer { call, at, body }),
        Ok(None) => Err(Error::TooLarge { call, limit }),
        Err(error) => Err(Error::unreachable(&call, &error)),
    }
}

fn total(response: &Response) -> Option<u64> {
    header(response.headers(), "x-total-count").and_then(|n| n.parse().ok())
}

fn log(call: &Call, path: &[String], result: Result<&Response, &reqwest::Error>, started: Instant) {
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = result.ok().map(|response| response.status().as_u16());
    let span = Span::current();
    span.record("http.response.status_code", status);
    if status.is_none_or(|status| status >= 400) {
        span.record("otel.status_code", "error");
    }
    tracing::debug!(method = %call.method, path = path.join("/"), status, ms, "asked the forge");
}

/// The method as the metrics name it.
fn method_name(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PATCH", "PUT", "DELETE"];
    known.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

/// How a request ended, as the metrics name it.
fn outcome(error: Option<&Error>) -> &'static str {
    match error {
        None => "2xx",
        Some(Error::Unreachable { reached: Reached::Nothing, .. }) => "no_connection",
        Some(Error::Unreachable { .. }) => "no_answer",
        Some(Error::Status { status: 429, .. }) => "429",
        Some(Error::Status { status: 500.., .. }) => "5xx",
        Some(Error::Status { .. } | Error::Blocked { .. }) => "4xx",
        Some(Error::Moved { .. } | Error::Renamed { .. }) => "3xx",
        Some(_) => "unusable",
    }
}

async fn success(call: &Call, response: Response) -> Result<Response, Error> {
    let (call, status, headers) = (call.clone(), response.status(), response.headers());
    if status.is_success() {
        Ok(response)
    } else if status.is_redirection() {
        Err(match new_login(headers) {
            Some(to) => Error::Renamed { call, to },
            None => Error::Moved { call, to: new_name(headers) },
        })
    } else {
        let retry_after = retry_after(headers);
        if status == StatusCode::FORBIDDEN && call.is_write() && is_block(response).await {
            return Err(Error::Blocked { call });
        }
        Err(Error::Status { call, status: status.as_u16(), retry_after })
    }
}

/// Whether a refusal is for a block of our account. Only its text says so, the same on both forges and in no other
/// language (models/user/block.go).
async fn is_block(response: Response) -> bool {
    let said = read(response, REFUSAL).await.ok().flatten();
    let said = said.and_then(|body| serde_json::from_slice::<Refusal>(&body).ok());
    said.is_some_and(|refusal| refusal.message.starts_with("user is blocked"))
}

/// The body of an answer; `None` when it is longer than the limit.
pub(super) async fn read(
    mut response: Response,
    limit: usize,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Ok(None);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn header(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn date(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc2822(text).ok().map(|t| t.to_utc())
}

/// Seconds or a date. A date is measured against the answer's own, so that our clocks need not agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = header(headers, RETRY_AFTER)?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds).min(MAX_WAIT));
    }
    let now = header(headers, DATE).and_then(date).unwrap_or_else(|| Clock::System.now());
    Some((date(text)? - now).to_std().unwrap_or_default().min(MAX_WAIT))
}

/// The account a redirect points to: `/api/v1/users/carol`.
fn new_login(headers: &HeaderMap) -> Option<String> {
    let location = header(headers, LOCATION)?;
    let places = ["/api/v1/users/", "/api/v1/orgs/"];
    let (_, tail) = places.iter().find_map(|place| location.split_once(place))?;
    let login = tail.split(['/', '?']).next().filter(|login| !login.is_empty())?;
    Some(login.to_owned())
}

/// The repository a redirect points to: `/api/v1/repos/acme/gadgets/issues/5`.
fn new_name(headers: &HeaderMap) -> Option<RepoName> {
    let (_, tail) = header(headers, LOCATION)?.split_once("/api/v1/repos/")?;
    let mut segments = tail.split(['/', '?']);
    format!("{}/{}", segments.next()?, segments.next()?).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_wait_is_read_as_seconds_or_as_a_date() {
        assert_eq!(retry_after(&headers(&[("retry-after", "7")])), Some(Duration::from_secs(7)));
        let date = headers(&[
            ("date", "Wed, 21 Oct 2026 07:28:00 GMT"),
            ("retry-after", "Wed, 21 Oct 2026 07:29:30 GMT"),
        ]);
        assert_eq!(retry_after(&date), Some(Duration::from_secs(90)));
        let past = headers(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]);
        assert_eq!(retry_after(&past), Some(Duration::ZERO));
        assert_eq!(retry_after(&headers(&[("retry-after", "soon")])), None);
        assert_eq!(retry_after(&headers(&[])), None);
    }

    #[test]
    fn a_redirect_tells_the_new_name() {
        let to = |location| new_name(&headers(&[("location", location)])).map(|r| r.to_string());
        assert_eq!(to("/api/v1/repos/acme/gadgets/issues/5").as_deref(), Some("acme/gadgets"));
        assert_eq!(to("https://x.example.com/git/api/v1/repos/a/b?c=d").as_deref(), Some("a/b"));
        assert_eq!(to("/user/login"), None);
    }

    #[test]
    fn a_redirect_of_an_account_tells_its_new_login() {
        let to = |location| new_login(&headers(&[("location", location)]));
        assert_eq!(to("/api/v1/users/carol").as_deref(), Some("carol"));
        assert_eq!(
            to("https://x.example.com/git/api/v1/orgs/b/repos?page=1").as_deref(),
            Some("b")
        );
        assert_eq!(to("/api/v1/repos/acme/users/issues/5"), None);
        assert_eq!(to("/user/login"), None);
    }
}
