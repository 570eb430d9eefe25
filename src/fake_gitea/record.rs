//! What the fake keeps: accounts, repositories, issues, hooks and deliveries as plain records. No behaviour beyond
//! lookups.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::view::DeliveryView;
use crate::clock::Timestamp;
use crate::issue::{IssueRef, RepoName};

/// The address in every URL the fake shows. As behind many reverse proxies, nobody can reach it from here.
pub(super) const ROOT_URL: &str = "https://gitea.example.com";

/// The one commit on every main branch.
pub(super) const BASE_SHA: &str = "16b6466dd1725540da0cd6e47c041d926ef8f8b6";

/// The bot's number, as in the recorded answers.
pub(super) const BOT: i64 = 7;

/// Where an issue lives: the repository's key (its full name in lower case) and the index in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct At {
    pub repo: String,
    pub number: u64,
}

impl From<&IssueRef> for At {
    fn from(at: &IssueRef) -> Self {
        Self { repo: key(&at.repo), number: at.number }
    }
}

/// Names do not differ by case alone.
pub(super) fn key(name: &RepoName) -> String {
    name.to_string().to_lowercase()
}

named_enum! {
    /// What an account may do in a repository, from least to most.
    Access {
        None = "none",
        Read = "read",
        Write = "write",
        Admin = "admin",
        Owner = "owner",
    }
}

/// A person, a bot or an organisation.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub id: i64,
    pub login: String,
    pub is_org: bool,
    pub created: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Label {
    pub id: i64,
    pub name: String,
    pub color: String,
    pub description: String,
    pub exclusive: bool,
    pub is_archived: bool,
    /// `repos/<owner>/<name>` or `orgs/<org>`: the middle of its URL.
    pub place: String,
}

impl Label {
    /// The part before the last `/` of an exclusive label; one issue carries at most one label of a scope.
    pub fn scope(&self) -> Option<&str> {
        let (scope, rest) = self.name.rsplit_once('/')?;
        (self.exclusive && !scope.is_empty() && !rest.is_empty()).then_some(scope)
    }
}

#[derive(Debug)]
pub(super) struct Repo {
    pub id: i64,
    pub name: RepoName,
    pub private: bool,
    pub archived: bool,
    pub dependencies: bool,
    pub created: Timestamp,
    pub collaborators: BTreeMap<i64, Access>,
    pub labels: Vec<Label>,
    pub issues: BTreeMap<u64, Issue>,
    /// Which issue a comment belongs to.
    pub comments: BTreeMap<i64, u64>,
    pub last_number: u64,
    /// The numbers of issues that were deleted.
    pub deleted: BTreeSet<u64>,
    /// What checks said of its commits.
    pub checks: Vec<Check>,
    /// How many issues and how many pull requests are open; counted along, for every payload shows it.
    pub open: [usize; 2],
}

impl Repo {
    /// Counts one issue or pull request that was opened or is no longer open.
    pub fn count(&mut self, pull: bool, opened: bool) {
        let open = &mut self.open[usize::from(pull)];
        *open = if opened { *open + 1 } else { open.saturating_sub(1) };
    }
}

#[derive(Clone, Debug)]
pub(super) struct Issue {
    pub id: i64,
    pub number: u64,
    pub author: i64,
    pub title: String,
    pub body: String,
    pub labels: Vec<i64>,
    pub assignees: Vec<i64>,
    pub milestone: Value,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub closed: Option<Timestamp>,
    pub timeline: Vec<Entry>,
    pub reactions: Vec<(i64, String)>,
    pub depends_on: Vec<At>,
    pub pull: Option<Pull>,
}

impl Issue {
    /// An open issue without anything in it.
    pub fn new(number: u64, created: Timestamp) -> Self {
        Self {
            id: 0,
            number,
            author: 0,
            title: String::new(),
            body: String::new(),
            labels: Vec::new(),
            assignees: Vec::new(),
            milestone: Value::Null,
            created,
            updated: created,
            closed: None,
            timeline: Vec::new(),
            reactions: Vec::new(),
            depends_on: Vec::new(),
            pull: None,
        }
    }

    /// The comments people see, oldest first.
    pub fn comments(&self) -> impl Iterator<Item = &Entry> {
        self.timeline.iter().filter(|e| matches!(e.kind, EntryKind::Comment { .. }))
    }

