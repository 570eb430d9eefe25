//! Orders: the commands that people gave, each with a life of its own, from being read to the answer. A comment is known
//! by the forge's id of it, so that its commands are read once, however it was learned of.

use std::collections::BTreeSet;

use serde::Serialize;

use super::engine::{Connection, Row, RowResult, params};
use super::lanes::{self, Claim};
use super::rows::{all, first, parsed, parsed_if_any, run};
use super::{Error, Store, claims};
use crate::clock::{Timestamp, from_millis};
use crate::dispatch::TaskType;
use crate::triage::commands::read;
use crate::triage::{
    CommandRequest, Marker, OrderEnd, OrderState, Permission, Source, TO_OUTSIDER,
};

/// The commands of one comment or entry, as they were read.
#[derive(Clone, Debug)]
pub struct GivenOrders {
    /// Where they stand.
    pub source: Source,
    /// Who gave them.
    pub by: String,
    /// The forge's number of their account; 0 where only the login is known.
    pub by_id: i64,
    /// What stands behind `/triage`, of each that stands there now.
    pub commands: Vec<String>,
    /// Those that stood there before a change, as far as is known; `None` where nothing was changed.
    pub before: Option<Vec<String>>,
    /// The kind of task an agent is to have the issue for.
    pub task_type: Option<TaskType>,
}

/// A command as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct OrderView {
    /// When it was read.
    pub at: Timestamp,
    /// Who gave it.
    pub by: String,
    /// The command.
    pub command: String,
    /// How far it has come.
    pub state: OrderState,
    /// Why it is refused.
    pub why: Option<String>,
}

impl OrderView {
    /// Whether nothing more comes of it.
    pub fn has_ended(&self) -> bool {
        use OrderState::{Answered, CarriedOut, Refused};
        matches!(self.state, CarriedOut | Refused | Answered)
    }
}

/// How an issue stood when it was last looked at.
#[derive(Clone, Copy, Debug)]
pub struct LastLook {
    /// When that was; before the first, since when its repository concerns us.
    pub at: Timestamp,
    /// When the first look was: what is older is not for us.
    pub first_at: Timestamp,
    /// How many comments there were, ours included, where that is known.
    pub comments: Option<u64>,
}

impl Store {
    /// Writes down the commands that were read for a claimed issue; those that are known are left as they are.
    ///
    /// # Errors
    /// [`Error::Stale`] when the claim is over.
    pub async fn receive_orders(
        &self,
        claim: &Claim,
        given: Vec<GivenOrders>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write(move |c| {
            lanes::fence(c, &claim)?;
            given.iter().try_for_each(|one| receive(c, claim.lane, one, now))
        })
        .await
    }

    /// The commands for a claimed issue whose end nobody was told, oldest first. What whoever gave them may do is not
    /// known yet.
    pub async fn open_orders(&self, claim: &Claim) -> Result<Vec<CommandRequest>, Error> {
        let lane = claim.lane;
        self.read(move |c| {
            let sql = "SELECT id, source_comment, source_entry, part, given_by, command, task_type, state, why,
                           coalesce(given_by_id, 0)
                       FROM command WHERE lane = ?1 AND told_at IS NULL ORDER BY id";
            let mut open: Vec<CommandRequest> = all(c, sql, [lane], request)?;
            if open.is_empty() {
                return Ok(open);
            }
            let said = "SELECT value FROM effect WHERE lane = ?1 AND subject = 'answer' AND state = 'done'";
            let said: BTreeSet<String> = all(c, said, [lane], |r| r.get(0))?;
            let mut first_parts = std::collections::BTreeMap::new();
            for order in &mut open {
                let first = *first_parts.entry(order.source).or_insert(order.part);
                let Source::Comment(comment) = order.source else { continue };
                let markers = [Marker::answer, Marker::answer_to_outsider];
                order.is_said = markers.iter().any(|of| said.contains(&of(comment, first).decision));
            }
            Ok(open)
        })
        .await
    }

    /// What became of a command that was given by hand, by its place in the inbox; `None` before it was read.
    pub async fn order_given(&self, place: i64) -> Result<Option<OrderView>, Error> {
        self.read(move |c| {
            let sql = format!("{VIEW} WHERE source_entry = ?1 ORDER BY part");
            first(c, &sql, [place], view)
        })
        .await
    }

    /// Whether whoever gave this command was refused in words since then, for another comment, on whatever issue.
    pub async fn was_refused(
        &self,
        order: &CommandRequest,
        since: Timestamp,
    ) -> Result<bool, Error> {
        let Source::Comment(comment) = order.source else { return Ok(false) };
        let (by, since) = (order.by.clone(), since.timestamp_millis());
        self.read(move |c| {
            let found = first(c, REFUSED, params![by, since, comment, TO_OUTSIDER], |r| r.get(0));
            Ok(found?.unwrap_or(false))
        })
        .await
    }

