//! What lists have in common: the parameters of their address, the filter above them, the link to older entries.

use std::collections::BTreeMap;

use actix_web::web::Query;

use chrono::{Days, NaiveDate, NaiveTime};

use super::access::Reader;
use super::refusal::Refusal;
use crate::store::Between;

/// The parameters of an address.
pub(super) type Parameters = Query<BTreeMap<String, String>>;

/// A parameter that is present and not empty.
pub(super) fn given(parameters: &Parameters, name: &str) -> Option<String> {
    parameters.get(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}

/// The days that a list is limited to, the last included; what is no date limits nothing.
pub(super) fn days(given: impl Fn(&str) -> Option<String>) -> Between {
    let day = |name: &str, more: Days| {
        let day = given(name)?.parse::<NaiveDate>().ok()?;
        Some(day.checked_add_days(more)?.and_time(NaiveTime::MIN).and_utc())
    };
    Between { since: day("since", Days::new(0)), until: day("until", Days::new(1)) }
}

/// The address of the next page: the same parameters, from another entry on.
pub(super) fn next(path: &str, parameters: &Parameters, before: i64) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let kept = parameters.iter().filter(|(name, value)| *name != "before" && !value.is_empty());
    query.extend_pairs(kept).append_pair("before", &before.to_string());
    format!("{path}?{}", query.finish())
}

/// One of what a list can be limited to.
pub(super) struct Choice {
    pub name: &'static str,
    pub is_chosen: bool,
    /// How many there are in the whole service, where that is counted.
    pub count: Option<u64>,
}

/// What surrounds the rows of a list.
pub(super) struct Listing {
    /// The repositories to choose from, and whether each is the chosen one.
    pub repos: Vec<(String, bool)>,
    /// The text that was searched for.
    pub text: String,
    /// The first and the last day.
    pub days: [String; 2],
    pub is_filtered: bool,
    /// The address of the next page.
    pub older: Option<String>,
}

impl Listing {
    /// The chosen repository; empty for all.
    pub fn repo(&self) -> &str {
        self.repos.iter().find(|(_, is_chosen)| *is_chosen).map_or("", |(name, _)| name)
    }

    /// Whether a repository, a text or a day is chosen.
    pub fn is_narrowed(&self) -> bool {
        let [since, until] = &self.days;
        [self.repo(), &self.text, since, until].iter().any(|given| !given.is_empty())
    }

    /// The surroundings of the list at `path`, which goes on with entry `older`.
    pub async fn of(
        reader: &Reader,
        parameters: &Parameters,
        path: &str,
        older: Option<i64>,
    ) -> Result<Self, Refusal> {
        let chosen = given(parameters, "repo");
        let repos = reader.dashboard.parts.store.lane_repos().await?;
        let repos = repos.into_iter().map(|repo| repo.to_string());
        let repos = repos.filter(|repo| reader.sees_repo(repo));
        let path = reader.path(path);
        let is_filter = |(name, value): (&String, &String)| {
            name != "before" && !["", "all"].contains(&value.trim())
        };
        Ok(Self {
            repos: repos
                .map(|repo| (chosen.as_ref() == Some(&repo), repo))
                .map(|(is, name)| (name, is))
                .collect(),
            text: given(parameters, "q").unwrap_or_default(),
            days: ["since", "until"].map(|day| given(parameters, day).unwrap_or_default()),
            is_filtered: parameters.iter().any(is_filter),
            older: older.map(|before| next(&path, parameters, before)),
        })
    }
}
