//! Issues: listing, showing, opening, removing, and their timeline.

use serde::Deserialize;
use serde_json::Value;

use super::Desk;
use crate::fake_gitea::call::{Answer, Call, Reply};
use crate::fake_gitea::change::Opening;
use crate::fake_gitea::record::{At, Issue, ROOT_URL, Repo};
use crate::fake_gitea::show_issue;
use crate::fake_gitea::world::State;

/// How many issues the search over repositories gives, unless asked for another number: `[ui] ISSUE_PAGING_NUM`.
const SEARCHED: usize = 20;

#[derive(Deserialize)]
struct CreateIssue {
    #[serde(default)]
    title: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    labels: Option<Vec<i64>>,
    #[serde(default)]
    assignees: Option<Vec<String>>,
    #[serde(default)]
    closed: bool,
}

/// The filters of a list, read once.
struct Filter {
    state: String,
    kind: String,
    labels: Vec<i64>,
    author: Option<i64>,
    assignee: Option<i64>,
    words: Option<String>,
}

impl Filter {
    fn read(desk: &Desk<'_>) -> Result<Self, Answer> {
        let call = desk.call;
        Ok(Self {
            state: call.param("state").unwrap_or_default(),
            kind: call.param("type").unwrap_or_default(),
            labels: named_labels(desk)?,
            author: named_user(desk.state, call, "created_by")?,
            assignee: named_user(desk.state, call, "assigned_by")?,
            words: call.param("q").map(|q| q.to_lowercase()),
        })
    }

    /// The filters of the search over repositories, as far as anybody here uses them.
    fn over_repos(call: &Call) -> Self {
        Self {
            state: call.param("state").unwrap_or_default(),
            kind: call.param("type").unwrap_or_default(),
            labels: Vec::new(),
            author: None,
            assignee: None,
            words: call.param("q").map(|q| q.to_lowercase()),
        }
    }

    fn fits(&self, issue: &Issue) -> bool {
        let state = match self.state.as_str() {
            "all" => true,
            "closed" => issue.closed.is_some(),
            _ => issue.closed.is_none(),
        };
        let kind = match self.kind.as_str() {
            "issues" => issue.pull.is_none(),
            "pulls" => issue.pull.is_some(),
            _ => true,
        };
        let words = |w: &String| {
            issue.title.to_lowercase().contains(w) || issue.body.to_lowercase().contains(w)
        };
        state
            && kind
            && self.labels.iter().all(|id| issue.labels.contains(id))
            && self.author.is_none_or(|id| issue.author == id)
            && self.assignee.is_none_or(|id| issue.assignees.contains(&id))
            && self.words.as_ref().is_none_or(words)
    }
}

/// Only the repository's own labels are looked up, and unknown names are dropped, so that
/// a filter for an organisation's label filters nothing.
fn named_labels(desk: &Desk<'_>) -> Result<Vec<i64>, Answer> {
    let names = desk.call.param("labels").unwrap_or_default();
    let repo = desk.home()?;
    let id_of = |name: &str| repo.labels.iter().find(|l| l.name == name).map(|l| l.id);
    Ok(names.split(',').filter_map(|name| id_of(name.trim())).collect())
}

fn named_user(state: &State, call: &Call, param: &str) -> Result<Option<i64>, Answer> {
    let Some(login) = call.param(param) else { return Ok(None) };
    state.user_id(&login).map(Some).ok_or_else(Answer::not_found)
}

/// `GET /repos/issues/search`: newest first, of what the account may read. Without an owner that is every public
/// repository and the private ones that are shared with it; with one, the owner's (routers/api/v1/repo/issue.go,
/// `SearchIssues`). Archived repositories are no exception, and nothing is asked of the index without words.
pub(super) fn search(state: &State, call: &Call, by: i64) -> Reply {
    let owner = call.param("owner");
    if let Some(owner) = owner.as_ref().filter(|owner| state.user_id(owner).is_none()) {
        let message = format!("user does not exist [uid: 0, name: {owner}]");
        return Err(Answer::error(400, &message));
    }
    let is_meant = |repo: &Repo| {
        let owns = |owner: &String| repo.name.owner().eq_ignore_ascii_case(owner);
        owner.as_ref().is_none_or(owns)
            && state.is_visible(repo, by)
            && !state.unsearched.contains(&repo.id)
    };
    let filter = Filter::over_repos(call);
    let is_asked = call.span()?;
    let repos = state.repos.values().filter(|repo| is_meant(repo));
    let issues = repos.flat_map(|repo| repo.issues.values().map(move |issue| (repo, issue)));
    let mut found: Vec<_> =
        issues.filter(|(_, issue)| is_asked(issue.updated) && filter.fits(issue)).collect();
    found.sort_by_key(|(_, issue)| std::cmp::Reverse((issue.created, issue.id)));
    let page = call.slice_of(&found, SEARCHED);
    let items = page.iter().map(|(repo, issue)| show_issue::issue(state, repo, issue)).collect();
    Ok(Answer::list(items, found.len()))
}

