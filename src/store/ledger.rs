//! The ledger: what was concluded, which writes were meant and which are known to have happened, who has what.
//! An effect is written down as meant before its request leaves, so that a crash in between is noticed.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::dispatches::{Moment, Move, NewDispatch};
use super::lanes::{self, Claim};
use super::people::{self, Wishes};
use super::rows::{kind_and_value, parsed, to_json};
use super::{Error, Store, dispatches};
use crate::clock::Timestamp;
use crate::dispatch::{Agent, AgentId, Dispatch, TaskType, Try};
use crate::issue::IssueRef;
use crate::plan::{Effect, EffectKind, EffectOutcome, EffectState, Recovery, Subject, WriteOrigin};
use crate::triage::{Decision, OWN_SUMMARY, Signal, Source, Verdict};

/// The code of the reason for leaving a daily summary alone.
pub(super) const OWN_SUMMARY_CODE: &str = "own_summary";

/// What the ledger knows about an issue before it is looked at again.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The dispatch that is open for it.
    pub dispatch: Option<Dispatch>,
    /// The two latest dispatches of ours, open or ended, the newer one first.
    pub latest: Vec<Dispatch>,
    /// Our latest comment on it.
    pub comment: Option<PastComment>,
    /// True when a comment was meant and nobody knows whether it was written.
    pub comment_unknown: bool,
    /// What has been put on the issue for the open dispatch, as kind and value.
    pub applied: BTreeSet<(EffectKind, String)>,
    /// What was put on it for dispatches of ours that have ended, as kind and value.
    pub leftovers: BTreeSet<(EffectKind, String)>,
    /// The tries that failed since a person last said to begin anew.
    pub tries: Vec<Try>,
    /// True when the issue was to be opened again and nobody knows whether it was.
    pub reopen_unknown: bool,
    /// How many dispatches each agent has open, this issue's own not counted.
    pub load: BTreeMap<AgentId, u32>,
    /// The agent of its latest dispatch, open or ended.
    pub last_agent: Option<AgentId>,
    /// How people left it.
    pub wishes: Wishes,
    /// Answers and notices that were meant and may not have been written, as decision and text.
    pub answers_unknown: Vec<(String, String)>,
    /// Reactions that were meant and may not have been given, as comment and content.
    pub reactions_unknown: Vec<(i64, String)>,
}

/// A comment of ours, as the ledger remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastComment {
    /// The forge's id.
    pub id: i64,
    /// The decision it tells.
    pub decision: String,
    /// The digest of what it says.
    pub digest: String,
}

/// A conclusion, and the writes it leads to.
#[derive(Clone, Debug)]
pub struct Intent {
    /// When it was concluded.
    pub at: Timestamp,
    /// What is to happen.
    pub decision: Decision,
    /// The whole verdict; `None` when the issue is gone.
    pub verdict: Option<Verdict>,
    /// What gave the points.
    pub signals: Vec<Signal>,
    /// The writes, in order.
    pub effects: Vec<Effect>,
    /// The dispatch that is to be opened.
    pub opens: Option<Opening>,
    /// How the open dispatch ends before anything else, and why.
    pub ends: Option<Move>,
    /// What the issue waits for.
    pub blockers: Vec<IssueRef>,
    /// When the issue was opened, for the order in which those that wait are taken.
    pub opened_at: Option<Timestamp>,
    /// Our comments as they were found on the issue, where the ledger did not know whether they were written.
    pub found: Vec<PastComment>,
    /// A person said to begin anew: earlier tries no longer count.
    pub begins_anew: bool,
    /// How people leave the issue from now on; `None` when nothing changed.
    pub wishes: Option<Wishes>,
    /// The comments and entries whose commands are answered by this.
    pub answered: Vec<Source>,
    /// What was put on the issue for dispatches and is not there any more: should it come back once they have ended,
    /// it is a person's.
    pub absent: Vec<(EffectKind, String)>,
}

impl Intent {
    /// A conclusion that writes and changes nothing.
    pub fn of(at: Timestamp, decision: Decision) -> Self {
        Self {
            at,
            decision,
            verdict: None,
            signals: Vec::new(),
            effects: Vec::new(),
            opens: None,
            ends: None,
            blockers: Vec::new(),
            opened_at: None,
            found: Vec::new(),
            begins_anew: false,
            wishes: None,
            answered: Vec::new(),
            absent: Vec::new(),
        }
    }
}

/// A dispatch about to be opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Who gets it.
    pub agent: Agent,
    /// A person gave it to the agent, who has been told by that and takes it whether a place is free or not.
    pub by_person: bool,
    /// Names the dispatch to an agent that is called directly.
    pub key: String,
}

