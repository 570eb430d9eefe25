//! Two servers, of which one follows the other and takes over when that is gone.

use std::collections::BTreeSet;
use std::time::Instant;

use gitea_triage::store::{Accepted, OpenMode, Place};

use crate::cluster::Cluster;
use crate::service::World;
use crate::{BACK_WITHIN, Sender, accept, open, refused};

/// The first with its standby: what one answers for, both have.
fn pair() -> Option<(Cluster, Cluster)> {
    let primary = Cluster::start(&["synchronous_standby_names=*"])?;
    let standby = primary.standby();
    Some((primary, standby))
}

fn url(of: &[&Cluster], wanted: &str) -> String {
    let hosts: Vec<_> = of.iter().map(|one| format!("127.0.0.1:{}", one.port)).collect();
    format!("postgres://triage@{}/postgres?sslmode=disable&{wanted}", hosts.join(","))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL's own programs, as the others here"]
async fn when_a_standby_takes_over_nothing_that_was_accepted_is_lost() {
    let Some((mut primary, standby)) = pair() else { return };
    let world =
        World::on_store(&url(&[&primary, &standby], "target_session_attrs=read-write")).await;
    let mut sender = Sender::to(&world);
    let mut accepted = BTreeSet::new();
    for _ in 0..20 {
        assert_eq!(sender.send().await.status(), 202);
        accepted.insert(sender.number);
    }
    // In the middle of what comes, and gone for a while.
    let crash = tokio::task::spawn_blocking(move || {
        primary.crash();
        primary
    });
    while !crash.is_finished() {
        if sender.send().await.status() == 202 {
            accepted.insert(sender.number);
        }
    }
    let _primary = crash.await.unwrap();
    assert_eq!(sender.send().await.status(), 503);
    let standby = tokio::task::spawn_blocking(move || {
        standby.promote();
        standby
    });
    let _standby = standby.await.unwrap();
    let since = Instant::now();
    while sender.send().await.status() != 202 {
        assert!(since.elapsed() < BACK_WITHIN);
    }
    accepted.insert(sender.number);
    for number in accepted {
        assert_eq!(sender.send_again(number).await.status(), 200, "{number}");
    }
    assert_eq!(world.get("/readyz", "application/json").await.0, 200);
}

#[tokio::test]
#[ignore = "needs PostgreSQL's own programs, as the others here"]
async fn a_standby_is_refused_with_its_cure_and_passed_over_where_the_primary_is_named_too() {
    let Some((primary, standby)) = pair() else { return };
    let said = refused(&url(&[&standby], ""));
    assert!(said.contains("target_session_attrs=read-write"), "{said}");
    let both: Place =
        url(&[&standby, &primary], "target_session_attrs=read-write").parse().unwrap();
    let store = open(both, OpenMode::Exclusive).unwrap();
    assert_eq!(accept(&store, "one").await.unwrap(), Accepted::New);
    store.close().await.unwrap();
    // With a schema there, whose version is only read.
    let place: Place = url(&[&standby], "").parse().unwrap();
    let said = open(place, OpenMode::Exclusive).err().unwrap().to_string();
    assert!(said.contains("target_session_attrs=read-write"), "{said}");
}
