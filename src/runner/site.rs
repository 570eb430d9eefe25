//! What all runs of a runner share: the service, the forge, the workspaces, and the agents with their secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::client::ServiceClient;
use super::confinement::{Confinement, Folders};
use super::git::{Git, login};
use super::hooks::run_hook;
use super::secrets::Secrets;
use super::settings::{AgentSettings, Settings, secret_of};
use super::workspace::{Most, Workspace, Workspaces, remove, too_much};
use crate::dispatch::run::{Dispatches, MAX_DISPATCHES};
use crate::gitea;

/// An agent, with the values of its `env_files`.
pub(super) struct Prepared {
    pub settings: AgentSettings,
    pub environment: BTreeMap<String, String>,
}

impl Prepared {
    fn new(settings: &AgentSettings) -> Result<Self, String> {
        let mut environment = BTreeMap::new();
        for (name, path) in &settings.env_files {
            let key = format!("agent.{}.env_files.{name}", settings.id);
            let value = secret_of(&key, path)?;
            environment.insert(name.clone(), value.expose_secret().to_owned());
        }
        Ok(Self { settings: settings.clone(), environment })
    }

    /// Who is named as co-author of what the runner commits.
    pub fn co_author(&self) -> String {
        let known = self.settings.known().map(|profile| profile.known().co_author.to_owned());
        let own = self.settings.co_author.clone();
        own.or(known).unwrap_or_else(|| format!("{0} <{0}@localhost>", self.settings.id))
    }
}

/// When workspaces are removed.
pub(super) enum Tidy {
    /// Before the first run.
    AtStart,
    /// Between runs.
    Between {
        /// The dispatches on which somebody works here.
        going: BTreeSet<String>,
    },
}

/// What all runs share.
pub(super) struct Site {
    pub settings: Settings,
    pub service: ServiceClient,
    pub forge: gitea::Client,
    pub workspaces: Workspaces,
    pub agents: BTreeMap<String, Prepared>,
    pub secrets: Arc<Secrets>,
}

impl Site {
    /// Why a run has to end whose workspace holds too much.
    pub async fn overweight(&self, folder: PathBuf) -> Option<String> {
        let (bytes, files) = (self.settings.disk_limit, self.settings.file_limit);
        let most = Most { bytes: u64::try_from(bytes).unwrap_or(u64::MAX), files };
        let found = tokio::task::spawn_blocking(move || too_much(&folder, most)).await;
        let key = found.ok().flatten()?;
        let limit = match key {
            "disk_limit" => humanly(most.bytes),
            _ => format!("{files} files"),
        };
        Some(format!("the workspace held more than {limit} (`{key}`), and the agent was ended"))
    }

    /// Reads the secrets and makes the folders.
    pub fn open(settings: Settings) -> Result<Self, String> {
        settings.check().map_err(|error| error.to_string())?;
        let token = secret_of("token_file", &settings.token_file)?;
        let forge_token = secret_of("forge.token_file", &settings.forge.token_file)?;
        let mut agents = BTreeMap::new();
        for agent in &settings.agent {
            agents.insert(agent.id.clone(), Prepared::new(agent)?);
        }
        let sent = SecretString::from(login(&forge_token));
        let values = agents.values().flat_map(|agent| agent.environment.values());
        let own: Vec<SecretString> = values.map(|value| value.as_str().into()).collect();
        let secrets = Secrets::new(own.iter().chain([&token, &forge_token, &sent]));
        let work = &settings.work;
        let git = Git::new(
            Workspaces::git_home(work),
            settings.git.timeout,
            &settings.forge.url,
            forge_token.clone(),
        );
        let workspaces = Workspaces::open(work, git, settings.forge.clone(), settings.git.clone())
            .map_err(|e| format!("`work` is `{}`, which cannot be used: {e}", work.display()))?;
        let link = gitea::Settings::new(settings.forge.url.clone(), forge_token.expose_secret());
        let forge = gitea::Client::new(link)
            .map_err(|error| error.to_string().replace("`gitea.", "`forge."))?;
        let service = ServiceClient::new(&settings.server, &token)?;
        Ok(Self { service, forge, workspaces, agents, secrets: Arc::new(secrets), settings })
    }

    /// Notes that a run has ended, and removes its workspace unless it is to be kept.
    pub async fn end(&self, workspace: &Workspace, kept_in: &Confinement) {
        self.before_remove(kept_in).await;
        self.workspaces.end(workspace).await;
        if self.settings.keep.is_none() {
            self.clear(workspace.folders.root.clone()).await;
        }
    }

    /// Tells the owner's command that a workspace is about to be removed, where it is removed at once.
    async fn before_remove(&self, kept_in: &Confinement) {
        let hooks = &self.settings.hooks;
        if self.settings.keep.is_none()
            && let Some(Err(reason)) = run_hook(&hooks.before_remove, kept_in, hooks.timeout).await
        {
            tracing::warn!("the hook `before_remove` failed: {reason}");
        }
    }

    /// How long a question for work may wait, in seconds: workspaces that are kept are looked after in between.
    pub fn longest_wait_s(&self) -> u64 {
        if self.workspaces.kept().is_empty() { 50 } else { 15 }
    }

    /// Ends the workspaces that are kept for further turns of dispatches that have ended; not those in which somebody works.
    async fn release(&self, going: &BTreeSet<String>) {
        let mut kept = self.workspaces.kept();
        kept.retain(|one| !going.contains(&one.dispatch));
        for some in kept.chunks(MAX_DISPATCHES) {
            let asked = some.iter().map(|one| one.dispatch.clone()).collect();
            let over = match self.service.over(&Dispatches { dispatches: asked }).await {
                Ok(over) => over.dispatches,
                // It is asked again.
                Err(error) => {
                    tracing::debug!("{error}");
                    return;
                }
            };
            for one in some.iter().filter(|one| over.contains(&one.dispatch)) {
                if let Some(Prepared { settings, environment }) = self.agents.get(&one.agent) {
                    let folders = Folders::below(one.folder.clone());
                    self.before_remove(&Confinement::new(settings, environment, folders)).await;
                }
                self.workspaces.release(one);
            }
        }
    }

    /// Removes the folder of a run.
    pub async fn clear(&self, folder: PathBuf) {
        remove_all(vec![folder]).await;
    }

    /// Removes workspaces whose time is over; at the start whatever is of an earlier process: workspaces that no run has
    /// ended, programs that go on in them, locks of git.
    pub async fn tidy(&self, when: Tidy) {
        let all = match when {
            Tidy::AtStart => {
                self.workspaces.recover().await;
                true
            }
            Tidy::Between { going } => {
                self.release(&going).await;
                false
            }
        };
        let keep = self.settings.keep.unwrap_or(Duration::ZERO);
        remove_all(self.workspaces.old(keep, all)).await;
    }
}

async fn remove_all(folders: Vec<PathBuf>) {
    let removed = tokio::task::spawn_blocking(move || {
        for folder in folders {
            if let Err(error) = remove(&folder) {
                tracing::warn!("`{}` could not be removed: {error}", folder.display());
            }
        }
    });
    if let Err(error) = removed.await {
        tracing::warn!("workspaces could not be removed: {error}");
    }
}

fn humanly(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        mebibytes => format!("{mebibytes} MiB"),
    }
}