/// A recorded intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The ledger's number.
    pub id: i64,
    /// The dispatch the effects belong to.
    pub dispatch: Option<i64>,
    /// The ledger's numbers of the effects, in their order.
    pub effects: Vec<i64>,
}

impl Store {
    /// What is known about an issue.
    pub async fn past(&self, at: IssueRef) -> Result<Past, Error> {
        self.read(move |c| {
            let Some(lane) = lanes::find(c, &at)? else {
                return Ok(Past { load: dispatches::load(c, -1)?, ..Past::default() });
            };
            let dispatch = dispatches::open_dispatch(c, lane)?;
            let applied = match &dispatch {
                Some(dispatch) => applied(c, dispatch.id)?,
                None => BTreeSet::new(),
            };
            Ok(Past {
                comment: latest_comment(c, lane)?,
                comment_unknown: is_intended(c, lane, EffectKind::Comment)?,
                answers_unknown: answers_unknown(c, lane)?,
                reactions_unknown: reactions_unknown(c, lane)?,
                last_agent: dispatches::last_agent(c, lane)?,
                latest: dispatches::latest(c, lane)?,
                leftovers: leftovers(c, lane)?,
                tries: dispatches::tries(c, lane)?,
                reopen_unknown: is_intended(c, lane, EffectKind::Reopen)?,
                wishes: people::wishes(c, lane)?,
                load: dispatches::load(c, lane)?,
                dispatch,
                applied,
            })
        })
        .await
    }

    /// Writes a conclusion and the effects it means to have to the disk, and takes the agent's place, before any
    /// request leaves.
    ///
    /// # Errors
    /// [`Error::AgentBusy`] when the agent's last place went to another issue, [`Error::Stale`] when the claim is over.
    pub async fn intend(&self, claim: &Claim, intent: Intent) -> Result<Evaluation, Error> {
        let claim = claim.clone();
        self.write(move |c| {
            lanes::fence(c, &claim)?;
            let evaluation = insert(c, &claim, &intent)?;
            boundary!("intend::inserted");
            Ok(evaluation)
        })
        .await
    }
}

pub(super) fn insert(c: &Connection, claim: &Claim, intent: &Intent) -> Result<Evaluation, Error> {
    let mut evaluation = c.prepare_cached(
        "INSERT INTO evaluation (lane, at, action, agent, reason, reason_code, verdict, signals)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    evaluation.execute(params![
        claim.lane,
        intent.at.timestamp_millis(),
        intent.decision.action().as_str(),
        intent.decision.agent().map(AgentId::as_str),
        intent.decision.reason(),
        reason_code(&intent.decision),
        intent.verdict.as_ref().map(to_json),
        to_json(&intent.signals),
    ])?;
    let id = c.last_insert_rowid();
    settle_unconfirmed(c, claim.lane, intent)?;
    if let (Some(end), Some(open)) = (&intent.ends, dispatches::open_dispatch(c, claim.lane)?) {
        dispatches::advance(c, open.id, end, Moment { at: intent.at, evaluation: Some(id) })?;
    }
    forget(c, claim.lane, &intent.absent)?;
    if intent.begins_anew {
        dispatches::begin_anew(c, claim.lane)?;
    }
    if let Some(wishes) = &intent.wishes {
        people::keep(c, claim.lane, wishes, intent.at)?;
    }
    people::answered(c, claim.lane, &intent.answered, intent.at)?;
    let dispatch = match &intent.opens {
        Some(opening) => Some(open(c, opening, &new_dispatch(claim.lane, id, opening, intent))?),
        None => dispatches::open_dispatch(c, claim.lane)?.map(|d| d.id),
    };
    let mut evaluation = Evaluation { id, dispatch, effects: Vec::new() };
    insert_effects(c, claim.lane, &mut evaluation, intent)?;
    Ok(evaluation)
}

fn new_dispatch<'a>(
    lane: i64,
    evaluation: i64,
    opening: &'a Opening,
    intent: &'a Intent,
) -> NewDispatch<'a> {
    NewDispatch {
        lane,
        evaluation,
        agent: &opening.agent,
        key: &opening.key,
        task_type: intent.verdict.as_ref().map_or(TaskType::RoutineCoding, |v| v.task_type),
        by_person: opening.by_person,
        reason: intent.decision.reason(),
        at: intent.at,
    }
}

