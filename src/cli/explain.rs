//! `explain`: the history of one issue from the ledger.

use std::fmt::Write as _;

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::{Failure, show};
use crate::dispatch::Dispatch;
use crate::issue::IssueRef;
use crate::store::{DutyView, EvaluationView, History, OrderView, Store, TransitionView};
use crate::triage::{Approval, explain};

/// Show what was decided about an issue, what was written, and why
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gitea-triage explain acme/widgets#12\n  gitea-triage explain acme/widgets#12 --json"
)]
pub(super) struct Explain {
    /// The issue, as `owner/repo#N`
    issue: IssueRef,
    /// Print one JSON object
    #[arg(short, long)]
    json: bool,
}

impl Explain {
    pub(super) async fn run(self, store: &Store) -> Result<(), Failure> {
        let history = store.history(self.issue.clone()).await?;
        let unknown = || anyhow!("`{}` is unknown; no delivery has named it", self.issue);
        let history = history.ok_or_else(unknown)?;
        show(self.json, &as_json(&self.issue, &history), &as_text(&self.issue, &history))
    }
}

fn as_json(at: &IssueRef, history: &History) -> serde_json::Value {
    let dispatches: Vec<_> = history
        .dispatches
        .iter()
        .zip(&history.transitions)
        .map(|(d, transitions)| {
            json!({
                "id": d.id, "agent": d.agent, "task_type": d.task_type, "state": d.state,
                "opened_at": d.opened_at, "deadline_at": d.deadline_at, "by_person": d.by_person,
                "transitions": transitions,
            })
        })
        .collect();
    json!({
        "issue": at.to_string(),
        "evaluations": history.evaluations,
        "dispatches": dispatches,
        "commands": history.orders,
        "approval": history.approval,
        "duties": history.duties,
        "pending": history.pending,
    })
}

fn as_text(at: &IssueRef, history: &History) -> String {
    let mut text = format!("{at}\n");
    for evaluation in &history.evaluations {
        let _ = write!(text, "\n{}", evaluation_text(evaluation));
    }
    for (dispatch, transitions) in history.dispatches.iter().zip(&history.transitions) {
        let _ = write!(text, "\n{}", dispatch_text(dispatch, transitions));
    }
    for order in history.orders.iter().rev() {
        let _ = write!(text, "\n{}", order_text(order));
    }
    text.extend(history.approval.iter().map(approval_text));
    for duty in &history.duties {
        let _ = write!(text, "\n{}", duty_text(duty));
    }
    for delivery in &history.pending {
        let _ = writeln!(text, "\npending: {} ({})", delivery.action, delivery.id);
        if let Some(reason) = &delivery.reason {
            let _ = writeln!(text, "  {reason}");
        }
    }
    text.trim_end().to_owned()
}

/// Whom a rotation asked, and why.
fn duty_text(duty: &DutyView) -> String {
    let at = duty.at.format("%Y-%m-%d %H:%M:%S UTC");
    let login = duty.login.as_deref().unwrap_or("the owner");
    let ended = duty.ended_at.map(|at| at.format(", until %Y-%m-%d %H:%M:%S UTC").to_string());
    format!("{at}  asked {login}: {}{}\n", duty.why, ended.unwrap_or_default())
}

/// A command, and how far it has come.
fn order_text(order: &OrderView) -> String {
    let (at, state) = (order.at.format("%Y-%m-%d %H:%M:%S UTC"), order.state.as_str());
    let why = order.why.as_ref().map(|why| format!("\n  {why}")).unwrap_or_default();
    format!("{at}  {} by {}: {}{why}\n", order.command, order.by, state.replace('_', " "))
}

/// Who approved the text, how and when, and what was changed since.
fn approval_text(approval: &Approval) -> String {
    let at = approval.at.format("%Y-%m-%d %H:%M:%S UTC");
    let Approval { by, way, digest, edited_by, .. } = approval;
    let digest = if digest.is_empty() { "unknown" } else { digest };
    let edited = edited_by.as_ref().map(|by| format!("\n  changed since by {by}"));
    format!("\n{at}  approved by {by} ({way})\n  text {digest}{}\n", edited.unwrap_or_default())
}

/// The states of a dispatch.
fn dispatch_text(d: &Dispatch, transitions: &[TransitionView]) -> String {
    let mut text =
        format!("dispatch {}: {} for {}, {}", d.id, d.agent, d.task_type, d.state.shown(&d.cause));
    if d.state.is_open() {
        let _ = write!(text, ", due {}", d.deadline_at.format("%Y-%m-%d %H:%M UTC"));
    }
    text.push('\n');
    for one in transitions {
        let at = one.at.format("%Y-%m-%d %H:%M:%S UTC");
        let _ = writeln!(text, "  {at}  {}: {}", one.state, one.cause);
    }
    text
}

fn evaluation_text(evaluation: &EvaluationView) -> String {
    let mut text = format!("{}  caused by", evaluation.at.format("%Y-%m-%d %H:%M:%S UTC"));
    let causes: Vec<_> =
        evaluation.deliveries.iter().map(|d| format!(" {} ({})", d.action, d.id)).collect();
    let _ = writeln!(text, "{}", causes.join(","));
    let signals = evaluation.signals();
    let explained = match evaluation.verdict() {
        Some(verdict) if verdict.decision.reason().to_string() != evaluation.reason => {
            format!("{}\n{}", explain(&verdict, &signals), evaluation.reason)
        }
        Some(verdict) => explain(&verdict, &signals),
        None => format!("{}: {}", evaluation.action, evaluation.reason),
    };
    for line in explained.lines() {
        let _ = writeln!(text, "  {line}");
    }
    for effect in &evaluation.effects {
        let _ = write!(text, "  {} {}: {}", effect.kind, effect.value, effect.state);
        let _ = match effect.detail.as_deref().filter(|_| effect.state != "withheld") {
            Some(detail) => writeln!(text, " ({detail})"),
            None => writeln!(text),
        };
    }
    text
}
