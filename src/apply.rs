//! Carries a plan out, in order; with `agents` and `summary` the only place that writes to the outside. It does not
//! decide what to write, and it keeps nothing but a short memory of labels and accounts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::gitea as forge;
use crate::issue::{Issue, IssueRef, RepoName};
use crate::plan::{Effect, EffectOutcome, EffectState};

/// How long an account that may be assigned is believed to stay so.
const ASSIGNABLE_FOR: Duration = Duration::from_secs(300);
/// How long an account that may not be assigned is believed to stay so: shorter, since somebody may be mending it.
const UNASSIGNABLE_FOR: Duration = Duration::from_secs(30);

/// How long somebody who may write to a repository is believed to be so.
const WRITERS_FOR: Duration = Duration::from_secs(60);

/// What to do about a label that does not exist.
#[derive(Clone, Debug)]
pub struct LabelRules {
    /// Make it.
    pub create: bool,
    /// In this colour, `#rrggbb`.
    pub color: String,
}

/// How far a plan was carried out.
#[derive(Debug)]
pub struct Applied {
    /// What became of the effects that were tried, in their order.
    pub effects: Vec<EffectOutcome>,
    /// What stopped it before the end.
    pub error: Option<forge::Error>,
}

/// The hands that write.
pub struct Hands {
    forge: forge::Client,
    labels: LabelRules,
    books: Mutex<HashMap<RepoName, Arc<Mutex<LabelBook>>>>,
    assignable: Mutex<HashMap<(RepoName, String), (Instant, bool)>>,
    writers: Mutex<HashMap<RepoName, (Instant, Vec<String>)>>,
}

/// The labels a repository has, as far as they were read. Held while one is made, so that it is made once.
#[derive(Default)]
struct LabelBook {
    ids: HashMap<String, i64>,
}

impl Hands {
    /// Hands that write through `forge`.
    pub fn new(forge: forge::Client, labels: LabelRules) -> Self {
        Self {
            forge,
            labels,
            books: Mutex::default(),
            assignable: Mutex::default(),
            writers: Mutex::default(),
        }
    }

    /// Writes what the plan asks for, in order, and stops at the first failure. Nothing is tried twice here.
    pub async fn apply(&self, at: &IssueRef, issue: &Issue, plan: &[Effect]) -> Applied {
        let mut effects = Vec::with_capacity(plan.len());
        for effect in plan {
            boundary!("apply::before");
            match self.write(at, issue, effect).await {
                Ok(outcome) => effects.push(outcome),
                Err(forge::Error::DryRun { .. }) => effects.push(withheld(effect)),
                Err(error) => return Applied { effects, error: Some(error) },
            }
            boundary!("apply::after");
        }
        Applied { effects, error: None }
    }

    async fn write(
        &self,
        at: &IssueRef,
        issue: &Issue,
        effect: &Effect,
    ) -> Result<EffectOutcome, forge::Error> {
        match effect {
            Effect::Comment { edit: None, body, .. } => {
                let comment = self.forge.post_comment(at, body).await?;
                Ok(done(Some(comment.id)))
            }
            Effect::Comment { edit: Some(id), body, .. } => {
                match self.forge.edit_comment(at, *id, body).await {
                    // Somebody removed it, and what a person removed is not put back.
                    Err(error) if error.status() == Some(404) => {
                        Ok(failed("the comment is gone; it is not written again".to_owned()))
                    }
                    answer => answer.map(|()| done(Some(*id))),
                }
            }
            Effect::Label(name) => self.label(at, name).await,
            Effect::Assignee(login) => self.assign(at, issue, login).await,
            Effect::Reaction { comment, content } => {
                match self.forge.react(at, *comment, content).await {
                    // An owner may have switched this reaction off, and the comment may be gone by now.
                    Err(error) if matches!(error.status(), Some(403 | 404)) => {
                        Ok(failed("the forge does not take this reaction here".to_owned()))
                    }
                    answer => answer.map(|()| done(None)),
                }
            }
        }
    }

