//! This service as one of several on the same store: what the others write wakes the parts here.

use std::sync::Arc;

use super::Parts;
use crate::agents::local::LocalClient;
use crate::config::Config;
use crate::store::{self, News, Replica};

impl Parts {
    /// Takes part as one of the services on the store.
    pub(super) async fn join(&self, config: &Config) -> Result<(), store::Error> {
        let replica = Replica { name: name(config), works: config.worker.concurrency > 0 };
        let (arrived, offered) = (Arc::clone(&self.arrived), Arc::clone(&self.runs.offered));
        // Nothing here keeps the store, or it would never be closed.
        let (wake, resume) = (self.worker.waker(), self.local.as_ref().map(LocalClient::resumer));
        let heard = move |news: News| match news {
            News::Arrived => arrived.notify_one(),
            News::Due => wake(),
            News::Offered => offered.notify_waiters(),
            News::Orphaned => resume.iter().for_each(|resume| resume()),
        };
        self.store.join(replica, heard).await
    }
}

/// The machine and where it listens, which no two services have at the same time. Where any port will do, they tell nothing.
fn name(config: &Config) -> String {
    let listen = &config.server.listen;
    let system = rustix::system::uname();
    let machine = system.nodename().to_string_lossy();
    match listen.ends_with(":0") {
        true => format!("{machine} {}", uuid::Uuid::new_v4()),
        false => format!("{machine} {listen}"),
    }
}
