//! The preset that the section `[policy]` stands on.

use toml::{Table, Value};

use super::policy::ELSEWHERE;
use super::source::Source;
use crate::triage::Preset;

impl Source {
    /// Lays the section over the policy that it names; what of that has its place elsewhere goes there.
    pub fn lay_over_preset(&mut self) {
        let policy = self.root.get("policy");
        let named: Option<Preset> =
            policy.and_then(|policy| policy.get("preset")?.as_str()?.parse().ok());
        let Some(preset) = named.filter(|preset| *preset != Preset::Seed) else { return };
        let Some(Value::Table(own)) = self.root.remove("policy") else { return };
        let mut policy = preset.under(own);
        for (name, path) in ELSEWHERE {
            let Some((section, key)) = path.split_once('.') else { continue };
            // One that the file has in the wrong place is a mistake of it.
            let is_own = self.origins.has(&format!("policy.{name}"));
            let Some(value) = (!is_own).then(|| policy.remove(name)).flatten() else { continue };
            let place = self.root.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(place) = place {
                place.entry(key).or_insert(value);
            }
        }
        self.root.insert("policy".to_owned(), policy.into());
    }
}
