//! `inbox`: lists, shows, exports and retries deliveries.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::json;

use super::table::Table;
use super::terminal::{GREEN, Piece, RED, YELLOW};
use super::{Failure, fail_unless, one_of, print, print_json, show as output};
use crate::clock::Clock;
use crate::delivery::DeliveryId;
use crate::gitea::Recording;
use crate::store::{DeliveryState, DeliveryView, Filter, Store};

/// List deliveries, and retry failed ones
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
    /// List deliveries, newest first
    #[command(
        after_help = "Examples:\n  gitea-triage inbox list\n  gitea-triage inbox list --state dead --limit 5\n  gitea-triage inbox list --json | jq -r 'select(.attempts > 1) | .issue'"
    )]
    List {
        /// Only deliveries in this state
        #[arg(short, long, value_parser = one_of::<DeliveryState>(DeliveryState::NAMES))]
        state: Option<DeliveryState>,
        /// At most this many
        #[arg(short, long, default_value_t = 50)]
        limit: u32,
        /// Print one line of JSON for each
        #[arg(short, long)]
        json: bool,
    },
    /// Show one delivery with its body
    #[command(
        after_help = "Examples:\n  gitea-triage inbox show 060a98c2-4462-416d-82bf-493fd115ad41\n  gitea-triage inbox show 060a98c2-4462-416d-82bf-493fd115ad41 --json | jq .body"
    )]
    Show {
        /// The delivery's id
        id: String,
        /// Print one JSON object
        #[arg(short, long)]
        json: bool,
    },
    /// Write deliveries as `.http` files that `replay` reads, newest first
    Export(Export),
    /// Retry deliveries in state `dead`
    #[command(
        after_help = "Examples:\n  gitea-triage inbox retry 060a98c2-4462-416d-82bf-493fd115ad41\n  gitea-triage inbox retry --all"
    )]
    Retry {
        /// The deliveries' ids
        #[arg(required_unless_present = "all")]
        ids: Vec<String>,
        /// Retry all that are dead
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Print one line of JSON for each
        #[arg(short, long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage inbox export reports\n  gitea-triage inbox export --state dead --limit 1 reports\n\nA file that exists is not overwritten."
)]
struct Export {
    /// The folder to write to; created when missing
    folder: PathBuf,
    /// Only deliveries in this state
    #[arg(short, long, value_parser = one_of::<DeliveryState>(DeliveryState::NAMES))]
    state: Option<DeliveryState>,
    /// At most this many
    #[arg(short, long, default_value_t = 50)]
    limit: u32,
    /// The secret to sign with; the default is the one that `replay` expects
    #[arg(long, default_value = "fixture-secret", hide_default_value = true)]
    secret: SecretString,
    /// Print one line of JSON for each
    #[arg(short, long)]
    json: bool,
}

impl Inbox {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        match self.command {
            InboxCommand::List { state, limit, json } => {
                list(store, Filter { state, limit }, json).await
            }
            InboxCommand::Show { id, json } => show(store, &id, json).await,
            InboxCommand::Export(export) => export.run(store).await,
            InboxCommand::Retry { ids, all, json } => retry(store, ids, all, json).await,
        }
    }
}

async fn list(store: &Store, filter: Filter, json: bool) -> Result<(), Failure> {
    let head = ["RECEIVED", "STATE", "DELIVERY", "ACTION", "ISSUE"];
    let mut table = Table::new(&head, &["STATE", "DELIVERY"]);
    for delivery in store.deliveries(filter).await? {
        if json {
            print_json(&delivery)?;
            continue;
        }
        let DeliveryView { id, action, issue, state, reason, received_at, .. } = delivery;
        let at = received_at.format("%Y-%m-%d %H:%M:%S").to_string();
        let issue = issue.unwrap_or_else(|| "-".to_owned());
        let cells = [at, state.to_string(), id, action, issue].map(Piece::plain);
        let mut row: Vec<_> = cells.into();
        row[1].colour = colour(state);
        table.row(row, reason.as_deref().unwrap_or_default());
    }
    Ok(table.print()?)
}

