//! The acceptance criteria an issue lists: what has to hold when it is done.

use super::markdown::{self, Block, Kind};
use crate::issue::Issue;

/// More than these nobody checks one by one, and an agent's prompt has an end.
const MOST: usize = 20;

/// List items under an "acceptance criteria" line or heading, and open items of task lists anywhere; each
/// once, in their order, at most 20.
pub fn acceptance_criteria(issue: &Issue) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut place = Place::Elsewhere;
    // Most issues have neither a task nor the word, and need no parser.
    let may_have =
        issue.body.contains('[') || issue.body.to_ascii_lowercase().contains("acceptance");
    for block in may_have.then(|| markdown::blocks(&issue.body)).into_iter().flatten() {
        place = place.after(&block);
        let is_criterion = is_open_task(&block) || matches!(place, Place::Listed { .. });
        if is_criterion && matches!(block.kind, Kind::Item { .. }) {
            let text = block.text();
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
    markdown::blocks(&issue.body).iter().filter(|block| is_open_task(block)).count()
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
    fn after(self, block: &Block) -> Self {
        let is_heading = block.kind == Kind::Heading;
        if block.lines.iter().any(|line| announces(line.trim(), is_heading)) {
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
