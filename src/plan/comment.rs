//! The audit comment: what was decided and why, readable by a person and found again by its marker. Text of the
//! issue is only ever quoted as code, where the forge neither mentions nor references anybody.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{PlanInput, Stage};
use crate::dispatch::Mark;
use crate::issue::IssueRef;
use crate::reason::Duty;
use crate::triage::{Approval, Decision, Marker, code, fence};

/// How many characters of a digest are shown.
const SHOWN: usize = 12;

/// What an audit comment is about.
#[derive(Clone, Copy)]
pub(super) enum About<'a> {
    /// Who has the issue, or had it last.
    Dispatch(&'a Stage<'a>),
    /// Why a person is called, or nobody.
    Decision(&'a Decision),
}

/// The marker of the comment for this verdict.
pub(super) fn marker(about: About<'_>, input: &PlanInput<'_>) -> Marker {
    let mut hash = Sha256::new();
    let decision = match about {
        About::Dispatch(stage) => {
            hash.update(stage.digest());
            stage.decision()
        }
        About::Decision(decision) => decision.action().to_string(),
    };
    // What becomes of the issue's text after a dispatch has ended is no news.
    if !matches!(about, About::Dispatch(stage) if !stage.state.is_open()) {
        let (score, task_type) = (&input.s.assessment.score, input.e.task_type());
        let parts = [score.scope, score.acceptance, score.alignment];
        hash.update(format!("{:?} {parts:?} {task_type} {}", score.issue_type, score.p0));
        for signal in &input.s.assessment.signals {
            hash.update(format!("{}{}{:?}", signal.name, signal.points, signal.words));
        }
        let criteria = input.rules.triage.criteria(input.s.issue);
        criteria.iter().for_each(|criterion| hash.update(criterion));
        hash.update(approved(about, input));
        hash.update([u8::from(input.is_assignable)]);
        input.refusals().for_each(|(mark, why)| hash.update(format!("{mark:?} {why}")));
    }
    if let About::Decision(Decision::Flag { reason }) = about {
        hash.update(reason.to_string());
        hash.update(input.e.duty.as_ref().map(Duty::to_string).unwrap_or_default());
    }
    Marker { decision, digest: hex::encode(&hash.finalize()[..6]) }
}

/// The whole comment.
pub(super) fn render(about: About<'_>, input: &PlanInput<'_>) -> String {
    let score = &input.s.assessment.score;
    let mut text = format!(
        "**Triage: {}**\n\n**Why:** {}.\n\n",
        headline(about, input),
        why(about, &input.e.decision).trim_end_matches('.')
    );
    if let About::Dispatch(stage) = about {
        // How far it has come, and what came of the one before it.
        if let Some(before) = &stage.before {
            let _ = write!(text, "**Before:** {before}.\n\n");
        }
        let _ = write!(text, "{}\n\n{}", stage.line(), approved(about, input));
    }
    if let (About::Decision(_), Some(duty)) = (about, &input.e.duty) {
        let _ = write!(text, "**Asked:** {duty}.\n\n");
    }
    let _ = write!(
        text,
        "| type | score | scope | acceptance | alignment | age | task type |\n\
         |---|---|---|---|---|---|---|\n\
         | {} | **{}** of 9 | {} | {} | {} | {} | `{}` |\n\n",
        score.issue_type.as_str(),
        score.total,
        score.scope,
        score.acceptance,
        score.alignment,
        days(score.age_days),
        input.e.task_type(),
    );
    text.push_str(&points(input));
    text.push_str(&criteria(input));
    text.push_str(&override_hint(about));
    if let Some(base) = &input.rules.pages {
        let IssueRef { repo, number } = input.s.at;
        // No path of the forge's: a link to an issue there would leave a reference on it.
        let page = format!("{base}/issues/{}/{}/{number}", repo.owner(), repo.name());
        let _ = write!(text, " <sub>[The whole story]({page})</sub>");
    }
    text
}

