//! Comments and reactions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Desk;
use crate::fake_gitea::call::{Answer, Reply};
use crate::fake_gitea::record::{At, Entry, EntryKind, Issue};
use crate::fake_gitea::show::{self, Look};
use crate::fake_gitea::show_issue;

/// `[ui] REACTIONS`; anything else is refused.
const REACTIONS: [&str; 8] = ["+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"];

#[derive(Deserialize)]
struct CommentForm {
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
struct ReactionForm {
    #[serde(default)]
    content: String,
}

impl Desk<'_> {
    /// `GET …/issues/{n}/comments`: never paged, whatever the call says.
    pub(super) fn list_comments(&self, at: &At) -> Reply {
        let (repo, issue) = (self.home()?, self.issue(at)?);
        let is_asked = self.call.span()?;
        let found = issue.comments().filter(|e| is_asked(e.updated));
        let items: Vec<_> =
            found.map(|e| show_issue::comment(self.state, repo, issue, e)).collect();
        let total = items.len();
        Ok(Answer::list(items, total))
    }

    /// `GET …/issues/comments`: the whole repository's, oldest first, whole without a page.
    pub(super) fn list_all_comments(&self) -> Reply {
        let repo = self.home()?;
        let is_asked = self.call.span()?;
        let all = repo.issues.values().flat_map(|i| i.comments().map(move |e| (i, e)));
        let mut all: Vec<(&Issue, &Entry)> = all.filter(|(_, e)| is_asked(e.updated)).collect();
        all.sort_by_key(|(_, e)| e.id);
        let page = self.call.slice(&all, true);
        let items = page.iter().map(|(i, e)| show_issue::comment(self.state, repo, i, e)).collect();
        Ok(Answer::list(items, all.len()))
    }

    /// `POST …/issues/{n}/comments`.
    pub(super) fn create_comment(&mut self, at: &At) -> Reply {
        self.require_live()?;
        let body = self.comment_text()?;
        if self.state.is_blocked_by_people(at, self.by) {
            return Err(self.state.flavour.blocked());
        }
        let id = self.state.comment(at, self.by, &body).ok_or_else(Answer::broken)?;
        self.state.comment_json(at, id).map(Answer::created).ok_or_else(Answer::broken)
    }

    fn comment_text(&self) -> Result<String, Answer> {
        let form: CommentForm = self.call.json()?;
        let empty = || Answer::error(422, "[Body]: Required");
        Some(form.body).filter(|body| !body.is_empty()).ok_or_else(empty)
    }

    /// `…/issues/comments/{id}` and its reactions.
    pub(super) fn route_comment(&mut self, id: i64, path: &[&str]) -> Reply {
        let number = self.home()?.comments.get(&id).copied().ok_or_else(Answer::not_found)?;
        let at = At { repo: self.repo.clone(), number };
        match (self.call.method.as_str(), path) {
            ("GET", []) => {
                self.state.comment_json(&at, id).map(Answer::ok).ok_or_else(Answer::not_found)
            }
            ("PATCH", []) => self.edit_comment(&at, id),
            ("DELETE", []) => {
                self.require_mine(&at, id)?;
                self.state.delete_comment(&at, self.by, id);
                Ok(Answer::empty(204))
            }
            (_, ["reactions"]) => self.route_reactions(&at, Some(id)),
            _ => Err(Answer::unknown_path()),
        }
    }

    /// An equal text is answered with `"user": null` and makes no event on Gitea, as seen on 1.25.4.
    fn edit_comment(&mut self, at: &At, id: i64) -> Reply {
        self.require_live()?;
        let body = self.comment_text()?;
        self.require_mine(at, id)?;
        if self.state.flavour.blocks_edits() && self.state.is_blocked_by_people(at, self.by) {
            return Err(Answer::broken());
        }
        let changed = self.state.edit_comment(at, self.by, id, &body);
        let mut shown = self.state.comment_json(at, id).ok_or_else(Answer::not_found)?;
        if !changed {
            shown["user"] = Value::Null;
        }
        Ok(Answer::ok(shown))
    }

    fn require_mine(&self, at: &At, id: i64) -> Result<(), Answer> {
        let mine = self.issue(at)?.comments().any(|e| e.id == id && e.by == self.by);
        if mine || self.may_write() { Ok(()) } else { Err(Answer::empty(403)) }
    }

    /// Reactions of an issue, or of one of its comments; no event, no change of `updated_at`.
    pub(super) fn route_reactions(&mut self, at: &At, comment: Option<i64>) -> Reply {
        let by = self.by;
        if self.call.method == "GET" {
            return self.list_reactions(at, comment);
        }
        let form: ReactionForm = self.call.json()?;
        if self.state.is_blocked_by_people(at, by) {
            return Err(self.state.flavour.blocked());
        }
        if !REACTIONS.contains(&form.content.as_str()) {
            return Err(Answer::error(
                403,
                &format!("'{}' is not an allowed reaction", form.content),
            ));
        }
        let one = (by, form.content);
        let adds = self.call.method == "POST";
        let all = self.reactions(at, comment)?;
        let there = all.contains(&one);
        if !adds {
            all.retain(|r| *r != one);
            return Ok(Answer::empty(200));
        }
        if !there {
            all.push(one.clone());
        }
        let shown = self.reaction(by, &one.1);
        Ok(if there { Answer::ok(shown) } else { Answer::created(shown) })
    }

    fn list_reactions(&mut self, at: &At, comment: Option<i64>) -> Reply {
        let all = self.reactions(at, comment)?.clone();
        Ok(Answer::list_or_null(all.iter().map(|(by, what)| self.reaction(*by, what)).collect()))
    }

    fn reactions(
        &mut self,
        at: &At,
        comment: Option<i64>,
    ) -> Result<&mut Vec<(i64, String)>, Answer> {
        let issue = self.state.issue_mut(at).ok_or_else(Answer::not_found)?;
        let Some(id) = comment else { return Ok(&mut issue.reactions) };
        match issue.entry_mut(id).map(|e| &mut e.kind) {
            Some(EntryKind::Comment { reactions, .. }) => Ok(reactions),
            _ => Err(Answer::not_found()),
        }
    }

    fn reaction(&self, user: i64, content: &str) -> Value {
        json!({
            "user": show::user(self.state, user, Look::Full),
            "content": content,
            "created_at": show::time(self.state.now()),
        })
    }
}
