//! Whom a flag asks: the members of a rotation in turn, by weight, but for who is away. Pure; what is counted stands in
//! the record.

use std::cmp::Reverse;

use chrono::NaiveDate;

use super::decide::Chain;
use super::{
    Action, Decision, Evaluation, MarkedComment, Member, Question, Rotation, Rules, Shares,
    Snapshot, observe,
};
use crate::dispatch::EffectKind;
use crate::issue::Change;
use crate::reason::{Duty, PassedOver, Reason, Why};

/// Says who is asked, and keeps it as long as they are: once for each flag, whatever happens in between.
pub(super) fn settle(
    e: Evaluation,
    decision: &Decision,
    s: &Snapshot<'_>,
    rules: &Rules,
) -> Result<Evaluation, Question> {
    let e = given_away(e, decision);
    // For an old backlog nobody is called, and so nobody's turn comes.
    let is_flag = matches!(decision, Decision::Flag { .. }) && !e.is_quiet(s.record);
    let e = match (&e.duty, is_flag) {
        (Some(duty), _) if is_flag || stands(duty, decision, s) => interrupted(e, s)?,
        (Some(_), _) => Evaluation { duty: None, ..e },
        (None, true) if is_news(decision, s) => choose(e, s, rules)?,
        (None, _) => e,
    };
    let changes_duty = e.duty != s.record.duty && !s.is_dry_run;
    Ok(Evaluation { changes_duty, ..e })
}

/// Whether nobody was called for this yet.
fn is_news(decision: &Decision, s: &Snapshot<'_>) -> bool {
    let is_end = matches!(decision.reason(), Reason::TimedOut(_) | Reason::Escalated(_));
    let is_flag = |call: &MarkedComment| call.marker.decision == Action::Flag.as_str();
    is_end || !s.record.calls.iter().any(is_flag)
}

/// Where a person gave the issue to somebody else it is no longer the turn of who was asked; where nothing came of that,
/// it still is.
fn given_away(e: Evaluation, decision: &Decision) -> Evaluation {
    let Some(login) = e.duty.as_ref().and_then(|duty| duty.login.clone()) else { return e };
    if e.releases.as_deref() != Some(&login) {
        return e;
    }
    let is_given = matches!(decision, Decision::Dispatch { .. } | Decision::Wait { .. });
    match is_given || e.assign.is_some() {
        true => Evaluation { duty: None, ..e },
        false => Evaluation { releases: None, ..e },
    }
}

/// Whether somebody who was asked still has the issue although it is not the decision any more.
fn stands(duty: &Duty, decision: &Decision, s: &Snapshot<'_>) -> bool {
    let has_it =
        duty.assigns && duty.login.as_deref().is_some_and(|login| s.issue.is_assigned_to(login));
    let is_called = match decision.reason() {
        Reason::Held(hold) => !hold.0.is_command(),
        Reason::ChecksRun(_) => true,
        _ => false,
    };
    !matches!(decision, Decision::Finish { .. }) && (has_it || is_called)
}

/// Assigns who was about to be assigned when something came between, unless a person took them off since.
fn interrupted(e: Evaluation, s: &Snapshot<'_>) -> Result<Evaluation, Question> {
    let duty = e.duty.as_ref().filter(|duty| duty.assigns);
    let Some(login) = duty.and_then(|duty| duty.login.clone()) else { return Ok(e) };
    let key = (EffectKind::Assignee, login.as_str());
    if e.assign.is_some() || !s.record.unconfirmed.iter().any(|one| one.write.key() == key) {
        return Ok(e);
    }
    let timeline = s.timeline(s.issue.created_at.unwrap_or_default())?;
    let last = observe::last_assignment(timeline, &login).map(|last| &last.change);
    let is_taken_off = matches!(last, Some(Change::Assigned { on: false, .. }));
    Ok(Evaluation { assign: (!is_taken_off).then_some(login), ..e })
}

