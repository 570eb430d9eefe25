//! What a tool is: a name, a schema for its arguments, what it may do at most, and the doing.

use std::pin::Pin;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::outside::{Outside, Unmet};
use super::quoted::Part;
use crate::issue::IssueRef;

/// The most a tool may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Look.
    Read,
    /// Say something, where people read it before anything follows.
    Comment,
    /// Change something.
    Write,
}

impl Permission {
    /// The word for it in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Comment => "comment",
            Self::Write => "write",
        }
    }
}

/// What the model is told about a tool, and what the registry checks.
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

/// Why a call gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The arguments are not what the schema asks for.
    Arguments(String),
    /// It was tried and did not work out.
    Failed(String),
}

impl From<Unmet> for Trouble {
    fn from(unmet: Unmet) -> Self {
        Self::Failed(unmet.0)
    }
}

/// A future that gives a call's result.
pub(super) type Done<'a> = Pin<Box<dyn Future<Output = Result<Vec<Part>, Trouble>> + Send + 'a>>;

/// What a call may use of its run.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    /// The issue that is worked on.
    pub at: &'a IssueRef,
    pub outside: &'a dyn Outside,
}

/// Something the model can call.
pub(super) trait Tool: Send + Sync {
    fn spec(&self) -> &Spec;
    fn call<'a>(&'a self, scene: Scene<'a>, arguments: Value) -> Done<'a>;
}

/// A tool of ours, whose arguments are a type of ours.
pub(super) struct BuiltIn<A> {
    spec: Spec,
    act: for<'a> fn(Scene<'a>, A) -> Done<'a>,
}

impl<A: DeserializeOwned + JsonSchema + 'static> BuiltIn<A> {
    pub fn boxed(
        name: &str,
        about: &str,
        permission: Permission,
        act: for<'a> fn(Scene<'a>, A) -> Done<'a>,
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

    fn call<'a>(&'a self, scene: Scene<'a>, arguments: Value) -> Done<'a> {
        match read(arguments) {
            Ok(arguments) => (self.act)(scene, arguments),
            Err(trouble) => Box::pin(std::future::ready(Err(trouble))),
        }
    }
}

/// The arguments as a type of ours.
pub(super) fn read<A: DeserializeOwned>(arguments: Value) -> Result<A, Trouble> {
    serde_json::from_value(arguments).map_err(|error| Trouble::Arguments(error.to_string()))
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
