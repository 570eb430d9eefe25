//! Assigning beside people who do the same: the forge can only replace the whole list.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::{Executor, Written};
use crate::issue::{Account, Change, IssueRef, TimelineEvent};
use crate::plan::EffectOutcome;

/// How often the assignees are put right while people go on changing them.
const ROUNDS: usize = 3;
/// How far back the timeline is read for what a person did just before our write: also before one that was interrupted.
const WINDOW: TimeDelta = TimeDelta::minutes(2);

impl Executor {
    /// Assigns an account, or takes it off, and leaves the others as people left them. The forge can only replace the
    /// whole list, so it is read immediately before, and what a person did in between is put back right after.
    pub(super) async fn set_assignee(&self, at: &IssueRef, login: &str, on: bool) -> Written {
        let Some(issue) = self.forge.issue(at).await? else {
            return Ok(EffectOutcome::failed("the issue is gone"));
        };
        let window = issue.updated_at.map(|at| at - WINDOW);
        let mut logins = issue.assignees;
        // Where it is so already, a person may have done it, or we before an interruption.
        let us = match logins.iter().any(|one| one.eq_ignore_ascii_case(login)) == on {
            true => Some(self.forge.whoami_in(&at.repo).await?),
            false => {
                set(&mut logins, login, on);
                logins = self.forge.set_assignees(at, &logins).await?;
                None
            }
        };
        boundary!("apply::assigned");
        for _ in 0..ROUNDS {
            let reversed = reversed(&self.forge.timeline(at, window).await?, login, us.as_ref());
            let is_other = |(one, on): &(String, bool)| {
                logins.iter().any(|login| login.eq_ignore_ascii_case(one)) != *on
            };
            let reversed: Vec<_> = reversed.into_iter().filter(is_other).collect();
            if reversed.is_empty() {
                break;
            }
            reversed.iter().for_each(|(one, on)| set(&mut logins, one, *on));
            logins = self.forge.set_assignees(at, &logins).await?;
        }
        if logins.iter().any(|one| one.eq_ignore_ascii_case(login)) == on {
            return Ok(EffectOutcome::done(None));
        }
        let (repo, verb) = (&at.repo, if on { "assign" } else { "unassign" });
        let note = format!("the forge did not {verb} `{login}`; check its access to `{repo}`");
        Ok(EffectOutcome::failed(note))
    }
}

/// Puts a login on the list, or takes it off.
fn set(logins: &mut Vec<String>, login: &str, on: bool) {
    logins.retain(|one| !one.eq_ignore_ascii_case(login));
    logins.extend(on.then(|| login.to_owned()));
}

/// What people did to the assignees that our write undid without knowing: whom they assigned, and whom they took off.
/// Where it is not said which account is ours, it is the one that wrote the latest line about `login`.
fn reversed(timeline: &[TimelineEvent], login: &str, us: Option<&Account>) -> Vec<(String, bool)> {
    let lines: Vec<_> = timeline.iter().filter_map(Line::of).collect();
    let latest = || lines.iter().rev().find(|line| line.is_about(login)).map(|line| line.by);
    let Some(us) = us.or_else(latest) else { return Vec::new() };
    let others: BTreeSet<_> = lines.iter().map(|line| line.login.to_lowercase()).collect();
    let reversed = |other: String| {
        let mut about = lines.iter().rev().filter(|line| line.is_about(&other));
        let (last, before) = (about.next()?, about.next()?);
        let is_ours = last.by.is_same_as(us) && !before.by.is_same_as(us);
        (is_ours && before.on != last.on).then(|| (before.login.to_owned(), before.on))
    };
    others
        .into_iter()
        .filter(|other| !login.eq_ignore_ascii_case(other))
        .filter_map(reversed)
        .collect()
}

/// One line of the timeline about an assignee.
struct Line<'a> {
    by: &'a Account,
    login: &'a str,
    on: bool,
}

impl<'a> Line<'a> {
    fn of(event: &'a TimelineEvent) -> Option<Self> {
        match (&event.change, &event.by) {
            (Change::Assigned { login, on }, Some(by)) => Some(Self { by, login, on: *on }),
            _ => None,
        }
    }

    fn is_about(&self, login: &str) -> bool {
        self.login.eq_ignore_ascii_case(login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(by: i64, login: &str, on: bool) -> TimelineEvent {
        let by = Some(Account { id: by, login: format!("account-{by}") });
        let change = Change::Assigned { login: login.into(), on };
        TimelineEvent { by, at: None, change }
    }

    #[test]
    fn only_what_we_undid_of_a_persons_is_put_back() {
        // 1 is ours. Alice was assigned and dora taken off in between; bob was taken off by somebody else.
        let lines = [
            line(2, "alice", true),
            line(3, "dora", false),
            line(2, "bob", true),
            line(3, "bob", false),
            line(1, "alice", false),
            line(1, "Dora", true),
            line(1, "claude", true),
        ];
        let expected = [("alice".to_owned(), true), ("dora".to_owned(), false)];
        assert_eq!(reversed(&lines, "claude", None), expected);
        // A person assigned the agent: what that person did is no doing of ours.
        let lines = [line(2, "bob", true), line(3, "bob", false), line(3, "claude", true)];
        let us = Account { id: 1, login: "account-1".into() };
        assert_eq!(reversed(&lines, "claude", Some(&us)), []);
    }
}
