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

/// Why the agent cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The tool of this name could not be registered, and why.
    #[error("the tool `{0}` cannot be registered: {1}")]
    Tool(String, String),
    /// The server of tools of this name, which is required, could not be used, and why.
    #[error("the tool server `{0}` cannot be used: {1}")]
    Server(String, String),
    /// What is needed to call the model could not be made.
    #[error("`local_agent` cannot be used: {0}")]
    Client(String),
}

impl RegistrationError {
    pub(super) fn tool(tool: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Tool(tool.into(), reason.into())
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

/// A call's result.
pub(super) type Outcome = Result<Vec<Part>, ToolError>;
/// A future that gives it.
pub(super) type ToolFuture<'a> = BoxFuture<'a, Outcome>;

/// What a call may use of its run.
#[derive(Clone, Copy)]
pub(super) struct ToolContext<'a> {
    /// The issue that is worked on.
    pub at: &'a IssueRef,
    pub environment: &'a dyn Environment,
}

/// Something the model can call.
pub(super) struct Tool {
    pub name: String,
    pub about: String,
    /// A JSON Schema of an object.
    pub schema: Value,
    pub permission: Permission,
    /// Carries a call out; its arguments are not checked yet.
    pub act: Box<dyn for<'a> Fn(ToolContext<'a>, Value) -> ToolFuture<'a> + Send + Sync>,
}

impl Tool {
    /// A tool of ours, whose arguments are a type of ours.
    pub fn new<A: DeserializeOwned + JsonSchema>(
        name: impl Into<String>,
        about: impl Into<String>,
        permission: Permission,
        act: impl for<'a> Fn(ToolContext<'a>, A) -> ToolFuture<'a> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            about: about.into(),
            schema: schema_of::<A>(),
            permission,
            act: Box::new(move |context, arguments| match serde_json::from_value(arguments) {
                Ok(arguments) => act(context, arguments),
                Err(error) => {
                    let wrong = ToolError::Arguments(error.to_string());
                    Box::pin(std::future::ready(Err(wrong)))
                }
            }),
        }
    }

    /// As both APIs want it.
    pub fn as_json(&self) -> Value {
        json!({"type": "function", "function": {
            "name": self.name, "description": self.about, "parameters": self.schema,
        }})
    }
}

/// The schema of a type, in one piece: models read references badly.
fn schema_of<A: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<A>();
    schema.remove("title");
    schema.to_value()
}
