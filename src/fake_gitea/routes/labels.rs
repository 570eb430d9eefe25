//! Label definitions and the labels of an issue.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::{Desk, number, places};
use crate::fake_gitea::call::{Answer, Call, Reply};
use crate::fake_gitea::record::{At, Label};
use crate::fake_gitea::show;
use crate::fake_gitea::world::State;

#[expect(clippy::expect_used, reason = "a constant pattern, tried by the tests")]
static COLOR: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})$").expect("pattern"));

#[derive(Deserialize)]
struct LabelForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    color: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    exclusive: bool,
    #[serde(default)]
    is_archived: bool,
}

impl LabelForm {
    fn read(call: &Call) -> Result<Self, Answer> {
        let mut form: Self = call.json()?;
        if form.name.is_empty() {
            return Err(Answer::error(422, "[Name]: Required"));
        }
        if form.color.is_empty() {
            return Err(Answer::error(422, "[Color]: Required"));
        }
        form.color = normal_color(&form.color)?;
        Ok(form)
    }

    fn complete(self, label: &mut Label) {
        label.description = self.description;
        label.exclusive = self.exclusive;
        label.is_archived = self.is_archived;
    }
}

/// Six digits in lower case, without `#`; three are doubled.
fn normal_color(color: &str) -> Result<String, Answer> {
    let bad = || Answer::error(422, &format!("invalid color: #{}", color.trim_start_matches('#')));
    let digits = COLOR.captures(color).and_then(|c| c.get(1)).ok_or_else(bad)?;
    let digits = digits.as_str().to_lowercase();
    Ok(if digits.len() == 3 { digits.chars().flat_map(|c| [c, c]).collect() } else { digits })
}

/// `/orgs/{org}/labels`.
pub(super) fn of_org(state: &mut State, call: &Call, by: i64, org: &str) -> Reply {
    places::known_org(state, org)?;
    if call.method == "POST" {
        places::org_owner(state, by, org)?;
        let form = LabelForm::read(call)?;
        let id = state.define_org_label(org, &form.name, &form.color).id;
        let all = state.org_labels.entry(org.to_lowercase()).or_default();
        let label = all.iter_mut().find(|l| l.id == id).ok_or_else(Answer::broken)?;
        form.complete(label);
        return Ok(Answer::created(show::label(label)));
    }
    let none = Vec::new();
    let all = state.org_labels.get(&org.to_lowercase()).unwrap_or(&none);
    Ok(listed(call, all))
}

fn listed(call: &Call, labels: &[Label]) -> Answer {
    let mut sorted: Vec<_> = labels.iter().collect();
    sorted.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let page = call.slice(&sorted, true).iter().map(|l| show::label(l)).collect();
    Answer::list(page, sorted.len())
}

impl Desk<'_> {
    /// `…/labels` and `…/labels/{id or name}`: the repository's own, not its organisation's.
    pub(super) fn route_labels(&mut self, path: &[&str]) -> Reply {
        match (self.call.method.as_str(), path) {
            ("GET", []) => Ok(listed(self.call, &self.home()?.labels)),
            ("GET", [which]) => {
                let labels = &self.home()?.labels;
                let id = which.parse::<i64>().ok();
                let fits = |l: &&Label| id.map_or(l.name == *which, |id| l.id == id);
                let found = labels.iter().find(fits).ok_or_else(Answer::not_found)?;
                Ok(Answer::ok(show::label(found)))
            }
            ("POST", []) => self.create_label(),
            ("DELETE", [id]) => self.delete_label(number(id)?),
            _ => Err(Answer::unknown_path()),
        }
    }

    /// A second label of the same name is made like the first.
    fn create_label(&mut self) -> Reply {
        self.require_write()?;
        let form = LabelForm::read(self.call)?;
        let made = self.state.define_label(&self.repo, &form.name, &form.color);
        let id = made.ok_or_else(Answer::broken)?.id;
        let repo = self.state.repos.get_mut(&self.repo).ok_or_else(Answer::not_found)?;
        let label = repo.labels.iter_mut().find(|l| l.id == id).ok_or_else(Answer::broken)?;
        form.complete(label);
        Ok(Answer::created(show::label(label)))
    }

    /// The label leaves its issues silently.
    fn delete_label(&mut self, id: i64) -> Reply {
        self.require_write()?;
        let repo = self.state.repos.get_mut(&self.repo).ok_or_else(Answer::not_found)?;
        repo.labels.retain(|l| l.id != id);
        for issue in repo.issues.values_mut() {
            issue.labels.retain(|l| *l != id);
        }
        Ok(Answer::empty(204))
    }

    /// `…/issues/{n}/labels` and `…/issues/{n}/labels/{id}`.
    pub(super) fn route_issue_labels(&mut self, at: &At, path: &[&str]) -> Reply {
        if self.call.method != "GET" {
            self.require_write()?;
        }
        match (self.call.method.as_str(), path) {
            ("GET", []) => self.issue_labels(at),
            ("POST", []) => {
                let ids = self.asked_labels()?;
                self.state.attach(at, self.by, &ids);
                self.issue_labels(at)
            }
            ("PUT", []) => {
                let ids = self.asked_labels()?;
                self.state.replace_labels(at, self.by, &ids);
                self.issue_labels(at)
            }
            ("DELETE", []) => {
                self.state.clear_labels(at, self.by);
                Ok(Answer::empty(204))
            }
            ("DELETE", [id]) => self.detach_label(at, id),
            _ => Err(Answer::unknown_path()),
        }
    }

    /// By id only; a name counts as the id 0.
    fn detach_label(&mut self, at: &At, id: &str) -> Reply {
        let id = id.parse().unwrap_or(0);
        let known = self.state.labels_for(self.home()?).any(|l| l.id == id);
        if !known {
            return Err(Answer::error(422, "label does not exist [label_id: 0]"));
        }
        self.state.detach(at, self.by, id);
        Ok(Answer::empty(204))
    }

    fn issue_labels(&self, at: &At) -> Reply {
        let labels = self.state.labels_of(self.home()?, &self.issue(at)?.labels);
        Ok(Answer::ok(labels.into_iter().map(show::label).collect()))
    }

    /// The ids meant by `{"labels": [...]}`: all ids or all names. Unknown ones are dropped without a word,
    /// and a name that is defined twice gives both.
    fn asked_labels(&self) -> Result<Vec<i64>, Answer> {
        let form: Value = self.call.json()?;
        let asked = form["labels"].as_array().cloned().unwrap_or_default();
        let ids: Vec<_> = asked.iter().filter_map(Value::as_i64).collect();
        let names: Vec<_> = asked.iter().filter_map(Value::as_str).collect();
        if ids.len() != asked.len() && names.len() != asked.len() {
            return Err(Answer::error(400, "labels should be an array of strings or integers"));
        }
        let meant = |l: &&Label| ids.contains(&l.id) || names.contains(&l.name.as_str());
        Ok(self.state.labels_for(self.home()?).filter(meant).map(|l| l.id).collect())
    }
}
