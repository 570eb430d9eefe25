//! A delivery's payload, as far as it is needed to know which issue it is about. Borrowed from the body; what is
//! not named here is skipped unread.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{
    Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer,
};

use super::wire::time;
use crate::delivery::{CommentEvent, Shown};
use crate::issue::Account;

/// A text borrowed from the body where it holds no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn text<'t>(text: Option<&'t Text<'_>>) -> &'t str {
    text.map_or("", |t| &t.0)
}

/// Every key any of the payloads has that is needed to know what it is about. The rest is skipped unread.
#[derive(Deserialize)]
pub(super) struct Payload<'a> {
    #[serde(borrow)]
    pub action: Option<Text<'a>>,
    pub number: Option<i64>,
    #[serde(borrow, default, deserialize_with = "object")]
    pub issue: Option<Issue<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
    pub comment: Option<Comment<'a>>,
    pub pull_request: Option<IgnoredAny>,
    pub is_pull: Option<bool>,
    #[serde(borrow, default, deserialize_with = "object")]
    pub repository: Option<Repository<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
    pub sender: Option<User<'a>>,
    #[serde(rename = "ref")]
    pub git_ref: Option<IgnoredAny>,
    pub ref_type: Option<IgnoredAny>,
    pub pusher_type: Option<IgnoredAny>,
    pub commits: Option<IgnoredAny>,
    pub after: Option<IgnoredAny>,
    pub release: Option<IgnoredAny>,
    pub forkee: Option<IgnoredAny>,
    pub package: Option<IgnoredAny>,
    pub workflow_run: Option<IgnoredAny>,
    pub workflow_job: Option<IgnoredAny>,
    pub page: Option<IgnoredAny>,
    pub context: Option<IgnoredAny>,
    pub commit: Option<IgnoredAny>,
}

impl Payload<'_> {
    pub fn action(&self) -> Option<&str> {
        self.action.as_ref().map(|a| &*a.0).filter(|a| !a.is_empty())
    }

    /// Gitea 1.22 sends no `pull_request` with a comment on one, only `is_pull`.
    pub fn is_about_pull_request(&self, issue: &Issue<'_>) -> bool {
        self.pull_request.is_some() || self.is_pull == Some(true) || issue.pull_request.is_some()
    }

    pub fn has_commits(&self) -> bool {
        self.commits.is_some() || self.after.is_some()
    }

    pub fn repo_name(&self) -> &str {
        self.repository.as_ref().map_or("", |r| text(r.full_name.as_ref()))
    }

    /// The envelope's number stands in when the issue is the all-zero one of a failed conversion
    /// (services/convert/issue.go).
    pub fn issue_number(&self) -> Option<u64> {
        let issue = self.issue.as_ref().and_then(|issue| issue.number);
        [issue, self.number]
            .into_iter()
            .flatten()
            .find_map(|n| u64::try_from(n).ok().filter(|n| *n > 0))
    }

    /// An issue made with labels, assignees or a milestone comes as `assigned`… (dated 1970, for it is not saved
    /// yet), `opened`, `label_updated`, `milestoned`, in this order (seen on 1.25.4).
    pub fn more_coming(&self) -> bool {
        let Some(issue) = &self.issue else { return false };
        match self.action() {
            Some("opened") => issue.has_company(),
            Some("assigned") => {
                // In the server's own zone, so 1969 in the Americas.
                time(text(issue.created_at.as_ref())).is_some_and(|t| t.timestamp() == 0)
            }
            _ => false,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Issue<'a> {
    number: Option<i64>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    created_at: Option<Text<'a>>,
    #[serde(borrow)]
    labels: Option<Vec<Object<Label<'a>>>>,
    assignees: Option<Vec<IgnoredAny>>,
    milestone: Option<IgnoredAny>,
    pull_request: Option<IgnoredAny>,
}

impl Issue<'_> {
    fn has_company(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| !labels.is_empty())
            || self.assignees.as_ref().is_some_and(|logins| !logins.is_empty())
            || self.milestone.is_some()
    }

    /// Title and labels, which may be stale.
    pub fn shown(&self) -> Shown {
        let labels = self.labels.iter().flatten().filter_map(|label| match label {
            Object::Map(label) => Some(text(label.name.as_ref()).to_owned()),
            Object::Other => None,
        });
        Shown { title: text(self.title.as_ref()).to_owned(), labels: labels.collect() }
    }
}

#[derive(Deserialize)]
struct Label<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Comment<'a> {
    id: Option<i64>,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "object")]
    user: Option<User<'a>>,
}

impl Comment<'_> {
    /// A command in a comment without an id cannot be applied exactly once, so it only says to look at the issue.
    pub fn event(&self, created: bool) -> Option<CommentEvent> {
        let id = self.id.filter(|id| *id != 0)?;
        let author = self.user.as_ref().and_then(User::account);
        Some(CommentEvent { id, body: text(self.body.as_ref()).to_owned(), author, created })
    }
}

#[derive(Deserialize)]
pub(super) struct Repository<'a> {
    #[serde(borrow)]
    full_name: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct User<'a> {
    id: Option<i64>,
    #[serde(borrow)]
    login: Option<Text<'a>>,
}

impl User<'_> {
    pub fn account(&self) -> Option<Account> {
        let id = self.id.filter(|id| *id != 0)?;
        Some(Account { id, login: text(self.login.as_ref()).to_owned() })
    }
}

/// An object, or something else that stands in its place: a wiki delivery's `comment` is a text, for one.
pub(super) enum Object<T> {
    Map(T),
    Other,
}

fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(match Object::deserialize(deserializer)? {
        Object::Map(value) => Some(value),
        Object::Other => None,
    })
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

/// What takes everything else as [`Object::Other`].
macro_rules! others {
    ($($visit:ident($($type:ty)?)),+) => {$(
        fn $visit<E>(self $(, _: $type)?) -> Result<Self::Value, E> {
            Ok(Object::Other)
        }
    )+};
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object::Map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object::Other)
    }

    others! { visit_unit(), visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str) }
}
