//! A team of an organisation, and what its members may do in each unit of the repositories that it has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::record::Access;

pub(super) const CODE: &str = "repo.code";
pub(super) const ISSUES: &str = "repo.issues";
pub(super) const PULLS: &str = "repo.pulls";
/// The units that a team can be given.
pub(super) const UNITS: [&str; 10] = [
    CODE,
    ISSUES,
    PULLS,
    "repo.releases",
    "repo.wiki",
    "repo.ext_wiki",
    "repo.ext_issues",
    "repo.projects",
    "repo.packages",
    "repo.actions",
];

/// A team, of one organisation.
#[derive(Debug)]
pub(super) struct Team {
    pub id: i64,
    pub org: String,
    pub name: String,
    pub is_admin: bool,
    pub units: BTreeMap<String, Access>,
    pub members: BTreeSet<i64>,
    /// The keys of its repositories.
    pub repos: BTreeSet<String>,
}

impl Team {
    pub fn may(&self, unit: &str) -> Access {
        let given = self.units.get(unit).copied().unwrap_or(Access::None);
        if self.is_admin { Access::Admin } else { given }
    }

    /// Whether its members are listed as possible assignees.
    pub fn lists(&self) -> bool {
        UNITS.iter().any(|unit| self.may(unit) >= Access::Write) || self.may(PULLS) >= Access::Read
    }

    /// The team as the API shows it. The permission over all is `none` unless it administers.
    pub fn show(&self) -> Value {
        let units: BTreeMap<_, _> =
            UNITS.iter().map(|unit| (*unit, self.may(unit).as_str())).collect();
        json!({
            "id": self.id, "name": self.name, "description": "", "organization": null,
            "includes_all_repositories": false, "can_create_org_repo": false,
            "permission": if self.is_admin { "admin" } else { "none" },
            "units": UNITS, "units_map": units,
        })
    }
}
