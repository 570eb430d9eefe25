//! `PATCH …/issues/{n}`: several steps, each done before the next is tried, so that a failure leaves half of them.

use serde::Deserialize;

use super::Desk;
use crate::fake_gitea::call::{Answer, Reply};
use crate::fake_gitea::record::At;

#[derive(Deserialize)]
struct EditIssue {
    #[serde(default)]
    title: String,
    body: Option<String>,
    assignee: Option<String>,
    assignees: Option<Vec<String>>,
    state: Option<String>,
}

impl Desk<'_> {
    /// Answers 201, not 200.
    pub(super) fn patch_issue(&mut self, at: &At) -> Reply {
        let form: EditIssue = self.call.json()?;
        let is_author = self.issue(at)?.author == self.by;
        if !is_author && !self.may_write() {
            return Err(Answer::empty(403));
        }
        if !form.title.is_empty() {
            self.state.set_title(at, self.by, &form.title);
        }
        if let Some(body) = &form.body {
            self.state.set_body(at, self.by, body);
        }
        let single = form.assignee.filter(|login| !login.is_empty());
        if self.may_write() && (form.assignees.is_some() || single.is_some()) {
            let mut logins = form.assignees.unwrap_or_default();
            logins.extend(single);
            self.replace_assignees(at, &logins)?;
        }
        if let Some(word) = &form.state {
            self.set_state(at, word)?;
        }
        Ok(Answer::created(self.issue_json(at)?))
    }

    /// An unknown login fails before anything is done, one without access only after the old ones are gone.
    fn replace_assignees(&mut self, at: &At, logins: &[String]) -> Result<(), Answer> {
        let resolve = |login: &String| self.state.user_id(login).ok_or_else(Answer::broken);
        let wanted = logins.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
        let has_blocked = |id: &i64| self.state.blocks.contains(&(*id, self.by));
        if self.state.flavour.heeds_assignees() && wanted.iter().any(has_blocked) {
            return Err(self.state.flavour.blocked());
        }
        let old = self.issue(at)?.assignees.clone();
        for id in old.into_iter().filter(|id| !wanted.contains(id)) {
            self.state.assign(at, self.by, id, false);
        }
        for id in wanted {
            if !self.state.assignable(&self.repo, id) {
                return Err(Answer::broken());
            }
            self.state.assign(at, self.by, id, true);
        }
        Ok(())
    }

    fn set_state(&mut self, at: &At, word: &str) -> Result<(), Answer> {
        let closed = match word {
            "closed" => true,
            "open" => false,
            _ if !self.state.flavour.knows_states() => false,
            _ => return Err(Answer::error(412, &format!("unknown state: {word}"))),
        };
        if closed && self.issue(at)?.closed.is_none() && self.state.is_blocked(at) {
            let message =
                "cannot close this issue or pull request because it still has open dependencies";
            return Err(Answer::error(412, message));
        }
        self.state.set_closed(at, self.by, closed);
        Ok(())
    }
}
