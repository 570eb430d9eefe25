//! The state of the fake: one map of accounts, one of repositories, and how to find things in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use chrono::SubsecRound;
use sha2::{Digest, Sha256};

use super::flavour::Flavour;
use super::record::{Access, At, BOT, Hook, Issue, Label, Oauth, Repo, Scope, Task, User, key};
use super::team::{ISSUES, Team};
use super::view::{Fault, Request};
use crate::clock::{Clock, Timestamp};
use crate::issue::{Account, RepoName};

#[derive(Default)]
pub(super) struct State {
    pub flavour: Flavour,
    pub clock: Clock,
    pub users: BTreeMap<i64, User>,
    pub logins: HashMap<String, i64>,
    pub tokens: HashMap<String, i64>,
    /// What a token may do, as `read:issue` or `write:repository`; everything when it is not here.
    pub scopes: HashMap<String, Vec<String>>,
    pub repos: BTreeMap<String, Repo>,
    /// The repositories that the search over all of them leaves out.
    pub unsearched: BTreeSet<i64>,
    /// The repositories that an owner's former names of repositories lead to.
    pub redirects: HashMap<(i64, String), i64>,
    /// The accounts that former logins lead to.
    pub owner_redirects: HashMap<String, i64>,
    pub org_labels: HashMap<String, Vec<Label>>,
    pub org_owners: Vec<(String, i64)>,
    pub teams: Vec<Team>,
    pub site_admins: BTreeSet<i64>,
    pub hooks: Vec<Hook>,
    pub deliveries: Vec<Task>,
    pub queue: VecDeque<usize>,
    pub in_flight: bool,
    pub paused: bool,
    /// Whether `[webhook] ALLOWED_HOST_LIST` has `loopback`.
    pub reaches_loopback: bool,
    pub drop_next: u32,
    /// Who has blocked whom.
    pub blocks: BTreeSet<(i64, i64)>,
    pub requests: Vec<Request>,
    pub faults: Vec<Fault>,
    pub delays: HashMap<String, Duration>,
    pub oauth: Oauth,
    last_id: HashMap<&'static str, i64>,
}

impl State {
    /// An empty forge with nobody but the bot.
    pub fn new(flavour: Flavour, clock: Clock) -> Self {
        let mut state = Self { flavour, clock, reaches_loopback: true, ..Self::default() };
        state.put_user(BOT, "triage-bot", false);
        state
    }

    /// The clock's time in whole seconds, as Gitea stores it.
    pub fn now(&self) -> Timestamp {
        self.clock.now().trunc_subsecs(0)
    }

    /// The next number of a sequence, such as `issue` or `label`.
    pub fn next_id(&mut self, sequence: &'static str) -> i64 {
        let last = self.last_id.entry(sequence).or_insert(0);
        *last += 1;
        *last
    }

    pub fn reserve_id(&mut self, sequence: &'static str, id: i64) {
        let last = self.last_id.entry(sequence).or_insert(0);
        *last = (*last).max(id);
    }

    /// The account with this login, made when there is none. One that was taken for an organisation,
    /// because it owns a repository, becomes a person once it acts as one.
    pub fn ensure_user(&mut self, login: &str, is_org: bool) -> i64 {
        if let Some(id) = self.user_id(login) {
            let user = self.users.get_mut(&id).filter(|u| u.is_org && !is_org);
            if let Some(user) = user {
                user.is_org = false;
                self.tokens.insert(token_of(login), id);
            }
            return id;
        }
        let mut id = self.next_id("user");
        while self.users.contains_key(&id) {
            id = self.next_id("user");
        }
        self.put_user(id, login, is_org)
    }

    pub fn put_user(&mut self, id: i64, login: &str, is_org: bool) -> i64 {
        let created = self.now();
        self.users.insert(id, User { id, login: login.to_owned(), is_org, created });
        self.owner_redirects.remove(&login.to_lowercase());
        self.logins.insert(login.to_lowercase(), id);
        if !is_org {
            self.tokens.insert(token_of(login), id);
        }
        id
    }

    pub fn user_id(&self, login: &str) -> Option<i64> {
        self.logins.get(&login.to_lowercase()).copied()
    }

    /// A login for people; a removed account is a ghost, as in Gitea.
    pub fn login(&self, id: i64) -> String {
        self.users.get(&id).map_or_else(|| "Ghost".to_owned(), |u| u.login.clone())
    }

    /// The account with this number, as other rooms know it.
    pub fn account(&self, id: i64) -> Account {
        let id = if self.users.contains_key(&id) { id } else { -1 };
        Account { id, login: self.login(id) }
    }

    pub fn is_org(&self, login: &str) -> bool {
        self.user_id(login).and_then(|id| self.users.get(&id)).is_some_and(|u| u.is_org)
    }

