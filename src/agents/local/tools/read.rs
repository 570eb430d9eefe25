//! Tools that read: issues, comments, files and the agents there are.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::environment::{Unavailable, beside};
use super::super::prompt::describe;
use super::super::quoted::Part;
use super::super::tool::{Outcome, Permission::Read, Tool, ToolContext, ToolError};

/// How many comments are shown, the newest.
const COMMENTS: usize = 20;
/// How many issues a search shows.
const FOUND: usize = 10;

/// The tools of this file.
pub(super) fn tools() -> [Tool; 5] {
    [
        Tool::new("read_issue", "Read an issue of this repository as it is now.", Read, |c, a| {
            Box::pin(issue(c, a))
        }),
        Tool::new(
            "read_comments",
            "Read the newest comments on an issue of this repository.",
            Read,
            |c, a| Box::pin(comments(c, a)),
        ),
        Tool::new(
            "search_issues",
            "Find issues of this repository, open and closed, that hold these words.",
            Read,
            |c, a| Box::pin(search(c, a)),
        ),
        Tool::new(
            "read_file",
            "Read a text file of this repository at a branch, tag or commit.",
            Read,
            |c, a| Box::pin(file(c, a)),
        ),
        Tool::new(
            "list_agents",
            "List the agents the issue can be given to, what they are good at and how many places they have free.",
            Read,
            |c, a| Box::pin(agents(c, a)),
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

async fn issue(context: ToolContext<'_>, which: Which) -> Outcome {
    let at = beside(context.at, which.number);
    match context.environment.issue(&at).await? {
        Some(issue) => Ok(describe(&at, &issue).into()),
        None => Err(ToolError::Failed(format!("there is no issue {at}"))),
    }
}

async fn comments(context: ToolContext<'_>, which: Which) -> Outcome {
    let at = beside(context.at, which.number);
    let all = context.environment.comments(&at).await?;
    let shown = &all[all.len().saturating_sub(COMMENTS)..];
    let head = format!("{} of {} comments on {at}:", shown.len(), all.len());
    // The login goes inside: even a name is chosen by somebody else.
    let quoted = shown.iter().map(|comment| {
        let by = comment.author.as_ref().map_or("somebody", |by| by.login.as_str());
        Part::untrusted("a comment", format!("{by} wrote:\n{}", comment.body))
    });
    Ok([Part::trusted(head)].into_iter().chain(quoted).collect())
}

/// What to look for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// Words that stand in the title or text.
    words: String,
}

async fn search(context: ToolContext<'_>, search: Search) -> Outcome {
    let words = search.words.trim();
    if words.is_empty() {
        return Err(ToolError::Arguments("`words` is empty".to_owned()));
    }
    let found = context.environment.search(&context.at.repo, words).await?;
    let titles = found.iter().take(FOUND).map(|issue| {
        let at = beside(context.at, Some(issue.number));
        let state = if issue.closed_at.is_some() { "closed" } else { "open" };
        Part::untrusted(format!("title of {at}, {state}"), issue.title.clone())
    });
    Ok([Part::trusted(format!("{} found", found.len()))].into_iter().chain(titles).collect())
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

async fn file(context: ToolContext<'_>, file: File) -> Outcome {
    let path = file.path.trim_start_matches("./");
    // Names of repositories, tokens and other secrets are reached by climbing; a path in a repository never does.
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        let why = "`path` is not a path inside the repository";
        return Err(ToolError::Arguments(why.to_owned()));
    }
    let reference = file.reference.as_deref();
    let found = context.environment.file(&context.at.repo, path, reference).await?;
    let text = found.ok_or_else(|| Unavailable("there is no such file at that ref".to_owned()))?;
    Ok(vec![Part::untrusted("a file", format!("{path}:\n{text}"))])
}

/// Nothing is needed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn agents(context: ToolContext<'_>, _: Nothing) -> Outcome {
    let available = context.environment.available_agents().await?;
    let lines = available.iter().map(|agent| {
        let strengths = agent.strengths.join(", ");
        format!("{}: good at {strengths}; {} places free", agent.id, agent.free)
    });
    Ok(vec![Part::trusted(lines.collect::<Vec<_>>().join("\n"))])
}
