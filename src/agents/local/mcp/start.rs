//! How a connection to a server of tools is made: its program started with a scrubbed environment, or its address
//! called.

use std::process::Stdio;

use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceExt as _, service::RunningService};
use tokio::process::{Child, Command};

use super::super::json_client::client;
use super::super::settings::McpSettings;

/// The longest message that is read, in bytes; a longer line is dropped, and the call it answered runs out of time.
pub(super) const LONGEST_MESSAGE: usize = 1024 * 1024;

/// What of our environment a started program sees. Our tokens are in none of them, and what is not here is not passed.
const PASSED: [&str; 9] =
    ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// A connection, and the program behind it when it is one of ours.
pub(super) struct Connection {
    pub service: RunningService<RoleClient, ()>,
    /// Killed when it is dropped.
    pub child: Option<Child>,
}

/// Connects and shakes hands.
pub(super) async fn connect(server: &McpSettings) -> Result<Connection, String> {
    match &server.url {
        Some(url) => call(url).await,
        None => start(&server.command).await,
    }
}

async fn start(command: &[String]) -> Result<Connection, String> {
    let (program, arguments) = command.split_first().ok_or("its `command` is empty")?;
    let environment = PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // What it says there may quote anything, and nobody reads it.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("`{program}` could not be started: {error}"))?;
    let output = child.stdout.take().ok_or("its output could not be read")?;
    let input = child.stdin.take().ok_or("its input could not be written")?;
    let transport = AsyncRwTransport::<RoleClient, _, _>::new(output, input)
        .with_max_line_length(LONGEST_MESSAGE);
    let service = ().serve(transport).await.map_err(|_| {
        format!(
            "`{program}` was started, but ended or spoke something else before it said what it is"
        )
    })?;
    Ok(Connection { service, child: Some(child) })
}

async fn call(url: &str) -> Result<Connection, String> {
    let config = StreamableHttpClientTransportConfig::with_uri(url)
        .max_sse_event_size(LONGEST_MESSAGE)
        .max_json_response_size(LONGEST_MESSAGE);
    let transport = StreamableHttpClientTransport::with_client(client()?, config);
    let shaken = ().serve(transport).await;
    // The error may quote the address, whose path can be a key.
    let service = shaken.map_err(|_| "it does not answer, or not as a tool server".to_owned())?;
    Ok(Connection { service, child: None })
}
