//! What the service and a runner say to each other: JSON over HTTPS under `/runner/v1/`. Every call is safe to repeat, and
//! each that concerns a run carries the epoch of its lease; one of an earlier epoch is refused with [`Refusal::Fenced`].
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST register` | [`Register`] | [`Registered`] |
//! | `POST take` | [`Take`] | 200 [`Assignment`], or 204 when there is nothing yet |
//! | `POST runs/{id}/heartbeat` | [`Heartbeat`] | [`Lease`] |
//! | `POST runs/{id}/log` | [`LogChunk`] | [`Lease`] |
//! | `POST runs/{id}/push` | [`Push`] | [`Lease`]: the branch may be written now |
//! | `POST runs/{id}/finish` | [`Finish`] | [`Lease`] |
//! | `POST over` | [`Dispatches`] | [`Dispatches`]: those of them that have ended |
//!
//! A token in `Authorization: Bearer …` says which runner it is. Every refusal is a [`Refused`].

use serde::{Deserialize, Serialize};

use super::AgentId;
use crate::issue::IssueRef;

/// The version of what is said; a runner of another one is refused at [`Register`].
pub const PROTOCOL: u32 = 1;

/// How the last message of an agent begins that asks a person instead of working; the question follows. The prompt says so.
pub const NEEDS_PERSON: &str = "NEEDS A PERSON:";

/// The longest body of a call, in bytes.
pub const MAX_CALL: usize = 256 * 1024;

/// The most dispatches that are asked for at once.
pub const MAX_DISPATCHES: usize = 100;

/// The longest text of a [`LogChunk`], in bytes.
pub const MAX_LOG_CHUNK: usize = 64 * 1024;

/// A runner says that it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// [`PROTOCOL`], as the runner knows it.
    pub protocol: u32,
    /// The version of its program.
    pub version: String,
    /// The agents it can run.
    pub agents: Vec<AgentId>,
    /// How many runs at once.
    pub places: u32,
}

/// What a runner has to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Its name in the service's configuration.
    pub runner: String,
    /// The agents that it can run and is listed for.
    pub agents: Vec<AgentId>,
    /// How long a lease holds after each call, in seconds.
    pub lease_s: u64,
    /// The longest that a [`Take`] waits, in seconds.
    pub wait_s: u64,
}

/// A runner asks for one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    /// Made anew for each run that is asked for, and kept when the question is repeated: the answer is the same then.
    pub request: String,
    /// The agents that have a free place.
    pub agents: Vec<AgentId>,
    /// How long to wait for one, in seconds.
    pub wait_s: u64,
}

/// One turn of an agent on one issue, under a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The run.
    pub run: i64,
    /// Which lease of it this is; it grows each time the run is given to somebody.
    pub epoch: u64,
    /// The key of the dispatch.
    pub dispatch: String,
    /// Who is to work.
    pub agent: AgentId,
    /// The issue.
    pub at: IssueRef,
    /// The title of the issue, of somebody else: for the pull request.
    pub title: String,
    /// The digest of the issue's text that the prompt was made from.
    pub text_digest: String,
    /// What the agent is told.
    pub prompt: String,
    /// The branch to push, `triage/<number>-<slug>`.
    pub branch: String,
    /// What an earlier lease may have pushed there, oldest first; nothing else on the branch is ever overwritten.
    pub pushed: Vec<String>,
    /// The pull request of an earlier turn.
    pub pull_request: Option<u64>,
    /// From 1; a follow-up of review comments or failed checks has a higher one, and goes on in the workspace that is there.
    pub turn: u32,
    /// How long the lease holds after each call, in seconds.
    pub lease_s: u64,
    /// How long the whole turn may take, in seconds.
    pub timeout_s: u64,
    /// How long the agent may say nothing, in seconds.
    pub stall_s: u64,
    /// How many tokens it may use, where that is limited and the agent counts them.
    pub max_tokens: Option<u64>,
    /// Whether the pull request is opened as a draft.
    pub is_draft: bool,
    /// Whether another turn may follow, for which the workspace is kept until the dispatch has ended.
    #[serde(default)]
    pub may_follow: bool,
    /// What people answered to agents on this issue. The runner's own `deny` stands above it, and a place outside of the
    /// workspace stays refused.
    #[serde(default, skip_serializing_if = "Permits::is_empty")]
    pub permits: Permits,
}

/// Dispatches, by their keys: a runner asks of those whose workspaces it keeps which have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatches {
    /// The keys, at most [`MAX_DISPATCHES`].
    pub dispatches: Vec<String>,
}

/// What holds for every run alike, as the service is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// See [`Assignment::lease_s`].
    pub lease_s: u64,
    /// See [`Assignment::stall_s`].
    pub stall_s: u64,
    /// See [`Assignment::max_tokens`].
    pub max_tokens: Option<u64>,
    /// See [`Assignment::is_draft`].
    pub is_draft: bool,
    /// How many turns a run may have.
    pub turns: u32,
}

named_enum! {
    /// What kind of thing a tool does, in the words of the Agent Client Protocol.
    ToolKind {
        /// Reads files or data.
        Read = "read",
        /// Changes files.
        Edit = "edit",
        /// Removes files.
        Delete = "delete",
        /// Moves files.
        Move = "move",
        /// Searches.
        Search = "search",
        /// Runs a program.
        Execute = "execute",
        /// Thinks.
        Think = "think",
        /// Reads from the network.
        Fetch = "fetch",
        /// Changes the mode of the session.
        SwitchMode = "switch_mode",
        /// Anything else.
        Other = "other",
    }
}

/// A permission that an agent asks for, which no rule decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The kind of tool.
    pub kind: ToolKind,
    /// What it would do, in the agent's words; untrusted text.
    pub title: String,
}

/// What people answered to agents that asked for a permission on an issue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permits {
    /// Kinds of tools that are allowed.
    pub allow: Vec<ToolKind>,
    /// Kinds of tools that are refused.
    pub deny: Vec<ToolKind>,
}

impl Permits {
    /// Whether nobody has answered anything.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }
}

/// What an agent used, as far as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens, in and out.
    pub tokens: Option<u64>,
    /// Money, in the currency that the agent counts in.
    pub cost: Option<f64>,
}

named_enum! {
    /// What happens in a run.
    RunEvent {
        /// The workspace is being made.
        Preparing = "preparing",
        /// The agent was told what to do.
        Prompted = "prompted",
        /// It says something.
        Message = "message",
        /// It uses a tool.
        Tool = "tool",
        /// It asked for a permission, which was answered by rule.
        Permission = "permission",
        /// It made a plan.
        Plan = "plan",
        /// What it changed is being pushed.
        Pushing = "pushing",
    }
}

/// A runner says that it still works on a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The epoch of the lease.
    pub epoch: u64,
    /// The last thing that happened.
    pub event: Option<RunEvent>,
    /// What it was, in at most a few words; untrusted text.
    pub detail: Option<String>,
    /// What was used so far.
    pub usage: Usage,
}

/// A piece of what the agent and its tools printed; untrusted text without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogChunk {
    /// The epoch of the lease.
    pub epoch: u64,
    /// How many bytes were sent before it in this lease; what is sent twice is kept once.
    pub offset: u64,
    /// The text, at most [`MAX_LOG_CHUNK`] bytes.
    pub text: String,
}

/// A runner asks to write the branch. What is allowed here is written down before it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The epoch of the lease.
    pub epoch: u64,
    /// The commit that is to be pushed.
    pub head: String,
}

named_enum! {
    /// How a run ended.
    RunOutcome {
        /// There is a pull request.
        Done = "done",
        /// The agent changed nothing.
        NoChange = "no_change",
        /// It could not be done.
        Failed = "failed",
        /// A person has to decide something first.
        NeedsPerson = "needs_person",
        /// It was called off, as the service asked.
        Cancelled = "cancelled",
    }
}

/// A runner says that a run has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finish {
    /// The epoch of the lease.
    pub epoch: u64,
    /// How.
    pub outcome: RunOutcome,
    /// Why it failed, or what the agent said last; untrusted text.
    pub message: Option<String>,
    /// The commit on the branch.
    pub head: Option<String>,
    /// The number of the pull request.
    pub pull_request: Option<u64>,
    /// The address of the pull request.
    pub url: Option<String>,
    /// What was used.
    pub usage: Usage,
    /// The permission that a person has to give or refuse first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<Asked>,
}

/// The lease goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// How long it holds from now, in seconds.
    pub lease_s: u64,
    /// Why the work is to be stopped; end the agent and send a [`Finish`] with [`RunOutcome::Cancelled`].
    pub cancel: Option<String>,
}

named_enum! {
    /// Why a call of a runner was refused.
    Refusal {
        /// The token is none of a runner's.
        Token = "token",
        /// The runner speaks another version.
        Protocol = "protocol",
        /// The call could not be read.
        Unreadable = "unreadable",
        /// Another lease of the run is newer, or the run has ended: drop it, and push nothing.
        Fenced = "fenced",
        /// There is no such run of this runner.
        Unknown = "unknown",
        /// The service cannot take it now: repeat it.
        Later = "later",
    }
}

/// A call was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// What is wrong and what to do next.
    pub error: String,
}
