//! What a server refuses: more connections than it takes, a statement that takes too long, rows on a full disk,
//! transactions that would not be one after the other.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use gitea_triage::clock::from_millis;
use gitea_triage::delivery::{Delivery, DeliveryId};
use gitea_triage::store::{Accepted, Error, OpenMode, Place, Store};

use crate::cluster::{Cluster, is_root, not_tried};
use crate::{accept, database, open};

#[tokio::test]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
async fn without_a_free_connection_what_has_one_goes_on_and_the_cure_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("used-up.db");
    let url = database::url(&file);
    let login = format!("few_{}", std::process::id());
    let schema = url.rsplit_once("%3D").unwrap().1.to_owned();
    database::rows_outside(&format!(
        "CREATE ROLE {login} LOGIN CONNECTION LIMIT 1; GRANT ALL ON SCHEMA {schema} TO {login}"
    ));
    let place: Place = url.replacen("triage@", &format!("{login}@"), 1).parse().unwrap();
    let store = open(place.clone(), OpenMode::Exclusive).unwrap();
    let no_reader = store.backlog().await.unwrap_err().to_string();
    let no_store = open(place.clone(), OpenMode::Shared).err().unwrap().to_string();
    let accepted = accept(&store, "one").await;
    database::rows_outside(&format!("ALTER ROLE {login} CONNECTION LIMIT 8"));
    let (backlog, second) = (store.backlog().await, open(place, OpenMode::Shared));
    let second_works = accept(&second.unwrap(), "one").await;
    drop(store);
    database::rows_outside(&format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{login}'"
    ));
    database::rows_outside(&format!("DROP OWNED BY {login} CASCADE; DROP ROLE {login}"));
    for said in [no_reader, no_store] {
        assert!(said.contains("max_connections"), "{said}");
    }
    assert_eq!(accepted.unwrap(), Accepted::New);
    assert_eq!(backlog.unwrap(), 1);
    assert_eq!(second_works.unwrap(), Accepted::Duplicate);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
async fn a_statement_that_the_server_cuts_off_leaves_nothing_and_its_connection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut-off.db");
    // A time limit of the server or of the user does not hold for us, who set our own.
    let url =
        format!("{}%20-cstatement_timeout%3D200&application_name=cut-off", database::url(&file));
    let store = open(url.parse().unwrap(), OpenMode::Shared).unwrap();
    assert_eq!(accept(&store, "before").await.unwrap(), Accepted::New);
    let held = database::Held::table(&file, "body");
    let cut_off = async {
        // What the server does after `statement_timeout`, without waiting for so long.
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                      WHERE application_name = 'cut-off' AND wait_event_type = 'Lock' AND query LIKE '%body%'";
        let since = Instant::now();
        while database::rows(&file, cancel).is_empty() {
            assert!(since.elapsed() < crate::BACK_WITHIN);
            tokio::task::yield_now().await;
        }
    };
    let (refused, ()) = tokio::join!(accept(&store, "cut-off"), cut_off);
    let refused = refused.unwrap_err();
    assert!(refused.to_string().contains("57014"), "{refused}");
    drop(held);
    assert_eq!(accept(&store, "cut-off").await.unwrap(), Accepted::New);
    let connections =
        "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE application_name = 'cut-off'";
    assert_eq!(database::count(&file, connections), 1);
    assert_eq!(database::count(&file, "SELECT count(*) FROM body"), 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server: set GITEA_TRIAGE_TEST_POSTGRES"]
async fn transactions_follow_each_other_however_strict_the_server_is_about_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("strict.db");
    for isolation in ["serializable", "repeatable%5C%20read"] {
        let option = format!("%20-cdefault_transaction_isolation%3D{isolation}");
        let place: Place = format!("{}{option}", database::url(&file)).parse().unwrap();
        let stores = [(); 3].map(|()| open(place.clone(), OpenMode::Shared).unwrap());
        let take = |store: Store, own: usize| async move {
            let mut new = 0;
            for round in 0..40 {
                // Every second one comes to all of them.
                let whose = if round % 2 == 0 { "all".to_owned() } else { own.to_string() };
                let id = format!("{isolation}-{whose}-{round}");
                new += usize::from(accept(&store, &id).await? == Accepted::New);
                store.backlog().await?;
            }
            Ok::<_, Error>(new)
        };
        let [one, two, three] = stores;
        let taken = tokio::join!(take(one, 1), take(two, 2), take(three, 3));
        let new = taken.0.unwrap() + taken.1.unwrap() + taken.2.unwrap();
        assert_eq!(new, 20 + 3 * 20, "{isolation}");
    }
}

/// A small disk, which can be made larger.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    /// None where this machine lets nobody make one.
    fn at(folder: &'a Path, mebibytes: u32) -> Option<Self> {
        if !is_root() {
            not_tried("a full disk: only root can make a small one");
            return None;
        }
        std::fs::create_dir(folder).unwrap();
        if !mount(&["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"], folder) {
            not_tried("a full disk: no file system can be mounted here");
            return None;
        }
        Some(Self(folder))
    }

    fn grow(&self, mebibytes: u32) {
        assert!(mount(&["-o", &format!("remount,size={mebibytes}m")], self.0));
    }
}

fn mount(options: &[&str], folder: &Path) -> bool {
    Command::new("mount").args(options).arg(folder).status().is_ok_and(|done| done.success())
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// A delivery whose body cannot be packed.
fn large(number: u64) -> Delivery {
    // Xorshift: nothing of it repeats.
    let mut state = number + 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    Delivery {
        id: DeliveryId::parse(&format!("large-{number}")).unwrap(),
        received_at: from_millis(1),
        body: Bytes::from(words.take(32 * 1024).flatten().collect::<Vec<_>>()),
        event_header: "issues".into(),
        scope: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL's own programs, as the others here"]
async fn on_a_full_disk_nothing_is_half_stored_and_with_room_it_goes_on() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let folder = cluster.folder().join("small");
    let Some(disk) = Disk::at(&folder, 24) else { return };
    cluster.hand_over(&folder);
    let space = format!("CREATE TABLESPACE small LOCATION '{}'", folder.display());
    cluster.run(&[&space, "CREATE DATABASE filling TABLESPACE small"]);
    let url = format!("postgres://triage@127.0.0.1:{}/filling?sslmode=disable", cluster.port);
    let store = open(url.parse().unwrap(), OpenMode::Exclusive).unwrap();
    let (mut number, mut refused) = (0, None);
    while refused.is_none() {
        assert!(number < 200, "24 MiB hold {number} bodies of 256 KiB");
        refused = store.accept(large(number)).await.err();
        number += 1;
    }
    let refused = refused.unwrap().to_string();
    assert!(refused.contains("make room on the server's disk"), "{refused}");
    let accepted = number - 1;
    assert_eq!(store.backlog().await.unwrap(), accepted);
    disk.grow(96);
    assert_eq!(store.accept(large(accepted)).await.unwrap(), Accepted::New);
    for number in 0..=accepted {
        assert_eq!(store.accept(large(number)).await.unwrap(), Accepted::Duplicate, "{number}");
    }
    drop(store);
    drop(cluster);
}
