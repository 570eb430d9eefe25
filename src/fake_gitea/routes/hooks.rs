//! Webhooks of a repository or an organisation, with the traps of their API.

use std::collections::HashMap;

use serde::Deserialize;

use super::number;
use crate::fake_gitea::call::{Answer, Call, Reply};
use crate::fake_gitea::outbox::{kinds_named, test_push};
use crate::fake_gitea::record::{Hook, Scope};
use crate::fake_gitea::show;
use crate::fake_gitea::world::State;

/// Hook types Gitea knows; only `gitea` ones are delivered here.
const TYPES: [&str; 4] = ["gitea", "gogs", "slack", "discord"];

#[derive(Deserialize)]
struct HookForm {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    config: Option<HashMap<String, String>>,
    #[serde(default)]
    events: Option<Vec<String>>,
    #[serde(default)]
    branch_filter: String,
    #[serde(default)]
    authorization_header: String,
    /// Without it a new hook is dead.
    active: Option<bool>,
}

impl HookForm {
    fn config(&self, name: &str) -> Option<&String> {
        self.config.as_ref()?.get(name)
    }

    fn check_new(&self) -> Result<(), Answer> {
        let refuse = |message: String| Err(Answer::error(422, &message));
        if self.kind.is_empty() {
            return refuse("[Type]: Required".to_owned());
        }
        if !TYPES.contains(&self.kind.as_str()) {
            return refuse(format!("Invalid hook type: {}", self.kind));
        }
        for name in ["url", "content_type"] {
            if self.config(name).is_none() {
                return refuse(format!("Missing config option: {name}"));
            }
        }
        self.check_content_type()?;
        let url = self.config("url").map(String::as_str).unwrap_or_default();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return refuse("Invalid url".to_owned());
        }
        Ok(())
    }

    fn check_content_type(&self) -> Result<(), Answer> {
        let known = self.config("content_type").is_none_or(|t| t == "json" || t == "form");
        if known { Ok(()) } else { Err(Answer::error(422, "Invalid content type")) }
    }

    fn wants_form(&self) -> Option<bool> {
        self.config("content_type").map(|t| t == "form")
    }
}

/// `…/hooks`, `…/hooks/{id}` and `…/hooks/{id}/tests`.
pub(super) fn route(state: &mut State, call: &Call, by: i64, place: (Scope, &[&str])) -> Reply {
    let (scope, path) = place;
    match (call.method.as_str(), path) {
        ("GET", []) => Ok(list(state, call, &scope)),
        ("POST", []) => create(state, call, scope),
        ("POST", [id, "tests"]) => test(state, by, &scope, number(id)?),
        (_, [id]) => one(state, call, &scope, number(id)?),
        _ => Err(Answer::unknown_path()),
    }
}

fn list(state: &State, call: &Call, scope: &Scope) -> Answer {
    let all: Vec<_> = state.hooks.iter().filter(|h| h.scope == *scope).collect();
    let page = call.slice(&all, false).iter().map(|h| show::hook(h)).collect();
    Answer::list(page, all.len())
}

fn create(state: &mut State, call: &Call, scope: Scope) -> Reply {
    let form: HookForm = call.json()?;
    form.check_new()?;
    let now = state.now();
    let hook = Hook {
        id: state.next_id("hook"),
        scope,
        url: form.config("url").cloned().unwrap_or_default(),
        secret: form.config("secret").cloned().unwrap_or_default(),
        form: form.wants_form().unwrap_or_default(),
        active: form.active.unwrap_or_default(),
        events: kinds_named(&form.events.unwrap_or_default()),
        branch_filter: form.branch_filter,
        authorization: form.authorization_header,
        created: now,
        updated: now,
    };
    let shown = show::hook(&hook);
    state.hooks.push(hook);
    Ok(Answer::created(shown))
}

fn one(state: &mut State, call: &Call, scope: &Scope, id: i64) -> Reply {
    let now = state.now();
    let place = state.hooks.iter().position(|h| h.id == id && h.scope == *scope);
    let place = place.ok_or_else(Answer::not_found)?;
    let hook = state.hooks.get_mut(place).ok_or_else(Answer::not_found)?;
    match call.method.as_str() {
        "GET" => Ok(Answer::ok(show::hook(hook))),
        "PATCH" => {
            edit(hook, call.json()?)?;
            hook.updated = now;
            Ok(Answer::ok(show::hook(hook)))
        }
        "DELETE" => {
            state.hooks.remove(place);
            Ok(Answer::empty(204))
        }
        _ => Err(Answer::unknown_path()),
    }
}

/// The secret stays what it was; events, branch filter and authorization are reset when they are left out.
fn edit(hook: &mut Hook, form: HookForm) -> Result<(), Answer> {
    form.check_content_type()?;
    if let Some(url) = form.config("url") {
        hook.url.clone_from(url);
    }
    hook.form = form.wants_form().unwrap_or(hook.form);
    hook.active = form.active.unwrap_or(hook.active);
    hook.events = kinds_named(&form.events.unwrap_or_default());
    hook.branch_filter = form.branch_filter;
    hook.authorization = form.authorization_header;
    Ok(())
}

/// Sends a push, and nothing at all to a hook that does not listen to pushes; 204 either way.
fn test(state: &mut State, by: i64, scope: &Scope, id: i64) -> Reply {
    let Scope::Repo(key) = scope else { return Err(Answer::unknown_path()) };
    let hook = state.hooks.iter().find(|h| h.id == id && h.scope == *scope);
    let hook = hook.cloned().ok_or_else(Answer::not_found)?;
    let repo = state.repos.get(key).ok_or_else(Answer::not_found)?;
    let payload = test_push(state, repo, by);
    if hook.active && hook.events.contains("push") {
        state.enqueue_for(hook, "push", "", &payload);
    }
    Ok(Answer::empty(204))
}
