//! The words of a web page, for a model: what a browser would not show is left out. It reads no page well that was
//! made to be read badly; all of it is text of somebody else anyway.

use std::sync::LazyLock;

use regex::{Captures, Regex};

#[expect(clippy::expect_used, reason = "fixed patterns, compiled by every test")]
static HIDDEN: LazyLock<[Regex; 6]> = LazyLock::new(|| {
    ["script", "style", "noscript", "template", "svg", "head"].map(|tag| {
        Regex::new(&format!(r"(?is)<{tag}\b[^>]*>.*?(?:</{tag}\s*>|\z)")).expect("a valid pattern")
    })
});
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static TITLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?is)<title\b[^>]*>(.*?)</title").expect("a valid pattern"));
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static BREAKS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)</?(?:p|div|br|li|ul|ol|tr|table|h[1-6]|pre|section|article|header|footer|blockquote)\b[^>]*>")
        .expect("a valid pattern")
});
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static TAGS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)<!--.*?(?:-->|\z)|</?[a-zA-Z!][^>]*>").expect("a valid pattern")
});
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static ENTITIES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"&(#x?[0-9a-fA-F]{1,6}|[a-z]{2,6});").expect("a valid pattern"));

/// The text of an HTML page, one line a block.
pub(super) fn words(html: &str) -> String {
    let title = TITLE.captures(html).map(|found| format!("{}\n", &found[1])).unwrap_or_default();
    let mut text = html.to_owned();
    for hidden in HIDDEN.iter() {
        text = hidden.replace_all(&text, "\n").into_owned();
    }
    let text = BREAKS.replace_all(&text, "\n");
    let text = TAGS.replace_all(&text, "");
    let text = format!("{title}{text}");
    let text = ENTITIES.replace_all(&text, |found: &Captures<'_>| entity(&found[1]));
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn entity(name: &str) -> String {
    let number = |digits: &str, radix| {
        u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).map(String::from)
    };
    let known = match name {
        "amp" => Some("&".to_owned()),
        "lt" => Some("<".to_owned()),
        "gt" => Some(">".to_owned()),
        "quot" => Some("\"".to_owned()),
        "apos" => Some("'".to_owned()),
        "nbsp" => Some(" ".to_owned()),
        _ => match name.strip_prefix('#') {
            Some(digits) => match digits.strip_prefix(['x', 'X']) {
                Some(hex) => number(hex, 16),
                None => number(digits, 10),
            },
            None => None,
        },
    };
    known.unwrap_or_else(|| format!("&{name};"))
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
