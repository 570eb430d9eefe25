//! The list of issues, and the page of one issue: its history, and what an admin may do.

use actix_web::HttpResponse;
use actix_web::web::Path;
use askama::Template;

use super::access::Reader;
use super::elements::is_hidden;
use super::evaluations::issue_url;
use super::frame::{Frame, NavItem, render};
use super::listing::{Choice, Listing, Parameters, days, given, next};
use super::refusal::Refusal;
use crate::dispatch::Dispatch;
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
    shows: Vec<Choice>,
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
        decided: days(|name| given(&parameters, name)),
        before: given(&parameters, "before").and_then(|id| id.parse().ok()),
        limit: PAGE,
    };
    let store = &reader.dashboard.parts.store;
    let standings = store.standings().await?;
    let shows = Show::ALL.iter().map(|show| Choice {
        name: show.as_str(),
        is_chosen: *show == query.show,
        count: match show {
            Show::Flagged => Some(standings.flagged),
            Show::Escalated => Some(standings.escalated),
            Show::Urgent => Some(standings.urgent),
            Show::Dispatched => Some(standings.dispatched),
            Show::Waiting => Some(standings.waiting),
            Show::Held => Some(standings.held),
            Show::Before => Some(standings.from_before),
            _ => None,
        },
    });
    let shows = shows.collect();
    let page = store.issue_page(query, reader.visitor.sees.clone()).await?;
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
    let frame = reader.frame(
        NavItem::Issues,
        match &story.lane.title {
            Some(title) => format!("{at} {}", in_a_tab(title)),
            None => at.to_string(),
        },
    );
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

/// A title from outside, as far as a tab shows it.
fn in_a_tab(title: &str) -> String {
    title.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).take(80).collect()
}

impl Page {
    /// The dispatch that an agent works on.
    fn open_dispatch(&self) -> Option<&Dispatch> {
        self.story.dispatches.iter().map(|(dispatch, _)| dispatch).find(|d| d.state.is_open())
    }

    /// The score of a stored verdict; `None` when the issue was gone.
    fn score(&self, verdict: &serde_json::Value) -> Option<u64> {
        verdict["score"].as_u64()
    }
}
