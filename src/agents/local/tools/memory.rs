//! Tools that remember: notes about a repository, for later runs. What is recalled was written under the influence of
//! texts of others, so it comes back as such a text.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::clean;
use super::super::environment::{AgentAction, Note};
use super::super::quoted::Part;
use super::super::tool::{Outcome, Permission, Tool, ToolContext, ToolError};
use super::write::{on_one_line, writing};

/// The longest note, in characters.
const LONGEST: usize = 2_000;
/// The longest topic, in characters.
const LONGEST_TOPIC: usize = 80;

/// The tools of this file.
pub(super) fn tools() -> [Tool; 2] {
    [
        writing(
            "jot_note",
            "Remember something about this repository for later runs; a note of the same topic is replaced.",
            Permission::Comment,
            jot,
        ),
        Tool::new(
            "recall_notes",
            "Recall what was noted about this repository, all of it or one topic.",
            Permission::Read,
            |c, a| Box::pin(recall(c, a)),
        ),
    ]
}

/// A note.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SaveNote {
    /// What it is about, in a word or two.
    topic: String,
    /// What is to be remembered.
    text: String,
}

fn jot(given: SaveNote) -> Result<AgentAction, ToolError> {
    let topic = topic(&given.topic);
    let text = clean(&given.text).trim().to_owned();
    if topic.is_empty() || text.is_empty() {
        return Err(ToolError::Arguments("`topic` or `text` is empty".to_owned()));
    }
    if topic.chars().count() > LONGEST_TOPIC || text.chars().count() > LONGEST {
        let why = format!("a topic has at most {LONGEST_TOPIC} characters and a text {LONGEST}");
        return Err(ToolError::Arguments(why));
    }
    Ok(AgentAction::SaveNote(Note { topic, text }))
}

fn topic(given: &str) -> String {
    on_one_line(&clean(given)).to_lowercase()
}

/// Which notes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Recall {
    /// A topic; all of them when left out.
    topic: Option<String>,
}

async fn recall(context: ToolContext<'_>, given: Recall) -> Outcome {
    let wanted = given.topic.as_deref().map(topic);
    let mut notes = context.environment.notes(&context.at.repo).await?;
    notes.retain(|note| wanted.as_ref().is_none_or(|wanted| *wanted == note.topic));
    let head = Part::trusted(format!("{} notes", notes.len()));
    let texts = notes.into_iter().map(|Note { topic, text }| format!("{topic}: {text}"));
    Ok([head].into_iter().chain(texts.map(|text| Part::untrusted("a note", text))).collect())
}
