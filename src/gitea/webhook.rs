//! What a delivery's body says: which issue to look at, or why none. The headers are not signed and are not asked.
//! Of a payload only identity is believed; labels, state and text are read from Gitea afresh. The title and labels it
//! shows say who is looked at first, and nothing else.

use std::collections::HashMap;

use serde::de::IgnoredAny;

use super::loose::{Few, loose};
use super::wire::time;
use crate::delivery::{CommentEvent, Event, IssueEvent, PullEvent, Shown};
use crate::issue::{Account, ForgeIds, IssueNumber, IssueRef, RepoName};

/// Why a signed body is no delivery that can be worked on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON at all, or not the types Gitea sends.
    #[error("the body is not the JSON that Gitea or Forgejo sends (line {line}, column {column})")]
    NotGitea {
        /// Where reading stopped.
        line: usize,
        /// Where reading stopped.
        column: usize,
    },
    /// Bytes that are no text.
    #[error("the body is not UTF-8; see what the proxy does to it")]
    NotText,
    /// JSON, but a list, text or number.
    #[error("the body is JSON, but not an object")]
    NotAnObject,
    /// An issue of no repository, or of one whose name cannot be one.
    #[error("the delivery names no repository that could exist")]
    Repository,
    /// An issue without a number.
    #[error("the delivery names no issue number")]
    Number,
}

impl From<serde_json::Error> for ParseError {
    fn from(error: serde_json::Error) -> Self {
        // The error's own text may quote the payload, so only its place is kept.
        Self::NotGitea { line: error.line(), column: error.column() }
    }
}

