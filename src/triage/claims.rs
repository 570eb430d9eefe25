//! What people claim: who may, how long it lasts, and how it ends. Pure.

use std::time::Duration;

use super::commands::{CommandRequest, OrderState, Refusal};
use super::decide::Chain;
use super::observe;
use super::{Custody, Evaluation, News, PersonClaim, Question, Rules, Snapshot, UnconfirmedWrite};
use crate::clock::Timestamp;
use crate::dispatch::EffectKind;
use crate::issue::{Change, IssueState, TimelineEvent};
use crate::reason::Reason;

/// What a sign of work has to add to a claim for it to be written down.
const LEAST: Duration = Duration::from_secs(60);

/// Follows the claim of the issue: what its holder did, what people did to it, and the time. And takes up a release that
/// was interrupted.
pub(super) fn follow(
    e: Evaluation,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Result<Evaluation, Question> {
    let e = Evaluation { releases: interrupted(s, rules), ..e };
    let Some(claim) = e.custody.claim().filter(|_| e.is_open(s.issue)).cloned() else {
        return Ok(e);
    };
    let timeline = s.timeline(opened(s))?;
    let claim = known(claim, timeline);
    if is_taken_away(&claim, s, timeline) {
        return Ok(Evaluation { custody: Custody::Free, ..e });
    }
    on_time(e, prolonged(claim, timeline, rules.claim_expires), s, rules)
}

/// From the beginning: what else asks for the timeline may look further back than the claim.
fn opened(s: &Snapshot<'_>) -> Timestamp {
    s.issue.created_at.unwrap_or_default()
}

/// Whom we were about to take off when something came between. An agent's account is followed with its dispatch.
fn interrupted(s: &Snapshot<'_>, rules: &Rules) -> Option<String> {
    let is_agents = |login: &str| {
        let mut logins = rules.agents.iter().filter_map(|agent| agent.login.as_deref());
        logins.any(|one| one.eq_ignore_ascii_case(login))
    };
    let meant = s.record.unconfirmed.iter().filter(|one| !one.is_agents);
    let mut taken_off = meant.filter_map(|one| match &one.write {
        UnconfirmedWrite::Other { kind: EffectKind::Unassign, value } => Some(value),
        _ => None,
    });
    taken_off.find(|login| !is_agents(login)).cloned()
}

/// The claim with its holder as the forge calls them now.
fn known(claim: PersonClaim, timeline: &[TimelineEvent]) -> PersonClaim {
    let mut accounts = timeline.iter().rev().filter_map(|one| one.by.as_ref());
    match accounts.find(|by| by.is_same_as(&claim.holder)) {
        Some(now) => PersonClaim { holder: now.clone(), ..claim },
        None => claim,
    }
}

/// Whether the holder does not have the issue any more: a person took them off. Right after the command they are about to
/// be assigned.
fn is_taken_away(claim: &PersonClaim, s: &Snapshot<'_>, timeline: &[TimelineEvent]) -> bool {
    let login = &claim.holder.login;
    let is_pending =
        s.requests.iter().any(|one| one.order == claim.order && one.state == OrderState::Applied);
    let is_later =
        |one: &TimelineEvent| one.at.is_none_or(|at| at.timestamp() >= claim.since.timestamp());
    let last = observe::last_assignment(timeline, login).filter(|one| is_later(one));
    let is_taken_off =
        matches!(last.map(|one| &one.change), Some(Change::Assigned { on: false, .. }));
    !s.issue.is_assigned_to(login) && (is_taken_off || !is_pending)
}

/// The claim, which lasts from the holder's latest sign of work: a comment, or a pull request of theirs or one that
/// closes the issue.
fn prolonged(claim: PersonClaim, timeline: &[TimelineEvent], expires: Duration) -> PersonClaim {
    let is_sign = |one: &&TimelineEvent| {
        let is_theirs = one.by.as_ref().is_some_and(|by| by.is_same_as(&claim.holder));
        match one.change {
            Change::Commented => is_theirs,
            Change::Linked { closes, .. } => closes || is_theirs,
            _ => false,
        }
    };
    let latest = timeline.iter().filter(is_sign).filter_map(|one| one.at).max();
    match latest.map(|at| at + expires).filter(|until| *until > claim.until + LEAST) {
        Some(until) => lasting(claim, until, expires),
        None => claim,
    }
}

/// The claim with another end, of which the holder was not reminded yet.
fn lasting(claim: PersonClaim, until: Timestamp, expires: Duration) -> PersonClaim {
    PersonClaim { until, remind_at: until - expires / 4, is_reminded: false, ..claim }
}

/// Reminds the holder once, and ends the claim after that. While an open pull request is about the issue the claim goes
/// on. A dry run lets no time pass.
fn on_time(
    e: Evaluation,
    claim: PersonClaim,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Result<Evaluation, Question> {
    let expires = rules.claim_expires;
    let with = |claim| Evaluation { custody: Custody::Claimed(claim), ..e.clone() };
    if s.is_dry_run {
        return Ok(with(lasting(claim, s.now + expires, expires)));
    }
    if s.now < claim.due_at() {
        return Ok(with(claim));
    }
    if !observe::open_pulls(s, &claim.holder.login, opened(s))?.is_empty() {
        return Ok(with(lasting(claim, s.now + expires, expires)));
    }
    let (order, login) = (claim.order, claim.holder.login.clone());
    if claim.is_reminded {
        let e = Evaluation { custody: Custody::Free, releases: Some(login.clone()), ..e };
        return Ok(e.announce(order, News::ClaimEnded { login }));
    }
    // Nobody loses a claim unwarned, however late we are.
    let until = claim.until.max(s.now + expires / 4);
    let e = with(PersonClaim { until, is_reminded: true, ..claim });
    Ok(e.announce(order, News::ClaimReminder { login, until }))
}

/// Leaves a person assigned who was assigned by somebody else than us.
pub(super) fn release_ours(e: Evaluation, s: &Snapshot<'_>) -> Result<Evaluation, Question> {
    let Some(login) = e.releases.as_ref().filter(|login| s.issue.is_assigned_to(login)) else {
        return Ok(Evaluation { releases: None, ..e });
    };
    let last = observe::last_assignment(s.timeline(opened(s))?, login);
    let is_ours = match last.and_then(|last| last.by.as_ref()) {
        Some(by) => by.is_same_as(s.account()?),
        None => false,
    };
    let releases = e.releases.clone().filter(|_| is_ours);
    Ok(Evaluation { releases, ..e })
}

/// Why somebody may not claim the issue, if they may not.
pub(super) fn refuses_claim<'a>(
    request: &'a CommandRequest,
    chain: Chain<'_>,
    rules: &'a Rules,
) -> Result<Option<Refusal<'a>>, Question> {
    let (s, e) = (chain.s, chain.e);
    let ready_labels = &rules.triage.policy().ready_labels;
    let is_open_to_claim = chain.label_among(ready_labels).is_some();
    let is_left_alone = |reason: &Reason| match reason {
        Reason::IgnoredAuthor(_) | Reason::IgnoredLabel(_) => !is_open_to_claim,
        _ => true,
    };
    let held = || e.custody.hold().cloned().map(Reason::Held);
    if rules.claim_limit == 0 {
        return Ok(Some(Refusal::ClaimsOff));
    }
    if s.issue.state == IssueState::Closed {
        return Ok(Some(Refusal::Closed));
    }
    if let Some(refusal) = has_holder(request, chain, rules) {
        return Ok(Some(refusal));
    }
    if let Some(reason) = chain.not_ours()?.filter(is_left_alone).or_else(held) {
        return Ok(Some(Refusal::NotDispatched(reason)));
    }
    if !ready_labels.is_empty() && !is_open_to_claim {
        return Ok(Some(Refusal::NotOpenToClaim(ready_labels)));
    }
    let is_theirs = e.custody.claim().is_some();
    if !is_theirs && let Some(refusal) = calls_others(request, chain)? {
        return Ok(Some(refusal));
    }
    let count = s.record.claims.get(&request.order).copied().unwrap_or(0);
    if !is_theirs && count >= rules.claim_limit {
        return Ok(Some(Refusal::ClaimLimit { count, limit: rules.claim_limit }));
    }
    let is_assignable = s.is_assignable(&request.by)?;
    Ok((!is_assignable).then_some(Refusal::NotAssignable(&request.by)))
}

