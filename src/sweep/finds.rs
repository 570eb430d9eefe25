//! Which listed, and which no longer listed, issues have to be looked at. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::listing::Listed;
use crate::clock::Timestamp;
use crate::issue::{IssueNumber, IssueRef, RepoName};
use crate::store::{Find, Known, Mark, ShownIssue, Why};

/// What a pass knows when it judges.
pub(super) struct Ground<'a> {
    pub repo: &'a RepoName,
    /// Where the ledger stood before anything was listed.
    pub mark: &'a Mark,
    /// What is known of the issues, by number.
    pub known: BTreeMap<IssueNumber, Known>,
    /// Issues of which a delivery has arrived that is not classified yet.
    pub arrived: BTreeSet<IssueNumber>,
    /// What changed after this is left to its delivery.
    pub settled_by: Option<Timestamp>,
    /// When the last pass began, on the forge's clock. The first pass only says where things stand.
    pub last: Option<Timestamp>,
    /// Whether other rules are in force than at the last pass.
    pub is_anew: bool,
}

impl Ground<'_> {
    /// The finds among the issues that are listed, and how many more are left to their deliveries.
    pub fn listed(&self, issues: &BTreeMap<IssueNumber, Listed>) -> (Vec<Find>, usize) {
        let news = issues.iter().filter(|(number, issue)| self.is_news(**number, issue));
        let (fresh, settled): (Vec<_>, Vec<_>) = news.partition(|(_, issue)| self.is_fresh(issue));
        let finds = settled.into_iter().map(|(number, issue)| self.find(*number, issue));
        (finds.collect(), fresh.len())
    }

    /// The issues that were open, or are in somebody's hands, and are not listed.
    pub fn gone(&self, issues: &BTreeMap<IssueNumber, Listed>) -> Vec<Find> {
        let was_open = |known: &Known| known.fingerprint.as_ref().is_some_and(|s| s.is_open);
        let gone = self.known.values().filter(|known| {
            (was_open(known) || known.is_dispatched)
                && !issues.contains_key(&known.number)
                && known.died_at.is_none()
                && self.is_at_rest(known)
        });
        gone.map(|known| self.gone_one(known)).collect()
    }

    /// The find of an issue that is no more.
    pub fn gone_one(&self, known: &Known) -> Find {
        let was_open = known.fingerprint.as_ref().is_some_and(|s| s.is_open);
        Find {
            at: self.at(known.number),
            shown: None,
            why: Why::Gone,
            is_missed: self.last.is_some() && was_open,
            events: 1,
            known: Some(known.clone()),
        }
    }

    /// The listed issues whose ids are not kept yet.
    pub fn unidentified(&self, issues: &BTreeMap<IssueNumber, Listed>) -> Vec<ShownIssue> {
        let of = |(number, issue)| {
            let known = self.known.get(number).filter(|known| known.issue_id.is_none())?;
            self.shown(known.number, issue)
        };
        issues.iter().filter_map(of).collect()
    }

    fn shown(&self, number: IssueNumber, issue: &Listed) -> Option<ShownIssue> {
        let (at, opened_at) = (self.at(number), issue.created_at);
        issue.ids.map(|ids| ShownIssue { at, ids, opened_at })
    }

    /// What is known of the listed issue; another one may have had its number.
    fn known(&self, number: IssueNumber, issue: &Listed) -> Option<&Known> {
        let is_same = |known: &&Known| match (known.issue_id, issue.ids) {
            (Some(known), Some(ids)) => known == ids.issue,
            _ => true,
        };
        self.known.get(&number).filter(is_same)
    }

    /// The open issues that are as the last evaluation left them, as far as lists show: other things that they are
    /// decided by may have changed.
    pub fn unchanged(&self, finds: &[Find]) -> impl Iterator<Item = &Known> {
        let found: BTreeSet<_> = finds.iter().map(|find| find.at.number).collect();
        self.known.values().filter(move |known| {
            known.fingerprint.as_ref().is_some_and(|seen| seen.is_open)
                && known.died_at.is_none()
                && self.is_at_rest(known)
                && !found.contains(&known.number)
        })
    }

    /// The issues of which a comment was written or edited after they were evaluated: it may be a command.
    pub fn commented(&self, finds: &[Find], at: &BTreeMap<IssueNumber, Timestamp>) -> Vec<Find> {
        let is_later = |known: &&Known| {
            let at = at.get(&known.number);
            at.zip(known.evaluated_at).is_some_and(|(at, seen)| *at > seen)
        };
        self.unchanged(finds).filter(is_later).map(|known| self.input(known)).collect()
    }

    /// A find of which no list tells.
    pub fn input(&self, known: &Known) -> Find {
        let (at, known) = (self.at(known.number), Some(known.clone()));
        Find { at, shown: None, why: Why::Input, is_missed: false, events: 0, known }
    }

    pub fn at(&self, number: IssueNumber) -> IssueRef {
        IssueRef { repo: self.repo.clone(), number }
    }

    /// Nobody has it in hand, and nobody had while the list was read.
    pub fn is_at_rest(&self, known: &Known) -> bool {
        !known.is_busy
            && !known.was_in_hands_since(self.mark)
            && !self.arrived.contains(&known.number)
    }

    fn is_news(&self, number: IssueNumber, issue: &Listed) -> bool {
        let Some(known) = self.known(number, issue) else {
            return !self.arrived.contains(&number);
        };
        let is_covered =
            known.fingerprint.as_ref().is_some_and(|known| known.covers(&issue.fingerprint));
        // A failed delivery waits for a person, unless the issue has changed since.
        let is_dead = known.died_at.zip(issue.updated_at).is_some_and(|(died, at)| at <= died);
        !is_covered && !is_dead && self.is_at_rest(known)
    }

    /// Whether the delivery of the last change may be on its way.
    fn is_fresh(&self, issue: &Listed) -> bool {
        self.last.is_some() && self.settled_by.zip(issue.updated_at).is_some_and(|(by, at)| at > by)
    }

    fn find(&self, number: IssueNumber, issue: &Listed) -> Find {
        let known = self.known(number, issue);
        let is_evaluated = known.is_some_and(|k| k.is_evaluated);
        // What our own write left unknown may well be nothing but our own write.
        let is_ours =
            known.and_then(|k| k.fingerprint.as_ref()).is_some_and(|known| !known.is_known());
        // A closed issue that was never looked at is listed for a mere reference, too, of which no webhook is sent.
        let just_closed = issue.closed_at.zip(self.last).is_some_and(|(at, last)| at >= last);
        let is_event = issue.fingerprint.is_open || is_evaluated || just_closed;
        Find {
            at: self.at(number),
            shown: self.shown(number, issue),
            why: if is_evaluated { Why::Changed } else { Why::New },
            is_missed: self.last.is_some() && !is_ours && is_event,
            events: 1,
            known: known.cloned(),
        }
    }
}
