//! A stateful Gitea or Forgejo in memory, over real HTTP, for `demo`, `replay` and the tests.
//!
//! It answers as Gitea 1.25.4 or Forgejo 15.0.3 does, the traps included: payloads that lie, labels that are dropped silently,
//! assignees that end in a 500. People's changes and the API's go through the same code and fire the same
//! signed webhooks. It decides nothing and knows no other room but the nouns.

mod call;
mod change;
mod deliver;
mod flavour;
mod label;
mod moves;
mod oauth;
mod outbox;
mod payload;
mod people;
mod record;
mod refs;
mod reviews;
mod routes;
mod seed;
mod server;
mod shared;
mod show;
mod show_issue;
mod sign;
mod team;
mod teams;
mod view;
mod world;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::ServiceConfig;

pub use self::flavour::Flavour;
use self::outbox::KINDS;
use self::record::{BOT, ROOT_URL, Scope, Task, key};
use self::shared::{Interruption, Shared};
pub use self::view::{
    CommentView, DeliveryView, Fault, FaultKind, IssueView, NewCheck, NewIssue, NewLine, NewReview,
    Request, TimelineView,
};
use self::world::{State, token_of};
use crate::clock::Clock;
use crate::issue::{Account, RepoName};

/// The pages that a forge shows to people: routes before those of the API, which the fake itself has none of.
pub type Pages = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// A running fake Gitea. Clones share it; it stops with the last of them.
#[derive(Clone)]
pub struct FakeGitea {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: ServerHandle,
    token: String,
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

impl FakeGitea {
    /// Starts one on a free port of 127.0.0.1, with the machine's clock.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(Clock::System).await
    }

    /// Starts one that takes its time from `clock`.
    pub async fn start_at(clock: Clock) -> io::Result<Self> {
        Self::start_as(Flavour::Gitea, clock).await
    }

    /// Starts one of the two forges.
    pub async fn start_as(flavour: Flavour, clock: Clock) -> io::Result<Self> {
        Self::start_with(flavour, clock, None).await
    }

    /// Starts one that shows these pages to people.
    pub async fn start_showing(flavour: Flavour, pages: Pages) -> io::Result<Self> {
        Self::start_with(flavour, Clock::System, Some(pages)).await
    }

    async fn start_with(flavour: Flavour, clock: Clock, pages: Option<Pages>) -> io::Result<Self> {
        let state = State::new(flavour, clock);
        let token = token_of(&state.login(BOT));
        let shared = Shared::new(state);
        let (address, server) = server::start(Arc::clone(&shared), pages).await?;
        Ok(Self { inner: Arc::new(Inner { shared, address, server, token }) })
    }

    /// Stops answering and delivering; what it holds can still be looked at.
    pub fn stop(&self) {
        drop(self.inner.server.stop(false));
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    /// The address that it says it has: as behind many reverse proxies, nobody can reach it from here.
    pub fn root_url(&self) -> &'static str {
        ROOT_URL
    }

    /// The bot's token. Requests with another one, or without, are answered with 401.
    pub fn token(&self) -> &str {
        &self.inner.token
    }

    /// The token of another account, for tests that act as a person through the API.
    pub fn token_of(&self, login: &str) -> String {
        token_of(login)
    }

    /// The account behind [`FakeGitea::token`].
    pub fn bot(&self) -> Account {
        self.read(|state| state.account(BOT))
    }

    /// Every API request so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.read(|state| state.requests.clone())
    }

    /// The most API requests that were being answered at the same time.
    pub fn most_at_once(&self) -> usize {
        self.inner.shared.most_at_once()
    }

    /// Every API request so far that was not a GET.
    pub fn writes(&self) -> Vec<Request> {
        self.read(|state| state.requests.iter().filter(|r| r.method != "GET").cloned().collect())
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.change(|state| state.requests.clear());
    }

    /// Lets the next requests that fit meet a fault.
    pub fn fail(&self, fault: Fault) {
        self.change(|state| state.faults.push(fault));
    }

    /// Forgets the faults that were not met yet, and what was to be done before requests that did not come; whether
    /// there was any of that.
    pub fn clear_faults(&self) -> bool {
        let was_none = self.change(|state| std::mem::take(&mut state.faults).is_empty());
        self.inner.shared.forget_interruptions() || !was_none
    }

    /// Does something just before the next request that fits is looked at: what a person does while we read and write.
    /// An empty method fits each.
    pub fn just_before(
        &self,
        method: &str,
        path_contains: &str,
        act: impl FnOnce() + Send + 'static,
    ) {
        self.inner.shared.interrupt(Interruption {
            method: method.to_owned(),
            path_contains: path_contains.to_owned(),
            act: Box::new(act),
        });
    }

    /// Lets every answer to this method come later; the work is done at once.
    pub fn set_delay(&self, method: &str, delay: Duration) {
        self.change(|state| state.delays.insert(method.to_uppercase(), delay));
    }

    /// Sends every event of every repository to `url`, in place of the address set before.
    /// The deliveries say that they come from a repository's hook; an empty secret leaves them unsigned.
    pub fn set_hook(&self, url: &str, secret: &str) {
        self.hear(Scope::Everywhere, url, secret);
    }

    /// The same for the events of one repository.
    pub fn set_repo_hook(&self, repo: &RepoName, url: &str, secret: &str) {
        self.hear(Scope::Repo(key(repo)), url, secret);
    }

    fn hear(&self, scope: Scope, url: &str, secret: &str) {
        self.change(|state| {
            state.hooks.retain(|hook| hook.scope != scope);
            let mut hook = state.new_hook(scope, url);
            hook.secret = secret.to_owned();
            hook.events = KINDS.map(str::to_owned).into();
            state.hooks.push(hook);
        });
    }

    /// Keeps deliveries in the queue until [`FakeGitea::resume`].
    pub fn pause_deliveries(&self) {
        self.change(|state| state.paused = true);
    }

    /// Sends deliveries again, the kept ones first.
    pub fn resume(&self) {
        self.change(|state| state.paused = false);
    }

    /// Loses the next `n` deliveries, as a crash of Gitea in the middle of one does.
    pub fn drop_next_deliveries(&self, n: u32) {
        self.change(|state| state.drop_next = n);
    }

    /// Every delivery so far, in the order of the events.
    pub fn deliveries(&self) -> Vec<DeliveryView> {
        self.read(|state| state.deliveries.iter().map(Task::view).collect())
    }

    /// Sends a delivery again with a new id and the same bytes, as a person does on Gitea's page.
    /// Gives the new id, or `None` when there is no such delivery.
    pub fn redeliver(&self, uuid: &str) -> Option<String> {
        self.change(|state| {
            let old = state.deliveries.iter().find(|t| t.uuid == uuid)?.clone();
            let new = Task::new(old.hook, old.kind, &old.action, old.body);
            let uuid = new.uuid.clone();
            state.push(new);
            Some(uuid)
        })
    }

    /// Waits until every delivery was sent and answered, or lost. While deliveries are paused with some
    /// in the queue it goes on waiting.
    pub async fn delivered(&self) {
        let shared = &self.inner.shared;
        loop {
            let notified = shared.idle.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if shared.lock().is_quiet() {
                return;
            }
            notified.await;
        }
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.inner.shared.lock())
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        self.inner.shared.with(act)
    }
}
