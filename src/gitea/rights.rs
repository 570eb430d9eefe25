//! Who may write to the issues of a repository, as far as the forge shows it to our account. Nobody is believed to
//! write because of a list that may hold readers, too.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;

use super::transport::{Request, path, repo_path};
use super::{Client, Error};
use crate::issue::{Account, RepoName};

/// The unit of a team's rights that commands are about.
const ISSUES: &str = "repo.issues";
/// The unit whose readers are listed among those who can be assigned.
const PULLS: &str = "repo.pulls";

/// Whether an account may write to the issues of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// It may.
    Writer,
    /// It may not.
    Reader,
    /// It is listed with those who may, but could be there without; the forge does not show us which.
    Unshown {
        /// The account, as the forge lists it.
        account: Account,
        /// Whether our account administers the repository, which is not enough here.
        is_admin: bool,
    },
}

/// How it is found out who may write to a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The forge is asked for each account.
    Asked,
    /// By the list of those who can be assigned: here nobody is on it who may not write.
    Listed,
    /// Not for the members of these teams, and of all the others whose rights come from a team.
    Unshown {
        /// The teams whose members are listed whether they may write to issues or not.
        teams: Vec<String>,
        /// Whether our account administers the repository, which is not enough here.
        is_admin: bool,
    },
}

/// A team of an organisation, and what its members may do in the repositories it is given.
#[derive(Deserialize)]
struct Team {
    id: i64,
    name: String,
    #[serde(default)]
    permission: String,
    #[serde(default)]
    units_map: Option<BTreeMap<String, String>>,
}

fn writes(permission: &str) -> bool {
    matches!(permission, "write" | "admin" | "owner")
}

fn administers(permission: &str) -> bool {
    matches!(permission, "admin" | "owner")
}

impl Team {
    fn unit(&self, name: &str) -> &str {
        self.units_map.as_ref().and_then(|units| units.get(name)).map_or("none", String::as_str)
    }

    fn writes_issues(&self) -> bool {
        administers(&self.permission) || writes(self.unit(ISSUES))
    }

    /// Whether its members can be on the list of those who can be assigned without write to issues: it has everyone who
    /// may write any unit, or read pull requests (models/repo/user_repo.go, `GetRepoAssignees`).
    fn is_doubtful(&self) -> bool {
        let any = self.units_map.iter().flatten().any(|(_, may)| writes(may));
        let is_listed = any || writes(&self.permission) || self.unit(PULLS) != "none";
        is_listed && !self.writes_issues()
    }

    /// Whether the permission of its members over the whole repository says that they write, though not issues.
    fn misleads(&self) -> bool {
        writes(&self.permission) && !self.writes_issues()
    }

    /// Whether its members may write to issues while the permission over the whole repository does not say so.
    fn hides_writers(&self) -> bool {
        self.writes_issues() && !administers(&self.permission)
    }
}

impl Client {
    /// Whether `login` may write to the issues of the repository. Nothing is believed from before: a right that was
    /// taken away is gone with the next question.
    pub async fn rights(&self, repo: &RepoName, login: &str) -> Result<Rights, Error> {
        let said = match self.permission(repo, login).await {
            Ok(permission) => Some(permission),
            Err(Error::Status { status: 404, .. }) => return Ok(Rights::Reader),
            Err(Error::Status { status: 403, .. }) => None,
            Err(error) => return Err(error),
        };
        if said.as_deref().is_some_and(administers) {
            return Ok(Rights::Writer);
        }
        let listed = self.writing_accounts(repo).await?;
        let is = |account: &Account| account.login.eq_ignore_ascii_case(login);
        let Some(account) = listed.into_iter().find(is) else { return Ok(Rights::Reader) };
        let teams = self.teams(repo).await?;
        let is_told = |said: &str| writes(said) && !teams.iter().any(Team::misleads);
        if said.as_deref().is_some_and(is_told) || !teams.iter().any(Team::is_doubtful) {
            return Ok(Rights::Writer);
        }
        let is_admin = said.is_some();
        let mut is_shown = is_admin && !said.is_some_and(|said| writes(&said));
        for team in teams.iter().filter(|team| team.hides_writers()) {
            if self.is_member(team, login).await? {
                return Ok(Rights::Writer);
            }
            is_shown = is_shown && self.shows_members(team).await?;
        }
        if is_shown {
            return Ok(Rights::Reader);
        }
        Ok(Rights::Unshown { account, is_admin })
    }

