//! Finds the commands in a comment: at the start of a line that its writer says.

use super::MOST;
use crate::triage::markdown::Document;

const NAME: &str = "/triage";
/// A longer comment, in bytes, is a pasted log without commands.
const MAX_BODY: usize = 256 * 1024;

/// What follows `/triage` on each line that begins with it and is shown as plain text.
pub(super) fn commands(body: &str) -> Vec<&str> {
    if body.len() > MAX_BODY || !has_command(body) {
        return Vec::new();
    }
    let starts = Document::of(body).starts.into_iter();
    starts.filter_map(|start| command_at(&body[start..])).take(MOST).collect()
}

/// Most comments have no command and need no parser.
fn has_command(body: &str) -> bool {
    body.as_bytes().windows(NAME.len()).any(|w| w.eq_ignore_ascii_case(NAME.as_bytes()))
}

fn command_at(text: &str) -> Option<&str> {
    let (name, rest) = text.split_at_checked(NAME.len())?;
    if !name.eq_ignore_ascii_case(NAME) {
        return None;
    }
    let rest = rest.split(['\n', '\r']).next().unwrap_or_default();
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(body: &str, expected: &[&str]) {
        assert_eq!(commands(body), expected, "{body:?}");
    }

    #[track_caller]
    fn finds_nothing(body: &str) {
        finds(body, &[]);
    }

    #[test]
    fn a_command_begins_a_line() {
        finds("/triage a\ntext\n/triage b\r\n\r\n   /triage c", &[" a", " b", " c"]);
        finds("/triage a\r/triage b", &[" a", " b"]);
        finds_nothing("I can reproduce this. /triage retry");
        finds_nothing("- /triage hold\n1. /triage hold\n# /triage hold\n| /triage hold |");
        finds_nothing("\\/triage hold\n**/triage hold**\n\u{200b}/triage hold\n&#47;triage hold");
    }

    #[test]
    fn its_name_ends_with_a_space_or_the_line() {
        finds_nothing("/triages\n/triage-hold\n/triage:\n/triage/hold\n//triage\n/triagé");
        finds("/triage", &[""]);
        finds("/triage\u{a0}hold", &["\u{a0}hold"]);
    }

    #[test]
    fn code_is_no_command() {
        finds_nothing("```\n/triage hold\n```");
        finds_nothing("~~~sh\n/triage hold\n```\n/triage hold\n~~~");
        finds_nothing("````\n```\n/triage hold\n````");
        finds_nothing("```\nnever closed\n\n/triage hold");
        finds_nothing("text\n\n    /triage hold\n\n\t/triage hold");
        finds_nothing("text\n    /triage hold");
        finds_nothing("`/triage hold`\n\n`a\n/triage hold\nb`");
        finds_nothing("- ```\n  /triage hold\n  ```");
        finds("- ```\n  code\n  ```\n\n/triage a", &[" a"]);
        finds("```\ncode\n```\n/triage a", &[" a"]);
        finds("``` not a fence ```\n/triage a", &[" a"]);
    }

    #[test]
    fn a_quotation_is_no_command() {
        finds_nothing("> /triage hold\n>/triage hold\n> > /triage hold\n>\n> /triage hold");
        finds_nothing("> quoted\n/triage hold\n/triage hold");
        finds_nothing("> > quoted\n> /triage hold\n/triage hold");
        finds_nothing("> - quoted\n/triage hold");
        finds_nothing("- a\n  > quoted\n/triage hold");
        finds("> quoted\n\n/triage a", &[" a"]);
        finds("> # quoted\n/triage a", &[" a"]);
        finds("> ```\n> code\n\n/triage a", &[" a"]);
    }

    #[test]
    fn html_is_no_command() {
        finds_nothing("<!-- \n/triage hold\n\n/triage hold\n-->");
        finds_nothing("text <!--\n/triage hold\n-->");
        finds_nothing("<!-- never closed\n\n/triage hold");
        finds_nothing("<pre>\n/triage hold\n\n/triage hold\n</pre>");
        finds("<!-- a -->\n\n/triage a", &[" a"]);
        finds("<details>\n\n/triage a\n\n</details>", &[" a"]);
    }

    #[test]
    fn a_link_is_no_command() {
        finds_nothing("[a\n/triage hold](https://example.com)\n\n![a\n/triage hold](b)");
        finds_nothing("[a]: https://example.com \"a\n/triage hold\n\"");
    }

    #[test]
    fn lists_and_lines_drawn_below_do_not_hide_one() {
        finds("- one\n- two\n/triage a", &[" a"]);
        finds_nothing("- one\n  /triage hold\n\n  /triage hold\n  - two\n\n    /triage hold");
        finds("/triage a\n---\n-- \nalice", &[" a"]);
    }

    #[test]
    fn a_hostile_comment_takes_no_time() {
        let started = std::time::Instant::now();
        for part in ["[", "*a_ ", "`", "``` ", "<", "<!--", "> ", "*/triage*", "[a](", "![", "- "] {
            let body = part.repeat(MAX_BODY / part.len() - 20);
            finds(&format!("/triage a\n\n{body}"), &[" a"]);
        }
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
        finds_nothing(&format!("/triage\n{}", " ".repeat(MAX_BODY)));
    }
}
