//! Commands in a comment, parsed from the text alone. Permissions and feasibility are checked elsewhere; [`refusal`]
//! has the answers.

mod answers;
mod apply;
mod lines;
mod request;

use std::fmt;

use crate::dispatch::AgentId;

pub use answers::{Refusal, help, refusal};
pub use apply::{answers_left, to_outsider};
pub use request::{Audience, CommandRequest, OrderEnd, OrderState, Permission, Source};

pub(super) use apply::{apply_commands, refuse_unmet};

/// The most commands that are read from one comment.
const MOST: usize = 10;
/// The longest word that can name an agent or a login.
const LONGEST_WORD: usize = 100;
/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 500;
/// Punctuation after a word.
const MARKS: [char; 5] = ['.', ',', ';', ':', '!'];

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Evaluate the issue again.
    Triage,
    /// Explain the decision.
    Explain,
    /// Put the issue on hold.
    Hold {
        /// Why, in the person's words.
        reason: Option<String>,
    },
    /// Continue after a hold or an override.
    Resume,
    /// Dispatch the issue again.
    Retry,
    /// Give the issue to an agent or a person.
    Assign(Assignee),
    /// Go on: the issue is no duplicate.
    Go,
    /// Let an agent have the issue as it is, whoever opened it.
    Approve,
    /// Give an agent the permission that it asked for.
    Allow,
    /// Refuse it.
    Deny,
    /// End the dispatch as completed.
    Done,
    /// Take the issue, as a person.
    Claim,
    /// Give back what a person claimed.
    Release,
    /// List the commands.
    Help,
    /// An unknown command; also `assign` without a name.
    Unknown(String),
}

/// The name after `assign`, not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignee {
    /// An agent of the configuration.
    Agent(AgentId),
    /// An account of the forge, without the `@`.
    Login(String),
}

impl Command {
    /// Whether anybody who can comment may give it: it only asks.
    pub(super) fn is_for_everybody(&self) -> bool {
        matches!(self, Self::Explain | Self::Help)
    }

    /// The word after `/triage`; empty for `/triage` alone.
    pub fn verb(&self) -> &str {
        match self {
            Self::Triage => "",
            Self::Explain => "explain",
            Self::Hold { .. } => "hold",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Assign(_) => "assign",
            Self::Go => "go",
            Self::Approve => "approve",
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Done => "done",
            Self::Claim => "claim",
            Self::Release => "release",
            Self::Help => "help",
            Self::Unknown(word) => word,
        }
    }

    /// What stands behind `/triage` in a comment; [`read`] makes the same command of it.
    pub fn words(&self) -> String {
        match self {
            Self::Hold { reason: Some(reason) } => format!("hold {reason}"),
            Self::Assign(to) => format!("assign {to}"),
            other => other.verb().to_owned(),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Triage => f.write_str("/triage"),
            Self::Assign(to) => write!(f, "/triage assign {to}"),
            other => write!(f, "/triage {}", other.verb()),
        }
    }
}

impl fmt::Display for Assignee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(id) => write!(f, "{id}"),
            Self::Login(login) => write!(f, "@{login}"),
        }
    }
}

/// The commands of a comment, in their order, at most ten. A command stands at the start of a line and outside of
/// code, quotes and HTML.
pub fn parse(body: &str) -> Vec<Command> {
    lines::commands(body).into_iter().map(read).collect()
}

/// The command in what follows `/triage` on its line. What follows a complete command is a remark.
pub fn read(rest: &str) -> Command {
    let (word, argument) = first_word(rest.trim());
    if word.is_empty() {
        return Command::Triage;
    }
    match word.trim_end_matches(MARKS).to_ascii_lowercase().as_str() {
        "explain" => Command::Explain,
        "hold" => Command::Hold { reason: reason(argument) },
        "resume" => Command::Resume,
        "retry" => Command::Retry,
        "assign" => assign(first_word(argument).0),
        "go" => Command::Go,
        "approve" => Command::Approve,
        "allow" => Command::Allow,
        "deny" => Command::Deny,
        "done" => Command::Done,
        "claim" => Command::Claim,
        "release" => Command::Release,
        "help" => Command::Help,
        _ => Command::Unknown(word.chars().take(LONGEST_WORD).collect()),
    }
}

fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

fn reason(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect();
    Some(text.trim_end().to_owned()).filter(|text| !text.is_empty())
}

/// People write the name as code, or end the sentence after it.
fn assign(word: &str) -> Command {
    let word = word.trim_end_matches(MARKS).trim_matches('`');
    let (name, is_login) = match word.strip_prefix('@') {
        Some(login) => (login, true),
        None => (word, false),
    };
    if !is_name(name) {
        return Command::Unknown("assign".to_owned());
    }
    Command::Assign(match is_login {
        true => Assignee::Login(name.to_owned()),
        false => Assignee::Agent(AgentId::new(name)),
    })
}

