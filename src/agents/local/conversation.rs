//! The conversation: ask the model, carry out what it calls in order, until it answers without a call. It keeps the
//! record of what was done, so that a run that fails late still has it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::guard::{CALLS, Cut, Guard};
use super::json_client::CallError;
use super::quoted::render;
use super::tool::{Permission, Tool, ToolContext, ToolError};
use super::{
    CallRecord, Environment, LocalAgent, Message, Run, Task, ToolCall, Unavailable, Watch, clean,
    prompt,
};

/// How often one run may say or change something.
const WRITES: u32 = 10;
/// How much of a tool's result the record keeps, in characters.
const RECORDED: usize = 500;
/// What a run says that did not come to an answer in its rounds, as in the program this replaces.
const EXCEEDED: &str = "(max tool-call rounds reached)";

/// Why a conversation ended without an answer.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("Exceeded maximum of {0} tool-call rounds")]
    Exceeded(u32),
    #[error(transparent)]
    Cut(#[from] Cut),
    #[error("the text was changed since it was approved")]
    Changed,
    #[error("the model gave an empty reply")]
    Empty,
    #[error("the budget of {0} is used up")]
    UsedUp(&'static str),
    #[error(transparent)]
    Failed(#[from] Unavailable),
}

/// A conversation on its way.
struct Conversation<'a> {
    agent: &'a LocalAgent,
    task: &'a Task,
    environment: &'a dyn Environment,
    watch: Watch<'a>,
    guard: Guard,
    run: Run,
    writes: u32,
    started: Instant,
}

impl LocalAgent {
    /// Works on one issue as [`LocalAgent::run`] does, with each message given to `watch` as it is added.
    pub async fn run_watched(
        &self,
        task: &Task,
        environment: &dyn Environment,
        watch: Watch<'_>,
    ) -> Run {
        let (guard, run, started) = (Guard::default(), self.not_begun(), Instant::now());
        let agent = self;
        let mut conversation =
            Conversation { agent, task, environment, watch, guard, run, writes: 0, started };
        let end = conversation.hold().await;
        conversation.into_run(end)
    }
}

impl Conversation<'_> {
    /// Runs it to the model's last answer.
    async fn hold(&mut self) -> Result<String, Stop> {
        self.open().await?;
        let tools: Vec<_> = self.agent.registry.tools.iter().map(Tool::as_json).collect();
        let rounds = self.agent.model.settings.max_rounds.max(1);
        for _ in 0..rounds {
            let message = self.ask(&tools).await?;
            self.add(message.clone());
            if message.calls().is_empty() {
                return answer(message.content());
            }
            self.carry_out(message.calls()).await?;
        }
        Err(Stop::Exceeded(rounds))
    }

    /// Reads the issue and adds the first messages.
    async fn open(&mut self) -> Result<(), Stop> {
        let at = &self.task.at;
        let issue = self.environment.issue(at).await?;
        let issue = issue.ok_or_else(|| Unavailable(format!("there is no issue `{at}`")))?;
        let text = issue.text().to_string();
        if self.task.approved.as_ref().is_some_and(|approved| *approved != text) {
            return Err(Stop::Changed);
        }
        for message in prompt::for_issue(at, &issue, self.task.prompt.as_deref()) {
            self.add(message);
        }
        Ok(())
    }

    fn add(&mut self, message: Message) {
        (self.watch)(&message);
        self.run.messages.push(message);
    }

    async fn ask(&mut self, tools: &[Value]) -> Result<Message, Stop> {
        self.run.latency_ms = millis(self.started.elapsed());
        let left = self.task.allowance.after(self.run.spent());
        if let Some(what) = left.used_up() {
            return Err(Stop::UsedUp(what));
        }
        let model = &self.agent.model;
        let asked = model.ask(&self.run.messages, tools, left.time).await;
        let reply = asked.map_err(|error| match error {
            CallError::Slow(after) if left.time.is_some_and(|left| left <= after) => {
                Stop::UsedUp("time")
            }
            error => Unavailable(model.explain(error)).into(),
        })?;
        self.run.rounds += 1;
        self.run.tokens += reply.tokens;
        Ok(reply.message)
    }

    /// Carries out the calls of one answer, in order; each is answered and recorded, the one that ends the run too.
    async fn carry_out(&mut self, calls: &[ToolCall]) -> Result<(), Stop> {
        for (at, call) in calls.iter().enumerate() {
            let too_many =
                || format!("Error: more than {CALLS} calls in one answer; this one was left out");
            let (result, cut) =
                if at < CALLS { self.result(call).await } else { (too_many(), Ok(())) };
            tracing::info!(issue = %self.task.at, round = self.run.rounds, tool = %name(call), "tool call");
            let ToolCall { name: tool, arguments, .. } = call.clone();
            let begins = result.chars().take(RECORDED).collect();
            let record = CallRecord { round: self.run.rounds, tool, arguments, result: begins };
            self.run.tool_calls.push(record);
            self.add(Message::Tool { call: call.clone(), content: result });
            cut?;
        }
        Ok(())
    }

    /// What a call gives, and whether the run ends with it.
    async fn result(&mut self, call: &ToolCall) -> (String, Result<(), Cut>) {
        let registry = &self.agent.registry;
        let Some(tool) = registry.get(&call.name) else {
            let known = registry.names().join(", ");
            let answer = format!("Error: unknown tool `{}`; there are: {known}", name(call));
            return (answer, self.guard.mistaken(&format!("there is no tool `{}`", name(call))));
        };
        if let Err(cut) = self.guard.called(call) {
            return (format!("Error: {cut}"), Err(cut));
        }
        match self.carried_out(tool, call).await {
            Ok(result) => (result, Ok(())),
            Err(ToolError::Failed(why)) => {
                (format!("Error executing {}: {why}", call.name), Ok(()))
            }
            Err(ToolError::Arguments(why)) => {
                let mistake = format!("the arguments of `{}` are wrong: {why}", call.name);
                (format!("Error: {mistake}"), self.guard.mistaken(&mistake))
            }
        }
    }

    async fn carried_out(&mut self, tool: &Tool, call: &ToolCall) -> Result<String, ToolError> {
        if !call.arguments.is_object() {
            return Err(ToolError::Arguments("they are not a JSON object".to_owned()));
        }
        let is_write = tool.permission > Permission::Read;
        self.writes += u32::from(is_write);
        if is_write && self.writes > WRITES {
            let why = format!("a run may say or change something {WRITES} times; that is used up");
            return Err(ToolError::Failed(why));
        }
        let context = ToolContext { at: &self.task.at, environment: self.environment };
        Ok(render(&(tool.act)(context, call.arguments.clone()).await?))
    }

    /// The result of the conversation, however it ended.
    fn into_run(mut self, end: Result<String, Stop>) -> Run {
        let (content, error) = match end {
            Ok(content) => (content, String::new()),
            Err(stop @ Stop::Exceeded(_)) => (EXCEEDED.to_owned(), stop.to_string()),
            Err(stop) => (String::new(), stop.to_string()),
        };
        if !error.is_empty() {
            tracing::warn!(issue = %self.task.at, rounds = self.run.rounds, %error, "the local agent's run failed");
        }
        self.run.latency_ms = millis(self.started.elapsed());
        Run { content, error, ..self.run }
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