    pub fn entry_mut(&mut self, id: i64) -> Option<&mut Entry> {
        self.timeline.iter_mut().find(|e| e.id == id)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Pull {
    /// The branch that is to be merged.
    pub head: String,
    /// The branch that it is to be merged into.
    pub base: String,
    /// The commit at its head.
    pub sha: String,
    pub merged: Option<Timestamp>,
    pub reviews: Vec<Review>,
}

/// What somebody says about a pull request as a whole.
#[derive(Clone, Debug)]
pub(super) struct Review {
    pub id: i64,
    pub by: i64,
    /// `APPROVED`, `REQUEST_CHANGES`, `COMMENT` or `PENDING`.
    pub state: String,
    pub body: String,
    /// The commit that was looked at.
    pub sha: String,
    pub at: Timestamp,
    /// The head is another one by now.
    pub stale: bool,
    pub dismissed: bool,
    pub lines: Vec<LineNote>,
}

/// A comment of a review on a line.
#[derive(Clone, Debug)]
pub(super) struct LineNote {
    pub id: i64,
    pub path: String,
    pub line: u64,
    pub body: String,
    pub is_resolved: bool,
}

/// What a check said last of a commit.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub id: i64,
    pub sha: String,
    pub context: String,
    /// `pending`, `success`, `failure`, `error` or `warning`.
    pub state: String,
    pub description: String,
    pub at: Timestamp,
}

impl Pull {
    /// An unmerged one of the branch `topic`, with a commit that follows from its place.
    pub fn new(at: &At) -> Self {
        let mut sha = hex::encode(Sha256::digest(format!("{}#{}", at.repo, at.number)));
        sha.truncate(40);
        let (head, base) = ("topic".to_owned(), "main".to_owned());
        Self { head, base, sha, merged: None, reviews: Vec::new() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub id: i64,
    pub by: i64,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub kind: EntryKind,
}

#[derive(Clone, Debug)]
pub(super) enum EntryKind {
    Comment { body: String, reactions: Vec<(i64, String)> },
    Label { label: Label, added: bool },
    Assignee { user: i64, removed: bool },
    Title { old: String, new: String },
    Close,
    Reopen,
    Reference { name: &'static str, from: At, comment: Option<i64>, closes: bool },
    Dependency { on: At, removed: bool },
}

/// Which events a hook hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Everywhere,
    Repo(String),
    /// Every repository of one organisation, by its login in lower case.
    Org(String),
}

#[derive(Clone, Debug)]
pub(super) struct Hook {
    pub id: i64,
    /// `gitea`, or `forgejo` where it knows that.
    pub kind: String,
    pub scope: Scope,
    pub url: String,
    pub secret: String,
    pub form: bool,
    pub active: bool,
    pub events: BTreeSet<String>,
    pub branch_filter: String,
    pub authorization: String,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// One delivery, from the moment its event happened.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub uuid: String,
    pub hook: Hook,
    pub target: &'static str,
    pub kind: &'static str,
    pub action: String,
    pub body: Bytes,
    pub status: Option<u16>,
}

impl Task {
    pub fn new(hook: Hook, kind: &'static str, action: &str, body: Bytes) -> Self {
        let org = matches!(hook.scope, Scope::Org(_));
        let target = if org { "organization" } else { "repository" };
        let uuid = uuid::Uuid::new_v4().to_string();
        Self { uuid, hook, target, kind, action: action.to_owned(), body, status: None }
    }

    /// The coarse event name of its headers.
    pub fn event(&self) -> &'static str {
        match self.kind {
            "issue_comment" | "pull_request_comment" => "issue_comment",
            "pull_request_review_approved" => "pull_request_approved",
            "pull_request_review_rejected" => "pull_request_rejected",
            "pull_request_review_comment" => "pull_request_comment",
            kind if kind.starts_with("issue") => "issues",
            kind if kind.starts_with("pull_request") => "pull_request",
            kind => kind,
        }
    }

    pub fn view(&self) -> DeliveryView {
        DeliveryView {
            uuid: self.uuid.clone(),
            event: self.event().to_owned(),
            event_type: self.kind.to_owned(),
            action: self.action.clone(),
            status: self.status,
            body: self.body.clone(),
        }
    }
}

/// The OAuth2 applications, and who is on the way through one.
#[derive(Default)]
pub(super) struct Oauth {
    pub applications: Vec<Application>,
    pub codes: HashMap<String, Grant>,
    /// What people agreed to for an application; it stays until they take it back.
    pub agreed: HashMap<(i64, String), String>,
    pub tokens: HashMap<String, Token>,
    /// The tokens that others are had for.
    pub refreshing: HashMap<String, Token>,
}

/// Whom a token of an application speaks for, through which, and until when.
#[derive(Clone)]
pub(super) struct Token {
    pub user: i64,
    pub client_id: String,
    pub until: Timestamp,
}

pub(super) struct Application {
    pub client_id: String,
    pub client_secret: String,
    pub redirect_uri: String,
}

/// What a code stands for; it is good for one time.
pub(super) struct Grant {
    pub user: i64,
    pub client_id: String,
    pub redirect_uri: String,
    pub nonce: String,
    pub challenge: String,
}
