//! The audit comment: what was decided and why, readable by a person and found again by its marker. Text of the
//! issue is only ever quoted as code, where the forge neither mentions nor references anybody.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{Scene, Stage};
use crate::issue::Issue;
use crate::triage::{Decision, Verdict, acceptance_criteria, code, fence};

const MARKER: &str = "<!-- gitea-triage decision=";

/// The hidden line by which a comment of ours is found again. The forge drops HTML comments from what it shows and
/// keeps them in what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The decision told, such as `dispatch:claude`.
    pub decision: String,
    /// A digest of what is said about it; age and time left out, so that they alone never cause an edit.
    pub digest: String,
}

impl Marker {
    /// The marker of the answer to a comment.
    pub fn answer(comment: i64) -> Self {
        Self { decision: format!("answer:{comment}"), digest: "-".to_owned() }
    }

    /// The marker of what is told once about a dispatch.
    pub fn notice(kind: &str, dispatch: i64) -> Self {
        Self { decision: format!("notice:{kind}:{dispatch}"), digest: "-".to_owned() }
    }

    /// What the comment is.
    pub fn subject(&self) -> Subject {
        match self.decision.split_once(':') {
            Some(("answer", _)) => Subject::Answer,
            Some(("notice", _)) => Subject::Notice,
            _ => Subject::Audit,
        }
    }

    /// Whether it marks an audit comment rather than an answer or a notice.
    pub fn is_audit(&self) -> bool {
        self.subject() == Subject::Audit
    }

    /// The marker in a comment's text, if it ends in one. Only the last line counts: anything before may be quoted.
    pub fn find(body: &str) -> Option<Self> {
        let last = body.trim_end().lines().next_back()?;
        let inner = last.strip_prefix(MARKER)?.strip_suffix(" -->")?;
        let (decision, digest) = inner.split_once(" digest=")?;
        let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        (is_word(decision) && is_word(digest))
            .then(|| Self { decision: decision.to_owned(), digest: digest.to_owned() })
    }
}

impl std::fmt::Display for Marker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{MARKER}{} digest={} -->", self.decision, self.digest)
    }
}

named_enum! {
    /// What a comment of ours is.
    Subject {
        /// What was decided, and why; brought up to date by edits.
        Audit = "audit",
        /// The answer to a comment of a person, or what the local agent says.
        Answer = "answer",
        /// What is told once about a dispatch.
        Notice = "notice",
    }
}

/// What an audit comment is about.
#[derive(Clone, Copy)]
pub(super) enum About<'a> {
    /// Who has the issue, or had it last.
    Dispatch(&'a Stage<'a>),
    /// Why a person is called, or nobody.
    Decision(&'a Decision),
}

/// The marker of the comment for this verdict.
pub(super) fn marker(
    about: About<'_>,
    issue: &Issue,
    verdict: &Verdict,
    scene: &Scene<'_>,
) -> Marker {
    let mut hash = Sha256::new();
    let decision = match about {
        About::Dispatch(stage) => {
            hash.update(stage.digest());
            stage.decision()
        }
        About::Decision(decision) => decision.action().to_string(),
    };
    if !matches!(about, About::Dispatch(stage) if !stage.state.is_open()) {
        update_with_score(&mut hash, issue, verdict, scene);
    }
    if let About::Decision(Decision::Flag { reason }) = about {
        hash.update(reason);
    }
    Marker { decision, digest: hex::encode(&hash.finalize()[..6]) }
}

fn update_with_score(hash: &mut Sha256, issue: &Issue, verdict: &Verdict, scene: &Scene<'_>) {
    let score = &verdict.score;
    let parts = [score.scope, score.acceptance, score.alignment];
    hash.update(format!("{:?} {parts:?} {} {}", score.issue_type, verdict.task_type, score.p0));
    for signal in scene.signals {
        hash.update(format!("{}{}{:?}", signal.name, signal.points, signal.words));
    }
    for criterion in acceptance_criteria(issue) {
        hash.update(criterion);
    }
    hash.update([u8::from(scene.is_assignable)]);
}

