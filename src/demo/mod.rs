//! The service on loopback without any setup: an in-memory Gitea or Forgejo, and the recorded deliveries of a real one.
//! Nothing is left when it ends.
//!
//! For whoever looks at it there is more: pages of the forge, a repository with one issue in each state, a runner, and a
//! link that signs in.

mod fixtures;
mod site;
mod tour;
mod workbench;
mod world;

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::clock::Clock;
use crate::config::Config;
use crate::fake_gitea::FakeGitea;
use crate::gitea::{self as forge, Recording, Rejected, Verifier};
use crate::issue::RepoName;
use crate::service::Service;
use crate::store::{DeliveryState, DeliveryView, Store};

pub use fixtures::{FORGEJO, GITEA, Recorded};

use site::{Dashboard, Site};
use tour::Tour;
use workbench::Workbench;

/// The secret of the recorded deliveries.
const SECRET: &str = "fixture-secret";
/// How long a delivery may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The interval between two polls.
const STEP: Duration = Duration::from_millis(10);
/// The repository of the tour, beside that of the recordings.
const WORKSHOP: &str = "workshop";

/// No recorded repository, issue, comment or label has a higher id.
const RECORDED_IDS: i64 = 10_000;

/// What a demo is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The recorded deliveries and nothing else, for scripts.
    Recordings,
    /// Somebody looks at it.
    Visit,
}

/// A running demo.
pub struct Demo {
    // Dropped in this order: the service before its folder.
    workbench: Option<Workbench>,
    service: Service,
    gitea: FakeGitea,
    site: Arc<Site>,
    recorded: RepoName,
    workshop: RepoName,
    link: String,
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
    pub async fn start(
        recorded: &Recorded,
        listen: Option<&str>,
        purpose: Purpose,
    ) -> anyhow::Result<Self> {
        let site = Arc::new(Site::default());
        let gitea = FakeGitea::start_showing(recorded.flavour, site.pages()).await;
        let gitea = gitea.context("the in-memory forge could not be started")?;
        let folder = tempfile::Builder::new().prefix("gitea-triage-demo-").tempdir()?;
        let listen = match listen {
            Some(listen) => listen.to_owned(),
            None => TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string(),
        };
        let repo = world::prepare(&gitea, recorded.repo)?;
        let workshop: RepoName = format!("{}/{WORKSHOP}", repo.owner()).parse()?;
        let runner_token = uuid::Uuid::new_v4().to_string();
        let mut text = configuration(&gitea, &listen, folder.path());
        let _ = match purpose {
            Purpose::Recordings => writeln!(text, "repos = ['{repo}']"),
            Purpose::Visit => {
                write!(text, "repos = ['{repo}', '{workshop}']\n{}", for_a_visit(&runner_token))
            }
        };
        let config = Config::from_toml("the demo's configuration", &text, std::iter::empty())?;
        let service = Service::start(&config, Clock::System).await?;
        let url = format!("http://{}", service.address());
        let link = service.sign_in_link().unwrap_or_else(|| url.clone());
        let mut workbench = None;
        if purpose == Purpose::Visit {
            gitea.leave_ids(RECORDED_IDS);
            world::prepare(&gitea, &workshop.to_string())?;
            for repo in [&repo, &workshop] {
                world::let_write(&gitea, repo, tour::PEOPLE);
            }
            gitea.set_repo_hook(&workshop, &format!("{url}/webhook"), SECRET);
            site.watch(workshop.clone());
            workbench = Some(Workbench::start(&url, runner_token.into())?);
        }
        site.name_service(Dashboard { url, entrance: link.clone() });
        site.open(&gitea);
        let _folder = folder;
        Ok(Self { workbench, service, gitea, site, recorded: repo, workshop, link, _folder })
    }

    /// Opens an issue for each state, and waits until all of them are in it.
    pub async fn tour(&self) -> anyhow::Result<()> {
        let (gitea, repo, store) = (&self.gitea, &self.workshop, self.store());
        Tour { gitea, repo, store }.take().await
    }

    /// Lets the service hear of what happens in every repository, when the recordings are through.
    pub fn watch_all(&self) {
        let url = format!("{}/webhook", self.url());
        self.gitea.set_repo_hook(&self.recorded, &url, SECRET);
        self.site.watch_all();
    }

    /// The link that signs in to the dashboard; its address where it is open to other machines.
    pub fn sign_in_link(&self) -> &str {
        &self.link
    }

    /// The page of the forge on which an issue can be opened.
    pub fn new_issue_url(&self) -> String {
        format!("{}/{}/issues/new", self.gitea.url(), self.workshop)
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
            let payload = serde_json::from_slice(&delivery.body).unwrap_or_default();
            world::apply(&self.gitea, &payload, now);
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
        drop(self.workbench);
        self.service.stop().await;
        self.site.close();
        self.gitea.stop();
    }
}

fn has_ended(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Done | DeliveryState::Ignored | DeliveryState::Dead)
}

/// The token of the demo's dashboard. It is no secret: the demo listens on this machine only.
pub const TOKEN: &str = "demo-demo-demo-demo";

fn configuration(gitea: &FakeGitea, listen: &str, folder: &Path) -> String {
    format!(
        "[server]\nlisten = '{listen}'\npublic_url = 'http://{listen}'\n[webhook]\nsecrets = ['{SECRET}']\n\
         [store]\nurl = 'sqlite:{}'\n[dashboard]\ntoken = '{TOKEN}'\n[triage]\nowner = 'alice'\n\
         [sweep]\nat_start = false\n[summary]\nenabled = false\n[gitea]\nurl = '{}'\ntoken = '{}'\n",
        folder.join("demo.db").display(),
        gitea.url(),
        gitea.token(),
    )
}

/// What is configured besides for somebody who looks at it: the policy for issues as people write them, people who are
/// asked in turn, few places, and an agent on a runner.
fn for_a_visit(runner_token: &str) -> String {
    let [first, second, _] = tour::PEOPLE;
    format!(
        "[policy]\npreset = 'practical'\n\
         [[rotation]]\nname = 'maintainers'\nmembers = ['{first}', '{second}']\n\
         [[agent]]\nid = 'claude'\nmax_concurrent = 10\n\
         [[agent]]\nid = 'api'\nenabled = false\n\
         [[agent]]\nid = 'local'\nenabled = false\n\
         [[agent]]\nid = '{agent}'\ninterface = 'runner'\nmax_concurrent = 1\n\
         [[runner]]\nname = '{name}'\ntoken_sha256 = '{digest}'\nagents = ['{agent}']\n",
        agent = workbench::AGENT,
        name = workbench::NAME,
        digest = hex::encode(Sha256::digest(runner_token)),
    )
}
