//! The ledger: what was concluded, which writes were meant and which are known to have happened, who has what.
//! An effect is written down as meant before its request leaves, so that a crash in between is noticed.

use std::collections::{BTreeMap, BTreeSet};

use super::dispatches::{self, Moment, Recorded};
use super::engine::{Connection, Row, RowResult, params};
use super::lanes::{self, Claim};
use super::rows::{all, first, kind_and_value, marks, parsed, run, to_json};
use super::{Error, Store, claims, duties, orders, pauses, people, turns};
use crate::clock::{Timestamp, from_millis};
use crate::dispatch::{AgentId, Mark};
use crate::issue::IssueRef;
use crate::plan::{Confirmation, Decided, Effect, EffectKind, EffectOutcome, Plan, WriteOrigin};
use crate::triage::{
    Custody, MarkedComment, Marker, Record, TO_OUTSIDER, Unconfirmed, UnconfirmedWrite,
};

impl Store {
    /// What is known about an issue.
    pub async fn record(&self, at: IssueRef) -> Result<Record, Error> {
        self.read(move |c| {
            let pauses = pauses::of(c, &at.repo.to_string())?;
            let Some(lane) = lanes::find(c, &at)? else {
                let (load, shares) = (dispatches::load(c, -1)?, duties::shares(c)?);
                return Ok(Record { load, shares, pauses, ..Record::default() });
            };
            let dispatch = dispatches::open_dispatch(c, lane)?;
            let applied =
                "SELECT kind, value FROM effect WHERE lane = ?1 AND dispatch = ?2 AND state = 'done'";
            let done: Vec<_> = match &dispatch {
                Some(dispatch) => all(c, applied, [lane, dispatch.id], kind_and_value)?,
                None => Vec::new(),
            };
            let (text_digest, evaluated_at) = last_look(c, lane)?;
            let run = dispatch.as_ref().map(|dispatch| turns::run_so_far(c, dispatch.id));
            let refused = dispatch.as_ref().map(|dispatch| refused(c, lane, dispatch.id)).transpose()?;
            let handed_off = done.iter().filter(|(kind, _)| *kind == EffectKind::HandOff);
            Ok(Record {
                handed_off: handed_off.map(|(_, agent)| AgentId::new(agent)).collect(),
                run: run.transpose()?.flatten(),
                applied: marks(done),
                refused: refused.unwrap_or_default(),
                is_no_duplicate: people::is_no_duplicate(c, lane)?,
                removed: people::removed(c, lane)?,
                approval: people::approval(c, lane)?,
                text_digest,
                evaluated_at,
                custody: match dispatch {
                    Some(dispatch) => Custody::Dispatched(dispatch),
                    None => people::custody(c, lane)?,
                },
                answered_outsiders: answered_outsiders(c, lane)?,
                audit_comment: latest_comment(c, lane)?,
                calls: calls(c, lane)?,
                unconfirmed: unconfirmed(c, lane)?,
                last_agent: dispatches::last_agent(c, lane)?,
                recent: dispatches::latest(c, lane)?,
                leftovers: leftovers(c, lane)?,
                attempts: dispatches::attempts(c, lane)?,
                load: dispatches::load(c, lane)?,
                pauses,
                is_from_before: lanes::is_from_before(c, lane)?,
                claims: claims::of_claimants(c, lane)?,
                duty: duties::open(c, lane)?,
                shares: duties::shares(c)?,
            })
        })
        .await
    }

    /// Writes a conclusion and the effects it means to have to the disk, and takes the agent's place, before any
    /// request leaves.
    ///
    /// # Errors
    /// [`Error::is_race`] when an agent's last place, a turn or what a person may claim went to another issue,
    /// [`Error::Stale`] when the claim is over.
    pub async fn intend(&self, claim: &Claim, decided: Decided) -> Result<Recorded, Error> {
        let claim = claim.clone();
        self.write(move |c| {
            lanes::fence(c, &claim)?;
            let recorded = insert(c, &claim, &decided)?;
            boundary!("intend::inserted");
            Ok(recorded)
        })
        .await
    }

