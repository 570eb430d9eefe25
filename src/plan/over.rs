//! Comments that no longer hold say so at their top: those that called a person, and those that said what then could not
//! be done. Pure.

use super::approval::APPROVAL;
use super::question::{DUPLICATE, NEEDS_INFO};
use super::{Decided, Effect, EffectOutcome, Marker, OVER};
use crate::reason::{Reason, code};
use crate::triage::{Decision, Evaluation, MarkedComment, Question, Snapshot};

/// What the marker of a comment says of which not all was done.
const UNDONE: &str = "undone";

/// The edits of those that no longer hold. A person who removed one has done with it.
pub(super) fn over(s: &Snapshot<'_>, e: &Evaluation) -> Result<Vec<Effect>, Question> {
    let is_over = |call: &&MarkedComment| !holds(&call.marker, &e.decision);
    let asked = s.record.audit_comment.iter().filter(|one| is_answered(one, e));
    let calls = s.record.calls.iter().filter(is_over).chain(asked);
    let calls: Vec<_> = calls.map(|call| call.id).collect();
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    Ok(s.texts(&calls)?.into_iter().map(|one| edit(one, &e.decision)).collect())
}

/// Whether a person is still called for this: a flag as long as it is the decision, the end of a dispatch as long as
/// nobody said how to go on.
fn holds(call: &Marker, decision: &Decision) -> bool {
    match decision {
        Decision::Flag { reason: Reason::TimedOut(_) | Reason::Escalated(_) } => true,
        Decision::Flag { .. } => call.is_audit() && call.decision != APPROVAL,
        Decision::Skip { reason: Reason::AwaitsApproval { .. } } => call.decision == APPROVAL,
        Decision::Skip { reason: Reason::Held(hold) } => !call.is_audit() && !hold.0.is_command(),
        _ => false,
    }
}

/// Whether this asks for something that is not missing any more, or names an older issue that does not hold this one back
/// any more, and does not say so yet.
fn is_answered(comment: &MarkedComment, e: &Evaluation) -> bool {
    let Marker { decision, digest } = &comment.marker;
    let holds = match &e.decision {
        Decision::Skip { reason: Reason::Held(_) } => true,
        Decision::Skip { reason } | Decision::Flag { reason } => match &**decision {
            NEEDS_INFO => matches!(reason, Reason::NotReady { .. }),
            _ => matches!(reason, Reason::Duplicate { .. }),
        },
        _ => false,
    };
    [NEEDS_INFO, DUPLICATE].contains(&&**decision) && digest != OVER && !holds
}

fn edit(said: &MarkedComment, decision: &Decision) -> Effect {
    let marker = Marker { digest: OVER.to_owned(), ..said.marker.clone() };
    let old = said.text();
    let is_still_asked =
        matches!(decision.reason(), Reason::AwaitsApproval { .. } | Reason::Duplicate { .. })
            || matches!(decision, Decision::Flag { .. });
    let over = match &*said.marker.decision {
        NEEDS_INFO if is_still_asked => "Nothing of this is missing any more",
        _ if is_still_asked => "This does not hold any more",
        _ => "Nobody has to act on this any more",
    };
    let body = format!(
        "**{over}:** {}.\n\n\
         <details><summary>What it said</summary>\n\n{old}\n\n</details>\n\n{marker}",
        decision.reason().to_string().trim_end_matches('.')
    );
    Effect::Comment { edit: Some(said.id), marker, body }
}

impl Decided {
    /// What was not done of a dispatch, in words, with what is known of the effects; `None` when all was, or its comment
    /// was not written either.
    pub fn undone(&self, outcomes: &[EffectOutcome]) -> Option<String> {
        let failed = self.plan.effects.get(outcomes.len());
        let is_said = !matches!(failed, Some(Effect::Comment { edit: None, .. }));
        let is_dispatch = is_said && matches!(self.evaluation.decision, Decision::Dispatch { .. });
        let undone = self.plan.effects.iter().skip(outcomes.len());
        let undone = undone.filter(|one| matches!(one, Effect::Put(_) | Effect::HandOff { .. }));
        let undone: Vec<_> =
            undone.map(|one| format!("{} {}", one.kind().as_str(), code(one.value()))).collect();
        (is_dispatch && !undone.is_empty()).then(|| undone.join(", "))
    }
}

/// What the comment of a dispatch has to say that was written before something else failed for good; `said` are our
/// comments on the issue, newest first.
pub fn correction(said: &[MarkedComment], undone: &str, error: &str) -> Option<Effect> {
    let is_told = |one: &&MarkedComment| {
        one.marker.decision.starts_with("dispatch:") && one.marker.digest != UNDONE
    };
    let one = said.iter().find(|one| one.marker.is_audit()).filter(is_told)?;
    let old = one.text();
    let marker = Marker { digest: UNDONE.to_owned(), ..one.marker.clone() };
    let body = format!(
        "**Not all of this was done:** {error}. Missing: {undone}. It is not tried again by itself.\n\n{old}\n\n{marker}"
    );
    Some(Effect::Comment { edit: Some(one.id), marker, body })
}