    /// How it is found out who may write to the repository.
    pub async fn rights_source(&self, repo: &RepoName) -> Result<Source, Error> {
        let is_admin = match self.permission(repo, repo.owner()).await {
            Ok(_) => true,
            Err(Error::Status { status: 403 | 404, .. }) => false,
            Err(error) => return Err(error),
        };
        let teams = self.teams(repo).await?;
        let names = |teams: &mut dyn Iterator<Item = &Team>| {
            teams.map(|team| team.name.clone()).collect::<Vec<_>>()
        };
        let doubtful = names(&mut teams.iter().filter(|team| team.is_doubtful()));
        if doubtful.is_empty() {
            return Ok(if is_admin { Source::Asked } else { Source::Listed });
        }
        let mut is_shown = is_admin && !teams.iter().any(Team::misleads);
        for team in teams.iter().filter(|team| team.hides_writers()) {
            is_shown = is_shown && self.shows_members(team).await?;
        }
        let unshown = Source::Unshown { teams: doubtful, is_admin };
        Ok(if is_shown { Source::Asked } else { unshown })
    }

    /// The teams that have the repository; none where it is a person's.
    async fn teams(&self, repo: &RepoName) -> Result<Vec<Team>, Error> {
        let request = Request::of_repo(Method::GET, repo, &["teams"]);
        let answer = self.find(request, &[405]).await?;
        answer.map_or_else(|| Ok(Vec::new()), |answer| answer.list())
    }

    /// Whether `login` is known to be in the team. Whoever is not in it, nor an owner of the organisation, is told
    /// nothing (routers/api/v1/api.go, `reqTeamMembership`), and so are we then.
    async fn is_member(&self, team: &Team, login: &str) -> Result<bool, Error> {
        let id = team.id.to_string();
        let request = Request::get(
            format_args!("team {}", team.name),
            path(&["teams", &id, "members", login]),
        );
        Ok(self.find(request, &[403, 404]).await?.is_some())
    }

    async fn shows_members(&self, team: &Team) -> Result<bool, Error> {
        let id = team.id.to_string();
        let request = Request::get(format_args!("team {}", team.name), path(&["teams", &id]));
        Ok(self.find(request, &[403, 404]).await?.is_some())
    }

    /// What an account may do in a repository, over all of it: `none`, `read`, `write`, `admin` or `owner`. Shown
    /// of one's own account, and to administrators of others. The rights that a team gives to single units are not in
    /// it (models/perm/access/repo_permission.go, `accessLevel`).
    pub async fn permission(&self, repo: &RepoName, login: &str) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Permission {
            permission: String,
        }
        let what = format!("{repo} permission of {login}");
        let path = repo_path(repo, &["collaborators", login, "permission"]);
        self.send(Request::get(what, path)).await?.json::<Permission>().map(|p| p.permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(permission: &str, units: &[(&str, &str)]) -> Team {
        let units = units.iter().map(|(unit, may)| (format!("repo.{unit}"), (*may).to_owned()));
        let (id, name) = (1, "a team".to_owned());
        Team { id, name, permission: permission.to_owned(), units_map: Some(units.collect()) }
    }

    #[test]
    fn a_team_is_doubtful_when_it_is_listed_without_write_to_issues() {
        for unit in ["code", "pulls", "wiki", "releases", "packages", "projects", "actions"] {
            assert!(team("none", &[(unit, "write"), ("issues", "read")]).is_doubtful(), "{unit}");
            assert!(!team("none", &[(unit, "write"), ("issues", "write")]).is_doubtful());
        }
        assert!(team("none", &[("pulls", "read")]).is_doubtful());
        assert!(team("write", &[("wiki", "write")]).is_doubtful());
        assert!(team("read", &[("issues", "read"), ("pulls", "read")]).is_doubtful());
        assert!(!team("none", &[("issues", "read"), ("code", "read")]).is_doubtful(), "not listed");
        assert!(!team("admin", &[]).is_doubtful() && !team("owner", &[]).is_doubtful());
    }

    #[test]
    fn a_team_without_a_map_of_its_units_is_believed_to_write_nothing() {
        let unknown = Team { units_map: None, ..team("write", &[]) };
        assert!(unknown.is_doubtful() && unknown.misleads() && !unknown.writes_issues());
    }
}