    /// How the claimed issue stood at the last look; `None` where nothing says since when its comments concern us.
    pub async fn last_look(&self, claim: &Claim) -> Result<Option<LastLook>, Error> {
        let lane = claim.lane;
        let sql = "SELECT evaluated_at, CASE WHEN fingerprint IS NULL THEN NULL ELSE fingerprint_comments END,
                       (SELECT at FROM evaluation WHERE lane = lane.id ORDER BY id LIMIT 1),
                       (SELECT min(first_at) FROM sweep WHERE sweep.repo = lane.repo COLLATE NOCASE)
                   FROM lane WHERE id = ?1";
        self.read(move |c| {
            let look = first(c, sql, [lane], |r| {
                let [evaluated, first_evaluated, seen_from]: [Option<i64>; 3] =
                    [r.get(0)?, r.get(2)?, r.get(3)?];
                let Some(at) = evaluated.or(seen_from).map(from_millis) else { return Ok(None) };
                let first_at = first_evaluated.map_or(at, from_millis);
                Ok(Some(LastLook { at, first_at, comments: r.get(1)? }))
            });
            look.map(Option::flatten)
        })
        .await
    }
}

/// What was said about a comment is known by the beginning of its marker; a part of it may follow.
const REFUSED: &str = "SELECT EXISTS (SELECT 1 FROM command JOIN effect ON effect.lane = command.lane
        AND effect.kind = 'comment' AND effect.state IN ('intended', 'done')
        AND (effect.value = ?4 || source_comment OR effect.value LIKE ?4 || source_comment || ':%')
    WHERE command.state = 'refused' AND given_by = ?1 AND command.at >= ?2 AND source_comment <> ?3)";

/// Of a source that is new all commands are taken. A comment that is changed before anybody looked holds what it says
/// now; one that was refused may be mended; one that was obeyed stays so.
fn receive(c: &Connection, lane: i64, given: &GivenOrders, now: Timestamp) -> Result<(), Error> {
    let (comment, entry) = columns(given.source);
    let of_source = "SELECT id, part, state, command, told_at IS NOT NULL FROM command
                     WHERE source_comment = ?1 OR source_entry = ?2 ORDER BY part";
    let known: Vec<Known> = all(c, of_source, [comment, entry], |r| {
        Ok(Known {
            id: r.get(0)?,
            part: r.get(1)?,
            state: parsed(r, 2)?,
            command: r.get(3)?,
            is_told: r.get(4)?,
        })
    })?;
    let is_all = |holds: fn(&Known) -> bool| known.iter().all(holds);
    let is_old = |words: &&String| {
        given.before.as_ref().is_some_and(|before| before.contains(words))
            || known.iter().any(|one| one.command == **words)
    };
    let mut commands: Vec<&String> = given.commands.iter().collect();
    let mut first = 0;
    if known.is_empty() {
        commands.retain(|words| !is_old(words));
    } else if given.before.is_none() {
        return Ok(());
    } else if is_all(|one| one.state == OrderState::Received) {
        known.iter().try_for_each(|one| forget(c, one.id))?;
    } else if is_all(|one| one.state == OrderState::Refused && one.is_told) {
        commands.retain(|words| !is_old(words));
        first = known.last().map_or(0, |last| last.part + 1);
    } else {
        return Ok(());
    }
    let insert = "INSERT INTO command (lane, source_comment, source_entry, part, given_by, command, task_type, at,
                      given_by_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, nullif(?9, 0))";
    let (task, at) = (given.task_type.map(TaskType::as_str), now.timestamp_millis());
    for (part, command) in (first..).zip(commands) {
        run(
            c,
            insert,
            params![lane, comment, entry, part, given.by, command, task, at, given.by_id],
        )?;
    }
    Ok(())
}

/// Forgets a command that is not carried out, with what was claimed by it before that came to nothing.
fn forget(c: &Connection, order: i64) -> Result<(), Error> {
    claims::forget(c, order)?;
    run(c, "DELETE FROM command WHERE id = ?1", [order])
}

/// What is known of a command of a comment that is read again.
struct Known {
    id: i64,
    part: u32,
    state: OrderState,
    command: String,
    is_told: bool,
}

fn request(row: &Row<'_>) -> RowResult<CommandRequest> {
    let (comment, entry): (Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?);
    let state = parsed(row, 7)?;
    Ok(CommandRequest {
        order: row.get(0)?,
        source: comment.map_or_else(|| Source::Entry(entry.unwrap_or_default()), Source::Comment),
        part: row.get(3)?,
        by: row.get(4)?,
        command: read(&row.get::<String>(5)?),
        task_type: parsed_if_any(row, 6)?,
        state,
        why: row.get(8)?,
        by_id: row.get(9)?,
        is_said: false,
        is_author_told: false,
        permission: Permission::Unknown,
    })
}

