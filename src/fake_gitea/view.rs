//! What a test or a demo puts into the fake and reads back from it.

use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::issue::IssueState;

/// An issue to be opened. Everything but the title may be left at its default.
#[derive(Clone, Debug, Default)]
pub struct NewIssue {
    /// Title as typed.
    pub title: String,
    /// Body as typed.
    pub body: String,
    /// Who opens it; the account is made when missing, and empty means `alice`.
    pub author: String,
    /// Label names; definitions are made when missing.
    pub labels: Vec<String>,
    /// Logins of the assignees; accounts are made when missing.
    pub assignees: Vec<String>,
    /// When it was opened; now, if not said.
    pub created_at: Option<Timestamp>,
    /// Its number; the next free one, if not said.
    pub number: Option<u64>,
    /// Whether it is a pull request, which shares the numbers of issues.
    pub is_pull_request: bool,
}

/// A review to be submitted.
#[derive(Clone, Debug, Default)]
pub struct NewReview {
    /// `APPROVED`, `REQUEST_CHANGES`, `COMMENT`, or `PENDING` for one that is not submitted.
    pub state: String,
    /// Its own text.
    pub body: String,
    /// Its comments on lines.
    pub lines: Vec<NewLine>,
}

/// A comment on a line, in a review.
#[derive(Clone, Debug, Default)]
pub struct NewLine {
    /// The file.
    pub path: String,
    /// The line in it.
    pub line: u64,
    /// What is said.
    pub body: String,
}

/// What a check says of a commit.
#[derive(Clone, Debug, Default)]
pub struct NewCheck {
    /// Its name.
    pub context: String,
    /// `pending`, `success`, `failure`, `error` or `warning`.
    pub state: String,
    /// What it says, in a line.
    pub description: String,
}

/// An issue as the fake has it now.
#[derive(Clone, Debug, PartialEq)]
pub struct IssueView {
    /// Title.
    pub title: String,
    /// Body.
    pub body: String,
    /// Open or closed.
    pub state: IssueState,
    /// Whether it is a pull request.
    pub is_pull_request: bool,
    /// Login of the author.
    pub author: String,
    /// Label names, sorted by name as Gitea shows them.
    pub labels: Vec<String>,
    /// Logins in the order of assignment.
    pub assignees: Vec<String>,
    /// The comments, oldest first.
    pub comments: Vec<CommentView>,
    /// The whole timeline, oldest first.
    pub timeline: Vec<TimelineView>,
    /// Reactions on the issue itself, as login and content.
    pub reactions: Vec<(String, String)>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was closed, if it is.
    pub closed_at: Option<Timestamp>,
}

/// A comment as the fake has it now.
#[derive(Clone, Debug, PartialEq)]
pub struct CommentView {
    /// The forge's id.
    pub id: i64,
    /// Login of the author.
    pub author: String,
    /// What it says.
    pub body: String,
    /// When it was last written.
    pub updated: Timestamp,
    /// Reactions on it, as login and content.
    pub reactions: Vec<(String, String)>,
}

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineView {
    /// The forge's id of it; a comment has the same one.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// Its type in the API's words, such as `label` or `close`.
    pub kind: String,
    /// Who did it.
    pub by: String,
    /// What it was about: a label, a login, a title, a text, or another issue.
    pub about: String,
}

/// One request the API got.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Login of the account behind the token; empty when there was none that is known.
    pub by: String,
    /// The method.
    pub method: String,
    /// The path from `/api/v1` on, without the query.
    pub path: String,
    /// The query string, empty when there was none.
    pub query: String,
    /// The status that was answered; 0 when the connection was cut before an answer.
    pub status: u16,
    /// When it came.
    pub at: Timestamp,
}

/// One webhook delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryView {
    /// The id in its headers.
    pub uuid: String,
    /// The coarse event name (`X-Gitea-Event`).
    pub event: String,
    /// The fine event name (`X-Gitea-Event-Type`).
    pub event_type: String,
    /// The payload's `action`; empty for a push.
    pub action: String,
    /// The receiver's status; `None` while it waits, when it was dropped, and when no answer came.
    pub status: Option<u16>,
    /// The bytes that were signed.
    pub body: Bytes,
}

/// A fault to be met by the next requests that fit.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The method it fits; `None` fits all.
    pub method: Option<String>,
    /// A part of path and query it fits; empty fits all.
    pub path_contains: String,
    /// How many requests it meets.
    pub times: u32,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// This status, nothing done.
    Status(u16),
    /// This status with `Retry-After` in seconds, nothing done.
    StatusRetryAfter(u16, u64),
    /// The connection is cut, nothing done.
    ResetBefore,
    /// All is done, then the connection is cut before the answer.
    AnswerLost,
    /// All is done, and the answer comes that much later.
    Hang(Duration),
    /// All is done, and the answer breaks off in its middle.
    CutBody,
    /// A page for people with status 200, as a proxy in between answers; nothing done.
    Html,
    /// Valid JSON of a shape nobody expects, with status 200; nothing done.
    WrongJson,
}
