//! What a delivery showed of its issue's text. For people to read; nothing is decided from it.

use serde::Deserialize;

use super::wire::or_default;

#[derive(Deserialize)]
struct Sent {
    issue: Option<Words>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Words {
    #[serde(deserialize_with = "or_default")]
    title: String,
    #[serde(deserialize_with = "or_default")]
    body: String,
}

/// Title and text of the issue in a delivery's body, as they were when it was sent; `None` when it has none.
pub fn issue_text(body: &[u8]) -> Option<(String, String)> {
    let Words { title, body } = serde_json::from_slice::<Sent>(body).ok()?.issue?;
    Some((title, body))
}

#[cfg(test)]
mod tests {
    use super::issue_text;

    #[test]
    fn a_missing_or_null_text_is_empty_and_what_is_no_issue_has_none() {
        let of = |body: &str| issue_text(body.as_bytes());
        assert_eq!(
            of(r#"{"issue": {"title": "a", "body": null}}"#),
            Some(("a".to_owned(), String::new()))
        );
        assert_eq!(of(r#"{"issue": null}"#), None);
        assert_eq!(of(r#"{"ref": "x"}"#), None);
        assert_eq!(of("<html>"), None);
    }
}