fn colour(state: DeliveryState) -> Option<u8> {
    match state {
        DeliveryState::Done => Some(GREEN),
        DeliveryState::Dead => Some(RED),
        DeliveryState::Received | DeliveryState::Pending | DeliveryState::Claimed => Some(YELLOW),
        DeliveryState::Ignored => None,
    }
}

fn line(delivery: &DeliveryView) -> String {
    let at = delivery.received_at.format("%Y-%m-%d %H:%M:%S");
    let issue = delivery.issue.as_deref().unwrap_or("-");
    let reason = delivery.reason.as_deref().unwrap_or_default();
    let (state, id, action) = (delivery.state.as_str(), &delivery.id, &delivery.action);
    let text = format!("{at}  {state:<8}  {id}  {action:<24} {issue}  {reason}");
    text.trim_end().to_owned()
}

fn id(text: &str) -> Result<DeliveryId, Failure> {
    let wrong =
        || format!("`{text}` is not a delivery id; `gitea-triage inbox list` shows the ids");
    DeliveryId::parse(text).ok_or_else(|| Failure::Usage(wrong()))
}

async fn show(store: &Store, text: &str, json: bool) -> Result<(), Failure> {
    let delivery = store.delivery(&id(text)?).await?;
    let delivery = delivery.ok_or_else(|| anyhow!("there is no delivery `{text}`"))?;
    let body = store.body(delivery.seq).await?;
    let body = body.map(|b| String::from_utf8_lossy(&b).into_owned());
    if json {
        let mut value = serde_json::to_value(&delivery)?;
        value["body"] = body.into();
        return print_json(&value);
    }
    print(&line(&delivery))?;
    if delivery.repeats > 0 {
        print(&format!("repeated {} times; answered as a duplicate", delivery.repeats))?;
    }
    print(&format!("\n{}", body.as_deref().unwrap_or("(the body was removed)")))
}

async fn retry(store: &Store, mut ids: Vec<String>, all: bool, json: bool) -> Result<(), Failure> {
    if all {
        let dead = Filter { state: Some(DeliveryState::Dead), limit: u32::MAX };
        ids = store.deliveries(dead).await?.into_iter().map(|d| d.id).collect();
    }
    let mut missed = false;
    for text in ids {
        let revived = store.revive(&id(&text)?, Clock::System.now()).await?;
        missed |= !revived;
        let said = match revived {
            true => "will be retried",
            false => "is not dead, or its body was removed; nothing was done",
        };
        let value = json!({ "id": text, "retried": revived });
        output(json, &value, &format!("{text} {said}"))?;
    }
    fail_unless(!missed)
}

impl Export {
    async fn run(self, store: &Store) -> Result<(), Failure> {
        let folder = self.folder.display().to_string();
        // What people wrote in private repositories stands there.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.with_context(|| format!("the folder `{folder}` cannot be created"))?;
        let (mut written, mut gone) = (0_u32, 0_u32);
        let filter = Filter { state: self.state, limit: self.limit };
        for delivery in store.deliveries(filter).await? {
            let Some(body) = store.body(delivery.seq).await? else {
                gone += 1;
                continue;
            };
            self.write(&delivery, body.into())?;
            written += 1;
        }
        if self.json {
            return Ok(());
        }
        let gone =
            if gone == 0 { String::new() } else { format!("; {gone} without a body skipped") };
        print(&format!("{written} written to `{folder}`{gone}"))
    }

    /// Of the headers only the id is stored; the event is derived from the body.
    fn write(&self, delivery: &DeliveryView, body: Bytes) -> Result<(), Failure> {
        let event = delivery.action.split('/').next().unwrap_or_default();
        let recording = Recording::signed(&delivery.id, event, body, &self.secret);
        let recording = recording.ok_or_else(|| {
            Failure::Usage("`--secret` is empty; give the secret to sign with".into())
        })?;
        // An id may be any text that a sender wrote.
        let name = delivery.id.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
        let path = self.folder.join(format!("{:08}-{name}.http", delivery.seq));
        let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = file.with_context(|| format!("`{}` cannot be written", path.display()))?;
        file.write_all(&recording.to_bytes())?;
        if self.json {
            print_json(&json!({ "delivery": delivery.id, "file": path }))?;
        }
        Ok(())
    }
}