    /// Writes down answers in place of those that were meant, because they do not fit what became of the other writes;
    /// gives the ledger's numbers of them.
    ///
    /// # Errors
    /// [`Error::Stale`] when the claim is over.
    pub async fn intend_answers(
        &self,
        claim: &Claim,
        recorded: &Recorded,
        answers: Vec<Effect>,
        at: Timestamp,
    ) -> Result<Vec<i64>, Error> {
        let (claim, recorded) = (claim.clone(), recorded.clone());
        self.write(move |c| {
            lanes::fence(c, &claim)?;
            answers.iter().map(|effect| insert_effect(c, &recorded, effect, at)).collect()
        })
        .await
    }

    /// When the writes to the claimed issue after `since` were done, oldest first. Answers to people are none: they
    /// have limits of their own.
    pub async fn writes_since(
        &self,
        claim: &Claim,
        since: Timestamp,
    ) -> Result<Vec<Timestamp>, Error> {
        let values = [claim.lane, since.timestamp_millis()];
        let sql = "SELECT settled_at FROM effect
                   WHERE lane = ?1 AND state = 'done' AND settled_at > ?2
                       AND (origin = 'agent' OR kind <> 'reaction' AND subject IS DISTINCT FROM 'answer') ORDER BY settled_at";
        self.read(move |c| all(c, sql, values, |r| r.get(0).map(from_millis))).await
    }
}

pub(super) fn insert(c: &Connection, claim: &Claim, decided: &Decided) -> Result<Recorded, Error> {
    let Decided { evaluation: e, plan } = decided;
    let sql =
        "INSERT INTO evaluation (lane, at, action, agent, reason, reason_code, verdict, signals)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let values = params![
        claim.lane,
        e.at.timestamp_millis(),
        e.decision.action().as_str(),
        e.decision.agent().map(AgentId::as_str),
        e.decision.reason().to_string(),
        e.decision.reason().code(),
        e.verdict.as_ref().map(to_json),
        to_json(&e.signals),
    ];
    let evaluation = super::rows::insert(c, "id", sql, values)?;
    confirm(c, plan, e.at)?;
    let open = dispatches::open_dispatch(c, claim.lane)?;
    let ends = e.transition.as_ref().filter(|to| !to.state.is_open());
    if let (Some(end), Some(open)) = (ends, &open) {
        let moment = Moment { at: e.at, evaluation: Some(evaluation) };
        dispatches::advance(c, open.id, end, moment)?;
    }
    forget(c, claim.lane, &plan.absent)?;
    if e.begins_anew {
        dispatches::begin_anew(c, claim.lane)?;
    }
    if e.changes_custody {
        people::keep(c, claim.lane, e)?;
    }
    duties::keep(c, claim.lane, e)?;
    orders::apply(c, &e.orders)?;
    let mut recorded =
        Recorded { lane: claim.lane, evaluation, dispatch: None, effects: Vec::new() };
    recorded.dispatch = match &plan.opens {
        Some(new) => Some(dispatches::open(c, &recorded, new, e)?),
        None => dispatches::open_dispatch(c, claim.lane)?.map(|d| d.id),
    };
    for effect in &plan.effects {
        recorded.effects.push(insert_effect(c, &recorded, effect, e.at)?);
    }
    Ok(recorded)
}

fn insert_effect(
    c: &Connection,
    recorded: &Recorded,
    effect: &Effect,
    at: Timestamp,
) -> Result<i64, Error> {
    let sql = "INSERT INTO effect (evaluation, lane, dispatch, kind, value, subject, comment, digest, body, intended_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let values = params![
        recorded.evaluation,
        recorded.lane,
        recorded.dispatch,
        effect.kind().as_str(),
        effect.value(),
        effect.marker().map(|marker| marker.subject().as_str()),
        effect.reacts_to(),
        effect.marker().map(|marker| marker.digest.as_str()),
        effect.kept_body(),
        at.timestamp_millis(),
    ];
    super::rows::insert(c, "id", sql, values)
}

