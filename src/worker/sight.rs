//! What an evaluation leaves behind: the issue as it was read, with our own writes on it. Pure.

use crate::issue::{Fingerprint, Issue, IssueState};
use crate::plan::{Effect, EffectOutcome, EffectState};

/// What is to be seen of `issue` once these effects are on it. Changes of others in the meantime are not part of it,
/// so that the sweep finds them when their deliveries are lost.
pub(super) fn left(issue: &Issue, effects: &[Effect], outcomes: &[EffectOutcome]) -> Fingerprint {
    let mut left = issue.clone();
    let mut is_known = true;
    for (effect, outcome) in effects.iter().zip(outcomes) {
        if outcome.state == EffectState::Done {
            is_known &= put(&mut left, effect);
        }
    }
    if is_known { Fingerprint::of(&left) } else { Fingerprint::unknown(&left) }
}

/// Puts an effect on the issue; false when it may have changed more than it says.
fn put(issue: &mut Issue, effect: &Effect) -> bool {
    match effect {
        Effect::Comment { edit: None, .. } => issue.comments += 1,
        Effect::Comment { edit: Some(_), .. }
        | Effect::Reaction { .. }
        | Effect::HandOff { .. } => {}
        Effect::Unlabel(name) => issue.labels.retain(|label| label != name),
        Effect::Unassign(login) => {
            issue.assignees.retain(|one| !one.eq_ignore_ascii_case(login));
        }
        Effect::Reopen => issue.state = IssueState::Open,
        Effect::Assignee(login) if issue.is_assigned_to(login) => {}
        Effect::Assignee(login) => issue.assignees.push(login.clone()),
        Effect::Label(name) if issue.has_label(name) => {}
        Effect::Label(name) => {
            issue.labels.push(name.clone());
            // A scoped label that is exclusive takes its siblings off, and the name does not tell which ones are.
            let scope = name.rsplit_once('/').map(|(scope, _)| format!("{scope}/"));
            let is_sibling = |label: &String| {
                label != name && scope.as_ref().is_some_and(|s| label.starts_with(s.as_str()))
            };
            return !issue.labels.iter().any(is_sibling);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gitea::issue_from_json;
    use serde_json::json;

    fn done() -> EffectOutcome {
        EffectOutcome::done(None)
    }

    fn issue(labels: &[&str]) -> Issue {
        let labels: Vec<_> = labels.iter().map(|name| json!({"name": name})).collect();
        issue_from_json(&json!({"number": 1, "title": "x", "labels": labels})).unwrap()
    }

    #[test]
    fn what_we_wrote_is_no_change() {
        let effects = [Effect::Label("ready".into()), Effect::Assignee("claude".into())];
        let seen = left(&issue(&["bug"]), &effects, &[done(), done()]);
        let mut after = issue(&["ready", "bug"]);
        after.assignees.push("Claude".into());
        assert!(seen.covers(&Fingerprint::of(&after)));
    }

    #[test]
    fn what_we_failed_to_write_is_not_there() {
        let withheld = EffectOutcome::withheld(None);
        let seen = left(&issue(&["bug"]), &[Effect::Label("ready".into())], &[withheld]);
        assert!(seen.covers(&Fingerprint::of(&issue(&["bug"]))));
    }

    #[test]
    fn a_label_that_may_push_its_sibling_off_leaves_the_issue_unknown() {
        let effects = [Effect::Label("state/ready".into())];
        assert!(!left(&issue(&["state/new"]), &effects, &[done()]).is_known());
        assert!(left(&issue(&["kind/bug"]), &effects, &[done()]).is_known());
    }
}
