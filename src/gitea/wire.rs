//! Gitea's JSON as it comes over the wire, and its way into our nouns. Tolerant: a missing key, a null and an
//! unknown key are all fine, because Gitea sends each of them; only what a noun cannot do without is demanded.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Comment, Label, Repository};
use crate::clock::Timestamp;
use crate::issue::{Account, ForgeIds, Issue, IssueRef, IssueState, RepoName};

/// Structs of Gitea's JSON. A missing key and a null, even where Gitea promises a value, are the field's default.
macro_rules! lenient {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$fmeta:meta])* $fvis:vis $field:ident: $type:ty),+ $(,)?
    })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(default)]
        $vis struct $name {
            $($(#[$fmeta])* #[serde(deserialize_with = "crate::gitea::wire::or_default")] $fvis $field: $type),+
        }
    )+};
}
pub(super) use lenient;

pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The moment in `text`, or `None`: one unreadable time must not hide a whole issue.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    chrono::DateTime::parse_from_rfc3339(text.trim()).ok().map(|t| t.to_utc())
}

lenient! {
    pub(super) struct User { pub id: i64, pub login: String }

    pub(super) struct WireLabel {
        pub id: i64, pub name: String, color: String, is_archived: bool, exclusive: bool
    }

    pub(super) struct RepoMeta { pub id: i64, pub full_name: String }

    pub(super) struct WireIssue {
        pub id: i64,
        number: u64,
        title: String,
        body: String,
        labels: Vec<WireLabel>,
        assignees: Vec<User>,
        user: Option<User>,
        state: String,
        pull_request: Option<IgnoredAny>,
        created_at: String,
        updated_at: String,
        closed_at: String,
        comments: u64,
        html_url: String,
        repository: Option<RepoMeta>,
    }

    pub(super) struct WireComment {
        id: i64,
        user: Option<User>,
        body: String,
        created_at: String,
        updated_at: String,
    }

    pub(super) struct WireRepo {
        pub id: i64,
        full_name: String,
        owner: Option<User>,
        private: bool,
        archived: bool,
        has_issues: bool,
        external_tracker: Option<IgnoredAny>,
        default_branch: String,
    }

    /// What a list shows of the one that an issue waits for.
    pub(super) struct WireDependency {
        id: i64, number: u64, state: String, repository: Option<RepoMeta>
    }

    /// What is left of an issue that is too large to be read.
    pub(super) struct WireNumber { pub number: u64, repository: Option<RepoMeta> }

    /// How much the forge gives at once.
    pub(super) struct Limits { pub max_response_items: u32 }

    struct Words { title: String, body: String }
}

#[derive(Deserialize)]
struct Sent {
    issue: Option<Words>,
}

/// Where a delivery was sent from.
pub struct SentFrom {
    /// The repository, as it was called then.
    pub repo: RepoName,
    /// Whether it is about a pull request.
    pub is_pull: bool,
}

/// Where a delivery was sent from, if its body says so.
pub fn sent_from(body: &[u8]) -> Option<SentFrom> {
    #[derive(Deserialize)]
    struct Named {
        full_name: String,
    }
    #[derive(Deserialize)]
    struct Body {
        repository: Named,
        pull_request: Option<IgnoredAny>,
        #[serde(default)]
        is_pull: bool,
    }
    let Body { repository, pull_request, is_pull } = serde_json::from_slice(body).ok()?;
    let repo = repository.full_name.parse().ok()?;
    Some(SentFrom { repo, is_pull: is_pull || pull_request.is_some() })
}

/// What the search for repositories found.
#[derive(Deserialize)]
pub(super) struct Found {
    pub data: Vec<WireRepo>,
}

/// What stands in an answer that refuses something.
#[derive(Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub message: String,
}

#[derive(Deserialize)]
pub(super) struct Version {
    pub version: String,
}

impl User {
    /// The account, or `None` for the empty object Gitea sends where it has none.
    pub fn into_account(self) -> Option<Account> {
        (self.id != 0).then_some(Account { id: self.id, login: self.login })
    }
}

