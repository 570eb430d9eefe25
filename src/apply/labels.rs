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

/// The ids of a repository's labels, as far as they were read. Locked while one is made, so that it is made once.
pub(super) type LabelCache = Arc<Mutex<HashMap<String, i64>>>;

impl Executor {
    /// Adds a label by id. Gitea drops what it does not know and answers 200, so the answer is compared; a label
    /// that was known and is gone is looked up once more.
    pub(super) async fn label(&self, at: &IssueRef, name: &str) -> Written {
        for _ in 0..2 {
            let Some(id) = self.label_id(&at.repo, name).await? else {
                return Ok(EffectOutcome::failed(format!(
                    "there is no label `{name}` and `labels.create` is off; create it or turn that on"
                )));
            };
            let names = self.forge.add_labels(at, &[id]).await?;
            if names.iter().any(|n| n == name) {
                return Ok(EffectOutcome::done(None));
            }
            self.label_cache(&at.repo).await.lock().await.clear();
        }
        Ok(EffectOutcome::failed(format!(
            "the forge did not keep the label `{name}`; check that it exists"
        )))
    }

    async fn label_cache(&self, repo: &RepoName) -> LabelCache {
        Arc::clone(self.label_caches.lock().await.entry(repo.clone()).or_default())
    }

    /// The id of the label, made when it does not exist. Gitea lets one name exist twice, so the list is read
    /// before, and no two tasks are here for one repository.
    async fn label_id(&self, repo: &RepoName, name: &str) -> Result<Option<i64>, forge::Error> {
        let cache = self.label_cache(repo).await;
        let mut cache = cache.lock().await;
        if let Some(id) = cache.get(name) {
            return Ok(Some(*id));
        }
        for label in self.forge.labels(repo).await? {
            // The repository's own labels are listed before its organisation's, and older ones first.
            cache.entry(label.name).or_insert(label.id);
        }
        if let Some(id) = cache.get(name) {
            return Ok(Some(*id));
        }
        if !self.labels.create {
            return Ok(None);
        }
        let made =
            self.forge.create_label(repo, name, &self.labels.color, "calls an agent").await?;
        boundary!("apply::label_made");
        cache.insert(made.name, made.id);
        Ok(Some(made.id))
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
