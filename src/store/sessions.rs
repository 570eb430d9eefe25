//! Who is signed in to the dashboard. A session that is not here is over, whatever a browser still holds.

use super::engine::{Row, RowResult, params};
use super::rows::{all, changed, first, run};
use super::{Error, Store};
use crate::clock::{Timestamp, from_millis};
use crate::issue::Account;

/// Sessions of one account at once; the oldest ends when another one begins.
const MOST: u32 = 50;

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The digest of what the cookie holds.
    pub key: String,
    /// The account; `None` is the dashboard's own token.
    pub account: Option<Account>,
    /// What the browser calls itself.
    pub browser: String,
    /// Tells what let them in from any other token or application.
    pub mark: String,
    /// When they signed in.
    pub since: Timestamp,
    /// When they were last here, to some minutes.
    pub seen: Timestamp,
    /// What the forge is asked with, sealed; empty for the token.
    pub tokens: String,
}

const SESSION: &str = "SELECT key, account, login, browser, mark, since, seen, tokens FROM session";

fn session(row: &Row<'_>) -> RowResult<Session> {
    let (id, login): (i64, String) = (row.get(1)?, row.get(2)?);
    Ok(Session {
        key: row.get(0)?,
        account: (id != 0).then_some(Account { id, login }),
        browser: row.get(3)?,
        mark: row.get(4)?,
        since: from_millis(row.get(5)?),
        seen: from_millis(row.get(6)?),
        tokens: row.get(7)?,
    })
}

impl Store {
    /// Begins a session, or writes down what has changed about it. Those that began before `oldest` are removed.
    pub async fn keep_session(&self, session: Session, oldest: Timestamp) -> Result<(), Error> {
        self.write(move |c| {
            let Session { key, account, browser, mark, since, seen, tokens } = &session;
            let (id, login) = account.as_ref().map_or((0, ""), |a| (a.id, a.login.as_str()));
            let (since, seen) = (since.timestamp_millis(), seen.timestamp_millis());
            run(c, "DELETE FROM session WHERE since < ?1", [oldest.timestamp_millis()])?;
            run(
                c,
                "INSERT INTO session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![key, id, login, browser, mark, since, seen, tokens],
            )?;
            let last = "DELETE FROM session WHERE account = ?1 AND key NOT IN
                            (SELECT key FROM session WHERE account = ?1 ORDER BY since DESC, key LIMIT ?2)";
            run(c, last, params![id, MOST])
        })
        .await
    }

    /// Writes down that somebody was here, under which login and with which tokens. One that has ended stays so.
    pub async fn touch_session(&self, session: Session) -> Result<(), Error> {
        self.write(move |c| {
            let login = session.account.as_ref().map_or("", |a| a.login.as_str());
            let values =
                params![session.key, login, session.seen.timestamp_millis(), session.tokens];
            run(c, "UPDATE session SET login = ?2, seen = ?3, tokens = ?4 WHERE key = ?1", values)
        })
        .await
    }

    /// The session with this key.
    pub async fn session(&self, key: &str) -> Result<Option<Session>, Error> {
        let key = key.to_owned();
        self.read(move |c| first(c, &format!("{SESSION} WHERE key = ?1"), [key], session)).await
    }

    /// The sessions of an account, or of the dashboard's own token, the newest first.
    pub async fn sessions_of(&self, account: Option<i64>) -> Result<Vec<Session>, Error> {
        let sql = format!("{SESSION} WHERE account = ?1 ORDER BY since DESC, key");
        self.read(move |c| all(c, &sql, [account.unwrap_or(0)], session)).await
    }

    /// Ends a session; whether there was one.
    pub async fn end_session(&self, key: &str) -> Result<bool, Error> {
        let key = key.to_owned();
        self.write(move |c| Ok(changed(c, "DELETE FROM session WHERE key = ?1", [&key])? > 0)).await
    }

    /// Ends the sessions that another token or application let in than these.
    pub async fn end_sessions_but(&self, marks: Vec<String>) -> Result<usize, Error> {
        self.write(move |c| {
            let all: Vec<String> = all(c, "SELECT DISTINCT mark FROM session", [], |r| r.get(0))?;
            let others = all.iter().filter(|mark| !marks.contains(mark));
            let end = |mark| changed(c, "DELETE FROM session WHERE mark = ?1", [mark]);
            others.map(end).sum()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::scratch;

    fn of(key: &str, account: i64, since_s: i64) -> Session {
        let since = from_millis(since_s * 1_000);
        Session {
            key: key.to_owned(),
            account: (account != 0).then(|| Account { id: account, login: "alice".into() }),
            browser: "Firefox".into(),
            mark: "mark".into(),
            since,
            seen: since,
            tokens: "sealed".into(),
        }
    }

    async fn keys(store: &Store, account: i64) -> Vec<String> {
        let all = store.sessions_of((account != 0).then_some(account)).await.unwrap();
        all.into_iter().map(|session| session.key).collect()
    }

    #[tokio::test]
    async fn a_session_is_there_until_it_ends_and_cannot_come_back() {
        let (_folder, store) = scratch();
        let (one, oldest) = (of("one", 5, 10), from_millis(0));
        store.keep_session(one.clone(), oldest).await.unwrap();
        store.keep_session(of("own", 0, 11), oldest).await.unwrap();
        assert_eq!(store.session("one").await.unwrap(), Some(one.clone()));
        assert_eq!(
            (keys(&store, 5).await, keys(&store, 0).await),
            (vec!["one".into()], vec!["own".into()])
        );
        assert!(
            store.end_session("one").await.unwrap() && !store.end_session("one").await.unwrap()
        );
        store.touch_session(one).await.unwrap();
        assert_eq!(store.session("one").await.unwrap(), None);
    }

    #[tokio::test]
    async fn old_sessions_and_those_of_another_token_are_removed_and_there_are_not_too_many() {
        let (_folder, store) = scratch();
        for n in 0..MOST + 5 {
            store.keep_session(of(&format!("{n:02}"), 5, n.into()), from_millis(0)).await.unwrap();
        }
        let kept = keys(&store, 5).await;
        assert_eq!((kept.len(), kept.last().map(String::as_str)), (MOST as usize, Some("05")));
        store.keep_session(of("new", 6, 60), from_millis(30_000)).await.unwrap();
        assert_eq!(keys(&store, 5).await.last().map(String::as_str), Some("30"));
        let other = Session { mark: "other".into(), ..of("other", 6, 61) };
        store.keep_session(other, from_millis(0)).await.unwrap();
        store.end_sessions_but(vec!["other".into()]).await.unwrap();
        assert_eq!((keys(&store, 5).await, keys(&store, 6).await), (vec![], vec!["other".into()]));
    }
}
