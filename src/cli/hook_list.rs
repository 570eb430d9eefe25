//! `hook list`: every webhook of each place, whoever's it is, and the last delivery of ours that arrived here.

use serde::Serialize;

use super::hook_report::{report_failure, show_overlaps};
use super::table::Table;
use super::terminal::{GREEN, Piece, RED, YELLOW};
use super::{Failure, fail_unless, print_json};
use crate::clock::Timestamp;
use crate::delivery::Origin;
use crate::gitea::HookPlace;
use crate::hooks::{Keeper, Listed, Report, Status};
use crate::store::{DeliveryState, DeliveryView, Filter};

/// How many of the newest deliveries are looked through for the last one of a place.
const LOOKED_THROUGH: u32 = 1000;

/// One place: what `hook list --json` prints.
#[derive(Serialize)]
struct Place {
    #[serde(flatten)]
    report: Report,
    hooks: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    hook: Listed,
    /// The last delivery of it that arrived here; the forge tells none.
    last_delivery: Option<Last>,
}

#[derive(Clone, Serialize)]
struct Last {
    received_at: Timestamp,
    state: DeliveryState,
}

/// Lists the webhooks of the places; one that cannot be read hides no other.
pub(super) async fn list(keeper: &Keeper, places: &[HookPlace], json: bool) -> Result<(), Failure> {
    let filter = Filter { state: None, limit: LOOKED_THROUGH };
    let arrived = match &keeper.memory {
        Some(store) => store.deliveries(filter).await?,
        None => Vec::new(),
    };
    let (mut is_fine, mut listed) = (true, Vec::new());
    for at in places {
        match look(keeper, at, &arrived).await {
            Ok(place) if json => print_json(&place)?,
            Ok(place) => listed.push(place),
            Err(error) => {
                is_fine = false;
                report_failure(at, error.into(), json)?;
            }
        }
    }
    show(&listed)?;
    fail_unless(is_fine)
}

async fn look(
    keeper: &Keeper,
    at: &HookPlace,
    arrived: &[DeliveryView],
) -> Result<Place, crate::hooks::Error> {
    let report = keeper.inspect(at).await?;
    let last = arrived.iter().find(|delivery| is_from(delivery, at));
    let last = last.map(|last| Last { received_at: last.received_at, state: last.state });
    let with_last = |hook: Listed| {
        let last_delivery = last.clone().filter(|_| hook.is_ours);
        Shown { hook, last_delivery }
    };
    let hooks = keeper.listing(at).await?.into_iter().map(with_last).collect();
    Ok(Place { report, hooks })
}

/// Whether a webhook brought a delivery about an issue of this place.
fn is_from(delivery: &DeliveryView, at: &HookPlace) -> bool {
    let Some((repo, _)) = delivery.issue.as_deref().and_then(|issue| issue.split_once('#')) else {
        return false;
    };
    let is_here = match at {
        HookPlace::Repo(name) => repo.eq_ignore_ascii_case(&name.to_string()),
        HookPlace::Org(org) => {
            repo.split_once('/').is_some_and(|(owner, _)| owner.eq_ignore_ascii_case(org))
        }
    };
    is_here && delivery.origin == Origin::Webhook
}

fn show(places: &[Place]) -> Result<(), Failure> {
    let head = ["PLACE", "HOOK", "WHOSE", "ACTIVE", "LAST", "SENDS TO", "EVENTS"];
    let mut table = Table::new(&head, &["HOOK", "WHOSE", "ACTIVE"]);
    for Place { report, hooks } in places {
        let at = report.place.to_string();
        // Ours are there, but not on the place itself.
        if report.status == Status::Covered {
            let hook = report.hook.map_or_else(String::new, |id| id.to_string());
            let note = "ours, by the organisation";
            table.row(row(&at, [&hook, "ours", "yes", "", "", ""], GREEN), note);
        } else if !hooks.iter().any(|one| one.hook.is_ours) {
            let note = "none of ours; `gitea-triage hook install` creates one";
            table.row(row(&at, ["-", "none", "-", "", "", ""], YELLOW), note);
        }
        for Shown { hook, last_delivery } in hooks {
            let colour = match (hook.is_ours, hook.notes.is_empty()) {
                (true, true) => GREEN,
                (true, false) => RED,
                (false, _) => 0,
            };
            let last = match (last_delivery, hook.is_ours) {
                (Some(last), _) => last.received_at.format("%m-%d %H:%M").to_string(),
                (None, true) => "none".to_owned(),
                (None, false) => "not told".to_owned(),
            };
            let (id, events) = (hook.hook.to_string(), hook.events.join(","));
            let whose = if hook.is_ours { "ours" } else { "other" };
            let active = if hook.is_active { "yes" } else { "no" };
            let cells = [&id, whose, active, &last, &hook.url, &events];
            table.row(row(&at, cells, colour), &hook.notes.join("; "));
        }
    }
    table.print()?;
    places.iter().try_for_each(|place| show_overlaps(&place.report))
}

fn row(at: &str, cells: [&str; 6], colour: u8) -> Vec<Piece> {
    let mut row = vec![Piece::plain(at)];
    row.extend(cells.map(Piece::plain));
    if let Some(whose) = row.get_mut(2) {
        whose.colour = Some(colour);
    }
    row
}
