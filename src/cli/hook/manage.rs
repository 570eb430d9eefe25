//! The verbs that make, mend, replace and remove, and the one that only looks.

use std::process::ExitCode;

use anyhow::anyhow;

use super::{Deed, Writing, keeper, places, tell_failure};
use crate::cli::{Failure, print, print_json};
use crate::clock::Clock;
use crate::config::Config;
use crate::gitea::HookPlace;
use crate::hooks::{Error, Keeper, Report, Status, argument};

pub(super) async fn write(
    config: &Config,
    writing: Writing,
    deed: Deed,
) -> Result<ExitCode, Failure> {
    let is_removal = matches!(deed, Deed::Remove);
    let places = places(config, &writing.common, is_removal).await?;
    let keeper = keeper(config, &writing).await?;
    let mut code = ExitCode::SUCCESS;
    let mut was_held_back = false;
    for place in &places {
        match act(&keeper, place, &deed).await {
            Ok(report) => {
                was_held_back |= report.dry_run;
                if report.status == Status::Blocked {
                    code = ExitCode::FAILURE;
                }
                show(&report, writing.common.json)?;
            }
            Err(error) => code = tell_failure(place, error.into(), writing.common.json)?,
        }
    }
    if was_held_back && !writing.dry_run {
        return Err(anyhow!(
            "nothing was written: `triage.dry_run` is on; turn it off, or for this once say \
             `GITEA_TRIAGE__TRIAGE__DRY_RUN=false gitea-triage hook …`"
        )
        .into());
    }
    Ok(code)
}

async fn act(keeper: &Keeper, place: &HookPlace, deed: &Deed) -> Result<Report, Error> {
    let now = Clock::System.now();
    match deed {
        Deed::Install => keeper.install(place, now).await,
        Deed::Sync { from } => keeper.sync(place, from.as_deref()).await,
        Deed::Rotate => keeper.rotate(place, now).await,
        Deed::Remove => keeper.remove(place).await,
        Deed::Look => keeper.look(place).await,
    }
}

fn show(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(report);
    }
    let hook = report.hook.map(|id| format!("hook {id}")).unwrap_or_default();
    let notes = report.notes.join("; ");
    let line = format!("{:<32} {:<16} {hook:<9} {notes}", report.place.to_string(), word(report));
    print(line.trim_end())?;
    for other in &report.overlaps {
        print(&format!(
            "  hook {} of {} sends here too, so every event comes more than once; {}",
            other.hook,
            other.place,
            cure(report, &other.place)
        ))?;
    }
    Ok(())
}

fn cure(report: &Report, other: &HookPlace) -> String {
    if *other == report.place {
        return format!("`gitea-triage hook rotate {}` leaves one", argument(other));
    }
    format!("`gitea-triage hook remove {}` leaves the other", argument(&report.place))
}

fn word(report: &Report) -> &'static str {
    match (report.status, report.dry_run) {
        (Status::Installed, true) => "to be installed",
        (Status::Updated, true) => "to be updated",
        (Status::Rotated, true) => "to be rotated",
        (Status::Removed, true) => "to be removed",
        (Status::Installed, false) => "installed",
        (Status::Updated, false) => "updated",
        (Status::Rotated, false) => "rotated",
        (Status::Removed, false) => "removed",
        (Status::Unchanged, _) => "in order",
        (Status::Differs, _) => "not in order",
        (Status::Covered, _) => "by organisation",
        (Status::Absent, _) => "none",
        (Status::Blocked, _) => "left as it is",
    }
}
