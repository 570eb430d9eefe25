//! What an agent reports about a dispatch: `POST /dispatches/{id}`. Read with patience, since the agents are written
//! by others, and what they report may be the only sign of their work.

use serde_json::{Map, Value};

use super::outbound::parse_url;
use crate::dispatch::{Progress, Report};

/// The longest message that is kept, in characters.
const LONGEST_MESSAGE: usize = 2000;
/// The longest address that is kept, in bytes.
const LONGEST_URL: usize = 2000;
/// How much of a wrong state is repeated.
const LONGEST_STATE: usize = 40;
/// The longest body of a report, in bytes.
pub const MAX_REPORT: usize = 64 * 1024;

/// Why a report could not be read; the words are for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// Longer than any report.
    #[error("the body is larger than {MAX_REPORT} bytes; shorten `message`")]
    TooLarge,
    /// The body is not JSON from this line and column on.
    #[error("the body is not JSON (line {0}, column {1}); send `{{\"state\": \"completed\"}}`")]
    NotJson(usize, usize),
    /// The body is JSON, but no object.
    #[error("the body is not a JSON object; send `{{\"state\": \"completed\"}}`")]
    NotAnObject,
    /// There is no state, or it is not a text.
    #[error("`state` is missing or not a text; send one of {}", allowed())]
    NoState,
    /// There is no such state as was sent, cut and without control characters.
    #[error("`state` is `{0}`, which is none of {all}", all = allowed())]
    UnknownState(String),
}

fn allowed() -> String {
    format!("`{}`", Progress::NAMES.join("`, `"))
}

/// The report in a body: `{"state": "completed", "message": "…", "url": "…"}`; only the state is needed, and anything
/// else in it is ignored. The message is at most 2,000 characters in the agent's own words, to be quoted as code; an
/// address that is not `http` or `https`, or has credentials, is left out.
pub fn parse_report(body: &[u8]) -> Result<Report, CallbackError> {
    if body.len() > MAX_REPORT {
        return Err(CallbackError::TooLarge);
    }
    // The error's own text may quote the body, so only its place is kept.
    let value: Value =
        serde_json::from_slice(body).map_err(|e| CallbackError::NotJson(e.line(), e.column()))?;
    let Value::Object(fields) = value else { return Err(CallbackError::NotAnObject) };
    let message = fields.get("message").and_then(message);
    let url = fields.get("url").and_then(Value::as_str).and_then(url);
    Ok(Report { message, url, ..Report::new(state(&fields)?) })
}

/// What somebody reports whose call is no callback, with as much of their words as is kept of one.
pub fn report_of(state: Progress, message: Option<&str>, link: Option<&str>) -> Report {
    Report { message: message.and_then(words), url: link.and_then(url), ..Report::new(state) }
}

/// `In-Progress` is meant as `in_progress`.
fn state(fields: &Map<String, Value>) -> Result<Progress, CallbackError> {
    let given = fields.get("state").and_then(Value::as_str).ok_or(CallbackError::NoState)?;
    let plain = given.trim().to_ascii_lowercase().replace(['-', ' '], "_");
    plain.parse().map_err(|_| {
        let given = given.chars().filter(|c| !c.is_control()).take(LONGEST_STATE).collect();
        CallbackError::UnknownState(given)
    })
}

/// A message that is not a text is kept as the JSON it is: better than to lose the report over it.
fn message(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => words(text),
        other => words(&other.to_string()),
    }
}

fn words(text: &str) -> Option<String> {
    let is_kept = |c: &char| matches!(c, '\n' | '\t') || !c.is_control();
    let text: String = text.trim().chars().filter(is_kept).take(LONGEST_MESSAGE).collect();
    Some(text).filter(|text| !text.is_empty())
}

fn url(text: &str) -> Option<String> {
    let url = parse_url(text).ok()?;
    (url.as_str().len() <= LONGEST_URL).then(|| url.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &str) -> Result<Report, CallbackError> {
        parse_report(body.as_bytes())
    }

    #[track_caller]
    fn fails(body: &str, says: &str) {
        assert_eq!(parse(body).unwrap_err().to_string(), says);
    }

    #[test]
    fn a_report_is_read() {
        let body = r#"{"state":"completed","message":"done","url":"https://example.com/1","x":1}"#;
        let expected = Report {
            message: Some("done".into()),
            url: Some("https://example.com/1".into()),
            ..Report::new(Progress::Completed)
        };
        assert_eq!(parse(body), Ok(expected));
    }

    #[test]
    fn only_the_state_is_needed() {
        let bare = |state| Ok(Report::new(state));
        assert_eq!(parse(r#"{"state":"in_progress"}"#), bare(Progress::InProgress));
        assert_eq!(
            parse(r#"{"state":" In-Progress ","message":null}"#),
            bare(Progress::InProgress)
        );
        assert_eq!(parse(r#"{"state":"FAILED","message":" ","url":""}"#), bare(Progress::Failed));
    }

    #[test]
    fn an_error_tells_the_sender_what_to_send() {
        let all = "`in_progress`, `completed`, `failed`, `needs_person`";
        fails(r#"{"state":"done\u0007"}"#, &format!("`state` is `done`, which is none of {all}"));
        fails(r#"{"state":7}"#, &format!("`state` is missing or not a text; send one of {all}"));
        fails("[]", r#"the body is not a JSON object; send `{"state": "completed"}`"#);
        fails(
            "state=x",
            r#"the body is not JSON (line 1, column 1); send `{"state": "completed"}`"#,
        );
        let long = format!(r#"{{"state":"{}"}}"#, "x".repeat(1000));
        assert!(parse(&long).unwrap_err().to_string().len() < 150);
    }

    #[test]
    fn messages_are_cut_and_cleaned() {
        let message = |json: &str| {
            parse(&format!(r#"{{"state":"failed","message":{json}}}"#)).unwrap().message
        };
        assert_eq!(message(&format!("\"{}\"", "é".repeat(3000))), Some("é".repeat(2000)));
        assert_eq!(message(r#""a\r\n\u0000b\u001b""#).as_deref(), Some("a\nb"));
        assert_eq!(message(r#"{"code":1}"#).as_deref(), Some(r#"{"code":1}"#));
    }

    #[test]
    fn an_address_that_must_not_be_shown_is_left_out() {
        for url in ["javascript:alert(1)", "https://a:b@example.com", "x", "ftp://example.com"] {
            let body = format!(r#"{{"state":"failed","url":"{url}"}}"#);
            assert_eq!(parse(&body).unwrap().url, None, "{url}");
        }
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_refused() {
        assert_eq!(parse(&" ".repeat(MAX_REPORT + 1)), Err(CallbackError::TooLarge));
        assert!(matches!(parse(&"[".repeat(10_000)), Err(CallbackError::NotJson(..))));
    }

    proptest! {
        #[test]
        fn no_body_is_too_strange(body: Vec<u8>, state: String, message: String) {
            let _ = parse_report(&body);
            let body = serde_json::json!({"state": state, "message": message}).to_string();
            let _ = parse_report(body.as_bytes());
        }
    }
}
