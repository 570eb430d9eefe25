//! What a tool is: a name, a schema for its arguments, the permission it needs, and a function.

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::environment::{Environment, Unavailable};
use super::quoted::Part;
use crate::issue::IssueRef;

named_enum! {
    /// The most a tool may do.
    Permission {
        /// Only read.
        Read = "read",
        /// Comment, where people read it before anything follows.
        Comment = "comment",
        /// Change something.
        Write = "write",
    }
}

/// What the model is offered, and what the registry checks.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub name: String,
    pub about: String,
    /// A JSON Schema of an object.
    pub schema: Value,
    pub permission: Permission,
}

impl Spec {
    /// As both APIs want it.
    pub fn as_json(&self) -> Value {
        json!({"type": "function", "function": {
            "name": self.name, "description": self.about, "parameters": self.schema,
        }})
    }
}

/// Why the agent cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// A tool could not be registered.
    #[error("the tool `{tool}` cannot be registered: {reason}")]
    Tool {
        /// The tool.
        tool: String,
        /// Why.
        reason: String,
    },
    /// A server of tools that is required could not be used.
    #[error("the tool server `{server}` cannot be used: {reason}")]
    Server {
        /// The server's name.
        server: String,
        /// Why.
        reason: String,
    },
    /// What is needed to call the model could not be made.
    #[error("`local_agent` cannot be used: {0}")]
    Client(String),
}

impl RegistrationError {
    pub(super) fn tool(tool: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Tool { tool: tool.into(), reason: reason.into() }
    }
}

/// Why a call gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ToolError {
    /// The arguments are not what the schema asks for.
    Arguments(String),
    /// It was tried and did not work out.
    Failed(String),
}

impl From<Unavailable> for ToolError {
    fn from(why: Unavailable) -> Self {
        Self::Failed(why.0)
    }
}

/// A future that gives a call's result.
pub(super) type ToolFuture<'a> = BoxFuture<'a, Result<Vec<Part>, ToolError>>;

/// What a call may use of its run.
#[derive(Clone, Copy)]
pub(super) struct ToolContext<'a> {
    /// The issue that is worked on.
    pub at: &'a IssueRef,
    pub environment: &'a dyn Environment,
}

/// Something the model can call.
pub(super) trait Tool: Send + Sync {
    fn spec(&self) -> &Spec;
    fn call<'a>(&'a self, context: ToolContext<'a>, arguments: Value) -> ToolFuture<'a>;
}

/// A tool of ours, whose arguments are a type of ours.
pub(super) struct BuiltIn<A> {
    spec: Spec,
    act: for<'a> fn(ToolContext<'a>, A) -> ToolFuture<'a>,
}

impl<A: DeserializeOwned + JsonSchema + 'static> BuiltIn<A> {
    pub fn boxed(
        name: &str,
        about: &str,
        permission: Permission,
        act: for<'a> fn(ToolContext<'a>, A) -> ToolFuture<'a>,
    ) -> Box<dyn Tool> {
        let spec = Spec {
            name: name.to_owned(),
            about: about.to_owned(),
            schema: schema_of::<A>(),
            permission,
        };
        Box::new(Self { spec, act })
    }
}

impl<A: DeserializeOwned + 'static> Tool for BuiltIn<A> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn call<'a>(&'a self, context: ToolContext<'a>, arguments: Value) -> ToolFuture<'a> {
        match read(arguments) {
            Ok(arguments) => (self.act)(context, arguments),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

/// The arguments as a type of ours.
pub(super) fn read<A: DeserializeOwned>(arguments: Value) -> Result<A, ToolError> {
    serde_json::from_value(arguments).map_err(|error| ToolError::Arguments(error.to_string()))
}

/// The schema of a type, in one piece: models read references badly.
pub(super) fn schema_of<A: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<A>().to_value();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("title");
    }
    schema
}
