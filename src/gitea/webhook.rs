//! What a delivery's body says: which issue to look at, or why none. The headers are not signed and are not asked.
//! Of a payload only identity is believed; labels, state and text are read from Gitea afresh. The title and labels it
//! shows say who is looked at first, and nothing else.

use super::payload::{Issue, Object, Payload, User};
use crate::delivery::{Event, IssueEvent};
use crate::issue::{IssueRef, RepoName};

/// Why a signed body is no delivery that can be worked on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON at all, or not the types Gitea sends.
    #[error("the body is not the JSON that Gitea sends (line {line}, column {column})")]
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

/// Reads what a body says to look at.
pub fn parse(body: &[u8]) -> Result<Event, ParseError> {
    // serde_json does not look into strings it skips, so the whole text is checked first.
    let text = str::from_utf8(body).map_err(|_| ParseError::NotText)?;
    let Object::Map(payload) = serde_json::from_str::<Object<Payload<'_>>>(text)? else {
        return Err(ParseError::NotAnObject);
    };
    let kind = Kind::of(&payload);
    match kind {
        Kind::Issues | Kind::IssueComment if payload.action().is_some() => {
            issue_event(payload, kind).map(Event::Issue)
        }
        _ => Ok(ignored(&payload, kind)),
    }
}

/// The kinds of payload, told apart by their keys (modules/structs/hook.go).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Issues,
    IssueComment,
    PullRequest,
    PullRequestComment,
    Push,
    Create,
    Delete,
    Release,
    Fork,
    Wiki,
    Package,
    WorkflowRun,
    WorkflowJob,
    Status,
    Repository,
    Unknown,
}

impl Kind {
    fn of(payload: &Payload<'_>) -> Self {
        let comment = payload.comment.is_some() || payload.is_pull.is_some();
        match &payload.issue {
            Some(issue) if payload.is_about_pull_request(issue) && comment => {
                Self::PullRequestComment
            }
            Some(issue) if payload.is_about_pull_request(issue) => Self::PullRequest,
            Some(_) if comment => Self::IssueComment,
            Some(_) => Self::Issues,
            None if payload.pull_request.is_some() => Self::PullRequest,
            None => Self::without_issue(payload),
        }
    }

    fn without_issue(payload: &Payload<'_>) -> Self {
        let keys = [
            (payload.ref_type.is_some() && payload.pusher_type.is_some(), Self::Delete),
            (payload.ref_type.is_some(), Self::Create),
            (payload.git_ref.is_some() && payload.has_commits(), Self::Push),
            (payload.release.is_some(), Self::Release),
            (payload.forkee.is_some(), Self::Fork),
            (payload.package.is_some(), Self::Package),
            (payload.workflow_job.is_some(), Self::WorkflowJob),
            (payload.workflow_run.is_some(), Self::WorkflowRun),
            (payload.page.is_some(), Self::Wiki),
            (payload.context.is_some() && payload.commit.is_some(), Self::Status),
            (payload.repository.is_some() && payload.action().is_some(), Self::Repository),
        ];
        keys.into_iter().find(|(there, _)| *there).map_or(Self::Unknown, |(_, kind)| kind)
    }

    /// Its name, and why it is not worked on.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Issues => ("issues", "it does not say what happened to the issue"),
            Self::IssueComment => ("issue_comment", "it does not say what happened to the issue"),
            Self::PullRequest => ("pull_request", "pull requests are not triaged"),
            Self::PullRequestComment => ("pull_request_comment", "pull requests are not triaged"),
            Self::Push => ("push", "a push concerns no issue"),
            Self::Create => ("create", "a branch or tag concerns no issue"),
            Self::Delete => ("delete", "a branch or tag concerns no issue"),
            Self::Release => ("release", "a release concerns no issue"),
            Self::Fork => ("fork", "a fork concerns no issue"),
            Self::Wiki => ("wiki", "a wiki page concerns no issue"),
            Self::Package => ("package", "a package concerns no issue"),
            Self::WorkflowRun => ("workflow_run", "a workflow run concerns no issue"),
            Self::WorkflowJob => ("workflow_job", "a workflow run concerns no issue"),
            Self::Status => ("status", "a commit status concerns no issue"),
            Self::Repository => ("repository", "a repository's own events concern no issue"),
            Self::Unknown => ("unknown", "no issue in it"),
        }
    }
}

fn issue_event(payload: Payload<'_>, kind: Kind) -> Result<IssueEvent, ParseError> {
    let repo = payload.repo_name().parse::<RepoName>().map_err(|_| ParseError::Repository)?;
    let number = payload.issue_number().ok_or(ParseError::Number)?;
    let action = payload.action().unwrap_or_default();
    let about_comment = kind == Kind::IssueComment;
    Ok(IssueEvent {
        at: IssueRef { repo, number },
        action: full_action(&payload, kind),
        echoes: about_comment || echoes(action),
        more_coming: !about_comment && payload.more_coming(),
        deleted: !about_comment && action == "deleted",
        shown: payload.issue.as_ref().map(Issue::shown).unwrap_or_default(),
        comment: payload.comment.as_ref().and_then(|c| c.event(action == "created")),
        sender: payload.sender.as_ref().and_then(User::account),
    })
}

/// The changes our own writes come back as; what opens, closes or removes an issue is always worth a look.
fn echoes(action: &str) -> bool {
    let echoes = ["assigned", "demilestoned", "edited", "label_cleared", "label_updated"];
    echoes.contains(&action) || ["milestoned", "unassigned"].contains(&action)
}

fn ignored(payload: &Payload<'_>, kind: Kind) -> Event {
    let repo = payload.repo_name().parse::<RepoName>().ok().map(|name| name.to_string());
    Event::Ignored { action: full_action(payload, kind), repo, reason: kind.words().1.to_owned() }
}

/// Kind and action for people, cut to what is safe to print.
fn full_action(payload: &Payload<'_>, kind: Kind) -> String {
    let safe = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match payload.action() {
        Some(action) => {
            let action: String = action.chars().filter(safe).take(40).collect();
            format!("{}/{action}", kind.words().0)
        }
        None => kind.words().0.to_owned(),
    }
}
