//! The endpoints under `/api/v1`: who asks, which place is meant, and which function answers.

mod comments;
mod dependencies;
mod hooks;
mod issues;
mod labels;
mod patch;
mod places;
mod pulls;
mod scopes;

use serde_json::json;

use self::hooks::Hooks;
use super::call::{Answer, Call, DEFAULT_LIMIT, MAX_LIMIT, Reply};
use super::oauth;
use super::record::{Access, At, Issue, Repo, Scope};
use super::team::ISSUES;
use super::world::State;

/// Answers one call.
pub(super) fn answer(state: &mut State, call: &Call) -> Answer {
    let path: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    if let ["login", "oauth", rest @ ..] = path.as_slice() {
        return oauth::answer(state, call, rest).unwrap_or_else(|refusal| refusal);
    }
    let ["api", "v1", rest @ ..] = path.as_slice() else { return Answer::unknown_path() };
    let by = match caller(state, call) {
        Ok(by) => by,
        Err(refusal) => return refusal,
    };
    match (call.method.as_str(), rest) {
        ("GET", ["version"]) => return Answer::ok(json!({"version": state.flavour.version()})),
        ("GET", ["settings", "api"]) => return settings(),
        _ => {}
    }
    let Some(by) = by else { return Answer::error(401, "token is required") };
    if let Some(refusal) = scopes::refusal(state, call, rest) {
        return refusal;
    }
    route(state, call, by, rest).unwrap_or_else(|refusal| refusal)
}

/// Who calls: `None` without a token. A wrong token is refused everywhere, even where none is needed.
pub(super) fn caller(state: &State, call: &Call) -> Result<Option<i64>, Answer> {
    if call.authorization.is_empty() {
        return Ok(None);
    }
    let mut words = call.authorization.split_whitespace();
    let scheme = words.next().unwrap_or_default();
    let token = words.next().unwrap_or_default();
    let known = ["token", "bearer"].iter().any(|s| scheme.eq_ignore_ascii_case(s));
    let user = state.tokens.get(token).copied().or_else(|| oauth::speaks_for(state, token));
    let user = user.filter(|_| known && words.next().is_none());
    user.map(Some).ok_or_else(|| Answer::error(401, "invalid username, password or token"))
}

fn settings() -> Answer {
    Answer::ok(json!({
        "max_response_items": MAX_LIMIT,
        "default_paging_num": DEFAULT_LIMIT,
        "default_git_trees_per_page": 1000,
        "default_max_blob_size": 10_485_760,
        "default_max_response_size": 104_857_600,
    }))
}

fn route(state: &mut State, call: &Call, by: i64, path: &[&str]) -> Reply {
    match (call.method.as_str(), path) {
        ("GET", ["user"]) => Ok(places::me(state, by)),
        ("GET", ["users", "search"]) => Ok(places::users(state, call)),
        ("GET", ["teams", id]) => places::team(state, by, number(id)?, None),
        ("GET", ["teams", id, "members", login]) => {
            places::team(state, by, number(id)?, Some(login))
        }
        ("GET", ["repositories", id]) => places::by_id(state, by, number(id)?),
        ("GET", ["users" | "orgs", login, ..]) if state.user_id(login).is_none() => {
            Err(state.redirect(call, login, None).unwrap_or_else(|| places::unknown(login)))
        }
        ("GET", ["users", login]) => places::user(state, login),
        ("GET", ["repos", "issues", "search"]) => issues::search(state, call, by),
        ("GET", ["repos", "search"]) => Ok(places::search(state, call, by)),
        ("GET", ["users", login, "repos"]) => places::repos_of(state, call, by, login),
        ("GET", ["orgs", org]) => {
            places::known_org(state, org)?;
            places::user(state, org)
        }
        ("GET", ["orgs", org, "repos"]) => {
            places::known_org(state, org)?;
            places::repos_of(state, call, by, org)
        }
        (_, ["orgs", org, "labels"]) => labels::of_org(state, call, by, org),
        (_, ["orgs", org, "hooks", rest @ ..]) => {
            places::org_owner(state, by, org)?;
            Hooks { state, call, scope: Scope::Org(org.to_lowercase()) }.route(by, rest)
        }
        (_, ["repos", owner, name, rest @ ..]) => {
            let repo = format!("{owner}/{name}").to_lowercase();
            if !state.repos.contains_key(&repo)
                && let Some(elsewhere) = state.redirect(call, owner, Some(name))
            {
                return Err(elsewhere);
            }
            let Some(found) = state.repos.get(&repo).filter(|r| state.is_visible(r, by)) else {
                return Err(Answer::not_found());
            };
            let access = state.access(found, by);
            Desk { state, call, by, repo, access }.route(rest)
        }
        _ => Err(Answer::unknown_path()),
    }
}

