//! Killed with `kill -9` in the middle of a load, again and again over one database: what was answered 2xx is in it,
//! and nothing is in it twice.

use std::collections::BTreeMap;

use reqwest::Client;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use uuid::Uuid;

use crate::dice::{self, Dice};
use crate::program::{PATIENCE, Program, SECRET, Stage, push_payload, scale, sign};

const SENDERS: usize = 32;
/// How many of the accepted ones are sent again after each kill: half of them the last before it, half from all over.
const AGAIN: usize = 64;

/// The ids of what was sent.
#[derive(Default)]
struct Sent {
    accepted: Vec<Uuid>,
    /// Cut off or refused, so that it may be stored or not.
    open: Vec<Uuid>,
}

/// Posts the delivery with this id, whose body comes from it; the status of the answer, when there is one.
async fn post(http: &Client, url: &str, id: Uuid) -> Option<u16> {
    let body = push_payload(id.as_fields().0 as usize, 4_000);
    let request = http
        .post(url)
        .header("Content-Type", "application/json")
        .header("X-Gitea-Delivery", id.to_string())
        .header("X-Gitea-Signature", sign(SECRET, &body))
        .body(body);
    request.send().await.ok().map(|answer| answer.status().as_u16())
}

/// Sends fresh deliveries one after the other until nobody answers any more.
async fn keep_sending(http: Client, url: String, told: UnboundedSender<(Uuid, Option<u16>)>) {
    loop {
        let id = Uuid::new_v4();
        let status = post(&http, &url, id).await;
        if told.send((id, status)).is_err() || status.is_none() {
            return;
        }
    }
}

fn client() -> Client {
    Client::builder().timeout(PATIENCE).build().unwrap()
}

impl Sent {
    /// Loads the program until it has accepted `enough`, and kills it there, with all senders at it.
    async fn load_and_kill(&mut self, program: Program, enough: usize) {
        let (told, mut answers) = unbounded_channel();
        let (http, url) = (client(), program.url("/webhook"));
        for _ in 0..SENDERS {
            tokio::spawn(keep_sending(http.clone(), url.clone(), told.clone()));
        }
        drop(told);
        let enough = self.accepted.len() + enough;
        let mut alive = Some(program);
        // It ends with the last sender, which is after the kill.
        while let Some((id, status)) = answers.recv().await {
            match status {
                Some(202) => self.accepted.push(id),
                Some(503) => self.open.push(id),
                None if alive.is_none() => self.open.push(id),
                other => panic!("{id} was answered {other:?}"),
            }
            if self.accepted.len() >= enough {
                // To drop it is to kill it.
                alive.take();
            }
        }
        assert!(alive.is_none(), "nobody sends any more, and {enough} were not accepted");
    }

    /// Sends again what was cut off, as a person would, and some of what was accepted, which must be known.
    async fn send_again(&mut self, program: &Program, dice: &mut Dice) {
        let (http, url) = (client(), program.url("/webhook"));
        let count = self.accepted.len();
        let last = self.accepted.iter().rev().take(AGAIN / 2).copied();
        let any = (0..AGAIN / 2).map(|_| self.accepted[dice.below(count)]);
        for id in last.chain(any).collect::<Vec<_>>() {
            assert_eq!(post(&http, &url, id).await, Some(200), "{id} is not known any more");
        }
        for id in self.open.drain(..) {
            let status = post(&http, &url, id).await;
            assert!(matches!(status, Some(200 | 202)), "{id} was answered {status:?}");
            self.accepted.push(id);
        }
    }

    /// How many are lost, and how many are there twice.
    fn lost_and_doubled(&self, database: &Connection) -> (usize, usize) {
        let counted = "SELECT lower(hex(id)), count(*) FROM delivery GROUP BY id";
        let mut rows = database.prepare(counted).unwrap();
        let rows = rows.query_map([], |r| Ok((r.get(0)?, r.get(1)?)));
        let stored: BTreeMap<String, usize> = rows.unwrap().map(Result::unwrap).collect();
        let lost = self.accepted.iter().filter(|id| !stored.contains_key(&id.simple().to_string()));
        (lost.count(), stored.values().filter(|times| **times > 1).count())
    }
}

fn count(database: &Connection, sql: &str) -> usize {
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_it_has_all_that_it_accepted_and_each_once() {
    let (mut dice, mut sent, kills) = (Dice(dice::seed()), Sent::default(), scale(4, 20));
    let stage = Stage::with("[worker]\nconcurrency = 0\n").await;
    for _ in 0..kills {
        let program = stage.start();
        if !sent.accepted.is_empty() {
            sent.send_again(&program, &mut dice).await;
        }
        // At full scale ids are sorted in several times, so that starts find them in either place.
        sent.load_and_kill(program, 1 + dice.below(scale(1_000, 4_000))).await;
    }
    let program = stage.start();
    sent.send_again(&program, &mut dice).await;
    drop(program);
    // Looked at only now: whoever opens it for writing puts right what the next start should have to.
    let only_read = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(stage.path("fault.db"), only_read).unwrap();
    let (lost, doubled) = sent.lost_and_doubled(&database);
    let accepted = sent.accepted.len();
    println!("{kills} kills, {accepted} deliveries accepted, {lost} lost, {doubled} duplicated");
    assert_eq!((lost, doubled), (0, 0));
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    // Nothing that nobody sent, and none without its body.
    assert_eq!(count(&database, "SELECT count(*) FROM delivery"), accepted);
    assert_eq!(count(&database, "SELECT count(*) FROM delivery JOIN body USING (seq)"), accepted);
}
