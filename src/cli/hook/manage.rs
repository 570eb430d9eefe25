//! `hook install`, `sync`, `rotate`, `remove` and `list`.

use anyhow::anyhow;

use super::{Operation, Writing, keeper, places, report_failure};
use crate::cli::{Failure, fail_unless, print, print_json};
use crate::clock::Clock;
use crate::config::Config;
use crate::gitea::HookPlace;
use crate::hooks::{Error, Keeper, Report, Status, argument};

pub(super) async fn write(
    config: &Config,
    writing: Writing,
    operation: Operation,
) -> Result<(), Failure> {
    let is_removal = matches!(operation, Operation::Remove);
    let places = places(config, &writing.common, is_removal).await?;
    let keeper = keeper(config, &writing).await?;
    let mut is_fine = true;
    let mut is_withheld = false;
    for place in &places {
        match act(&keeper, place, &operation).await {
            Ok(report) => {
                is_withheld |= report.dry_run;
                is_fine &= report.status != Status::Blocked;
                show(&report, writing.common.json)?;
            }
            Err(error) => {
                is_fine = false;
                report_failure(place, error.into(), writing.common.json)?;
            }
        }
    }
    if is_withheld && !writing.dry_run {
        return Err(anyhow!(
            "nothing was written: `triage.dry_run` is on; turn it off, or for this command only use \
             `GITEA_TRIAGE__TRIAGE__DRY_RUN=false gitea-triage hook …`"
        )
        .into());
    }
    fail_unless(is_fine)
}

async fn act(keeper: &Keeper, place: &HookPlace, operation: &Operation) -> Result<Report, Error> {
    let now = Clock::System.now();
    match operation {
        Operation::Install => keeper.install(place, now).await,
        Operation::Sync { from } => keeper.sync(place, from.as_deref()).await,
        Operation::Rotate => keeper.rotate(place, now).await,
        Operation::Remove => keeper.remove(place).await,
        Operation::List => keeper.inspect(place).await,
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
            "  hook {} of {} sends here too, so every event arrives more than once; {}",
            other.hook,
            other.place,
            remedy(report, &other.place)
        ))?;
    }
    Ok(())
}

fn remedy(report: &Report, other: &HookPlace) -> String {
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
        (Status::Unchanged, _) => "correct",
        (Status::Differs, _) => "incorrect",
        (Status::Covered, _) => "by organisation",
        (Status::Absent, _) => "none",
        (Status::Blocked, _) => "not changed",
    }
}
