//! The client side of the Agent Client Protocol, version 1: JSON-RPC 2.0, one message a line, over the agent's input and
//! output. What the agent sends is read leniently: other lines between messages are skipped, and of a message only what
//! is needed has to be there.
//!
//! Written out rather than taken from the crate of the protocol: that one turns on `preserve_order` and `raw_value` of
//! `serde_json` for the whole program, and reads lines without a limit. The calls that are needed are six.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::files::{Range, Tree};
use super::lines::{Last, Lines, listen};
use super::permission::{self, Rules, ToolCall};
use super::{Agent, Ended, Pulse, Turn};
use crate::dispatch::run::{Asked, RunEvent, Usage};
use crate::runner::process::Group;

/// The version of the protocol.
const VERSION: u64 = 1;
/// The longest message that is read, in bytes.
const MESSAGE: usize = 16 * 1024 * 1024;
/// The longest name of a session, in bytes.
const SESSION_NAME: usize = 256;
/// How many calls of tools are remembered.
const CALLS: usize = 1000;
/// How long an agent may take over a polite word at its end.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long an agent may take over finding out whether it has an account.
const STATUS: Duration = Duration::from_secs(5);
/// What an agent says whose account is missing.
const SIGN_IN: i64 = -32_000;
const NO_METHOD: i64 = -32_601;
const NO_RESULT: i64 = -32_603;

/// Talks to an agent over the protocol.
pub(in crate::runner) struct Acp;

impl Agent for Acp {
    fn turn<'a>(&'a self, turn: &'a Turn<'a>) -> BoxFuture<'a, Ended> {
        Box::pin(async { talk(turn, Purpose::Turn).await.1 })
    }
}

/// What an agent is started for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To work.
    Turn,
    /// To see whether it could.
    Trial,
}

/// Starts an agent, lets it say who it is and open a session, and ends it; its name and version, where it says them.
pub(in crate::runner) async fn shake_hands(turn: &Turn<'_>) -> Result<String, String> {
    match talk(turn, Purpose::Trial).await {
        (program, Ended::Finished) => Ok(program),
        (_, Ended::Failed(reason)) => Err(reason),
        (_, Ended::Asks(asked)) => Err(format!("it asks for a tool of the kind `{}`", asked.kind)),
        (_, Ended::Stopped(_)) => Err("it was stopped".to_owned()),
    }
}

/// Starts the agent, talks to it, and ends it. What it says it is, and how it ended.
async fn talk(turn: &Turn<'_>, purpose: Purpose) -> (String, Ended) {
    let argv = turn.agent.argv();
    let name = argv.first().map(String::as_str).unwrap_or_default();
    let failed = |reason: String| (String::new(), Ended::Failed(reason));
    let mut command = turn.confinement.command(&argv);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = match Group::spawn(&mut command) {
        Ok(group) => group,
        Err(error) => return failed(format!("`{name}` could not be started: {error}")),
    };
    tracing::debug!(program = name, "the agent's process is there");
    let child = &mut group.child;
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(input), Some(output), Some(complaints)) = streams else {
        return failed(format!("`{name}` could not be talked to"));
    };
    let tree = match Tree::open(&turn.confinement.folders.tree) {
        Ok(tree) => tree,
        Err(error) => return failed(format!("the workspace cannot be used: {error}")),
    };
    let (pulse, last) = (Pulse::new(), Last::default());
    let lines = Lines::new(output, MESSAGE);
    let mut talk = Talk {
        turn,
        tree,
        pulse: &pulse,
        last: &last,
        lines,
        input,
        next: 0,
        program: String::new(),
        session: None,
        can_load: false,
        is_loading: false,
        tells_account: false,
        account: None,
        calls: HashMap::new(),
        is_writing: false,
    };
    let mind = async {
        listen(complaints, turn.journal, &last).await;
        std::future::pending::<Ended>().await
    };
    let ended = tokio::select! {
        ended = talk.carry_out(purpose) => ended.err().unwrap_or(Ended::Finished),
        ended = pulse.over(turn) => ended,
        ended = mind => ended,
    };
    if ended != Ended::Finished {
        let _ = timeout(GOODBYE, talk.cancel()).await;
    }
    let program = std::mem::take(&mut talk.program);
    drop(talk);
    group.end().await;
    (program, ended)
}

