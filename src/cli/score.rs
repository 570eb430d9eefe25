//! `score`: scores issues by the policy; writes nothing.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::table::Rows;
use super::{Failure, block_on, load, one_of, policy, share_or_empty, terminal};
use crate::clock::{Clock, Timestamp};
use crate::gitea as forge;
use crate::issue::{Issue, IssueRef, RepoName};
use crate::reason::{Missing, Reason};
use crate::service::Base;
use crate::triage::{
    Action, Answer, Decision, IssueType, Policy, PolicyId, Preset, Triage, Verdict, explain,
};

/// Score issues and show what would be decided
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage score --json issues.jsonl\n  curl -s https://gitea.example.com/api/v1/repos/acme/widgets/issues \\\n      | gitea-triage score -\n  gitea-triage score --explain acme/widgets#12\n  gitea-triage score --preset practical acme/widgets"
)]
pub(super) struct Score {
    /// A JSON file with an issue, an array of issues or one issue a line, as the API returns them; `-` for standard input; `owner/repo#N`; or `owner/repo` for its open issues
    input: String,
    /// Print one line of JSON for each issue
    #[arg(short, long)]
    json: bool,
    /// Show which words gave which points
    #[arg(short, long, conflicts_with = "json")]
    explain: bool,
    /// The time to compute ages for, as in 2026-03-23T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<DateTime<Utc>>,
    /// A TOML file with policy keys, used instead of the configured policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A built-in policy, used instead of the configured policy
    #[arg(long, value_name = "NAME", conflicts_with = "policy", value_parser = one_of::<Preset>(Preset::NAMES))]
    preset: Option<Preset>,
}

/// A verdict in the form of `score --json`.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    number: u64,
    title: &'a str,
    #[serde(rename = "type")]
    issue_type: IssueType,
    tags: &'a std::collections::BTreeSet<String>,
    scope: u8,
    acceptance: u8,
    alignment: u8,
    score: u8,
    ready: bool,
    p0: bool,
    blocked: bool,
    age_days: i64,
    task_type: &'static str,
    decision: DecisionLine<'a>,
    policy: Option<&'a PolicyId>,
    #[serde(flatten)]
    said: Option<Said>,
}

/// What is only known where the issue itself is at hand.
#[derive(Debug, Serialize)]
struct Said {
    acceptance_criteria: Vec<String>,
    missing: Vec<Missing>,
    answer: Option<Answer>,
}

#[derive(Debug, Serialize)]
struct DecisionLine<'a> {
    action: Action,
    agent: Option<&'a str>,
    reason: &'a Reason,
}

impl<'a> Line<'a> {
    /// The line for one issue.
    pub(super) fn new(number: u64, verdict: &'a Verdict) -> Self {
        let score = &verdict.score;
        Self {
            number,
            title: &score.title,
            issue_type: score.issue_type,
            tags: &score.tags,
            scope: score.scope,
            acceptance: score.acceptance,
            alignment: score.alignment,
            score: score.total,
            ready: score.ready,
            p0: score.p0,
            blocked: score.blocked,
            age_days: score.age_days,
            task_type: verdict.task_type.as_str(),
            decision: DecisionLine {
                action: verdict.decision.action(),
                agent: verdict.decision.agent().map(|agent| agent.as_str()),
                reason: verdict.decision.reason(),
            },
            policy: verdict.policy.as_ref(),
            said: None,
        }
    }

    /// The line, with what the issue says besides.
    fn saying(self, triage: &Triage, issue: &Issue, decision: &Decision) -> Self {
        let said = Said {
            acceptance_criteria: triage.criteria(issue),
            missing: triage.missing(issue),
            answer: triage.answer(decision),
        };
        Self { said: Some(said), ..self }
    }
}

impl Score {
    pub(super) fn run(self, config: Option<&Path>) -> Result<(), Failure> {
        let now = self.now.unwrap_or_else(|| Clock::System.now());
        let triage = self.triage(config)?;
        let mut out = terminal::Buffered::new();
        let rows = Rows::new(&[7, 5, 16, 60]);
        if !self.json && !self.explain {
            out.line(&rows.text(&["ISSUE", "SCORE", "DECISION", "REASON"]))?;
        }
        let mut count = 0;
        let mut show = |issue: &Issue, verdict: Verdict| -> Result<(), Failure> {
            count += 1;
            Ok(out.line(&self.line(&triage, issue, &verdict, &rows)?)?)
        };
        match self.place() {
            Some(place) => {
                for (issue, verdict) in fetch(&place, &triage, now, config)? {
                    show(&issue, verdict)?;
                }
            }
            None => self.each(&mut |issue| show(issue, triage.verdict(issue, now)))?,
        }
        out.flush()?;
        if count == 0 {
            return Err(anyhow!("`{}` contains no issue", self.input).into());
        }
        Ok(())
    }

