//! A connection of its own on which a service hears what others on the same server have written, and says that it lives.

use std::collections::BTreeSet;
use std::time::Duration;

use postgres::Client;
use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::ToSql;

use super::news::{CHANNEL, News, heard};
use super::postgres::Server;
use crate::store::Error;

/// A question here is answered at once, or the server is of no use now.
const SETTINGS: &str =
    "SET statement_timeout = '4s'; SET lock_timeout = '4s'; SET client_min_messages = warning;
    SET default_transaction_isolation = 'read committed'";

/// A connection that listens.
pub(in crate::store) struct Listener {
    client: Client,
    own: String,
}

impl Server {
    /// Listens from now on, and holds a lock for the service with this number, for as long as the connection lasts.
    pub(in crate::store) fn listen(&self, service: i64) -> Result<Listener, Error> {
        let mut client = self.client()?;
        client.batch_execute(SETTINGS)?;
        let channel: String = client.query_one(&format!("SELECT {CHANNEL}"), &[])?.try_get(0)?;
        client.batch_execute(&format!("LISTEN \"{channel}\""))?;
        let lock = "SELECT pg_try_advisory_lock(19798, hashtext(current_schema() || ' ' || CAST($1 AS BIGINT)))";
        client.execute(lock, &[&service])?;
        Ok(Listener { client, own: self.sender.simple().to_string() })
    }
}

impl Listener {
    /// The numbers in the one row of an answer; 0 stands for none.
    pub(in crate::store) fn numbers<const N: usize>(
        &mut self,
        sql: &str,
        values: &[i64],
    ) -> Result<[i64; N], Error> {
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|one| one as _).collect();
        let row = self.client.query_one(sql, &values)?;
        let mut numbers = [0; N];
        for (at, number) in numbers.iter_mut().enumerate() {
            *number = row.try_get::<_, Option<i64>>(at)?.unwrap_or(0);
        }
        Ok(numbers)
    }

    /// Waits for what others write, at most so long; its own news is none.
    ///
    /// # Errors
    /// When the connection is lost, and with it what was said meanwhile.
    pub(in crate::store) fn hear(&mut self, longest: Duration) -> Result<BTreeSet<News>, Error> {
        let mut all = BTreeSet::new();
        let mut next = self.client.notifications().timeout_iter(longest).next()?;
        while let Some(said) = next {
            all.extend(heard(said.payload(), &self.own));
            // What has come with it.
            next = self.client.notifications().iter().next()?;
        }
        if self.client.is_closed() { Err(Error::Closed) } else { Ok(all) }
    }
}
