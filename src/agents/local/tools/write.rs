//! Tools that say or change something: always on the issue that is worked on, always as a [`AgentAction`].

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::clean;
use super::super::environment::{AgentAction, SubIssue};
use super::super::quoted::Part;
use super::super::tool::{Permission, Tool, ToolError};
use crate::dispatch::AgentId;

/// The longest text that is written, in characters.
const LONGEST: usize = 8_000;
/// The longest title or criterion, in characters.
const LONGEST_LINE: usize = 200;
/// How many criteria or parts are taken.
const MOST: usize = 10;

/// The tools of this file.
pub(super) fn tools() -> [Tool; 5] {
    use Permission::{Comment as Say, Write};
    [
        writing("comment", "Write a comment on the issue you work on.", Say, comment),
        writing(
            "propose_criteria",
            "Propose, in a comment, what has to hold when the issue is done.",
            Say,
            criteria,
        ),
        writing("add_label", "Put a label that exists on the issue you work on.", Write, label),
        writing(
            "plan_sub_issues",
            "Split the issue into parts. A person may have to agree before they are opened.",
            Write,
            split,
        ),
        writing(
            "delegate",
            "Give the issue you work on to an agent when you are done.",
            Write,
            delegate,
        ),
    ]
}

/// A tool whose arguments are one action.
pub(super) fn writing<A: DeserializeOwned + JsonSchema + 'static>(
    name: &str,
    about: &str,
    permission: Permission,
    action: fn(A) -> Result<AgentAction, ToolError>,
) -> Tool {
    Tool::new(name, about, permission, move |context, given| {
        let action = action(given);
        Box::pin(async move {
            Ok(vec![Part::trusted(context.environment.act(context.at, action?).await?)])
        })
    })
}

/// A text that says something, cleaned of what nobody would see.
fn text(name: &str, given: &str, longest: usize) -> Result<String, ToolError> {
    let text = clean(given).trim().to_owned();
    match text.chars().count() {
        0 => Err(ToolError::Arguments(format!("`{name}` is empty"))),
        n if n > longest => {
            Err(ToolError::Arguments(format!("`{name}` has {n} characters; {longest} are taken")))
        }
        _ => Ok(text),
    }
}

/// The same, on one line.
fn line(name: &str, given: &str) -> Result<String, ToolError> {
    text(name, given, LONGEST_LINE).map(|text| on_one_line(&text))
}

/// The words of a text with one space between them.
pub(super) fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A list that is neither empty nor too long, each element read.
fn few<T, U>(
    name: &str,
    given: &[T],
    read: impl Fn(&T) -> Result<U, ToolError>,
) -> Result<Vec<U>, ToolError> {
    match given.len() {
        1..=MOST => given.iter().map(read).collect(),
        n => Err(ToolError::Arguments(format!("`{name}` holds {n}; 1 to {MOST} are taken"))),
    }
}

/// A comment.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Comment {
    /// What to say.
    text: String,
}

fn comment(given: Comment) -> Result<AgentAction, ToolError> {
    text("text", &given.text, LONGEST).map(AgentAction::Comment)
}

/// A label.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Label {
    /// Its name.
    name: String,
}

fn label(given: Label) -> Result<AgentAction, ToolError> {
    line("name", &given.name).map(AgentAction::Label)
}

/// Acceptance criteria.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Criteria {
    /// One sentence each, that can be checked.
    criteria: Vec<String>,
}

fn criteria(given: Criteria) -> Result<AgentAction, ToolError> {
    few("criteria", &given.criteria, |one| line("criteria", one)).map(AgentAction::Criteria)
}

/// The parts of an issue.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Split {
    /// The parts, in the order they should be done.
    parts: Vec<SubIssue>,
}

fn split(given: Split) -> Result<AgentAction, ToolError> {
    let part = |SubIssue { title, body }: &SubIssue| {
        Ok(SubIssue { title: line("title", title)?, body: text("body", body, LONGEST)? })
    };
    few("parts", &given.parts, part).map(AgentAction::Split)
}

/// An agent.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Delegate {
    /// Its name, as `list_agents` gives it.
    agent: String,
}

fn delegate(given: Delegate) -> Result<AgentAction, ToolError> {
    line("agent", &given.agent).map(|id| AgentAction::Delegate(AgentId::new(id)))
}
