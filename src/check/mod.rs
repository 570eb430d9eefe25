//! Whether a set-up works, looked at from every side: what is wrong, and what to do about it. It changes nothing: what
//! it sends to the forge beside GET is refused there by design, or changes nothing (see [`crate::gitea`]'s probes).

mod arrival;
mod forge;
mod here;
mod line;
mod repo;

use std::time::Duration;

use line::Subject;
pub use line::{Level, Line};

use crate::clock::Clock;
use crate::config::Config;
use crate::gitea::Client;
use crate::hooks::{Keeper, Proof, Receiver, Target, Wanted, repositories};
use crate::issue::{Account, RepoName, RepoPatterns};
use crate::store::Place;

use arrival::Arrivals;

/// What is looked at.
pub struct Checkup<'a> {
    /// The configuration, read without a mistake.
    pub config: &'a Config,
    /// The forge, as our own account.
    pub forge: Client,
    /// The forge, as somebody who may look at webhooks.
    pub hook_forge: Client,
    /// What our webhooks have to be; `None` without a public address.
    pub wanted: Option<Wanted>,
    /// Where the store is.
    pub database: Place,
    /// This machine's time.
    pub clock: Clock,
    /// How long a delivery may take; `None` tries none.
    pub patience: Option<Duration>,
}

/// Patterns that no repository fits, which nobody would miss.
fn patterns(config: &Config, repos: &[RepoName], out: Output<'_>) {
    for (owner, name) in config.gitea.repos.wildcards() {
        let text = format!("{owner}/{name}");
        let fits = RepoPatterns::new([text.as_str()]).unwrap_or_default();
        let at = Subject::new("pattern", &text);
        match repos.iter().filter(|repo| fits.allows(repo)).count() {
            0 => out(at.red("fits no repository that the account may see and that keeps issues").cure(
                "correct it in `gitea.repos`, or make the account a collaborator that may write",
            )),
            count => out(at.green(format!("fits {count} of the repositories"))),
        }
    }
}

/// Who hears of each line as soon as it is known.
pub type Output<'a> = &'a mut dyn FnMut(Line);

/// The parts of a setup that is still being made.
impl Checkup<'_> {
    /// Looks whether the forge answers.
    pub async fn answers(&self, out: Output<'_>) {
        forge::server(self, out).await;
    }

    /// Looks at whose token it is; `None` where that cannot be known.
    pub async fn account(&self, out: Output<'_>) -> Option<Account> {
        forge::token(self, out).await
    }

    /// Looks at the repositories, as this account.
    pub async fn repositories(&self, account: &Account, out: Output<'_>) {
        let Some(repos) = self.repos(out).await else { return };
        patterns(self.config, &repos, out);
        for repo in &repos {
            repo::repository(self, repo, account, out).await;
        }
    }

    /// Looks at who is called.
    pub async fn owner(&self, out: Output<'_>) {
        if let Some(repos) = self.repos(out).await {
            forge::owner(self, &repos, out).await;
        }
    }

    async fn repos(&self, out: Output<'_>) -> Option<Vec<RepoName>> {
        match repositories(&self.forge, &self.config.gitea.repos).await {
            Ok(repos) => Some(repos),
            Err(error) => {
                out(Subject::new("repositories", "gitea.repos").red(error));
                None
            }
        }
    }
}

impl Checkup<'_> {
    /// Looks at everything that can be looked at, one line each.
    pub async fn run(&self, out: Output<'_>) {
        here::configuration(self.config, out);
        here::secrets(self.config, self.clock.now(), out);
        here::runner(self.config, out);
        let store = here::store(&self.database, self.config.webhook.queue, out).await;
        here::disk(&self.database, out);
        let receiver = Receiver::new(&self.config.server.listen).ok();
        let is_served = match &receiver {
            Some(receiver) => arrival::service(receiver, out).await,
            None => false,
        };
        arrival::address(self, out).await;
        let (server, account) = (forge::server(self, out).await, forge::token(self, out).await);
        let Some((server, account)) = server.zip(account) else { return };
        let Some(repos) = self.repos(out).await else { return };
        forge::owner(self, &repos, out).await;
        patterns(self.config, &repos, out);
        for repo in &repos {
            repo::repository(self, repo, &account, out).await;
        }
        let Some((wanted, receiver)) = self.wanted.clone().zip(receiver) else { return };
        let target = Target::of(&wanted.url).await;
        let keeper = Keeper {
            forge: self.hook_forge.clone(),
            server,
            wanted,
            is_forced: false,
            memory: None,
        };
        let waiting = self.patience.zip(store.filter(|_| is_served));
        let proof = waiting.map(|(patience, store)| {
            let forge = self.forge.clone();
            Proof { forge, store, receiver, patience }
        });
        let arrivals = Arrivals { keeper, proof, target };
        let mut seen = Vec::new();
        for repo in &repos {
            seen.push(arrivals.of(repo, out).await);
        }
        arrivals.allowed_hosts(&seen, out);
    }
}
