//! The built-in tools, by name. Each reads or writes through the run's [`super::Environment`] only, and within the
//! repository of the issue that is worked on: what a text talks the model into stays where that text stands.

mod consult;
mod invoice;
mod memory;
mod page;
mod read;
mod web;
mod write;

use super::settings::Settings;
use super::tool::{RegistrationError, Tool};

/// The one tool that needs a setting.
const WEB_FETCH: &str = "web_fetch";

/// The built-in tools that the settings name, and one for each outside model.
pub(super) fn all(settings: &Settings) -> Result<Vec<Tool>, RegistrationError> {
    let named = settings.tools.iter().map(|name| built_in(name, settings));
    let models = settings.consult.iter().map(consult::tool);
    named.chain(models).collect()
}

/// The tool called `name`.
fn built_in(name: &str, settings: &Settings) -> Result<Tool, RegistrationError> {
    if name == WEB_FETCH {
        return web::tool(name, settings);
    }
    simple().find(|tool| tool.name == name).ok_or_else(|| {
        let known: Vec<_> = simple().map(|tool| tool.name).collect();
        let reason = format!("there is no such tool; known are {}, {WEB_FETCH}", known.join(", "));
        RegistrationError::tool(name, reason)
    })
}

/// Every built-in tool that needs no setting.
fn simple() -> impl Iterator<Item = Tool> {
    read::tools().into_iter().chain(write::tools()).chain(memory::tools())
}

#[cfg(test)]
mod tests {
    use super::super::schema::{name_fault, schema_fault};
    use super::super::settings::ModelApi;
    use super::*;

    #[test]
    fn every_tool_has_a_schema_that_refuses_what_it_does_not_know() {
        let mut settings = Settings::new(ModelApi::Ollama, "http://127.0.0.1:1", "m");
        settings.web_hosts = vec!["docs.example.com".into()];
        let web = built_in(WEB_FETCH, &settings).unwrap();
        let tools: Vec<_> = simple().chain([web]).collect();
        assert_eq!(tools.len(), 13);
        for tool in tools {
            let name = tool.name.as_str();
            assert_eq!((name_fault(name), schema_fault(&tool.schema)), (None, None), "{name}");
            assert_eq!(tool.schema["additionalProperties"], false, "{name}: {}", tool.schema);
        }
    }

    #[test]
    fn an_unknown_tool_is_named_with_those_there_are() {
        let settings = Settings::new(ModelApi::Ollama, "http://127.0.0.1:1", "m");
        let error = built_in("read_isue", &settings).err().unwrap().to_string();
        assert!(
            error.starts_with("the tool `read_isue` cannot be registered: there is no such tool; known are read_issue, "),
            "{error}"
        );
    }
}
