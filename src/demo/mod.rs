//! The service on loopback without any setup: an in-memory Gitea or Forgejo and the recorded deliveries of a real one.
//! Nothing is left when it ends.

mod fixtures;
mod world;

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::clock::Clock;
use crate::config::Config;
use crate::fake_gitea::FakeGitea;
use crate::gitea::{self as forge, Recording, Rejected, Verifier};
use crate::service::Service;
use crate::store::{DeliveryState, DeliveryView, Store};

pub use fixtures::{FORGEJO, GITEA, Recorded};

/// The secret of the recorded deliveries.
const SECRET: &str = "fixture-secret";
/// How long a delivery may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The interval between two polls.
const STEP: Duration = Duration::from_millis(10);

/// A running demo.
pub struct Demo {
    // Dropped in this order: the service before its folder.
    service: Service,
    gitea: FakeGitea,
    _folder: TempDir,
}

/// The result of a recorded delivery.
pub enum Fed {
    /// It was processed.
    Ended(DeliveryView),
    /// The receiver refused it.
    Rejected(Rejected),
}

impl Demo {
    /// Starts everything on loopback for these recordings, the service at `listen` or at a free port.
    pub async fn start(recorded: &Recorded, listen: Option<&str>) -> anyhow::Result<Self> {
        let gitea = FakeGitea::start_as(recorded.flavour, Clock::System).await;
        let gitea = gitea.context("the in-memory forge could not be started")?;
        let folder = tempfile::Builder::new().prefix("gitea-triage-demo-").tempdir()?;
        let listen = match listen {
            Some(listen) => listen.to_owned(),
            None => TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string(),
        };
        let text = configuration(&gitea, recorded.repo, &listen, folder.path());
        let config = Config::from_toml("the demo's configuration", &text, std::iter::empty())?;
        world::prepare(&gitea, recorded.repo)?;
        let service = Service::start(&config, Clock::System).await?;
        Ok(Self { service, gitea, _folder: folder })
    }

    /// The address of the service.
    pub fn url(&self) -> String {
        format!("http://{}", self.service.address())
    }

    /// The address of the in-memory forge.
    pub fn gitea_url(&self) -> String {
        self.gitea.url()
    }

    /// The store of the service.
    pub fn store(&self) -> &Store {
        &self.service.parts().store
    }

    /// Applies the change of a recording to the in-memory forge, posts the recording, and waits until it is processed.
    pub async fn feed(&self, recording: &[u8]) -> anyhow::Result<Fed> {
        let recording = Recording::read(recording.to_vec())?;
        let secret = forge::Secret { key: SECRET.into(), expires: None, repos: None };
        let now = Clock::System.now();
        let verified = Verifier::new(vec![secret]).verify(&recording, recording.body.clone(), now);
        if let Ok(delivery) = &verified {
            world::apply(&self.gitea, &serde_json::from_slice(&delivery.body).unwrap_or_default());
        }
        let (status, answer) = forge::post(&format!("{}/webhook", self.url()), &recording).await?;
        match verified {
            Err(rejected) => Ok(Fed::Rejected(rejected)),
            Ok(_) if status >= 300 => bail!("the receiver answered {status}: {answer}"),
            Ok(delivery) => {
                let began = Instant::now();
                while began.elapsed() < PATIENCE {
                    match self.store().delivery(&delivery.id).await? {
                        Some(view) if has_ended(view.state) => return Ok(Fed::Ended(view)),
                        _ => tokio::time::sleep(STEP).await,
                    }
                }
                bail!("delivery `{}` did not end within {PATIENCE:?}", delivery.id)
            }
        }
    }

    /// Stops everything.
    pub async fn stop(self) {
        self.service.stop().await;
        self.gitea.stop();
    }
}

fn has_ended(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Done | DeliveryState::Ignored | DeliveryState::Dead)
}

/// The token of the demo's dashboard. It is no secret: the demo listens on this machine only.
pub const TOKEN: &str = "demo-demo-demo-demo";

fn configuration(gitea: &FakeGitea, repo: &str, listen: &str, folder: &Path) -> String {
    format!(
        "[gitea]\nurl = '{}'\ntoken = '{}'\nrepos = ['{}']\n[server]\nlisten = '{listen}'\n\
         public_url = 'http://{listen}'\n[webhook]\nsecrets = ['{SECRET}']\n[store]\nurl = 'sqlite:{}'\n\
         [dashboard]\ntoken = '{TOKEN}'\n[triage]\nowner = 'alice'\n[sweep]\nat_start = false\n[summary]\nenabled = false\n",
        gitea.url(),
        gitea.token(),
        repo,
        folder.join("demo.db").display()
    )
}
