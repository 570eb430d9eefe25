//! Teams of an organisation: rights for single units of the repositories that they have, and what follows from them for
//! each account (models/perm/access/repo_permission.go and models/repo/user_repo.go of 1.25.4).

use std::collections::BTreeSet;

use super::FakeGitea;
use super::record::{Access, Repo, key};
use super::team::{Team, UNITS};
use super::world::State;
use crate::issue::RepoName;

impl FakeGitea {
    /// Gives an organisation a team that may do this much in each unit, such as `("issues", "write")`; with `admin` as
    /// the unit it administers. An organisation and repositories that are missing are made.
    pub fn add_team(&self, repo: &RepoName, name: &str, units: &[(&str, &str)]) {
        self.change(|state| {
            let repo = state.ensure_repo(repo);
            let org = repo.split('/').next().unwrap_or_default().to_owned();
            let is_admin = units.iter().any(|(unit, _)| *unit == "admin");
            let may = |text: &str| text.parse().unwrap_or(Access::None);
            let units = units.iter().map(|(unit, text)| (format!("repo.{unit}"), may(text)));
            let units = units.collect();
            let id = state.next_id("team");
            let (name, members) = (name.to_owned(), BTreeSet::new());
            let repos = BTreeSet::from([repo]);
            state.teams.push(Team { id, org, name, is_admin, units, members, repos });
        });
    }

    /// Takes an account into a team.
    pub fn join_team(&self, name: &str, login: &str) {
        self.change(|state| {
            let user = state.ensure_user(login, false);
            let team = state.teams.iter_mut().find(|team| team.name == name);
            team.map(|team| team.members.insert(user));
        });
    }

    /// Lets an account read pull requests through a team, which has it listed among those who can be assigned.
    pub fn add_pull_reader(&self, repo: &RepoName, login: &str) {
        let name = format!("readers of {}", key(repo));
        if !self.read(|state| state.teams.iter().any(|team| team.name == name)) {
            self.add_team(repo, &name, &[("pulls", "read"), ("issues", "read"), ("code", "read")]);
        }
        self.join_team(&name, login);
    }

    /// Makes an account an administrator of the whole server.
    pub fn add_site_admin(&self, login: &str) {
        self.change(|state| {
            let user = state.ensure_user(login, false);
            state.site_admins.insert(user);
        });
    }
}

impl State {
    /// The teams that have the repository.
    pub fn teams_of<'a>(&'a self, repo: &Repo) -> impl Iterator<Item = &'a Team> + use<'a> {
        let key = key(&repo.name);
        self.teams.iter().filter(move |team| team.repos.contains(&key))
    }

    /// What an account may do in one unit of a repository.
    pub fn unit(&self, repo: &Repo, user: i64, unit: &str) -> Access {
        let over_all = self.access(repo, user);
        let mut teams = self.teams_of(repo).filter(|team| team.members.contains(&user)).peekable();
        if over_all >= Access::Admin || teams.peek().is_none() {
            return over_all;
        }
        teams.map(|team| team.may(unit)).fold(over_all, Access::max)
    }

    /// Whether an account may see the repository at all.
    pub fn is_visible(&self, repo: &Repo, user: i64) -> bool {
        self.access(repo, user) > Access::None
            || UNITS.iter().any(|unit| self.unit(repo, user, unit) > Access::None)
    }

    /// Whether an account is listed as a possible assignee.
    pub fn is_listed(&self, repo: &Repo, user: i64) -> bool {
        let is_person = self.users.get(&user).is_some_and(|user| !user.is_org);
        let mut teams = self.teams_of(repo).filter(|team| team.members.contains(&user));
        // An administrator of the server has no row in the table that the list is made of.
        let writes = self.access_of_own(repo, user) >= Access::Write;
        is_person && (writes || teams.any(Team::lists))
    }

    /// Whether whoever asks is told of the team: its members, the organisation's owners and the server's administrators.
    pub fn knows_team(&self, team: &Team, user: i64) -> bool {
        let owns = self.org_owners.iter().any(|(org, id)| *org == team.org && *id == user);
        owns || self.site_admins.contains(&user) || team.members.contains(&user)
    }
}
