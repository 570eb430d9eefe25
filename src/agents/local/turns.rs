//! The talk: ask the model, carry out what it calls in order, until it answers without a call. It keeps the record of
//! what was done, so that a run that fails late still tells it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::chat::{ChatError, Reply};
use super::guard::{CALLS, Cut, Guard};
use super::message::{Message, ToolCall};
use super::quoted::render;
use super::run::{CallRecord, Run};
use super::tool::{Permission, Scene, Tool, Trouble};
use super::{LocalAgent, Outside, Task, Watch, clean, prompt};
use crate::store::Spending;

/// How often one run may say or change something.
const WRITES: u32 = 10;
/// What a run says that did not come to an answer in its rounds, as in the program this replaces.
const EXCEEDED: &str = "(max tool-call rounds reached)";

/// Why a talk ended without an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error("Exceeded maximum of {0} tool-call rounds")]
    Exceeded(u32),
    #[error(transparent)]
    Cut(#[from] Cut),
    #[error("the model gave an empty reply")]
    Empty,
    #[error("the budget of {0} is used up")]
    UsedUp(&'static str),
    #[error("{0}")]
    NoIssue(String),
}

/// A talk on its way.
pub(super) struct Talk<'a> {
    agent: &'a LocalAgent,
    task: &'a Task,
    outside: &'a dyn Outside,
    watch: Watch<'a>,
    guard: Guard,
    messages: Vec<Message>,
    calls: Vec<CallRecord>,
    rounds: u32,
    tokens: u64,
    writes: u32,
    started: Instant,
}

impl<'a> Talk<'a> {
    pub fn new(
        agent: &'a LocalAgent,
        task: &'a Task,
        outside: &'a dyn Outside,
        watch: Watch<'a>,
    ) -> Self {
        Self {
            agent,
            task,
            outside,
            watch,
            guard: Guard::default(),
            messages: Vec::new(),
            calls: Vec::new(),
            rounds: 0,
            tokens: 0,
            writes: 0,
            started: Instant::now(),
        }
    }

    /// What the model says in the end.
    pub async fn hold(&mut self) -> Result<String, Stop> {
        self.open().await?;
        let tools = self.agent.inner.registry.specs();
        for _ in 0..self.agent.inner.max_rounds {
            let message = Message::from(self.ask(&tools).await?);
            self.say(message.clone());
            if message.calls().is_empty() {
                return answer(message.content());
            }
            self.carry_out(message.calls()).await?;
        }
        Err(Stop::Exceeded(self.agent.inner.max_rounds))
    }

    /// Reads the issue and says what is wanted; the messages are built once.
    async fn open(&mut self) -> Result<(), Stop> {
        let at = &self.task.at;
        let issue = self.outside.issue(at).await.map_err(|unmet| Stop::NoIssue(unmet.0))?;
        let issue = issue.ok_or_else(|| Stop::NoIssue(format!("there is no issue `{at}`")))?;
        for message in prompt::for_issue(at, &issue, self.task.prompt.as_deref()) {
            self.say(message);
        }
        Ok(())
    }

    fn say(&mut self, message: Message) {
        (self.watch)(&message);
        self.messages.push(message);
    }

    async fn ask(&mut self, tools: &[Value]) -> Result<Reply, Stop> {
        let left = self.task.allowance.after(self.spent());
        if let Some(what) = left.used_up() {
            return Err(Stop::UsedUp(what));
        }
        let asked = self.agent.inner.model.ask(&self.messages, tools, left.time).await;
        let reply = match asked {
            Err(ChatError::Slow { after, .. }) if left.time.is_some_and(|left| left <= after) => {
                return Err(Stop::UsedUp("time"));
            }
            asked => asked?,
        };
        self.rounds += 1;
        self.tokens += reply.tokens;
        Ok(reply)
    }

    fn spent(&self) -> Spending {
        let rounds = u64::from(self.rounds);
        Spending { rounds, tokens: self.tokens, ms: millis(self.started.elapsed()) }
    }

    /// Carries out the calls of one answer, in order; each is answered and recorded, the one that ends the run too.
    async fn carry_out(&mut self, calls: &[ToolCall]) -> Result<(), Stop> {
        for (at, call) in calls.iter().enumerate() {
            let (result, cut) = if at < CALLS {
                self.result(call).await
            } else {
                (
                    format!("Error: more than {CALLS} calls in one answer; this one was left out"),
                    Ok(()),
                )
            };
            tracing::info!(issue = %self.task.at, round = self.rounds, tool = %name(call), "tool call");
            self.calls.push(CallRecord::new(self.rounds, call, &result));
            self.say(Message::Tool { call: call.clone(), content: result });
            cut?;
        }
        Ok(())
    }

    /// What a call gives, and whether the run ends with it.
    async fn result(&mut self, call: &ToolCall) -> (String, Result<(), Cut>) {
        let registry = &self.agent.inner.registry;
        let Some(tool) = registry.get(&call.name) else {
            let known = registry.names().join(", ");
            let told = format!("Error: unknown tool `{}`; there are: {known}", name(call));
            return (told, self.guard.mistaken(&format!("there is no tool `{}`", name(call))));
        };
        if let Err(cut) = self.guard.called(call) {
            return (format!("Error: {cut}"), Err(cut));
        }
        match self.carried_out(tool, call).await {
            Ok(result) => (result, Ok(())),
            Err(Trouble::Failed(why)) => (format!("Error executing {}: {why}", call.name), Ok(())),
            Err(Trouble::Arguments(why)) => {
                let mistake = format!("the arguments of `{}` are wrong: {why}", call.name);
                (format!("Error: {mistake}"), self.guard.mistaken(&mistake))
            }
        }
    }

    async fn carried_out(&mut self, tool: &dyn Tool, call: &ToolCall) -> Result<String, Trouble> {
        if !call.arguments.is_object() {
            return Err(Trouble::Arguments("they are not a JSON object".to_owned()));
        }
        if tool.spec().permission > Permission::Read {
            self.writes += 1;
            if self.writes > WRITES {
                let why =
                    format!("a run may say or change something {WRITES} times; that is used up");
                return Err(Trouble::Failed(why));
            }
        }
        let scene = Scene { at: &self.task.at, outside: self.outside };
        Ok(render(&tool.call(scene, call.arguments.clone()).await?))
    }

    /// The result of the talk, however it ended.
    pub fn into_run(self, end: Result<String, Stop>, took: Duration) -> Run {
        let (content, error) = match end {
            Ok(content) => (content, String::new()),
            Err(stop @ Stop::Exceeded(_)) => (EXCEEDED.to_owned(), stop.to_string()),
            Err(stop) => (String::new(), stop.to_string()),
        };
        if !error.is_empty() {
            tracing::warn!(issue = %self.task.at, rounds = self.rounds, %error, "the local agent's run failed");
        }
        Run {
            content,
            tool_calls: self.calls,
            rounds: self.rounds,
            latency_ms: millis(took),
            model: self.agent.inner.model.name().to_owned(),
            error,
            tokens: self.tokens,
            messages: self.messages,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The name of a tool as it may be repeated: the model can write anything there.
fn name(call: &ToolCall) -> String {
    clean(&call.name).chars().filter(|c| !c.is_control()).take(64).collect()
}

/// What the model said, without what it thought aloud first.
fn answer(content: &str) -> Result<String, Stop> {
    let said = content.rsplit_once("</think>").map_or(content, |(_, said)| said);
    let visible = clean(said);
    if visible.trim().is_empty() { Err(Stop::Empty) } else { Ok(said.trim().to_owned()) }
}
