//! The list of issues, and the page of one issue: its history, and what an admin may do.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;

use super::access::Reader;
use super::evaluations::issue_url;
use super::frame::{Frame, NavItem, render};
use super::listing::{Listing, Parameters, given, next};
use super::refusal::Refusal;
use crate::issue::IssueRef;
use crate::store::{IssueQuery, IssueRow, IssueStory, Page as Rows, Show};

/// Issues on one page of the list.
const PAGE: usize = 50;
/// Decisions on an issue's page.
const DECISIONS: u32 = 15;

#[derive(Template)]
#[template(path = "issues.html")]
struct List {
    frame: Frame,
    list: Listing,
    page: Rows<IssueRow>,
    shows: Vec<(&'static str, bool)>,
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
        show: given(&parameters, "show").and_then(|name| name.parse().ok()).unwrap_or_default(),
        repo: given(&parameters, "repo"),
        text: given(&parameters, "q"),
        before: given(&parameters, "before").and_then(|id| id.parse().ok()),
        limit: PAGE,
    };
    let shows = Show::ALL.iter().map(|show| (show.as_str(), *show == query.show)).collect();
    let page = reader.dashboard.parts.store.issue_page(query, reader.visitor.sees.clone()).await?;
    let list = Listing::of(&reader, &parameters, "/issues", page.older).await?;
    let frame = reader.frame(NavItem::Issues, "Issues");
    Ok(render(&List { frame, list, page, shows }))
}

/// The handler of `GET /issues/{owner}/{name}/{number}`.
pub(super) async fn page(
    reader: Reader,
    place: Path<(String, String, String)>,
    parameters: Parameters,
) -> Result<HttpResponse, Refusal> {
    let unknown = || reader.not_found("no delivery has named this issue");
    let (owner, name, number) = place.into_inner();
    let at: IssueRef = format!("{owner}/{name}#{number}").parse().map_err(|_| unknown())?;
    if !reader.sees_repo(&at.repo.to_string()) {
        return Err(unknown());
    }
    let before = given(&parameters, "before").and_then(|id| id.parse().ok());
    let store = &reader.dashboard.parts.store;
    let story = store.issue_story(at.clone(), before, DECISIONS).await?.ok_or_else(unknown)?;
    let repo = at.repo.to_string();
    let frame = reader.frame(NavItem::Issues, at.to_string());
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
