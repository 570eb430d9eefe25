//! A runner of the demo: it speaks to the service as every runner does, and what its agent does is written down here. No
//! program is started, and nothing is pushed.

use std::time::Duration;

use anyhow::Context as _;
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::dispatch::AgentId;
use crate::dispatch::run::{
    Assignment, Finish, Heartbeat, LogChunk, PROTOCOL, Register, RunEvent, RunOutcome, Take, Usage,
};
use crate::runner::{CallError, ServiceClient};

/// Its name in the configuration.
pub(super) const NAME: &str = "workbench";
/// The agent that works on it.
pub(super) const AGENT: &str = "kimi";
/// A run whose title has this word comes to nothing.
pub(super) const HOPELESS: &str = "mainframe";

/// The time between two steps of an agent.
const STEP: Duration = Duration::from_secs(2);
/// The longest that is waited for a run, in seconds.
const WAIT_S: u64 = 20;
/// How long is waited after a call that was not answered.
const AGAIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);

/// What the agent does, step by step; after the last one it goes on with that.
const STEPS: [(RunEvent, &str, &str); 6] = [
    (RunEvent::Preparing, "a workspace from the clone", "clone is up to date, branch made\n"),
    (RunEvent::Prompted, "the issue and what is to be shown", "agent started\n"),
    (RunEvent::Plan, "read the code, try it out, write it down", "plan: 3 steps\n"),
    (
        RunEvent::Tool,
        "rg --files-with-matches enqueue src",
        "src/queue/enqueue.rs\nsrc/queue/mod.rs\n",
    ),
    (RunEvent::Tool, "cargo test queue", "running 12 tests\ntest result: ok. 12 passed\n"),
    (RunEvent::Message, "comparing what was measured", "writing docs/queue.md\n"),
];

/// A runner that is at work until it is dropped.
pub(super) struct Workbench(JoinHandle<()>);

impl Workbench {
    /// Calls the service at this address.
    pub fn start(service: &str, token: SecretString) -> anyhow::Result<Self> {
        let client = ServiceClient::new(service, &token);
        let client = client.map_err(anyhow::Error::msg).context("the demo's runner")?;
        Ok(Self(tokio::spawn(work(client))))
    }
}

impl Drop for Workbench {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn work(client: ServiceClient) {
    let agents = vec![AgentId::new(AGENT)];
    let register = Register {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        agents: agents.clone(),
        places: 1,
    };
    while client.register(&register).await.is_err() {
        sleep(AGAIN).await;
    }
    loop {
        let request = uuid::Uuid::new_v4().to_string();
        let take = Take { request, agents: agents.clone(), wait_s: WAIT_S };
        match client.take(&take).await {
            // A run that is lost is given out again.
            Ok(Some(run)) => drop(Work { client: &client, run: &run, steps: 0 }.go_on().await),
            Ok(None) => {}
            Err(_) => sleep(AGAIN).await,
        }
    }
}

/// One run in hand.
struct Work<'a> {
    client: &'a ServiceClient,
    run: &'a Assignment,
    steps: u64,
}

impl Work<'_> {
    /// Works until the run is called off, or comes to nothing.
    async fn go_on(mut self) -> Result<(), CallError> {
        let mut offset = 0;
        loop {
            let at = usize::try_from(self.steps).unwrap_or(usize::MAX).min(STEPS.len() - 1);
            let (event, detail, printed) = STEPS[at];
            let mut text = printed.to_owned();
            if self.steps >= STEPS.len() as u64 {
                text.clear();
            }
            self.steps += 1;
            let beat = Heartbeat {
                epoch: self.run.epoch,
                event: Some(event),
                detail: Some(detail.to_owned()),
                usage: self.usage(),
            };
            if self.client.heartbeat(self.run.run, &beat).await?.cancel.is_some() {
                return self.finish(RunOutcome::Cancelled, "called off").await;
            }
            let length = text.len() as u64;
            let chunk = LogChunk { epoch: self.run.epoch, offset, text };
            if length > 0 {
                self.client.log(self.run.run, &chunk).await?;
                offset += length;
            }
            if self.run.title.contains(HOPELESS) {
                let why = "there is no access to the machine that it would have to be tried on";
                return self.finish(RunOutcome::Failed, why).await;
            }
            sleep(STEP).await;
        }
    }

    async fn finish(&self, outcome: RunOutcome, message: &str) -> Result<(), CallError> {
        let finish = Finish {
            epoch: self.run.epoch,
            outcome,
            message: Some(message.to_owned()),
            head: None,
            pull_request: None,
            url: None,
            usage: self.usage(),
            asks: None,
        };
        self.client.finish(self.run.run, &finish, PATIENCE).await.map(drop)
    }

    fn usage(&self) -> Usage {
        let steps = self.steps.min(40);
        Usage { tokens: Some(900 * steps), cost: Some(0.01 * steps as f64) }
    }
}
