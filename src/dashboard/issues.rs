//! The list of issues, and one issue's whole history with what an admin may do about it.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;

use super::access::Reader;
use super::deliveries::{Parameters, given, next, repos};
use super::evaluations::issue_url;
use super::frame::{Frame, Place, render};
use super::refusal::Refusal;
use crate::issue::IssueRef;
use crate::store::{IssuePage, IssueQuery, IssueStory, Show};

/// How many issues stand on a page.
const PAGE: usize = 50;
/// How many decisions stand on an issue's page.
const DECISIONS: u32 = 15;

#[derive(Template)]
#[template(path = "issues.html")]
struct List {
    frame: Frame,
    page: IssuePage,
    shows: [(&'static str, bool); 7],
    repos: Vec<(String, bool)>,
    text: String,
    older: Option<String>,
    is_filtered: bool,
}

#[derive(Template)]
#[template(path = "issue.html")]
struct Page {
    frame: Frame,
    story: IssueStory,
    repo: String,
    number: u64,
    agents: Vec<String>,
    issue_url: Option<String>,
    older: Option<String>,
}

/// The handler of `GET /issues`.
pub(super) async fn list(reader: Reader, parameters: Parameters) -> Result<HttpResponse, Refusal> {
    let query = IssueQuery {
        show: given(&parameters, "show").map_or(Show::All, |name| Show::named(&name)),
        repo: given(&parameters, "repo"),
        text: given(&parameters, "q"),
        before: given(&parameters, "before").and_then(|id| id.parse().ok()),
        limit: PAGE,
    };
    let page = reader.dashboard.parts.store.issue_page(query.clone()).await?;
    let path = format!("{}/issues", reader.settings.base());
    let list = List {
        repos: repos(&reader, query.repo.as_deref()).await?,
        frame: reader.frame(Place::Issues, "Issues"),
        older: page.older.map(|before| next(&path, &parameters, before)),
        page,
        shows: Show::ALL.map(|(show, name)| (name, show == query.show)),
        is_filtered: query.show != Show::All || query.repo.is_some() || query.text.is_some(),
        text: query.text.unwrap_or_default(),
    };
    Ok(render(&list))
}

/// The handler of `GET /issues/{owner}/{name}/{number}`.
pub(super) async fn page(
    reader: Reader,
    place: Path<(String, String, String)>,
    parameters: Parameters,
) -> Result<HttpResponse, Refusal> {
    let unknown = || reader.not_found("no delivery ever led to such an issue");
    let (owner, name, number) = place.into_inner();
    let at: IssueRef = format!("{owner}/{name}#{number}").parse().map_err(|_| unknown())?;
    let before = given(&parameters, "before").and_then(|id| id.parse().ok());
    let store = &reader.dashboard.parts.store;
    let story = store.issue_story(at.clone(), before, DECISIONS).await?.ok_or_else(unknown)?;
    let repo = at.repo.to_string();
    let frame = reader.frame(Place::Issues, at.to_string());
    let path = frame.issue_path(&repo, at.number);
    let page = Page {
        older: story.older.map(|before| next(&path, &parameters, before)),
        agents: reader.settings.agents.iter().map(|agent| agent.id.to_string()).collect(),
        issue_url: issue_url(&reader, &repo, at.number),
        number: at.number,
        frame,
        story,
        repo,
    };
    Ok(render(&page))
}

impl Page {
    /// The score of a stored verdict; `None` when the issue was gone.
    fn score(&self, verdict: &serde_json::Value) -> Option<u64> {
        verdict["score"].as_u64()
    }
}
