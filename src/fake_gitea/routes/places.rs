//! Accounts, organisations, repositories, and who may do what in them.

use serde_json::{Value, json};

use super::Desk;
use crate::fake_gitea::call::{Answer, Call, Reply};
use crate::fake_gitea::record::{Access, Repo};
use crate::fake_gitea::show::{self, Look};
use crate::fake_gitea::team::Team;
use crate::fake_gitea::world::State;

pub(super) fn me(state: &State, by: i64) -> Answer {
    Answer::ok(show::user(state, by, Look::Full))
}

/// `GET /users/{login}`; organisations are accounts too.
pub(super) fn user(state: &State, login: &str) -> Reply {
    Ok(Answer::ok(show::user(state, known(state, login)?, Look::Full)))
}

/// `GET /users/{login}/repos` and `GET /orgs/{org}/repos`.
pub(super) fn repos_of(state: &State, call: &Call, by: i64, login: &str) -> Reply {
    known(state, login)?;
    let theirs = |r: &&Repo| r.name.owner().eq_ignore_ascii_case(login);
    let visible = |r: &&Repo| state.is_visible(r, by);
    let all: Vec<_> = state.repos.values().filter(theirs).filter(visible).collect();
    let page = call.slice(&all, false).iter().map(|r| show::repo(state, r, by)).collect();
    Ok(Answer::list(page, all.len()))
}

/// `GET /repos/search`: a word with one slash is looked for in the full name.
pub(super) fn search(state: &State, call: &Call, by: i64) -> Answer {
    let word = call.param("q").unwrap_or_default().to_lowercase();
    let fits =
        |r: &&Repo| state.is_visible(r, by) && r.name.to_string().to_lowercase().contains(&word);
    let all: Vec<_> = state.repos.values().filter(fits).collect();
    let page = call.slice(&all, false).iter().map(|r| show::repo(state, r, by));
    Answer::ok(json!({"ok": true, "data": page.collect::<Vec<_>>()}))
}

/// `GET /teams/{id}` and `GET /teams/{id}/members/{login}`, for whoever is told of the team.
pub(super) fn team(state: &State, by: i64, id: i64, login: Option<&str>) -> Reply {
    let team = state.teams.iter().find(|team| team.id == id).ok_or_else(Answer::not_found)?;
    if !state.knows_team(team, by) {
        let is_in_org = state.teams.iter().any(|t| t.org == team.org && t.members.contains(&by));
        let refused = || Answer::error(403, "Must be a team member");
        return Err(if is_in_org { refused() } else { Answer::not_found() });
    }
    let Some(login) = login else { return Ok(Answer::ok(team.show())) };
    let member = known(state, login)?;
    match team.members.contains(&member) {
        true => Ok(Answer::ok(show::user(state, member, Look::Full))),
        false => Err(Answer::not_found()),
    }
}

/// `GET /users/search?uid=`, the only way to ask for an account by its number.
pub(super) fn users(state: &State, call: &Call) -> Answer {
    let asked = call.param("uid").and_then(|id| id.parse().ok());
    let found = asked.filter(|id: &i64| state.users.contains_key(id));
    let data: Vec<_> = found.iter().map(|id| show::user(state, *id, Look::Full)).collect();
    Answer::ok(json!({"ok": true, "data": data}))
}

/// Refuses a login that is no organisation.
pub(super) fn known_org(state: &State, org: &str) -> Result<(), Answer> {
    if state.is_org(org) { Ok(()) } else { Err(Answer::error(404, "GetOrgByName")) }
}

/// Refuses everybody but the organisation's owners.
pub(super) fn org_owner(state: &State, by: i64, org: &str) -> Result<(), Answer> {
    known_org(state, org)?;
    let owns = state.org_owners.iter().any(|(o, id)| o.eq_ignore_ascii_case(org) && *id == by);
    if owns { Ok(()) } else { Err(Answer::error(403, "Must be an organization owner")) }
}

/// What is said of a login that nobody has or had.
pub(super) fn unknown(login: &str) -> Answer {
    Answer::error(404, &format!("user redirect does not exist [name: {login}]"))
}

fn known(state: &State, login: &str) -> Result<i64, Answer> {
    state.user_id(login).ok_or_else(|| unknown(login))
}

/// `GET /repositories/{id}`: whatever it is called now.
pub(super) fn by_id(state: &State, by: i64, id: i64) -> Reply {
    let repo = state.repo_by_id(id).filter(|repo| state.is_visible(repo, by));
    let repo = repo.ok_or_else(Answer::not_found)?;
    Ok(Answer::ok(show::repo(state, repo, by)))
}

impl Desk<'_> {
    pub(super) fn show_repo(&self) -> Reply {
        Ok(Answer::ok(show::repo(self.state, self.home()?, self.by)))
    }

    /// `GET …/assignees`: everyone who may write, or write any unit or read pull requests through a team
    /// (models/repo/user_repo.go), never paged. An organisation is nobody.
    pub(super) fn assignees(&self) -> Reply {
        let repo = self.home()?;
        let writes = |id: &&i64| self.state.is_listed(repo, **id);
        let people: Vec<Value> = self
            .state
            .users
            .keys()
            .filter(writes)
            .map(|id| show::user(self.state, *id, Look::Full))
            .collect();
        Ok(Answer::ok(Value::Array(people)))
    }

    /// `GET …/teams`; a person has none.
    pub(super) fn teams(&self) -> Reply {
        let repo = self.home()?;
        if !self.state.is_org(repo.name.owner()) {
            return Err(Answer::error(405, "repo is not owned by an organization"));
        }
        Ok(Answer::ok(self.state.teams_of(repo).map(Team::show).collect()))
    }

    /// `GET …/collaborators/{login}/permission`: one's own, or anybody's for an admin.
    pub(super) fn permission(&self, login: &str) -> Reply {
        let asked = self.state.user_id(login);
        let message = format!("user does not exist [uid: 0, name: {login}]");
        let unknown = || Answer::error(404, &message);
        if asked.is_none() && self.state.flavour.knows_accounts_first() {
            return Err(unknown());
        }
        if self.access < Access::Admin && asked != Some(self.by) {
            let message = "Only admins can query all permissions, repo admins can query all repo \
                           permissions, collaborators can query only their own";
            return Err(Answer::error(403, message));
        }
        let user = asked.ok_or_else(unknown)?;
        let access = self.state.access(self.home()?, user).as_str();
        Ok(Answer::ok(json!({
            "permission": access,
            "role_name": access,
            "user": show::user(self.state, user, Look::Embedded),
        })))
    }
}
