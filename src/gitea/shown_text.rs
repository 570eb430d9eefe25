//! What a delivery shows of the text of an issue. Read only where it matters who had which text before them; what cannot
//! be read shows nothing.

use super::wire::{User, lenient};
use crate::delivery::{ShownEvent, ShownText};
use crate::issue::{TextDigest, TextEdit};

lenient! {
    struct Payload {
        action: String,
        issue: Option<Issue>,
        comment: Option<Comment>,
        sender: Option<User>,
        changes: Option<Changes>,
    }

    struct Issue { title: String, body: String, labels: Vec<Named> }

    struct Named { name: String }

    struct Comment { id: i64 }

    struct Changes { title: Option<Former>, body: Option<Former> }

    struct Former { from: Option<String> }
}

/// The text that a delivery shows, and who did what to the issue; `None` where that is nothing that matters.
pub fn shown_text(body: &[u8]) -> Option<ShownText> {
    let Payload { action, issue, comment, sender, changes } = serde_json::from_slice(body).ok()?;
    let Issue { title, body, labels } = issue?;
    let text = TextDigest::of(&title, &body);
    let event = match (action.as_str(), comment) {
        ("created" | "edited", Some(comment)) => ShownEvent::Commented(comment.id),
        ("edited", None) => {
            let Changes { title, body } = changes.unwrap_or_default();
            let [title, body] = [title, body].map(|former| former.and_then(|one| one.from));
            ShownEvent::Edited(TextEdit::new(text, title.as_deref(), body.as_deref()))
        }
        ("label_updated", None) => {
            ShownEvent::Labelled(labels.into_iter().map(|l| l.name).collect())
        }
        ("assigned", None) => ShownEvent::Assigned,
        _ => return None,
    };
    Some(ShownText { by: sender.and_then(User::into_account), event, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(payload: &serde_json::Value) -> Option<ShownText> {
        shown_text(payload.to_string().as_bytes())
    }

    #[test]
    fn an_edit_shows_what_stood_there_before() {
        let payload = serde_json::json!({
            "action": "edited", "sender": {"id": 7, "login": "bob"},
            "issue": {"title": "a", "body": "new", "labels": null},
            "changes": {"body": {"from": "old"}},
        });
        let edit = shown(&payload).unwrap();
        let ShownEvent::Edited(change) = &edit.event else { panic!("{edit:?}") };
        assert_eq!(edit.text.before(change), Some(TextDigest::of("a", "old")));
        assert_eq!(edit.by.unwrap().login, "bob");
    }

    #[test]
    fn a_former_text_that_is_not_told_is_not_taken_for_an_empty_one() {
        let payload = serde_json::json!({
            "action": "edited", "issue": {"title": "a", "body": "new"}, "changes": {"body": {}},
        });
        let edit = shown(&payload).unwrap();
        let ShownEvent::Edited(change) = &edit.event else { panic!("{edit:?}") };
        assert_eq!(edit.text.before(change), Some(edit.text), "it explains nothing");
    }

    #[test]
    fn the_former_text_of_a_comment_is_none_of_the_issue() {
        let payload = serde_json::json!({
            "action": "edited", "issue": {"title": "a", "body": "b"},
            "comment": {"id": 9}, "changes": {"body": {"from": "old"}},
        });
        assert_eq!(shown(&payload).unwrap().event, ShownEvent::Commented(9));
        for other in [serde_json::json!({"action": "closed", "issue": {}}), serde_json::json!([])] {
            assert_eq!(shown(&other), None);
        }
    }

    #[test]
    fn recorded_edits_are_read_on_both_forges() {
        let mut edits = 0;
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let mut folders = vec![root];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_string_lossy().contains("edited") {
                    let bytes = std::fs::read(&path).unwrap();
                    let begin = bytes.iter().position(|b| *b == b'{').unwrap_or(bytes.len());
                    let Some(ShownText { event: ShownEvent::Edited(edit), text, .. }) =
                        shown_text(&bytes[begin..])
                    else {
                        continue;
                    };
                    edits += 1;
                    assert_ne!(text.before(&edit), Some(text), "{}", path.display());
                }
            }
        }
        assert!(edits >= 2, "{edits}");
    }
}