    /// Adds a label by id. Gitea drops what it does not know and answers 200, so the answer is compared; a label
    /// that was known and is gone is looked up once more.
    async fn label(&self, at: &IssueRef, name: &str) -> Result<EffectOutcome, forge::Error> {
        for _ in 0..2 {
            let Some(id) = self.label_id(&at.repo, name).await? else {
                return Ok(failed(format!(
                    "there is no label `{name}` and `labels.create` is off; create it or turn that on"
                )));
            };
            let names = self.forge.add_labels(at, &[id]).await?;
            if names.iter().any(|n| n == name) {
                return Ok(done(None));
            }
            self.book(&at.repo).await.lock().await.ids.clear();
        }
        Ok(failed(format!("the forge did not keep the label `{name}`; check that it exists")))
    }

    async fn book(&self, repo: &RepoName) -> Arc<Mutex<LabelBook>> {
        Arc::clone(self.books.lock().await.entry(repo.clone()).or_default())
    }

    /// The id of the label, made when it does not exist. Gitea lets one name exist twice, so the list is read
    /// before, and no two tasks are here for one repository.
    async fn label_id(&self, repo: &RepoName, name: &str) -> Result<Option<i64>, forge::Error> {
        let book = self.book(repo).await;
        let mut book = book.lock().await;
        if let Some(id) = book.ids.get(name) {
            return Ok(Some(*id));
        }
        for label in self.forge.labels(repo).await? {
            // The repository's own labels are listed before its organisation's, and older ones first.
            book.ids.entry(label.name).or_insert(label.id);
        }
        if let Some(id) = book.ids.get(name) {
            return Ok(Some(*id));
        }
        if !self.labels.create {
            return Ok(None);
        }
        let made =
            self.forge.create_label(repo, name, &self.labels.color, "calls an agent").await?;
        boundary!("apply::label_made");
        book.ids.insert(made.name, made.id);
        Ok(Some(made.id))
    }

    /// Adds an assignee beside those the issue has; the API replaces the whole set.
    async fn assign(
        &self,
        at: &IssueRef,
        issue: &Issue,
        login: &str,
    ) -> Result<EffectOutcome, forge::Error> {
        let mut logins = issue.assignees.clone();
        logins.push(login.to_owned());
        let now = self.forge.set_assignees(at, &logins).await?;
        if now.iter().any(|l| l.eq_ignore_ascii_case(login)) {
            return Ok(done(None));
        }
        Ok(failed(format!("the forge did not assign `{login}`; check its access to `{}`", at.repo)))
    }

    /// Whether `login` may write to the repository; believed for a minute.
    ///
    /// # Errors
    /// When the forge cannot be asked.
    pub async fn may_write(&self, repo: &RepoName, login: &str) -> Result<bool, forge::Error> {
        let is_among = |all: &[String]| all.iter().any(|w| w.eq_ignore_ascii_case(login));
        if let Some((until, known)) = self.writers.lock().await.get(repo)
            && Instant::now() < *until
        {
            return Ok(is_among(known));
        }
        let writers = self.forge.writers(repo).await?;
        let answer = is_among(&writers);
        self.writers.lock().await.insert(repo.clone(), (Instant::now() + WRITERS_FOR, writers));
        Ok(answer)
    }

    /// Whether the forge will take `login` as an assignee. Asked before assigning: for an unknown login Gitea
    /// answers 500 and may have dropped the old assignees by then.
    ///
    /// # Errors
    /// When the forge cannot be asked.
    pub async fn is_assignable(&self, repo: &RepoName, login: &str) -> Result<bool, forge::Error> {
        let key = (repo.clone(), login.to_lowercase());
        if let Some((until, answer)) = self.assignable.lock().await.get(&key)
            && Instant::now() < *until
        {
            return Ok(*answer);
        }
        let answer = self.forge.assignable(repo, login).await?;
        let until = Instant::now() + if answer { ASSIGNABLE_FOR } else { UNASSIGNABLE_FOR };
        self.assignable.lock().await.insert(key, (until, answer));
        Ok(answer)
    }
}

fn done(forge_id: Option<i64>) -> EffectOutcome {
    EffectOutcome { state: EffectState::Done, forge_id, detail: None }
}

fn failed(detail: String) -> EffectOutcome {
    EffectOutcome { state: EffectState::Failed, forge_id: None, detail: Some(detail) }
}

/// What would have been written, for the ledger; a comment's text is kept whole, since nobody can read it elsewhere.
fn withheld(effect: &Effect) -> EffectOutcome {
    let detail = match effect {
        Effect::Comment { body, .. } => Some(body.clone()),
        _ => None,
    };
    EffectOutcome { state: EffectState::Withheld, forge_id: None, detail }
}