/// One call to a repository that the caller may see.
struct Desk<'a> {
    state: &'a mut State,
    call: &'a Call,
    by: i64,
    repo: String,
    access: Access,
}

impl Desk<'_> {
    fn route(mut self, path: &[&str]) -> Reply {
        match (self.call.method.as_str(), path) {
            ("GET", []) => self.show_repo(),
            ("GET", ["issues"]) => self.list_issues(),
            ("POST", ["issues"]) => self.create_issue(),
            ("GET", ["issues", "comments"]) => self.list_all_comments(),
            (_, ["issues", "comments", id, rest @ ..]) => self.route_comment(number(id)?, rest),
            (_, ["issues", n, rest @ ..]) => self.route_issue(number(n)?, rest),
            ("GET", ["pulls"]) => self.list_pulls(),
            ("POST", ["pulls"]) => self.create_pull(),
            ("GET", ["pulls", n]) => self.show_pull(number(n)?),
            ("GET", ["pulls", n, "reviews"]) => self.list_reviews(number(n)?),
            ("GET", ["pulls", n, "reviews", id, "comments"]) => {
                self.list_review_comments(number(n)?, number(id)?)
            }
            ("GET", ["commits", sha, "status"]) => self.commit_status(sha),
            (_, ["labels", rest @ ..]) => self.route_labels(rest),
            ("GET", ["assignees"]) => self.assignees(),
            ("GET", ["teams"]) => self.teams(),
            ("GET", ["collaborators", login, "permission"]) => self.permission(login),
            (_, ["hooks", rest @ ..]) => {
                self.require_admin()?;
                let Desk { state, call, by, repo, .. } = self;
                Hooks { state, call, scope: Scope::Repo(repo) }.route(by, rest)
            }
            _ => Err(Answer::unknown_path()),
        }
    }

    fn route_issue(&mut self, number: u64, path: &[&str]) -> Reply {
        let at = At { repo: self.repo.clone(), number };
        match (self.call.method.as_str(), path) {
            (_, ["comments" | "timeline"]) if self.state.issue(&at).is_none() => {
                Err(self.state.flavour.missing_issue())
            }
            _ if self.state.issue(&at).is_none() => Err(Answer::not_found()),
            ("GET", []) => self.show_issue(&at),
            ("PATCH", []) => self.patch_issue(&at),
            ("DELETE", []) => self.delete_issue(&at),
            ("GET", ["comments"]) => self.list_comments(&at),
            ("POST", ["comments"]) => self.create_comment(&at),
            ("GET", ["timeline"]) => self.timeline(&at),
            (_, ["labels", rest @ ..]) => self.route_issue_labels(&at, rest),
            (_, ["dependencies"]) => self.route_dependencies(&at),
            ("GET", ["blocks"]) => self.blocks(&at),
            (_, ["reactions"]) => self.route_reactions(&at, None),
            _ => Err(Answer::unknown_path()),
        }
    }

    /// The repository; it was there when the desk was opened.
    fn home(&self) -> Result<&Repo, Answer> {
        self.state.repos.get(&self.repo).ok_or_else(Answer::not_found)
    }

    fn issue(&self, at: &At) -> Result<&Issue, Answer> {
        self.state.issue(at).ok_or_else(Answer::not_found)
    }

    fn may_write(&self) -> bool {
        self.home().is_ok_and(|repo| self.state.unit(repo, self.by, ISSUES) >= Access::Write)
    }

    fn require_write(&self) -> Result<(), Answer> {
        let message = "user should have a permission to write to a repo";
        if self.may_write() { Ok(()) } else { Err(Answer::error(403, message)) }
    }

    fn require_admin(&self) -> Result<(), Answer> {
        let message = "user should be an owner or a collaborator with admin write of a repository";
        if self.access >= Access::Admin { Ok(()) } else { Err(Answer::error(403, message)) }
    }

    /// Refuses what an archived repository refuses; labels, PATCH and removals are not among it.
    fn require_live(&self) -> Result<(), Answer> {
        let archived = self.home()?.archived;
        if archived { Err(Answer::error(423, "repo is archived")) } else { Ok(()) }
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, Answer> {
    text.parse().map_err(|_| Answer::not_found())
}
