//! Webhooks of repositories and organisations, with the traps of their API kept in here: what is left out of an edit
//! is reset, the secret cannot be changed, and the events are answered in other words than they are asked in
//! (routers/api/v1/utils/hook.go).

use std::collections::BTreeSet;
use std::fmt;

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::hook_events::{lacking, names};
use super::transport::{Request, path, repo_path};
use super::wire::{lenient, listed};
use super::{Client, Error};
use crate::issue::RepoName;

/// What webhooks hang on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

impl Serialize for HookPlace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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

/// A webhook as the forge shows it; its secret is never shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The forge's id of it.
    pub id: i64,
    /// Where it sends to.
    pub url: String,
    /// Whether it sends JSON; a form otherwise.
    pub is_json: bool,
    /// Whether it sends at all.
    pub is_active: bool,
    /// Whether it sends what we read; one for a chat room does not.
    pub is_readable: bool,
    events: BTreeSet<String>,
    branch_filter: String,
    authorization: String,
}

impl Hook {
    /// The kinds of event it hears, as the forge lists them.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        self.events.iter().map(String::as_str)
    }

    /// The kinds of event that have to come and do not.
    pub fn lacks(&self) -> Vec<&'static str> {
        lacking(&self.events)
    }

    /// The form with which an edit of this hook, or one made in its place, keeps all that is not ours: its further
    /// events, its branch filter, its authorization.
    ///
    /// # Errors
    /// The event that no request can ask for, so that it would be lost.
    pub fn form(&self, is_forgejo: bool) -> Result<HookForm, String> {
        Ok(HookForm {
            url: self.url.clone(),
            events: names(&self.events, is_forgejo)?,
            branch_filter: self.branch_filter.clone(),
            authorization: self.authorization.clone(),
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
            events: vec!["issues".to_owned(), "issue_comment".to_owned()],
            branch_filter: String::new(),
            authorization: String::new(),
        }
    }

    /// The same, sending to another address.
    pub fn with_url(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
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

lenient! {
    struct WireHook {
        id: i64,
        #[serde(rename = "type")]
        kind: String,
        active: bool,
        events: BTreeSet<String>,
        branch_filter: String,
        authorization_header: String,
        config: WireConfig,
    }

    struct WireConfig { url: String, content_type: String }
}

listed!(WireHook);

impl WireHook {
    fn into_hook(self) -> Result<Hook, String> {
        if self.id == 0 {
            return Err("a hook without an id".into());
        }
        Ok(Hook {
            id: self.id,
            url: self.config.url,
            is_json: self.config.content_type == "json",
            is_active: self.active,
            is_readable: matches!(self.kind.as_str(), "gitea" | "forgejo" | "gogs"),
            events: self.events,
            branch_filter: self.branch_filter,
            authorization: self.authorization_header,
        })
    }
}

impl Client {
    /// Every webhook that hangs on this place itself.
    pub async fn hooks(&self, place: &HookPlace) -> Result<Vec<Hook>, Error> {
        let hooks: Vec<WireHook> = self.all(format!("{place} hooks"), place.path(&[])).await?;
        Ok(hooks.into_iter().filter_map(|hook| hook.into_hook().ok()).collect())
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
        self.send(request).await?.read(WireHook::into_hook)
    }

    /// Changes a webhook to this form; its secret stays what it was.
    pub async fn edit_hook(
        &self,
        place: &HookPlace,
        id: i64,
        form: &HookForm,
    ) -> Result<Hook, Error> {
        let request = place.request(Method::PATCH, Some(id)).json(form.json());
        self.send(request).await?.read(WireHook::into_hook)
    }

    /// Takes a webhook away; fine when it is gone already.
    pub async fn delete_hook(&self, place: &HookPlace, id: i64) -> Result<(), Error> {
        match self.send(place.request(Method::DELETE, Some(id))).await {
            Err(Error::Status { status: 404, .. }) => Ok(()),
            answer => answer.map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(value: Value) -> Hook {
        serde_json::from_value::<WireHook>(value).unwrap().into_hook().unwrap()
    }

    #[test]
    fn an_edit_sends_every_field_that_would_be_reset() {
        let hook = hook(json!({
            "id": 3, "type": "gitea", "active": false, "branch_filter": "release/*",
            "authorization_header": "Bearer x", "events": ["push", "issues"],
            "config": {"url": "https://x.example.com/webhook", "content_type": "form"},
        }));
        let sent = hook.form(false).unwrap().json();
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
        assert!(!bare.is_active && !bare.is_readable && !bare.is_json);
        assert_eq!(bare.lacks().len(), 5);
    }
}
