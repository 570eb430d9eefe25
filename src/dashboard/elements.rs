//! The small parts of pages: text, times, links, chips. Each is complete and safe HTML for any input; text from outside
//! is escaped here and nowhere else.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use chrono::{SecondsFormat, TimeDelta};

use crate::clock::Timestamp;
use crate::issue::is_invisible;

/// Complete and safe HTML.
#[derive(Debug)]
pub(super) struct Html(String);

impl Html {
    /// HTML whose parts are safe already.
    pub fn of(html: String) -> Self {
        Self(html)
    }
}

impl HtmlSafe for Html {}

impl Display for Html {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text from outside: escaped, isolated from the direction of the text around it, and without invisible or
/// direction-changing characters.
pub(super) fn text(text: &str) -> Html {
    Html(format!("<bdi>{}</bdi>", escaped(text)))
}

/// A sentence of this program, in which code stands between backticks.
pub(super) fn sentence(text: &str) -> Html {
    let (mut html, mut rest) = ("<bdi>".to_owned(), text);
    while let Some((before, opened)) = rest.split_once('`')
        && let Some((code, after)) = opened.split_once('`')
    {
        html += &format!("{}<code>{}</code>", escaped(before), escaped(code));
        rest = after;
    }
    Html(html + &escaped(rest) + "</bdi>")
}

/// `text` in HTML; an invisible character becomes U+FFFD.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\n' | '\t' => html.push(c),
            c if is_hidden(c) => html.push('\u{fffd}'),
            c => html.push(c),
        }
    }
    html
}

/// Control and invisible characters, except the variation selectors, which many emoji have.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control() || (is_invisible(c) && !matches!(c, '\u{fe00}'..='\u{fe0f}'))
}

/// One part of a path or one value of a query.
pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A point in time behind any number of references: templates borrow what they loop over.
pub(super) trait Moment {
    fn moment(&self) -> Timestamp;
}

impl Moment for Timestamp {
    fn moment(&self) -> Timestamp {
        *self
    }
}

impl<T: Moment> Moment for &T {
    fn moment(&self) -> Timestamp {
        (**self).moment()
    }
}

/// A time relative to now; the exact time is in its title.
pub(super) fn time(at: Timestamp, now: Timestamp) -> Html {
    let iso = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let exact = at.format("%Y-%m-%d %H:%M:%S UTC");
    let away = at - now;
    let relative = match away {
        _ if away.abs() < TimeDelta::seconds(1) => "just now".to_owned(),
        _ if away > TimeDelta::zero() => format!("in {}", span(away)),
        _ => format!("{} ago", span(-away)),
    };
    Html(format!("<time datetime=\"{iso}\" title=\"{exact}\">{relative}</time>"))
}

/// A span of time in its two largest units.
pub(super) fn span(span: TimeDelta) -> String {
    let s = span.num_seconds().max(0);
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min", s / 60),
        3_600..86_400 if s % 3_600 < 60 => format!("{} h", s / 3_600),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d", s / 86_400),
    }
}

/// A state or action in its colour.
pub(super) fn chip(word: &str) -> Html {
    let class: String = word.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let word = escaped(&word.replace('_', " "));
    Html(format!("<span class=\"chip chip-{class}\">{word}</span>"))
}

/// The path of an issue's page below `base`.
pub(super) fn issue_path(base: &str, repo: &str, number: u64) -> String {
    let (owner, name) = repo.split_once('/').unwrap_or((repo, ""));
    format!("{base}/issues/{}/{}/{number}", encoded(owner), encoded(name))
}

/// A link to an issue's page.
pub(super) fn issue_link(base: &str, repo: &str, number: u64) -> Html {
    let path = escaped(&issue_path(base, repo, number));
    Html(format!("<a class=\"ref\" href=\"{path}\">{}#{number}</a>", escaped(repo)))
}

/// The path of a delivery's page below `base`.
pub(super) fn delivery_path(base: &str, id: &str) -> String {
    format!("{base}/deliveries/{}", encoded(id))
}

