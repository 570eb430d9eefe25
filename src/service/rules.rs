//! From the configuration to the rules that the worker decides by. It starts nothing and keeps nothing.

use std::sync::Arc;

use crate::config::{AgentEntry, Config, MemberEntry, RotationEntry, RunBudget};
use crate::dispatch::AgentId;
use crate::dispatch::budget::{Budget, BudgetUnit, Budgets};
use crate::issue::PathPattern;
use crate::triage::{Absence, Member, PolicyError, Rotation, Triage};
use crate::worker::Rules;

/// The rules in a configuration.
///
/// # Errors
/// When the policy cannot be used, which a configuration that was read rules out.
pub fn rules(config: &Config) -> Result<Rules, PolicyError> {
    Ok(Rules {
        triage: match &config.compiled {
            Some(triage) => triage.clone(),
            None => Triage::new(config.policy.clone())?,
        },
        agents: config.agents.list.clone(),
        repos: config.gitea.repos.clone(),
        owner: config.triage.owner.clone(),
        flag_label: config.triage.flag_label.clone(),
        needs_info_label: config.triage.needs_info_label.clone(),
        question_label: config.triage.question_label.clone(),
        approve_label: config.triage.approve_label.clone(),
        claim_limit: config.claim.limit,
        claim_expires: config.claim.expires,
        rotations: config.rotation.iter().map(|entry| rotation(entry, config)).collect(),
        budgets: Arc::new(budgets(config)),
        max_attempts: config.worker.max_attempts,
        write_limit: config.worker.fuse,
        dispatch_attempts: config.dispatch.max_attempts,
        follow_up: config.runs.follow_up,
        review: config.review.require.clone(),
        reopen: config.review.reopen,
        public_url: config.server.public_url.clone(),
        pages: pages(config),
    })
}

/// What runs may use.
pub(super) fn budgets(config: &Config) -> Budgets {
    let each = |entry: &RunBudget| {
        let per = entry.per;
        let tokens = entry.tokens.map(|limit| Budget { per, unit: BudgetUnit::Tokens, limit });
        let money = entry.money.map(|limit| Budget { per, unit: BudgetUnit::Money, limit });
        tokens.into_iter().chain(money)
    };
    let price = |entry: &AgentEntry| {
        Some((AgentId::new(&entry.id), entry.price_per_million_tokens.filter(|_| entry.enabled)?))
    };
    Budgets {
        list: config.runs.budgets.iter().flat_map(each).collect(),
        prices: config.agent.iter().filter_map(price).collect(),
        timezone: config.summary.timezone,
        per_repository: config.runs.per_repository,
    }
}

/// A rotation as it is decided by.
fn rotation(entry: &RotationEntry, config: &Config) -> Rotation {
    let member = |member: &MemberEntry| Member {
        login: member.login.clone(),
        weight: member.weight,
        absent: member.absent.iter().map(|a| Absence { from: a.from, until: a.until }).collect(),
    };
    Rotation {
        name: entry.name.clone(),
        members: entry.members.iter().map(member).collect(),
        labels: entry.labels.clone(),
        paths: entry.paths.iter().filter_map(|path| PathPattern::new(path)).collect(),
        repos: entry.repos.clone(),
        assigns: entry.assign,
        timezone: entry.timezone.unwrap_or(config.summary.timezone),
    }
}

/// Where the dashboard is, when it shows anything.
fn pages(config: &Config) -> Option<String> {
    config.server.public_url.clone().filter(|_| config.dashboard.is_on())
}
