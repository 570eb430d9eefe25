//! `summary`: a day's summary, printed, or posted by hand beside a running service.

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::NaiveDate;
use clap::Args;
use serde_json::json;

use super::{Failure, block_on, load, open_store, print, print_json};
use crate::clock::Clock;
use crate::config::Config;
use crate::issue::RepoName;
use crate::service;
use crate::store::SummaryDay;
use crate::summary::{By, Error, Outcome, Summaries, title};

/// Print the daily summary, or post it at once
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage summary --print\n  gitea-triage summary --print --date 2026-03-23 --repo acme/widgets\n  gitea-triage summary --post\n\nPosting is safe to repeat, and beside a running service: a repository gets one summary a day."
)]
pub(super) struct Summary {
    /// Print it as Markdown; nothing is written anywhere
    #[arg(long, required_unless_present = "post", conflicts_with = "post")]
    print: bool,
    /// Post it, unless it is there already
    #[arg(long)]
    post: bool,
    /// The day, as 2026-03-23 [default: today in `summary.timezone`]
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<NaiveDate>,
    /// Only this repository
    #[arg(long, value_name = "OWNER/NAME")]
    repo: Option<RepoName>,
    /// One line of JSON for each repository
    #[arg(long)]
    json: bool,
}

impl Summary {
    pub(super) fn run(self, config: Option<PathBuf>) -> Result<ExitCode, Failure> {
        let config = load(config)?;
        let (store, forge) = (open_store(&config)?, service::forge(&config)?);
        let summaries = service::summaries(&config, &store, &forge, &Clock::System);
        block_on(self.all(&config, &summaries))?
    }

    async fn all(&self, config: &Config, summaries: &Summaries) -> Result<ExitCode, Failure> {
        let day = self.date.unwrap_or_else(|| summaries.today());
        let repos = match &self.repo {
            Some(repo) if !config.gitea.repos.allows(repo) => {
                let text = format!("`{repo}` is not among `gitea.repos`; add it there");
                return Err(Failure::Usage(text));
            }
            Some(repo) => vec![repo.clone()],
            None => summaries.repos().await?,
        };
        let mut code = ExitCode::SUCCESS;
        for repo in repos {
            let of = SummaryDay { repo, day };
            match self.one(&of, summaries).await {
                Ok(()) => {}
                Err(Failure::Failed(error)) if self.repo.is_none() => {
                    // The others still get theirs.
                    code = super::say(&format!("`{}`: {error:#}", of.repo), 1);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(code)
    }

    async fn one(&self, of: &SummaryDay, summaries: &Summaries) -> Result<(), Failure> {
        if self.post {
            return tell(of, summaries.post(of, By::Hand).await.map_err(failure)?, self.json);
        }
        let written = summaries.write(of).await.map_err(failure)?;
        if self.json {
            return print_json(&json!({
                "repo": of.repo, "day": of.day, "title": written.title, "until": written.until,
                "body": written.body,
            }));
        }
        print(&format!("# {} · {}\n\n{}", of.repo, written.title, written.body))
    }
}

/// A day that is to come is a slip of the command line.
fn failure(error: Error) -> Failure {
    match error {
        Error::Future(_) => Failure::Usage(error.to_string()),
        error => Failure::Failed(error.into()),
    }
}

fn tell(of: &SummaryDay, outcome: Outcome, json: bool) -> Result<(), Failure> {
    let (state, number, text) = match outcome {
        Outcome::Opened(number) => ("posted", Some(number), format!("posted as #{number}")),
        Outcome::There(number) => ("there", Some(number), format!("there already, as #{number}")),
        Outcome::Withheld { .. } => {
            ("dry_run", None, "not posted: `triage.dry_run` is on".to_owned())
        }
        Outcome::NotBefore(at) => {
            let at = at.format("%H:%M:%S UTC");
            ("busy", None, format!("not posted: it is in other hands until {at}; see again then"))
        }
        Outcome::GivenUp => ("failed", None, "not posted: it failed today; see the log".to_owned()),
    };
    if json {
        print_json(&json!({
            "repo": of.repo, "day": of.day, "title": title(of.day), "status": state, "number": number,
        }))?;
    } else {
        print(&format!("{}: {}: {text}", of.repo, title(of.day)))?;
    }
    match outcome {
        Outcome::NotBefore(_) | Outcome::GivenUp => {
            Err(anyhow::anyhow!("the summary of {} was not posted", of.day).into())
        }
        _ => Ok(()),
    }
}
