//! The uses of the program in the book are parsed as the program parses them.

use clap::error::ErrorKind;
use clap::{Command, CommandFactory as _, Parser as _};
use gitea_triage::cli::Arguments;
use regex::Regex;

use crate::book::{blocks, page, pages, prose};

/// The program.
const NAME: &str = "gitea-triage";

/// The simple commands of a script, each as its words: what the shell would start, without redirections.
fn simple_commands(script: &str) -> Vec<Vec<String>> {
    let script = script.replace("\\\n", " ");
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let (mut quote, mut is_comment) = (None, false);
    for c in script.chars().chain(['\n']) {
        match (quote, c) {
            _ if is_comment && c != '\n' => {}
            (Some(mark), c) if c == mark => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => is_comment = true,
            (None, ' ') => words.extend(word.take()),
            (None, '\n' | '|' | '&' | ';' | '>' | '<') => {
                words.extend(word.take());
                all.push(std::mem::take(&mut words));
                is_comment = false;
            }
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    all
}

/// The words with which the program is started, if it is.
fn arguments(command: &[String]) -> Option<&[String]> {
    let at = command.iter().position(|word| word == NAME)?;
    let is_before = |word: &String| ["sudo", "env"].contains(&word.as_str()) || word.contains('=');
    command[..at].iter().all(is_before).then(|| &command[at..])
}

/// What is wrong with a use of the program. One in the middle of a sentence may name a command without its arguments.
fn wrong(words: &[String], is_sentence: bool) -> Option<String> {
    let words = words.iter().filter(|word| *word != "…");
    let error = Arguments::try_parse_from(words).err()?;
    let is_short = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let is_fine = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
        || is_sentence && is_short.contains(&error.kind());
    (!is_fine).then(|| error.to_string())
}

#[test]
fn every_use_of_the_program_in_the_book_is_one_that_it_takes() {
    let inline = Regex::new(r"`((?:[A-Z_]+=\S+ )?gitea-triage [^`]+)`").unwrap();
    let mut seen = 0;
    for (page, text) in pages() {
        let scripts = blocks(&text).into_iter().filter(|block| block.language == "sh");
        let scripts = scripts.map(|block| (block.text, false));
        let text = prose(&text);
        let sentences =
            inline.captures_iter(&text).map(|found| (found[1].replace('\n', " "), true));
        for (script, is_sentence) in scripts.chain(sentences) {
            for command in simple_commands(&script) {
                let Some(words) = arguments(&command) else { continue };
                let wrong = wrong(words, is_sentence);
                assert!(wrong.is_none(), "{}: {words:?}\n{}", page.display(), wrong.unwrap());
                seen += 1;
            }
        }
    }
    assert!(seen > 80, "{seen} uses");
}

#[test]
fn a_use_that_the_program_does_not_take_is_found() {
    let wrong = |text: &str, is_sentence| {
        let command = simple_commands(text).remove(0);
        wrong(arguments(&command).unwrap(), is_sentence).is_some()
    };
    assert!(wrong("gitea-triage hook list --dry-run", false));
    assert!(wrong("gitea-triage hooks list", true));
    assert!(wrong("sudo gitea-triage explain", false));
    assert!(!wrong("gitea-triage explain", true));
    assert!(!wrong("A=b gitea-triage explain 'acme/widgets#2' # why", false));
    assert!(arguments(&simple_commands("systemctl stop gitea-triage")[0]).is_none());
}

/// The commands that do something, each by its words.
fn leaves(command: &Command, path: &[&str], found: &mut Vec<(String, bool)>) {
    let is_leaf = !command.is_subcommand_required_set();
    if is_leaf && !path.is_empty() {
        let has_json = command.get_arguments().any(|one| one.get_id() == "json");
        found.push((path.join(" "), has_json));
    }
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        leaves(below, &[path, &[below.get_name()]].concat(), found);
    }
}

#[test]
fn every_command_has_its_place_in_the_book() {
    let (commands, json) = (page("command-line.md"), page("json.md"));
    let (mut all, table) = (Vec::new(), json.split("###").next().unwrap().to_owned());
    leaves(&Arguments::command(), &[], &mut all);
    assert!(all.len() > 30 && all.iter().filter(|(_, has_json)| *has_json).count() > 20, "{all:?}");
    for (path, has_json) in all {
        let mut words = path.split(' ');
        let first = words.next().unwrap();
        let is_row = |line: &&str| {
            line.starts_with('|')
                && line.contains(&format!("`{first}"))
                && words.clone().all(|word| line.contains(word))
        };
        assert!(commands.lines().any(|line| is_row(&line)), "command-line.md has no `{path}`");
        assert!(!has_json || table.contains(&format!("`{path}`")), "json.md has no `{path}`");
    }
}
