//! What the commands of `hook` say about one place.

use serde_json::json;

use super::{Failure, complain, print, print_json};
use crate::gitea::HookPlace;
use crate::hooks::{Overlap, Report, Status, argument};

/// Reports one place that failed; the others are still processed.
pub(super) fn report_failure(
    place: &HookPlace,
    error: anyhow::Error,
    json: bool,
) -> Result<(), Failure> {
    let error = format!("{error:#}");
    complain(&error);
    if json {
        print_json(&json!({ "place": place, "status": "failed", "error": error }))?;
    }
    Ok(())
}

/// Shows what became of the webhooks of a place.
pub(super) fn show_report(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(report);
    }
    let hook = report.hook.map(|id| format!("hook {id}")).unwrap_or_default();
    let notes = report.notes.join("; ");
    let line = format!("{:<32} {:<16} {hook:<9} {notes}", report.place.to_string(), word(report));
    print(line.trim_end())?;
    show_overlaps(report)
}

/// What sends the same events once more.
pub(super) fn show_overlaps(report: &Report) -> Result<(), Failure> {
    for Overlap { hook, place } in &report.overlaps {
        let remedy = if *place == report.place {
            format!("`gitea-triage hook rotate {}` leaves one", argument(place))
        } else {
            format!("`gitea-triage hook remove {}` leaves the other", argument(&report.place))
        };
        let why = "sends here too, so every event arrives more than once";
        print(&format!("  hook {hook} of {place} {why}; {remedy}"))?;
    }
    Ok(())
}

fn word(report: &Report) -> String {
    let done = match report.status {
        Status::Installed => "installed",
        Status::Updated => "updated",
        Status::Rotated => "rotated",
        Status::Removed => "removed",
        Status::Unchanged => return "correct".to_owned(),
        Status::Differs => return "incorrect".to_owned(),
        Status::Covered => return "by organisation".to_owned(),
        Status::Absent => return "none".to_owned(),
        Status::Blocked => return "not changed".to_owned(),
    };
    if report.dry_run { format!("to be {done}") } else { done.to_owned() }
}
