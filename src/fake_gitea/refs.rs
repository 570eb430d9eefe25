//! Cross-references: text that names another issue leaves a mark on it and moves its `updated_at`, without a webhook.

use std::sync::LazyLock;

use regex::Regex;

use super::flavour::Flavour;
use super::record::{At, EntryKind, Issue, ROOT_URL, key};
use super::world::State;
use crate::issue::RepoName;

/// Code is not read, and neither are HTML tags, comments among them (modules/markup/mdstripper).
#[expect(clippy::expect_used, reason = "a constant pattern, tried by the tests")]
static SKIPPED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)```.*?(?:```|\z)|~~~.*?(?:~~~|\z)|`[^`\n]*`|<!--.*?-->|<[a-zA-Z/][^>]*>")
        .expect("pattern")
});

/// The path of an address of the forge (`ROOT_URL`, or where it listens), or `#12`, `!12`, `owner/name#12`.
#[expect(clippy::expect_used, reason = "a constant pattern, tried by the tests")]
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    let root = regex::escape(ROOT_URL);
    let name = r"([\w.-]+/[\w.-]+)";
    let pattern = format!(
        r#"(?:{root}|http://127\.0\.0\.1:\d+)(/[^\s()\[\]<>"?#]*)|(?:^|[\s(\[]){name}?[#!](\d+)(?:$|[\s)\].,:;?!])"#
    );
    Regex::new(&pattern).expect("pattern")
});

/// The issues a text in `home` refers to, each once, in order.
fn references(text: &str, home: &RepoName, flavour: Flavour) -> Vec<At> {
    let text = SKIPPED.replace_all(text, " ");
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(hit) = REFERENCE.captures_at(&text, from) {
        let group = |n: usize| hit.get(n).map(|m| m.as_str());
        // The space after one reference may be the space before the next.
        let end = hit.get(0).map_or(text.len(), |m| m.end());
        from = hit.get(3).map_or(end, |m| m.end());
        let at = match group(1) {
            Some(path) => linked(path, flavour),
            None => {
                let named = group(2).map_or_else(|| Ok(home.clone()), str::parse);
                at(named.ok(), group(3))
            }
        };
        found.extend(at.filter(|at| !found.contains(at)));
    }
    found
}

/// The issue that the path of an address names; a query or a fragment makes no difference (modules/references).
fn linked(path: &str, flavour: Flavour) -> Option<At> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["", owner, name, "issues" | "pulls", number, ..] if flavour.reads_link(parts.len()) => {
            at(format!("{owner}/{name}").parse().ok(), Some(number))
        }
        _ => None,
    }
}

fn at(repo: Option<RepoName>, number: Option<&str>) -> Option<At> {
    Some(At { repo: key(&repo?), number: number?.parse().ok()? })
}

impl State {
    /// Leaves the marks a new text makes; a second text of the same place that names the same issue leaves none.
    pub fn refer(&mut self, from: &At, by: i64, comment: Option<i64>, text: &str) {
        let Some(home) = self.repos.get(&from.repo).map(|r| r.name.clone()) else { return };
        let is_pull = self.issue(from).is_some_and(|i| i.pull.is_some());
        let name = match (comment, is_pull) {
            (Some(_), _) => "comment_ref",
            (None, true) => "pull_ref",
            (None, false) => "issue_ref",
        };
        for target in references(text, &home, self.flavour) {
            let known = |issue: &Issue| {
                issue.timeline.iter().any(|e| {
                    matches!(&e.kind, EntryKind::Reference { from: f, comment: c, .. } if f == from && *c == comment)
                })
            };
            if target == *from || self.issue(&target).is_none_or(known) {
                continue;
            }
            let target_name = match self.repos.get(&target.repo) {
                Some(repo) if target.repo != from.repo => {
                    format!("{}#{}", repo.name, target.number)
                }
                _ => format!("#{}", target.number),
            };
            let closes = is_pull && closes(text, &target_name);
            let kind = EntryKind::Reference { name, from: from.clone(), comment, closes };
            self.log(&target, by, kind);
        }
    }
}

/// Whether a pull request's text says that merging it closes the issue.
fn closes(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let words =
        ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];
    words.iter().any(|word| text.contains(&format!("{word} {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        found_by(Flavour::Gitea, text)
    }

    fn found_by(flavour: Flavour, text: &str) -> Vec<String> {
        let home = "acme/w".parse().unwrap();
        let places = references(text, &home, flavour);
        places.iter().map(|at| format!("{}#{}", at.repo, at.number)).collect()
    }

    #[test]
    fn plain_references_and_links_count() {
        assert_eq!(found("see #1 #2, acme/x#3."), ["acme/w#1", "acme/w#2", "acme/x#3"]);
        let link = format!("{ROOT_URL}/acme/w/issues/4");
        assert_eq!(found(&format!("[a]({link}) {link}?x=1")), ["acme/w#4"]);
    }

    #[test]
    fn code_a_trailing_slash_and_html_do_not() {
        let link = format!("{ROOT_URL}/acme/w/issues/4");
        let html = format!("<a href=\"{link}\">four</a> <!-- #9 -->");
        for text in ["`#1`", "```\n#1\n```", "x#1", &format!("{link}/"), &html] {
            assert!(found(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn forgejo_reads_a_link_past_its_number_but_not_past_two_slashes() {
        let link = format!("[a]({ROOT_URL}/acme/w/issues/4/)");
        assert_eq!(found_by(Flavour::Forgejo, &link), ["acme/w#4"]);
        let link = format!("[a]({ROOT_URL}//acme/w/issues/4/)");
        for flavour in [Flavour::Gitea, Flavour::Forgejo] {
            assert!(found_by(flavour, &link).is_empty(), "{flavour:?}");
        }
    }
}