impl WireLabel {
    pub fn into_label(self, org: bool) -> Label {
        let Self { id, name, color, is_archived: archived, exclusive } = self;
        Label { id, name, color, org, archived, exclusive }
    }

    pub fn into_new_label(self) -> Result<Label, String> {
        if self.id == 0 { Err("a label without an id".into()) } else { Ok(self.into_label(false)) }
    }
}

/// The place of an issue that another one on `here` names: without a repository, it is in the same one.
pub(super) fn place(
    repository: Option<&RepoMeta>,
    number: u64,
    here: &IssueRef,
) -> Option<IssueRef> {
    let repo = match repository.filter(|repo| !repo.full_name.is_empty()) {
        Some(elsewhere) => elsewhere.full_name.parse().ok()?,
        None => here.repo.clone(),
    };
    Some(IssueRef { repo, number })
}

fn state(text: &str) -> IssueState {
    if text == "closed" { IssueState::Closed } else { IssueState::Open }
}

impl WireDependency {
    /// What it is told apart by in a list. One that we may not see has no id.
    pub fn key(&self) -> (i64, u64, Option<String>) {
        (self.id, self.number, self.repository.as_ref().map(|repo| repo.full_name.clone()))
    }

    /// Where it is and how it stands, seen from an issue `at`. Issues we may not see come without a number; they cannot
    /// be named or followed.
    pub fn dependency(&self, at: &IssueRef) -> Option<(IssueRef, IssueState)> {
        let place = place(self.repository.as_ref(), self.number, at);
        Some((place.filter(|place| place.number > 0)?, state(&self.state)))
    }
}

fn home(repository: Option<&RepoMeta>) -> Option<RepoName> {
    repository?.full_name.parse().ok()
}

impl WireNumber {
    /// The repository that it is in.
    pub fn home(&self) -> Option<RepoName> {
        home(self.repository.as_ref())
    }
}

impl WireIssue {
    /// The issue, unless it is the all-zero one that Gitea sends when it could not read its own database
    /// (services/convert/issue.go): taking that for an issue would act on nothing.
    pub fn into_issue(self) -> Result<Issue, String> {
        if self.id == 0 { Err("an issue without an id".into()) } else { self.into_any_issue() }
    }

    /// The repository that it is in, as a list over several says it.
    pub fn home(&self) -> Result<RepoName, String> {
        home(self.repository.as_ref()).ok_or_else(|| "an issue without its repository".into())
    }

    fn into_any_issue(self) -> Result<Issue, String> {
        if self.number == 0 {
            return Err("an issue without a number".into());
        }
        Ok(Issue {
            ids: self.repository.as_ref().and_then(|repo| ForgeIds::new(repo.id, self.id)),
            number: self.number,
            state: state(&self.state),
            title: self.title,
            body: self.body,
            labels: self.labels.into_iter().map(|l| l.name).filter(|n| !n.is_empty()).collect(),
            assignees: self.assignees.into_iter().map(|u| u.login).collect(),
            author: self.user.and_then(User::into_account),
            is_pull_request: self.pull_request.is_some(),
            created_at: time(&self.created_at),
            updated_at: time(&self.updated_at),
            closed_at: time(&self.closed_at),
            comments: self.comments,
            url: self.html_url,
        })
    }
}

/// An issue from a file in the shape of Gitea's API. Only the number is required, since people write such files
/// by hand; a time that cannot be read counts as unknown.
pub fn issue_from_json(value: &Value) -> Result<Issue, String> {
    if !value.is_object() {
        return Err(
            "this is no issue; give an object as the API of Gitea or Forgejo shows one".into()
        );
    }
    WireIssue::deserialize(value)
        .map_err(|e| format!("this is no issue of the API of Gitea or Forgejo: {e}"))?
        .into_any_issue()
        .map_err(|_| "the issue has no `number`; give it one above 0".into())
}

/// Title and text of the issue in a delivery's body, as they were when it was sent; `None` when it has none. For people
/// to read; nothing is decided from it.
pub fn issue_text(body: &[u8]) -> Option<(String, String)> {
    let Words { title, body } = serde_json::from_slice::<Sent>(body).ok()?.issue?;
    Some((title, body))
}