/// Structs of a payload. A key that is missing, null or of another type is `None`: only what an event needs may stop it.
macro_rules! loose {
    ($($(#[$meta:meta])* struct $name:ident { $($(#[$fmeta:meta])* $field:ident: $type:ty),+ $(,)? })+) => {$(
        $(#[$meta])*
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct $name {
            $($(#[$fmeta])* #[serde(deserialize_with = "loose")] $field: Option<$type>),+
        }
    )+};
}

loose! {
    /// What is read of a payload; the rest is skipped unread.
    struct Payload {
        action: String,
        number: i64,
        issue: Issue,
        /// A text in a delivery about a wiki.
        comment: Comment,
        pull_request: Pull,
        is_pull: bool,
        repository: Repo,
        /// What the events of Forgejo's runs have, and their repository in it.
        run: Run,
        sender: User,
        changes: Changes,
        /// The commit that a status is of.
        sha: String,
    }

    struct Changes { body: Former }

    struct Former { from: String }

    struct Issue {
        id: i64,
        number: i64,
        title: String,
        created_at: String,
        labels: Few<Named>,
        assignees: Vec<IgnoredAny>,
        milestone: IgnoredAny,
        pull_request: IgnoredAny,
    }

    struct Pull { number: i64, title: String, body: String, html_url: String }

    struct Named { name: String }

    struct Comment { id: i64, body: String, user: User }

    struct Repo { id: i64, full_name: String }

    struct Run { repository: Repo }

    struct User { id: i64, login: String }
}

const PULLS: &str = "pull requests are not triaged";
const STATUS: &str = "status";
const PULL_COMMENT: &str = "pull_request_comment";
const REFS: &str = "a branch or tag concerns no issue";
/// The payloads without an issue: the keys by which they are known (modules/structs/hook.go), their name, and why they
/// are not worked on. The first that fits counts.
const OTHERS: [(&[&str], &str, &str); 14] = [
    (&["pull_request"], "pull_request", PULLS),
    (&["ref_type", "pusher_type"], "delete", REFS),
    (&["ref_type"], "create", REFS),
    (&["ref", "commits"], "push", "a push concerns no issue"),
    (&["ref", "after"], "push", "a push concerns no issue"),
    (&["release"], "release", "a release concerns no issue"),
    (&["forkee"], "fork", "a fork concerns no issue"),
    (&["package"], "package", "a package concerns no issue"),
    (&["workflow_job"], "workflow_job", "a workflow run concerns no issue"),
    (&["workflow_run"], "workflow_run", "a workflow run concerns no issue"),
    (&["run", "action"], "action_run", "a workflow run concerns no issue"),
    (&["page"], "wiki", "a wiki page concerns no issue"),
    (&["context", "commit"], STATUS, "a commit status concerns no issue"),
    (&["repository", "action"], "repository", "a repository's own events concern no issue"),
];
/// The changes our own writes come back as; what opens, closes or removes an issue is always worth a look.
const ECHOES: &str =
    "assigned demilestoned edited label_cleared label_updated milestoned unassigned";

/// Reads what a body says to look at.
pub fn parse(body: &[u8]) -> Result<Event, ParseError> {
    // serde_json does not look into strings it skips, so the whole text is checked first.
    let text = str::from_utf8(body).map_err(|_| ParseError::NotText)?;
    if !text.trim_start().starts_with('{') {
        serde_json::from_str::<IgnoredAny>(text)?;
        return Err(ParseError::NotAnObject);
    }
    let mut payload: Payload = serde_json::from_str(text)?;
    let Some(issue) = payload.issue.take() else {
        let keys: HashMap<String, Option<IgnoredAny>> = serde_json::from_str(text)?;
        let is_there = |key: &&str| keys.get(*key).is_some_and(Option::is_some);
        let known = OTHERS.iter().find(|(wanted, ..)| wanted.iter().all(is_there));
        let (_, kind, reason) = known.unwrap_or(&(&[], "unknown", "no issue in it"));
        let pull = payload.pull_request.take().and_then(|pull| payload.pull(pull));
        let found = pull.map(Event::Pull).or_else(|| payload.status(kind));
        let found = found.or_else(|| payload.renamed(kind));
        return Ok(found.unwrap_or_else(|| payload.ignored(kind, reason)));
    };
    let comment = payload.comment.take();
    let former = payload.changes.take().and_then(|changes| changes.body?.from);
    let is_comment = comment.is_some() || payload.is_pull.is_some();
    // Gitea 1.22 sends no `pull_request` with a comment on one, only `is_pull`.
    let is_pull = payload.pull_request.is_some() || issue.pull_request.is_some();
    if is_pull || payload.is_pull == Some(true) {
        if !is_comment {
            return Ok(payload.ignored("pull_request", PULLS));
        }
        let found = payload.pull_comment(issue.number);
        return Ok(found.unwrap_or_else(|| payload.ignored(PULL_COMMENT, PULLS)));
    }
    let kind = if is_comment { "issue_comment" } else { "issues" };
    let action = payload.action();
    if action.is_empty() {
        return Ok(payload.ignored(kind, "it does not say what happened to the issue"));
    }
    Ok(Event::Issue(IssueEvent {
        at: IssueRef {
            repo: payload.repo().ok_or(ParseError::Repository)?,
            // The envelope's number stands in when the issue is the all-zero one of a failed conversion
            // (services/convert/issue.go).
            number: [issue.number, payload.number]
                .into_iter()
                .flatten()
                .find_map(number)
                .ok_or(ParseError::Number)?,
        },
        ids: ForgeIds::new(payload.repo_id(), issue.id.unwrap_or_default()),
        action: payload.full_action(kind),
        echoes: is_comment || ECHOES.split(' ').any(|echo| echo == action),
        more_coming: !is_comment && issue.more_coming(action),
        deleted: !is_comment && action == "deleted",
        comment: comment.and_then(|comment| comment.event(action, former)).map(Box::new),
        shown: Shown { labels: issue.labels(), title: issue.title.unwrap_or_default() },
        sender: payload.sender.and_then(User::into_account),
    }))
}

/// A number that an issue can have.
fn number(shown: i64) -> Option<IssueNumber> {
    u64::try_from(shown).ok().filter(|n| *n > 0)
}

impl Payload {
    /// What happened to a pull request; `None` where the payload does not say which.
    fn pull(&self, shown: Pull) -> Option<PullEvent> {
        let Pull { title, body, html_url, .. } = shown;
        let number = [shown.number, self.number].into_iter().flatten().find_map(number)?;
        Some(PullEvent {
            at: IssueRef { repo: self.repo()?, number },
            action: self.full_action("pull_request"),
            title: title.unwrap_or_default(),
            body: body.unwrap_or_default(),
            url: html_url.unwrap_or_default(),
            is_over: matches!(self.action(), "closed" | "deleted"),
            commented_by: None,
        })
    }

    /// A comment on a pull request, which may be one of an agent's. Gitea 1.22 shows its number only.
    fn pull_comment(&mut self, shown: Option<i64>) -> Option<Event> {
        let pull = self.pull_request.take().unwrap_or_default();
        let Pull { title, body, html_url, .. } = pull;
        let number = [shown, pull.number].into_iter().flatten().find_map(number)?;
        Some(Event::Pull(PullEvent {
            at: IssueRef { repo: self.repo()?, number },
            action: self.full_action(PULL_COMMENT),
            title: title.unwrap_or_default(),
            body: body.unwrap_or_default(),
            url: html_url.unwrap_or_default(),
            is_over: false,
            commented_by: self.sender.take().and_then(User::into_account),
        }))
    }

    /// What a check said of a commit; `None` where the payload does not say of which.
    fn status(&self, kind: &str) -> Option<Event> {
        let is_commit = |sha: &&String| {
            matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        let sha = self.sha.as_ref().filter(|_| kind == STATUS).filter(is_commit)?;
        let (action, sha) = (self.full_action(kind), sha.to_ascii_lowercase());
        Some(Event::Status { action, repo: self.repo()?, sha })
    }

    fn action(&self) -> &str {
        self.action.as_deref().unwrap_or_default()
    }

    fn home(&self) -> Option<&Repo> {
        let of_run = || self.run.as_ref()?.repository.as_ref();
        self.repository.as_ref().or_else(of_run)
    }

    /// Only the store speaks of a repository by the name that another one has now.
    fn repo(&self) -> Option<RepoName> {
        let name: RepoName = self.home()?.full_name.as_ref()?.parse().ok()?;
        (!name.is_former()).then_some(name)
    }

    fn repo_id(&self) -> i64 {
        self.home().and_then(|repo| repo.id).unwrap_or_default()
    }

    /// Newer servers say when a repository got another name or owner (since 2026-07); on others only the answers of
    /// the API do.
    fn renamed(&self, kind: &str) -> Option<Event> {
        let is_rename = kind == "repository" && matches!(self.action(), "renamed" | "transferred");
        let name = self.repo().filter(|_| is_rename && self.repo_id() > 0)?;
        Some(Event::Renamed { action: self.full_action(kind), id: self.repo_id(), name })
    }

    /// Kind and action for people, cut to what is safe to print.
    fn full_action(&self, kind: &str) -> String {
        if self.action().is_empty() {
            return kind.to_owned();
        }
        let safe = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let action: String = self.action().chars().filter(safe).take(40).collect();
        format!("{kind}/{action}")
    }

    fn ignored(&self, kind: &str, reason: &str) -> Event {
        let repo = self.repo().map(|name| name.to_string());
        Event::Ignored { action: self.full_action(kind), repo, reason: reason.to_owned() }
    }
}

impl Issue {
    fn labels(&self) -> Vec<String> {
        let known = self.labels.iter().flat_map(|labels| &labels.0);
        known.filter_map(|label| label.name.clone()).collect()
    }

    /// An issue made with labels, assignees or a milestone comes as `assigned`… (dated 1970, for it is not saved
    /// yet), `opened`, `label_updated`, `milestoned`, in this order (seen on 1.25.4).
    fn more_coming(&self, action: &str) -> bool {
        match action {
            "opened" => {
                let is_any_assigned = self.assignees.as_ref().is_some_and(|all| !all.is_empty());
                !self.labels().is_empty() || is_any_assigned || self.milestone.is_some()
            }
            // In the server's own zone, so 1969 in the Americas.
            "assigned" => {
                let at = self.created_at.as_deref().and_then(time);
                at.is_some_and(|t| t.timestamp() == 0)
            }
            _ => false,
        }
    }
}

impl Comment {
    /// A command in a comment without an id cannot be applied exactly once, so it only says to look at the issue.
    fn event(self, action: &str, former: Option<String>) -> Option<CommentEvent> {
        let author = self.user.and_then(User::into_account);
        let id = self.id.filter(|id| *id != 0)?;
        let (created, says) = (action == "created", self.body.unwrap_or_default());
        let (body, former) = match action {
            "deleted" => (String::new(), Some(says)),
            _ => (says, former),
        };
        Some(CommentEvent { id, body, author, created, former })
    }
}

impl User {
    fn into_account(self) -> Option<Account> {
        let id = self.id.filter(|id| *id != 0)?;
        Some(Account { id, login: self.login.unwrap_or_default() })
    }
}
