//! Gitea (and Forgejo): the only place with its headers, its JSON and its URLs. It carries out what it is asked,
//! checks what comes in, and decides nothing.
//!
//! Everything goes through [`Client`]: one gate holds back writes in a dry run, no redirect is followed, no answer
//! is read past a limit, and neither the token nor an answer reaches a log.

mod error;
mod hook_events;
mod hooks;
mod issues;
mod labels;
mod lists;
mod loose;
mod probe;
mod pulls;
mod receiver;
mod recording;
mod rejected;
mod repos;
mod reviews;
mod rights;
mod server;
mod shown_text;
mod sign_in;
mod signature;
mod stream;
mod timeline;
mod transport;
mod webhook;
mod wire;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

pub use error::{Call, Error, Reached};
pub use hooks::{Hook, HookForm, HookPlace};
pub use pulls::{BranchPull, NewPull};
pub use receiver::{Knock, knock, post};
pub use recording::{Recording, RecordingError};
pub use rejected::Rejected;
pub use rights::{Rights, Source};
pub use server::Server;
pub use shown_text::shown_text;
pub use sign_in::{Access, Application, Flow, PersonTokens, SignIn, SignInError, SignedIn};
pub use signature::{HeaderLookup, Secret, Verifier, is_from_hook};
pub use timeline::Pull;
pub use webhook::{ParseError, parse};
pub use wire::{SentFrom, issue_from_json, issue_text, sent_from};

use crate::clock::Timestamp;
use crate::issue::{Account, IssueNumber, IssueRef, RepoName};
use crate::meters::Calls;

/// How to reach Gitea, and how patient to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Gitea is, with its path when it does not sit at the root: `https://example.com/gitea`.
    pub url: String,
    /// The access token.
    pub token: SecretString,
    /// Whether every write is refused.
    pub dry_run: bool,
    /// The login the token belongs to, for a token that may not read its own account.
    pub account: Option<String>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for a whole answer.
    pub timeout: Duration,
    /// The longest answer that is read, in bytes.
    pub max_response: usize,
    /// How many items to ask for at once; Gitea gives at most `[api] MAX_RESPONSE_ITEMS`, 50 by default.
    pub page_size: u32,
}

impl Settings {
    /// Settings with the usual limits.
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token: SecretString::from(token.into()),
            dry_run: false,
            account: None,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(30),
            max_response: 32 * 1024 * 1024,
            page_size: 50,
        }
    }
}

/// A comment on an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Gitea's id of it.
    pub id: i64,
    /// Who wrote it, when Gitea says.
    pub author: Option<Account>,
    /// What it says, hidden markers included.
    pub body: String,
    /// When it was written.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

/// A label that can be put on a repository's issues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Gitea's id of it.
    pub id: i64,
    /// Its name; not unique.
    pub name: String,
    /// Six hex digits without `#`.
    pub color: String,
    /// Whether the organisation defines it, rather than the repository.
    pub org: bool,
    /// Whether it was archived; it can still be put on issues.
    pub archived: bool,
    /// Whether an issue may have only one label of its scope: the forge takes the others off.
    pub exclusive: bool,
}

impl Label {
    /// What stands before the last `/` of a name (`ExclusiveScope` in models/issues/label.go).
    pub fn scope(name: &str) -> Option<&str> {
        let (scope, rest) = name.rsplit_once('/')?;
        (!scope.is_empty() && !rest.is_empty()).then_some(scope)
    }
}

/// A repository, as far as triage cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Gitea's number of it, which outlives its name.
    pub id: i64,
    /// Its name as Gitea spells it now.
    pub name: RepoName,
    /// Whether only some may see it.
    pub private: bool,
    /// Whether it refuses comments and new issues.
    pub archived: bool,
    /// Whether Gitea holds its issues; false when they are off or in another tracker.
    pub has_issues: bool,
    /// Its default branch.
    pub default_branch: String,
    /// The login of its owner.
    pub owner_login: String,
}

named_enum! {
    /// Which issues a list should hold.
    #[derive(Default)]
    StateFilter {
        /// Open ones.
        #[default]
        Open = "open",
        /// Closed ones.
        Closed = "closed",
        /// Both.
        All = "all",
    }
}

/// What to ask a list of issues for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IssueQuery {
    /// Open, closed or all.
    pub state: StateFilter,
    /// Only what changed at or after this moment.
    pub since: Option<Timestamp>,
}

/// An issue that is too large to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Where it is.
    pub repo: RepoName,
    /// Its number, where that much could be read.
    pub number: Option<IssueNumber>,
    /// Its place in the list that was read, from 1 on.
    pub place: u64,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repo, number, place } = self;
        match number {
            Some(number) => {
                write!(f, "`{repo}#{number}` is too large to be read; shorten its text")
            }
            None => write!(f, "issue {place} of `{repo}`, newest first, is too large to be read"),
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What is on it and could not be read.
    pub unread: Vec<TooLarge>,
    /// How many items there are on all pages, when Gitea says.
    pub total: Option<u64>,
    /// When it was answered, on Gitea's own clock.
    pub at: Option<Timestamp>,
}

/// An issue of a list over several repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<N> {
    /// Where it is.
    pub repo: RepoName,
    /// What is kept of it.
    pub issue: N,
}

/// How requests are sent, by one set of settings.
struct Link {
    http: reqwest::Client,
    base: Url,
    settings: Settings,
}

struct Inner {
    link: ArcSwap<Link>,
    calls: Arc<Calls>,
    /// Our account, where it was learnt from what the forge answered.
    account: ArcSwapOption<Account>,
    /// Which forge it is, once it has said so.
    product: OnceLock<&'static str>,
}

