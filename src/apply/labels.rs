//! Labels: found by name, made once where they are missing, put on and taken off.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::{Executor, Written};
use crate::gitea as forge;
use crate::issue::{IssueRef, RepoName};
use crate::plan::EffectOutcome;

/// What to do about a label that does not exist.
#[derive(Clone, Debug)]
pub struct LabelRules {
    /// Make it.
    pub create: bool,
    /// In this colour, `#rrggbb`.
    pub color: String,
}

/// What becomes of a label that does not exist, where the rules want it. Gitea lets one name exist twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingLabel {
    /// It is made: nobody else makes one in this repository meanwhile.
    Made,
    /// It is left to the caller, who may not be alone.
    Left,
}

/// A repository's labels by name, as far as they were read. Locked while one is made, so that it is made once.
pub(super) type LabelCache = Arc<Mutex<HashMap<String, forge::Label>>>;

impl Executor {
    /// Adds a label by id; `None` where it is left to be made. Gitea drops what it does not know and answers 200, so the
    /// answer is compared; a label that was known and is gone is looked up once more.
    pub(super) async fn label(
        &self,
        at: &IssueRef,
        name: &str,
        missing: MissingLabel,
    ) -> Result<Option<EffectOutcome>, forge::Error> {
        // Where nothing is written, nobody else makes it twice.
        let is_left = missing == MissingLabel::Left && !self.forge.is_dry_run();
        let rules = self.labels.load_full();
        let color = (rules.create && !is_left).then_some(&*rules.color);
        for _ in 0..2 {
            let Some(label) = self.find_label(&at.repo, name, color).await? else {
                let no_label = || {
                    EffectOutcome::failed(format!(
                        "there is no label `{name}` and `labels.create` is off; create it or turn that on"
                    ))
                };
                return Ok((!rules.create).then(no_label));
            };
            if let Some(other) = self.pushed_out(at, &label).await? {
                return Ok(Some(EffectOutcome::failed(format!(
                    "the label `{name}` is exclusive and would take `{other}` off the issue; take that off, or make the label of the agent one that is not exclusive"
                ))));
            }
            let names = self.forge.add_labels(at, &[label.id]).await?;
            if names.iter().any(|n| n == name) {
                return Ok(Some(EffectOutcome::done(None)));
            }
            self.label_cache(&at.repo).await.lock().await.clear();
        }
        Ok(Some(EffectOutcome::failed(format!(
            "the forge did not keep the label `{name}`; check that it exists"
        ))))
    }

    /// The label that an exclusive one would take off the issue without a word.
    async fn pushed_out(
        &self,
        at: &IssueRef,
        label: &forge::Label,
    ) -> Result<Option<String>, forge::Error> {
        let Some(scope) = forge::Label::scope(&label.name).filter(|_| label.exclusive) else {
            return Ok(None);
        };
        let is_other =
            |name: &String| *name != label.name && forge::Label::scope(name) == Some(scope);
        let issue = self.forge.issue(at).await?;
        Ok(issue.and_then(|issue| issue.labels.into_iter().find(is_other)))
    }

    async fn label_cache(&self, repo: &RepoName) -> LabelCache {
        Arc::clone(self.label_caches.lock().await.entry(repo.clone()).or_default())
    }

    async fn known_label(
        &self,
        repo: &RepoName,
        name: &str,
        cache: &mut HashMap<String, forge::Label>,
    ) -> Result<Option<forge::Label>, forge::Error> {
        if let Some(label) = cache.get(name) {
            return Ok(Some(label.clone()));
        }
        for label in self.forge.labels(repo).await? {
            // The repository's own labels are listed before its organisation's, and older ones first.
            cache.entry(label.name.clone()).or_insert(label);
        }
        Ok(cache.get(name).cloned())
    }

    /// The label, made in this colour when it does not exist. The list is read before, and no two tasks of this process are here
    /// for one repository.
    async fn find_label(
        &self,
        repo: &RepoName,
        name: &str,
        color: Option<&str>,
    ) -> Result<Option<forge::Label>, forge::Error> {
        let cache = self.label_cache(repo).await;
        let mut cache = cache.lock().await;
        if let Some(label) = self.known_label(repo, name, &mut cache).await? {
            return Ok(Some(label));
        }
        let Some(color) = color else { return Ok(None) };
        let made = self.forge.create_label(repo, name, color, "calls an agent").await?;
        boundary!("apply::label_made");
        cache.insert(made.name.clone(), made.clone());
        Ok(Some(made))
    }

    /// Takes a label off. One that does not exist (any more) is on no issue.
    pub(super) async fn unlabel(&self, at: &IssueRef, name: &str) -> Written {
        let labels = self.forge.labels(&at.repo).await?;
        // Names are not unique, and which of them is on the issue is not known here.
        for label in labels.iter().filter(|label| label.name == name) {
            self.forge.remove_label(at, label.id).await?;
        }
        Ok(EffectOutcome::done(None))
    }
}
