//! Webhooks of a repository or an organisation, with the traps of their API.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::number;
use crate::fake_gitea::call::{Answer, Call, Reply};
use crate::fake_gitea::flavour::Flavour;
use crate::fake_gitea::outbox::kinds_named;
use crate::fake_gitea::record::{Hook, Scope};
use crate::fake_gitea::show;
use crate::fake_gitea::world::State;

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

    fn check_new(&self, flavour: Flavour) -> Result<(), Answer> {
        let refuse = |message: String| Err(Answer::error(422, &message));
        if self.kind.is_empty() {
            return refuse("[Type]: Required".to_owned());
        }
        if !flavour.hook_types().contains(&self.kind.as_str()) {
            return refuse(format!("Invalid hook type: {}", self.kind));
        }
        let mut needed = ["url", "content_type"].into_iter();
        if let Some(name) = needed.find(|name| self.config(name).is_none()) {
            return refuse(format!("Missing config option: {name}"));
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
}

/// The hooks of one place.
pub(super) struct Hooks<'a> {
    pub state: &'a mut State,
    pub call: &'a Call,
    pub scope: Scope,
}

impl Hooks<'_> {
    /// `…/hooks`, `…/hooks/{id}` and `…/hooks/{id}/tests`.
    pub fn route(mut self, by: i64, path: &[&str]) -> Reply {
        match (self.call.method.as_str(), path) {
            ("GET", []) => Ok(self.list()),
            ("POST", []) => self.create(),
            ("POST", [id, "tests"]) => self.test(by, number(id)?),
            (_, [id]) => self.one(number(id)?),
            _ => Err(Answer::unknown_path()),
        }
    }

    fn list(&self) -> Answer {
        let all: Vec<_> = self.state.hooks.iter().filter(|h| h.scope == self.scope).collect();
        let page = self.call.slice(&all, false).iter().map(|h| self.shown(h)).collect();
        Answer::list(page, all.len())
    }

    fn shown(&self, hook: &Hook) -> Value {
        show::hook(self.state.flavour, hook)
    }

    fn create(self) -> Reply {
        let form: HookForm = self.call.json()?;
        form.check_new(self.state.flavour)?;
        let url = form.config("url").cloned().unwrap_or_default();
        let mut hook = self.state.new_hook(self.scope, &url);
        hook.secret = form.config("secret").cloned().unwrap_or_default();
        hook.active = false;
        hook.kind.clone_from(&form.kind);
        edit(&mut hook, form)?;
        let shown = show::hook(self.state.flavour, &hook);
        self.state.hooks.push(hook);
        Ok(Answer::created(shown))
    }

    fn one(&mut self, id: i64) -> Reply {
        let (now, flavour) = (self.state.now(), self.state.flavour);
        let place = self.state.hooks.iter().position(|h| h.id == id && h.scope == self.scope);
        let place = place.ok_or_else(Answer::not_found)?;
        let hook = self.state.hooks.get_mut(place).ok_or_else(Answer::not_found)?;
        match self.call.method.as_str() {
            "GET" => Ok(Answer::ok(show::hook(flavour, hook))),
            "PATCH" => {
                edit(hook, self.call.json()?)?;
                hook.updated = now;
                Ok(Answer::ok(show::hook(flavour, hook)))
            }
            "DELETE" => {
                self.state.hooks.remove(place);
                Ok(Answer::empty(204))
            }
            _ => Err(Answer::unknown_path()),
        }
    }

    /// Sends a push, and nothing at all to a hook that does not listen to pushes; 204 either way.
    fn test(&mut self, by: i64, id: i64) -> Reply {
        let Scope::Repo(key) = &self.scope else { return Err(Answer::unknown_path()) };
        let hook = self.state.hooks.iter().find(|h| h.id == id && h.scope == self.scope);
        let hook = hook.cloned().ok_or_else(Answer::not_found)?;
        if hook.active && hook.events.contains("push") {
            self.state.enqueue_test_push(hook, key, by);
        }
        Ok(Answer::empty(204))
    }
}

/// The secret stays what it was; events, branch filter and authorization are reset when they are left out.
fn edit(hook: &mut Hook, form: HookForm) -> Result<(), Answer> {
    form.check_content_type()?;
    if let Some(url) = form.config("url") {
        hook.url.clone_from(url);
    }
    hook.form = form.config("content_type").map_or(hook.form, |kind| kind == "form");
    hook.active = form.active.unwrap_or(hook.active);
    hook.events = kinds_named(&form.events.unwrap_or_default());
    hook.branch_filter = form.branch_filter;
    hook.authorization = form.authorization_header;
    Ok(())
}
