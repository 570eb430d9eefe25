//! What is on this machine: configuration, secrets, store, disk.

use std::path::Path;

use chrono::TimeDelta;

use super::Output;
use super::line::{Line, Subject};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::store::{self, OpenMode, Place, Store};
use crate::triage::Authors;

/// How long before the last secret ends it is time to think of the next.
const SOON: TimeDelta = TimeDelta::days(14);
/// Free space below which it is time to act, and below which nothing can be promised.
const LITTLE: u64 = 1 << 30;
const NONE: u64 = 100 << 20;

/// The configuration was read; what of it holds work back.
pub(super) fn configuration(config: &Config, out: Output<'_>) {
    let file = config.file().unwrap_or("the environment");
    let at = Subject::new("configuration", file);
    out(if config.triage.dry_run {
        at.yellow("`triage.dry_run` is on: all is judged, nothing is written")
            .cure("turn it off when the decisions look right")
    } else if config.worker.concurrency == 0 {
        at.yellow("`worker.concurrency` is 0: deliveries are only stored")
            .cure("raise it to have them processed")
    } else {
        at.green("is fine")
    });
}

/// Whether a secret is valid, and stays so.
pub(super) fn secrets(config: &Config, now: Timestamp, out: Output<'_>) {
    let all = &config.webhook.secrets;
    let valid: Vec<_> = all.iter().filter(|s| s.expires.is_none_or(|end| now < end)).collect();
    let at = Subject::new("secrets", "webhook.secrets");
    let last = valid.iter().map(|s| s.expires).max_by_key(|end| end.unwrap_or(Timestamp::MAX_UTC));
    out(match last {
        None => at.red("every one has expired, so that no delivery is taken").cure(
            "add one without `expires`, reload the service, and run `gitea-triage hook rotate`",
        ),
        Some(Some(end)) if end - now < SOON => at
            .yellow(format!("the last one expires on {}", end.format("%Y-%m-%d")))
            .cure("add the next one; `gitea-triage hook rotate --help` has the steps"),
        Some(_) => at.green(format!("{} of {} valid", valid.len(), all.len())),
    });
}

/// What agents of the runner in this process reach.
pub(super) fn runner(config: &Config, out: Output<'_>) {
    let Some(runner) = &config.runs.runner else { return };
    let at = Subject::new("runner", config.runs.embedded.as_deref().unwrap_or_default());
    let bare = runner.agent.iter().find(|agent| agent.is_bare());
    let Some(agent) = bare else {
        return out(at.green("works in this process, every agent in a sandbox or behind `wrap`"));
    };
    let said = format!(
        "agent `{}` works in this process without a sandbox, so that it reaches the files of this service, tokens among them",
        agent.id
    );
    let cure =
        "set `sandbox = \"bubblewrap\"` for it, or let a runner of another account do the work";
    out(match config.triage.authors {
        Authors::Anyone => at
            .red(format!("{said}, and `triage.authors` lets anybody's issue start it"))
            .cure(format!("{cure}, and set `triage.authors = \"approved\"`")),
        _ => at.yellow(said).cure(cure),
    });
}

/// The store, when it can be used.
pub(super) async fn store(place: &Place, queue: usize, out: Output<'_>) -> Option<Store> {
    let at = Subject::new("store", place);
    if let Some(path) = place.file().filter(|path| !path.exists()) {
        out(match tempfile::NamedTempFile::new_in(folder(path)) {
            Ok(_) => at.green("is not there yet; `serve` makes it"),
            Err(error) => unwritable(path, format!("cannot be made: {error}")),
        });
        return None;
    }
    match probed(place, queue).await {
        Ok(store) => {
            out(full(place, &store).await);
            Some(store)
        }
        Err(error) => {
            out(match place.file() {
                Some(path) => unwritable(path, format!("cannot be used: {error}")),
                None => at.red(match error {
                    store::Error::Server { reason, .. } => reason,
                    other => other.to_string(),
                }),
            });
            None
        }
    }
}

async fn probed(place: &Place, queue: usize) -> Result<Store, store::Error> {
    let store = Store::open(place.clone(), queue, OpenMode::Shared)?;
    store.probe().await?;
    Ok(store)
}

fn unwritable(path: &Path, said: String) -> Line {
    Subject::new("store", path.display()).red(said).cure(format!(
        "run this as the service's user, and let that user write `{}` and what is in it",
        folder(path).display()
    ))
}

async fn full(place: &Place, store: &Store) -> Line {
    let at = Subject::new("store", place);
    match store.gauges().await {
        Ok(gauges) if gauges.dead > 0 => at
            .yellow(format!("{} deliveries could not be processed", gauges.dead))
            .cure("`gitea-triage inbox list --state dead` says why, `inbox retry` tries again"),
        Ok(gauges) => {
            let waiting = gauges.received + gauges.pending;
            at.green(format!("can be written; {waiting} deliveries wait"))
        }
        Err(error) => at.red(error),
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether there is room for what arrives.
pub(super) fn disk(database: &Place, out: Output<'_>) {
    let Some(folder) = database.file().map(folder) else { return };
    let at = Subject::new("disk", folder.display());
    let Ok(stat) = rustix::fs::statvfs(folder) else {
        return out(at.red("the folder is not there").cure("make it, or correct `store.url`"));
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let tenths = free / (LITTLE / 10);
    let said = format!("{}.{} GiB free", tenths / 10, tenths % 10);
    let cure = "make room, or shorten `store.keep`; without any, deliveries are answered 503";
    out(match free {
        free if free < NONE => at.red(said).cure(cure),
        free if free < LITTLE => at.yellow(said).cure(cure),
        _ => at.green(said),
    });
}