    /// The issue or repository of the forge that the input names; a file of that name goes first.
    fn place(&self) -> Option<Place> {
        let input = Some(&self.input).filter(|input| !Path::new(input).exists())?;
        let issue = input.parse().ok().map(Place::Issue);
        issue.or_else(|| input.parse().ok().map(Place::Repo))
    }

    /// The policy of `--policy`, else the configured one, else the built-in one.
    fn triage(&self, named: Option<&Path>) -> Result<Triage, Failure> {
        let policy = match (&self.policy, self.preset) {
            (None, Some(preset)) => Policy::of(preset),
            (Some(path), _) => {
                let text = std::fs::read_to_string(path).map_err(|e| e.to_string());
                let policy = text.and_then(|text| Policy::read(&text).map_err(|e| e.to_string()));
                policy.map_err(|e| Failure::Usage(format!("policy `{}`: {e}", path.display())))?
            }
            (None, None) => policy(named)?,
        };
        Triage::new(policy).map_err(|e| Failure::Usage(e.to_string()))
    }

    fn line(
        &self,
        triage: &Triage,
        issue: &Issue,
        verdict: &Verdict,
        rows: &Rows,
    ) -> Result<String, Failure> {
        if self.json {
            let line = Line::new(issue.number, verdict);
            return Ok(serde_json::to_string(&line.saying(triage, issue, &verdict.decision))?);
        }
        let (number, title, total) = (issue.number, &issue.title, verdict.score.total);
        if self.explain {
            let text = explain(verdict, &triage.signals(issue));
            return Ok(format!("#{number} {title}\n{text}"));
        }
        let (decision, reason) = (decided(verdict), verdict.decision.reason());
        let (number, total, reason) = (format!("#{number}"), total.to_string(), reason.to_string());
        Ok(rows.text(&[&number, &total, &decision, &reason]))
    }

    /// Calls `show` with each issue of the input.
    fn each(&self, show: &mut dyn FnMut(&Issue) -> Result<(), Failure>) -> Result<(), Failure> {
        let bytes = read(&self.input)?;
        for (index, value) in serde_json::Deserializer::from_slice(&bytes).into_iter().enumerate() {
            let place = format!("value number {} of `{}`", index + 1, self.input);
            let value: Value = value.with_context(|| format!("{place} is not valid JSON"))?;
            let Some(elements) = value.as_array() else {
                show(&issue(&value, &place)?)?;
                continue;
            };
            for (at, element) in elements.iter().enumerate() {
                show(&issue(element, &format!("element {} of {place}", at + 1))?)?;
            }
        }
        Ok(())
    }
}

/// The issue in `value`, which may be the payload of a delivery; `place` is where it stands.
fn issue(value: &Value, place: &str) -> Result<Issue, Failure> {
    let value = value.get("issue").filter(|inner| inner.is_object()).unwrap_or(value);
    let number = value.get("number").filter(|number| number.is_number());
    let named = number.map(|number| format!(" (issue {number})")).unwrap_or_default();
    forge::issue_from_json(value)
        .map_err(|why| anyhow!("{place}{named} is not an issue: {why}").into())
}

/// The decision and its agent, in one column.
pub(super) fn decided(Verdict { decision, .. }: &Verdict) -> String {
    let agent = decision.agent().map(|a| format!(" {a}")).unwrap_or_default();
    format!("{}{agent}", decision.action())
}

fn read(input: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    if input == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes).context("standard input cannot be read")?;
        return Ok(bytes);
    }
    std::fs::read(input).map_err(|e| {
        let cure = "give a file, `-`, `owner/repo` or `owner/repo#N`";
        Failure::Usage(format!("`{input}` cannot be read: {e}; {cure}"))
    })
}

/// What is asked for on the forge.
enum Place {
    Issue(IssueRef),
    /// Its open issues.
    Repo(RepoName),
}

/// Issues of the forge, and what `serve` would decide about each now: by the same questions and, where there is one, the
/// same ledger.
fn fetch(
    place: &Place,
    triage: &Triage,
    now: Timestamp,
    config: Option<&Path>,
) -> Result<Vec<(Issue, Verdict)>, Failure> {
    let mut config = load(config)?;
    config.triage.dry_run = true;
    config.compiled = Some(triage.clone());
    block_on(async {
        let (store, _folder) = share_or_empty(&config, true)?;
        let base = Base::new(&config, store, Clock::System)?;
        match place {
            Place::Repo(repo) => base.preview_open(repo, now).await.map_err(Failure::from),
            Place::Issue(at) => {
                let found = base.preview(at, now).await?;
                let found = found.ok_or_else(|| anyhow!("there is no issue `{at}`"))?;
                Ok(vec![found])
            }
        }
    })
}
