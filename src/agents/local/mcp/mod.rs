//! Tools of other programs, by the Model Context Protocol. Each must be allowed by name; its name begins with its
//! server's; what it gives is text of somebody else, and capped.

mod server;
mod start;

use std::sync::Arc;

use serde_json::Value;

pub(super) use self::server::Server;
use super::quoted::Part;
use super::settings::McpSettings;
use super::tool::{Permission, RegistrationError, Tool, ToolError};

/// Starts or calls each server and lists its tools; gives those that are allowed.
pub(super) async fn start(
    settings: &[McpSettings],
) -> Result<(Vec<Arc<Server>>, Vec<Tool>), RegistrationError> {
    let (mut servers, mut tools) = (Vec::new(), Vec::new());
    for settings in settings {
        let server = Arc::new(Server::new(settings.clone()));
        let name = &settings.name;
        match server.list().await {
            Ok(listed) => {
                for tool in &settings.tools {
                    tools.push(allowed(&server, &listed, tool)?);
                }
            }
            Err(reason) if settings.required => {
                return Err(RegistrationError::Server(name.clone(), reason));
            }
            Err(reason) => {
                tracing::warn!(server = name, %reason, "a tool server that is not required is left out");
            }
        }
        servers.push(server);
    }
    Ok((servers, tools))
}

/// The tool of this name, which may be used. One that is allowed and not there is a mistake somebody has to know of.
fn allowed(
    server: &Arc<Server>,
    listed: &[rmcp::model::Tool],
    name: &str,
) -> Result<Tool, RegistrationError> {
    let owner = &server.settings.name;
    let ours = format!("{owner}__{name}").replace('.', "_");
    let mut found = listed.iter().filter(|tool| tool.name == name);
    let reason = match (found.next(), found.next()) {
        (Some(tool), None) => return Ok(offered(Arc::clone(server), ours, tool)),
        (None, _) => {
            let there: Vec<_> = listed.iter().map(|t| t.name.as_ref()).take(30).collect();
            format!("the server `{owner}` has no tool `{name}`; it has {}", there.join(", "))
        }
        _ => format!("the server `{owner}` has two of this name"),
    };
    Err(RegistrationError::tool(ours, reason))
}

/// A tool of a server, as the model is offered it under our name.
fn offered(server: Arc<Server>, name: String, tool: &rmcp::model::Tool) -> Tool {
    // Only a hint, but given by a server that the owner chose, for a tool that the owner named.
    let reads = tool.annotations.as_ref().and_then(|a| a.read_only_hint) == Some(true);
    let about = super::clean(tool.description.as_deref().unwrap_or_default());
    let theirs = tool.name.to_string();
    Tool {
        name,
        about: about.chars().take(1_000).collect(),
        schema: Value::Object(tool.input_schema.as_ref().clone()),
        permission: if reads { Permission::Read } else { Permission::Write },
        act: Box::new(move |context, arguments| {
            let dry_run = context.environment.is_dry_run();
            let (server, theirs) = (Arc::clone(&server), theirs.clone());
            Box::pin(async move {
                if dry_run && !reads {
                    let why = "not called: this is a dry run, and the tool may change something";
                    return Ok(vec![Part::trusted(why)]);
                }
                let arguments = arguments.as_object().cloned().unwrap_or_default();
                let called = server.call(theirs, arguments).await;
                let (text, is_error) = called.map_err(ToolError::Failed)?;
                let what = if is_error { "the tool failed and said" } else { "the tool's result" };
                Ok(vec![Part::untrusted(what, text)])
            })
        }),
    }
}
