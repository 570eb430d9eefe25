//! The answers to commands, where a reaction is not enough. What a person typed is quoted as code, so that an answer
//! mentions nobody.

use super::Command;
use crate::dispatch::{Agent, AgentId};
use crate::reason::Reason;
use crate::triage::code;

/// What to type, and what it does.
const COMMANDS: [(&str, &str); 15] = [
    ("/triage", "evaluate the issue again now"),
    ("/triage explain", "explain the decision, point by point"),
    ("/triage hold [reason]", "put the issue on hold until `/triage resume`"),
    ("/triage resume", "continue after a hold, or after a person changed a label or an assignment"),
    ("/triage retry", "dispatch the issue again"),
    ("/triage assign <agent>", "dispatch the issue to this agent"),
    ("/triage assign @login", "assign the issue to this person"),
    ("/triage go", "dispatch the issue although an older one says the same"),
    ("/triage approve", "let an agent have the issue as it is, whoever opened it"),
    ("/triage allow", "give the agent the permission that it asked for, and the issue again"),
    ("/triage deny", "refuse the permission, and give the agent the issue again"),
    ("/triage done", "end the dispatch as completed"),
    ("/triage claim", "take the issue yourself"),
    ("/triage release", "give back what you claimed"),
    ("/triage help", "show this table"),
];

/// Every command as a table: what to write, and what it does.
pub fn help() -> String {
    let rows = COMMANDS.map(|(usage, what)| format!("| `{usage}` | {what} |"));
    format!(
        "Write a command at the start of a line of a comment. `/triage explain` and `/triage help` are for everybody, \
         `/triage claim` and `/triage release` for whoever can be assigned; the others need write access to the \
         repository.\n\n| command | what it does |\n|---|---|\n{}",
        rows.join("\n")
    )
}

/// Why a command was not carried out, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal<'a> {
    /// The commenter has no write access.
    #[error("{} has no write access to this repository; ask somebody who has", code(.0))]
    NotAWriter(&'a str),
    /// The permissions of the commenter could not be checked.
    #[error("the permissions of {} could not be checked; try again later", code(.0))]
    PermissionUnknown(&'a str),
    /// Our account is not shown whether the commenter may write.
    #[error(
        "the server does not show us whether {} may write to issues here; make our account an administrator of the \
         repository, or name logins in `triage.commanders`",
        code(.0)
    )]
    PermissionUnshown(&'a str),
    /// Our account administers the repository, and is not shown who is in its teams.
    #[error(
        "the server does not show us whether {} is in a team that may write to issues here; make our account an owner of \
         the organisation, or name logins in `triage.commanders`",
        code(.0)
    )]
    TeamUnshown(&'a str),
    /// The command is unknown, or its argument is missing.
    #[error("there is no such command")]
    NoSuchCommand,
    /// None of the configured agents has this name.
    #[error("no agent has this name: {}; for a person, write `@login`", those(.0))]
    NoSuchAgent(&'a [Agent]),
    /// The forge does not allow to assign this login.
    #[error("the account {} does not exist or cannot be assigned here", code(.0))]
    NotAssignable(&'a str),
    /// There is no open dispatch.
    #[error("no agent is working on the issue; `/triage` evaluates it again")]
    NoDispatch,
    /// Nothing is on hold or overridden.
    #[error("the issue is not on hold; `/triage` evaluates it again")]
    NotHeld,
    /// No agent asked for a permission, or somebody has answered.
    #[error("no agent waits for a permission here; `/triage retry` dispatches the issue again")]
    NothingAsked,
    /// Nobody may claim anything.
    #[error("claiming is switched off here (`claim.limit`)")]
    ClaimsOff,
    /// An agent has the issue.
    #[error(
        "{} works on it; somebody with write access can say `/triage hold` or `/triage assign @login`",
        code(.0.as_str())
    )]
    WithAgent(AgentId),
    /// The issue has none of the labels of those that can be claimed.
    #[error("only issues with the label {} can be claimed", quoted(.0))]
    NotOpenToClaim(&'a [String]),
    /// The issue calls a person, and they have no write access.
    #[error("{0}; meanwhile only people with write access can claim it: ask one of them")]
    CallsPerson(Reason),
    /// They have claimed as many others as they may.
    #[error(
        "you have claimed {count} other issues, and {limit} are allowed at once (`claim.limit`); `/triage release` on one of them makes room"
    )]
    ClaimLimit {
        /// How many they have.
        count: u32,
        /// How many they may have.
        limit: u32,
    },
    /// Nobody has claimed the issue.
    #[error("nobody has claimed the issue")]
    NotClaimed,
    /// The issue is closed.
    #[error("the issue is closed; reopen it first")]
    Closed,
    /// No agent gets it, for this reason.
    #[error("{0}")]
    NotDispatched(Reason),
    /// The forge did not do what it takes.
    #[error("{}", code(.0))]
    Failed(&'a str),
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| code(name)).collect::<Vec<_>>().join(" or ")
}

