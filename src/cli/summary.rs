//! `summary`: prints the summary of a day, or posts it.

use anyhow::anyhow;
use chrono::NaiveDate;
use clap::Args;
use serde_json::json;

use super::{Failure, check_repo, complain, fail_unless, open_store, show};
use crate::clock::Clock;
use crate::config::Config;
use crate::gitea as forge;
use crate::issue::RepoName;
use crate::service::Base;
use crate::store::SummaryDay;
use crate::summary::{By, Error, Outcome, Summaries, title};

/// Print the daily summary, or post it now
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage summary\n  gitea-triage summary --date 2026-03-23 --repo acme/widgets\n  gitea-triage summary --post\n\nPosting can be repeated, also beside a running service: a repository gets one summary a day."
)]
pub(super) struct Summary {
    /// Print the summary as Markdown; this is what is done without `--post`
    #[arg(long, conflicts_with = "post")]
    print: bool,
    /// Post the summary, unless it exists already
    #[arg(long)]
    post: bool,
    /// The day, as 2026-03-23 [default: today in `summary.timezone`]
    #[arg(short, long, value_name = "YYYY-MM-DD")]
    date: Option<NaiveDate>,
    /// Only this repository
    #[arg(short, long, value_name = "OWNER/NAME")]
    repo: Option<RepoName>,
    /// Print one line of JSON for each repository
    #[arg(short, long)]
    json: bool,
}

impl Summary {
    pub(super) async fn run(self, config: &Config) -> Result<(), Failure> {
        let base = Base::new(config, open_store(config)?, Clock::System)?;
        let summaries = &base.summaries();
        let day = self.date.unwrap_or_else(|| summaries.today());
        let repos = match &self.repo {
            Some(repo) => {
                check_repo(config, repo)?;
                vec![repo.clone()]
            }
            None => summaries.repos().await?,
        };
        let mut is_fine = true;
        for repo in repos {
            let of = SummaryDay { repo, day };
            match self.one(&of, &base, summaries).await {
                Ok(()) => {}
                Err(Failure::Failed(error)) if self.repo.is_none() => {
                    // The other repositories still get theirs.
                    complain(&format!("`{}`: {error:#}", of.repo));
                    is_fine = false;
                }
                Err(failure) => return Err(failure),
            }
        }
        fail_unless(is_fine)
    }

    async fn one(
        &self,
        of: &SummaryDay,
        base: &Base<'_>,
        summaries: &Summaries,
    ) -> Result<(), Failure> {
        if self.post {
            return report(of, summaries.post(of, By::Hand).await.map_err(failure)?, self.json);
        }
        is_there(&of.repo, &base.forge).await?;
        let written = summaries.write(of).await.map_err(failure)?;
        let value = json!({
            "repo": of.repo, "day": of.day, "title": written.title, "until": written.until,
            "body": written.body,
        });
        show(self.json, &value, &format!("# {} · {}\n\n{}", of.repo, written.title, written.body))
    }
}

/// A summary of nothing looks like one of a quiet repository. A forge that cannot be asked hides no ledger.
async fn is_there(repo: &RepoName, forge: &forge::Client) -> Result<(), Failure> {
    match forge.repository(repo).await {
        Err(error) if error.status() == Some(404) => Err(anyhow!(
            "there is no repository `{repo}`, or the service's account may not see it; correct the name, or give the account access"
        )
        .into()),
        Err(error @ forge::Error::Moved { .. }) => Err(anyhow::Error::from(error).into()),
        _ => Ok(()),
    }
}

/// A day in the future is a mistake in the arguments.
fn failure(error: Error) -> Failure {
    match error {
        Error::Future(_) => Failure::Usage(error.to_string()),
        error => Failure::Failed(error.into()),
    }
}

fn report(of: &SummaryDay, outcome: Outcome, json: bool) -> Result<(), Failure> {
    let (state, number, text) = match outcome {
        Outcome::Opened(number) => ("posted", Some(number), format!("posted as #{number}")),
        Outcome::There(number) => ("there", Some(number), format!("exists already as #{number}")),
        Outcome::Withheld { .. } => {
            ("dry_run", None, "not posted: `triage.dry_run` is on".to_owned())
        }
        Outcome::NotBefore(at) => {
            let (who, at) = ("another process is posting it", at.format("%H:%M:%S UTC"));
            ("busy", None, format!("not posted: {who} until {at}; try again then"))
        }
        Outcome::GivenUp => ("failed", None, "not posted: it failed today; see the log".to_owned()),
    };
    let (repo, title) = (&of.repo, title(of.day));
    let value = json!({
        "repo": repo, "day": of.day, "title": title, "status": state, "number": number,
    });
    show(json, &value, &format!("{repo}: {title}: {text}"))?;
    match outcome {
        Outcome::NotBefore(_) | Outcome::GivenUp => {
            Err(anyhow::anyhow!("the summary of {} was not posted", of.day).into())
        }
        _ => Ok(()),
    }
}
