//! The overview: what needs attention, open dispatches, failed deliveries, and the health of the service.

use std::sync::atomic::Ordering;

use actix_web::HttpResponse;
use askama::Template;

use super::access::Reader;
use super::chart::{Chart, Column};
use super::frame::{Frame, NavItem, render};
use super::latency::{self, Answers};
use super::refusal::Refusal;
use crate::store::{Activity, Gauges, Hour, IssueRow, Overview, Sight};

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    gauges: Gauges,
    overview: Overview,
    health: Vec<Health>,
    charts: Vec<Chart>,
    is_partial: bool,
    answers: Answers,
    /// `triage.owner`; the repository's owner when unset.
    owner: Option<String>,
}

/// The state of one part of the service.
struct Health {
    name: &'static str,
    is_ok: bool,
    text: String,
}

impl OverviewPage {
    /// The person whose attention an issue needs.
    fn asks(&self, issue: &IssueRow) -> String {
        let owner = || issue.repo.split('/').next().unwrap_or_default().to_owned();
        issue.asked.clone().or_else(|| self.owner.clone()).unwrap_or_else(owner)
    }

    fn waiting(&self) -> u64 {
        self.gauges.received + self.gauges.pending
    }

    fn needs_attention(&self) -> u64 {
        let Overview { escalated, urgent, flagged, .. } = &self.overview;
        escalated.all + urgent.all + flagged.all
    }
}

/// The handler of `GET /`.
pub(super) async fn page(reader: Reader) -> Result<HttpResponse, Refusal> {
    let parts = &reader.dashboard.parts;
    let (gauges, overview, activity) = tokio::try_join!(
        parts.store.gauges(),
        parts.store.overview(reader.visitor.sees.clone()),
        parts.store.activity(reader.now)
    )?;
    let mut page = OverviewPage {
        health: health(&reader).await,
        frame: reader.frame(NavItem::Overview, "Overview"),
        gauges,
        overview,
        charts: charts(&activity),
        is_partial: activity.is_partial,
        answers: latency::answers(&parts.receiving.accept),
        owner: reader.settings.owner.clone(),
    };
    if page.needs_attention() > 0 {
        page.frame.title = format!("({}) Overview", page.needs_attention());
    }
    Ok(render(&page))
}

async fn health(reader: &Reader) -> Vec<Health> {
    let parts = &reader.dashboard.parts;
    let part = |name, text: String| Health { name, is_ok: text == "ok", text };
    let mut health = match parts.readiness.report().await {
        Some(report) => {
            let forge = if parts.forge.is_known() { parts.forge.product() } else { "Forge" };
            let mut parts =
                vec![part("Store", report.store.clone()), part(forge, report.gitea.clone())];
            // Only where there is something to say: it is not one of the things that have to be up.
            // What is named there may be a repository that a visitor does not see.
            let text = match reader.visitor.sees == Sight::All {
                true => report.sweep.clone(),
                false => "some repositories cannot be swept".to_owned(),
            };
            parts.extend((report.sweep != "ok").then(|| part("Sweep", text)));
            parts
        }
        None => vec![part("Service", "shutting down".to_owned())],
    };
    if parts.working.is_unreachable.load(Ordering::Relaxed) {
        let text = format!("paused until {} answers again", parts.forge.product());
        health.push(Health { name: "Processing", is_ok: false, text });
    }
    health
}

fn charts(activity: &Activity) -> Vec<Chart> {
    let chart = |title: &str, series: &[&'static str], parts: fn(&Hour) -> Vec<u64>| Chart {
        title: title.to_owned(),
        series: series.to_vec(),
        columns: activity
            .hours
            .iter()
            .map(|(at, hour)| Column { name: at.format("%H:00").to_string(), parts: parts(hour) })
            .collect(),
        every: 4,
    };
    vec![
        chart("Deliveries per hour, last 24 hours (UTC)", Activity::DELIVERIES, |hour| {
            hour.deliveries.to_vec()
        }),
        chart("Decisions per hour, last 24 hours (UTC)", Activity::DECISIONS, |hour| {
            hour.decisions.to_vec()
        }),
    ]
}
