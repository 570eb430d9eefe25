//! The handlers of the pages.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, ORIGIN};
use actix_web::web::{Data, Form, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::links::{Links, path_of};
use super::render::{Frame, Message, Refusal, forge, page};
use super::{PEOPLE, Site, markdown};
use crate::clock::Timestamp;
use crate::dashboard::see_other;
use crate::demo::world;
use crate::fake_gitea::{FakeGitea, IssueView, TimelineView};
use crate::issue::{IssueRef, IssueState, RepoName};

/// The longest title and the longest text that a form takes, in characters.
const LONGEST: [usize; 2] = [255, 16 * 1024];

type Place = Path<(String, String)>;
type Fields = BTreeMap<String, String>;
type Answer = Result<HttpResponse, Refusal>;

#[derive(Template)]
#[template(path = "forge/repositories.html")]
struct Repositories {
    frame: Frame,
    /// Each with the numbers of its open and closed issues.
    repos: Vec<(RepoName, usize, usize)>,
}

#[derive(Template)]
#[template(path = "forge/issues.html")]
struct Issues {
    frame: Frame,
    repo: RepoName,
    is_watched: bool,
    issues: Vec<Row>,
}

struct Row {
    path: String,
    number: u64,
    state: &'static str,
    issue: IssueView,
}

#[derive(Template)]
#[template(path = "forge/new.html")]
struct New {
    frame: Frame,
    repo: RepoName,
    people: [&'static str; 2],
    title: String,
    body: String,
    examples: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "forge/issue.html")]
struct Issue {
    frame: Frame,
    at: IssueRef,
    state: &'static str,
    issue: IssueView,
    body: String,
    lines: Vec<Line>,
    people: [&'static str; 2],
    is_watched: bool,
}

/// A line of the timeline.
struct Line {
    id: i64,
    by: String,
    at: Timestamp,
    /// The comment as HTML; empty where it is none.
    said: String,
    what: &'static str,
    about: String,
}

/// The handler of `GET /`.
pub(super) async fn repositories(site: Data<Site>) -> Answer {
    let gitea = forge(&site)?;
    let count = |repo: RepoName| {
        let issues = gitea.issues(&repo);
        let open = issues.iter().filter(|(_, issue)| issue.state == IssueState::Open).count();
        (repo, open, issues.len() - open)
    };
    let repos = gitea.repos().into_iter().map(count).collect();
    let frame = Frame::new(&site, "Repositories".to_owned());
    Ok(page(StatusCode::OK, &Repositories { frame, repos }))
}

/// The handler of `GET /{owner}/{name}`.
pub(super) async fn repository(site: Data<Site>, place: Place) -> Answer {
    let (_, repo) = repo_at(&site, &place)?;
    Ok(see_other(&format!("/{repo}/issues")))
}

/// The handler of `GET /{owner}/{name}/issues`: newest first, pull requests among them.
pub(super) async fn issues(site: Data<Site>, place: Place) -> Answer {
    let (gitea, repo) = repo_at(&site, &place)?;
    let row = |(at, issue): (IssueRef, IssueView)| Row {
        path: path_of(&at, issue.is_pull_request),
        number: at.number,
        state: state(&issue),
        issue,
    };
    let issues = gitea.issues(&repo).into_iter().rev().map(row).collect();
    let frame = Frame::new(&site, format!("Issues of {repo}"));
    let is_watched = site.is_watched(&repo);
    Ok(page(StatusCode::OK, &Issues { frame, repo, is_watched, issues }))
}

/// The handler of `GET /{owner}/{name}/issues/new`, which takes a title and a body to begin with, as Gitea's does.
pub(super) async fn new_issue(site: Data<Site>, place: Place, given: Query<Fields>) -> Answer {
    let (_, repo) = watched_at(&site, &place)?;
    let [title, body] = ["title", "body"].map(|name| given.get(name).cloned().unwrap_or_default());
    let frame = Frame::new(&site, format!("New issue in {repo}"));
    let examples = world::EXAMPLES.map(|(name, title, body)| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([("title", title), ("body", body)]);
        (name, format!("/{repo}/issues/new?{}", query.finish()))
    });
    let examples = examples.into();
    Ok(page(StatusCode::OK, &New { frame, repo, people: PEOPLE, title, body, examples }))
}

/// The handler of `POST /{owner}/{name}/issues/new`.
pub(super) async fn open_issue(
    site: Data<Site>,
    place: Place,
    request: HttpRequest,
    form: Form<Fields>,
) -> Answer {
    own_form(&site, &request)?;
    let (gitea, repo) = watched_at(&site, &place)?;
    let [title, body] = [field(&form, "title", LONGEST[0]), field(&form, "body", LONGEST[1])];
    if title.is_empty() {
        return Err(refused(&site, "An issue needs a title. Go back and write one."));
    }
    let at = world::open(&gitea, &repo, by(&form), [&title, &body]);
    Ok(see_other(&path_of(&at, false)))
}

/// The handler of `GET /{owner}/{name}/issues/{number}` and of the same below `pulls`.
pub(super) async fn issue(site: Data<Site>, place: Path<(String, String, String, u64)>) -> Answer {
    let gitea = forge(&site)?;
    let (owner, name, kind, number) = place.into_inner();
    let place = format!("{owner}/{name}#{number}");
    if place.parse().is_ok_and(|at| gitea.has_deleted(&at)) {
        // Not an error, as a link to it is none: what is left of the issue leads here.
        let frame = Frame::new(&site, format!("Issue {number} of {owner}/{name}"));
        return Ok(page(StatusCode::OK, &Message { frame, text: "This issue was deleted." }));
    }
    let (at, issue) = issue_at(&site, &gitea, &place)?;
    if issue.is_pull_request != (kind == "pulls") {
        return Ok(see_other(&path_of(&at, issue.is_pull_request)));
    }
    let service = site.dashboard.get().map(|dashboard| dashboard.url.as_str());
    let links = Links { gitea: &gitea, service };
    let html = |text: &str| markdown::rendered(text, |address| links.lead(address));
    Ok(page(
        StatusCode::OK,
        &Issue {
            frame: Frame::new(&site, format!("{at} {}", issue.title)),
            body: html(&issue.body),
            lines: issue.timeline.iter().map(|line| shown(line, html)).collect(),
            people: PEOPLE,
            is_watched: site.is_watched(&at.repo),
            state: state(&issue),
            at,
            issue,
        },
    ))
}

/// The handler of `POST /{owner}/{name}/issues/{number}/comments`.
pub(super) async fn comment(
    site: Data<Site>,
    place: Path<(String, String, u64)>,
    request: HttpRequest,
    form: Form<Fields>,
) -> Answer {
    own_form(&site, &request)?;
    let gitea = forge(&site)?;
    let (owner, name, number) = place.into_inner();
    let (at, issue) = issue_at(&site, &gitea, &format!("{owner}/{name}#{number}"))?;
    let body = field(&form, "body", LONGEST[1]);
    takes_more(&site, &at.repo)?;
    if body.is_empty() {
        return Err(refused(&site, "A comment needs a text. Go back and write one."));
    }
    let id = world::comment(&gitea, &at, by(&form), &body);
    Ok(see_other(&format!("{}#issuecomment-{id}", path_of(&at, issue.is_pull_request))))
}

fn shown(line: &TimelineView, html: impl Fn(&str) -> String) -> Line {
    let TimelineView { id, at, kind, by, about } = line.clone();
    let bare = about.trim_start_matches(['+', '-']).to_owned();
    let is_added = about.starts_with('+');
    let (what, about) = match kind.as_str() {
        "comment" => ("", String::new()),
        "label" if is_added => ("added the label", bare),
        "label" => ("removed the label", bare),
        "assignees" if is_added => ("assigned", bare),
        "assignees" => ("unassigned", bare),
        "change_title" => ("changed the title to", about),
        "close" => ("closed this", String::new()),
        "reopen" => ("reopened this", String::new()),
        "add_dependency" => ("made this wait for", about),
        "remove_dependency" => ("no longer lets this wait for", about),
        _ => ("named this in", about),
    };
    let said = if kind == "comment" { html(&line.about) } else { String::new() };
    Line { id, by, at, said, what, about }
}

fn repo_at(site: &Site, place: &Place) -> Result<(FakeGitea, RepoName), Refusal> {
    let gitea = forge(site)?;
    let name = format!("{}/{}", place.0, place.1);
    let found = gitea.repos().into_iter().find(|repo| repo.to_string().eq_ignore_ascii_case(&name));
    let repo = found.ok_or_else(|| missing(site, "There is no such repository."))?;
    Ok((gitea, repo))
}

/// The repository, whose webhook has to be there.
fn watched_at(site: &Site, place: &Place) -> Result<(FakeGitea, RepoName), Refusal> {
    let (gitea, repo) = repo_at(site, place)?;
    takes_more(site, &repo)?;
    Ok((gitea, repo))
}

fn takes_more(site: &Site, repo: &RepoName) -> Result<(), Refusal> {
    let why = "This repository replays what a real forge sent, and takes new issues after that, and comments.";
    if site.is_watched(repo) { Ok(()) } else { Err(refused(site, why)) }
}

fn issue_at(site: &Site, gitea: &FakeGitea, at: &str) -> Result<(IssueRef, IssueView), Refusal> {
    let found = at.parse().ok().and_then(|at: IssueRef| Some((gitea.issue(&at)?, at)));
    let (issue, at) = found.ok_or_else(|| missing(site, "There is no such issue."))?;
    Ok((at, issue))
}

fn missing(site: &Site, why: &'static str) -> Refusal {
    Refusal::new(site, StatusCode::NOT_FOUND, why)
}

fn refused(site: &Site, why: &'static str) -> Refusal {
    Refusal::new(site, StatusCode::UNPROCESSABLE_ENTITY, why)
}

/// A word for the state of an issue.
fn state(issue: &IssueView) -> &'static str {
    match issue.state {
        IssueState::Open => "open",
        IssueState::Closed => "closed",
    }
}

/// Refuses a form of another site; every browser says with every form where it is from.
fn own_form(site: &Site, request: &HttpRequest) -> Result<(), Refusal> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let origin = text(ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
    match origin.is_some() && origin == text(HOST) {
        true => Ok(()),
        false => {
            let why = "The form came from another site.";
            Err(Refusal::new(site, StatusCode::FORBIDDEN, why))
        }
    }
}

fn field(form: &Fields, name: &str, longest: usize) -> String {
    let text = form.get(name).map(|text| text.trim()).unwrap_or_default();
    text.chars().take(longest).collect()
}

/// In whose name a form was sent.
fn by(form: &Fields) -> &'static str {
    let given = form.get("by").map(String::as_str);
    PEOPLE.into_iter().find(|person| Some(*person) == given).unwrap_or(PEOPLE[0])
}