/// Writes down what became of the writes that an interruption left open.
fn confirm(c: &Connection, plan: &Plan, at: Timestamp) -> Result<(), Error> {
    let sql = "UPDATE effect SET state = ?2, recovery = ?3, settled_at = ?4, body = NULL,
                   forge_id = coalesce(?5, forge_id), digest = coalesce(?6, digest) WHERE id = ?1";
    let at = at.timestamp_millis();
    for Confirmation { effect, recovery, found } in &plan.confirmations {
        let (state, recovery) = (recovery.state().as_str(), recovery.as_str());
        let (id, digest) = found.as_ref().map(|found| (found.id, &found.marker.digest)).unzip();
        run(c, sql, params![effect, state, recovery, at, id, digest])?;
    }
    Ok(())
}

/// Writes down how effects ended, in their order.
pub(super) fn record_effects(
    c: &Connection,
    recorded: &Recorded,
    outcomes: &[EffectOutcome],
    at: Timestamp,
) -> Result<(), Error> {
    let mut outcomes = recorded.effects.iter().zip(outcomes);
    outcomes.try_for_each(|(id, outcome)| record_outcome(c, *id, outcome, at))
}

/// Writes down that the answers from a place among the effects on were not sent: what they would have said depends on
/// what came before them.
pub(super) fn leave_unsaid(
    c: &Connection,
    recorded: &Recorded,
    from: usize,
    at: Timestamp,
) -> Result<(), Error> {
    let sql =
        "UPDATE effect SET state = 'failed', recovery = 'not_written', body = NULL, settled_at = ?2
               WHERE id = ?1 AND (kind = 'reaction' OR subject = 'answer')";
    let mut unsaid = recorded.effects.iter().skip(from);
    unsaid.try_for_each(|id| run(c, sql, [*id, at.timestamp_millis()]))
}

/// Writes down how an effect ended. The text of an answer is kept no longer: it is on the issue, or will not be.
pub(super) fn record_outcome(
    c: &Connection,
    effect: i64,
    outcome: &EffectOutcome,
    at: Timestamp,
) -> Result<(), Error> {
    let EffectOutcome { state, forge_id, note, body, .. } = outcome;
    let sql = "UPDATE effect SET state = ?2, forge_id = ?3, note = ?4, body = ?5, settled_at = ?6 WHERE id = ?1";
    run(c, sql, params![effect, state.as_str(), forge_id, note, body, at.timestamp_millis()])
}

/// The effects that put something on the issue for our dispatches that have ended, where it was there whenever it was
/// looked at since, and was not taken off by us.
const LEFT_OVER: &str = "FROM effect JOIN dispatch ON dispatch.id = effect.dispatch
     WHERE effect.lane = ?1 AND dispatch.lane = ?1 AND by_person = 0 AND ended_at IS NOT NULL
         AND effect.state = 'done' AND kind IN ('label', 'assignee') AND NOT EXISTS (
             SELECT 1 FROM effect AS off WHERE off.lane = ?1 AND off.id > effect.id AND off.state = 'done'
                 AND off.value = effect.value AND off.kind = CASE effect.kind WHEN 'label' THEN 'unlabel' ELSE 'unassign' END)";

/// What is still on the issue from our dispatches that have ended.
fn leftovers(c: &Connection, lane: i64) -> Result<BTreeSet<Mark>, Error> {
    let sql = format!("SELECT DISTINCT kind, value {LEFT_OVER}");
    Ok(marks(all(c, &sql, [lane], kind_and_value)?))
}

/// What the forge did not let us put on the issue for a dispatch, and what it said.
fn refused(c: &Connection, lane: i64, dispatch: i64) -> Result<BTreeMap<Mark, String>, Error> {
    let sql = "SELECT kind, value, coalesce(note, '') FROM effect
               WHERE lane = ?1 AND dispatch = ?2 AND state = 'failed' AND recovery IS NULL AND kind IN ('label', 'assignee')";
    let rows: Vec<_> = all(c, sql, [lane, dispatch], |r| Ok((kind_and_value(r)?, r.get(2)?)))?;
    let mark = |((kind, value), note)| Some((Mark::of(kind, value)?, note));
    Ok(rows.into_iter().filter_map(mark).collect())
}

