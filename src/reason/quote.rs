//! Words of somebody else inside a text of ours: always as code, where the forge neither mentions nor references
//! anybody, and where nothing in them can end the quotation.

use crate::issue::is_invisible;

/// `text` as inline code on one line, its invisible characters removed. The forge neither mentions nor references
/// inside code (modules/markup/mdstripper), and the run of backticks around it is longer than any within.
pub fn code(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .filter(|c| !is_hidden(*c))
        .collect();
    let ticks = "`".repeat(longest_run(&text) + 1);
    if text.trim().is_empty() {
        return "` `".to_owned();
    }
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// `text` as a code block that nothing in it can end, its invisible characters removed.
pub fn fence(text: &str) -> String {
    let text: String = text.chars().filter(|c| *c == '\n' || !is_hidden(*c)).collect();
    let ticks = "`".repeat((longest_run(&text) + 1).max(3));
    format!("{ticks}text\n{}\n{ticks}", text.trim_end())
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn is_hidden(c: char) -> bool {
    c.is_control() || is_invisible(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_cannot_leave_its_fence() {
        let quoted = fence("a\n````\n@alice\n```\nb\u{202e}c");
        assert!(quoted.starts_with("`````text\n") && quoted.ends_with("\n`````"), "{quoted}");
        assert!(!quoted.contains('\u{202e}'));
    }

    #[test]
    fn inline_code_survives_backticks_and_line_breaks() {
        assert_eq!(code("`run()`"), "`` `run()` ``");
        assert_eq!(code("a\nb"), "`a b`");
        assert_eq!(code("a\u{202e}b\u{200b}\u{e0041}\u{61c}"), "`ab`");
        assert_eq!(code(""), "` `");
    }
}
