//! Pull requests as such, and what the checks said of their commits.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Desk;
use crate::fake_gitea::call::{Answer, Reply};
use crate::fake_gitea::change::{Branches, Opening};
use crate::fake_gitea::record::{At, BASE_SHA, Issue, Pull, ROOT_URL, Review};
use crate::fake_gitea::{reviews, show, show_issue};

#[derive(Deserialize)]
struct CreatePull {
    #[serde(default)]
    head: String,
    #[serde(default)]
    base: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    body: String,
}

impl Desk<'_> {
    /// `GET …/pulls`: newest first. There is no filter for the branch: what is asked with `head` is ignored (Gitea 1.25,
    /// `ListPullRequests`).
    pub(super) fn list_pulls(&self) -> Reply {
        let repo = self.home()?;
        let is_asked = |issue: &&Issue| match self.call.param("state").as_deref() {
            Some("all") => true,
            Some("closed") => issue.closed.is_some(),
            _ => issue.closed.is_none(),
        };
        let pulls = repo.issues.values().filter(|issue| issue.pull.is_some());
        let mut found: Vec<_> = pulls.filter(is_asked).collect();
        found.sort_by_key(|i| std::cmp::Reverse((i.created, i.id)));
        let page = self.call.slice(&found, false);
        let items = page.iter().map(|i| show_issue::pull(self.state, repo, i)).collect();
        Ok(Answer::list(items, found.len()))
    }

    /// `POST …/pulls`: of branches of this repository, which are not looked at; a second open one of the same two is
    /// refused.
    pub(super) fn create_pull(&mut self) -> Reply {
        self.require_live()?;
        let form: CreatePull = self.call.json()?;
        for (value, name) in [(&form.head, "Head"), (&form.base, "Base"), (&form.title, "Title")] {
            if value.is_empty() {
                return Err(Answer::error(422, &format!("[{name}]: Required")));
            }
        }
        if form.head == form.base {
            let text = "Invalid PullRequest: There are no changes between the head and the base";
            return Err(Answer::error(422, text));
        }
        let repo = self.home()?;
        let is_same = |issue: &&Issue| {
            let pull = issue.pull.as_ref().filter(|_| issue.closed.is_none());
            pull.is_some_and(|pull| pull.head == form.head && pull.base == form.base)
        };
        if let Some(there) = repo.issues.values().find(is_same) {
            let text = format!(
                "pull request already exists for these targets [id: {0}, issue_id: {1}, head_repo_id: {2}, base_repo_id: {2}, head_branch: {3}, base_branch: {4}]",
                there.id, there.number, repo.id, form.head, form.base
            );
            return Err(Answer::error(409, &text));
        }
        let CreatePull { head, base, title, body } = form;
        let branches = Some(Branches { head, base });
        let author = self.by;
        let new = Opening { title, body, author, is_pull: true, branches, ..Opening::default() };
        let at = self.state.open(&self.repo, new).ok_or_else(Answer::not_found)?;
        let shown = show_issue::pull(self.state, self.home()?, self.issue(&at)?);
        Ok(Answer::created(shown))
    }

    /// `GET …/pulls/{n}`.
    pub(super) fn show_pull(&self, number: u64) -> Reply {
        let at = At { repo: self.repo.clone(), number };
        let issue = self.issue(&at)?;
        let shown = show_issue::pull(self.state, self.home()?, issue);
        if issue.pull.is_some() { Ok(Answer::ok(shown)) } else { Err(Answer::not_found()) }
    }

    /// `GET …/commits/{sha}/status`: all checks together; without any, the state is empty.
    pub(super) fn commit_status(&self, sha: &str) -> Reply {
        let repo = self.home()?;
        let mut pulls = repo.issues.values().filter_map(|i| i.pull.as_ref());
        let checks: Vec<_> = repo.checks.iter().filter(|one| one.sha == sha).collect();
        if checks.is_empty() && sha != BASE_SHA && !pulls.any(|p: &Pull| p.sha == sha) {
            return self.state.flavour.unknown_commit();
        }
        let api = format!("{ROOT_URL}/api/v1/repos/{}/commits/{sha}", repo.name);
        let each: Vec<_> = checks.iter().map(|one| reviews::check(repo, one)).collect();
        Ok(Answer::ok(json!({
            "state": reviews::combined(&checks),
            "sha": sha,
            "total_count": each.len(),
            "statuses": if each.is_empty() { Value::Null } else { each.into() },
            "repository": show::repo(self.state, repo, self.by),
            "commit_url": api,
            "url": format!("{api}/status"),
        })))
    }

    /// `GET …/pulls/{n}/reviews`: one that is pending only for who writes it.
    pub(super) fn list_reviews(&self, number: u64) -> Reply {
        let (repo, pull) = (self.home()?, self.reviewed(number)?);
        let is_shown = |one: &&Review| one.state != "PENDING" || one.by == self.by;
        let all: Vec<_> = pull.reviews.iter().filter(is_shown).collect();
        let page = self.call.slice(&all, false);
        let items = page.iter().map(|one| reviews::review(self.state, repo, number, one)).collect();
        Ok(Answer::list(items, all.len()))
    }

    /// `GET …/pulls/{n}/reviews/{id}/comments`: not paged.
    pub(super) fn list_review_comments(&self, number: u64, id: i64) -> Reply {
        let (repo, pull) = (self.home()?, self.reviewed(number)?);
        let review = pull.reviews.iter().find(|one| one.id == id).ok_or_else(Answer::not_found)?;
        Ok(Answer::ok(reviews::lines(self.state, repo, number, review)))
    }

    fn reviewed(&self, number: u64) -> Result<&Pull, Answer> {
        let at = At { repo: self.repo.clone(), number };
        self.issue(&at)?.pull.as_ref().ok_or_else(Answer::not_found)
    }
}
