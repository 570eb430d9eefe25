//! What can go wrong when Gitea is asked, and what that means for the caller: try again, give up, or look first.
//! No message holds a token, a header value or anything Gitea's answer said.

use std::fmt;
use std::time::Duration;

use reqwest::Method;

use crate::issue::RepoName;

/// What a forge is called that has not said what it is.
pub(super) const THE_FORGE: &str = "the forge";

/// One request as people should read it: `POST acme/widgets#5 comments`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub(super) method: Method,
    /// How people call the forge it goes to.
    pub(super) forge: &'static str,
    what: String,
}

impl Call {
    pub(super) fn new(method: Method, what: impl fmt::Display) -> Self {
        Self { method, forge: THE_FORGE, what: what.to_string() }
    }

    /// Whether the request asks Gitea to change something.
    pub fn is_write(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.what)
    }
}

/// How far a request got before the connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// No connection: Gitea has not seen the request.
    Nothing,
    /// The request may have been sent; the answer never came, or broke off.
    Unknown,
}

/// Why a call to Gitea did not give what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No whole answer came: no connection, a timeout, or a connection cut on the way.
    #[error("`{call}`: {reason}; see that `gitea.url` is right and {} is up", .call.forge)]
    Unreachable {
        /// The request.
        call: Call,
        /// What happened to the connection.
        reason: &'static str,
        /// Whether Gitea may have acted on it.
        reached: Reached,
    },
    /// Gitea, or a proxy before it, answered with an error status.
    #[error("`{call}`: {} answered {status}; {}", .call.forge, advice(*.status))]
    Status {
        /// The request.
        call: Call,
        /// The HTTP status.
        status: u16,
        /// How long the answer asked us to wait.
        retry_after: Option<Duration>,
    },
    /// Somebody who may say so has blocked our account; nothing is wrong with the token.
    #[error(
        "`{call}`: whom it is about, who wrote the issue or who owns the repository has blocked our account; {BLOCKED}"
    )]
    Blocked {
        /// The request.
        call: Call,
    },
    /// A success whose body is not what Gitea sends, such as a proxy's HTML page.
    #[error(
        "`{call}`: the answer is not the forge's JSON ({reason}); see that `gitea.url` leads to {} \
         itself and not to a proxy's page", .call.forge
    )]
    Malformed {
        /// The request.
        call: Call,
        /// What did not fit, without quoting the answer.
        reason: String,
    },
    /// The answer is longer than the client is willing to hold.
    #[error("`{call}`: the answer is larger than {limit} bytes; it was not read to its end")]
    TooLarge {
        /// The request.
        call: Call,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A write that the dry run held back; nothing was sent.
    #[error("`{call}` was not sent: `triage.dry_run` is on")]
    DryRun {
        /// The request that would have been sent.
        call: Call,
    },
    /// Gitea pointed to another address; nothing is followed, since a followed 301 turns a write into a read.
    #[error("`{call}`: {}", moved(.to.as_ref()))]
    Moved {
        /// The request.
        call: Call,
        /// The repository's new name, when the answer says it.
        to: Option<RepoName>,
    },
    /// The account is called otherwise now; not followed either.
    #[error("`{call}`: the account is now called `{to}`; correct its name in the configuration")]
    Renamed {
        /// The request.
        call: Call,
        /// Its new login.
        to: String,
    },
    /// The client could not be built from its settings.
    #[error("{0}")]
    Settings(String),
}

/// What a block stops, and who can help.
const BLOCKED: &str =
    "we cannot comment there until they unblock it; labels and other assignees work";

fn moved(to: Option<&RepoName>) -> String {
    match to {
        Some(repo) => format!("the repository is now `{repo}`; change `gitea.repos`"),
        None => {
            "the forge answered with a redirect; set `gitea.url` to the address it leads to".into()
        }
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 => "the token is unknown or was revoked; set a new one as `gitea.token_file`",
        403 => "the token's scopes or the account's permissions do not allow it",
        404 => "it does not exist, or the account may not see it: give the account access to it",
        410 => "it is gone for good",
        412 => "the issue's dependencies or state do not allow it",
        422 => "the forge refused the values; the account may lack what they name",
        423 => "the repository is archived: take it out of `gitea.repos` or unarchive it",
        408 | 425 | 429 => "it is asked again later",
        500.. => "the cause is in the forge's own log; it is asked again later",
        _ => "see the forge's log",
    }
}

impl Error {
    /// Whether the same call may well succeed later, with nobody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Malformed { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            _ => false,
        }
    }

    /// Whether what was asked for is not there, or not for us to see.
    pub fn is_hidden(&self) -> bool {
        matches!(self, Self::Status { status: 403 | 404 | 410 | 451, .. } | Self::Moved { .. })
    }

    /// Whether it says that Gitea as a whole is away or overloaded, rather than that this call was wrong.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => matches!(status, 429 | 502..=504),
            _ => false,
        }
    }

    /// How long the answer asked us to wait before the next call.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether Gitea may have carried out the write although it was not confirmed: look before writing again.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Unreachable { call, reached, .. } => {
                call.is_write() && *reached == Reached::Unknown
            }
            Self::Status { call, status, .. } => call.is_write() && *status >= 500,
            Self::Malformed { call, .. } | Self::TooLarge { call, .. } => call.is_write(),
            _ => false,
        }
    }

    /// The HTTP status, when the answer was an error.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Blocked { .. } => Some(403),
            _ => None,
        }
    }

    pub(super) fn unreachable(call: &Call, error: &reqwest::Error) -> Self {
        let (reason, reached) = if error.is_connect() {
            ("no connection to the forge", Reached::Nothing)
        } else if error.is_timeout() {
            ("the forge did not answer in time", Reached::Unknown)
        } else {
            ("the connection broke off before the whole answer came", Reached::Unknown)
        };
        Self::Unreachable { call: call.clone(), reason, reached }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, status: u16) -> Error {
        let call = Call::new(method, "acme/widgets#5 comments");
        Error::Status { call, status, retry_after: None }
    }

    #[test]
    fn a_refusal_says_which_call_and_what_to_do() {
        assert_eq!(
            status(Method::POST, 403).to_string(),
            "`POST acme/widgets#5 comments`: the forge answered 403; \
             the token's scopes or the account's permissions do not allow it"
        );
    }

    #[test]
    fn statuses_are_sorted_into_later_never_and_away() {
        for later in [408, 425, 429, 500, 502, 503, 504, 521] {
            assert!(status(Method::GET, later).is_transient(), "{later}");
        }
        for never in [400, 401, 403, 404, 410, 412, 422, 423] {
            assert!(!status(Method::GET, never).is_transient(), "{never}");
        }
        for away in [429, 502, 503, 504] {
            assert!(status(Method::GET, away).is_outage(), "{away}");
        }
        assert!(!status(Method::GET, 500).is_outage());
    }

    #[test]
    fn only_a_write_can_have_happened_unseen() {
        assert!(status(Method::POST, 500).may_have_happened());
        assert!(!status(Method::POST, 403).may_have_happened());
        assert!(!status(Method::GET, 500).may_have_happened());
        let call = Call::new(Method::POST, "x");
        let refused = Error::Unreachable { call, reason: "", reached: Reached::Nothing };
        assert!(!refused.may_have_happened());
    }
}