/// That a person is called who may write, or whose turn it is, and it is not they who claim: nobody else must be able to
/// take a flag off.
fn calls_others<'a>(
    request: &'a CommandRequest,
    chain: Chain<'_>,
) -> Result<Option<Refusal<'a>>, Question> {
    let asked = chain.e.duty.as_ref().and_then(|duty| duty.login.as_deref());
    if asked.is_some_and(|login| login.eq_ignore_ascii_case(&request.by)) {
        return Ok(None);
    }
    let Some(refusal) = request.lacks_access() else { return Ok(None) };
    let reason = chain.calls_person()?;
    Ok(reason.map(|reason| match refusal {
        Refusal::NotAWriter(_) => Refusal::CallsPerson(reason),
        other => other,
    }))
}

/// That somebody else has the issue: a person, or an agent.
fn has_holder<'a>(
    request: &CommandRequest,
    chain: Chain<'_>,
    rules: &Rules,
) -> Option<Refusal<'a>> {
    let (s, e) = (chain.s, chain.e);
    let by = request.account();
    if let Some(claim) = e.custody.claim().filter(|claim| !claim.holder.is_same_as(&by)) {
        let (login, until) = (claim.holder.login.clone(), claim.until);
        return Some(Refusal::NotDispatched(Reason::Claimed { login, until }));
    }
    let given = observe::given_by_person(e, s, rules).map(|agent| &agent.id);
    let agent = match &e.custody {
        Custody::Dispatched(open) => Some(&open.agent),
        Custody::Chosen(choice) => Some(&choice.agent),
        _ => given,
    };
    if let Some(agent) = agent {
        return Some(Refusal::WithAgent(agent.clone()));
    }
    let mut logins = match chain.assigned() {
        Some(Reason::Assigned(logins)) => logins,
        _ => Vec::new(),
    };
    logins.extend(chain.on_duty().map(str::to_owned));
    logins.retain(|login| !login.eq_ignore_ascii_case(&request.by));
    (!logins.is_empty()).then_some(Refusal::NotDispatched(Reason::Assigned(logins)))
}