/// Writes down, before any request leaves, which commands are in effect from now on, and which are refused.
pub(super) fn apply(c: &Connection, orders: &[OrderEnd]) -> Result<(), Error> {
    let sql = "UPDATE command SET state = ?2, why = ?3 WHERE id = ?1 AND state = 'received'";
    orders.iter().try_for_each(|end| {
        let refused = end.state == OrderState::Refused;
        let state = if refused { end.state } else { OrderState::Applied };
        run(c, sql, params![end.order, state.as_str(), end.why])
    })
}

/// Writes down what commands have come to.
pub(super) fn keep(c: &Connection, orders: &[OrderEnd], at: Timestamp) -> Result<(), Error> {
    let sql =
        "UPDATE command SET state = ?2, why = ?3, told_at = ?4 WHERE id = ?1 AND told_at IS NULL";
    orders.iter().try_for_each(|end| {
        let told_at = end.is_told.then_some(at.timestamp_millis());
        run(c, sql, params![end.order, end.state.as_str(), end.why, told_at])
    })
}

/// Has the agents that were chosen for an issue be chosen once more, and what was claimed be claimed: what was done about
/// that came to nothing.
pub(super) fn begin_again(c: &Connection, lane: i64) -> Result<(), Error> {
    let sql = "UPDATE command SET state = 'received' WHERE lane = ?1 AND state = 'applied'
                   AND (command = 'claim' OR command LIKE 'assign %' AND command NOT LIKE 'assign @%')";
    run(c, sql, [lane])
}

/// Gives the commands that were given by hand to another lane, after the entries that brought them.
pub(super) fn hand_over(c: &Connection, from: i64, to: i64) -> Result<(), Error> {
    let sql = "UPDATE command SET lane = ?2 WHERE lane = ?1 AND told_at IS NULL
                   AND source_entry IN (SELECT seq FROM delivery WHERE lane = ?2)";
    run(c, sql, [from, to])
}

/// Gives all that is open to another lane of the same issue.
pub(super) fn carry_over(c: &Connection, from: i64, to: i64) -> Result<(), Error> {
    run(c, "UPDATE command SET lane = ?2 WHERE lane = ?1 AND told_at IS NULL", [from, to])
}

/// The commands for an issue, the newest first.
pub(super) fn views(c: &Connection, lane: i64, limit: u32) -> Result<Vec<OrderView>, Error> {
    let sql = format!("{VIEW} WHERE lane = ?1 AND state <> 'answered' ORDER BY id DESC LIMIT ?2");
    all(c, &sql, params![lane, limit], view)
}

const VIEW: &str = "SELECT at, given_by, command, state, why FROM command";

fn view(row: &Row<'_>) -> RowResult<OrderView> {
    let command = read(&row.get::<String>(2)?);
    Ok(OrderView {
        at: from_millis(row.get(0)?),
        by: row.get(1)?,
        command: format!("/triage {}", command.words()).trim_end().to_owned(),
        state: parsed(row, 3)?,
        why: row.get(4)?,
    })
}

/// The columns of a command's source: the forge's id of a comment, or the place of an entry in the inbox.
fn columns(source: Source) -> (Option<i64>, Option<i64>) {
    match source {
        Source::Comment(id) => (Some(id), None),
        Source::Entry(seq) => (None, Some(seq)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{plan, scratch, scratch_file};

    #[tokio::test]
    async fn a_command_is_edited_after_what_was_claimed_by_it_was_buried() {
        let (_folder, store) = scratch();
        let given = |command: &str, before: Option<&str>| GivenOrders {
            source: Source::Comment(70),
            by: "bob".into(),
            by_id: 2,
            commands: vec![command.to_owned()],
            before: before.map(|before| vec![before.to_owned()]),
            task_type: None,
        };
        let commands = store
            .write(move |c| {
                run(c, "INSERT INTO lane (id, repo, number) VALUES (1, 'acme/widgets', 5)", [])?;
                receive(c, 1, &given("claim", None), Timestamp::default())?;
                // As it stands when nothing comes of it.
                run(c, "UPDATE command SET state = 'applied'", [])?;
                let claimed = "INSERT INTO person_claim (lane, command, login, since, remind_at, until, due_at)
                     SELECT 1, id, 'bob', 0, 1, 2, 1 FROM command";
                run(c, claimed, [])?;
                claims::give_up(c, 1, Timestamp::default(), false)?;
                begin_again(c, 1)?;
                receive(c, 1, &given("hold", Some("claim")), Timestamp::default())?;
                all::<String, Vec<_>>(c, "SELECT command FROM command", [], |r| r.get(0))
            })
            .await
            .unwrap();
        assert_eq!(commands, ["hold"]);
    }

    #[tokio::test]
    async fn who_was_refused_today_is_read_from_an_index() {
        let (_folder, store) = scratch_file();
        let steps = store.read(|c| plan(c, REFUSED)).await.unwrap();
        assert!(steps.iter().any(|step| step.contains("INDEX command_author")), "{steps:?}");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN command")), "{steps:?}");
    }
}