    /// The repository, made with its owner and the bot as a writer when there is none.
    pub fn ensure_repo(&mut self, name: &RepoName) -> String {
        let key = key(name);
        if !self.repos.contains_key(&key) {
            let owner = self.ensure_user(name.owner(), true);
            self.redirects.remove(&(owner, name.name().to_lowercase()));
            let repo = Repo {
                id: self.next_id("repo"),
                name: name.clone(),
                private: false,
                archived: false,
                dependencies: true,
                created: self.now(),
                collaborators: BTreeMap::from([(BOT, Access::Write)]),
                labels: Vec::new(),
                issues: BTreeMap::new(),
                comments: BTreeMap::new(),
                last_number: 0,
                deleted: BTreeSet::new(),
                checks: Vec::new(),
                open: [0, 0],
            };
            self.repos.insert(key.clone(), repo);
        }
        key
    }

    /// A hook that is active and hears nothing yet.
    pub fn new_hook(&mut self, scope: Scope, url: &str) -> Hook {
        let now = self.now();
        Hook {
            id: self.next_id("hook"),
            kind: "gitea".to_owned(),
            scope,
            url: url.to_owned(),
            secret: String::new(),
            form: false,
            active: true,
            events: BTreeSet::new(),
            branch_filter: String::new(),
            authorization: String::new(),
            created: now,
            updated: now,
        }
    }

    /// What an account may do over the whole repository. The rights that teams give to single units are not in it; see
    /// [`Self::unit`].
    pub fn access(&self, repo: &Repo, user: i64) -> Access {
        let is_admin = self.site_admins.contains(&user);
        if is_admin { Access::Owner } else { self.access_of_own(repo, user) }
    }

    /// The same without what an administrator of the server may everywhere.
    pub fn access_of_own(&self, repo: &Repo, user: i64) -> Access {
        let owner = repo.name.owner().to_lowercase();
        let owns = self.user_id(&owner) == Some(user)
            || self.org_owners.iter().any(|(org, id)| *org == owner && *id == user);
        let mut teams = self.teams_of(repo).filter(|team| team.members.contains(&user));
        if owns || teams.any(|team| team.is_admin) {
            return Access::Owner;
        }
        let floor = if repo.private { Access::None } else { Access::Read };
        repo.collaborators.get(&user).copied().unwrap_or(floor)
    }

    /// Whether the account can be assigned: any person who can read the repository, never an organisation.
    pub fn assignable(&self, repo: &str, user: i64) -> bool {
        let Some(repo) = self.repos.get(repo) else { return false };
        let person = self.users.get(&user).is_some_and(|u| !u.is_org);
        person && self.unit(repo, user, ISSUES) >= Access::Read
    }

    /// Whether the poster of an issue, or the owner of its repository, has blocked the account.
    pub fn is_blocked_by_people(&self, at: &At, user: i64) -> bool {
        let Some((repo, issue)) = self.place(at) else { return false };
        let owner = self.user_id(repo.name.owner());
        let admin = self.access(repo, user) >= Access::Admin;
        let is_exempt = admin && self.flavour.lets_blocked_admins();
        let mut people = [Some(issue.author), owner].into_iter().flatten();
        !is_exempt && people.any(|by| self.blocks.contains(&(by, user)))
    }

    pub fn issue(&self, at: &At) -> Option<&Issue> {
        self.place(at).map(|(_, issue)| issue)
    }

    pub fn place(&self, at: &At) -> Option<(&Repo, &Issue)> {
        let repo = self.repos.get(&at.repo)?;
        Some((repo, repo.issues.get(&at.number)?))
    }

    pub fn issue_mut(&mut self, at: &At) -> Option<&mut Issue> {
        self.repos.get_mut(&at.repo)?.issues.get_mut(&at.number)
    }

    /// The label definitions an issue of the repository can carry: its own, then its organisation's.
    pub fn labels_for<'a>(&'a self, repo: &'a Repo) -> impl Iterator<Item = &'a Label> {
        let org = self.org_labels.get(&repo.name.owner().to_lowercase());
        repo.labels.iter().chain(org.into_iter().flatten())
    }

    /// The definitions behind an issue's labels, by name as Gitea orders them.
    pub fn labels_of<'a>(&'a self, repo: &'a Repo, ids: &[i64]) -> Vec<&'a Label> {
        let mut labels: Vec<_> = self.labels_for(repo).filter(|l| ids.contains(&l.id)).collect();
        labels.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        labels
    }
}

/// A token of the usual form, 40 hexadecimal digits, the same in every run.
pub(super) fn token_of(login: &str) -> String {
    let mut token = hex::encode(Sha256::digest(login.to_lowercase()));
    token.truncate(40);
    token
}
