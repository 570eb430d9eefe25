//! The sweep: finds issues whose present state nobody has evaluated, because a delivery was lost, and puts an entry
//! for each into the inbox. It reads lists, compares, and decides nothing about an issue.
//!
//! **What is a find.** Each evaluation keeps what it saw of its issue and what its own writes left ([`crate::issue::Fingerprint`]): a digest
//! of title, body, labels, assignees and state, and the number of comments. A listed issue that shows something else,
//! or that was never evaluated, is a find; so is one that was open and is not listed any more. Times are not
//! compared: our own writes, references and pins move `updated_at` and change nothing that is decided from. What a decision
//! is made from and the forge shows in no list is looked for where it matters, in `unlisted`; comments that were edited
//! are asked for by the full pass.
//!
//! **What is left alone.** An issue with something pending, in a worker's hands, or evaluated since the pass began
//! (the list may be older than the evaluation); one whose delivery has arrived and is not classified yet; one that
//! changed within ten seconds, since its delivery may be on its way; one that ended dead and has not changed
//! since, which waits for a person.
//!
//! **What counts as missed.** Every other find, except on the first pass over a repository, which only says where
//! things stand. It counts by event: of an issue that has changed, each thing that others did to it since it was
//! evaluated, as its timeline tells; one where that tells nothing, as of an edited text.
//!
//! **What it costs.** A round does not ask each repository: it searches all of them for what has changed (`search`), and
//! only compares where something is listed. By themselves are asked: a repository that was never read; each one once in
//! `full_every`, spread over that time (`net`), which finds what the search does not show; and, once an hour, the issues
//! that an agent has or that wait for others.

mod events;
mod finds;
mod kept;
mod listing;
mod net;
mod pass;
mod round;
mod search;
mod standing;
mod timer;
mod unlisted;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::TimeDelta;

use self::kept::Kept;
pub use self::standing::Standing;
use crate::clock::Clock;
use crate::gitea as forge;
use crate::issue::{RepoName, RepoPatterns};
use crate::store::{Find, Store};

/// How long ago an issue must have changed for its delivery to count as lost: twice the five seconds Gitea gives a
/// delivery (gitea-facts 1.1), since it waits in a queue before.
const GRACE: Duration = Duration::from_secs(10);
/// How far the lists of two passes overlap: more than the grace, and than a change may take from its time stamp to
/// the forge's database.
const OVERLAP: TimeDelta = TimeDelta::seconds(120);

/// What the owner tunes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The repositories to look after.
    pub repos: RepoPatterns,
    /// Time between two passes.
    pub every: Duration,
    /// Time between two passes that read every open issue.
    pub full_every: Duration,
    /// The digest of the rules in force: what was decided by others is decided anew.
    pub rules: String,
}

/// What a sweep is made of.
pub struct Parts {
    /// Where finds go.
    pub store: Store,
    /// Where issues are listed.
    pub forge: forge::Client,
    /// The time.
    pub clock: Clock,
    /// What the owner tunes; swapped when the configuration is read again.
    pub settings: ArcSwap<Settings>,
    /// Called when finds were put into the inbox.
    pub filled: Box<dyn Fn() + Send + Sync>,
}

/// Finds what no webhook reported. Cheap to clone.
#[derive(Clone)]
pub struct Sweeper {
    inner: Arc<Parts>,
    standing: Arc<Standing>,
    kept: Arc<Kept>,
}

/// How a round over the repositories is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Reads every open issue, even where that is not due.
    pub full: bool,
    /// Only reports what would be found: writes nothing, not even how far it came.
    pub look_only: bool,
    /// Leaves no change to its delivery.
    pub at_once: bool,
}

/// What kind of pass was made over a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first one: every open issue, and nothing counts as missed.
    First,
    /// Every open issue and every change since the last pass.
    Full,
    /// Every change since the last pass.
    Changes,
}

/// What a pass over one repository found.
#[derive(Clone, Debug)]
pub struct Passed {
    /// Which one.
    pub repo: RepoName,
    /// What kind of pass it was.
    pub kind: Kind,
    /// How many issues were listed.
    pub listed: usize,
    /// What was found and, unless nothing was to be written, is in the inbox.
    pub finds: Vec<Find>,
    /// How many more were left to their deliveries.
    pub left: usize,
    /// What is listed and could not be read.
    pub unread: Vec<forge::TooLarge>,
    /// Whether its first pass waits until it is no longer archived.
    is_put_off: bool,
}

impl Passed {
    fn of(repo: &RepoName) -> Self {
        let (finds, unread) = (Vec::new(), Vec::new());
        let repo = repo.clone();
        Self { repo, kind: Kind::First, listed: 0, finds, left: 0, unread, is_put_off: false }
    }
}

/// A repository, or a pattern, that could not be read.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Which.
    pub place: String,
    /// Why.
    pub error: forge::Error,
}

/// What a round over all repositories found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The repositories that were read.
    pub passed: Vec<Passed>,
    /// Those in which nothing had changed, as the search over all of them told.
    pub quiet: Vec<RepoName>,
    /// Those that could not be; each is tried again from where it was.
    pub failed: Vec<Failed>,
}

impl Report {
    /// Everything that was found.
    pub fn finds(&self) -> impl Iterator<Item = &Find> {
        self.passed.iter().flat_map(|p| &p.finds)
    }

    /// How many events no webhook had reported, as far as the forge tells.
    pub fn missed(&self) -> usize {
        self.finds().filter(|f| f.is_missed).map(|f| f.events as usize).sum()
    }

    /// How many finds were left to their deliveries.
    pub fn left(&self) -> usize {
        self.passed.iter().map(|p| p.left).sum()
    }

    /// The issues that could not be read.
    pub fn unread(&self) -> impl Iterator<Item = &forge::TooLarge> {
        self.passed.iter().flat_map(|p| &p.unread)
    }

    /// Whether the forge was unreachable.
    pub fn saw_outage(&self) -> bool {
        self.failed.iter().any(|f| f.error.is_outage())
    }
}

/// Called with how many pages of a repository's list were read, and how many there are.
pub type Watch<'a> = &'a (dyn Fn(&RepoName, u32, u32) + Send + Sync);

impl Sweeper {
    /// A sweep over these parts.
    pub fn new(parts: Parts) -> Self {
        Self { inner: Arc::new(parts), standing: Arc::default(), kept: Arc::default() }
    }

    /// Swaps what the owner tunes; a pass under way ends under the old settings.
    pub fn set_settings(&self, settings: Settings) {
        self.inner.settings.store(Arc::new(settings));
        self.kept.allow_searches();
    }

    fn settings(&self) -> Arc<Settings> {
        self.inner.settings.load_full()
    }

    /// What the sweep cannot read.
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing)
    }

    /// How many requests its connection to the forge has sent.
    pub fn requests(&self) -> u64 {
        self.inner.forge.calls()
    }
}
