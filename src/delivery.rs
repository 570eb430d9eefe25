//! The nouns of a delivery: one webhook POST (or one find of the sweep) and what it says to look at. No I/O, no rules.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::issue::{Account, ForgeIds, IssueRef, RepoName, TextDigest, TextEdit};

/// The forge's id for one delivery. A UUID in practice; any printable text up to [`DeliveryId::MAX_LEN`] is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct DeliveryId(String);

impl DeliveryId {
    /// The longest id accepted, in bytes.
    pub const MAX_LEN: usize = 128;

    /// The id in `text`, or `None` when it is empty, too long or not printable ASCII.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_LEN).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

named_enum! {
    /// Who put a delivery into the inbox.
    Origin {
        /// The forge, with a valid signature.
        Webhook = "webhook",
        /// The reconciliation sweep.
        Sweep = "sweep",
        /// A person, through the command line or the dashboard.
        Manual = "manual",
        /// The service itself: an issue whose turn has come.
        Wake = "wake",
        /// An agent, with a report about its dispatch.
        Agent = "agent",
    }
}

named_enum! {
    /// How far a delivery has come.
    DeliveryState {
        /// On disk, not read yet.
        Received = "received",
        /// In its issue's lane, waiting for its turn.
        Pending = "pending",
        /// In a worker's hands.
        Claimed = "claimed",
        /// Processed.
        Done = "done",
        /// Led to nothing, for the reason given.
        Ignored = "ignored",
        /// Could not be processed, for the reason given; a person may retry it.
        Dead = "dead",
    }
}

named_enum! {
    /// Why the service wakes an issue.
    WakeCause {
        /// What it waited for is closed.
        Unblocked = "unblocked",
        /// Its agent has a free place.
        PlaceFree = "place_free",
        /// The time of its dispatch has come.
        Due = "due",
        /// Something happened to a pull request that names it.
        Pull = "pull",
        /// What a dry run withheld may be written.
        DryRunOver = "dry_run_over",
    }
}

/// One message that says which issue to look at. Its signature has been checked, its content has not been read.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The forge's id for it.
    pub id: DeliveryId,
    /// When it was received.
    pub received_at: Timestamp,
    /// The signed bytes: the raw body of a JSON hook, the decoded `payload` field of a form hook.
    pub body: Bytes,
    /// The event name the header claims; not signed, so only shown, never trusted.
    pub event_header: String,
    /// The repositories the secret that signed it covers, as patterns; `None` covers all.
    pub scope: Option<Vec<String>>,
}

/// What happened to an issue, in the words of the forge's `action`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueEvent {
    /// The issue to look at, by the names of that moment.
    pub at: IssueRef,
    /// The forge's own numbers, which say which issue it is.
    pub ids: Option<ForgeIds>,
    /// Kind and action, such as `issues/opened` or `issue_comment/created`; for people.
    pub action: String,
    /// Whose change it was.
    pub sender: Option<Account>,
    /// True for changes that our own writes cause (labels, assignees, comments, edits), false for the ones
    /// that are worth a look whoever made them (opened, closed, reopened, deleted).
    pub echoes: bool,
    /// True when the forge is known to send more deliveries for the same change within milliseconds,
    /// as it does for an issue created with labels, assignees or a milestone.
    pub more_coming: bool,
    /// True when the delivery says the issue is gone.
    pub deleted: bool,
    /// Title and labels as the delivery shows them; they may be stale, and say only who comes first.
    pub shown: Shown,
    /// The comment it is about, if it is about one.
    pub comment: Option<Box<CommentEvent>>,
}

/// What a delivery shows of an issue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Its title.
    pub title: String,
    /// Names of its labels.
    pub labels: Vec<String>,
}

/// A comment as its delivery shows it: the one thing that is read from a payload, because commands act once per comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentEvent {
    /// The forge's id of the comment.
    pub id: i64,
    /// What it says now; nothing where it was removed.
    pub body: String,
    /// Who wrote it.
    pub author: Option<Account>,
    /// True when it was just written, false for edits and removals.
    pub created: bool,
    /// What it said before it was changed or removed, where the delivery says so.
    pub former: Option<String>,
}

/// What happened to a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullEvent {
    /// The pull request.
    pub at: IssueRef,
    /// Kind and action, for people.
    pub action: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its page, as the forge links it.
    pub url: String,
    /// Whether it is over: closed, merged or deleted.
    pub is_over: bool,
    /// Whose change it was, where it is a comment: ours tell nothing new.
    pub commented_by: Option<Account>,
}

/// What a delivery's body turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An issue to look at.
    Issue(IssueEvent),
    /// A repository has another name now.
    Renamed {
        /// Kind and action.
        action: String,
        /// The forge's number of it.
        id: i64,
        /// What it is called from now on.
        name: RepoName,
    },
    /// A pull request, which may concern issues to look at.
    Pull(PullEvent),
    /// A check said something of a commit, which may be at the head of an agent's pull request.
    Status {
        /// Kind, for people.
        action: String,
        /// Where the commit is.
        repo: RepoName,
        /// Its name.
        sha: String,
    },
    /// Nothing for us, with the reason.
    Ignored {
        /// Kind and action, as far as the body says.
        action: String,
        /// The repository, as far as the body says.
        repo: Option<String>,
        /// Why it leads to nothing.
        reason: String,
    },
}

/// How a delivery shows the text of an issue: as it was when somebody did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownText {
    /// Who.
    pub by: Option<Account>,
    /// What they did.
    pub event: ShownEvent,
    /// What the text was then.
    pub text: TextDigest,
}

/// What somebody did to an issue, as far as it matters which text they had before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShownEvent {
    /// They changed the text.
    Edited(TextEdit),
    /// They changed labels; it has these now.
    Labelled(Vec<String>),
    /// They assigned somebody.
    Assigned,
    /// They wrote or changed the comment with this id.
    Commented(i64),
}
