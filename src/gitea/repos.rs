//! What Gitea says about itself, its accounts, its repositories and their files.

use std::sync::Arc;

use reqwest::Method;
use serde::de::IgnoredAny;

use super::transport::{Request, path, repo_path};
use super::wire::{Found, User, WireRepo};
use super::{Client, Error, Repository};
use crate::issue::{Account, RepoName};

/// How many pages of a search are read.
const SEARCHED: u32 = 200;

impl Client {
    /// The account the token belongs to. A token without the scope `read:user` may not ask; then the configured
    /// login stands in, with the id 0 for "not known".
    pub async fn whoami(&self) -> Result<Account, Error> {
        let answer = self.send(Request::get("user", path(&["user"]))).await;
        match (answer, &self.link().settings.account) {
            (Err(Error::Status { status: 403, .. }), Some(login)) => {
                Ok(Account { id: 0, login: login.clone() })
            }
            (answer, _) => answer?
                .read(|user: User| user.into_account().ok_or("an account without an id".into())),
        }
    }

    /// The same where a repository is at hand: without the scope, which a token that is bound to repositories cannot
    /// have, our account is the one whose comment we wrote, or the only writer whose permission is shown to us. To whoever
    /// administers nothing, the forge shows none but their own.
    pub async fn whoami_in(&self, repo: &RepoName) -> Result<Account, Error> {
        let refused = match self.whoami().await {
            Err(error) if error.status() == Some(403) => error,
            answer => return answer,
        };
        if let Some(known) = self.inner.account.load_full() {
            return Ok((*known).clone());
        }
        let mut shown = Vec::new();
        for account in self.writing_accounts(repo).await? {
            match self.permission(repo, &account.login).await {
                Ok(_) => shown.push(account),
                Err(Error::Status { status: 403 | 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let [us] = <[Account; 1]>::try_from(shown).map_err(|_| refused)?;
        self.learn(&us);
        Ok(us)
    }

    /// Keeps whose token we have, for when the forge does not say.
    pub(super) fn learn(&self, us: &Account) {
        self.inner.account.store(Some(Arc::new(us.clone())));
    }

    /// Gitea's version, as it writes it.
    pub async fn version(&self) -> Result<String, Error> {
        self.server().await.map(|server| server.version)
    }

    /// A repository as it is now.
    pub async fn repository(&self, repo: &RepoName) -> Result<Repository, Error> {
        let answer = self.send(Request::get(repo, repo_path(repo, &[]))).await?;
        answer.read(WireRepo::into_repository)
    }

    /// The repository with this number, whatever it is called now. `known_as` stands in messages.
    pub async fn repository_by_id(
        &self,
        id: i64,
        known_as: &RepoName,
    ) -> Result<Repository, Error> {
        let path = path(&["repositories", &id.to_string()]);
        self.send(Request::get(known_as, path)).await?.read(WireRepo::into_repository)
    }

    /// The repositories of a user or organisation whose issues can be worked on: archived ones, and ones without
    /// issues of their own, are left out.
    pub async fn repositories(&self, owner: &str) -> Result<Vec<RepoName>, Error> {
        let what = format!("{owner} repositories");
        let id = |repo: &WireRepo| repo.id;
        let found = match self.all(&what, path(&["users", owner, "repos"]), id).await {
            // The two paths need different scopes of the token; one of them is enough.
            Err(Error::Status { status: 403 | 404, .. }) => {
                match self.all(&what, path(&["orgs", owner, "repos"]), id).await {
                    Err(Error::Status { status: 403, .. }) => self.searched(owner).await?,
                    orgs => orgs?,
                }
            }
            users => users?,
        };
        let found = found.into_iter().filter_map(|repo| repo.into_repository().ok());
        let is_ours = |r: &Repository| {
            r.has_issues && !r.archived && r.name.owner().eq_ignore_ascii_case(owner)
        };
        Ok(found.filter(is_ours).map(|r| r.name).collect())
    }

    /// The repositories of an owner by the search, which asks for no scope beside the one for repositories. A word with
    /// one slash is looked for in owner and name.
    async fn searched(&self, owner: &str) -> Result<Vec<WireRepo>, Error> {
        let mut found = Vec::new();
        for page in 1..=SEARCHED {
            let request = Request::get(format!("{owner} repositories"), path(&["repos", "search"]));
            let request = request.query("q", format!("{owner}/")).query("page", page);
            let request = request.query("limit", self.link().settings.page_size);
            let Found { data } = self.send(request).await?.json()?;
            if data.is_empty() {
                break;
            }
            found.extend(data);
        }
        Ok(found)
    }

    /// The logins of everyone who is listed as a possible assignee of the repository; see [`Self::writing_accounts`].
    pub async fn writers(&self, repo: &RepoName) -> Result<Vec<String>, Error> {
        let accounts = self.writing_accounts(repo).await?;
        Ok(accounts.into_iter().map(|account| account.login).collect())
    }

    /// The accounts that are listed as possible assignees: everyone who may write, and members of teams that write any
    /// unit or read pull requests. To be on it is no proof of a right; see [`Self::rights`].
    pub async fn writing_accounts(&self, repo: &RepoName) -> Result<Vec<Account>, Error> {
        let request = Request::of_repo(Method::GET, repo, &["assignees"]);
        let listed: Vec<User> = self.send(request).await?.list()?;
        Ok(listed.into_iter().map(|User { id, login }| Account { id, login }).collect())
    }

    /// Whether `login` can be made an assignee. Gitea answers an impossible one with 500, after it has taken the
    /// old assignees off, so this is asked before.
    pub async fn assignable(&self, repo: &RepoName, login: &str) -> Result<bool, Error> {
        if self.is_listed(repo, login).await? {
            return Ok(true);
        }
        // The list names who may write; the rule is looser: whoever can read, so any person on a public repository
        // (models/perm/access/repo_permission.go, `CanBeAssigned`). Organisations answer as users do.
        Ok(!self.repository(repo).await?.private
            && self.is_account_in(repo, login).await?
            && !self.exists("orgs", login).await?)
    }

    async fn is_listed(&self, repo: &RepoName, login: &str) -> Result<bool, Error> {
        let listed = self.writers(repo).await?;
        Ok(listed.iter().any(|writer| writer.eq_ignore_ascii_case(login)))
    }

    /// The account with this login; `None` when there is none.
    pub async fn account(&self, login: &str) -> Result<Option<Account>, Error> {
        let request = Request::get(format_args!("users {login}"), path(&["users", login]));
        let answer = self.find(request, &[404]).await?;
        answer.map(|answer| answer.json()).transpose().map(|user| user.and_then(User::into_account))
    }

    /// What the account with this number is called now; `None` when it is gone.
    pub async fn login_of(&self, id: i64) -> Result<Option<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Users {
            data: Vec<User>,
        }
        let request = Request::get(format_args!("account {id}"), path(&["users", "search"]));
        let Users { data } = self.send(request.query("uid", id)).await?.json()?;
        Ok(data.into_iter().find(|user| user.id == id).map(|user| user.login))
    }

    /// Whether there is an account, of a person or an organisation, with this login.
    pub async fn is_account(&self, login: &str) -> Result<bool, Error> {
        self.exists("users", login).await
    }

    /// Whether an organisation has this login, as far as the token may ask.
    pub async fn is_organisation(&self, login: &str) -> Result<bool, Error> {
        self.exists("orgs", login).await
    }

    /// The same with a token without `read:user`, which may not ask for an account: a filter of a list of issues is
    /// answered with 404 when it names nobody.
    pub async fn is_account_in(&self, repo: &RepoName, login: &str) -> Result<bool, Error> {
        match self.is_account(login).await {
            Err(error) if error.status() == Some(403) => {
                let request = Request::of_repo(Method::GET, repo, &["issues"]);
                let request = request.query("assigned_by", login).query("limit", 1);
                Ok(self.find(request, &[404]).await?.is_some())
            }
            answer => answer,
        }
    }

    async fn exists(&self, kind: &str, login: &str) -> Result<bool, Error> {
        let request = Request::get(format_args!("{kind} {login}"), path(&[kind, login]));
        // Organisations need a scope of their own; a token without it takes the account for a person.
        let nothing: &[u16] = if kind == "orgs" { &[403, 404] } else { &[404] };
        match self.find(request, nothing).await? {
            Some(answer) => answer.json::<IgnoredAny>().map(|_| true),
            None => Ok(false),
        }
    }

    /// A file as it is at a branch, tag or commit, or at the default branch; `None` when there is none, or the account
    /// may not read code.
    pub async fn file(
        &self,
        repo: &RepoName,
        path: &str,
        reference: Option<&str>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let segments: Vec<&str> = ["raw"].into_iter().chain(path.split('/')).collect();
        let request = Request::get(format_args!("{repo} file"), repo_path(repo, &segments));
        let request = request.maybe("ref", reference);
        Ok(self.find(request, &[404]).await?.map(|answer| answer.body))
    }
}
