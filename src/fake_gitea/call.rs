//! One request and one answer of the API, free of any HTTP library but at their edge.

use std::borrow::Cow;
use std::fmt::Display;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use bytes::Bytes;
use chrono::DateTime;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::record::ROOT_URL;
use crate::clock::Timestamp;

/// `[api] MAX_RESPONSE_ITEMS`.
pub(super) const MAX_LIMIT: usize = 50;

/// `[api] DEFAULT_PAGING_NUM`.
pub(super) const DEFAULT_LIMIT: usize = 30;

pub(super) struct Call {
    pub method: String,
    pub path: String,
    pub query: String,
    pub content_type: String,
    pub authorization: String,
    pub body: Bytes,
}

impl Call {
    /// One value of the query, if it is there and not empty.
    pub fn param(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    }

    /// The page asked for, from 1; `None` when none was.
    pub fn page(&self) -> Option<usize> {
        self.param("page")?.parse().ok().filter(|p| *p > 0)
    }

    pub fn limit(&self) -> usize {
        self.limit_or(DEFAULT_LIMIT)
    }

    fn limit_or(&self, default: usize) -> usize {
        let asked = self.param("limit").and_then(|l| l.parse().ok()).filter(|l| *l > 0);
        asked.unwrap_or(default).min(MAX_LIMIT)
    }

    /// The times between `since` and `before` of the query.
    pub fn span(&self) -> Result<impl Fn(Timestamp) -> bool + use<>, Answer> {
        let (since, before) = (self.time("since")?, self.time("before")?);
        Ok(move |at| since.is_none_or(|t| at >= t) && before.is_none_or(|t| at <= t))
    }

    /// A point in time of the query; an unreadable one is refused.
    fn time(&self, name: &str) -> Result<Option<Timestamp>, Answer> {
        let Some(text) = self.param(name) else { return Ok(None) };
        match DateTime::parse_from_rfc3339(&text) {
            Ok(time) => Ok(Some(time.to_utc())),
            Err(_) => Err(Answer::error(422, &format!("parsing time \"{text}\""))),
        }
    }

    /// The body as JSON of the expected shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Answer> {
        if self.content_type.is_empty() {
            return Err(Answer::error(422, "Empty Content-Type"));
        }
        serde_json::from_slice(&self.body).map_err(|e| Answer::error(422, &e.to_string()))
    }

    /// A field of a form; empty when it is not there.
    pub fn field(&self, name: &str) -> String {
        let mut fields = form_urlencoded::parse(&self.body);
        fields.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    /// The part of `items` on the page asked for; everything when `whole` and no page was asked for.
    pub fn slice<'a, T>(&self, items: &'a [T], whole: bool) -> &'a [T] {
        if whole && self.page().is_none() { items } else { self.slice_of(items, DEFAULT_LIMIT) }
    }

    /// The part of `items` on the page asked for, of so many when no size was asked for.
    pub fn slice_of<'a, T>(&self, items: &'a [T], default: usize) -> &'a [T] {
        let (page, size) = (self.page().unwrap_or(1), self.limit_or(default));
        let from = (page - 1).saturating_mul(size).min(items.len());
        let to = from.saturating_add(size).min(items.len());
        &items[from..to]
    }
}

pub(super) struct Answer {
    pub status: u16,
    headers: Vec<(&'static str, String)>,
    body: Content,
}

enum Content {
    Empty,
    Json(Value),
    Text { kind: &'static str, text: Cow<'static, str> },
}

/// An endpoint's result; either side is sent.
pub(super) type Reply = Result<Answer, Answer>;

impl Answer {
    fn new(status: u16, body: Content) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub fn ok(body: Value) -> Self {
        Self::new(200, Content::Json(body))
    }

    pub fn created(body: Value) -> Self {
        Self::new(201, Content::Json(body))
    }

    pub fn empty(status: u16) -> Self {
        Self::new(status, Content::Empty)
    }

    pub fn error(status: u16, message: &str) -> Self {
        let mut body = json!({"message": message, "url": format!("{ROOT_URL}/api/swagger")});
        if status == 404 {
            body["errors"] = Value::Null;
        }
        Self::new(status, Content::Json(body))
    }

    /// What Gitea says of anything it does not have or does not show.
    pub fn not_found() -> Self {
        Self::error(404, "not found")
    }

    /// An internal error; only site admins would see more.
    pub fn broken() -> Self {
        Self::error(500, "")
    }

    /// What the router says of a path it does not know (seen on 1.25.4: plain text).
    pub fn unknown_path() -> Self {
        let text = "404 page not found\n";
        Self::new(404, Content::Text { kind: "text/plain; charset=utf-8", text: text.into() })
    }

    pub fn html(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(200, Content::Text { kind: "text/html; charset=utf-8", text: text.into() })
    }

    pub fn see_other(place: &str) -> Self {
        Self::empty(303).with_header("Location", place)
    }

    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn with_header(mut self, name: &'static str, value: impl Display) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// A list that is `null` when there is nothing, with its total.
    pub fn list_or_null(items: Vec<Value>) -> Self {
        let total = items.len();
        let body = if items.is_empty() { Value::Null } else { Value::Array(items) };
        Self::ok(body).with_header("X-Total-Count", total)
    }

    pub fn list(items: Vec<Value>, total: usize) -> Self {
        Self::ok(Value::Array(items)).with_header("X-Total-Count", total)
    }

    pub fn bytes(&self) -> Bytes {
        match &self.body {
            Content::Empty => Bytes::new(),
            Content::Json(value) => serde_json::to_vec(value).unwrap_or_default().into(),
            Content::Text { text, .. } => Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    pub fn into_response(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = HttpResponse::build(status);
        for (name, value) in &self.headers {
            response.insert_header((*name, value.as_str()));
        }
        match &self.body {
            Content::Empty => response.finish(),
            Content::Json(_) => {
                response.content_type("application/json;charset=utf-8").body(self.bytes())
            }
            Content::Text { kind, .. } => response.content_type(*kind).body(self.bytes()),
        }
    }
}
