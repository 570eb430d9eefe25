//! The small parts of pages: text, times, links, chips. Each writes complete and safe HTML for any input; text from
//! outside is escaped here and nowhere else.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use chrono::{SecondsFormat, TimeDelta};

use crate::clock::Timestamp;
use crate::issue::is_invisible;

/// Text from outside: escaped, isolated from the direction of the text around it, and without invisible or
/// direction-changing characters.
#[derive(Debug)]
pub(super) struct Text(pub String);

impl HtmlSafe for Text {}

impl Display for Text {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<bdi>")?;
        escape(f, &self.0)?;
        f.write_str("</bdi>")
    }
}

/// Writes `text` as HTML; an invisible character becomes U+FFFD.
pub(super) fn escape(f: &mut impl fmt::Write, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '&' => f.write_str("&amp;")?,
            '<' => f.write_str("&lt;")?,
            '>' => f.write_str("&gt;")?,
            '"' => f.write_str("&quot;")?,
            '\'' => f.write_str("&#39;")?,
            '\n' | '\t' => f.write_char(c)?,
            c if is_hidden(c) => f.write_char('\u{fffd}')?,
            c => f.write_char(c)?,
        }
    }
    Ok(())
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
#[derive(Debug)]
pub(super) struct Time {
    pub at: Timestamp,
    pub now: Timestamp,
}

impl HtmlSafe for Time {}

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let iso = self.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let exact = self.at.format("%Y-%m-%d %H:%M:%S UTC");
        let away = self.at - self.now;
        write!(f, "<time datetime=\"{iso}\" title=\"{exact}\">")?;
        match away {
            _ if away.abs() < TimeDelta::seconds(1) => f.write_str("just now")?,
            _ if away > TimeDelta::zero() => write!(f, "in {}", span(away))?,
            _ => write!(f, "{} ago", span(-away))?,
        }
        f.write_str("</time>")
    }
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
#[derive(Debug)]
pub(super) struct Chip(pub String);

impl HtmlSafe for Chip {}

impl Display for Chip {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let class: String =
            self.0.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        write!(f, "<span class=\"chip chip-{class}\">")?;
        escape(f, &self.0.replace('_', " "))?;
        f.write_str("</span>")
    }
}

/// A link to an issue's page.
#[derive(Debug)]
pub(super) struct IssueLink {
    pub base: String,
    pub repo: String,
    pub number: u64,
}

impl IssueLink {
    pub fn path(&self) -> String {
        let (owner, name) = self.repo.split_once('/').unwrap_or((&self.repo, ""));
        format!("{}/issues/{}/{}/{}", self.base, encoded(owner), encoded(name), self.number)
    }
}

impl HtmlSafe for IssueLink {}

impl Display for IssueLink {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<a class=\"ref\" href=\"")?;
        escape(f, &self.path())?;
        f.write_str("\">")?;
        escape(f, &self.repo)?;
        write!(f, "#{}</a>", self.number)
    }
}

/// A link to a delivery's page.
#[derive(Debug)]
pub(super) struct DeliveryLink {
    pub base: String,
    pub id: String,
}

impl DeliveryLink {
    pub fn path(&self) -> String {
        format!("{}/deliveries/{}", self.base, encoded(&self.id))
    }
}

impl HtmlSafe for DeliveryLink {}

impl Display for DeliveryLink {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<a class=\"ref\" href=\"")?;
        escape(f, &self.path())?;
        f.write_str("\"><code>")?;
        let short: String = self.id.chars().take(8).collect();
        escape(f, &short)?;
        if self.id.chars().nth(8).is_some() {
            f.write_str("…")?;
        }
        f.write_str("</code></a>")
    }
}

/// A text in which some words are marked.
#[derive(Debug)]
pub(super) struct Marked {
    pub text: String,
    pub words: Vec<String>,
}

impl HtmlSafe for Marked {}

impl Display for Marked {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<bdi>")?;
        let mut rest = self.text.as_str();
        while let Some((at, word)) = self.first(rest) {
            escape(f, &rest[..at])?;
            f.write_str("<mark>")?;
            escape(f, word)?;
            f.write_str("</mark>")?;
            rest = &rest[at + word.len()..];
        }
        escape(f, rest)?;
        f.write_str("</bdi>")
    }
}

impl Marked {
    /// The first of the words in `text`; the longest where several begin at one place.
    fn first<'w>(&'w self, text: &str) -> Option<(usize, &'w str)> {
        let places = self.words.iter().filter(|word| !word.is_empty());
        let places = places.filter_map(|word| Some((text.find(word.as_str())?, word.as_str())));
        places.min_by_key(|(at, word)| (*at, usize::MAX - word.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    #[test]
    fn hostile_text_is_harmless() {
        let text = Text("<script>alert('1')</script> \"x\" & \u{202e}evil\u{200b}\u{0}".into());
        assert_eq!(
            text.to_string(),
            "<bdi>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &quot;x&quot; &amp; \u{fffd}evil\u{fffd}\u{fffd}</bdi>"
        );
        assert_eq!(
            Chip("\"><script>".into()).to_string(),
            "<span class=\"chip chip-script\">&quot;&gt;&lt;script&gt;</span>"
        );
        let link = IssueLink { base: String::new(), repo: "a\"b/<c>".into(), number: 1 };
        assert_eq!(
            link.to_string(),
            "<a class=\"ref\" href=\"/issues/a%22b/%3Cc%3E/1\">a&quot;b/&lt;c&gt;#1</a>"
        );
        let link = DeliveryLink { base: "/x".into(), id: "a/../<b>\"c".into() };
        assert!(link.to_string().contains("href=\"/x/deliveries/a%2F..%2F%3Cb%3E%22c\""), "{link}");
    }

    #[test]
    fn marked_words_are_found_and_everything_else_is_text() {
        let marked = |text: &str, words: &[&str]| {
            let words = words.iter().map(ToString::to_string).collect();
            Marked { text: text.into(), words }.to_string()
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
        let shown = |seconds| Time { at: now + TimeDelta::seconds(seconds), now }.to_string();
        assert!(shown(-5).ends_with(">5 s ago</time>"), "{}", shown(-5));
        assert!(shown(4_800).ends_with(">in 1 h 20 min</time>"), "{}", shown(4_800));
        assert!(shown(-200_000).ends_with(">2 d ago</time>"), "{}", shown(-200_000));
        assert!(shown(0).contains("title=\"2026-03-23 12:00:00 UTC\""), "{}", shown(0));
    }
}
