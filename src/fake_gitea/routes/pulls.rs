//! Pull requests as such, and what the checks said of their commits.

use serde_json::{Value, json};

use super::Desk;
use crate::fake_gitea::call::{Answer, Reply};
use crate::fake_gitea::record::{At, BASE_SHA, Pull, ROOT_URL};
use crate::fake_gitea::{show, show_issue};

impl Desk<'_> {
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
        let pull = pulls.find(|p: &&Pull| p.sha == sha);
        if pull.is_none() && sha != BASE_SHA {
            return self.state.flavour.unknown_commit();
        }
        let status = pull.and_then(|p| p.status.as_deref());
        let api = format!("{ROOT_URL}/api/v1/repos/{}/commits/{sha}", repo.name);
        let one = |state: &str| json!([{"id": 1, "status": state, "context": "ci", "target_url": "", "description": ""}]);
        Ok(Answer::ok(json!({
            "state": status.unwrap_or_default(),
            "sha": sha,
            "total_count": usize::from(status.is_some()),
            "statuses": status.map_or(Value::Null, one),
            "repository": show::repo(self.state, repo, self.by),
            "commit_url": api,
            "url": format!("{api}/status"),
        })))
    }
}
