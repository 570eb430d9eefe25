//! The events of a webhook in Gitea's two languages: the kinds it answers with, and the names it is asked in. Sending
//! an answer back would widen the hook: `issues` answered is one kind, `issues` asked is five.

use std::collections::BTreeSet;

/// The kinds that have to come: what the name `issues` turns on, comments included, and pull requests, which may close
/// an issue that an agent has, with what people say about them.
const NEEDED: [&str; 8] = [
    "issues",
    "issue_assign",
    "issue_label",
    "issue_milestone",
    "issue_comment",
    "pull_request",
    "pull_request_comment",
    REVIEW,
];

/// Gitea answers with it since 1.23; Gitea before that and Forgejo answer with the three kinds of a review, which are turned
/// on together.
const REVIEW: &str = "pull_request_review";

/// What checks say of commits: asked for, and not missed where it is not known. Forgejo has no such event
/// (modules/webhook/type.go), older versions of Gitea pass over the name.
const STATUS: &str = "status";

/// Kinds whose name is the kind (models/webhook/webhook.go, `EventsArray`).
const PLAIN: &str = "create delete fork issue_assign issue_comment issue_label issue_milestone pull_request_assign \
    pull_request_comment pull_request_label pull_request_milestone pull_request_review pull_request_review_request \
    pull_request_sync push release repository status wiki workflow_run";

/// The needed kinds that are not among `kinds`.
pub(super) fn lacking(kinds: &BTreeSet<String>) -> Vec<&'static str> {
    let is_there = |kind: &str| {
        kinds.contains(kind) || kind == REVIEW && kinds.contains("pull_request_review_approved")
    };
    NEEDED.into_iter().filter(|kind| !is_there(kind)).collect()
}

/// The names that turn on these kinds and the needed ones, and nothing else.
///
/// # Errors
/// The kind that no name turns on.
pub(super) fn names(kinds: &BTreeSet<String>, is_forgejo: bool) -> Result<Vec<String>, String> {
    let status = Some(STATUS).filter(|_| !is_forgejo);
    let needed = NEEDED.into_iter().chain(status).map(str::to_owned);
    let all: BTreeSet<String> = kinds.iter().cloned().chain(needed).collect();
    let names: Result<BTreeSet<String>, String> =
        all.into_iter().map(|kind| name(&kind, is_forgejo).ok_or(kind)).collect();
    Ok(names?.into_iter().collect())
}

fn name(kind: &str, is_forgejo: bool) -> Option<String> {
    let name = match kind {
        "issues" => "issues_only",
        "pull_request" => "pull_request_only",
        // Forgejo answers with the three kinds of a review; they are turned on together.
        "pull_request_review_approved"
        | "pull_request_review_rejected"
        | "pull_request_review_comment" => "pull_request_review",
        // Forgejo's pages can turn it on, its API cannot.
        "package" | "workflow_job" if !is_forgejo => kind,
        "action_run_failure" | "action_run_recover" | "action_run_success" if is_forgejo => kind,
        plain if PLAIN.split(' ').any(|kind| kind == plain) => plain,
        _ => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(kinds: &[&str]) -> BTreeSet<String> {
        kinds.iter().map(|k| (*k).to_owned()).collect()
    }

    #[test]
    fn what_is_answered_is_never_sent_back_as_a_wider_name() {
        let names = names(&set(&["issues", "pull_request", "push"]), false).unwrap();
        assert!(!names.contains(&"issues".to_owned()));
        assert!(!names.contains(&"pull_request".to_owned()));
        assert!(names.contains(&"pull_request_only".to_owned()));
        assert!(names.contains(&"push".to_owned()));
    }

    #[test]
    fn what_has_to_come_is_always_asked_for() {
        let asked = names(&set(&[]), false).unwrap();
        assert_eq!(
            asked,
            [
                "issue_assign",
                "issue_comment",
                "issue_label",
                "issue_milestone",
                "issues_only",
                "pull_request_comment",
                "pull_request_only",
                "pull_request_review",
                "status"
            ]
        );
        assert!(!names(&set(&[]), true).unwrap().contains(&"status".to_owned()));
        assert_eq!(lacking(&set(&["issues", "issue_comment"])).len(), 6);
        assert!(lacking(&set(&NEEDED)).is_empty());
    }

    #[test]
    fn forgejos_reviews_are_one_name_and_its_packages_none() {
        let reviews = set(&["pull_request_review_approved", "pull_request_review_comment"]);
        assert!(!lacking(&reviews).contains(&"pull_request_review"));
        assert!(names(&reviews, true).unwrap().contains(&"pull_request_review".to_owned()));
        assert_eq!(names(&set(&["package"]), true), Err("package".to_owned()));
        assert!(names(&set(&["package"]), false).is_ok());
        assert!(names(&set(&["action_run_success"]), true).is_ok());
        assert_eq!(names(&set(&["of_tomorrow"]), false), Err("of_tomorrow".to_owned()));
    }
}
