//! A delivery's body made readable: JSON is indented without being parsed, so that order, numbers and duplicate keys
//! stay as they are. Other text stays unchanged.

use std::fmt::Write as _;

use super::elements::is_hidden;

/// How much of a body is shown, in bytes; the whole one can be downloaded.
const MOST: usize = 64 * 1024;
/// The deepest indentation: a body of brackets must not become megabytes of spaces.
const DEEPEST: usize = 24;

/// A readable body.
#[derive(Debug)]
pub(super) struct Pretty {
    pub text: String,
    /// Whether the rest was cut off.
    pub is_cut: bool,
}

/// Indents a body.
pub(super) fn pretty(body: &[u8]) -> Pretty {
    let text = String::from_utf8_lossy(body);
    let mut layout = Layout::default();
    for c in text.chars() {
        if layout.out.len() >= MOST {
            return Pretty { text: layout.out, is_cut: true };
        }
        layout.push(c);
    }
    Pretty { text: layout.out, is_cut: false }
}

#[derive(Default)]
struct Layout {
    out: String,
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// The last character was an opening bracket.
    is_empty: bool,
}

impl Layout {
    fn push(&mut self, c: char) {
        if self.in_text {
            self.text(c);
            return;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                self.fill();
                self.out.push(c);
                self.depth += 1;
                self.is_empty = true;
            }
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                if !std::mem::take(&mut self.is_empty) {
                    self.line();
                }
                self.out.push(c);
            }
            ',' => {
                self.out.push(c);
                self.line();
            }
            ':' => self.out.push_str(": "),
            c => {
                self.fill();
                self.in_text = c == '"';
                self.shown(c);
            }
        }
    }

    fn text(&mut self, c: char) {
        self.in_text = self.escaped || c != '"';
        self.escaped = !self.escaped && c == '\\';
        self.shown(c);
    }

    /// Begins a line after an opening bracket.
    fn fill(&mut self) {
        if std::mem::take(&mut self.is_empty) {
            self.line();
        }
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", self.depth.min(DEEPEST)));
    }

    /// An invisible character is written as a JSON escape.
    fn shown(&mut self, c: char) {
        if is_hidden(c) {
            let _ = write!(self.out, "\\u{:04x}", u32::from(c));
        } else {
            self.out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(body: &str, expected: &str) {
        assert_eq!(pretty(body.as_bytes()).text, expected);
    }

    #[test]
    fn json_is_indented_and_not_changed() {
        becomes(
            r#"{"b":[1,2.50],"a":{},"b":"x, {\"y\"}: \\","c":[ ]}"#,
            "{\n  \"b\": [\n    1,\n    2.50\n  ],\n  \"a\": {},\n  \"b\": \"x, {\\\"y\\\"}: \\\\\",\n  \"c\": []\n}",
        );
        becomes("7", "7");
        becomes("", "");
    }

    #[test]
    fn invisible_characters_are_escaped() {
        becomes("\"a\u{202e}b\u{200b}\"", "\"a\\u202eb\\u200b\"");
        assert!(pretty(b"\"\xff\"").text.contains('\u{fffd}'));
    }

    #[test]
    fn a_long_or_deep_body_is_cut() {
        let deep = "[".repeat(1_000_000);
        let shown = pretty(deep.as_bytes());
        assert!(shown.is_cut && shown.text.len() < MOST + 100);
        assert!(pretty("}]".repeat(50).as_bytes()).text.len() < 1_000);
    }
}
