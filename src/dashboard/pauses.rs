//! Pausing an agent or a repository, and going on: new work waits meanwhile.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::access::{AdminForm, Reader};
use super::frame::see_other;
use super::refusal::Refusal;
use super::session::SessionExt as _;
use crate::dispatch::pause::{Pausable, Pause};
use crate::issue::RepoName;

/// The handler of `POST /agents/pause`: pauses what the form names, or ends its pause.
pub(super) async fn change(form: AdminForm) -> Result<HttpResponse, Refusal> {
    let reader = &form.reader;
    let store = &reader.dashboard.parts.store;
    let (kind, name, now) = (form.field("kind"), form.field("name"), reader.now);
    let (of, verb, is_changed) = match form.field("do") {
        "pause" => {
            let of = pausable(reader, kind, name).await?;
            let by = reader.visitor.name().to_owned();
            let is_changed = store.pause(Pause { of: of.clone(), at: now, by }).await?;
            (of, "paused", is_changed)
        }
        "resume" => {
            let of = paused(reader, kind, name).await?;
            let agents = reader.settings.agents.clone();
            let is_changed = store.resume(of.clone(), agents, now).await?;
            (reader.dashboard.parts.wake)();
            (of, "resumed", is_changed)
        }
        _ => return Err(Refusal::page(StatusCode::BAD_REQUEST, "choose `pause` or `resume`")),
    };
    if is_changed {
        tracing::info!(by = reader.visitor.name(), %of, verb, "done on the dashboard");
        let repo = match &of {
            Pausable::Repository(repo) => Some(repo.to_string()),
            Pausable::Agent(_) => None,
        };
        reader.note(format!("{verb} {of}"), repo).await;
    }
    let said = match (verb, is_changed) {
        ("paused", true) => "gets no new work until somebody resumes it; what agents have goes on",
        ("paused", false) => "was paused already",
        _ => "gets work again",
    };
    reader.session.notify(&format!("The {of} {said}."));
    Ok(see_other(&reader.path("/agents")))
}

/// An agent that there is, or a repository of which issues are known.
async fn pausable(reader: &Reader, kind: &str, name: &str) -> Result<Pausable, Refusal> {
    let store = &reader.dashboard.parts.store;
    if kind == "agent" {
        let agent = reader.settings.agents.iter().find(|agent| agent.id.as_str() == name);
        let of = agent.map(|agent| Pausable::Agent(agent.id.clone()));
        return of.ok_or_else(|| reader.not_found("there is no such agent"));
    }
    let wanted: Option<RepoName> = name.parse().ok();
    // As the forge spells it.
    let known = store.lane_repos().await?.into_iter().find(|repo| wanted.as_ref() == Some(repo));
    let may = |repo: &RepoName| reader.settings.repos.allows(repo) && reader.may_act_in(repo);
    known.filter(may).map(Pausable::Repository).ok_or_else(|| {
        reader.not_found("no issue of such a repository is known; write it as `owner/name`")
    })
}

/// What is paused under this name.
async fn paused(reader: &Reader, kind: &str, name: &str) -> Result<Pausable, Refusal> {
    let pauses = reader.dashboard.parts.store.pauses().await?;
    let is_it = |of: &Pausable| match of {
        Pausable::Agent(agent) => kind == "agent" && agent.as_str() == name,
        Pausable::Repository(repo) => {
            kind != "agent" && repo.to_string() == name && reader.may_act_in(repo)
        }
    };
    let of = pauses.into_iter().map(|pause| pause.of).find(is_it);
    of.ok_or_else(|| reader.not_found("nothing of this name is paused"))
}
