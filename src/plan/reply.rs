//! What is answered to people: to their new comments, and again to those whose answer may have been lost. Pure.

use std::borrow::Cow;

use super::{Effect, fence};
use crate::dispatch::Mark;
use crate::triage::{
    Answer, Audience, Evaluation, MarkedComment, Marker, Snapshot, Source, UnconfirmedWrite,
    explain,
};

/// The answers; `said` are our comments on the issue, where they were read.
pub(super) fn replies(
    s: &Snapshot<'_>,
    e: &Evaluation,
    said: Option<&[MarkedComment]>,
) -> Vec<Effect> {
    let assign = e.assign.iter().filter(|login| !s.issue.is_assigned_to(login)).cloned();
    let mut replies: Vec<_> = assign.map(|login| Effect::Put(Mark::Assignee(login))).collect();
    if !e.answers.is_empty() {
        let explanation = e.verdict.as_ref().map(|verdict| explain(verdict, &e.signals));
        let explanation = explanation.unwrap_or_default();
        replies.extend(e.answers.iter().flat_map(|one| answer(one, &explanation)));
    }
    let unconfirmed = || s.record.unconfirmed.iter().filter(|one| !one.is_agents);
    // Giving a reaction twice gives it once.
    replies.extend(unconfirmed().filter_map(|one| match &one.write {
        UnconfirmedWrite::Reaction { comment, content } => {
            Some(Effect::Reaction { comment: *comment, content: content.clone().into() })
        }
        _ => None,
    }));
    let is_lost = |marker: &Marker| {
        said.is_some_and(|all| all.iter().all(|c| c.marker.decision != marker.decision))
            && e.notices.iter().all(|notice| notice.marker().decision != marker.decision)
    };
    replies.extend(unconfirmed().filter_map(|one| match &one.write {
        UnconfirmedWrite::Comment { marker, body: Some(body) } if is_lost(marker) => {
            let marker = Marker::find(body)?;
            Some(Effect::Comment { edit: None, marker, body: body.clone() })
        }
        _ => None,
    }));
    replies
}

/// The reaction and, where words are needed, the comment that answer a comment with commands. `explanation` is what a
/// comment gets that asks for the reasons. Nobody waits on the issue for the answer to a command given by hand.
fn answer(answer: &Answer, explanation: &str) -> Vec<Effect> {
    let Source::Comment(comment) = answer.source else { return Vec::new() };
    let marker = match answer.to {
        Audience::Writer => Marker::answer(comment),
        Audience::Outsider => Marker::answer_to_outsider(comment),
        Audience::Nobody => return Vec::new(),
    };
    let content = if answer.is_done { "+1" } else { "confused" };
    let mut texts = answer.texts.clone();
    if answer.explains {
        texts.push(fence(explanation));
    }
    let mut effects = vec![Effect::Reaction { comment, content: Cow::Borrowed(content) }];
    if !texts.is_empty() {
        let body = format!("{}\n\n{marker}", texts.join("\n\n"));
        effects.push(Effect::Comment { edit: None, marker, body });
    }
    effects
}
