//! The rotations: what makes one that cannot work.

use super::error::Found;
use super::{Config, RotationEntry};

/// Every mistake in the rotations that a single value does not show.
pub(super) fn mistakes(config: &Config) -> Vec<Found> {
    let mut all = Vec::new();
    for (at, entry) in config.rotation.iter().enumerate() {
        let name = entry.name.as_str();
        let is_same = |other: &RotationEntry| other.name.eq_ignore_ascii_case(name);
        if !name.is_empty() && config.rotation[..at].iter().any(is_same) {
            let message = format!("rotation `{name}` is there twice; give each its own name");
            all.push((format!("rotation.{at}.name"), format!("rotation.{name}"), message));
        }
        all.extend(members(config, at, entry));
    }
    all
}

fn members(config: &Config, at: usize, entry: &RotationEntry) -> Vec<Found> {
    let mut all = Vec::new();
    let name = entry.name.as_str();
    for (place, member) in entry.members.iter().enumerate() {
        let login = member.login.as_str();
        let path = format!("rotation.{at}.members.{place}");
        let mut add = |path: String, key: &str, message| {
            all.push((path, format!("rotation.{name}.members{key}"), message));
        };
        let before = &entry.members[..place];
        if !login.is_empty() && before.iter().any(|one| one.login.eq_ignore_ascii_case(login)) {
            let ways = "list them once; `weight` says how often they are asked";
            add(path.clone(), "", format!("`{login}` is in rotation `{name}` twice; {ways}"));
        }
        let is_theirs = |of: &Option<String>| {
            of.as_deref().is_some_and(|agent| agent.eq_ignore_ascii_case(login))
        };
        if let Some(agent) = config.agent.iter().find(|one| one.enabled && is_theirs(&one.login)) {
            let ways = "a rotation asks people; take it out";
            let id = &agent.id;
            let message = format!("`{login}` is the account of agent `{id}`; {ways}");
            add(path.clone(), "", message);
        }
        for (nth, absence) in member.absent.iter().enumerate() {
            let (from, until) = (absence.from, absence.until);
            if from > until {
                let message = format!(
                    "`{login}` is absent from {from} until {until}, which is before; exchange the two days"
                );
                add(format!("{path}.absent.{nth}"), ".absent", message);
            }
        }
    }
    all
}
