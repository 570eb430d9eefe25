//! What is answered to people's commands, and what is said again because it may have been lost. Pure.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Effect, fence};
use crate::dispatch::Mark;
use crate::triage::commands::{Command, help};
use crate::triage::{
    Audience, CommandRequest, Evaluation, MarkedComment, Marker, OrderEnd, OrderState, Snapshot,
    Source, Subject, UnconfirmedWrite, explain,
};

/// The reaction on a comment whose command was not carried out.
const REFUSED: Cow<'static, str> = Cow::Borrowed("confused");

/// Whom a person gave the issue to by name, notices that were lost, and the answers, last of all: they speak of what was
/// written before.
pub(super) fn replies(s: &Snapshot<'_>, e: &Evaluation) -> Vec<Effect> {
    let assign = e.assign.iter().filter(|login| !s.issue.is_assigned_to(login)).cloned();
    let mut replies: Vec<_> = assign.map(|login| Effect::Put(Mark::Assignee(login))).collect();
    replies.extend(lost(s, e, Subject::Notice));
    replies.extend(answers_of(s, e, &e.orders));
    replies
}

/// The answers to the commands of an evaluation, with what they have come to, and those of earlier versions that may have
/// been lost.
pub(super) fn answers_of(s: &Snapshot<'_>, e: &Evaluation, ends: &[OrderEnd]) -> Vec<Effect> {
    let mut effects = lost(s, e, Subject::Answer);
    if !s.requests.is_empty() {
        let explanation = e.verdict.as_ref().map(|verdict| explain(verdict, &e.signals));
        let said = s.facts.comments.as_deref().unwrap_or_default();
        let ends: Vec<_> = ends.iter().map(|end| beside_notices(e, end)).collect();
        effects.extend(answers(s.requests, &ends, said, &explanation.unwrap_or_default()));
    }
    effects
}

/// What a command has come to, without the words that a notice of the same evaluation says.
fn beside_notices(e: &Evaluation, end: &OrderEnd) -> OrderEnd {
    let reason = || e.decision.reason().to_string();
    let is_why = |why: &&String| e.notices.is_empty() || !why.contains(&reason());
    OrderEnd { why: end.why.as_ref().filter(is_why).cloned(), ..end.clone() }
}

/// What was meant earlier and is not known to be on the issue, where nothing that is meant now stands for it: comments of
/// a kind whose text was kept, and, of answers, reactions. Giving one twice gives it once.
fn lost(s: &Snapshot<'_>, e: &Evaluation, subject: Subject) -> Vec<Effect> {
    let said = s.facts.comments.as_deref();
    let is_lost = |marker: &Marker| {
        marker.subject() == subject
            && said.is_some_and(|all| all.iter().all(|c| c.marker.decision != marker.decision))
            && e.notices.iter().all(|notice| notice.marker().decision != marker.decision)
    };
    let is_answered =
        |comment: i64| s.requests.iter().any(|request| request.source == Source::Comment(comment));
    let meant = s.record.unconfirmed.iter().filter(|one| !one.is_agents);
    let again = |write: &UnconfirmedWrite| match write {
        UnconfirmedWrite::Comment { marker, body: Some(body) } if is_lost(marker) => {
            let marker = Marker::find(body)?;
            Some(Effect::Comment { edit: None, marker, body: body.clone() })
        }
        UnconfirmedWrite::Reaction { comment, content }
            if subject == Subject::Answer && !is_answered(*comment) =>
        {
            Some(Effect::Reaction { comment: *comment, content: content.clone().into() })
        }
        _ => None,
    };
    meant.filter_map(|one| again(&one.write)).collect()
}

/// One answer to each comment of which all commands have come to their end: a reaction, and words, where words are needed
/// and are not on the issue yet. `explanation` is what a comment gets that asks for the reasons. Nobody waits
/// on the issue for the answer to a command given by hand.
pub fn answers(
    orders: &[CommandRequest],
    ends: &[OrderEnd],
    said: &[MarkedComment],
    explanation: &str,
) -> Vec<Effect> {
    let mut sources = BTreeSet::new();
    let firsts = orders.iter().filter(|order| sources.insert(order.source));
    let answer = |first: &CommandRequest| {
        let Source::Comment(comment) = first.source else { return Vec::new() };
        let each = || orders.iter().zip(ends).filter(|(order, _)| order.source == first.source);
        if !each().all(|(_, end)| end.state.is_end()) {
            return Vec::new();
        }
        let marker = match each().next().map(|(_, end)| end.to) {
            Some(Audience::Writer) => Marker::answer(comment, first.part),
            Some(Audience::Outsider) => Marker::answer_to_outsider(comment, first.part),
            Some(Audience::Briefly) => return vec![Effect::Reaction { comment, content: REFUSED }],
            Some(Audience::Nobody) | None => return Vec::new(),
        };
        let is_said = first.is_said || said.iter().any(|c| c.marker.decision == marker.decision);
        let texts: Vec<_> =
            each().filter_map(|(order, end)| text(order, end, explanation)).collect();
        let body = format!("{}\n\n{marker}", texts.join("\n\n"));
        let words = Effect::Comment { edit: None, marker, body };
        let is_done = each().all(|(_, end)| end.state != OrderState::Refused);
        let content = if is_done { Cow::Borrowed("+1") } else { REFUSED };
        let words = (!is_said && !texts.is_empty()).then_some(words);
        [Effect::Reaction { comment, content }].into_iter().chain(words).collect()
    };
    firsts.flat_map(answer).collect()
}

/// A paragraph of the answer; none where the reaction says enough.
fn text(order: &CommandRequest, end: &OrderEnd, explanation: &str) -> Option<String> {
    match (&end.why, &order.command) {
        (Some(why), _) => Some(why.clone()),
        (None, Command::Help) => Some(help()),
        (None, Command::Explain) => Some(fence(explanation)),
        _ => None,
    }
}
