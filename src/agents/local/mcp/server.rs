//! One server of tools: connected when it is needed, given up on when it fails, tried again after a pause.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ContentBlock, ErrorData, JsonObject,
    PaginatedRequestParams, Tool,
};
use rmcp::service::ServiceError;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::start::{Connection, connect};
use crate::agents::local::settings::McpSettings;

/// More pages of tools than any server has.
const PAGES: usize = 20;
/// How much of a result is kept, in characters; with the word that it was cut, what the model is given of one text.
const LONGEST: usize = 7_900;
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A server.
pub(in crate::agents::local) struct Server {
    pub(super) settings: McpSettings,
    state: Mutex<(Option<Connection>, Backoff)>,
}

impl Server {
    pub(super) fn new(settings: McpSettings) -> Self {
        let state = Mutex::new((None, Backoff::new(settings.rest)));
        Self { settings, state }
    }

    /// Its tools.
    pub(super) async fn list(&self) -> Result<Vec<Tool>, String> {
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
        self.answer(listing).await?.map_err(|_| "it refused to list its tools".to_owned())
    }

    /// Calls a tool; its text, and whether it says that it failed.
    pub(super) async fn call(
        &self,
        name: String,
        arguments: JsonObject,
    ) -> Result<(String, bool), String> {
        let peer = self.peer().await?;
        let request = CallToolRequestParams::new(name).with_arguments(arguments);
        Ok(match self.answer(peer.call_tool(request)).await? {
            Ok(result) => (text(&result), result.is_error == Some(true)),
            // In the server's own words.
            Err(refusal) => (cut(refusal.message.chars()), true),
        })
    }

    /// What the server answers, be it a refusal. One whose connection is lost or hangs is ended, and left alone for a
    /// while.
    async fn answer<T>(
        &self,
        request: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<Result<T, ErrorData>, String> {
        let answer = timeout(self.settings.timeout, request).await;
        let (connection, backoff) = &mut *self.state.lock().await;
        let reason = match answer {
            Ok(Ok(answer)) => {
                backoff.record_success();
                return Ok(Ok(answer));
            }
            Ok(Err(ServiceError::McpError(refusal))) => {
                backoff.record_success();
                return Ok(Err(refusal));
            }
            Ok(Err(_)) => "the tool server ended before it answered".to_owned(),
            Err(_) => self.slow(),
        };
        *connection = None;
        backoff.record_failure(Instant::now());
        Err(reason)
    }

    fn slow(&self) -> String {
        format!("no answer within {}", humantime::format_duration(self.settings.timeout))
    }

    /// A connection that can be used: the one there is, or a new one unless the server is in its pause.
    async fn peer(&self) -> Result<rmcp::Peer<rmcp::RoleClient>, String> {
        let (connection, backoff) = &mut *self.state.lock().await;
        if let Some(connection) = connection.as_ref().filter(|c| !c.service.is_closed()) {
            return Ok(connection.service.peer().clone());
        }
        *connection = None;
        if let Some(left) = backoff.remaining(Instant::now()) {
            let seconds = left.as_secs().max(1);
            return Err(format!("the tool server is down; it is tried again in {seconds}s"));
        }
        let connected = timeout(self.settings.timeout, connect(&self.settings)).await;
        let connected = connected.unwrap_or_else(|_| Err(self.slow()));
        let made = connected.inspect_err(|_| backoff.record_failure(Instant::now()))?;
        Ok(connection.insert(made).service.peer().clone())
    }

    /// Ends it.
    pub async fn stop(&self) {
        let connection = self.state.lock().await.0.take();
        let Some(Connection { service, child }) = connection else { return };
        // Closing its input is how it is asked to end; one that does not is killed when `child` is dropped.
        let _ = timeout(self.settings.timeout, service.cancel()).await;
        drop(child);
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

/// How often a server failed in a row, and until when it is left alone: after each failure longer, so that one that dies
/// at once is not started again and again.
struct Backoff {
    first: Duration,
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// A server that has not failed; `first` is its first pause.
    fn new(first: Duration) -> Self {
        Self { first, failures: 0, until: None }
    }

    /// How long it is still left alone, if it is.
    fn remaining(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// It failed; the next pause is twice as long.
    fn record_failure(&mut self, now: Instant) {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        self.until = Some(now + doubled.min(LONGEST_PAUSE));
    }

    /// It did what it was asked.
    fn record_success(&mut self) {
        self.failures = 0;
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_pause_and_a_success_ends_it() {
        let now = Instant::now();
        let mut rest = Backoff::new(Duration::from_secs(1));
        assert_eq!(rest.remaining(now), None);
        let rests = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300];
        for expected in rests {
            rest.record_failure(now);
            assert_eq!(rest.remaining(now), Some(Duration::from_secs(expected)));
        }
        assert_eq!(rest.remaining(now + Duration::from_secs(300)), None);
        rest.record_success();
        rest.record_failure(now);
        assert_eq!(rest.remaining(now), Some(Duration::from_secs(1)));
    }
}
