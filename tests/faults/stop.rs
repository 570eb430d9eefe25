//! Told to stop in the middle of work: it ends in time, nothing is lost, nothing is done twice.

use std::time::{Duration, Instant};

use crate::program::{PATIENCE, Stage, scale, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_with_work_waiting_and_in_flight_loses_nothing_and_repeats_nothing() {
    let stage = Stage::new().await;
    let count = scale(100, 500);
    // Slow enough that work is in flight when the stop comes.
    stage.gitea.set_delay("POST", Duration::from_millis(30));
    let mut program = stage.start();
    let issues: Vec<_> = (0..count).map(|n| stage.open(n)).collect();
    let is_begun = async || stage.gitea.writes().len() > 10;
    until("some work", PATIENCE, is_begun).await;
    program.terminate();
    let began = Instant::now();
    until("the end", Duration::from_secs(30), async || program.ended().is_some()).await;
    println!("stopped after {:?}", began.elapsed());
    assert!(program.ended().unwrap().success());
    drop(program);
    let waiting = stage.count("SELECT count(*) FROM delivery WHERE settled_at IS NULL");
    assert!(waiting > 0, "nothing was waiting when the stop came");
    assert_eq!(stage.count("SELECT count(*) FROM effect WHERE state = 'intended'"), 0);
    stage.check_database();
    stage.gitea.set_delay("POST", Duration::ZERO);
    stage.gitea.delivered().await;
    let lost: Vec<_> =
        stage.gitea.deliveries().into_iter().filter(|d| d.status.is_none()).collect();
    let program = stage.start();
    // What came while nothing listened was never accepted; a person sends it again.
    let http = reqwest::Client::new();
    for one in lost {
        let again = crate::program::delivery(&http, &program.url("/webhook"), one.body.to_vec());
        assert_eq!(again.send().await.unwrap().status(), 202);
    }
    stage.processed().await;
    for issue in &issues {
        stage.assert_with_claude(issue);
    }
    assert_eq!(stage.count("SELECT count(*) FROM dispatch"), i64::try_from(count).unwrap());
}
