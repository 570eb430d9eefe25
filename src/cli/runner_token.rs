//! `runner token`: a new token, and what the service has to know of it.

use clap::Args;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Failure, show};
use crate::setting::is_name;

/// Make a token for a runner and print it once, with the lines for the service's configuration
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage runner token builder --agent coder\n\nThe token is kept nowhere. The service is told its SHA-256 only."
)]
pub(super) struct Token {
    /// The name of the runner
    #[arg(value_parser = name)]
    name: String,
    /// An agent that it may run; may be given several times
    #[arg(short, long = "agent", value_name = "ID", value_parser = name, default_value = "coder")]
    agents: Vec<String>,
    /// Print one JSON object
    #[arg(short, long)]
    json: bool,
}

impl Token {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { name, agents, json } = self;
        // 244 random bits.
        let token = format!("gtr_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let token_sha256 = hex::encode(Sha256::digest(&token));
        let listed: Vec<_> = agents.iter().map(|agent| format!("\"{agent}\"")).collect();
        let listed = listed.join(", ");
        let text = format!(
            "The token of `{name}`, which is shown only now; put it into the runner's `--token-file`:\n\n{token}\n\nFor the configuration of the service:\n\n[[runner]]\nname = \"{name}\"\ntoken_sha256 = \"{token_sha256}\"\nagents = [{listed}]"
        );
        let value =
            json!({ "name": name, "token": token, "token_sha256": token_sha256, "agents": agents });
        show(json, &value, &text)
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    is_name(text).then(|| text.to_owned()).ok_or("write letters, digits, `-`, `_` and `.` only")
}
