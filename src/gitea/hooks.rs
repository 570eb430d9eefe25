//! Webhooks of repositories and organisations, with the traps of their API kept in here: what is left out of an edit
//! is reset, the secret cannot be changed, and the events are answered in other words than they are asked in
//! (routers/api/v1/utils/hook.go).

use std::collections::BTreeSet;
use std::fmt;

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::{Value, json};

use super::hook_events::{lacking, names};
use super::transport::{Request, path, repo_path};
use super::wire::lenient;
use super::{Client, Error};
use crate::issue::RepoName;

/// What webhooks hang on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum HookPlace {
    /// One repository.
    Repo(RepoName),
    /// Every repository of an organisation.
    Org(String),
}

impl fmt::Display for HookPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repo(repo) => write!(f, "{repo}"),
            Self::Org(org) => f.write_str(org),
        }
    }
}

impl HookPlace {
    fn path(&self, tail: &[&str]) -> Vec<String> {
        let tail = [&["hooks"], tail].concat();
        match self {
            Self::Repo(repo) => repo_path(repo, &tail),
            Self::Org(org) => path(&[&["orgs", org.as_str()], tail.as_slice()].concat()),
        }
    }

    fn request(&self, method: Method, id: Option<i64>) -> Request {
        match id.map(|id| id.to_string()) {
            Some(id) => Request::new(method, format_args!("{self} hook {id}"), self.path(&[&id])),
            None => Request::new(method, format_args!("{self} hooks"), self.path(&[])),
        }
    }
}

lenient! {
    /// A webhook as the forge shows it; its secret is never shown.
    pub struct Hook {
        /// The forge's id of it.
        pub id: i64,
        #[serde(rename = "type")]
        kind: String,
        /// Whether it sends at all.
        #[serde(rename = "active")]
        pub is_active: bool,
        events: BTreeSet<String>,
        branch_filter: String,
        authorization_header: String,
        config: HookConfig,
    }

    struct HookConfig { url: String, content_type: String }
}

impl Hook {
    /// Where it sends to.
    pub fn url(&self) -> &str {
        &self.config.url
    }

    /// Whom it is made for: `gitea` for a program that reads payloads, the name of a chat service otherwise.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What it sends, in the forge's words.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        self.events.iter().map(String::as_str)
    }

    /// Whether it sends JSON; a form otherwise.
    pub fn is_json(&self) -> bool {
        self.config.content_type == "json"
    }

    /// Whether it sends what we read; one for a chat room does not.
    pub fn is_readable(&self) -> bool {
        matches!(self.kind.as_str(), "gitea" | "forgejo" | "gogs")
    }

    /// The kinds of event that have to come and do not.
    pub fn lacks(&self) -> Vec<&'static str> {
        lacking(&self.events)
    }

    /// The form with which an edit of this hook, or one made in its place, sends to `url` and keeps all that is not ours:
    /// its further events, its branch filter, its authorization.
    ///
    /// # Errors
    /// The event that no request can ask for, so that it would be lost.
    pub fn form(&self, url: &str, is_forgejo: bool) -> Result<HookForm, String> {
        Ok(HookForm {
            url: url.to_owned(),
            events: names(&self.events, is_forgejo)?,
            branch_filter: self.branch_filter.clone(),
            authorization: self.authorization_header.clone(),
        })
    }
}

/// What a webhook is to be. It is always active, sends JSON, and hears at least what has to come.
#[derive(Clone, Debug)]
pub struct HookForm {
    url: String,
    events: Vec<String>,
    branch_filter: String,
    authorization: String,
}

impl HookForm {
    /// A new one that hears what has to come and nothing else.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            // A name that a forge does not know is passed over: `status`, on Forgejo.
            events: [
                "issues",
                "issue_comment",
                "pull_request_only",
                "pull_request_comment",
                "pull_request_review",
                "status",
            ]
            .map(str::to_owned)
            .into(),
            branch_filter: String::new(),
            authorization: String::new(),
        }
    }

    /// Every field that an edit would reset, even those that stay as they are.
    fn json(&self) -> Value {
        json!({
            "type": "gitea",
            "active": true,
            "events": self.events,
            "branch_filter": self.branch_filter,
            "authorization_header": self.authorization,
            "config": {"url": self.url, "content_type": "json"},
        })
    }
}

/// The forge's answer to a change, which has an id when it is a hook.
fn changed(hook: Hook) -> Result<Hook, String> {
    if hook.id == 0 { Err("a hook without an id".into()) } else { Ok(hook) }
}

impl Client {
    /// Every webhook that hangs on this place itself.
    pub async fn hooks(&self, place: &HookPlace) -> Result<Vec<Hook>, Error> {
        let what = format!("{place} hooks");
        let mut hooks = self.all(what, place.path(&[]), |hook: &Hook| hook.id).await?;
        hooks.retain(|hook| hook.id != 0);
        Ok(hooks)
    }

    /// Makes a webhook. The forge makes a second one of the same address without a word: look first.
    pub async fn create_hook(
        &self,
        place: &HookPlace,
        form: &HookForm,
        secret: &SecretString,
    ) -> Result<Hook, Error> {
        let mut body = form.json();
        body["config"]["secret"] = json!(secret.expose_secret());
        let request = place.request(Method::POST, None).json(body);
        self.send(request).await?.read(changed)
    }

    /// Changes a webhook to this form; its secret stays what it was.
    pub async fn edit_hook(
        &self,
        place: &HookPlace,
        id: i64,
        form: &HookForm,
    ) -> Result<Hook, Error> {
        let request = place.request(Method::PATCH, Some(id)).json(form.json());
        self.send(request).await?.read(changed)
    }

    /// Takes a webhook away; fine when it is gone already.
    pub async fn delete_hook(&self, place: &HookPlace, id: i64) -> Result<(), Error> {
        self.find(place.request(Method::DELETE, Some(id)), &[404]).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(value: Value) -> Hook {
        changed(serde_json::from_value(value).unwrap()).unwrap()
    }

    #[test]
    fn an_edit_sends_every_field_that_would_be_reset() {
        let hook = hook(json!({
            "id": 3, "type": "gitea", "active": false, "branch_filter": "release/*",
            "authorization_header": "Bearer x", "events": ["push", "issues"],
            "config": {"url": "https://x.example.com/webhook", "content_type": "form"},
        }));
        let sent = hook.form(hook.url(), false).unwrap().json();
        assert_eq!(sent["branch_filter"], "release/*");
        assert_eq!(sent["authorization_header"], "Bearer x");
        assert_eq!(sent["active"], true);
        assert_eq!(sent["config"]["content_type"], "json");
        let events: Vec<&str> =
            sent["events"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
        assert!(events.contains(&"push") && events.contains(&"issue_comment"), "{events:?}");
    }

    #[test]
    fn nulls_and_absent_keys_are_a_hook_as_well() {
        let bare = hook(json!({"id": 3, "type": "slack", "config": null, "events": null}));
        assert!(!bare.is_active && !bare.is_readable() && !bare.is_json());
        assert_eq!(bare.lacks().len(), 8);
    }
}
