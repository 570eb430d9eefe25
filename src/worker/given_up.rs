//! What people are told of a claim that is given up: its commands are answered, and a comment that says more than was
//! done is corrected. Nobody is left waiting for what will not come. A command that cannot be answered stays open, and is
//! carried out or answered when the issue can be worked on again.

use super::Worker;
use super::process::Error;
use crate::apply::MissingLabel;
use crate::plan::{Decided, Plan, answers, correction};
use crate::reason::Reason;
use crate::store::{Claim, Failure, Told};
use crate::triage::commands::{Command, Refusal, answers_left, refusal, to_outsider};
use crate::triage::{
    Audience, CommandRequest, Decision, OrderEnd, OrderState, Permission, Record, Source,
};

impl Worker {
    /// Answers the open commands of a claim, and names what is `undone` of a dispatch in its comment.
    pub(super) async fn tell_given_up(
        &self,
        claim: &Claim,
        failure: &Failure,
        undone: Option<&str>,
    ) -> Result<(), Error> {
        let store = &self.parts.store;
        let orders = store.open_orders(claim).await?;
        let is_nothing = orders.is_empty() && undone.is_none();
        let is_in_vain = failure.is_about_us || failure.is_out_of_reach;
        if is_nothing || is_in_vain || self.parts.forge.is_dry_run() {
            return Ok(());
        }
        let said = self.marked_comments(&claim.at).await?;
        let record = store.record(claim.at.clone()).await?;
        let mut ends = self.ends(claim, &orders, failure, &record).await;
        let mut effects = answers(&orders, &ends, &said, &failure.reason);
        effects.extend(undone.and_then(|undone| correction(&said, undone, &failure.reason)));
        let decision = Decision::Skip { reason: Reason::GivenUp { error: failure.reason.clone() } };
        let plan = Plan { effects: effects.clone(), ..Plan::default() };
        let decided = Decided { plan, ..Decided::only(failure.at, decision, &record) };
        let recorded = store.intend(claim, decided).await?;
        let applied = self.parts.executor.apply(&claim.at, &effects, MissingLabel::Left).await;
        self.count(&effects, &applied);
        let is_all_said = applied.error.is_none();
        for (order, end) in orders.iter().zip(&mut ends) {
            let is_open = order.state == OrderState::Received && end.to == Audience::Nobody;
            let is_waited_for = matches!(order.source, Source::Comment(_));
            end.is_told = !is_waited_for || (is_all_said && !is_open);
        }
        let orders = ends.into_iter().filter(|end| end.is_told).collect();
        let told = Told { at: failure.at, recorded, effects: applied.effects, orders };
        Ok(store.keep_answers(claim, told).await?)
    }

    /// What the commands have come to, and who is told so.
    async fn ends(
        &self,
        claim: &Claim,
        orders: &[CommandRequest],
        failure: &Failure,
        record: &Record,
    ) -> Vec<OrderEnd> {
        let mut left = answers_left(record, failure.at);
        let mut ends: Vec<OrderEnd> = Vec::new();
        for order in orders {
            let end = end(order, &failure.reason);
            let same = orders.iter().zip(&ends).find(|(other, _)| other.source == order.source);
            let to = match same {
                Some((_, end)) => end.to,
                None if self.is_by_writer(claim, order).await => Audience::Writer,
                None => {
                    let to = to_outsider(order, &end, left);
                    left = left.saturating_sub(usize::from(to == Audience::Outsider));
                    to
                }
            };
            ends.push(OrderEnd { to, ..end });
        }
        ends
    }

    /// Whether whoever gave a command is known to be allowed to.
    async fn is_by_writer(&self, claim: &Claim, order: &CommandRequest) -> bool {
        matches!(self.permission(claim, order).await, Ok(Permission::Writer))
    }
}

/// What a command has come to: one that only concerns the ledger is in effect there.
fn end(order: &CommandRequest, error: &str) -> OrderEnd {
    let is_in_ledger = matches!(order.command, Command::Hold { .. } | Command::Done);
    match order.state {
        OrderState::Refused => {
            OrderEnd::refused(order.order, order.why.as_deref().unwrap_or_default())
        }
        OrderState::Applied if is_in_ledger => OrderEnd::at(order.order, OrderState::CarriedOut),
        OrderState::Received | OrderState::Applied => {
            let why = refusal(&order.command, &Refusal::Failed(error));
            OrderEnd::refused(order.order, why)
        }
        state => OrderEnd::at(order.order, state),
    }
}
