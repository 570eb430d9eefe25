//! One repository: can it be read and written, are the labels and accounts there that issues are given to.

use std::collections::BTreeMap;

use super::forge::SCOPES;
use super::line::{Level, Line, Subject};
use super::{Checkup, Output};
use crate::dispatch::{Agent, Interface};
use crate::gitea::{Error, IssueQuery, Source};
use crate::issue::{Account, RepoName};

/// Looks at one repository.
pub(super) async fn repository(
    checkup: &Checkup<'_>,
    repo: &RepoName,
    account: &Account,
    out: Output<'_>,
) {
    let at = Subject::new("repository", repo);
    let line = match checkup.forge.repository(repo).await {
        Ok(found) if found.archived => at
            .red("is archived: no comment can be written")
            .cure("unarchive it, or take it out of `gitea.repos`"),
        Ok(found) if !found.has_issues => at
            .red("keeps no issues of its own")
            .cure("switch its issues on, or take it out of `gitea.repos`"),
        Ok(_) => permission(checkup, &at, repo, account).await,
        Err(error) => unseen(&at, account, &error),
    };
    let goes_on = line.level < Level::Red;
    out(line);
    if goes_on {
        out(commands(checkup, repo).await);
        labels(checkup, repo, out).await;
        agents(checkup, repo, out).await;
    }
}

fn lacks(at: &Subject, scope: &str) -> Line {
    at.red(format!("the token lacks the scope `{scope}`"))
        .cure(format!("make one with the scopes {SCOPES}"))
}

fn unseen(at: &Subject, account: &Account, error: &Error) -> Line {
    match error.status() {
        Some(403) => lacks(at, "read:repository"),
        Some(404) => at.red(format!("is not there, or `{}` may not see it", account.login)).cure(
            "correct its name in `gitea.repos`, or make the account a collaborator that may write",
        ),
        _ => at.red(error).cure("then run this again"),
    }
}

/// Whether issues can be read and written. A refusal is told apart by what the account's role would allow: what the
/// role allows and the token does not is a missing scope.
async fn permission(
    checkup: &Checkup<'_>,
    at: &Subject,
    repo: &RepoName,
    account: &Account,
) -> Line {
    let query = IssueQuery::default();
    if let Err(error) = checkup.forge.issues_page(repo, &query, 1).await {
        return match error.status() {
            Some(403) => lacks(at, "read:issue"),
            _ => at.red(error).cure("then run this again"),
        };
    }
    let role = checkup.forge.permission(repo, &account.login).await.ok();
    let may = role.as_deref().is_some_and(|role| ["write", "admin", "owner"].contains(&role));
    let give = format!("make `{}` a collaborator that may write", account.login);
    match checkup.forge.may_write(repo).await {
        Ok(()) => at.green("can be read and written"),
        Err(Error::DryRun { .. }) if may => at.green("can be read, and the account may write"),
        Err(Error::DryRun { .. }) => at.red("the account may not write here").cure(give),
        Err(error) if error.status() == Some(403) && may => lacks(at, "write:issue"),
        Err(error) if error.status() == Some(403) => at
            .red("the account may not write here")
            .cure(format!("{give}; the token needs the scope `write:issue`")),
        Err(error) => at.red(error).cure("then run this again"),
    }
}

/// How it is found out who may command.
async fn commands(checkup: &Checkup<'_>, repo: &RepoName) -> Line {
    let at = Subject::new("commands", repo);
    let named = &checkup.config.triage.commanders;
    match checkup.forge.rights_source(repo).await {
        Ok(Source::Asked) => at.green("the server says of each account whether it may write"),
        Ok(Source::Listed) => {
            at.green("whoever is listed as a possible assignee may write to issues")
        }
        Ok(Source::Unshown { teams, is_admin }) => {
            let why = format!(
                "members of {} are listed as possible assignees without write to issues, so commands of people who \
                 may write are refused unless the server shows it",
                listed(&teams.iter().map(String::as_str).collect::<Vec<_>>())
            );
            let make = if is_admin {
                "an owner of the organisation"
            } else {
                "an administrator of the repository"
            };
            match named.is_empty() {
                true => at.yellow(why).cure(format!(
                    "make our account {make}, or name logins in `triage.commanders`"
                )),
                false => {
                    at.green(format!("{why}; {} are named in `triage.commanders`", named.len()))
                }
            }
        }
        Err(error) => at.yellow(error).cure("then run this again"),
    }
}

/// The agents that are called on the forge itself.
fn called<'a>(checkup: &'a Checkup<'_>) -> impl Iterator<Item = &'a Agent> {
    checkup.config.agents.list.iter().filter(|agent| agent.interface == Interface::Forge)
}

async fn labels(checkup: &Checkup<'_>, repo: &RepoName, out: Output<'_>) {
    let at = Subject::new("labels", repo);
    let found = match checkup.forge.labels(repo).await {
        Ok(found) => found,
        Err(error) => return out(at.red(error).cure("then run this again")),
    };
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for label in found.iter().filter(|label| !label.org) {
        *times.entry(&label.name).or_default() += 1;
    }
    let flag = checkup.config.triage.flag_label.as_deref();
    let wanted: Vec<&str> =
        called(checkup).filter_map(|a| a.label.as_deref()).chain(flag).collect();
    let (there, missing): (Vec<&str>, Vec<&str>) =
        wanted.into_iter().partition(|name| found.iter().any(|label| label.name == *name));
    let twice = there.iter().find(|name| times.get(*name).is_some_and(|n| *n > 1));
    out(match (twice, missing.is_empty(), checkup.config.labels.create) {
        (Some(twice), ..) => at
            .yellow(format!("`{twice}` is there more than once"))
            .cure("delete all but the oldest"),
        (None, true, _) => at.green(format!("{} are there", listed(&there))),
        (None, false, true) => at.green(format!("{} are made when needed", listed(&missing))),
        (None, false, false) => at
            .red(format!("{} are missing", listed(&missing)))
            .cure("create them, or set `labels.create = true`"),
    });
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "all".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

async fn agents(checkup: &Checkup<'_>, repo: &RepoName, out: Output<'_>) {
    let logins = called(checkup).filter_map(|agent| Some((agent, agent.login.as_deref()?)));
    for (agent, login) in logins {
        let at = Subject::new("agent", format!("{} in {repo}", agent.id));
        let line = match checkup.forge.assignable(repo, login).await {
            Ok(true) => at.green(format!("`{login}` can be assigned")),
            Ok(false) => unassignable(checkup, &at, agent, repo).await,
            Err(Error::Renamed { to, .. }) => renamed(&at, agent, &to),
            Err(error) => at.yellow(error).cure("then run this again"),
        };
        out(line);
    }
}

fn renamed(at: &Subject, agent: &Agent, to: &str) -> Line {
    let entry = format!("`[[agent]]` with `id = \"{}\"`", agent.id);
    at.red(format!("its account is now called `{to}`"))
        .cure(format!("write `login = \"{to}\"` in {entry}"))
}

async fn unassignable(checkup: &Checkup<'_>, at: &Subject, agent: &Agent, repo: &RepoName) -> Line {
    let login = agent.login.as_deref().unwrap_or_default();
    if let Ok(true) = checkup.forge.is_account_in(repo, login).await {
        return at
            .yellow(format!("`{login}` cannot be assigned here"))
            .cure("make it a collaborator; until then it is called by its label alone");
    }
    at.red(format!("there is no account `{login}`")).cure(format!(
        "make it and let it write, or call the agent by its label alone: `[[agent]]` with `id = \"{}\"` and \
         `login = \"\"`",
        agent.id
    ))
}