impl Desk<'_> {
    /// `GET …/issues`: newest first, issues and pull requests alike unless `type` says otherwise.
    pub(super) fn list_issues(&self) -> Reply {
        let (filter, is_asked) = (Filter::read(self)?, self.call.span()?);
        let repo = self.home()?;
        let fits = |i: &&Issue| is_asked(i.updated) && filter.fits(i);
        let mut found: Vec<_> = repo.issues.values().filter(fits).collect();
        found.sort_by_key(|i| std::cmp::Reverse((i.created, i.id)));
        let page = self.call.slice(&found, false);
        let items = page.iter().map(|i| show_issue::issue(self.state, repo, i)).collect();
        let answer = Answer::list(items, found.len());
        let links = self.links(found.len());
        Ok(if links.is_empty() { answer } else { answer.with_header("Link", links) })
    }

    /// The `Link` header, with addresses that need not be reachable.
    fn links(&self, total: usize) -> String {
        let page = self.call.page().unwrap_or(1);
        let last = total.div_ceil(self.call.limit());
        let mut links = Vec::new();
        if page < last {
            links.extend([("next", page + 1), ("last", last)]);
        }
        if page > 1 {
            links.extend([("first", 1), ("prev", page - 1)]);
        }
        let render = |(rel, page): &(&str, usize)| {
            format!("<{ROOT_URL}{}?{}>; rel=\"{rel}\"", self.call.path, self.query_for(*page))
        };
        links.iter().map(render).collect::<Vec<_>>().join(",")
    }

    fn query_for(&self, page: usize) -> String {
        let mut pairs: Vec<_> = form_urlencoded::parse(self.call.query.as_bytes())
            .filter(|(key, _)| key != "page")
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        pairs.push(("page".to_owned(), page.to_string()));
        pairs.sort();
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    /// `GET …/issues/{n}`: pull requests too.
    pub(super) fn show_issue(&self, at: &At) -> Reply {
        Ok(Answer::ok(self.issue_json(at)?))
    }

    pub(super) fn issue_json(&self, at: &At) -> Result<Value, Answer> {
        Ok(show_issue::issue(self.state, self.home()?, self.issue(at)?))
    }

    /// `POST …/issues`: from somebody who may not write, labels and assignees are dropped silently.
    pub(super) fn create_issue(&mut self) -> Reply {
        self.require_live()?;
        let form: CreateIssue = self.call.json()?;
        if form.title.is_empty() {
            return Err(Answer::error(422, "[Title]: Required"));
        }
        let mut new =
            Opening { title: form.title, body: form.body, author: self.by, ..Opening::default() };
        if self.may_write() {
            let repo = self.home()?;
            let asked = form.labels.unwrap_or_default();
            new.labels = self.state.labels_of(repo, &asked).iter().map(|l| l.id).collect();
            new.assignees = self.to_be_assigned(&form.assignees.unwrap_or_default())?;
        }
        let at = self.state.open(&self.repo, new).ok_or_else(Answer::not_found)?;
        if form.closed {
            self.state.set_closed(&at, self.by, true);
        }
        Ok(Answer::created(self.issue_json(&at)?))
    }

    fn to_be_assigned(&self, logins: &[String]) -> Result<Vec<i64>, Answer> {
        let resolve = |login: &String| {
            let missing = format!(
                "Assignee does not exist: [name: user does not exist [uid: 0, name: {login}]]"
            );
            let id = self.state.user_id(login).ok_or_else(|| Answer::error(422, &missing))?;
            if self.state.is_org(login) {
                return Err(Answer::broken());
            }
            let allowed = self.state.assignable(&self.repo, id);
            if allowed { Ok(id) } else { Err(Answer::error(422, "user is not assignable")) }
        };
        logins.iter().map(resolve).collect()
    }

    /// `DELETE …/issues/{n}`: admins only.
    pub(super) fn delete_issue(&mut self, at: &At) -> Reply {
        self.require_admin()?;
        self.state.delete(at, self.by);
        Ok(Answer::empty(204))
    }

    /// `GET …/issues/{n}/timeline`: whole without a page, `null` when empty.
    pub(super) fn timeline(&self, at: &At) -> Reply {
        let (repo, issue) = (self.home()?, self.issue(at)?);
        let is_asked = self.call.span()?;
        let all: Vec<_> = issue.timeline.iter().filter(|e| is_asked(e.updated)).collect();
        let page = self.call.slice(&all, true).iter();
        let shown = page.map(|e| show_issue::timeline(self.state, repo, issue, e));
        Ok(Answer::list_or_null(shown.collect()))
    }
}
