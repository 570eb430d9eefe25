//! Tools that read: issues, comments, files and the agents there are.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::environment::{AvailableAgent, Unavailable, beside};
use super::super::prompt::describe;
use super::super::quoted::Part;
use super::super::tool::{BuiltIn, Permission, Tool, ToolContext, ToolError, ToolFuture};
use crate::issue::IssueRef;

/// How many comments are shown, the newest.
const COMMENTS: usize = 20;
/// How many issues a search shows.
const FOUND: usize = 10;

/// The tools of this file.
pub(super) fn tools() -> Vec<Box<dyn Tool>> {
    use Permission::Read;
    vec![
        BuiltIn::boxed("read_issue", "Read an issue of this repository as it is now.", Read, issue),
        BuiltIn::boxed(
            "read_comments",
            "Read the newest comments on an issue of this repository.",
            Read,
            comments,
        ),
        BuiltIn::boxed(
            "search_issues",
            "Find issues of this repository, open and closed, that hold these words.",
            Read,
            search,
        ),
        BuiltIn::boxed(
            "read_file",
            "Read a text file of this repository at a branch, tag or commit.",
            Read,
            file,
        ),
        BuiltIn::boxed(
            "list_agents",
            "List the agents the issue can be given to, what they are good at and how many places they have free.",
            Read,
            agents,
        ),
    ]
}

/// Which issue.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The issue's number in this repository; the one you work on when left out.
    number: Option<u64>,
}

fn issue(context: ToolContext<'_>, which: Which) -> ToolFuture<'_> {
    Box::pin(async move {
        let at = beside(context.at, which.number);
        match context.environment.issue(&at).await? {
            Some(issue) => Ok(describe(&at, &issue).into()),
            None => Err(ToolError::Failed(format!("there is no issue {at}"))),
        }
    })
}

fn comments(context: ToolContext<'_>, which: Which) -> ToolFuture<'_> {
    Box::pin(async move {
        let at = beside(context.at, which.number);
        let remarks = context.environment.comments(&at).await?;
        let first = remarks.len().saturating_sub(COMMENTS);
        let shown = remarks.len() - first;
        let mut parts =
            vec![Part::trusted(format!("{shown} of {} comments on {at}:", remarks.len()))];
        // The login goes inside: even a name is chosen by somebody else.
        parts.extend(remarks[first..].iter().map(|remark| {
            Part::untrusted("a comment", format!("{} wrote:\n{}", remark.by, remark.body))
        }));
        Ok(parts)
    })
}

/// What to look for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// Words that stand in the title or text.
    words: String,
}

fn search(context: ToolContext<'_>, search: Search) -> ToolFuture<'_> {
    Box::pin(async move {
        if search.words.trim().is_empty() {
            return Err(ToolError::Arguments("`words` is empty".to_owned()));
        }
        let found = context.environment.search(&context.at.repo, search.words.trim()).await?;
        let mut parts = vec![Part::trusted(format!("{} found", found.len()))];
        parts.extend(found.iter().take(FOUND).map(|issue| {
            let at = IssueRef { repo: context.at.repo.clone(), number: issue.number };
            let state = if issue.closed_at.is_some() { "closed" } else { "open" };
            Part::untrusted(format!("title of {at}, {state}"), issue.title.clone())
        }));
        Ok(parts)
    })
}

/// Which file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    /// The path from the root of the repository, such as `src/main.rs`.
    path: String,
    /// A branch, tag or commit; the default branch when left out.
    #[serde(rename = "ref")]
    reference: Option<String>,
}

fn file(context: ToolContext<'_>, file: File) -> ToolFuture<'_> {
    Box::pin(async move {
        let path = file.path.trim_start_matches("./");
        // Names of repositories, tokens and other secrets are reached by climbing; a path in a repository never does.
        if path.is_empty()
            || path.starts_with('/')
            || path.split('/').any(|s| matches!(s, "" | "." | ".."))
        {
            return Err(ToolError::Arguments(
                "`path` is not a path inside the repository".to_owned(),
            ));
        }
        let found =
            context.environment.file(&context.at.repo, path, file.reference.as_deref()).await?;
        let text =
            found.ok_or_else(|| Unavailable("there is no such file at that ref".to_owned()))?;
        Ok(vec![Part::untrusted("a file", format!("{path}:\n{text}"))])
    })
}

/// Nothing is needed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn agents(context: ToolContext<'_>, _: Nothing) -> ToolFuture<'_> {
    Box::pin(async move {
        let available = context.environment.available_agents().await?;
        let lines: Vec<_> = available.iter().map(line).collect();
        Ok(vec![Part::trusted(lines.join("\n"))])
    })
}

fn line(agent: &AvailableAgent) -> String {
    format!("{}: good at {}; {} places free", agent.id, agent.strengths.join(", "), agent.free)
}
