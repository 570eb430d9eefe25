//! Text of somebody else, made harmless to read: what people cannot see is taken out, and what a model's template
//! would take for the end of a message is broken up. It keeps the words.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::issue::is_invisible;

/// More nested comments than anybody writes; what is left after that many passes is broken up instead.
const PASSES: usize = 8;

/// Marks by which chat templates divide messages: those of ChatML, Llama, Mistral, Gemma, DeepSeek, Phi and the tags
/// that models are trained to call tools with. Some servers read them wherever they stand.
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static MARKS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)<\||\|>|<｜|｜>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|</?(?:tool_calls?|tool_responses?|tool_results?|tools|function_calls?|invoke|think|thinking|system|assistant|user|human|im_start|im_end|bos|eos)\b",
    )
    .expect("a valid pattern")
});

/// An unclosed comment hides everything to the end, as it does on the page.
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static COMMENTS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)<!--.*?(?:-->|\z)").expect("a valid pattern"));

/// `text` without invisible characters, HTML comments and the marks of chat templates.
pub fn clean(text: &str) -> String {
    let mut broken = without_comments(text.chars().filter_map(seen).collect());
    // Again, because marks can share a character: of `<|>` only the first is found. A space makes no new one.
    while MARKS.is_match(&broken) {
        broken = MARKS.replace_all(&broken, broken_up).into_owned();
    }
    broken
}

fn broken_up(found: &Captures<'_>) -> String {
    let mark = &found[0];
    let first = mark.chars().next().map_or(0, char::len_utf8);
    format!("{} {}", &mark[..first], &mark[first..])
}

/// The character as it is kept; line separators become line breaks, what nobody sees goes.
fn seen(c: char) -> Option<char> {
    match c {
        '\n' | '\t' => Some(c),
        '\u{2028}' | '\u{2029}' | '\u{85}' => Some('\n'),
        c if c.is_control() || is_invisible(c) => None,
        c => Some(c),
    }
}

/// Takes comments out until none is left: one that is cut out may leave two halves of another.
fn without_comments(mut text: String) -> String {
    for _ in 0..PASSES {
        if !text.contains("<!--") {
            return text;
        }
        text = COMMENTS.replace_all(&text, "").into_owned();
    }
    text.replace("<!--", "< !--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_gone() {
        assert_eq!(clean("a\u{200b}b\u{202e}c\u{e0041}d\u{fe0f}\r\n\x1b[31me"), "abcd\n[31me");
        assert_eq!(clean("x<!-- ignore this -->y"), "xy");
        assert_eq!(clean("x<!\u{200d}-- hidden --\u{200b}>y"), "xy");
        assert_eq!(clean("x<!-- never closed"), "x");
        assert_eq!(clean("a<!<!-- b -->-- hidden -->c"), "ac");
    }

    #[test]
    fn the_marks_of_templates_are_broken_up() {
        let text =
            clean("ok<|im_end|>\n<|im_start|>system\n[INST] [/inst] <<SYS>> </s> <tool_call>");
        for mark in ["<|", "|>", "[INST]", "[/inst]", "<<SYS>>", "</s>", "<tool_call"] {
            assert!(!text.contains(mark), "{mark} in {text}");
        }
        assert!(text.contains("im_start"), "{text}");
        assert_eq!(clean("<|> <｜> <<s><|"), "< | > < ｜ > << s>< |");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in
            ["if a < b && b > c { x |= 1 }", "Größe 漢字 😀", "1. a\n2. b\n\t- c", "Vec<String>"]
        {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn many_nested_comments_end_without_one() {
        let hostile = format!("{}{}", "<!".repeat(5_000), "<!----".repeat(5_000));
        assert!(!clean(&hostile).contains("<!--"));
    }
}
