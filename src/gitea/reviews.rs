//! What was said about a pull request in reviews, and what each check says of its head.

use std::collections::BTreeSet;

use super::transport::{Request, repo_path};
use super::wire::{User, lenient, time};
use super::{Client, Error};
use crate::dispatch::{CheckState, CommitCheck, Remark, RemarkId};
use crate::issue::{IssueRef, RepoName, beginning, ending};

/// How much of a text is kept, in bytes.
const LONGEST: usize = 16 * 1024;
/// How much of what stands at a line is kept, in bytes: its end is what the comment is about.
const HUNK: usize = 2 * 1024;
/// How much of a name or an address is kept, in bytes.
const LINE: usize = 512;

impl Client {
    /// What was said in the reviews of a pull request, but for those that are `known`. Whoever has not submitted a
    /// review says nothing by it yet; one that was dismissed does not stand any more, and neither does a conversation that
    /// was resolved.
    ///
    /// A review's own text is `body`; what it says about lines has to be asked for one review at a time
    /// (services/convert/pull_review.go, `ToPullReview`: `comments_count`).
    pub async fn reviews(
        &self,
        at: &IssueRef,
        known: &BTreeSet<RemarkId>,
    ) -> Result<Vec<Remark>, Error> {
        let number = at.number.to_string();
        let path = |tail: &[&str]| repo_path(&at.repo, &[&["pulls", &number], tail].concat());
        let reviews: Vec<WireReview> = self
            .all(format!("{at} reviews"), path(&["reviews"]), |one: &WireReview| one.id)
            .await?;
        let mut said = Vec::new();
        for review in reviews.into_iter().filter(WireReview::is_said) {
            let (id, count) = (review.id, review.comments_count);
            if known.contains(&RemarkId::Review(id)) {
                continue;
            }
            said.extend(review.into_remark());
            if count > 0 {
                let id_text = id.to_string();
                let request = Request::get(
                    format_args!("{at} review {id}"),
                    path(&["reviews", &id_text, "comments"]),
                );
                // Gitea does not page this list (routers/api/v1/repo/pull_review.go, `GetPullReviewComments`).
                let lines = self.undivided(request, move |one: WireLine| Ok(one.into_remark(id)));
                said.extend(lines.await?);
            }
        }
        Ok(said)
    }

    /// The latest of each check of a commit. A status has its state under `status`, unlike the whole, which has it under
    /// `state` (modules/structs/status.go). Of a commit that is not known, there are none.
    pub async fn checks(&self, repo: &RepoName, sha: &str) -> Result<Vec<CommitCheck>, Error> {
        let path = repo_path(repo, &["commits", sha, "status"]);
        let request = Request::get(format_args!("{repo} commit status"), path);
        let Some(answer) = self.find(request, &[404]).await? else { return Ok(Vec::new()) };
        let all = answer.json::<WireChecks>()?;
        Ok(all.statuses.into_iter().map(WireCheck::into_check).collect())
    }
}

lenient! {
    struct WireReview {
        id: i64,
        user: Option<User>,
        state: String,
        body: String,
        dismissed: bool,
        comments_count: u64,
        submitted_at: String,
    }

    struct WireLine {
        user: Option<User>,
        resolver: Option<User>,
        body: String,
        path: String,
        diff_hunk: String,
        position: u64,
        original_position: u64,
        created_at: String,
    }

    struct WireChecks { statuses: Vec<WireCheck> }

    struct WireCheck { context: String, status: String, description: String, target_url: String }
}

const APPROVED: &str = "APPROVED";

impl WireReview {
    /// `PENDING` is shown to its author and to administrators, `REQUEST_REVIEW` is no review yet.
    fn is_said(&self) -> bool {
        !self.dismissed && [APPROVED, "REQUEST_CHANGES", "COMMENT"].contains(&self.state.as_str())
    }

