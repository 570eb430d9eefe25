//! One day of a repository, in the time zone of the summaries: how its issues stood at the end, and what was done.

use actix_web::HttpResponse;
use askama::Template;
use chrono::{Days, NaiveDate, NaiveTime};
use chrono_tz::Tz;

use super::access::Reader;
use super::frame::{Frame, NavItem, render};
use super::listing::{Listing, Parameters, given};
use super::refusal::Refusal;
use crate::clock;
use crate::issue::RepoName;
use crate::store::{Digest, Period};

/// How many actions and failures are listed.
const MOST: usize = 100;

#[derive(Template)]
#[template(path = "day.html")]
struct Page {
    frame: Frame,
    repos: Vec<(String, bool)>,
    repo: String,
    day: NaiveDate,
    zone: Tz,
    digest: Digest,
    counts: [(&'static str, usize); 6],
}

impl Page {
    /// How many of so many are not listed.
    fn unlisted(&self, count: usize) -> Option<usize> {
        count.checked_sub(MOST).filter(|more| *more > 0)
    }
}

/// The handler of `GET /days`: today, of the first repository, unless others are chosen.
pub(super) async fn page(reader: Reader, parameters: Parameters) -> Result<HttpResponse, Refusal> {
    let zone = reader.settings.timezone;
    let today = reader.now.with_timezone(&zone).date_naive();
    let day = given(&parameters, "day").and_then(|day| day.parse().ok()).unwrap_or(today);
    let mut repos = Listing::of(&reader, &parameters, "/days", None).await?.repos;
    if let Some(first) = repos.first_mut().filter(|_| given(&parameters, "repo").is_none()) {
        first.1 = true;
    }
    let chosen = repos.iter().find(|(_, is_chosen)| *is_chosen).map(|(name, _)| name.clone());
    let digest = match chosen.as_deref().map(str::parse::<RepoName>) {
        Some(Ok(repo)) => reader.dashboard.parts.store.digest(&repo, of(day, zone)).await?,
        _ => Digest::default(),
    };
    let count = |action: &str| digest.open.iter().filter(|issue| issue.action == action).count();
    let counts = [
        ("open", digest.open.len()),
        ("ready", digest.open.iter().filter(|issue| issue.is_listed_ready()).count()),
        ("flagged", count("flag")),
        ("waiting", count("wait")),
        ("closed on this day", digest.done as usize),
        ("found by the sweep alone", digest.missed as usize),
    ];
    let frame = reader.frame(NavItem::None, "Day by day");
    let repo = chosen.unwrap_or_default();
    Ok(render(&Page { frame, repos, repo, day, zone, digest, counts }))
}

/// From midnight to midnight.
fn of(day: NaiveDate, zone: Tz) -> Period {
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
    let [from, until] = [day, next].map(|day| clock::moment(day, NaiveTime::MIN, zone));
    Period { from, until }
}
