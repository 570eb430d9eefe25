//! The timeline of an issue: the only place that says who put a label on or took it off, and which pull requests name
//! the issue. And what there is to know about those.

use reqwest::Method;

use super::transport::{PageOf, Request, repo_path};
use super::wire::{RepoMeta, User, lenient, place, time};
use super::{Client, Error};
use crate::clock::Timestamp;
use crate::issue::{Change, IssueRef, RepoName, TimelineEvent};

/// More pages than these are no issue that people can follow either.
const MAX_PAGES: u32 = 40;

/// A pull request, as far as a review cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Whether it is open.
    pub is_open: bool,
    /// The commit at its head.
    pub head: String,
}

impl Client {
    /// What happened on an issue, oldest first, from `since` on.
    pub async fn timeline(
        &self,
        at: &IssueRef,
        since: Option<Timestamp>,
    ) -> Result<Vec<TimelineEvent>, Error> {
        let (mut all, size) = (Vec::new(), self.page_size());
        let request = Request::of_issue(Method::GET, at, &["timeline"]).since(since);
        for page in 1..=MAX_PAGES {
            // What is said there, and the whole text of each issue that names this one, is dropped on the way.
            let on = at.clone();
            let keep = move |event: WireEvent| Ok(Some(event.into_event(&on)));
            let part = self.page(&request, PageOf { page, size }, keep).await?;
            let received = part.items.len() + part.skipped.len();
            all.extend(part.items);
            // Gitea leaves out what we may not see after it has cut the page, and counts only what is in the answer:
            // a page that is a little short need not be the last.
            if received * 2 < size as usize {
                break;
            }
        }
        Ok(all)
    }

    /// A pull request as it is now; `None` when there is none of that number.
    pub async fn pull(&self, at: &IssueRef) -> Result<Option<Pull>, Error> {
        let path = repo_path(&at.repo, &["pulls", &at.number.to_string()]);
        let request = Request::get(format_args!("{at} pull"), path);
        let Some(answer) = self.find(request, &[404]).await? else { return Ok(None) };
        let pull = answer.json::<WirePull>()?;
        Ok(Some(Pull { is_open: pull.state == "open", head: pull.head.sha }))
    }

    /// What the checks say of a commit, all together: `success`, `failure`, `pending`, …; empty when there are none. Of a
    /// commit that it does not know, Forgejo says the same, and Gitea answers 404.
    pub async fn commit_status(&self, repo: &RepoName, sha: &str) -> Result<String, Error> {
        let path = repo_path(repo, &["commits", sha, "status"]);
        let request = Request::get(format_args!("{repo} commit status"), path);
        match self.find(request, &[404]).await? {
            Some(answer) => answer.json::<WireStatus>().map(|status| status.state),
            None => Ok(String::new()),
        }
    }
}

lenient! {
    struct WireEvent {
        #[serde(rename = "type")]
        kind: String,
        user: Option<User>,
        body: String,
        created_at: String,
        label: Option<Named>,
        assignee: Option<User>,
        removed_assignee: bool,
        ref_issue: Option<RefIssue>,
        ref_action: String,
    }

    struct Named { name: String }

    struct RefIssue { number: u64, pull_request: Option<Merged>, repository: Option<RepoMeta> }

    struct Merged { merged: bool, merged_at: String }

    struct WirePull { state: String, head: Head }

    struct Head { sha: String }

    struct WireStatus { state: String }
}

impl WireEvent {
    fn into_event(self, on: &IssueRef) -> TimelineEvent {
        let at = time(&self.created_at);
        let change = match self.kind.as_str() {
            "comment" => Change::Commented,
            "close" => Change::Closed,
            "reopen" | "change_title" | "milestone" => Change::Changed,
            // The body of a label's line is "1" when it was put on, and empty when it was taken off.
            "label" => self.label.map_or(Change::Other, |label| Change::Labelled {
                name: label.name,
                on: self.body == "1",
            }),
            "assignees" => self.assignee.map_or(Change::Other, |user| Change::Assigned {
                login: user.login,
                on: !self.removed_assignee,
            }),
            "pull_ref" | "comment_ref" | "issue_ref" => {
                let closes = self.ref_action == "closes";
                self.ref_issue.and_then(|other| other.linked(on, closes)).unwrap_or(Change::Other)
            }
            _ => Change::Other,
        };
        TimelineEvent { by: self.user.and_then(User::into_account), at, change }
    }
}

impl RefIssue {
    fn linked(self, on: &IssueRef, closes: bool) -> Option<Change> {
        let Merged { merged: is_merged, merged_at } = self.pull_request?;
        let pull = place(self.repository.as_ref(), self.number, on)?;
        Some(Change::Linked { pull, is_merged, merged_at: time(&merged_at), closes })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    fn read(value: &serde_json::Value) -> Change {
        let at: IssueRef = "acme/widgets#5".parse().unwrap();
        WireEvent::deserialize(value).unwrap().into_event(&at).change
    }

    #[test]
    fn a_line_of_the_timeline_says_what_happened() {
        let on = json!({"type": "label", "body": "1", "label": {"name": "bug"}});
        assert_eq!(read(&on), Change::Labelled { name: "bug".into(), on: true });
        let off = json!({"type": "label", "body": "", "label": {"name": "bug"}, "user": null});
        assert_eq!(read(&off), Change::Labelled { name: "bug".into(), on: false });
        let gone = json!({"type": "label", "body": "", "label": null});
        assert_eq!(read(&gone), Change::Other);
        let off =
            json!({"type": "assignees", "assignee": {"login": "bob"}, "removed_assignee": true});
        assert_eq!(read(&off), Change::Assigned { login: "bob".into(), on: false });
    }

    #[test]
    fn only_pull_requests_are_linked() {
        let other =
            |pull| json!({"type": "pull_ref", "ref_issue": {"number": 7, "pull_request": pull}});
        let pull = "acme/widgets#7".parse().unwrap();
        let linked = read(&other(json!({"merged": true, "merged_at": "2026-03-23T12:00:00Z"})));
        let merged_at = time("2026-03-23T12:00:00Z");
        assert_eq!(linked, Change::Linked { pull, is_merged: true, merged_at, closes: false });
        assert_eq!(read(&other(serde_json::Value::Null)), Change::Other);
    }
}
