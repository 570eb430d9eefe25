//! What a command is answered with, where a reaction does not say it. Whatever a person typed is quoted as code, so
//! that an answer calls nobody.

use super::Command;
use crate::dispatch::AgentId;
use crate::triage::code;

/// What is typed, and what it does.
const COMMANDS: [(&str, &str); 9] = [
    ("/triage", "look at the issue again now"),
    ("/triage explain", "say how the decision came about, point by point"),
    ("/triage hold [reason]", "leave the issue alone until `resume`"),
    ("/triage resume", "go on after a hold, or after somebody changed what was done"),
    ("/triage retry", "hand the issue over once more"),
    ("/triage assign <agent>", "give the issue to this agent"),
    ("/triage assign @login", "give the issue to this person"),
    ("/triage done", "end the dispatch as completed"),
    ("/triage help", "show this table"),
];
const WRITERS: &str = "who may write to the repository";

/// Every command as a table: what to write, what it does, who may use it.
pub fn help() -> String {
    let rows = COMMANDS.map(|(usage, what)| format!("| `{usage}` | {what} | {WRITERS} |"));
    format!(
        "A command stands at the start of a line of a comment.\n\n| command | what it does | who may use it |\n\
         |---|---|---|\n{}",
        rows.join("\n")
    )
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// Whoever wrote it may not write to the repository.
    NotAWriter {
        /// The commenter.
        login: &'a str,
    },
    /// It could not be found out what the commenter may do.
    PermissionUnknown {
        /// The commenter.
        login: &'a str,
    },
    /// There is no such command, or it lacks its argument.
    NoSuchCommand,
    /// No agent has this name.
    NoSuchAgent {
        /// Those there are.
        agents: &'a [AgentId],
    },
    /// The forge does not let this login have the issue.
    NotAssignable {
        /// The login.
        login: &'a str,
    },
    /// The agent has as much as it may have.
    Busy {
        /// The agent.
        agent: &'a AgentId,
    },
    /// No dispatch is there to act on.
    NoDispatch,
    /// Nothing was held or overridden.
    NotHeld,
    /// The issue is closed.
    Closed,
}

/// The answer to a command that is not carried out: which, why, and what to do instead.
pub fn refusal(command: &Command, why: &Refusal<'_>) -> String {
    let named = code(&command.to_string());
    match why {
        Refusal::NoSuchCommand => no_such_command(command, &named),
        other => format!("{named} was not carried out: {}.", reason(other)),
    }
}

fn reason(why: &Refusal<'_>) -> String {
    match why {
        Refusal::NotAWriter { login } => {
            format!("{} may not write to this repository; ask somebody who may", code(login))
        }
        Refusal::PermissionUnknown { login } => format!(
            "it could not be found out whether {} may write to this repository; try again later",
            code(login)
        ),
        Refusal::NoSuchCommand => "there is no such command".to_owned(),
        Refusal::NoSuchAgent { agents } => no_such_agent(agents),
        Refusal::NotAssignable { login } => {
            format!("the account {} does not exist or may not work here", code(login))
        }
        Refusal::Busy { agent } => {
            format!("{} has as much as it may have; try again later", code(agent.as_str()))
        }
        Refusal::NoDispatch => {
            "the issue is in no agent's hands; `/triage` looks at it again".into()
        }
        Refusal::NotHeld => "nothing is held; `/triage` looks at the issue again".into(),
        Refusal::Closed => "the issue is closed; reopen it first".into(),
    }
}

fn no_such_agent(agents: &[AgentId]) -> String {
    let names: Vec<_> = agents.iter().map(|id| code(id.as_str())).collect();
    let those = match names.is_empty() {
        true => "none is configured".to_owned(),
        false => format!("there are {}", names.join(", ")),
    };
    format!("no agent has this name: {those}; write `@login` for a person")
}

fn no_such_command(command: &Command, named: &str) -> String {
    if command.verb() == "assign" {
        return format!(
            "{named} does not say to whom: write `/triage assign <agent>` or `/triage assign @login`."
        );
    }
    let near = nearest(command.verb());
    let hint = near.map(|verb| format!("did you mean `/triage {verb}`? ")).unwrap_or_default();
    format!("{named} is no command; {hint}`/triage help` shows them all.")
}

