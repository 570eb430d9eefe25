//! All the tools of an agent. A tool that cannot be registered stops the start: one that is silently missing shows
//! itself only when the model would have needed it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::mcp::Servers;
use super::schema::{name_fault, schema_fault};
use super::settings::Settings;
use super::tool::{Permission, RegistrationError, Tool};
use super::tools;

/// The tools, by name.
pub(super) struct Registry {
    tools: BTreeMap<String, Box<dyn Tool>>,
    order: Vec<String>,
    most: Permission,
    servers: Servers,
}

impl Registry {
    /// Registers everything the settings name.
    pub async fn fill(settings: &Settings) -> Result<Self, RegistrationError> {
        let mut registry = Self::empty(settings.permission);
        for tool in tools::all(settings)? {
            registry.add(tool)?;
        }
        let (servers, found) = Servers::start(&settings.mcp, settings.dry_run).await?;
        registry.servers = servers;
        for tool in found {
            registry.add(tool)?;
        }
        Ok(registry)
    }

    fn empty(most: Permission) -> Self {
        Self { tools: BTreeMap::new(), order: Vec::new(), most, servers: Servers::default() }
    }

    fn add(&mut self, tool: Box<dyn Tool>) -> Result<(), RegistrationError> {
        let spec = tool.spec();
        let name = spec.name.clone();
        let fault = name_fault(&name).or_else(|| schema_fault(&spec.schema)).or_else(|| {
            (spec.permission > self.most).then(|| {
                format!(
                    "it needs the permission `{}`, and `local_agent.permission` is `{}`",
                    spec.permission.as_str(),
                    self.most.as_str()
                )
            })
        });
        if let Some(reason) = fault {
            return Err(RegistrationError::tool(name, reason));
        }
        if self.tools.insert(name.clone(), tool).is_some() {
            return Err(RegistrationError::tool(name, "there are two of this name"));
        }
        self.order.push(name);
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&dyn Tool> {
        self.tools.get(name).map(AsRef::as_ref)
    }

    /// In the order they were registered.
    pub fn names(&self) -> Vec<String> {
        self.order.clone()
    }

    /// As the model is offered them.
    pub fn specs(&self) -> Vec<Value> {
        self.order.iter().filter_map(|name| self.get(name)).map(|t| t.spec().as_json()).collect()
    }

    /// Ends the servers that were started.
    pub async fn stop(&self) {
        self.servers.stop().await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tool::{Spec, ToolContext, ToolFuture};
    use super::*;
    use serde_json::json;

    struct Fake(Spec);

    impl Tool for Fake {
        fn spec(&self) -> &Spec {
            &self.0
        }

        fn call<'a>(&'a self, _: ToolContext<'a>, _: Value) -> ToolFuture<'a> {
            Box::pin(std::future::ready(Ok(Vec::new())))
        }
    }

    fn fake(name: &str, schema: Value, permission: Permission) -> Box<dyn Tool> {
        let (name, about) = (name.to_owned(), String::new());
        Box::new(Fake(Spec { name, about, schema, permission }))
    }

    #[track_caller]
    fn refuses(tool: Box<dyn Tool>, expected: &str) {
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
