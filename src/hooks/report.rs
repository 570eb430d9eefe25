//! What is said about the webhooks of one place. Pure.

use serde::Serialize;

use crate::gitea::{Hook, HookPlace};

/// What became of the webhooks of one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It was created.
    Installed,
    /// It was corrected.
    Updated,
    /// It was correct.
    Unchanged,
    /// It is not correct, and nobody asked to change that.
    Differs,
    /// None is needed: the organisation has one.
    Covered,
    /// A new one took the place of all that were there.
    Rotated,
    /// It was removed.
    Removed,
    /// There is none.
    Absent,
    /// It was left as it is, because a change would lose something that is not ours.
    Blocked,
}

/// One of our webhooks that sends the same events as another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// What it hangs on.
    pub place: HookPlace,
    /// The forge's id of it.
    pub hook: i64,
}

/// What there is to say about one place.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The repository or organisation.
    pub place: HookPlace,
    /// The forge's id of the webhook this is about.
    pub hook: Option<i64>,
    /// What became of it.
    pub status: Status,
    /// What was, or has to be, done, and what for.
    pub notes: Vec<String>,
    /// Others that send the same events, so that each event arrives more than once.
    pub overlaps: Vec<Overlap>,
    /// True when a dry run held it back: it would have been so.
    pub dry_run: bool,
}

impl Report {
    pub(super) fn new(place: &HookPlace, hook: Option<i64>, status: Status) -> Self {
        let (notes, overlaps) = (Vec::new(), Vec::new());
        Self { place: place.clone(), hook, status, notes, overlaps, dry_run: false }
    }

    pub(super) fn with(mut self, notes: Vec<String>) -> Self {
        self.notes.extend(notes);
        self
    }
}

/// The report with every other webhook of ours that hears the same events.
pub(super) fn overlapping(mut report: Report, ours: &[Hook], above: &[Hook]) -> Report {
    let org = match &report.place {
        HookPlace::Repo(repo) => HookPlace::Org(repo.owner().to_owned()),
        org => org.clone(),
    };
    let here = ours.iter().filter(|h| h.is_active).map(|h| (&report.place, h.id));
    let others = here.chain(above.iter().map(|h| (&org, h.id)));
    let others = others.filter(|(_, hook)| Some(*hook) != report.hook);
    report.overlaps = others.map(|(place, hook)| Overlap { place: place.clone(), hook }).collect();
    report
}