/// Chooses who is asked, where a rotation serves the issue.
fn choose(e: Evaluation, s: &Snapshot<'_>, rules: &Rules) -> Result<Evaluation, Question> {
    let chain = Chain { triage: &rules.triage, agents: Some(&rules.agents), s, e: &e };
    let Some(rotation) = rules.rotations.iter().find(|one| serves(one, chain)) else {
        return Ok(e);
    };
    let mut shares = s.record.shares.get(&rotation.name).cloned().unwrap_or_default();
    let turns = Turns { released: e.releases.as_deref(), ..Turns::of(rotation, s) };
    let (member, passed) = turns.next(&shares, s)?;
    if let Some(member) = member {
        turns.count(&mut shares, member, &passed);
    }
    let login = member.map(|member| member.login.clone());
    let assign = login.clone().filter(|_| rotation.assigns);
    let duty = Duty {
        rotation: rotation.name.clone(),
        login,
        assigns: rotation.assigns,
        of: rotation.members.len(),
        passed,
    };
    Ok(Evaluation { duty: Some(duty), shares: Some(shares), assign: assign.or(e.assign), ..e })
}

fn serves(rotation: &Rotation, chain: Chain<'_>) -> bool {
    let Rotation { labels, paths, repos, .. } = rotation;
    if repos.as_ref().is_some_and(|repos| !repos.allows(&chain.s.at.repo)) {
        return false;
    }
    let is_named = || {
        let files = chain.triage.named_files(chain.s.issue);
        files.iter().any(|file| paths.iter().any(|path| path.fits(file)))
    };
    let serves_all = labels.is_empty() && paths.is_empty();
    serves_all || chain.label_among(labels).is_some() || (!paths.is_empty() && is_named())
}

/// The turns of a rotation on one day, for one issue.
struct Turns<'a> {
    rotation: &'a Rotation,
    today: NaiveDate,
    /// Who opened it.
    author: Option<&'a str>,
    /// Whose claim has just ended. The forge still shows them assigned, and they are about to be taken off.
    released: Option<&'a str>,
}

impl<'a> Turns<'a> {
    fn of(rotation: &'a Rotation, s: &'a Snapshot<'_>) -> Self {
        let today = s.now.with_timezone(&rotation.timezone).date_naive();
        let author = s.issue.author.as_ref().map(|author| author.login.as_str());
        Self { rotation, today, author, released: None }
    }

    /// Whose turn it is, and whose it would have been: of those who can be asked whoever has the most in hand, the first
    /// of equals. Whoever opened the issue is asked where nobody else can be.
    fn next(
        &self,
        shares: &Shares,
        s: &Snapshot<'_>,
    ) -> Result<(Option<&'a Member>, Vec<PassedOver>), Question> {
        let mut members: Vec<&Member> = self.rotation.members.iter().collect();
        members.sort_by_key(|member| Reverse(in_hand(member, shares)));
        let (mut passed, mut author) = (Vec::new(), None);
        for member in members {
            let why = match member.away_until(self.today) {
                Some(until) => Why::Away { until },
                None if self.is_released(member) => Why::HadClaimed,
                None if self.is_author(member) => {
                    author = Some(member);
                    Why::Author
                }
                None if s.is_assignable(&member.login)? => return Ok((Some(member), passed)),
                None => Why::NotAssignable,
            };
            passed.push(PassedOver { login: member.login.clone(), why });
        }
        if let Some(author) = author
            && s.is_assignable(&author.login)?
        {
            passed.retain(|one| one.why != Why::Author);
            return Ok((Some(author), passed));
        }
        Ok((None, passed))
    }

    fn is_author(&self, member: &Member) -> bool {
        self.author.is_some_and(|author| author.eq_ignore_ascii_case(&member.login))
    }

    fn is_released(&self, member: &Member) -> bool {
        self.released.is_some_and(|released| released.eq_ignore_ascii_case(&member.login))
    }