/// Opens a dispatch. What earlier ones left on the issue for the same agent is this one's from now on: it is not put on
/// again, and whoever takes it off ends this one.
fn open(c: &Connection, opening: &Opening, new: &NewDispatch<'_>) -> Result<i64, Error> {
    let id = dispatches::open(c, new)?;
    if !opening.by_person {
        let sql = format!(
            "UPDATE effect SET dispatch = ?2 WHERE id IN (
                 SELECT effect.id {LEFT_OVER} AND (kind = 'label' AND value = ?3 OR kind = 'assignee' AND value = ?4))"
        );
        let agent = &opening.agent;
        c.prepare_cached(&sql)?.execute(params![new.lane, id, agent.label, agent.login])?;
    }
    Ok(id)
}

fn insert_effects(
    c: &Connection,
    lane: i64,
    evaluation: &mut Evaluation,
    intent: &Intent,
) -> Result<(), Error> {
    let mut insert = c.prepare_cached(
        "INSERT INTO effect (evaluation, lane, dispatch, kind, value, subject, comment, digest, body, intended_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for effect in &intent.effects {
        evaluation.effects.push(insert.insert(params![
            evaluation.id,
            lane,
            evaluation.dispatch,
            effect.kind().as_str(),
            effect.value(),
            effect.subject().map(Subject::as_str),
            effect.reacts_to(),
            effect.digest(),
            effect.kept_body(),
            intent.at.timestamp_millis(),
        ])?);
    }
    Ok(())
}

/// The stable name of the rule that decided, as far as rows are looked for by it.
fn reason_code(decision: &Decision) -> Option<&'static str> {
    (decision.reason() == OWN_SUMMARY).then_some(OWN_SUMMARY_CODE)
}

/// A write that was meant and never settled: a crash came between.
struct Unconfirmed {
    id: i64,
    kind: EffectKind,
    value: String,
    digest: Option<String>,
    origin: WriteOrigin,
}

impl Unconfirmed {
    /// Of two comments that tell the same the newer one stands first; what the local agent says differs only by its
    /// digest.
    fn found_in<'a>(&self, comments: &'a [PastComment]) -> Option<&'a PastComment> {
        let is_it = |found: &&PastComment| {
            found.decision == self.value
                && (self.origin == WriteOrigin::Plan || Some(&found.digest) == self.digest.as_ref())
        };
        comments.iter().find(is_it).filter(|_| self.kind == EffectKind::Comment)
    }

    /// The issue has been read since, so what is not meant again was found on it.
    fn recovery(&self, intent: &Intent) -> Recovery {
        let is_meant = |e: &Effect| e.kind() == self.kind && e.value() == self.value;
        let is_missing = self.kind == EffectKind::Comment && self.found_in(&intent.found).is_none();
        match self.origin {
            _ if is_missing || intent.effects.iter().any(is_meant) => Recovery::NotWritten,
            WriteOrigin::Agent if self.kind != EffectKind::Comment => Recovery::Unknown,
            _ => Recovery::Found,
        }
    }
}

