//! All the tools of an agent. A tool that cannot be registered stops the start: one that is silently missing shows
//! itself only when the model would have needed it.

use std::sync::Arc;

use super::mcp::{self, Server};
use super::schema::{name_fault, schema_fault};
use super::settings::Settings;
use super::tool::{Permission, RegistrationError, Tool};
use super::tools;

/// The tools, in the order they were registered, and the servers that some of them are on.
pub(super) struct Registry {
    pub tools: Vec<Tool>,
    most: Permission,
    servers: Vec<Arc<Server>>,
}

impl Registry {
    /// Registers the built-in tools and the outside models.
    pub fn own(settings: &Settings) -> Result<Self, RegistrationError> {
        let mut registry = Self::empty(settings.permission);
        for tool in tools::all(settings)? {
            registry.add(tool)?;
        }
        Ok(registry)
    }

    /// Registers everything the settings name.
    pub async fn fill(settings: &Settings) -> Result<Self, RegistrationError> {
        let mut registry = Self::own(settings)?;
        let (servers, found) = mcp::start(&settings.mcp).await?;
        registry.servers = servers;
        for tool in found {
            registry.add(tool)?;
        }
        Ok(registry)
    }

    fn empty(most: Permission) -> Self {
        Self { tools: Vec::new(), most, servers: Vec::new() }
    }

    fn add(&mut self, tool: Tool) -> Result<(), RegistrationError> {
        let (Tool { name, schema, permission: needs, .. }, most) = (&tool, self.most);
        let too_much = || {
            format!("it needs the permission `{needs}`, and `local_agent.permission` is `{most}`")
        };
        let fault = name_fault(name)
            .or_else(|| schema_fault(schema))
            .or_else(|| (*needs > most).then(too_much))
            .or_else(|| self.get(name).map(|_| "there are two of this name".to_owned()));
        if let Some(reason) = fault {
            return Err(RegistrationError::tool(name, reason));
        }
        self.tools.push(tool);
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    pub fn names(&self) -> Vec<String> {
        self.tools.iter().map(|tool| tool.name.clone()).collect()
    }

    /// Ends the servers that were started.
    pub async fn stop(&self) {
        for server in &self.servers {
            server.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn fake(name: &str, schema: Value, permission: Permission) -> Tool {
        let (name, about) = (name.to_owned(), String::new());
        let nothing = || Box::pin(std::future::ready(Ok(Vec::new())));
        Tool { name, about, schema, permission, act: Box::new(move |_, _| nothing()) }
    }

    #[track_caller]
    fn refuses(tool: Tool, expected: &str) {
        let mut registry = Registry::empty(Permission::Comment);
        registry.add(fake("known", json!({"type": "object"}), Permission::Read)).unwrap();
        assert_eq!(registry.add(tool).unwrap_err().to_string(), expected);
    }

    #[test]
    fn what_cannot_be_registered_is_named_with_the_reason() {
        let object = || json!({"type": "object"});
        refuses(
            fake("known", object(), Permission::Read),
            "the tool `known` cannot be registered: there are two of this name",
        );
        refuses(
            fake("bad", json!([]), Permission::Read),
            "the tool `bad` cannot be registered: its schema is not an object",
        );
        refuses(
            fake("strong", object(), Permission::Write),
            "the tool `strong` cannot be registered: it needs the permission `write`, and `local_agent.permission` is `comment`",
        );
    }
}