    /// Smooth weighted round robin: everybody who can be asked gets what they weigh, and whoever is asked pays for all.
    /// Who is away gathers nothing, and so has nothing to catch up with afterwards.
    fn count(&self, shares: &mut Shares, chosen: &Member, passed: &[PassedOver]) {
        let can = |member: &&Member| {
            let is_passed = passed.iter().any(|one| one.login == member.login);
            let is_other_author = self.is_author(member) && member.login != chosen.login;
            let is_out = is_passed || is_other_author || self.is_released(member);
            !is_out && member.away_until(self.today).is_none()
        };
        let able = || self.rotation.members.iter().filter(can);
        let all: i64 = able().map(|member| i64::from(member.weight)).sum();
        let credits: Vec<_> = able().map(|one| (one.key(), in_hand(one, shares))).collect();
        shares.credits.extend(credits);
        if let Some(credit) = shares.credits.get_mut(&chosen.key()) {
            *credit -= all;
        }
    }
}

fn in_hand(member: &Member, shares: &Shares) -> i64 {
    shares.credits.get(&member.key()).copied().unwrap_or(0) + i64::from(member.weight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::triage::samples::{World, issue};

    fn rotation(weights: &[u32]) -> Rotation {
        let member = |(at, weight): (usize, &u32)| Member {
            login: format!("member-{at}"),
            weight: *weight,
            absent: Vec::new(),
        };
        Rotation {
            name: "backend".to_owned(),
            members: weights.iter().enumerate().map(member).collect(),
            labels: Vec::new(),
            paths: Vec::new(),
            repos: None,
            assigns: true,
            timezone: chrono_tz::UTC,
        }
    }

    /// Who is asked in so many turns, where the forge takes everybody.
    fn asked(rotation: &Rotation, turns: u32) -> Vec<String> {
        let world = World::of(issue("x", "")).answered(|facts| {
            let logins = rotation.members.iter().map(|member| (member.login.clone(), true));
            facts.assignable = logins.collect();
        });
        world.with(|s, _| {
            let (turn, mut shares) = (Turns::of(rotation, s), Shares::default());
            let mut next = |_| {
                let (member, passed) = turn.next(&shares, s).expect("all is known");
                let member = member.expect("somebody can be asked");
                turn.count(&mut shares, member, &passed);
                member.login.clone()
            };
            (0..turns).map(&mut next).collect()
        })
    }

    proptest! {
        #[test]
        fn in_as_many_turns_as_all_weigh_each_is_asked_as_often_as_they_weigh(
            weights in prop::collection::vec(1_u32..12, 1..8),
        ) {
            let rotation = rotation(&weights);
            let all = weights.iter().sum::<u32>();
            let logins = asked(&rotation, 2 * all);
            for round in logins.chunks(all as usize) {
                for member in &rotation.members {
                    let times = round.iter().filter(|login| **login == member.login).count();
                    prop_assert_eq!(times, member.weight as usize, "{:?}", round);
                }
            }
        }
    }

    #[test]
    fn whose_claim_has_just_ended_is_passed_over_and_gathers_nothing() {
        let (rotation, world) = (rotation(&[2, 1, 1]), World::of(issue("x", "")));
        let logins = rotation.members.iter().map(|member| (member.login.clone(), true));
        let world = world.answered(|facts| facts.assignable = logins.collect());
        world.with(|s, _| {
            let turns = Turns { released: Some("Member-0"), ..Turns::of(&rotation, s) };
            let mut shares = Shares::default();
            let (member, passed) = turns.next(&shares, s).expect("all is known");
            let member = member.expect("somebody can be asked");
            assert_eq!(member.login, "member-1");
            let expected = PassedOver { login: "member-0".into(), why: Why::HadClaimed };
            assert_eq!(passed, [expected]);
            turns.count(&mut shares, member, &passed);
            let credits = [("member-1", -1), ("member-2", 1)].map(|(one, has)| (one.into(), has));
            assert_eq!(shares.credits, credits.into());
        });
    }

    #[test]
    fn equals_are_asked_in_their_order_and_the_heavier_one_not_in_a_row() {
        assert_eq!(
            asked(&rotation(&[1, 1, 1]), 4),
            ["member-0", "member-1", "member-2", "member-0"]
        );
        let heavy = asked(&rotation(&[3, 1, 1]), 5);
        assert_eq!(heavy, ["member-0", "member-1", "member-0", "member-2", "member-0"]);
    }
}
