//! One writing thread over SQLite: WAL, a flush at every commit, up to 256 deliveries in one commit, the raw body kept.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::SystemTime;

use actix_web::web::Bytes;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

/// The most deliveries one commit takes.
const GROUP: usize = 256;
/// Deliveries that may wait for their commit.
const QUEUE: usize = 8192;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS delivery (id BLOB PRIMARY KEY, received_at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS job (
        id INTEGER PRIMARY KEY, delivery BLOB NOT NULL, repo TEXT NOT NULL, number INTEGER NOT NULL,
        action TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0, payload BLOB NOT NULL
    );";

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

struct Waiting {
    job: Job,
    reply: oneshot::Sender<Kept>,
}

pub struct Store {
    queue: SyncSender<Waiting>,
}

impl Store {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // Small, because the fold is what the slowest answers wait for.
        connection.pragma_update(None, "wal_autocheckpoint", 250)?;
        connection.execute_batch(SCHEMA)?;
        let (queue, jobs) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || write_all(connection, &jobs))?;
        Ok(Self { queue })
    }

    /// Keeps a delivery; the answer comes after the flush. `None` when it was not kept.
    pub async fn keep(&self, job: Job) -> Option<Kept> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Waiting { job, reply }).ok()?;
        answer.await.ok()
    }
}

fn write_all(mut connection: Connection, queue: &Receiver<Waiting>) {
    let mut group = Vec::with_capacity(GROUP);
    while let Ok(first) = queue.recv() {
        group.push(first);
        group.extend(queue.try_iter().take(GROUP - 1));
        match commit(&mut connection, &group) {
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

fn commit(connection: &mut Connection, group: &[Waiting]) -> rusqlite::Result<Vec<Kept>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let kept =
        group.iter().map(|waiting| insert(&transaction, &waiting.job)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(kept)
}

fn insert(transaction: &Transaction<'_>, job: &Job) -> rusqlite::Result<Kept> {
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()
            as i64;
    let mut delivery = transaction
        .prepare_cached("INSERT INTO delivery VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    if delivery.execute(params![job.id, now])? == 0 {
        return Ok(Kept::Repeated);
    }
    let mut keep = transaction.prepare_cached(
        "INSERT INTO job (delivery, repo, number, action, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    keep.execute(params![job.id, job.repo, job.number, job.action, &job.body[..]])?;
    Ok(Kept::New)
}
