//! One server of tools: connected when it is needed, given up on when it fails, tried again after a pause.

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ContentBlock, JsonObject, PaginatedRequestParams, Tool,
};
use rmcp::service::ServiceError;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::backoff::Backoff;
use super::start::{Connection, connect};
use crate::agents::local::settings::McpSettings;

/// More pages of tools than any server has.
const PAGES: usize = 20;
/// How much of a result is kept, in characters; with the word that it was cut, what the model is given of one text.
const LONGEST: usize = 7_900;

/// A server.
pub(super) struct Server {
    settings: McpSettings,
    state: Mutex<State>,
}

struct State {
    connection: Option<Connection>,
    backoff: Backoff,
}

impl Server {
    pub fn new(settings: McpSettings) -> Self {
        let backoff = Backoff::new(settings.rest);
        Self { settings, state: Mutex::new(State { connection: None, backoff }) }
    }

    pub fn settings(&self) -> &McpSettings {
        &self.settings
    }

    /// Its tools.
    pub async fn list(&self) -> Result<Vec<Tool>, String> {
        let peer = self.peer().await?;
        let listing = async {
            let (mut tools, mut cursor) = (Vec::new(), None);
            for _ in 0..PAGES {
                let page = PaginatedRequestParams::default().with_cursor(cursor);
                let page = peer.list_tools(Some(page)).await?;
                tools.extend(page.tools);
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            Ok(tools)
        };
        let listed = timeout(self.settings.timeout, listing).await;
        let listed = match listed {
            Err(_) => Err(self.slow()),
            Ok(Err(ServiceError::McpError(_))) => Err(Fault::refused()),
            Ok(Err(_)) => Err(Fault::lost()),
            Ok(Ok(tools)) => Ok(tools),
        };
        self.judge(listed).await
    }

    /// Calls a tool; its text, and whether it says that it failed.
    pub async fn call(&self, name: &str, arguments: JsonObject) -> Result<(String, bool), String> {
        let peer = self.peer().await?;
        let request = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let called = timeout(self.settings.timeout, peer.call_tool(request)).await;
        let result = match called {
            Err(_) => Err(self.slow()),
            // A refusal is an answer, in the server's own words.
            Ok(Err(ServiceError::McpError(error))) => Ok((cut(error.message.chars()), true)),
            Ok(Err(_)) => Err(Fault::lost()),
            Ok(Ok(result)) => Ok((text(&result), result.is_error == Some(true))),
        };
        self.judge(result).await
    }

    fn slow(&self) -> Fault {
        let within = humantime::format_duration(self.settings.timeout);
        Fault { reason: format!("no answer within {within}"), is_lost: true }
    }

    /// A connection that can be used: the one there is, or a new one unless the server is in its pause.
    async fn peer(&self) -> Result<rmcp::Peer<rmcp::RoleClient>, String> {
        let mut state = self.state.lock().await;
        if let Some(connection) = state.connection.as_mut().filter(|c| !c.service.is_closed()) {
            return Ok(connection.service.peer().clone());
        }
        state.connection = None;
        if let Some(left) = state.backoff.remaining(Instant::now()) {
            let seconds = left.as_secs().max(1);
            return Err(format!("the tool server is down; it is tried again in {seconds}s"));
        }
        let connected = timeout(self.settings.timeout, connect(&self.settings)).await;
        match connected.unwrap_or_else(|_| Err(self.slow().reason)) {
            Ok(connection) => {
                let peer = connection.service.peer().clone();
                state.connection = Some(connection);
                Ok(peer)
            }
            Err(reason) => {
                state.backoff.record_failure(Instant::now());
                Err(reason)
            }
        }
    }

    /// Records how it went: one whose connection is lost or hangs is ended, and left alone for a while.
    async fn judge<T>(&self, result: Result<T, Fault>) -> Result<T, String> {
        let mut state = self.state.lock().await;
        match result {
            Ok(value) => {
                state.backoff.record_success();
                Ok(value)
            }
            Err(fault) => {
                if fault.is_lost {
                    state.connection = None;
                    state.backoff.record_failure(Instant::now());
                }
                Err(fault.reason)
            }
        }
    }

    /// Ends it.
    pub async fn stop(&self) {
        let connection = self.state.lock().await.connection.take();
        let Some(Connection { service, child }) = connection else { return };
        // Closing its input is how it is asked to end; one that does not is killed when `child` is dropped.
        let _ = timeout(self.settings.timeout, service.cancel()).await;
        drop(child);
    }
}

/// What went wrong with a request.
struct Fault {
    reason: String,
    /// Whether the connection is of no more use.
    is_lost: bool,
}

impl Fault {
    fn lost() -> Self {
        Self { reason: "the tool server ended before it answered".to_owned(), is_lost: true }
    }

    fn refused() -> Self {
        Self { reason: "it refused to list its tools".to_owned(), is_lost: false }
    }
}

/// The text of a result; what is no text is named.
fn text(result: &CallToolResult) -> String {
    let said = result.content.iter().map(|block| match block {
        ContentBlock::Text(block) => block.text.as_str(),
        ContentBlock::Image(_) => "(an image)",
        ContentBlock::Audio(_) => "(a recording)",
        _ => "(a resource)",
    });
    cut(said.flat_map(|text| text.chars().chain(['\n'])))
}

/// What is kept of it.
fn cut(said: impl Iterator<Item = char>) -> String {
    let mut said = said.peekable();
    let mut text: String = said.by_ref().take(LONGEST).collect();
    text.truncate(text.trim_end().len());
    if said.peek().is_some() {
        text.push_str("\n(cut here)");
    }
    text
}
