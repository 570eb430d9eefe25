//! One writing thread: up to 256 deliveries in one commit, the raw body kept. What it writes into flushes each commit.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::SystemTime;

use actix_web::web::Bytes;
use tokio::sync::oneshot;

use super::{postgres, sqlite};

/// The most deliveries one commit takes.
const GROUP: usize = 256;
/// Deliveries that may wait for their commit.
const QUEUE: usize = 8192;

/// What is kept of one delivery.
pub struct Job {
    pub id: [u8; 16],
    pub repo: String,
    pub number: i64,
    pub action: String,
    pub body: Bytes,
}

/// What became of it.
#[derive(Clone, Copy)]
pub enum Kept {
    New,
    Repeated,
}

/// Keeps deliveries in one commit, and says what became of each.
pub type Commit = Box<dyn FnMut(&[&Job]) -> anyhow::Result<Vec<Kept>> + Send>;

struct Waiting {
    job: Job,
    reply: oneshot::Sender<Kept>,
}

pub struct Store {
    queue: SyncSender<Waiting>,
}

impl Store {
    /// Opens a file, or a database on a server.
    pub fn open(database: &str) -> anyhow::Result<Self> {
        let is_on_server = database.starts_with("postgres://");
        let commit = if is_on_server {
            postgres::open(database)?
        } else {
            sqlite::open(Path::new(database))?
        };
        let (queue, jobs) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || write_all(commit, &jobs))?;
        Ok(Self { queue })
    }

    /// Keeps a delivery; the answer comes after the flush. `None` when it was not kept.
    pub async fn keep(&self, job: Job) -> Option<Kept> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Waiting { job, reply }).ok()?;
        answer.await.ok()
    }
}

fn write_all(mut commit: Commit, queue: &Receiver<Waiting>) {
    let mut group = Vec::with_capacity(GROUP);
    while let Ok(first) = queue.recv() {
        group.push(first);
        group.extend(queue.try_iter().take(GROUP - 1));
        let jobs: Vec<_> = group.iter().map(|waiting| &waiting.job).collect();
        match commit(&jobs) {
            Ok(kept) => {
                for (waiting, kept) in group.drain(..).zip(kept) {
                    // The sender may have hung up; the delivery is kept all the same.
                    let _ = waiting.reply.send(kept);
                }
            }
            Err(error) => {
                eprintln!("a group was not written: {error}");
                group.clear();
            }
        }
    }
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as i64
}