/// Of an issue that somebody has, why they got it, whatever is decided about it now.
fn why(about: About<'_>, decision: &Decision) -> String {
    match about {
        About::Dispatch(stage) if !matches!(decision, Decision::Dispatch { .. }) => {
            stage.reason.clone()
        }
        _ => decision.reason().to_string(),
    }
}

fn headline(about: About<'_>, input: &PlanInput<'_>) -> String {
    match about {
        About::Dispatch(stage) => {
            format!("dispatched to {}{}", code(stage.agent.id.as_str()), how(stage, input))
        }
        About::Decision(Decision::Flag { .. }) => format!("@{}, this needs you", input.owner),
        About::Decision(other) => other.action().to_string(),
    }
}

/// Who approved the text that the agent has, where that mattered, and how the text's digest begins.
fn approved(about: About<'_>, input: &PlanInput<'_>) -> String {
    let is_open = matches!(about, About::Dispatch(stage) if stage.state.is_open());
    let approval = input.e.approved().filter(|_| is_open);
    let line = |one: &Approval| {
        let digest = one.digest.get(..SHOWN).unwrap_or_default();
        format!("**Approved:** by {}, text {}\n\n", code(&one.by), code(digest))
    };
    approval.map(line).unwrap_or_default()
}

/// By what the agent is called, and what could not be done.
fn how(stage: &Stage<'_>, input: &PlanInput<'_>) -> String {
    if !stage.state.is_open() {
        return String::new();
    }
    let way = |mark: Mark| match (input.refusal(&mark), &mark) {
        (Some(why), Mark::Label(label)) => format!("without the label {}: {why}", code(label)),
        (Some(why), Mark::Assignee(login)) => format!("not assigned to {}: {why}", code(login)),
        (None, Mark::Label(label)) => format!("label {}", code(label)),
        (None, Mark::Assignee(login)) if input.is_assignable => format!("assigned {}", code(login)),
        (None, Mark::Assignee(login)) => format!(
            "not assigned, because the account {} does not exist or may not work here",
            code(login)
        ),
    };
    let ways: Vec<_> = stage.agent.marks().map(way).collect();
    if ways.is_empty() { String::new() } else { format!(" ({})", ways.join(", ")) }
}

fn days(days: i64) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

fn points(input: &PlanInput<'_>) -> String {
    let mut text = "<details><summary>Where the points come from</summary>\n\n".to_owned();
    if input.s.assessment.signals.is_empty() {
        text.push_str("No signal was found.\n");
    }
    for signal in &input.s.assessment.signals {
        let _ = write!(text, "- {} {:+}: {}", signal.part, signal.points, signal.name);
        let words: Vec<_> = signal.words.iter().map(|word| code(word)).collect();
        let _ = if words.is_empty() {
            writeln!(text)
        } else {
            writeln!(text, " ({})", words.join(", "))
        };
    }
    text.push_str("\n</details>\n\n");
    text
}

fn criteria(input: &PlanInput<'_>) -> String {
    let found = input.rules.triage.criteria(input.s.issue);
    if found.is_empty() {
        return String::new();
    }
    format!("**Acceptance criteria found in the issue:**\n\n{}\n\n", fence(&found.join("\n")))
}

fn override_hint(about: About<'_>) -> String {
    match about {
        About::Dispatch(stage) if stage.state.is_open() => {
            let label = stage.agent.label.as_deref();
            let label = label.map(|l| format!("take the label {} off, ", code(l)));
            format!(
                "<sub>To override: {}assign somebody else, or comment `/triage hold` (`/triage help` lists what else). What a person changes here is left as it is.</sub>",
                label.unwrap_or_default()
            )
        }
        About::Dispatch(_) => {
            "<sub>`/triage retry` dispatches it again (`/triage help` lists what else).</sub>".to_owned()
        }
        About::Decision(_) => "<sub>To override: assign somebody, edit the issue, or comment `/triage assign <agent>` (`/triage help` lists what else).</sub>"
            .to_owned(),
    }
}
