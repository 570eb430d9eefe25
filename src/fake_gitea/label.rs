//! Labels: their definitions, and how they come to an issue and leave it, with the misleading payloads that were recorded.

use super::outbox::Event;
use super::record::{At, EntryKind, Label};
use super::world::State;

impl State {
    /// Adds a definition to a repository. Equal names are not refused, as in Gitea.
    pub fn define_label(&mut self, repo: &str, name: &str, color: &str) -> Option<Label> {
        let place = format!("repos/{}", self.repos.get(repo)?.name);
        let label = self.new_label(name, color, place);
        self.repos.get_mut(repo)?.labels.push(label.clone());
        Some(label)
    }

    pub fn define_org_label(&mut self, org: &str, name: &str, color: &str) -> Label {
        let label = self.new_label(name, color, format!("orgs/{org}"));
        self.org_labels.entry(org.to_lowercase()).or_default().push(label.clone());
        label
    }

    fn new_label(&mut self, name: &str, color: &str, place: String) -> Label {
        Label {
            id: self.next_id("label"),
            name: name.to_owned(),
            color: color.to_owned(),
            description: String::new(),
            exclusive: false,
            is_archived: false,
            place,
        }
    }

    /// The ids of all labels with one of these names, made in the repository when there is none.
    pub fn ensure_labels(&mut self, repo: &str, names: &[String]) -> Vec<i64> {
        let mut ids = Vec::new();
        for name in names {
            let known = self.label_id(repo, name);
            ids.extend(
                known.or_else(|| self.define_label(repo, name, "ededed").map(|label| label.id)),
            );
        }
        ids
    }

    /// The id of the first label with this name, the repository's own before its organisation's.
    pub fn label_id(&self, repo: &str, name: &str) -> Option<i64> {
        let repo = self.repos.get(repo)?;
        self.labels_for(repo).find(|l| l.name == name).map(|l| l.id)
    }

    /// Adds labels. The event comes even when nothing changes.
    pub fn attach(&mut self, at: &At, by: i64, ids: &[i64]) {
        self.attach_silently(at, by, ids);
        self.fire(at, by, Event::new("issue_label", "label_updated"));
    }

    fn attach_silently(&mut self, at: &At, by: i64, ids: &[i64]) {
        for id in ids {
            let has = self.issue(at).is_some_and(|i| i.labels.contains(id));
            if !has && self.definition(at, *id).is_some() {
                self.drop_rivals(at, by, *id);
                self.set_label(at, by, *id, true);
            }
        }
    }

    /// Removes one label. The event comes even when it was not there.
    pub fn detach(&mut self, at: &At, by: i64, id: i64) {
        self.set_label(at, by, id, false);
        self.fire(at, by, Event::new("issue_label", "label_updated"));
    }

    /// Replaces all labels: new ones come first, then old ones go (models/issues/issue_label.go). Gitea's
    /// payload shows none at all, as recorded on 1.25.4.
    pub fn replace_labels(&mut self, at: &At, by: i64, ids: &[i64]) {
        self.attach_silently(at, by, ids);
        self.remove_all(at, by, ids);
        let mut event = Event::new("issue_label", "label_updated");
        event.wrong.labels = self.flavour.hides_replaced_labels().then(Vec::new);
        self.fire(at, by, event);
    }

    /// Removes all labels. The payload still shows them, as recorded on both forges.
    pub fn clear_labels(&mut self, at: &At, by: i64) {
        let mut event = Event::new("issue_label", "label_cleared");
        event.wrong.labels = self.issue(at).map(|i| i.labels.clone());
        self.remove_all(at, by, &[]);
        self.fire(at, by, event);
    }

    fn remove_all(&mut self, at: &At, by: i64, but: &[i64]) {
        let old = self.issue(at).map(|i| i.labels.clone()).unwrap_or_default();
        for id in old.into_iter().filter(|id| !but.contains(id)) {
            self.set_label(at, by, id, false);
        }
    }

    fn set_label(&mut self, at: &At, by: i64, id: i64, on: bool) {
        let Some(issue) = self.issue_mut(at).filter(|i| i.labels.contains(&id) != on) else {
            return;
        };
        if on {
            issue.labels.push(id);
        } else {
            issue.labels.retain(|l| *l != id);
        }
        self.log_label(at, by, id, on);
    }

    /// Writes the line of the timeline that says who changed which label.
    pub fn log_label(&mut self, at: &At, by: i64, id: i64, added: bool) {
        if let Some(label) = self.definition(at, id) {
            self.log(at, by, EntryKind::Label { label, added });
        }
    }

    /// Takes off the labels that an exclusive one of the same scope pushes out.
    fn drop_rivals(&mut self, at: &At, by: i64, id: i64) {
        let Some(new) = self.definition(at, id) else { return };
        let Some(scope) = new.scope() else { return };
        let old = self.issue(at).map(|i| i.labels.clone()).unwrap_or_default();
        for rival in old {
            let same = self.definition(at, rival).is_some_and(|l| l.scope() == Some(scope));
            if same {
                self.set_label(at, by, rival, false);
            }
        }
    }

    fn definition(&self, at: &At, id: i64) -> Option<Label> {
        let repo = self.repos.get(&at.repo)?;
        self.labels_for(repo).find(|l| l.id == id).cloned()
    }
}
