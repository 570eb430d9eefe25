//! `inbox`: deliveries, how they ended, and another chance for the dead ones.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use clap::{Args, Subcommand};
use secrecy::SecretString;

use super::{Failure, block_on, load, open_store, print, print_json};
use crate::clock::Clock;
use crate::delivery::DeliveryId;
use crate::gitea::Recording;
use crate::store::{DeliveryState, DeliveryView, Filter, Store};

/// Look at deliveries, and give dead ones another chance
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage inbox list --state dead\n  gitea-triage inbox show 060a98c2-4462-416d-82bf-493fd115ad41\n  gitea-triage inbox export --state dead reports\n  gitea-triage inbox retry --all"
)]
pub(super) struct Inbox {
    #[command(subcommand)]
    command: InboxCommand,
}

#[derive(Debug, Subcommand)]
enum InboxCommand {
    /// Deliveries, newest first
    List {
        /// Only those in this state: received, pending, claimed, done, ignored or dead
        #[arg(long)]
        state: Option<DeliveryState>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// One line of JSON for each
        #[arg(long)]
        json: bool,
    },
    /// One delivery, with its body
    Show {
        /// The delivery's id
        id: String,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Write deliveries as `.http` files that `replay` reads, newest first
    Export(Export),
    /// Give dead deliveries another chance
    Retry {
        /// The deliveries' ids
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// All that are dead
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// One line of JSON for each
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Export {
    /// The folder to write to; made when it is not there
    folder: PathBuf,
    /// Only those in this state: received, pending, claimed, done, ignored or dead
    #[arg(long)]
    state: Option<DeliveryState>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// What to sign them with; the default is what `replay` expects
    #[arg(long, default_value = "fixture-secret", hide_default_value = true)]
    secret: SecretString,
    /// One line of JSON for each
    #[arg(long)]
    json: bool,
}

impl Inbox {
    pub(super) fn run(self, config: Option<PathBuf>) -> Result<ExitCode, Failure> {
        let store = open_store(&load(config)?)?;
        block_on(async {
            match self.command {
                InboxCommand::List { state, limit, json } => {
                    list(&store, Filter { state, limit }, json).await
                }
                InboxCommand::Show { id, json } => show(&store, &id, json).await,
                InboxCommand::Export(export) => export.run(&store).await,
                InboxCommand::Retry { ids, all, json } => retry(&store, ids, all, json).await,
            }
        })?
    }
}

async fn list(store: &Store, filter: Filter, json: bool) -> Result<ExitCode, Failure> {
    for delivery in store.deliveries(filter).await? {
        if json {
            print_json(&delivery)?;
        } else {
            print(&line(&delivery))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(delivery: &DeliveryView) -> String {
    let at = delivery.received_at.format("%Y-%m-%d %H:%M:%S");
    let issue = delivery.issue.as_deref().unwrap_or("-");
    let reason = delivery.reason.as_deref().unwrap_or_default();
    let text = format!(
        "{at}  {:<8}  {}  {:<24} {issue}  {reason}",
        delivery.state.as_str(),
        delivery.id,
        delivery.action
    );
    text.trim_end().to_owned()
}

fn id(text: &str) -> Result<DeliveryId, Failure> {
    let wrong = || {
        Failure::Usage(format!("`{text}` is no delivery id; `gitea-triage inbox list` shows them"))
    };
    DeliveryId::parse(text).ok_or_else(wrong)
}

async fn show(store: &Store, text: &str, json: bool) -> Result<ExitCode, Failure> {
    let delivery = store.delivery(&id(text)?).await?;
    let delivery = delivery.ok_or_else(|| anyhow!("there is no delivery `{text}`"))?;
    let body = store.body(delivery.seq).await?;
    let body = body.map(|b| String::from_utf8_lossy(&b).into_owned());
    if json {
        let mut value = serde_json::to_value(&delivery)?;
        value["body"] = body.into();
        print_json(&value)?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&line(&delivery))?;
    if delivery.repeats > 0 {
        print(&format!("came again {} times; nothing was done again", delivery.repeats))?;
    }
    print(&format!("\n{}", body.as_deref().unwrap_or("(no body is kept for it)")))?;
    Ok(ExitCode::SUCCESS)
}

async fn retry(
    store: &Store,
    ids: Vec<String>,
    all: bool,
    json: bool,
) -> Result<ExitCode, Failure> {
    let ids = if all {
        let dead = Filter { state: Some(DeliveryState::Dead), limit: u32::MAX };
        store.deliveries(dead).await?.into_iter().map(|d| d.id).collect()
    } else {
        ids
    };
    let mut missed = false;
    for text in ids {
        let revived = store.revive(&id(&text)?, Clock::System.now()).await?;
        missed |= !revived;
        if json {
            print_json(&serde_json::json!({ "id": text, "retried": revived }))?;
        } else if revived {
            print(&format!("{text} will be tried again"))?;
        } else {
            print(&format!("{text} is not dead, or nothing of it is kept; nothing was done"))?;
        }
    }
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Export {
    async fn run(self, store: &Store) -> Result<ExitCode, Failure> {
        let folder = self.folder.display().to_string();
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("the folder `{folder}` cannot be made"))?;
        let (mut written, mut gone) = (0_u32, 0_u32);
        let filter = Filter { state: self.state, limit: self.limit };
        for delivery in store.deliveries(filter).await? {
            match store.body(delivery.seq).await? {
                Some(body) => {
                    self.write(&delivery, body.into())?;
                    written += 1;
                }
                None => gone += 1,
            }
        }
        if !self.json {
            let gone =
                if gone == 0 { String::new() } else { format!("; of {gone} no body is kept") };
            print(&format!("{written} written to `{folder}`{gone}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The headers it came with are not kept, but for its id; what kind of event it is stands in its body.
    fn write(&self, delivery: &DeliveryView, body: Bytes) -> Result<(), Failure> {
        let event = delivery.action.split('/').next().unwrap_or_default();
        let recording = Recording::signed(&delivery.id, event, body, &self.secret);
        let recording = recording.ok_or_else(|| {
            Failure::Usage("`--secret` is empty; give the one to sign with".into())
        })?;
        let path =
            self.folder.join(format!("{:08}-{}.http", delivery.seq, file_name(&delivery.id)));
        let mut file = std::fs::File::create_new(&path)
            .with_context(|| format!("`{}` cannot be written", path.display()))?;
        file.write_all(&recording.to_bytes())?;
        if self.json {
            print_json(&serde_json::json!({ "delivery": delivery.id, "file": path }))?;
        }
        Ok(())
    }
}

/// An id may be anything a sender wrote.
fn file_name(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}
