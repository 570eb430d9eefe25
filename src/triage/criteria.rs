//! The acceptance criteria an issue lists: what has to hold when it is done.

use std::collections::HashSet;
use std::ops::Range;

use super::markdown::{Block, Document, Kind};
use super::statements::{Passage, Role, Statements};
use crate::issue::Issue;

/// More than these nobody checks one by one, and an agent's prompt has an end.
const MOST: usize = 20;

/// A longer statement is a story, not a criterion.
const LONGEST: usize = 400;

/// What a policy that reads statements takes for criteria: a list of what has to hold; else what the issue expects; else
/// what it proposes; else its sentences that demand something; else those that order work. Both are asked with the sentence
/// and its place in the text.
pub(super) fn stated(
    said: &Statements,
    demands: impl Fn(&str, &Range<usize>) -> bool,
    orders: impl Fn(&str, &Range<usize>) -> bool,
) -> Vec<String> {
    let listed = listed(said).map(|one| said.typed(one)).collect();
    let ways: [&dyn Fn() -> Vec<String>; 4] =
        [&|| expected(said), &|| proposed(said), &|| demanded(said, &demands), &|| {
            demanded(said, &orders)
        }];
    let found = ways
        .iter()
        .fold(listed, |found: Vec<String>, way| if found.is_empty() { way() } else { found });
    let mut seen = HashSet::new();
    found.into_iter().filter(|one| seen.insert(one.clone())).take(MOST).collect()
}

/// Whether it lists what has to hold.
pub(super) fn has_list(said: &Statements) -> bool {
    listed(said).next().is_some()
}

/// Items of a field for it, and open tasks that are no steps; where that field has no item, what it says.
fn listed(said: &Statements) -> impl Iterator<Item = &Passage> {
    let is_item = |one: &Passage| matches!(one.kind, Kind::Item { .. });
    let has_items =
        said.body().iter().any(|one| one.counts && one.role == Role::Done && is_item(one));
    said.body().iter().filter(move |one| {
        let is_task = one.kind == Kind::Item { ticked: Some(false) } && one.role != Role::Steps;
        let is_listed =
            one.role == Role::Done && (is_item(one) || (!has_items && one.kind == Kind::Paragraph));
        one.counts && (is_task || is_listed)
    })
}

fn in_role(said: &Statements, role: Role) -> impl Iterator<Item = &Passage> {
    said.body().iter().filter(move |one| one.counts && one.role == role)
}

/// What should happen, unless it is word for word what does.
fn expected(said: &Statements) -> Vec<String> {
    let happens: HashSet<_> = in_role(said, Role::Actual).map(|one| said.says(one)).collect();
    let expected = in_role(said, Role::Expected).filter(|one| !happens.contains(&said.says(one)));
    let says_enough = |text: &String| text.chars().nth(3).is_some() && text.len() <= LONGEST;
    expected.map(|one| said.typed(one)).filter(says_enough).collect()
}

fn proposed(said: &Statements) -> Vec<String> {
    let proposed = in_role(said, Role::Solution).map(|one| said.typed(one));
    proposed.filter(|one| one.len() <= LONGEST && !one.ends_with([':', '：'])).collect()
}

/// The sentences with a demand that are no question and demand nothing of the reader.
fn demanded(said: &Statements, demands: &impl Fn(&str, &Range<usize>) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for passage in said.body().iter().filter(|one| one.counts && one.role != Role::Steps) {
        let text = &said.text()[passage.at.clone()];
        let typed = said.typed(passage);
        let as_typed: Vec<_> = sentences(&typed).collect();
        let is_alike = as_typed.len() == sentences(text).count();
        for (place, at) in sentences(text).enumerate() {
            let here = passage.at.start + at.start..passage.at.start + at.end;
            let sentence = text[at].trim();
            let has_demand = demands(sentence, &here);
            let is_question = sentence.ends_with(['?', '？']);
            if has_demand && !is_question && sentence.len() <= LONGEST {
                let shown = as_typed
                    .get(place)
                    .filter(|_| is_alike)
                    .map_or(sentence, |at| typed[at.clone()].trim());
                found.push(shown.to_owned());
            }
        }
    }
    found
}

/// Where the sentences of a text stand.
fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> {
    let ends = text.char_indices().filter_map(|(at, c)| {
        let end = at + c.len_utf8();
        let is_last = text[end..].chars().next().is_none_or(char::is_whitespace);
        let ends = matches!(c, '。' | '！' | '？' | '，' | '；')
            || (matches!(c, '.' | '!' | '?') && is_last);
        ends.then_some(end)
    });
    let mut from = 0;
    let all = ends.chain([text.len()]).map(move |end| std::mem::replace(&mut from, end)..end);
    all.filter(|at| !text[at.clone()].trim().is_empty())
}

