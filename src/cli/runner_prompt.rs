//! `runner prompt`: what an agent would be told about an issue.

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::{Failure, check_repo, share_or_empty, show};
use crate::clock::Clock;
use crate::config::Config;
use crate::issue::IssueRef;
use crate::service::Base;

/// Print what an agent would be told about an issue; nothing is kept
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage runner prompt acme/widgets#12\n\nThe text is made of the template `runs.prompt_file`, or of the built-in one."
)]
pub(super) struct PromptCommand {
    /// The issue, as `owner/repo#N`
    issue: IssueRef,
    /// Print one JSON object
    #[arg(short, long)]
    json: bool,
}

impl PromptCommand {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        check_repo(config, &self.issue.repo)?;
        let (store, _folder) = share_or_empty(config, true)?;
        let base = Base::new(config, store, Clock::System)?;
        let prompt = base.prompt(&self.issue).await;
        base.store.close().await?;
        let prompt = prompt?.ok_or_else(|| anyhow!("there is no issue `{}`", self.issue))?;
        show(self.json, &json!({ "issue": self.issue, "prompt": prompt }), prompt.trim_end())
    }
}
