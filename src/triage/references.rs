//! Which issues a text names: `#12`, `!12`, `acme/gears#12`, or an address on this forge.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::markdown;
use crate::issue::{Issue, IssueRef};

/// One name of an issue. In an address, what follows the number is part of it.
pub(super) const REFERENCE: &str =
    r"(?:[\w.-]+/[\w.-]+)?[#!][0-9]+\b|https?://[^\s<>()\[\],;]*[^\s<>()\[\],;.:!?]";
/// The most issues that are read out of one text.
const MOST: usize = 20;

/// Whether a text may name an issue: cheaper than to look for the name.
pub(super) fn may_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_number = |at: usize| bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    let is_address = |at: usize| bytes[at..].starts_with(b"://");
    memchr::memchr2_iter(b'#', b'!', bytes).any(is_number)
        || memchr::memchr_iter(b':', bytes).any(is_address)
}

#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by every test")]
static ONE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!(r"(?:^|[^\w#!&/.-])({REFERENCE})")).expect("a valid pattern")
});

/// From where names are read.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    at: &'a IssueRef,
    /// The address of the forge, with a slash at its end; empty when it is not known.
    root: &'a str,
}

impl<'a> Here<'a> {
    /// As seen from an issue.
    pub(super) fn on(issue: &'a Issue, at: &'a IssueRef) -> Self {
        Self::with_page(at, &issue.url)
    }

    /// As seen from an issue or pull request with this page.
    fn with_page(at: &'a IssueRef, page: &'a str) -> Self {
        let path = format!("{}/", at.repo).to_lowercase();
        let root = page.to_lowercase().rfind(&path).and_then(|end| page.get(..end));
        Self { at, root: root.filter(|root| root.ends_with('/')).unwrap_or_default() }
    }

    /// What the names in the text lead to, in their order; `None` for what leads nowhere on this forge.
    pub(super) fn all(self, text: &str) -> impl Iterator<Item = Option<IssueRef>> {
        ONE.captures_iter(text).map(move |one| self.read(&one[1]))
    }

    fn read(self, name: &str) -> Option<IssueRef> {
        let found: IssueRef = match name.strip_prefix("http") {
            Some(_) => address(name.strip_prefix(self.root).filter(|_| !self.root.is_empty())?)?,
            None => {
                let (repo, number) = name.rsplit_once(['#', '!'])?;
                let here = || self.at.repo.clone();
                let repo = if repo.is_empty() { here() } else { repo.parse().ok()? };
                IssueRef { repo, number: number.parse().ok().filter(|n| *n > 0)? }
            }
        };
        let is_here = found.repo.to_string().eq_ignore_ascii_case(&self.at.repo.to_string());
        Some(if is_here { IssueRef { repo: self.at.repo.clone(), ..found } } else { found })
    }
}

/// The issue of an address without the forge's own part: `acme/gears/issues/9#issuecomment-3`.
fn address(path: &str) -> Option<IssueRef> {
    let parts: Vec<&str> = path.split(['/', '?', '#']).collect();
    match parts[..] {
        [owner, name, "issues" | "pulls", number, ..] => {
            format!("{owner}/{name}#{number}").parse().ok()
        }
        _ => None,
    }
}

/// The other issues that a pull request closes or names in what its title and text say, at most 20.
pub fn named_issues(pull: &IssueRef, page: &str, title: &str, body: &str) -> BTreeSet<IssueRef> {
    let here = Here::with_page(pull, page);
    let said = [title, "\n", &markdown::prose(body)].concat();
    here.all(&said).flatten().filter(|named| named != pull).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn names(text: &str, expected: &[&str]) {
        let at = "acme/widgets#1".parse().unwrap();
        let found = named_issues(&at, "https://h/acme/widgets/pulls/1", text, "");
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn each_form_of_a_name_is_read() {
        names("Closes #2, fixes !3 (#4).", &["acme/widgets#2", "acme/widgets#3", "acme/widgets#4"]);
        names("resolves acme/gears#9: x", &["acme/gears#9"]);
        names("see https://h/acme/gears/issues/9?a=b.", &["acme/gears#9"]);
        names("see https://h/acme/gears/pulls/9/files#x", &["acme/gears#9"]);
    }

    #[test]
    fn what_is_no_name_is_not() {
        names("x#2 a/#3 ##4 &#5; #6x #0 #1 a/b/c#7", &[]);
        names("https://h/acme/gears/wiki/9 https://other/acme/gears/issues/9", &[]);
        names("https://evil/https://h/acme/gears/issues/9", &[]);
    }

    #[test]
    fn only_what_a_pull_request_says_counts() {
        let at = "acme/widgets#1".parse().unwrap();
        let body = "`#2` <!-- closes #3 -->\n> closes #4\n\n**closes** #5";
        let found = named_issues(&at, "", "t", body);
        assert_eq!(found, ["acme/widgets#5".parse().unwrap()].into());
    }
}
