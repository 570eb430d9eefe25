//! Tools that remember: notes about a repository, for later runs. What is recalled was written under the influence of
//! texts of others, so it comes back as such a text.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::clean;
use super::super::environment::{AgentAction, Note};
use super::super::quoted::Part;
use super::super::tool::{BuiltIn, Permission, Tool, ToolContext, ToolError, ToolFuture};

/// The longest note, in characters.
const LONGEST: usize = 2_000;
/// The longest topic, in characters.
const LONGEST_TOPIC: usize = 80;

/// The tools of this file.
pub(super) fn tools() -> Vec<Box<dyn Tool>> {
    vec![
        BuiltIn::boxed(
            "jot_note",
            "Remember something about this repository for later runs; a note of the same topic is replaced.",
            Permission::Comment,
            jot,
        ),
        BuiltIn::boxed(
            "recall_notes",
            "Recall what was noted about this repository, all of it or one topic.",
            Permission::Read,
            recall,
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

fn jot(context: ToolContext<'_>, given: SaveNote) -> ToolFuture<'_> {
    Box::pin(async move {
        let topic = topic(&given.topic);
        let text = clean(&given.text).trim().to_owned();
        if topic.is_empty() || text.is_empty() {
            return Err(ToolError::Arguments("`topic` or `text` is empty".to_owned()));
        }
        if topic.chars().count() > LONGEST_TOPIC || text.chars().count() > LONGEST {
            return Err(ToolError::Arguments(format!(
                "a topic has at most {LONGEST_TOPIC} characters and a text {LONGEST}"
            )));
        }
        let note = Note { topic, text };
        Ok(vec![Part::trusted(
            context.environment.act(context.at, AgentAction::SaveNote(note)).await?,
        )])
    })
}

fn topic(given: &str) -> String {
    clean(given).split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Which notes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Recall {
    /// A topic; all of them when left out.
    topic: Option<String>,
}

fn recall(context: ToolContext<'_>, given: Recall) -> ToolFuture<'_> {
    Box::pin(async move {
        let wanted = given.topic.as_deref().map(topic);
        let mut notes = context.environment.notes(&context.at.repo).await?;
        notes.retain(|note| wanted.as_ref().is_none_or(|wanted| *wanted == note.topic));
        let mut parts = vec![Part::trusted(format!("{} notes", notes.len()))];
        parts.extend(
            notes
                .into_iter()
                .map(|note| Part::untrusted("a note", format!("{}: {}", note.topic, note.text))),
        );
        Ok(parts)
    })
}
