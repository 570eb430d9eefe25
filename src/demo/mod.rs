//! The whole thing on loopback, without any set-up: a service, a Gitea in memory, and the recorded deliveries of a
//! real one. All of it is gone when it ends. It shows; what is decided is decided where it always is.

mod fixtures;
mod world;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::clock::Clock;
use crate::config::Config;
use crate::fake_gitea::FakeGitea;
use crate::gitea::{self as forge, Recording, Rejected, Verifier};
use crate::service::Service;
use crate::store::{DeliveryState, DeliveryView, Store};

pub use fixtures::FIXTURES;

/// What the recorded deliveries are signed with.
const SECRET: &str = "fixture-secret";
/// How long a delivery may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait between two looks.
const STEP: Duration = Duration::from_millis(10);

/// A running demo.
pub struct Demo {
    // Ended in this order: the service before the folder goes.
    service: Service,
    gitea: FakeGitea,
    _folder: TempDir,
}

/// What became of a recorded delivery.
pub enum Told {
    /// It came to its end.
    Ended(DeliveryView),
    /// It was turned away.
    Rejected(Rejected),
}

impl Demo {
    /// Starts everything on loopback, the service at `listen` or at a free port.
    ///
    /// # Errors
    /// When a port, a thread or a folder cannot be had.
    pub async fn start(listen: Option<&str>) -> anyhow::Result<Self> {
        let gitea = FakeGitea::start().await.context("the Gitea in memory could not be started")?;
        let folder = tempfile::Builder::new().prefix("gitea-triage-demo-").tempdir()?;
        let listen = match listen {
            Some(listen) => listen.to_owned(),
            None => TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string(),
        };
        let text = configuration(&gitea, &listen, &folder);
        let config = Config::from_toml("the demo's configuration", &text, std::iter::empty())?;
        world::set_stage(&gitea)?;
        let service = Service::start(&config, Clock::System).await?;
        Ok(Self { service, gitea, _folder: folder })
    }

    /// Where the service answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.service.address())
    }

    /// Where the Gitea in memory answers its API.
    pub fn gitea_url(&self) -> String {
        self.gitea.url()
    }

    /// What the service remembers.
    pub fn store(&self) -> &Store {
        &self.service.parts().store
    }

    /// Lets what a recording tells of happen, delivers the recording as it is, and waits for its end.
    ///
    /// # Errors
    /// When it is no recording, or does not come to an end.
    pub async fn feed(&self, recording: &[u8]) -> anyhow::Result<Told> {
        let recording = Recording::read(recording.to_vec())?;
        let secret = forge::Secret { key: SECRET.into(), expires: None, repos: None };
        let now = Clock::System.now();
        let verified = Verifier::new(vec![secret]).verify(&recording, recording.body.clone(), now);
        if let Ok(delivery) = &verified {
            world::happen(&self.gitea, &serde_json::from_slice(&delivery.body).unwrap_or_default());
        }
        let (status, answer) = forge::post(&format!("{}/webhook", self.url()), &recording).await?;
        match verified {
            Err(rejected) => Ok(Told::Rejected(rejected)),
            Ok(_) if status >= 300 => bail!("the receiver answered {status}: {answer}"),
            Ok(delivery) => {
                let began = Instant::now();
                while began.elapsed() < PATIENCE {
                    match self.store().delivery(&delivery.id).await? {
                        Some(seen) if has_ended(seen.state) => return Ok(Told::Ended(seen)),
                        _ => tokio::time::sleep(STEP).await,
                    }
                }
                bail!("delivery `{}` did not end within {PATIENCE:?}", delivery.id)
            }
        }
    }

    /// Ends everything and leaves nothing behind.
    pub async fn stop(self) {
        self.service.stop().await;
        self.gitea.stop();
    }
}

fn has_ended(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Done | DeliveryState::Ignored | DeliveryState::Dead)
}

/// What signs in to the demo's dashboard. It is no secret: the demo listens on this machine alone.
pub const TOKEN: &str = "demo-demo-demo-demo";

fn configuration(gitea: &FakeGitea, listen: &str, folder: &TempDir) -> String {
    format!(
        "[gitea]\nurl = '{}'\ntoken = '{}'\nrepos = ['{}']\n[server]\nlisten = '{listen}'\n\
         public_url = 'http://{listen}'\n[webhook]\nsecrets = ['{SECRET}']\n[store]\nurl = 'sqlite:{}'\n\
         [dashboard]\ntoken = '{TOKEN}'\n[triage]\nowner = 'alice'\n[sweep]\nat_start = false\n[summary]\nenabled = false\n",
        gitea.url(),
        gitea.token(),
        world::REPO,
        folder.path().join("demo.db").display()
    )
}
