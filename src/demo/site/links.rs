//! Where a link in a text leads: to a page of the demo, or nowhere. The demo has no network, and no dead link.

use crate::fake_gitea::FakeGitea;
use crate::issue::{IssueRef, RepoName};

/// The addresses that links may lead to.
pub(super) struct Links<'a> {
    pub gitea: &'a FakeGitea,
    /// The address of the service.
    pub service: Option<&'a str>,
}

impl Links<'_> {
    /// The address of the page that is meant, if the demo has it.
    pub fn lead(&self, address: &str) -> Option<String> {
        if self.service.and_then(|url| below(url, address)).is_some() {
            return Some(address.to_owned());
        }
        let forge = [self.gitea.root_url().to_owned(), self.gitea.url()];
        let path = forge.iter().find_map(|url| below(url, address)).or_else(|| below("", address));
        self.page(path?)
    }

    /// The page of an issue, which may be written with more slashes than it needs: such a link leaves no reference.
    fn page(&self, path: &str) -> Option<String> {
        let (path, comment) = path.split_once('#').unwrap_or((path, ""));
        let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let [owner, name, "issues" | "pulls", number] = parts[..] else { return None };
        let repo: RepoName = format!("{owner}/{name}").parse().ok()?;
        let at = IssueRef { repo, number: number.parse().ok()? };
        let issue = self.gitea.issue(&at)?;
        let has_comment = || {
            let id = comment.strip_prefix("issuecomment-").and_then(|id| id.parse::<i64>().ok());
            issue.comments.iter().any(|comment| Some(comment.id) == id)
        };
        let anchor = if has_comment() { format!("#{comment}") } else { String::new() };
        Some(path_of(&at, issue.is_pull_request) + &anchor)
    }
}

/// The path of an issue or a pull request.
pub(super) fn path_of(at: &IssueRef, is_pull: bool) -> String {
    let kind = if is_pull { "pulls" } else { "issues" };
    format!("/{}/{kind}/{}", at.repo, at.number)
}

/// The path of an address below `url`.
fn below<'t>(url: &str, address: &'t str) -> Option<&'t str> {
    address.strip_prefix(url).filter(|path| path.starts_with('/'))
}