    /// Its own text, where it has one.
    fn into_remark(self) -> Option<Remark> {
        (!self.body.trim().is_empty()).then(|| Remark {
            id: RemarkId::Review(self.id),
            by: self.user.and_then(User::into_account),
            at: time(&self.submitted_at),
            is_approval: self.state == APPROVED,
            place: None,
            hunk: String::new(),
            text: cut(&self.body, LONGEST),
        })
    }
}

impl WireLine {
    /// `position` is the line in the new file; one that was taken away has `original_position` instead.
    fn into_remark(self, review: i64) -> Option<Remark> {
        if self.resolver.is_some() || self.body.trim().is_empty() {
            return None;
        }
        let path = cut(&self.path, LINE);
        let place = match (self.position, self.original_position) {
            (0, 0) => path,
            (0, old) => format!("{path}, the removed line {old}"),
            (line, _) => format!("{path}, line {line}"),
        };
        Some(Remark {
            id: RemarkId::Review(review),
            by: self.user.and_then(User::into_account),
            at: time(&self.created_at),
            is_approval: false,
            place: Some(place),
            hunk: ending(&self.diff_hunk, HUNK).to_owned(),
            text: cut(&self.body, LONGEST),
        })
    }
}

impl WireCheck {
    /// `warning` and `skipped` count as `success` (modules/commitstatus/commit_status.go, `Combine`).
    fn into_check(self) -> CommitCheck {
        let state = match self.status.as_str() {
            "pending" => CheckState::Pending,
            "failure" | "error" => CheckState::Failed,
            _ => CheckState::Passed,
        };
        let [context, description, url] =
            [self.context, self.description, self.target_url].map(|text| cut(&text, LINE));
        CommitCheck { context, state, description, url }
    }
}

fn cut(text: &str, most: usize) -> String {
    beginning(text, most).to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_of_a_review_says_where_it_is() {
        let read = |value: serde_json::Value| WireLine::deserialize(&value).unwrap().into_remark(3);
        let line = json!({"body": "Why?", "path": "src/a.rs", "position": 12, "original_position": 0,
            "diff_hunk": "@@ -1 +1 @@\n+x", "user": {"id": 2, "login": "anna"}, "resolver": null});
        let found = read(line.clone()).unwrap();
        assert_eq!(found.place.as_deref(), Some("src/a.rs, line 12"));
        assert_eq!((found.id, found.hunk.as_str()), (RemarkId::Review(3), "@@ -1 +1 @@\n+x"));
        let mut gone = line.clone();
        (gone["position"], gone["original_position"]) = (json!(0), json!(4));
        assert_eq!(read(gone).unwrap().place.as_deref(), Some("src/a.rs, the removed line 4"));
        let mut resolved = line;
        resolved["resolver"] = json!({"id": 1, "login": "alice"});
        assert_eq!(read(resolved), None);
    }

    #[test]
    fn a_review_that_was_not_submitted_or_does_not_stand_says_nothing() {
        let is_said = |state: &str, dismissed: bool| {
            let review = json!({"id": 1, "state": state, "dismissed": dismissed});
            WireReview::deserialize(&review).unwrap().is_said()
        };
        assert!(
            is_said("APPROVED", false)
                && is_said("COMMENT", false)
                && is_said("REQUEST_CHANGES", false)
        );
        assert!(
            !is_said("PENDING", false) && !is_said("REQUEST_REVIEW", false) && !is_said("", false)
        );
        assert!(!is_said("REQUEST_CHANGES", true));
    }

    #[test]
    fn a_check_is_what_the_forge_counts_it_as() {
        let state = |status: &str| {
            WireCheck::deserialize(&json!({"context": "ci", "status": status}))
                .unwrap()
                .into_check()
                .state
        };
        assert_eq!([state("failure"), state("error")], [CheckState::Failed; 2]);
        assert_eq!(state("pending"), CheckState::Pending);
        assert_eq!(["success", "warning", "skipped"].map(state), [CheckState::Passed; 3]);
    }
}