/// One conversation.
struct Talk<'a> {
    turn: &'a Turn<'a>,
    tree: Tree,
    pulse: &'a Pulse,
    last: &'a Last,
    lines: Lines<ChildStdout>,
    input: ChildStdin,
    next: u64,
    /// Its name and version.
    program: String,
    session: Option<String>,
    /// Whether it can go on with an earlier session.
    can_load: bool,
    /// Set while it does: it tells what was said before.
    is_loading: bool,
    /// Whether it says of itself if it has an account.
    tells_account: bool,
    /// What it said of that: its words where it has none.
    account: Option<Result<(), String>>,
    calls: HashMap<String, ToolCall>,
    /// Set while a message is being written: after half of one, nothing else can be said.
    is_writing: bool,
}

/// What the agent answered to a request that it could not carry out.
struct Refused {
    code: i64,
    message: String,
}

impl Talk<'_> {
    async fn carry_out(&mut self, purpose: Purpose) -> Result<(), Ended> {
        self.initialize().await?;
        tracing::debug!(program = self.program, "the agent said who it is");
        self.open().await?;
        if purpose == Purpose::Trial {
            self.await_account().await?;
            let label = self.account.as_ref().and_then(|account| account.as_ref().err());
            return label.map_or(Ok(()), |label| Err(self.sign_in(label)));
        }
        self.turn.journal.event(RunEvent::Prompted, "");
        let session = self.session.clone().unwrap_or_default();
        let prompt = json!({
            "sessionId": session, "prompt": [{"type": "text", "text": self.turn.prompt}],
        });
        let result = self.request("session/prompt", prompt).await?;
        let result = result.map_err(|refused| self.failed("did not take its prompt", &refused))?;
        self.count(&result["usage"]);
        match result["stopReason"].as_str().unwrap_or_default() {
            "end_turn" => Ok(()),
            "max_tokens" => {
                Err(Ended::Failed("the agent used all tokens of one answer".to_owned()))
            }
            "max_turn_requests" => Err(Ended::Failed(
                "the agent asked its model as often as it may in a turn".to_owned(),
            )),
            "refusal" => Err(Ended::Failed(self.with_words("the agent refused to go on"))),
            "cancelled" => Err(Ended::Failed("the agent called its own turn off".to_owned())),
            other => Err(Ended::Failed(format!(
                "the agent stopped for an unknown reason, `{}`",
                self.turn.journal.clean(other)
            ))),
        }
    }

    async fn initialize(&mut self) -> Result<(), Ended> {
        let about = json!({
            "protocolVersion": VERSION,
            "clientCapabilities": {"fs": {"readTextFile": true, "writeTextFile": true}, "terminal": false},
            "clientInfo": {"name": "gitea-triage", "title": "gitea-triage", "version": env!("CARGO_PKG_VERSION")},
        });
        let result = self.request("initialize", about).await?;
        let result = result.map_err(|refused| self.failed("did not say who it is", &refused))?;
        match result["protocolVersion"].as_u64() {
            Some(VERSION) => {}
            version => {
                let version = version.map_or("none".to_owned(), |version| version.to_string());
                return Err(Ended::Failed(format!(
                    "the agent speaks version {version} of the Agent Client Protocol, and the runner {VERSION}; install a version of it that speaks {VERSION}"
                )));
            }
        }
        let of = |key: &str| result["agentInfo"][key].as_str().unwrap_or_default();
        let program = format!("{} {}", of("name"), of("version"));
        self.program = self.turn.journal.clean(program.trim());
        let can = &result["agentCapabilities"];
        self.can_load = can["loadSession"] == true;
        self.tells_account = can["_meta"]["authStatus"].is_object();
        Ok(())
    }

    /// Lets an agent say whether it has an account, which `claude-agent-acp` finds out beside, and after it opened a session
    /// (0.101, seen live).
    async fn await_account(&mut self) -> Result<(), Ended> {
        let told = async {
            while self.tells_account && self.account.is_none() {
                let message = self.receive().await?;
                if message.get("method").is_some() {
                    self.serve(&message).await?;
                }
            }
            Ok(())
        };
        timeout(STATUS, told).await.unwrap_or(Ok(()))
    }

    /// Goes on with the session of the turn before, or opens one in the workspace.
    async fn open(&mut self) -> Result<(), Ended> {
        let tree = self.turn.confinement.folders.tree.display().to_string();
        if let Some(session) = self.earlier_session() {
            let about = json!({"sessionId": session, "cwd": tree, "mcpServers": []});
            // It tells again what was said before: that is no news.
            self.is_loading = true;
            let loaded = self.request("session/load", about).await?;
            self.is_loading = false;
            match loaded {
                Ok(_) => {
                    self.session = Some(session);
                    return Ok(());
                }
                Err(refused) => {
                    let why = self.turn.journal.clean(&refused.message);
                    self.turn.journal.log(&format!("the session before cannot go on: {why}\n"));
                }
            }
        }
        let about = json!({"cwd": tree, "mcpServers": []});
        let result = self.request("session/new", about).await?;
        let result = result.map_err(|refused| self.failed("opened no session", &refused))?;
        let session = result["sessionId"].as_str().map(str::to_owned);
        if session.is_none() {
            return Err(Ended::Failed("the agent opened a session without a name".to_owned()));
        }
        if let (Some(path), Some(session)) = (&self.turn.session, &session)
            && let Err(error) = std::fs::write(path, session)
        {
            tracing::debug!("the name of a session could not be kept: {error}");
        }
        self.session = session;
        Ok(())
    }

    /// The session of the turn before, where the agent can load it.
    fn earlier_session(&self) -> Option<String> {
        let path = self.turn.session.as_ref().filter(|_| self.can_load)?;
        let name = std::fs::read_to_string(path).ok()?;
        (1..=SESSION_NAME).contains(&name.len()).then_some(name)
    }

    /// Calls the turn off.
    async fn cancel(&mut self) {
        let Some(session) = self.session.clone().filter(|_| !self.is_writing) else { return };
        let cancel =
            json!({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": session}});
        let _ = self.send(&cancel).await;
    }

    fn failed(&self, what: &str, refused: &Refused) -> Ended {
        let message = self.turn.journal.clean(&refused.message);
        if refused.code == SIGN_IN {
            return self.sign_in(&message);
        }
        Ended::Failed(format!("the agent {what}: {message}"))
    }

    /// It has no account; what it says of that.
    fn sign_in(&self, message: &str) -> Ended {
        let agent = &self.turn.agent;
        let how = agent.known().map_or("see its documentation", |p| p.known().sign_in);
        let id = &agent.id;
        Ended::Failed(format!("the agent `{id}` is not signed in ({message}): {how}"))
    }

    fn with_words(&self, what: &str) -> String {
        self.turn.journal.words().map_or(what.to_owned(), |words| format!("{what}: {words}"))
    }

    /// Sends a request and reads until it is answered. What the agent asks in between is answered on the way.
    async fn request(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<Result<Value, Refused>, Ended> {
        let id = self.next;
        self.next += 1;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&request).await?;
        loop {
            let message = self.receive().await?;
            if message.get("method").is_some() {
                // The agent's own requests are numbered as ours are.
                self.serve(&message).await?;
            } else if message["id"].as_u64() == Some(id) {
                let error = &message["error"];
                return Ok(if error.is_object() {
                    let text =
                        error["data"]["message"].as_str().or(error["data"]["details"].as_str());
                    let message = error["message"].as_str().unwrap_or_default();
                    let message = [Some(message), text].into_iter().flatten().collect::<Vec<_>>();
                    Err(Refused {
                        code: error["code"].as_i64().unwrap_or_default(),
                        message: message.join(": ").chars().take(500).collect(),
                    })
                } else {
                    Ok(message["result"].clone())
                });
            }
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), Ended> {
        let mut line = message.to_string();
        line.push('\n');
        self.is_writing = true;
        let written = self.input.write_all(line.as_bytes()).await;
        self.is_writing = false;
        // What it said before it ended is more useful than that it cannot be written to: that is read next.
        if written.is_err() { Err(self.gone().await) } else { Ok(()) }
    }

    /// The next message; other lines are kept in the log.
    async fn receive(&mut self) -> Result<Value, Ended> {
        loop {
            let line = match self.lines.next().await {
                Ok(Some(line)) => line,
                Ok(None) | Err(_) => return Err(self.gone().await),
            };
            let message = serde_json::from_slice::<Value>(&line.bytes).ok();
            match message.filter(|message| line.is_whole && message.is_object()) {
                Some(message) => {
                    self.pulse.beat();
                    return Ok(message);
                }
                None => {
                    let text = String::from_utf8_lossy(&line.bytes);
                    self.last.add(&text);
                    self.turn.journal.log(&format!("{text}\n"));
                }
            }
        }
    }

    async fn gone(&self) -> Ended {
        // What it complained about comes by another way, and may be a moment late.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let said = self.last.said(self.turn.journal);
        Ended::Failed(format!("the agent ended before its turn was over{said}"))
    }

    async fn serve(&mut self, message: &Value) -> Result<(), Ended> {
        let (method, params) = (message["method"].as_str().unwrap_or_default(), &message["params"]);
        let Some(id) = message.get("id") else {
            match method {
                "session/update" if self.is_loading => {}
                "session/update" => self.note(&params["update"])?,
                // `claude-agent-acp` opens sessions without an account, and says so beside.
                "_auth/status_update" => {
                    let status = &params["authStatus"];
                    let label = self.turn.journal.clean(status["label"].as_str().unwrap_or("none"));
                    self.account = Some(if status["kind"] == "none" { Err(label) } else { Ok(()) });
                }
                _ => {}
            }
            return Ok(());
        };
        let answer = match method {
            "session/request_permission" => Ok(self.permit(params)?),
            "fs/read_text_file" => self.read(params),
            "fs/write_text_file" => self.write(params),
            _ => Err((NO_METHOD, format!("`{method}` is not offered"))),
        };
        let answer = match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err((code, message)) => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
            }
        };
        self.send(&answer).await
    }

    /// Answers by rule, or ends the turn with the question.
    fn permit(&mut self, params: &Value) -> Result<Value, Ended> {
        let shown = &params["toolCall"];
        let mut call = self.known(shown).cloned().unwrap_or_default();
        call.update(shown);
        let Turn { agent, permits, .. } = *self.turn;
        let rules = Rules { agent, permits, tree: &self.tree };
        match permission::answer(&call, &params["options"], rules) {
            permission::Answer::ByRule(result, note) => {
                self.turn.journal.event(RunEvent::Permission, &note);
                Ok(result)
            }
            permission::Answer::Ask(Asked { kind, title }) => {
                self.turn.journal.event(RunEvent::Permission, "asked a person");
                let title = self.turn.journal.clean(&title);
                Err(Ended::Asks(Asked { kind, title }))
            }
        }
    }

    fn read(&self, params: &Value) -> Result<Value, (i64, String)> {
        let range = Range { line: params["line"].as_u64(), limit: params["limit"].as_u64() };
        let path = params["path"].as_str().unwrap_or_default();
        let text = self.tree.read(path, range).map_err(|reason| (NO_RESULT, reason))?;
        Ok(json!({"content": text}))
    }

    fn write(&self, params: &Value) -> Result<Value, (i64, String)> {
        let path = params["path"].as_str().unwrap_or_default();
        let text = params["content"].as_str().unwrap_or_default();
        match self.tree.write(path, text) {
            Ok(()) => Ok(json!({})),
            Err(reason) => {
                self.turn.journal.log(&format!("refused to write `{path}`: {reason}\n"));
                Err((NO_RESULT, reason))
            }
        }
    }

    fn known(&self, shown: &Value) -> Option<&ToolCall> {
        self.calls.get(shown["toolCallId"].as_str()?)
    }

    /// Notes what the agent tells about its work.
    fn note(&mut self, update: &Value) -> Result<(), Ended> {
        let journal = self.turn.journal;
        match update["sessionUpdate"].as_str().unwrap_or_default() {
            "agent_message_chunk" => {
                journal.said(update["content"]["text"].as_str().unwrap_or_default());
            }
            "tool_call" | "tool_call_update" => self.note_tool(update),
            "plan" => {
                let entries = update["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
                let done = entries.iter().filter(|entry| entry["status"] == "completed").count();
                journal.event(RunEvent::Plan, &format!("{done} of {} steps done", entries.len()));
            }
            "usage_update" => {
                // What is in the context now: no fewer tokens were used.
                let tokens = update["used"].as_u64().max(journal.usage().tokens);
                journal.used(Usage { tokens, cost: update["cost"]["amount"].as_f64() });
            }
            _ => {}
        }
        match (self.turn.limits.tokens, journal.usage().tokens) {
            (Some(most), Some(used)) if used > most => {
                Err(Ended::Failed(format!("the agent used {used} tokens, and may use {most}")))
            }
            _ => Ok(()),
        }
    }

    fn note_tool(&mut self, update: &Value) {
        let Some(id) = update["toolCallId"].as_str() else { return };
        if self.calls.len() >= CALLS && !self.calls.contains_key(id) {
            self.calls.clear();
        }
        let call = self.calls.entry(id.to_owned()).or_default();
        call.update(update);
        // Each step of a call is told; once is enough to be seen.
        if update["sessionUpdate"] == "tool_call" {
            let kind = call.kind.map_or("tool", |kind| kind.as_str());
            self.turn.journal.event(RunEvent::Tool, &format!("{kind}: {}", call.title));
        }
    }

    fn count(&self, usage: &Value) {
        let sum = || Some(usage["inputTokens"].as_u64()? + usage["outputTokens"].as_u64()?);
        let tokens = usage["totalTokens"].as_u64().or_else(sum);
        self.turn.journal.used(Usage { tokens, cost: None });
    }
}