fn those(agents: &[Agent]) -> String {
    let names: Vec<_> = agents.iter().map(|agent| code(agent.id.as_str())).collect();
    match names.is_empty() {
        true => "none is configured".to_owned(),
        false => format!("there are {}", names.join(", ")),
    }
}

/// The answer to a command that is not carried out: which, why, and what to do instead.
pub fn refusal(command: &Command, why: &Refusal<'_>) -> String {
    let named = code(&command.to_string());
    match why {
        Refusal::NoSuchCommand => no_such_command(command, &named),
        other => format!("{named} was not carried out: {other}."),
    }
}

fn no_such_command(command: &Command, named: &str) -> String {
    if command.verb() == "assign" {
        return format!(
            "{named} needs a name: write `/triage assign <agent>` or `/triage assign @login`."
        );
    }
    let near = nearest(command.verb());
    let hint = near.map(|verb| format!("did you mean `/triage {verb}`? ")).unwrap_or_default();
    format!("{named} is not a command; {hint}`/triage help` lists all commands.")
}

/// The command that is at most two typing mistakes away.
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
    use crate::triage::samples::agent;

    fn refused(command: &str, why: Refusal<'_>) -> String {
        refusal(&parse(command)[0], &why)
    }

    #[test]
    fn help_lists_only_known_commands() {
        for (usage, _) in COMMANDS {
            let typed = usage.replace(" [reason]", "").replace("<agent>", "kimi");
            assert!(!matches!(parse(&typed)[..], [Command::Unknown(_)]), "{usage}");
        }
        assert!(parse(&help()).is_empty(), "the table must not be a command itself");
        insta::assert_snapshot!(help(), @r#"
        Write a command at the start of a line of a comment. `/triage explain` and `/triage help` are for everybody, `/triage claim` and `/triage release` for whoever can be assigned; the others need write access to the repository.
        
        | command | what it does |
        |---|---|
        | `/triage` | evaluate the issue again now |
        | `/triage explain` | explain the decision, point by point |
        | `/triage hold [reason]` | put the issue on hold until `/triage resume` |
        | `/triage resume` | continue after a hold, or after a person changed a label or an assignment |
        | `/triage retry` | dispatch the issue again |
        | `/triage assign <agent>` | dispatch the issue to this agent |
        | `/triage assign @login` | assign the issue to this person |
        | `/triage go` | dispatch the issue although an older one says the same |
        | `/triage approve` | let an agent have the issue as it is, whoever opened it |
        | `/triage allow` | give the agent the permission that it asked for, and the issue again |
        | `/triage deny` | refuse the permission, and give the agent the issue again |
        | `/triage done` | end the dispatch as completed |
        | `/triage claim` | take the issue yourself |
        | `/triage release` | give back what you claimed |
        | `/triage help` | show this table |
        "#);
    }

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
        insta::assert_snapshot!(
            refused("/triage hold", Refusal::NotAWriter("bob")), @"`/triage hold` was not carried out: `bob` has no write access to this repository; ask somebody who has.");
        insta::assert_snapshot!(
            refused("/triage", Refusal::PermissionUnknown("bob")), @"`/triage` was not carried out: the permissions of `bob` could not be checked; try again later.");
        insta::assert_snapshot!(refused("/triage retry", Refusal::Closed), @"`/triage retry` was not carried out: the issue is closed; reopen it first.");
        let agents = [agent("claude", &[]), agent("kimi", &[])];
        insta::assert_snapshot!(
            refused("/triage assign kiwi", Refusal::NoSuchAgent(&agents)), @"`/triage assign kiwi` was not carried out: no agent has this name: there are `claude`, `kimi`; for a person, write `@login`.");
    }

    #[test]
    fn an_unknown_command_is_answered_with_the_nearest() {
        insta::assert_snapshot!(refused("/triage Asing kimi", Refusal::NoSuchCommand), @"`/triage Asing` is not a command; did you mean `/triage assign`? `/triage help` lists all commands.");
        insta::assert_snapshot!(refused("/triage abracadabra", Refusal::NoSuchCommand), @"`/triage abracadabra` is not a command; `/triage help` lists all commands.");
        insta::assert_snapshot!(refused("/triage assign", Refusal::NoSuchCommand), @"`/triage assign` needs a name: write `/triage assign <agent>` or `/triage assign @login`.");
    }

    #[test]
    fn an_answer_mentions_nobody() {
        let to = Command::Assign(Assignee::Login("alice".into()));
        let words = ["@alice", "`@alice`", "#12", "<script>", "[a](b)", "a\u{202e}@alice"];
        for word in words {
            let unknown = Command::Unknown(word.into());
            for command in [&unknown, &to] {
                for why in [Refusal::NoSuchCommand, Refusal::NotAWriter(word)] {
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