/// Parts what is no longer on the issue from the ended dispatches it was put there for.
pub(super) fn forget(c: &Connection, lane: i64, absent: &[Mark]) -> Result<(), Error> {
    let part = "UPDATE effect SET dispatch = NULL WHERE lane = ?1 AND kind = ?2 AND value = ?3
                    AND dispatch IN (SELECT id FROM dispatch WHERE lane = ?1 AND ended_at IS NOT NULL)";
    let part = |mark: &Mark| run(c, part, params![lane, mark.kind().as_str(), mark.value()]);
    absent.iter().try_for_each(part)
}

/// What the text of the issue was at the latest evaluation, where that mattered, and when that was.
fn last_look(c: &Connection, lane: i64) -> Result<(Option<String>, Option<Timestamp>), Error> {
    let sql = "SELECT text_digest, evaluated_at FROM lane WHERE id = ?1";
    let look = first(c, sql, [lane], |r| Ok((r.get(0)?, r.get::<Option<_>>(1)?)))?;
    let (text, at) = look.unwrap_or_default();
    Ok((text, at.map(from_millis)))
}

/// Effects that were meant and never settled: a crash came between.
fn unconfirmed(c: &Connection, lane: i64) -> Result<Vec<Unconfirmed>, Error> {
    let sql = "SELECT id, origin, kind, value, coalesce(digest, ''), comment, body FROM effect
               WHERE lane = ?1 AND state = 'intended'";
    all(c, sql, [lane], |r| {
        let (kind, value): (EffectKind, String) = (parsed(r, 2)?, r.get(3)?);
        let write = match (kind, r.get(5)?) {
            (EffectKind::Comment, _) => UnconfirmedWrite::Comment {
                marker: Marker { decision: value, digest: r.get(4)? },
                body: r.get(6)?,
            },
            (EffectKind::Reaction, Some(comment)) => {
                UnconfirmedWrite::Reaction { comment, content: value }
            }
            (EffectKind::Reopen, _) => UnconfirmedWrite::Reopen,
            _ => UnconfirmedWrite::Other { kind, value },
        };
        let is_agents = parsed::<WriteOrigin>(r, 1)? == WriteOrigin::Agent;
        Ok(Unconfirmed { effect: r.get(0)?, is_agents, write })
    })
}

/// When the two latest answers to outsiders were meant.
fn answered_outsiders(c: &Connection, lane: i64) -> Result<Vec<Timestamp>, Error> {
    let sql = "SELECT intended_at FROM effect
               WHERE lane = ?1 AND kind = 'comment' AND state IN ('intended', 'done') AND value LIKE ?2 || '%'
               ORDER BY id DESC LIMIT 2";
    all(c, sql, params![lane, TO_OUTSIDER], |r| r.get(0).map(from_millis))
}

fn latest_comment(c: &Connection, lane: i64) -> Result<Option<MarkedComment>, Error> {
    let sql = "SELECT forge_id, value, coalesce(digest, '') FROM effect
               WHERE lane = ?1 AND state = 'done' AND subject = 'audit' AND forge_id IS NOT NULL
               ORDER BY id DESC LIMIT 1";
    first(c, sql, [lane], comment_of)
}

/// Our comments that call a person, but for those that say themselves that nobody has to act any more.
fn calls(c: &Connection, lane: i64) -> Result<Vec<MarkedComment>, Error> {
    let sql = "SELECT forge_id, value, coalesce(digest, '') FROM effect
               WHERE lane = ?1 AND state = 'done' AND kind = 'comment' AND forge_id IS NOT NULL
                   AND (value IN ('flag', 'approval') OR value LIKE 'notice:timed!_out:%' ESCAPE '!' OR value LIKE 'notice:escalation:%')
                   AND 'over' IS DISTINCT FROM (SELECT latest.digest FROM effect AS latest WHERE latest.lane = ?1
                       AND latest.state = 'done' AND latest.forge_id = effect.forge_id ORDER BY latest.id DESC LIMIT 1)";
    all(c, sql, [lane], comment_of)
}

fn comment_of(r: &Row<'_>) -> RowResult<MarkedComment> {
    let marker = Marker { decision: r.get(1)?, digest: r.get(2)? };
    Ok(MarkedComment { id: r.get(0)?, marker, body: String::new() })
}
