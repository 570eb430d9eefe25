//! The forge and our account on it: does it answer, what time does it have, whose token is it, what may it do.

use std::collections::BTreeSet;
use std::time::Instant;

use super::line::{Line, Subject};
use super::{Checkup, Output};
use crate::clock::Timestamp;
use crate::gitea::{Error, Server};
use crate::issue::{Account, RepoName};

/// What a token needs, for messages.
pub(super) const SCOPES: &str = "`write:issue`, `read:repository`, `read:user` and, for labels of an organisation, `read:organization`";
/// What comes of calling an organisation, and what to do.
const UNHEARD: &str = "is an organisation, of whose mention the forge notifies nobody";
const PERSON: &str = "name a person as `triage.owner`";
/// How far the two clocks may be apart, in seconds: the forge's is shown in whole ones.
const APART_S: i64 = 5;
/// How far apart they are wrong.
const WRONG_S: i64 = 60;

/// The server, when it answers.
pub(super) async fn server(checkup: &Checkup<'_>, out: Output<'_>) -> Option<Server> {
    let (url, began) = (&checkup.config.gitea.url, Instant::now());
    let at = Subject::new("gitea", url);
    match checkup.forge.server().await {
        Ok(server) => {
            let said = format!("{}, answered in {} ms", server.name(), began.elapsed().as_millis());
            out(at.green(said));
            clock(&server, checkup.clock.now(), out);
            Some(server)
        }
        // It answers; what it refuses is the token, which has a line of its own.
        Err(Error::Status { status: 401 | 403, .. }) => {
            out(at.green("answers"));
            None
        }
        Err(error) => {
            out(at.red(error).cure(
                "open the address in a browser on this machine; a sub-path belongs to `gitea.url`",
            ));
            None
        }
    }
}

/// Which clock is wrong cannot be seen; secrets, deadlines and sweeps need both to agree.
fn clock(server: &Server, now: Timestamp, out: Output<'_>) {
    let Some(theirs) = server.at else { return };
    let at = Subject::new("clock", "");
    let apart = (now - theirs).num_seconds();
    let which = if apart > 0 { "ahead of" } else { "behind" };
    let said = format!("this machine is {} s {which} the forge", apart.abs());
    let cure =
        "let both keep time by NTP: `timedatectl set-ntp true`, then `timedatectl` on either";
    out(match apart.abs() {
        apart if apart <= APART_S => at.green("this machine and the forge agree"),
        apart if apart <= WRONG_S => at.yellow(said).cure(cure),
        _ => at.red(said).cure(cure),
    });
}

/// Our account, when the token is one.
pub(super) async fn token(checkup: &Checkup<'_>, out: Output<'_>) -> Option<Account> {
    let at = Subject::new("token", "gitea.token");
    let said = match checkup.config.gitea.repos.names().next() {
        Some(repo) => checkup.forge.whoami_in(repo).await,
        None => checkup.forge.whoami().await,
    };
    let (line, account) = match said {
        Ok(account) => (whose(checkup, &at, &account), Some(account)),
        Err(Error::Status { status: 401, .. }) => {
            let line = at.red("the forge does not know this token");
            let cure = format!("make one as the service's account with the scopes {SCOPES}");
            (line.cure(format!("{cure}, and put it where `gitea.token_file` looks")), None)
        }
        Err(Error::Status { status: 403, .. }) => {
            let said = "the token may not read its own account: it lacks the scope `read:user`, or the account is not active";
            let cure = format!(
                "make one with the scopes {SCOPES}; or, for a token that Forgejo binds to repositories and that cannot have \
                 them all, name the account as `gitea.account`"
            );
            (at.red(said).cure(cure), None)
        }
        Err(error) => {
            let line = at.red(error);
            (line.cure("see the line about the forge above"), None)
        }
    };
    out(line);
    account
}

fn whose(checkup: &Checkup<'_>, at: &Subject, account: &Account) -> Line {
    match &checkup.config.gitea.account {
        Some(login) if !login.eq_ignore_ascii_case(&account.login) => at
            .red(format!("it belongs to `{}`, and `gitea.account` says `{login}`", account.login))
            .cure("correct the one or the other: its own changes are known by it"),
        _ => at.green(format!("it belongs to `{}`", account.login)),
    }
}

/// Whether those who are called exist, and can hear it: the forge notifies nobody of a mention of an organisation. Of one
/// that owns the repository, the team of its owners is called instead.
pub(super) async fn owner(checkup: &Checkup<'_>, repos: &[RepoName], out: Output<'_>) {
    let owners: BTreeSet<String> = repos.iter().map(|repo| repo.owner().to_lowercase()).collect();
    let is_org = async |login: &str| matches!(checkup.forge.is_organisation(login).await, Ok(true));
    let team = |owner: &str| {
        let at = Subject::new("owner", owner);
        at.yellow(format!("{UNHEARD}; the team of its owners is called instead")).cure(PERSON)
    };
    let Some(owner) = &checkup.config.triage.owner else {
        for owner in &owners {
            if is_org(owner).await {
                out(team(owner));
            }
        }
        return;
    };
    let at = Subject::new("owner", owner);
    let asked = match repos.first() {
        Some(repo) => checkup.forge.is_account_in(repo, owner).await,
        None => checkup.forge.is_account(owner).await,
    };
    match asked {
        Ok(true) if is_org(owner).await => {
            let is_owner = owners.iter().all(|one| *one == owner.to_lowercase());
            let nobody = || at.red(format!("{UNHEARD}: nobody hears of a flag")).cure(PERSON);
            out(if is_owner { team(owner) } else { nobody() });
        }
        Ok(true) => out(at.green("is an account of the forge")),
        Ok(false) => out(at
            .red("is no account of the forge, so that nobody hears of a flag")
            .cure("correct `triage.owner`; left out, a repository's owner is called")),
        Err(Error::Renamed { to, .. }) => out(at
            .red(format!("is now called `{to}`, so that nobody hears of a flag"))
            .cure(format!("write `owner = \"{to}\"` in `[triage]`"))),
        // What the token may not ask is no fault of the owner's.
        Err(_) => {}
    }
}