fn unconfirmed(c: &Connection, lane: i64) -> Result<Vec<Unconfirmed>, Error> {
    let mut rows = c.prepare_cached(
        "SELECT id, kind, value, digest, origin FROM effect WHERE lane = ?1 AND state = 'intended'",
    )?;
    let rows = rows.query_map([lane], |row| {
        Ok(Unconfirmed {
            id: row.get(0)?,
            kind: parsed(row, 1)?,
            value: row.get(2)?,
            digest: row.get(3)?,
            origin: parsed(row, 4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes down what became of the writes that an interruption left open.
fn settle_unconfirmed(c: &Connection, lane: i64, intent: &Intent) -> Result<(), Error> {
    let mut settle = c.prepare_cached(
        "UPDATE effect SET state = ?2, recovery = ?3, settled_at = ?4, body = NULL,
             forge_id = coalesce(?5, forge_id), digest = coalesce(?6, digest) WHERE id = ?1",
    )?;
    for one in unconfirmed(c, lane)? {
        let (found, recovery) = (one.found_in(&intent.found), one.recovery(intent));
        let state = match recovery {
            Recovery::Found => EffectState::Done,
            Recovery::NotWritten | Recovery::Unknown => EffectState::Failed,
        };
        settle.execute(params![
            one.id,
            state.as_str(),
            recovery.as_str(),
            intent.at.timestamp_millis(),
            found.map(|f| f.id),
            found.map(|f| &f.digest)
        ])?;
    }
    Ok(())
}

pub(super) fn record_effects(
    c: &Connection,
    evaluation: &Evaluation,
    outcomes: &[EffectOutcome],
    at: Timestamp,
) -> Result<(), Error> {
    let outcomes = evaluation.effects.iter().zip(outcomes);
    outcomes.into_iter().try_for_each(|(id, outcome)| record_outcome(c, *id, outcome, at))
}

/// Writes down how an effect ended. The text of an answer is kept no longer: it is on the issue, or will not be.
pub(super) fn record_outcome(
    c: &Connection,
    effect: i64,
    outcome: &EffectOutcome,
    at: Timestamp,
) -> Result<(), Error> {
    c.prepare_cached(
        "UPDATE effect SET state = ?2, forge_id = ?3, note = ?4, body = ?5, settled_at = ?6 WHERE id = ?1",
    )?
    .execute(params![
        effect,
        outcome.state.as_str(),
        outcome.forge_id,
        outcome.note,
        outcome.body,
        at.timestamp_millis()
    ])?;
    Ok(())
}

fn applied(c: &Connection, dispatch: i64) -> Result<BTreeSet<(EffectKind, String)>, Error> {
    let mut rows =
        c.prepare_cached("SELECT kind, value FROM effect WHERE dispatch = ?1 AND state = 'done'")?;
    Ok(rows.query_map([dispatch], kind_and_value)?.collect::<Result<_, _>>()?)
}

/// The effects that put something on the issue for dispatches of ours that have ended, where it was there whenever it was
/// looked at since, and was not taken off by us.
const LEFT_OVER: &str = "FROM effect JOIN dispatch ON dispatch.id = effect.dispatch
     WHERE dispatch.lane = ?1 AND NOT by_person AND ended_at IS NOT NULL
         AND effect.state = 'done' AND kind IN ('label', 'assignee') AND NOT EXISTS (
             SELECT 1 FROM effect AS off WHERE off.lane = ?1 AND off.id > effect.id AND off.state = 'done'
                 AND off.value = effect.value AND off.kind = iif(effect.kind = 'label', 'unlabel', 'unassign'))";

/// What is still the issue's from dispatches of ours that have ended.
fn leftovers(c: &Connection, lane: i64) -> Result<BTreeSet<(EffectKind, String)>, Error> {
    let mut rows = c.prepare_cached(&format!("SELECT DISTINCT kind, value {LEFT_OVER}"))?;
    Ok(rows.query_map([lane], kind_and_value)?.collect::<Result<_, _>>()?)
}

/// Parts what is no longer on the issue from the ended dispatches it was put there for.
pub(super) fn forget(
    c: &Connection,
    lane: i64,
    absent: &[(EffectKind, String)],
) -> Result<(), Error> {
    let mut part = c.prepare_cached(
        "UPDATE effect SET dispatch = NULL WHERE lane = ?1 AND kind = ?2 AND value = ?3
             AND dispatch IN (SELECT id FROM dispatch WHERE lane = ?1 AND ended_at IS NOT NULL)",
    )?;
    for (kind, value) in absent {
        part.execute(params![lane, kind.as_str(), value])?;
    }
    Ok(())
}

fn is_intended(c: &Connection, lane: i64, kind: EffectKind) -> Result<bool, Error> {
    let mut rows = c.prepare_cached(
        "SELECT 1 FROM effect WHERE lane = ?1 AND state = 'intended' AND kind = ?2",
    )?;
    Ok(rows.exists(params![lane, kind.as_str()])?)
}

fn reactions_unknown(c: &Connection, lane: i64) -> Result<Vec<(i64, String)>, Error> {
    let mut rows = c.prepare_cached(
        "SELECT comment, value FROM effect
         WHERE lane = ?1 AND state = 'intended' AND kind = 'reaction' AND comment IS NOT NULL",
    )?;
    let rows = rows.query_map([lane], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn answers_unknown(c: &Connection, lane: i64) -> Result<Vec<(String, String)>, Error> {
    let mut rows = c.prepare_cached(
        "SELECT value, body FROM effect WHERE lane = ?1 AND state = 'intended' AND kind = 'comment'
             AND subject IN ('answer', 'notice') AND body IS NOT NULL",
    )?;
    let rows = rows.query_map([lane], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn latest_comment(c: &Connection, lane: i64) -> Result<Option<PastComment>, Error> {
    let mut rows = c.prepare_cached(
        "SELECT forge_id, value, digest FROM effect
         WHERE lane = ?1 AND state = 'done' AND subject = 'audit' AND forge_id IS NOT NULL
         ORDER BY id DESC LIMIT 1",
    )?;
    let found = rows.query_row([lane], |r| {
        Ok(PastComment {
            id: r.get(0)?,
            decision: r.get(1)?,
            digest: r.get::<_, Option<String>>(2)?.unwrap_or_default(),
        })
    });
    Ok(found.optional()?)
}
