//! People whom the configuration names by login. A login can be given up and taken by somebody else, so each is held to
//! the account that had it when it was first seen.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::Account;

/// Which account each named login stands for.
#[derive(Debug, Default)]
pub struct NamedPeople(Mutex<Known>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// The account of each login, which is written in lower case.
    ids: BTreeMap<String, i64>,
    /// What the account is called by now, where that is another login; `None` where nobody knows.
    moved: BTreeMap<String, Option<String>>,
    /// The logins in `triage.commanders`.
    #[serde(skip)]
    commanders: Vec<String>,
}

impl NamedPeople {
    /// What was known before, in the text of [`Self::text`]; nothing of a text that cannot be read.
    pub fn recall(text: &str) -> Self {
        Self(Mutex::new(serde_json::from_str(text).unwrap_or_default()))
    }

    /// What is known, to be kept.
    pub fn text(&self) -> String {
        serde_json::to_string(&*self.known()).unwrap_or_default()
    }

    /// Whether `account` is the one that the configuration means by `login`. The first account that has the login is
    /// remembered as the one.
    pub fn is(&self, login: &str, account: &Account) -> bool {
        let mut known = self.known();
        match known.ids.get(&login.to_lowercase()) {
            Some(id) => *id == account.id,
            None => {
                let is = login.eq_ignore_ascii_case(&account.login);
                if is && account.id > 0 {
                    known.ids.insert(login.to_lowercase(), account.id);
                }
                is
            }
        }
    }

    /// Whether one of these logins means `account`.
    pub fn any(&self, logins: &[String], account: &Account) -> bool {
        logins.iter().any(|login| self.is(login, account))
    }

    /// Whether the account is named in `triage.commanders`.
    pub fn is_commander(&self, account: &Account) -> bool {
        let commanders = self.known().commanders.clone();
        self.any(&commanders, account)
    }

    /// The logins in `triage.commanders` from now on.
    pub fn set_commanders(&self, logins: Vec<String>) {
        self.known().commanders = logins;
    }

    /// The account that a login stands for, when it is known.
    pub fn id(&self, login: &str) -> Option<i64> {
        self.known().ids.get(&login.to_lowercase()).copied()
    }

    /// Says what the account of a named login is called now; `None` when nobody knows. Whether that is news.
    pub fn is_now_called(&self, login: &str, now: Option<&str>) -> bool {
        let (key, mut known) = (login.to_lowercase(), self.known());
        let before = known.moved.get(&key).cloned();
        if now.is_some_and(|now| now.eq_ignore_ascii_case(login)) {
            return known.moved.remove(&key).is_some();
        }
        let now = now.map(str::to_owned);
        known.moved.insert(key, now.clone());
        before != Some(now)
    }

    /// What the account of a named login is called now.
    pub fn current(&self, login: &str) -> Option<String> {
        let moved = self.known().moved.get(&login.to_lowercase()).cloned();
        moved.unwrap_or_else(|| Some(login.to_owned()))
    }

    /// Forgets the logins that the configuration no longer names: who is named again later is seen for the first time.
    pub fn keep_only(&self, logins: &[String]) {
        let is_named = |login: &String| logins.iter().any(|one| one.eq_ignore_ascii_case(login));
        let mut known = self.known();
        known.ids.retain(|login, _| is_named(login));
        known.moved.retain(|login, _| is_named(login));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: i64, login: &str) -> Account {
        Account { id, login: login.to_owned() }
    }

    #[test]
    fn a_login_stays_with_the_account_that_had_it_first() {
        let people = NamedPeople::default();
        assert!(people.is("Alice", &account(5, "alice")));
        assert!(people.is("alice", &account(5, "alicia")), "renamed");
        assert!(!people.is("alice", &account(9, "alice")), "taken over");
        let recalled = NamedPeople::recall(&people.text());
        assert!(!recalled.is("alice", &account(9, "alice")), "also after a start");
        assert!(!people.is("alice", &account(6, "bob")));
    }

    #[test]
    fn a_login_that_is_no_longer_named_is_seen_anew_when_it_is_named_again() {
        let people = NamedPeople::default();
        assert!(people.is("alice", &account(5, "alice")));
        people.keep_only(&["bob".to_owned()]);
        assert!(people.is("alice", &account(9, "alice")));
    }

    #[test]
    fn an_account_that_was_renamed_is_called_by_its_new_login() {
        let people = NamedPeople::default();
        assert_eq!(people.current("alice").as_deref(), Some("alice"));
        assert!(people.is_now_called("alice", Some("alicia")));
        assert!(!people.is_now_called("Alice", Some("alicia")), "no news");
        assert_eq!(people.current("alice").as_deref(), Some("alicia"));
        assert!(people.is_now_called("alice", None));
        assert_eq!(people.current("alice"), None);
        assert!(people.is_now_called("alice", Some("Alice")));
        assert_eq!(people.current("alice").as_deref(), Some("alice"));
    }

    #[test]
    fn only_who_is_named_is_a_commander() {
        let people = NamedPeople::default();
        assert!(!people.is_commander(&account(5, "alice")));
        people.set_commanders(vec!["alice".to_owned()]);
        assert!(people.is_commander(&account(5, "alice")));
        assert!(
            !people.is_commander(&account(6, "bob")) && !people.is_commander(&account(9, "alice"))
        );
    }
}
