//! Tools that say or change something: always on the issue that is worked on, always as a [`AgentAction`].

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::clean;
use super::super::environment::{AgentAction, SubIssue};
use super::super::quoted::Part;
use super::super::tool::{BuiltIn, Permission, Tool, ToolContext, ToolError, ToolFuture};
use crate::dispatch::AgentId;

/// The longest text that is written, in characters.
const LONGEST: usize = 8_000;
/// The longest title or criterion, in characters.
const LONGEST_LINE: usize = 200;
/// How many criteria or parts are taken.
const MOST: usize = 10;

/// The tools of this file.
pub(super) fn tools() -> Vec<Box<dyn Tool>> {
    use Permission::{Comment as Say, Write};
    vec![
        BuiltIn::boxed("comment", "Write a comment on the issue you work on.", Say, comment),
        BuiltIn::boxed(
            "propose_criteria",
            "Propose, in a comment, what has to hold when the issue is done.",
            Say,
            criteria,
        ),
        BuiltIn::boxed(
            "add_label",
            "Put a label that exists on the issue you work on.",
            Write,
            label,
        ),
        BuiltIn::boxed(
            "plan_sub_issues",
            "Split the issue into parts. A person may have to agree before they are opened.",
            Write,
            split,
        ),
        BuiltIn::boxed(
            "delegate",
            "Give the issue you work on to an agent when you are done.",
            Write,
            delegate,
        ),
    ]
}

fn act<'a>(context: ToolContext<'a>, action: Result<AgentAction, ToolError>) -> ToolFuture<'a> {
    Box::pin(
        async move { Ok(vec![Part::trusted(context.environment.act(context.at, action?).await?)]) },
    )
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
    Ok(text(name, given, LONGEST_LINE)?.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn few<T>(name: &str, given: &[T]) -> Result<(), ToolError> {
    match given.len() {
        1..=MOST => Ok(()),
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

fn comment(context: ToolContext<'_>, given: Comment) -> ToolFuture<'_> {
    act(context, text("text", &given.text, LONGEST).map(AgentAction::Comment))
}

/// A label.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Label {
    /// Its name.
    name: String,
}

fn label(context: ToolContext<'_>, given: Label) -> ToolFuture<'_> {
    act(context, line("name", &given.name).map(AgentAction::Label))
}

/// Acceptance criteria.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Criteria {
    /// One sentence each, that can be checked.
    criteria: Vec<String>,
}

fn criteria(context: ToolContext<'_>, given: Criteria) -> ToolFuture<'_> {
    let lines = || -> Result<Vec<String>, ToolError> {
        few("criteria", &given.criteria)?;
        given.criteria.iter().map(|criterion| line("criteria", criterion)).collect()
    };
    act(context, lines().map(AgentAction::Criteria))
}

/// The parts of an issue.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Split {
    /// The parts, in the order they should be done.
    parts: Vec<PartOfIt>,
}

/// One part.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PartOfIt {
    /// Its title.
    title: String,
    /// What is to be done.
    body: String,
}

fn split(context: ToolContext<'_>, given: Split) -> ToolFuture<'_> {
    let part = |part: &PartOfIt| {
        Ok(SubIssue {
            title: line("title", &part.title)?,
            body: text("body", &part.body, LONGEST)?,
        })
    };
    let parts = || -> Result<Vec<SubIssue>, ToolError> {
        few("parts", &given.parts)?;
        given.parts.iter().map(part).collect()
    };
    act(context, parts().map(AgentAction::Split))
}

/// An agent.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Delegate {
    /// Its name, as `list_agents` gives it.
    agent: String,
}

fn delegate(context: ToolContext<'_>, given: Delegate) -> ToolFuture<'_> {
    act(context, line("agent", &given.agent).map(|id| AgentAction::Delegate(AgentId::new(id))))
}
