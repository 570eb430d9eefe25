//! A webhook as it is listed. Pure.

use serde::Serialize;
use url::Url;

use super::wanted::{differences, is_sent_to};
use crate::gitea::Hook;

/// What is shown of a webhook, whoever's it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The forge's id of it.
    pub hook: i64,
    /// Whether it sends to this service.
    pub is_ours: bool,
    /// Whom it is made for: `gitea` for a program that reads payloads, the name of a chat service otherwise.
    pub kind: String,
    /// Where it sends to. What may be a password is left out where it is not ours.
    pub url: String,
    /// Whether it sends at all.
    pub is_active: bool,
    /// What it sends, in the forge's words.
    pub events: Vec<String>,
    /// What of ours is not as it has to be.
    pub notes: Vec<String>,
}

impl Listed {
    /// The webhook, ours when it sends to `ours`.
    pub(super) fn new(hook: &Hook, ours: &str) -> Self {
        let is_ours = is_sent_to(hook, ours);
        Self {
            hook: hook.id,
            is_ours,
            kind: hook.kind().to_owned(),
            url: if is_ours {
                hook.url().to_owned()
            } else {
                shown(hook.url(), hook.is_readable())
            },
            is_active: hook.is_active,
            events: hook.events().map(str::to_owned).collect(),
            notes: if is_ours { differences(hook) } else { Vec::new() },
        }
    }
}

/// The address of somebody else's webhook: a user, a query and, for a chat service, the path may hold a password.
fn shown(url: &str, has_open_path: bool) -> String {
    let Ok(mut url) = Url::parse(url.trim()) else { return "…".to_owned() };
    let is_whole = url.query().is_none() && url.username().is_empty() && url.password().is_none();
    if !has_open_path {
        return format!("{}/…", url.origin().ascii_serialization());
    }
    url.set_query(None);
    url.set_fragment(None);
    // Neither can be set where there is no host; then there is none to hide.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if is_whole { url.to_string() } else { format!("{url}…") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_password_is_left_out() {
        for (url, has_open_path, expected) in [
            ("https://ci.example.com/hook", true, "https://ci.example.com/hook"),
            ("https://ci.example.com/hook?token=canary", true, "https://ci.example.com/hook…"),
            ("https://me:canary@ci.example.com/hook", true, "https://ci.example.com/hook…"),
            ("https://hooks.slack.com/services/T0/B0/canary", false, "https://hooks.slack.com/…"),
            ("canary", true, "…"),
        ] {
            assert_eq!(shown(url, has_open_path), expected);
        }
    }
}