fn is_name(word: &str) -> bool {
    (1..=LONGEST_WORD).contains(&word.len())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn reads(body: &str, expected: &[Command]) {
        assert_eq!(parse(body), expected, "{body:?}");
    }

    fn agent(id: &str) -> Command {
        Command::Assign(Assignee::Agent(AgentId::new(id)))
    }

    fn login(login: &str) -> Command {
        Command::Assign(Assignee::Login(login.into()))
    }

    fn hold(reason: Option<&str>) -> Command {
        Command::Hold { reason: reason.map(Into::into) }
    }

    fn unknown(word: &str) -> Command {
        Command::Unknown(word.into())
    }

    #[test]
    fn every_command_is_read() {
        reads("/triage", &[Command::Triage]);
        reads("/triage explain", &[Command::Explain]);
        reads("/triage hold", &[hold(None)]);
        reads("/triage resume", &[Command::Resume]);
        reads("/triage retry", &[Command::Retry]);
        reads("/triage assign kimi", &[agent("kimi")]);
        reads("/triage assign @bob", &[login("bob")]);
        reads("/triage go", &[Command::Go]);
        reads("/triage approve", &[Command::Approve]);
        reads("/triage allow", &[Command::Allow]);
        reads("/triage deny", &[Command::Deny]);
        reads("/triage done", &[Command::Done]);
        reads("/triage claim", &[Command::Claim]);
        reads("/triage release, please", &[Command::Release]);
        reads("/triage help", &[Command::Help]);
    }

    #[test]
    fn case_spaces_and_full_stops_are_forgiven() {
        reads("/Triage  HOLD.", &[hold(None)]);
        reads("   /triage\tretry ", &[Command::Retry]);
        reads("/triage ", &[Command::Triage]);
        reads("/triage retry, please", &[Command::Retry]);
        reads("/triage assign `Kimi-2`.", &[agent("Kimi-2")]);
        reads("/triage assign @bob, please", &[login("bob")]);
    }

    #[test]
    fn a_hold_keeps_its_reason() {
        reads("/triage hold: until \u{7}#12 lands ", &[hold(Some("until #12 lands"))]);
        let long = format!("/triage hold {}", "é".repeat(600));
        reads(&long, &[hold(Some(&"é".repeat(500)))]);
    }

    #[test]
    fn what_is_no_command_is_named() {
        reads("/triage asign kimi", &[unknown("asign")]);
        reads("/triage please look", &[unknown("please")]);
        reads("/triage !", &[unknown("!")]);
        reads(&format!("/triage {}", "x".repeat(200)), &[unknown(&"x".repeat(100))]);
    }

    #[test]
    fn assign_needs_a_name() {
        let long = format!("/triage assign {}", "a".repeat(101));
        for body in ["/triage assign", "/triage assign @", "/triage assign a/b", &long] {
            reads(body, &[unknown("assign")]);
        }
        reads("/triage assign @böb", &[unknown("assign")]);
        reads(&format!("/triage assign {}", "a".repeat(100)), &[agent(&"a".repeat(100))]);
    }

    #[test]
    fn ten_are_enough() {
        assert_eq!(parse(&"/triage\n".repeat(50)).len(), 10);
    }

    #[test]
    fn a_command_is_read_back_from_its_words() {
        let long = format!("/triage hold {}", "é ".repeat(600));
        let more = ["/triage", "/triage assign", "/triage assign @bob", "/triage frob x", &long];
        for body in ["/triage hold: until #12 lands", "/triage done."].into_iter().chain(more) {
            let command = &parse(body)[0];
            assert_eq!(read(&command.words()), *command, "{body}");
        }
    }

    #[test]
    fn a_command_is_shown_as_it_is_written() {
        for text in ["/triage", "/triage hold", "/triage assign kimi", "/triage assign @bob"] {
            assert_eq!(parse(text)[0].to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(
            parts in prop::collection::vec(
                prop_oneof![
                    any::<String>(),
                    "[ \t>`~*<!\\-\\[\\]()\r\n]{0,6}",
                    Just("/triage".to_owned()),
                    Just("\n/triage assign ".to_owned()),
                ],
                0..20,
            )
        ) {
            let found = parse(&parts.concat());
            prop_assert!(found.len() <= MOST);
            for command in found {
                prop_assert!(command.to_string().starts_with("/triage"));
                if let Command::Assign(Assignee::Login(name)) = command {
                    prop_assert!(is_name(&name));
                }
            }
        }

        #[test]
        fn a_line_of_its_own_is_read_after_any_paragraph(before in "[a-z .,!?\u{e4}\u{1f600}]{0,40}") {
            prop_assert_eq!(parse(&format!("{before}\r\n\r\n/triage done\r\n")), [Command::Done]);
        }
    }
}
