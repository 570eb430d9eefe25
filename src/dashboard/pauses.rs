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
    let of = named(&form).await?;
    let (by, at) = (reader.visitor.name().to_owned(), reader.now);
    let repo = match &of {
        Pausable::Repository(repo) => Some(repo.to_string()),
        Pausable::Agent(_) => None,
    };
    let (done, said) = match form.field("do") {
        "pause" => {
            store.pause(Pause { of: of.clone(), at, by }).await?;
            ("paused", "gets no new work until somebody resumes it; what agents have goes on")
        }
        "resume" => {
            store.resume(of.clone(), reader.settings.agents.clone(), at).await?;
            (reader.dashboard.parts.wake)();
            ("resumed", "gets work again")
        }
        _ => return Err(Refusal::page(StatusCode::BAD_REQUEST, "choose `pause` or `resume`")),
    };
    reader.note(format!("{done} {of}"), repo.as_deref()).await?;
    reader.session.notify(&format!("The {of} {said}."));
    Ok(see_other(&reader.path("/agents")))
}

/// What a form names: an agent that there is or that is paused, or a repository of which issues are known.
async fn named(form: &AdminForm) -> Result<Pausable, Refusal> {
    let (reader, name) = (&form.reader, form.field("name"));
    match form.field("kind") {
        "agent" => agent(reader, name).await,
        "repository" => repository(reader, name).await,
        _ => Err(Refusal::page(StatusCode::BAD_REQUEST, "name an `agent` or a `repository`")),
    }
}

async fn agent(reader: &Reader, name: &str) -> Result<Pausable, Refusal> {
    if let Some(agent) = reader.settings.agents.iter().find(|agent| agent.id.as_str() == name) {
        return Ok(Pausable::Agent(agent.id.clone()));
    }
    let pauses = reader.dashboard.parts.store.pauses().await?;
    let is_it = |of: &Pausable| matches!(of, Pausable::Agent(agent) if agent.as_str() == name);
    let paused = pauses.into_iter().map(|pause| pause.of).find(is_it);
    paused.ok_or_else(|| reader.not_found("there is no such agent"))
}

async fn repository(reader: &Reader, name: &str) -> Result<Pausable, Refusal> {
    let is_known = |repo: &RepoName| {
        reader.settings.repos.allows(repo) && reader.visitor.writes.has(&repo.to_string())
    };
    let wanted: Option<RepoName> = name.parse().ok().filter(is_known);
    let known = reader.dashboard.parts.store.lane_repos().await?;
    // As the forge spells it.
    let found = known.into_iter().find(|repo| wanted.as_ref() == Some(repo));
    found.map(Pausable::Repository).ok_or_else(|| {
        reader.not_found("no issue of such a repository is known; write it as `owner/name`")
    })
}