/// A link to a delivery's page.
pub(super) fn delivery_link(base: &str, id: &str) -> Html {
    let path = escaped(&delivery_path(base, id));
    let short: String = id.chars().take(8).collect();
    let more = if id.chars().nth(8).is_some() { "…" } else { "" };
    Html(format!("<a class=\"ref\" href=\"{path}\"><code>{}{more}</code></a>", escaped(&short)))
}

/// A text in which `words` are marked.
pub(super) fn marked(text: &str, words: &[String]) -> Html {
    let (mut html, mut rest) = ("<bdi>".to_owned(), text);
    while let Some((at, word)) = first(words, rest) {
        html += &format!("{}<mark>{}</mark>", escaped(&rest[..at]), escaped(word));
        rest = &rest[at + word.len()..];
    }
    Html(html + &escaped(rest) + "</bdi>")
}

/// The first of the words in `text`; the longest where several begin at one place.
fn first<'w>(words: &'w [String], text: &str) -> Option<(usize, &'w str)> {
    let places = words.iter().filter(|word| !word.is_empty());
    let places = places.filter_map(|word| Some((text.find(word.as_str())?, word.as_str())));
    places.min_by_key(|(at, word)| (*at, usize::MAX - word.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn hostile_text_is_harmless() {
        let html = text("<script>alert('1')</script> \"x\" & \u{202e}evil\u{200b}\u{0}");
        assert_eq!(
            html.to_string(),
            "<bdi>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &quot;x&quot; &amp; \u{fffd}evil\u{fffd}\u{fffd}</bdi>"
        );
        assert_eq!(
            chip("\"><script>").to_string(),
            "<span class=\"chip chip-script\">&quot;&gt;&lt;script&gt;</span>"
        );
        let link = issue_link("", "a\"b/<c>", 1);
        assert_eq!(
            link.to_string(),
            "<a class=\"ref\" href=\"/issues/a%22b/%3Cc%3E/1\">a&quot;b/&lt;c&gt;#1</a>"
        );
        let link = delivery_link("/x", "a/../<b>\"c");
        assert!(link.to_string().contains("href=\"/x/deliveries/a%2F..%2F%3Cb%3E%22c\""), "{link}");
    }

    #[test]
    fn code_in_a_sentence_is_shown_as_code() {
        let shown = |text| sentence(text).to_string();
        assert_eq!(
            shown("goes to `<a>` first, `b` next"),
            "<bdi>goes to <code>&lt;a&gt;</code> first, <code>b</code> next</bdi>"
        );
        assert_eq!(shown("a ` alone"), "<bdi>a ` alone</bdi>");
    }

    #[test]
    fn marked_words_are_found_and_everything_else_is_text() {
        let marked = |text: &str, words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            super::marked(text, &words).to_string()
        };
        assert_eq!(
            marked("see src/db.rs and src/", &["src/", "src/db.rs", "", "gone"]),
            "<bdi>see <mark>src/db.rs</mark> and <mark>src/</mark></bdi>"
        );
        assert_eq!(marked("<b> must", &["<b>"]), "<bdi><mark>&lt;b&gt;</mark> must</bdi>");
        assert_eq!(marked("größer als", &["ö"]), "<bdi>gr<mark>ö</mark>ßer als</bdi>");
    }

    #[test]
    fn times_are_relative_to_now() {
        let now = from_millis(1_774_267_200_000);
        let shown = |seconds| time(now + TimeDelta::seconds(seconds), now).to_string();
        assert!(shown(-5).ends_with(">5 s ago</time>"), "{}", shown(-5));
        assert!(shown(4_800).ends_with(">in 1 h 20 min</time>"), "{}", shown(4_800));
        assert!(shown(-200_000).ends_with(">2 d ago</time>"), "{}", shown(-200_000));
        assert!(shown(0).contains("title=\"2026-03-23 12:00:00 UTC\""), "{}", shown(0));
    }
}
