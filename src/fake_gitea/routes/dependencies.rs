//! Which issue waits for which.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Desk;
use crate::fake_gitea::call::{Answer, Reply};
use crate::fake_gitea::record::{Access, At};
use crate::fake_gitea::show_issue;

#[derive(Deserialize)]
struct Other {
    #[serde(default)]
    owner: String,
    #[serde(default, alias = "name")]
    repo: String,
    #[serde(default)]
    index: u64,
}

impl Desk<'_> {
    /// `…/issues/{n}/dependencies`: what this issue waits for, open and closed; 404 when switched off.
    pub(super) fn route_dependencies(&mut self, at: &At) -> Reply {
        if !self.home()?.dependencies {
            return Err(Answer::not_found());
        }
        if self.call.method == "GET" {
            let places = self.issue(at)?.depends_on.clone();
            return Ok(self.shown(&places));
        }
        self.require_live()?;
        self.require_write()?;
        let form: Other = self.call.json()?;
        let repo = format!("{}/{}", form.owner, form.repo).to_lowercase();
        let on = At { repo, number: form.index };
        self.issue(&on)?;
        match self.call.method.as_str() {
            // A second time is an internal error (seen on 1.25.4).
            "POST" if self.issue(at)?.depends_on.contains(&on) => Err(Answer::broken()),
            "POST" => {
                self.state.depend(at, self.by, &on);
                Ok(Answer::created(self.issue_json(at)?))
            }
            "DELETE" => {
                self.state.release(at, self.by, &on);
                Ok(Answer::ok(self.issue_json(at)?))
            }
            _ => Err(Answer::unknown_path()),
        }
    }

    /// `GET …/issues/{n}/blocks`: what waits for this issue.
    pub(super) fn blocks(&self, at: &At) -> Reply {
        let mut waiting = Vec::new();
        for (key, repo) in &self.state.repos {
            let here = repo.issues.values().filter(|i| i.depends_on.contains(at));
            waiting.extend(here.map(|i| At { repo: key.clone(), number: i.number }));
        }
        Ok(self.shown(&waiting))
    }

    /// What is shown of an issue that may not be read: to who may write here which one it is and how it stands, to others
    /// that there is one (routers/api/v1/repo/issue_dependency.go).
    fn confidential(&self, shown: Value) -> Value {
        let keys = ["number", "title", "state", "repository", "pull_request"];
        match shown {
            Value::Object(all) if self.access >= Access::Write => {
                let mut some: Map<String, Value> =
                    all.into_iter().filter(|(key, _)| keys.contains(&key.as_str())).collect();
                some.insert("id".to_owned(), json!(0));
                Value::Object(some)
            }
            _ => {
                json!({"id": 0, "number": 0, "title": "HIDDEN", "state": "open", "repository": null})
            }
        }
    }

    fn shown(&self, places: &[At]) -> Answer {
        let found = places.iter().filter_map(|at| self.state.place(at));
        let show = |(repo, issue)| {
            let shown = show_issue::issue(self.state, repo, issue);
            match self.state.is_visible(repo, self.by) {
                false => self.confidential(shown),
                true => shown,
            }
        };
        let all: Vec<_> = found.map(show).collect();
        Answer::ok(Value::Array(self.call.slice(&all, false).to_vec()))
    }
}