impl WireComment {
    pub fn into_comment(self) -> Result<Comment, String> {
        if self.id == 0 {
            return Err("a comment without an id".into());
        }
        Ok(Comment {
            id: self.id,
            author: self.user.and_then(User::into_account),
            body: self.body,
            created_at: time(&self.created_at),
            updated_at: time(&self.updated_at),
        })
    }
}

impl WireRepo {
    pub fn into_repository(self) -> Result<Repository, String> {
        let name: RepoName =
            self.full_name.parse().map_err(|_| "a repository without a full name".to_owned())?;
        Ok(Repository {
            id: self.id,
            owner_login: self.owner.map_or_else(|| name.owner().to_owned(), |owner| owner.login),
            name,
            private: self.private,
            archived: self.archived,
            // Gitea says `has_issues` of an external tracker too, and then answers 404 for each issue.
            has_issues: self.has_issues && self.external_tracker.is_none(),
            default_branch: self.default_branch,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn recorded(name: &str) -> Value {
        let path = format!("{}/fixtures/api/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn a_recorded_issue_becomes_the_noun() {
        let issue = WireIssue::deserialize(&recorded("issue")).unwrap().into_issue().unwrap();
        assert_eq!(issue.number, 10);
        assert_eq!(issue.labels, ["P0", "bug"]);
        assert_eq!(issue.author.unwrap().login, "alice");
        assert!(!issue.assignees.is_empty());
        assert!(!issue.is_pull_request);
        assert!(issue.created_at.is_some() && issue.closed_at.is_none());
    }

    #[test]
    fn the_all_zero_issue_is_refused() {
        let zero = json!({"id": 0, "number": 0, "title": "", "assignees": null, "labels": null});
        assert!(WireIssue::deserialize(&zero).unwrap().into_issue().is_err());
        let no_id = json!({"number": 5});
        assert!(WireIssue::deserialize(&no_id).unwrap().into_issue().is_err());
    }

    #[test]
    fn a_file_needs_only_a_number() {
        let issue = issue_from_json(&json!({"number": 7})).unwrap();
        assert_eq!((issue.number, issue.state), (7, IssueState::Open));
        assert!(issue.title.is_empty() && issue.assignees.is_empty());
        let nulls = json!({"number": 7, "title": null, "body": null, "labels": null,
            "assignees": null, "created_at": null, "user": null, "pull_request": null});
        assert_eq!(issue_from_json(&nulls).unwrap(), issue);
    }

    #[test]
    fn times_keep_their_offset_and_nonsense_is_no_time() {
        let at = |text: &str| {
            issue_from_json(&json!({"number": 1, "created_at": text})).unwrap().created_at
        };
        assert_eq!(at("2025-10-20T09:52:33+02:00"), time("2025-10-20T07:52:33Z"));
        assert_eq!(at("yesterday"), None);
    }

    #[test]
    fn what_is_no_issue_says_so() {
        for value in [json!([]), json!(3), json!({"title": "x"}), json!({"number": 0})] {
            assert!(issue_from_json(&value).is_err(), "{value}");
        }
        assert!(issue_from_json(&json!({"number": "x"})).unwrap_err().contains("no issue"));
    }

    #[test]
    fn an_external_tracker_means_no_issues_here() {
        let repo = recorded("repo");
        let here = WireRepo::deserialize(&repo).unwrap().into_repository().unwrap();
        assert!(here.has_issues && !here.private && here.owner_login == "acme");
        let mut away = repo;
        away["external_tracker"] = json!({"external_tracker_url": "https://tracker.example.com"});
        assert!(!WireRepo::deserialize(&away).unwrap().into_repository().unwrap().has_issues);
    }

    #[test]
    fn a_missing_or_null_text_is_empty_and_what_is_no_issue_has_none() {
        let of = |body: &str| issue_text(body.as_bytes());
        assert_eq!(
            of(r#"{"issue": {"title": "a", "body": null}}"#),
            Some(("a".to_owned(), String::new()))
        );
        assert_eq!(of(r#"{"issue": null}"#), None);
        assert_eq!(of(r#"{"ref": "x"}"#), None);
        assert_eq!(of("<html>"), None);
    }
}