/// The whole comment.
pub(super) fn render(
    about: About<'_>,
    issue: &Issue,
    verdict: &Verdict,
    scene: &Scene<'_>,
) -> String {
    let score = &verdict.score;
    let mut text = format!(
        "**Triage: {}**\n\n**Why:** {}.\n\n",
        headline(about, scene),
        why(about, verdict).trim_end_matches('.')
    );
    if let About::Dispatch(stage) = about {
        text.push_str(&progress(stage));
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
        verdict.task_type,
    );
    text.push_str(&points(scene));
    text.push_str(&criteria(issue));
    text.push_str(&override_hint(about));
    if let Some(page) = &scene.page {
        let _ = write!(text, " <sub>[The whole story]({page})</sub>");
    }
    text
}

/// Of an issue that somebody has, why they got it, whatever is decided about it now.
fn why<'a>(about: About<'a>, verdict: &'a Verdict) -> &'a str {
    match (about, &verdict.decision) {
        (About::Dispatch(stage), decision) if !matches!(decision, Decision::Dispatch { .. }) => {
            stage.reason
        }
        (_, decision) => decision.reason(),
    }
}

/// How far the dispatch has come, and what came of the one before it.
fn progress(stage: &Stage<'_>) -> String {
    let before = stage.before.map(|before| format!("**Before:** {before}.\n\n"));
    format!("{}{}\n\n", before.unwrap_or_default(), stage.line())
}

fn headline(about: About<'_>, scene: &Scene<'_>) -> String {
    match about {
        About::Dispatch(stage) => {
            format!("dispatched to {}{}", code(stage.agent.id.as_str()), how(stage, scene))
        }
        About::Decision(Decision::Flag { .. }) => format!("@{}, this needs you", scene.owner),
        About::Decision(other) => other.action().to_string(),
    }
}

/// By what the agent is called, and what could not be done.
fn how(stage: &Stage<'_>, scene: &Scene<'_>) -> String {
    if !stage.state.is_open() {
        return String::new();
    }
    let agent = stage.agent;
    let mut ways = Vec::new();
    if let Some(label) = &agent.label {
        ways.push(format!("label {}", code(label)));
    }
    match &agent.login {
        Some(login) if scene.is_assignable => ways.push(format!("assigned {}", code(login))),
        Some(login) => ways.push(format!(
            "not assigned, because the account {} does not exist or may not work here",
            code(login)
        )),
        None => {}
    }
    if ways.is_empty() { String::new() } else { format!(" ({})", ways.join(", ")) }
}

fn days(days: i64) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

fn points(scene: &Scene<'_>) -> String {
    let mut text = "<details><summary>Where the points come from</summary>\n\n".to_owned();
    if scene.signals.is_empty() {
        text.push_str("No signal was found.\n");
    }
    for signal in scene.signals {
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

fn criteria(issue: &Issue) -> String {
    let found = acceptance_criteria(issue);
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
            "<sub>`/triage retry` hands it over once more (`/triage help` lists what else).</sub>".to_owned()
        }
        About::Decision(_) => "<sub>To override: assign somebody, edit the issue, or comment `/triage assign <agent>` (`/triage help` lists what else).</sub>"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_found_again_in_its_own_comment() {
        let marker = Marker { decision: "dispatch:claude".into(), digest: "0a1b2c".into() };
        assert_eq!(Marker::find(&format!("text\n\n{marker}\n")), Some(marker));
    }

    #[test]
    fn a_quoted_marker_is_not_ours() {
        let marker = Marker { decision: "dispatch:claude".into(), digest: "0a1b2c".into() };
        assert_eq!(Marker::find(&format!("> {marker}\n\nI disagree")), None);
        assert_eq!(Marker::find(&format!("{marker}\n\nI disagree")), None);
        assert_eq!(Marker::find("<!-- gitea-triage decision= digest= -->"), None);
    }
}