/// A connection to one Gitea. Cheap to clone; clones share settings, connections and counters.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = self.link();
        f.debug_struct("Client")
            .field("url", &link.base.as_str())
            .field("dry_run", &link.settings.dry_run)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client for these settings; nothing is sent yet.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let link = ArcSwap::from_pointee(Link::new(settings)?);
        let inner = Inner {
            link,
            calls: Arc::default(),
            account: ArcSwapOption::empty(),
            product: OnceLock::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Sends every request from now on by these settings, also those of clones. When they cannot be used, the old
    /// ones stay.
    pub fn set_settings(&self, settings: Settings) -> Result<(), Error> {
        self.inner.link.store(Arc::new(Link::new(settings)?));
        // The new token may be another account's.
        self.inner.account.store(None);
        Ok(())
    }

    fn link(&self) -> Arc<Link> {
        self.inner.link.load_full()
    }

    /// The page of an issue, for people.
    pub fn issue_url(&self, at: &IssueRef) -> String {
        issue_page(&self.link().base, at)
    }

    /// The same page by an address that leaves no reference on the issue where a text of the forge links to it. It takes
    /// `/owner/name/issues/5` for an issue: Gitea when there are exactly these parts, Forgejo since 11.0.2 when more
    /// follow. Two slashes before them are a part of their own, and both open the page all the same.
    pub fn quiet_issue_url(&self, at: &IssueRef) -> String {
        let (page, link) = (self.issue_url(at), self.link());
        let base = link.base.as_str().trim_end_matches('/');
        match page.strip_prefix(base) {
            Some(path) => format!("{base}/{path}/"),
            None => page,
        }
    }

    /// Whether nothing may be written.
    pub fn is_dry_run(&self) -> bool {
        self.link().settings.dry_run
    }

    /// How many requests were answered, or failed, so far.
    pub fn calls(&self) -> u64 {
        self.inner.calls.outcomes.rows().iter().map(|(_, count)| count).sum()
    }

    /// The requests so far, for the metrics.
    pub fn meters(&self) -> Arc<Calls> {
        Arc::clone(&self.inner.calls)
    }
}

impl Link {
    fn new(settings: Settings) -> Result<Self, Error> {
        let base = base_url(&settings.url)?;
        let headers = default_headers(&settings.token)?;
        let http = http_client(settings.connect_timeout, settings.timeout, &base, headers)?;
        Ok(Self { http, base, settings })
    }

    fn api_url(&self, path: &[String], query: &[(&'static str, String)]) -> Url {
        let mut url = below(&below(&self.base, &["api", "v1"]), path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

/// What holds for every connection to Gitea, whoever asks.
fn http_client(
    connect: Duration,
    whole: Duration,
    base: &Url,
    headers: HeaderMap,
) -> Result<reqwest::Client, Error> {
    // Fails only when the program has chosen a provider already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("gitea-triage/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        // A renamed repository answers 301, and a followed 301 turns a POST into a GET that succeeds.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect)
        .timeout(whole)
        // Below the 60 to 75 s after which proxies drop an idle connection: a write that meets such a
        // connection would have an unknown outcome.
        .pool_idle_timeout(Duration::from_secs(30));
    if base.scheme() == "http" {
        // A bare container has no CA certificates, and plain `http://` must not fail for want of them.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|_| {
        Error::Settings("no CA certificates were found for TLS; install `ca-certificates`".into())
    })
}

fn default_headers(token: &SecretString) -> Result<HeaderMap, Error> {
    let unusable = |_| {
        Error::Settings("`gitea.token` holds bytes that no header can; copy the token again".into())
    };
    // Forgejo takes `token` in lower case only.
    let mut authorization =
        HeaderValue::try_from(format!("token {}", token.expose_secret())).map_err(unusable)?;
    authorization.set_sensitive(true);
    Ok(HeaderMap::from_iter([
        (AUTHORIZATION, authorization),
        (ACCEPT, HeaderValue::from_static("application/json")),
    ]))
}

fn base_url(text: &str) -> Result<Url, Error> {
    let wrong = |why: &str| {
        let wanted = "write it as `https://gitea.example.com`";
        Error::Settings(format!("`gitea.url` {why}; {wanted}"))
    };
    let mut url = Url::parse(text.trim()).map_err(|_| wrong("is no address"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("is neither `http://` nor `https://` and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds a user name; the token goes into `gitea.token_file`"));
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn issue_page(base: &Url, at: &IssueRef) -> String {
    let number = at.number.to_string();
    below(base, &[at.repo.owner(), at.repo.name(), "issues", &number]).into()
}

/// `base` with these segments after its path, each escaped so that it stays one segment.
fn below<S: AsRef<str>>(base: &Url, path: &[S]) -> Url {
    let mut url = base.clone();
    // Fails only for addresses without a host, which `base_url` refuses.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client, Error> {
        Client::new(Settings::new(url, "abc"))
    }

    #[test]
    fn an_issue_has_a_page_even_below_a_path() {
        let at: IssueRef = "acme/widgets#5".parse().unwrap();
        for url in ["https://example.com/git", "https://example.com/git/"] {
            let page = client(url).unwrap().issue_url(&at);
            assert_eq!(page, "https://example.com/git/acme/widgets/issues/5");
            let quiet = client(url).unwrap().quiet_issue_url(&at);
            assert_eq!(quiet, "https://example.com/git//acme/widgets/issues/5/");
        }
    }

    #[test]
    fn an_address_that_cannot_be_gitea_is_refused_with_what_to_write() {
        for url in ["", "gitea.example.com", "ftp://example.com", "https://bob:pw@example.com"] {
            let error = client(url).unwrap_err().to_string();
            assert!(error.starts_with("`gitea.url` "), "{error}");
            assert!(!error.contains("pw"), "{error}");
        }
    }
}
