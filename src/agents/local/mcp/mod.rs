//! Tools of other programs, by the Model Context Protocol. Each must be allowed by name; its name begins with its
//! server's; what it gives is text of somebody else, and capped.

mod backoff;
mod server;
mod start;

use std::sync::Arc;

use serde_json::Value;

use self::server::Server;
use super::quoted::Part;
use super::settings::McpSettings;
use super::tool::{Permission, RegistrationError, Spec, Tool, ToolContext, ToolError, ToolFuture};

/// All servers of an agent.
#[derive(Default)]
pub(super) struct Servers {
    all: Vec<Arc<Server>>,
}

impl Servers {
    /// Starts or calls each server and lists its tools; gives those that are allowed.
    pub async fn start(
        settings: &[McpSettings],
        dry_run: bool,
    ) -> Result<(Self, Vec<Box<dyn Tool>>), RegistrationError> {
        let mut servers = Self::default();
        let mut tools: Vec<Box<dyn Tool>> = Vec::new();
        for settings in settings {
            let server = Arc::new(Server::new(settings.clone()));
            match server.list().await {
                Ok(listed) => {
                    for tool in allowed(&server, &listed, dry_run)? {
                        tools.push(Box::new(tool));
                    }
                }
                Err(reason) if settings.required => {
                    let server = settings.name.clone();
                    return Err(RegistrationError::Server { server, reason });
                }
                Err(reason) => {
                    tracing::warn!(server = settings.name, %reason, "a tool server that is not required is left out");
                }
            }
            servers.all.push(server);
        }
        Ok((servers, tools))
    }

    /// Ends those that were started.
    pub async fn stop(&self) {
        for server in &self.all {
            server.stop().await;
        }
    }
}

/// The tools that may be used. One that is allowed and not there is a mistake somebody has to know of.
fn allowed(
    server: &Arc<Server>,
    listed: &[rmcp::model::Tool],
    dry_run: bool,
) -> Result<Vec<McpTool>, RegistrationError> {
    let settings = server.settings();
    let mut tools = Vec::new();
    for name in &settings.tools {
        let found: Vec<_> = listed.iter().filter(|tool| tool.name == *name).collect();
        let ours = format!("{}__{}", settings.name, name).replace('.', "_");
        match found.as_slice() {
            [tool] => tools.push(McpTool::new(server, ours, tool, dry_run)),
            [] => {
                let there: Vec<_> = listed.iter().map(|t| t.name.as_ref()).take(30).collect();
                let reason = format!(
                    "the server `{}` has no tool `{name}`; it has {}",
                    settings.name,
                    there.join(", ")
                );
                return Err(RegistrationError::tool(ours, reason));
            }
            _ => {
                let reason = format!("the server `{}` has two of this name", settings.name);
                return Err(RegistrationError::tool(ours, reason));
            }
        }
    }
    Ok(tools)
}

struct McpTool {
    spec: Spec,
    server: Arc<Server>,
    /// The server's own name for it.
    name: String,
    dry_run: bool,
}

impl McpTool {
    fn new(server: &Arc<Server>, ours: String, tool: &rmcp::model::Tool, dry_run: bool) -> Self {
        // Only a hint, but given by a server that the owner chose, for a tool that the owner named.
        let reads = tool.annotations.as_ref().and_then(|a| a.read_only_hint) == Some(true);
        let about = tool.description.as_deref().unwrap_or_default();
        let spec = Spec {
            name: ours,
            about: super::clean(about).chars().take(1_000).collect(),
            schema: Value::Object(tool.input_schema.as_ref().clone()),
            permission: if reads { Permission::Read } else { Permission::Write },
        };
        Self { spec, server: Arc::clone(server), name: tool.name.to_string(), dry_run }
    }
}

impl Tool for McpTool {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn call<'a>(&'a self, _: ToolContext<'a>, arguments: Value) -> ToolFuture<'a> {
        Box::pin(async move {
            if self.dry_run && self.spec.permission > Permission::Read {
                let why = "not called: this is a dry run, and the tool may change something";
                return Ok(vec![Part::trusted(why)]);
            }
            let arguments = arguments.as_object().cloned().unwrap_or_default();
            let (text, is_error) =
                self.server.call(&self.name, arguments).await.map_err(ToolError::Failed)?;
            let what = if is_error { "the tool failed and said" } else { "the tool's result" };
            Ok(vec![Part::untrusted(what, text)])
        })
    }
}
