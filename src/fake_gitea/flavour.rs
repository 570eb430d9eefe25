//! What differs between the two forges that the fake can be: Gitea 1.25.4 and Forgejo 15.0.3, each as it was seen to
//! answer.

use serde_json::{Value, json};

use super::call::Answer;
use super::record::{ROOT_URL, Repo};

/// Which forge the fake is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Gitea 1.25.4.
    #[default]
    Gitea,
    /// Forgejo 15.0.3.
    Forgejo,
}

impl Flavour {
    fn is_forgejo(self) -> bool {
        self == Self::Forgejo
    }

    /// Its version, as it writes it.
    pub(super) fn version(self) -> &'static str {
        if self.is_forgejo() { "15.0.3+gitea-1.22.0" } else { "1.25.4" }
    }

    /// The names in the headers of a delivery.
    pub(super) fn brands(self) -> &'static [&'static str] {
        if self.is_forgejo() {
            &["Forgejo", "Gitea", "Gogs", "GitHub"]
        } else {
            &["Gitea", "Gogs", "GitHub"]
        }
    }

    /// The names in the headers that say whose webhook a delivery is of.
    pub(super) fn target_brands(self) -> &'static [&'static str] {
        if self.is_forgejo() { &[] } else { &["Gitea", "GitHub"] }
    }

    /// The types of webhooks that it knows; only its own ones are delivered here.
    pub(super) fn hook_types(self) -> &'static [&'static str] {
        if self.is_forgejo() {
            &["forgejo", "gitea", "gogs", "slack", "discord"]
        } else {
            &["gitea", "gogs", "slack", "discord"]
        }
    }

    /// Whether a deleted issue makes an event.
    pub(super) fn tells_of_deletion(self) -> bool {
        !self.is_forgejo()
    }

    /// Whether what a check says of a commit makes an event.
    pub(super) fn tells_of_checks(self) -> bool {
        !self.is_forgejo()
    }

    /// Whether a comment that is saved with the text it had makes an event.
    pub(super) fn tells_of_equal_text(self) -> bool {
        self.is_forgejo()
    }

    /// Whether the event of a deleted comment still counts it.
    pub(super) fn counts_deleted_comment(self) -> bool {
        self.is_forgejo()
    }

    /// Whether the first `assigned` of a new issue says that it is of 1970.
    pub(super) fn assigns_at_epoch(self) -> bool {
        !self.is_forgejo()
    }

    /// Whether the event of replaced labels shows none at all.
    pub(super) fn hides_replaced_labels(self) -> bool {
        !self.is_forgejo()
    }

    /// The answer about the comments and the timeline of an issue that is not there: Gitea finds out too late.
    pub(super) fn missing_issue(self) -> Answer {
        if self.is_forgejo() { Answer::not_found() } else { Answer::broken() }
    }

    /// Whether an unknown account is said to be one before it is looked at who asks.
    pub(super) fn knows_accounts_first(self) -> bool {
        self.is_forgejo()
    }

    /// The status of a commit that it does not know.
    pub(super) fn unknown_commit(self) -> Result<Answer, Answer> {
        if !self.is_forgejo() {
            return Err(Answer::not_found());
        }
        Ok(Answer::ok(json!({
            "state": "", "sha": "", "total_count": 0, "statuses": null, "repository": null, "commit_url": "", "url": "",
        })))
    }

    /// Whether a word that is no state is refused; otherwise it opens the issue.
    pub(super) fn knows_states(self) -> bool {
        !self.is_forgejo()
    }

    /// Whether an administrator of the repository may comment where somebody has blocked them.
    pub(super) fn lets_blocked_admins(self) -> bool {
        !self.is_forgejo()
    }

    /// Whether a block also stops edits of comments written before it, as an internal error.
    pub(super) fn blocks_edits(self) -> bool {
        !self.is_forgejo()
    }

    /// Whether nobody is assigned who has blocked the account that assigns.
    pub(super) fn heeds_assignees(self) -> bool {
        !self.is_forgejo()
    }

    /// What is said to an account that the poster or the owner has blocked.
    pub(super) fn blocked(self) -> Answer {
        let message = if self.is_forgejo() {
            "user is blocked by the poster or repository owner"
        } else {
            "user is blocked"
        };
        Answer::error(403, message)
    }

    /// What a refused token hears beside the scope that it lacks.
    pub(super) fn scopes_shown(self, held: &[String]) -> String {
        if self.is_forgejo() { String::new() } else { format!(", token scope={}", held.join(",")) }
    }

    /// A title as it is kept: cut without a word.
    pub(super) fn cut(self, title: &str) -> String {
        const MOST: usize = 255;
        let length = if self.is_forgejo() { title.len() } else { title.chars().count() };
        if length <= MOST {
            return title.to_owned();
        }
        // Forgejo counts bytes, of which the sign at the end has three.
        let room = if self.is_forgejo() { MOST - 3 } else { MOST - 1 };
        let mut left = room;
        let fits = |c: &char| {
            let size = if self.is_forgejo() { c.len_utf8() } else { 1 };
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        };
        title.chars().take_while(fits).chain(['…']).collect()
    }

    /// Whether an address with these parts after the host names an issue: exactly five of them, or at least as many.
    pub(super) fn reads_link(self, parts: usize) -> bool {
        parts == 5 || (self.is_forgejo() && parts > 5)
    }

    /// A `changes` object before the former text is in it.
    pub(super) fn changes(self) -> Value {
        if self.is_forgejo() {
            json!({})
        } else {
            json!({"added_labels": null, "removed_labels": null})
        }
    }

    /// Adds the keys that only one of the two has to an account.
    pub(super) fn complete_user(self, shown: &mut Value) {
        if self.is_forgejo() {
            merge(shown, json!({"pronouns": ""}));
        }
    }

    /// The same for an issue.
    pub(super) fn complete_issue(self, shown: &mut Value) {
        if !self.is_forgejo() {
            merge(shown, json!({"time_estimate": 0}));
        }
    }

    /// The same for a pull request, whose assignees Forgejo shows as `null` when there are none.
    pub(super) fn complete_pull(self, shown: &mut Value) {
        if !self.is_forgejo() {
            return;
        }
        merge(shown, json!({"review_comments": 0, "flow": 0}));
        if shown["assignees"].as_array().is_some_and(Vec::is_empty) {
            shown["assignees"] = Value::Null;
        }
    }

    /// The same for a repository.
    pub(super) fn complete_repo(self, shown: &mut Value, repo: &Repo) {
        let of_gitea = json!({
            "has_code": true, "projects_mode": "all", "allow_manual_merge": false, "autodetect_manual_merge": false,
            "licenses": [],
        });
        let of_forgejo = json!({
            "globally_editable_wiki": false, "has_wiki_contents": false, "repo_transfer": null, "parent": null,
            "default_update_style": "merge", "wiki_branch": "main",
            "wiki_ssh_url": format!("git@gitea.example.com:{}.wiki.git", repo.name),
            "wiki_clone_url": format!("{ROOT_URL}/{}.wiki.git", repo.name),
        });
        merge(shown, if self.is_forgejo() { of_forgejo } else { of_gitea });
    }

    /// The same for a webhook.
    pub(super) fn complete_hook(self, shown: &mut Value) {
        if self.is_forgejo() {
            let (url, kind) =
                (shown["config"]["url"].clone(), shown["config"]["content_type"].clone());
            merge(shown, json!({"url": url, "content_type": kind, "metadata": null}));
            let Some(kinds) = shown["events"].as_array_mut() else { return };
            // It has no such event (modules/webhook/type.go).
            kinds.retain(|kind| kind != "status");
            if let Some(at) = kinds.iter().position(|kind| kind == "pull_request_review") {
                kinds.remove(at);
                let of_review = ["approved", "rejected", "comment"];
                kinds.extend(of_review.map(|kind| json!(format!("pull_request_review_{kind}"))));
            }
        }
    }
}

/// Adds keys to an object.
pub(super) fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