/// List items under an "acceptance criteria" line or heading, and open items of task lists anywhere; each
/// once, in their order, at most 20.
pub fn acceptance_criteria(issue: &Issue) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut place = Place::Elsewhere;
    // Most issues have neither a task nor the word, and need no parser.
    let may_have =
        issue.body.contains('[') || issue.body.to_ascii_lowercase().contains("acceptance");
    let document = Document::of(if may_have { &issue.body } else { "" });
    for block in document.said_blocks() {
        place = place.after(&document, block);
        let is_criterion = is_open_task(block) || matches!(place, Place::Listed { .. });
        if is_criterion && matches!(block.kind, Kind::Item { .. }) {
            let text = document.text(block);
            if !found.contains(&text) {
                found.push(text);
            }
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// How many items of the issue's task lists are not ticked.
pub fn open_tasks(issue: &Issue) -> usize {
    Document::of(&issue.body).blocks.iter().filter(|block| is_open_task(block)).count()
}

fn is_open_task(block: &Block) -> bool {
    block.kind == Kind::Item { ticked: Some(false) }
}

/// Where a block stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Elsewhere,
    /// Below the "acceptance criteria" line, before its list.
    Announced,
    /// In the list.
    Listed {
        /// How many lists its items are in.
        depth: usize,
    },
}

impl Place {
    fn after(self, document: &Document, block: &Block) -> Self {
        let is_heading = block.kind == Kind::Heading;
        if document.lines(block).any(|line| announces(line.trim(), is_heading)) {
            return Self::Announced;
        }
        match (self, block.kind) {
            (_, Kind::Heading) => Self::Elsewhere,
            (Self::Announced, Kind::Item { .. }) => Self::Listed { depth: block.depth },
            (Self::Listed { depth }, _) if block.depth < depth => Self::Elsewhere,
            _ => self,
        }
    }
}

/// Whether the line says "acceptance criteria" and little else.
fn announces(line: &str, is_heading: bool) -> bool {
    let is_mark = |c: char| matches!(c, '#' | '*' | '_' | ':' | ' ');
    let plain = line.trim_matches(is_mark).to_ascii_lowercase();
    let says = |text: &str| plain.contains(text) && (is_heading || plain.starts_with(text));
    let is_label = is_heading || line.trim_end_matches(['*', '_', ' ']).ends_with(':');
    (is_label && (says("acceptance criteria") || says("acceptance criterion")))
        || plain == "acceptance criteria"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::samples::issue;

    #[track_caller]
    fn finds(body: &str, expected: &[&str]) {
        assert_eq!(acceptance_criteria(&issue("t", body)), expected);
    }

    #[test]
    fn items_under_the_line_are_found() {
        finds("Acceptance criteria:\n- one\n* two\n\n1. three\n", &["one", "two", "three"]);
        finds("## ACCEPTANCE CRITERIA\r\n\r\n- one\r\n- one\r\n", &["one"]);
        finds(
            "**Acceptance criteria:**\nAll of these hold\n- [x] done\n- [ ] open",
            &["done", "open"],
        );
        finds(
            "### 3. Acceptance criteria (v2)\n+ a\n  goes on\n  - nested",
            &["a goes on", "nested"],
        );
        finds("- [ ] a\n  b\nc\nAcceptance criteria:\n- d", &["a b", "d"]);
        finds("- **Acceptance criteria**:\n  - `a` **must** hold\n- b", &["`a` **must** hold"]);
    }

    #[test]
    fn the_list_ends_at_a_heading_or_a_paragraph() {
        finds("Acceptance criteria\n- a\n## Notes\n- b", &["a"]);
        finds("Acceptance criteria\n- a\n\nBesides:\n- b", &["a"]);
        finds("The acceptance criteria are unclear\n- b", &[]);
    }

    #[test]
    fn open_tasks_count_anywhere_but_in_code() {
        finds("- [ ] a\n- [x] b\n- c\n```\n- [ ] d\n```\n1. [ ] e\n- [ ]\n\n-[ ] f", &["a", "e"]);
    }

    #[test]
    fn what_nobody_says_is_neither_a_criterion_nor_a_task() {
        let hidden = [
            "<!--\n- [ ] a\n-->",
            "<!-- Acceptance criteria:\n- a\n-->\n\n- b",
            "text\n\n    - [ ] a",
            "````\n```\n- [ ] a\n````",
            "> Acceptance criteria:\n> - [ ] a\n> - b",
            "<div>\n- [ ] a\n</div>",
            "- see\n\n  ~~~\n  - [ ] a\n  ~~~",
        ];
        for body in hidden {
            finds(body, &[]);
            assert_eq!(open_tasks(&issue("t", body)), 0, "{body}");
        }
        finds("<details>\n\n- [ ] a <!-- b -->\n\n</details>", &["a"]);
        finds("- x\n  1. y\n     * [ ] a\n\n\t- [ ] b", &["a", "b"]);
    }

    #[test]
    fn twenty_are_enough() {
        let body: String = (0..50).map(|n| format!("- [ ] item {n}\n")).collect();
        assert_eq!(acceptance_criteria(&issue("t", &body)).len(), 20);
    }
}