/// Whoever commands has the issue from now on.
pub(super) fn take(
    request: &CommandRequest,
    e: Evaluation,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Evaluation {
    let (by, until) = (request.account(), s.now + rules.claim_expires);
    let releases = e.releases.filter(|login| !login.eq_ignore_ascii_case(&by.login));
    let claim = PersonClaim {
        order: request.order,
        holder: by,
        since: s.now,
        remind_at: until,
        until,
        is_reminded: false,
    };
    let claim = lasting(claim, until, rules.claim_expires);
    let assign = Some(request.by.clone());
    // Who was asked in turn and claims it has it by the claim.
    Evaluation { custody: Custody::Claimed(claim), assign, releases, duty: None, ..e }
}

/// Nobody has the issue any more that somebody claimed.
pub(super) fn release(e: Evaluation) -> Evaluation {
    Evaluation { custody: Custody::Free, ..let_go(e, "") }
}

/// Has the claim go on that a command ended which is refused after all.
pub(super) fn go_on(e: Evaluation) -> Evaluation {
    let Some(claim) = e.ended_claim.clone() else { return e };
    let releases = e.releases.filter(|login| !login.eq_ignore_ascii_case(&claim.holder.login));
    Evaluation { custody: Custody::Claimed(claim), releases, ended_claim: None, ..e }
}

/// Has whoever we assigned by a claim or in turn taken off, since a person gives the issue to somebody else; not `but`,
/// who is given it.
pub(super) fn let_go(e: Evaluation, but: &str) -> Evaluation {
    let claim = e.custody.claim().map(|claim| &claim.holder.login);
    let duty = e.duty.as_ref().filter(|duty| duty.assigns).and_then(|duty| duty.login.as_ref());
    let login = claim.or(duty).filter(|login| !login.eq_ignore_ascii_case(but)).cloned();
    Evaluation { releases: login.or(e.releases), ..e }
}
