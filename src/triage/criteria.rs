//! The acceptance criteria an issue lists: what has to hold when it is done.

use crate::issue::Issue;

/// More than these nobody checks one by one, and an agent's prompt has an end.
const MOST: usize = 20;

/// List items under an "acceptance criteria" line or heading, and open items of task lists anywhere; each
/// once, in their order, at most 20.
pub fn acceptance_criteria(issue: &Issue) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut place = Place::Elsewhere;
    let mut fence = None;
    for line in issue.body.lines() {
        if toggles_fence(line, &mut fence) || fence.is_some() {
            continue;
        }
        let line = Line::read(line);
        place = place.after(&line);
        if let Some(text) = line.criterion(place)
            && !found.iter().any(|known| known == text)
        {
            found.push(text.to_owned());
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// How many items of the issue's task lists are not ticked.
pub fn open_tasks(issue: &Issue) -> usize {
    let mut fence = None;
    let open = |line: &&str| {
        !toggles_fence(line, &mut fence)
            && fence.is_none()
            && matches!(Line::read(line), Line::Item { is_open_task: true, .. })
    };
    issue.body.lines().filter(open).count()
}

/// Where a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Elsewhere,
    /// Below the "acceptance criteria" line, before its list.
    Announced,
    /// In the list.
    Listed,
}

impl Place {
    fn after(self, line: &Line<'_>) -> Self {
        match (self, line) {
            (_, Line::Announcement) => Self::Announced,
            (_, Line::Heading) => Self::Elsewhere,
            (Self::Announced, Line::Item { .. }) => Self::Listed,
            (Self::Listed, Line::Paragraph) => Self::Elsewhere,
            _ => self,
        }
    }
}

/// What a line of Markdown is, as far as it matters here.
enum Line<'a> {
    Announcement,
    Heading,
    Item {
        text: &'a str,
        is_open_task: bool,
    },
    Paragraph,
    /// Nothing, or indented text that goes with the item above.
    Filler,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        let text = line.trim();
        let is_heading = text.trim_start_matches('#').starts_with(' ') && text.starts_with('#');
        if announces(text, is_heading) {
            Self::Announcement
        } else if is_heading {
            Self::Heading
        } else if let Some(item) = item(text) {
            let (text, is_open_task) = without_box(item);
            Self::Item { text, is_open_task }
        } else if text.is_empty() || line.starts_with([' ', '\t']) {
            Self::Filler
        } else {
            Self::Paragraph
        }
    }

    fn criterion(&self, place: Place) -> Option<&'a str> {
        match self {
            Self::Item { text, is_open_task } if *is_open_task || place == Place::Listed => {
                Some(*text).filter(|text| !text.is_empty())
            }
            _ => None,
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

/// The text of a list item: `- x`, `* x`, `+ x`, `1. x`, `1) x`.
fn item(line: &str) -> Option<&str> {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = match digits {
        0 => line.strip_prefix(['-', '*', '+'])?,
        1..=9 => line[digits..].strip_prefix(['.', ')'])?,
        _ => return None,
    };
    rest.starts_with([' ', '\t']).then(|| rest.trim())
}

/// Takes a task's box off, and says whether it was empty.
fn without_box(item: &str) -> (&str, bool) {
    for (mark, is_open) in [("[ ]", true), ("[x]", false), ("[X]", false)] {
        if let Some(text) = item.strip_prefix(mark) {
            return (text.trim(), is_open);
        }
    }
    (item, false)
}

/// Whether the line opens or closes a code block; what is inside is an example, not a criterion.
fn toggles_fence(line: &str, fence: &mut Option<&'static str>) -> bool {
    let text = line.trim_start();
    match *fence {
        Some(mark) if text.starts_with(mark) => *fence = None,
        Some(_) => return false,
        None => match ["```", "~~~"].into_iter().find(|mark| text.starts_with(mark)) {
            Some(mark) => *fence = Some(mark),
            None => return false,
        },
    }
    true
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
        finds("### 3. Acceptance criteria (v2)\n+ a\n  goes on\n  - nested", &["a", "nested"]);
    }

    #[test]
    fn the_list_ends_at_a_heading_or_a_paragraph() {
        finds("Acceptance criteria\n- a\n## Notes\n- b", &["a"]);
        finds("Acceptance criteria\n- a\n\nBesides:\n- b", &["a"]);
        finds("The acceptance criteria are unclear\n- b", &[]);
    }

    #[test]
    fn open_tasks_count_anywhere_but_in_code() {
        finds("- [ ] a\n- [x] b\n- c\n```\n- [ ] d\n```\n1. [ ] e\n- [ ]\n-[ ] f", &["a", "e"]);
    }

    #[test]
    fn twenty_are_enough() {
        let body: String = (0..50).map(|n| format!("- [ ] item {n}\n")).collect();
        assert_eq!(acceptance_criteria(&issue("t", &body)).len(), 20);
    }
}
