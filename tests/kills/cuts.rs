//! The network between a runner and the service is cut, shorter and longer than a lease. The cuts of 30 and 300 seconds,
//! with the clock in hand, are among the stories of `tests/flow/runs.rs`.

use std::fs;
use std::time::Instant;

use crate::proxy::Proxy;
use crate::stage::{LEASE_S, Program, Stage, agent, pause};

/// A service, runner `one` behind a proxy, and runner `two` that is not started yet.
struct Line {
    stage: Stage,
    proxy: Proxy,
    service: Program,
    one: Program,
}

impl Line {
    async fn start(mode: &str) -> Self {
        let names = ["one", "two"].map(str::to_owned);
        let stage = Stage::with(&names, &agent(5, LEASE_S)).await;
        let proxy = Proxy::start(stage.port).await;
        stage.make_runner("one", proxy.port, mode);
        stage.make_runner("two", stage.port, mode);
        let (service, one) = (stage.serve().await, stage.run("one"));
        Self { stage, proxy, service, one }
    }

    /// Waits until the agent of a runner is at work.
    async fn at_work(&self, name: &str) {
        let sign = self.stage.signs(name).join("at-work");
        self.stage.wait_for(|| (!sign.exists()).then(|| format!("{name} is not at work"))).await;
    }

    /// Lets the agents of a runner go on that wait.
    fn go(&self, name: &str) {
        fs::write(self.stage.signs(name).join("go"), "").unwrap();
    }

    /// Waits until the work of the agent is committed and taken over by its runner: the next thing is the push.
    async fn committed(&self, name: &str) {
        let kept = self.stage.path(&format!("work-{name}/cache/acme/widgets.git/refs/triage"));
        let is_there = || fs::read_dir(&kept).is_ok_and(|mut entries| entries.next().is_some());
        self.stage
            .wait_for(|| (!is_there()).then(|| format!("{name} has committed nothing")))
            .await;
    }

    async fn taken_by(&self, name: &str) {
        let sql = format!("SELECT count(*) FROM run WHERE runner = '{name}' AND state = 'leased'");
        let is_taken = || self.stage.count(&sql) == 1;
        self.stage.wait_for(|| (!is_taken()).then(|| format!("{name} has no lease"))).await;
    }

    async fn merged(&self) {
        let pulls = || self.stage.pulls_of(1);
        self.stage.wait_for(|| pulls().is_empty().then(|| "no pull request".into())).await;
        let done = "SELECT count(*) FROM run WHERE outcome = 'done'";
        let is_done = || self.stage.count(done) == 1;
        self.stage.wait_for(|| (!is_done()).then(|| "the run is not done".into())).await;
        self.stage.gitea.merge(&pulls()[0].0, "alice");
        self.stage.wait_for(|| self.stage.unfinished()).await;
    }

    /// One pull request and one branch, of this lease of this runner.
    async fn judge(self, epoch: i64, runner: &str, two: Option<Program>) {
        let Self { stage, service, one, .. } = self;
        stage.wait_for(|| stage.kept()).await;
        one.stop();
        two.into_iter().for_each(Program::stop);
        let all = stage.everything();
        let lease = stage.rows("SELECT runner || ' ' || epoch FROM run");
        assert_eq!(lease, [format!("{runner} {epoch}")], "{all}");
        assert_eq!(stage.pulls_of(1).len(), 1, "{all}");
        let branches = stage.branches();
        assert_eq!(branches.len(), 1, "{all}");
        assert_eq!(stage.commits(&branches[0]), ["Work on #1"], "{all}");
        for name in ["one", "two"] {
            assert_eq!(stage.workspaces(name), Vec::<String>::new(), "{name}");
            assert!(stage.processes(name).is_empty(), "{:?}", stage.processes(name));
        }
        service.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_shorter_than_the_lease_takes_nobodys_run() {
    let line = Line::start("gate").await;
    line.stage.open_issue(1);
    line.at_work("one").await;
    let two = line.stage.run("two");
    line.proxy.cut(true);
    pause(1000).await;
    line.proxy.cut(false);
    let beats = || line.proxy.calls().into_iter().filter(|(verb, _)| verb == "heartbeat").count();
    let before = beats();
    line.stage.wait_for(|| (beats() < before + 2).then(|| "no heartbeat".into())).await;
    line.go("one");
    line.merged().await;
    line.judge(1, "one", Some(two)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_cut_longer_than_the_lease_the_late_runner_is_fenced_and_pushes_nothing() {
    let line = Line::start("gate").await;
    line.stage.open_issue(1);
    line.at_work("one").await;
    line.proxy.cut(true);
    let (two, began) = (line.stage.run("two"), Instant::now());
    line.go("one");
    line.committed("one").await;
    line.taken_by("two").await;
    println!("taken over after {:.1} s of a lease of {LEASE_S} s", began.elapsed().as_secs_f64());
    line.at_work("two").await;
    line.proxy.cut(false);
    // The late one asks whether it may push, and may not.
    let is_fenced = || line.proxy.calls().contains(&("push".to_owned(), 409));
    line.stage.wait_for(|| (!is_fenced()).then(|| "no push was refused".into())).await;
    assert_eq!(line.stage.branches(), Vec::<String>::new());
    line.go("two");
    line.merged().await;
    line.judge(2, "two", Some(two)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_between_the_pull_request_and_its_report_opens_no_second_one() {
    let line = Line::start("work").await;
    let proxy = line.proxy.clone();
    line.stage.gitea.just_before("POST", "/pulls", move || proxy.cut(true));
    line.stage.open_issue(1);
    line.stage
        .wait_for(|| line.stage.pulls_of(1).is_empty().then(|| "no pull request".into()))
        .await;
    let two = line.stage.run("two");
    line.taken_by("two").await;
    line.merged().await;
    line.proxy.cut(false);
    let is_fenced = || line.proxy.calls().contains(&("finish".to_owned(), 409));
    line.stage.wait_for(|| (!is_fenced()).then(|| "the late end was not refused".into())).await;
    line.judge(2, "two", Some(two)).await;
}