/// The command's word that is at most two slips away.
fn nearest(word: &str) -> Option<&'static str> {
    let verbs = COMMANDS.iter().filter_map(|(usage, _)| usage.split(' ').nth(1));
    let word = word.to_ascii_lowercase();
    let distance = |verb: &str| strsim::damerau_levenshtein(verb, &word);
    verbs.filter(|verb| distance(verb) <= 2).min_by_key(|verb| distance(verb))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::commands::{Assignee, parse};

    fn refused(command: &str, why: Refusal<'_>) -> String {
        refusal(&parse(command)[0], &why)
    }

    #[test]
    fn help_shows_only_commands_that_are_understood() {
        for (usage, _) in COMMANDS {
            let typed = usage.replace(" [reason]", "").replace("<agent>", "kimi");
            assert!(!matches!(parse(&typed)[..], [Command::Unknown(_)]), "{usage}");
        }
        assert!(parse(&help()).is_empty(), "the table must not be a command itself");
        insta::assert_snapshot!(help(), @r#"
        A command stands at the start of a line of a comment.
        
        | command | what it does | who may use it |
        |---|---|---|
        | `/triage` | look at the issue again now | who may write to the repository |
        | `/triage explain` | say how the decision came about, point by point | who may write to the repository |
        | `/triage hold [reason]` | leave the issue alone until `resume` | who may write to the repository |
        | `/triage resume` | go on after a hold, or after somebody changed what was done | who may write to the repository |
        | `/triage retry` | hand the issue over once more | who may write to the repository |
        | `/triage assign <agent>` | give the issue to this agent | who may write to the repository |
        | `/triage assign @login` | give the issue to this person | who may write to the repository |
        | `/triage done` | end the dispatch as completed | who may write to the repository |
        | `/triage help` | show this table | who may write to the repository |
        "#);
    }

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
        insta::assert_snapshot!(
            refused("/triage hold", Refusal::NotAWriter { login: "bob" }), @"`/triage hold` was not carried out: `bob` may not write to this repository; ask somebody who may.");
        insta::assert_snapshot!(
            refused("/triage", Refusal::PermissionUnknown { login: "bob" }), @"`/triage` was not carried out: it could not be found out whether `bob` may write to this repository; try again later.");
        insta::assert_snapshot!(refused("/triage retry", Refusal::Closed), @"`/triage retry` was not carried out: the issue is closed; reopen it first.");
        let agents = [AgentId::new("claude"), AgentId::new("kimi")];
        insta::assert_snapshot!(
            refused("/triage assign kiwi", Refusal::NoSuchAgent { agents: &agents }), @"`/triage assign kiwi` was not carried out: no agent has this name: there are `claude`, `kimi`; write `@login` for a person.");
    }

    #[test]
    fn an_unknown_command_is_answered_with_the_nearest() {
        insta::assert_snapshot!(refused("/triage Asing kimi", Refusal::NoSuchCommand), @"`/triage Asing` is no command; did you mean `/triage assign`? `/triage help` shows them all.");
        insta::assert_snapshot!(refused("/triage abracadabra", Refusal::NoSuchCommand), @"`/triage abracadabra` is no command; `/triage help` shows them all.");
        insta::assert_snapshot!(refused("/triage assign", Refusal::NoSuchCommand), @"`/triage assign` does not say to whom: write `/triage assign <agent>` or `/triage assign @login`.");
    }

    #[test]
    fn an_answer_calls_nobody() {
        let to = Command::Assign(Assignee::Login("alice".into()));
        let words = ["@alice", "`@alice`", "#12", "<script>", "[a](b)", "a\u{202e}@alice"];
        for word in words {
            let unknown = Command::Unknown(word.into());
            for command in [&unknown, &to] {
                for why in [Refusal::NoSuchCommand, Refusal::NotAWriter { login: word }] {
                    let answer = refusal(command, &why);
                    assert_eq!(shown_as_text(&answer), None, "{answer}");
                }
            }
        }
    }

    /// The first piece of plain text that would act on the forge.
    fn shown_as_text(markdown: &str) -> Option<String> {
        use pulldown_cmark::{Event, Parser};
        let acts = |text: &str| text.contains(['@', '#', '<', '[', '\u{202e}']);
        Parser::new(markdown).find_map(|event| match event {
            Event::Text(text) if acts(&text) => Some(text.to_string()),
            Event::Html(html) | Event::InlineHtml(html) => Some(html.to_string()),
            _ => None,
        })
    }
}
