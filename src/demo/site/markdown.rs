//! Markdown as HTML: what a forge shows of it, as far as the texts of the demo need it. HTML in a text is text, but for
//! the few tags that a comment of the service has; comments are left out.

use std::borrow::Cow;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// The tags that stay.
const TAGS: [&str; 7] =
    ["<details>", "</details>", "<summary>", "</summary>", "<sub>", "</sub>", "<br>"];
/// Texts that are longer are cut; the demo's are not.
const LONGEST: usize = 64 * 1024;

/// A text as HTML. `lead` gives the address of a link, or nothing where it is to be text.
pub(super) fn rendered(text: &str, lead: impl Fn(&str) -> Option<String>) -> String {
    let text = crate::issue::beginning(text, LONGEST);
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    let mut shown = Shown { lead, links: Vec::new(), block: None };
    let events = Parser::new_ext(text, options).filter_map(|event| shown.event(event));
    let mut page = String::with_capacity(text.len() * 2);
    html::push_html(&mut page, events);
    page
}

struct Shown<F> {
    lead: F,
    /// For each link that is open, whether it leads anywhere.
    links: Vec<bool>,
    /// The HTML of the block that is being read.
    block: Option<String>,
}

impl<F: Fn(&str) -> Option<String>> Shown<F> {
    fn event<'t>(&mut self, event: Event<'t>) -> Option<Event<'t>> {
        match event {
            Event::Start(Tag::HtmlBlock) => {
                self.block = Some(String::new());
                None
            }
            Event::End(TagEnd::HtmlBlock) => self.block.take().map(|text| raw(harmless(&text))),
            Event::Html(text) => {
                let Some(block) = &mut self.block else { return Some(raw(harmless(&text))) };
                block.push_str(&text);
                None
            }
            Event::InlineHtml(text) => Some(raw(harmless(&text))),
            Event::Start(Tag::Link { link_type, dest_url, id, .. }) => {
                let found = (self.lead)(&dest_url);
                self.links.push(found.is_some());
                let dest_url = found?.into();
                Some(Event::Start(Tag::Link { link_type, dest_url, title: "".into(), id }))
            }
            Event::End(TagEnd::Link) => {
                self.links.pop().unwrap_or_default().then_some(Event::End(TagEnd::Link))
            }
            // Its description remains.
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
            Event::Start(Tag::Heading { level, .. }) => {
                let (id, classes, attrs) = (None, Vec::new(), Vec::new());
                Some(Event::Start(Tag::Heading { level: lower(level), id, classes, attrs }))
            }
            Event::End(TagEnd::Heading(level)) => Some(Event::End(TagEnd::Heading(lower(level)))),
            Event::TaskListMarker(is_done) => {
                Some(Event::Text(if is_done { "☑ " } else { "☐ " }.into()))
            }
            other => Some(other),
        }
    }
}

fn raw<'t>(html: String) -> Event<'t> {
    Event::InlineHtml(CowStr::from(html))
}

/// A page has one title and sections of its own.
fn lower(level: HeadingLevel) -> HeadingLevel {
    HeadingLevel::try_from(level as usize + 2).unwrap_or(HeadingLevel::H6)
}

/// HTML of a text without its comments, as text but for the tags that stay.
fn harmless(text: &str) -> String {
    let (mut html, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('<') {
        html.push_str(&escaped(&rest[..at]));
        rest = &rest[at..];
        let tag = TAGS.iter().find(|tag| rest.starts_with(**tag));
        rest = match (tag, rest.strip_prefix("<!--")) {
            (Some(tag), _) => {
                html.push_str(tag);
                &rest[tag.len()..]
            }
            (None, Some(comment)) => comment.split_once("-->").map_or("", |(_, rest)| rest),
            (None, None) => {
                html.push_str("&lt;");
                &rest[1..]
            }
        };
    }
    html + &escaped(rest)
}

fn escaped(text: &str) -> Cow<'_, str> {
    match text.contains(['&', '>', '"']) {
        true => text.replace('&', "&amp;").replace('>', "&gt;").replace('"', "&quot;").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        rendered(text, |to| to.starts_with("/here").then(|| format!("{to}!")))
    }

    #[test]
    fn html_of_a_text_is_text_but_for_the_tags_that_stay() {
        assert_eq!(
            shown("a <b onclick=x>c</b> <script>alert(1)</script>"),
            "<p>a &lt;b onclick=x&gt;c&lt;/b&gt; &lt;script&gt;alert(1)&lt;/script&gt;</p>\n"
        );
        assert_eq!(
            shown("<script>\nx & y\n</script>"),
            "&lt;script&gt;\nx &amp; y\n&lt;/script&gt;"
        );
        assert!(shown("<details onclick=x>").starts_with("&lt;details onclick=x&gt;"));
        let folded = shown("<details><summary>More</summary>\n\n- a\n\n</details>");
        assert!(folded.starts_with("<details><summary>More</summary>"), "{folded}");
        assert!(folded.trim_end().ends_with("</details>"), "{folded}");
        assert_eq!(shown("<!-- a\nb --> c<!-- d"), " c");
    }

    #[test]
    fn a_link_leads_to_a_page_that_is_there_or_is_text() {
        assert_eq!(shown("[a](/here)"), "<p><a href=\"/here!\">a</a></p>\n");
        for to in ["javascript:alert(1)", "https://example.com", "data:text/html,x", "//here"] {
            assert_eq!(shown(&format!("[a]({to}) ![b]({to})")), "<p>a b</p>\n", "{to}");
        }
    }

    #[test]
    fn headings_and_tasks_fit_the_page() {
        assert_eq!(shown("# a"), "<h3>a</h3>\n");
        assert_eq!(shown("###### a"), "<h6>a</h6>\n");
        let tasks = shown("- [ ] a\n- [x] b");
        assert!(tasks.contains("☐ a") && tasks.contains("☑ b"), "{tasks}");
        assert!(!tasks.contains("<input"), "{tasks}");
    }
}
