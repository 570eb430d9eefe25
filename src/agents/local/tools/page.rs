//! The words of a web page, for a model: what a browser would not show is left out. It reads no page well that was
//! made to be read badly; all of it is text of somebody else anyway.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::write::on_one_line;

/// What is taken out in turn, and what is left in its place.
static TAKEN_OUT: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let hidden = ["script", "style", "noscript", "template", "svg", "head"];
    let hidden = hidden.map(|tag| format!(r"(?is)<{tag}\b[^>]*>.*?(?:</{tag}\s*>|\z)"));
    let breaks = r"(?i)</?(?:p|div|br|li|ul|ol|tr|table|h[1-6]|pre|section|article|header|footer|blockquote)\b[^>]*>";
    let tags = (pattern(r"(?s)<!--.*?(?:-->|\z)|</?[a-zA-Z!][^>]*>"), "");
    let blocks = hidden.iter().map(String::as_str).chain([breaks]);
    blocks.map(|block| (pattern(block), "\n")).chain([tags]).collect()
});
static TITLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?is)<title\b[^>]*>(.*?)</title"));
static ENTITIES: LazyLock<Regex> = LazyLock::new(|| pattern(r"&(#x?[0-9a-fA-F]{1,6}|[a-z]{2,6});"));

#[expect(clippy::expect_used, reason = "fixed patterns, compiled by every test")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

/// The text of an HTML page, one line a block.
pub(super) fn words(html: &str) -> String {
    let title = TITLE.captures(html).map(|found| format!("{}\n", &found[1])).unwrap_or_default();
    let text = TAKEN_OUT.iter().fold(html.to_owned(), |text, (pattern, left)| {
        pattern.replace_all(&text, *left).into_owned()
    });
    let text = format!("{title}{text}");
    let text = ENTITIES.replace_all(&text, |found: &Captures<'_>| {
        entity(&found[1]).map_or_else(|| found[0].to_owned(), String::from)
    });
    let lines = text.lines().map(on_one_line).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn entity(name: &str) -> Option<char> {
    let named =
        [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", ' ')];
    if let Some((_, known)) = named.iter().find(|(known, _)| *known == name) {
        return Some(*known);
    }
    let digits = name.strip_prefix('#')?;
    let code = match digits.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    char::from_u32(code.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_its_words() {
        let html = "<html><head><title>Docs &amp; more</title><style>p{}</style></head><body>\
            <script>steal()</script><h1>A  title</h1><p>x &lt; y&#33;</p><!-- hidden --><ul><li>one<li>two</ul></body>";
        assert_eq!(words(html), "Docs & more\nA title\nx < y!\none\ntwo");
    }

    #[test]
    fn what_is_never_closed_hides_the_rest() {
        assert_eq!(words("<p>a</p><script>b <p>c"), "a");
        assert_eq!(words("a<!-- b"), "a");
        assert_eq!(words("a &bogus; &#x110000;"), "a &bogus; &#x110000;");
    }
}
