//! The built-in tools, by name. Each reads or writes through the run's [`super::Outside`] only, and within the
//! repository of the issue that is worked on: what a text talks the model into stays where that text stands.

mod look;
mod memory;
mod page;
mod say;
mod web;

use super::registry::RegistrationError;
use super::settings::Settings;
use super::tool::{BuiltIn, Permission, Tool};

/// Every built-in tool.
const NAMES: [&str; 13] = [
    "read_issue",
    "read_comments",
    "search_issues",
    "read_file",
    "web_fetch",
    "comment",
    "add_label",
    "propose_criteria",
    "plan_sub_issues",
    "list_agents",
    "delegate",
    "jot_note",
    "recall_notes",
];

/// The tool called `name`.
pub(super) fn built_in(
    name: &str,
    settings: &Settings,
) -> Result<Box<dyn Tool>, RegistrationError> {
    use Permission::{Comment, Read, Write};
    Ok(match name {
        "read_issue" => BuiltIn::boxed(
            name,
            "Read an issue of this repository as it is now.",
            Read,
            look::issue,
        ),
        "read_comments" => BuiltIn::boxed(
            name,
            "Read the newest comments on an issue of this repository.",
            Read,
            look::comments,
        ),
        "search_issues" => BuiltIn::boxed(
            name,
            "Find issues of this repository, open and closed, that hold these words.",
            Read,
            look::search,
        ),
        "read_file" => BuiltIn::boxed(
            name,
            "Read a text file of this repository at a branch, tag or commit.",
            Read,
            look::file,
        ),
        "web_fetch" => web::tool(name, settings)?,
        "comment" => {
            BuiltIn::boxed(name, "Write a comment on the issue you work on.", Comment, say::comment)
        }
        "add_label" => BuiltIn::boxed(
            name,
            "Put a label that exists on the issue you work on.",
            Write,
            say::label,
        ),
        "propose_criteria" => BuiltIn::boxed(
            name,
            "Propose, in a comment, what has to hold when the issue is done.",
            Comment,
            say::criteria,
        ),
        "plan_sub_issues" => BuiltIn::boxed(
            name,
            "Split the issue into parts. A person may have to agree before they are opened.",
            Write,
            say::split,
        ),
        "list_agents" => BuiltIn::boxed(
            name,
            "List the agents the issue can be given to, what they are good at and how many places they have free.",
            Read,
            look::agents,
        ),
        "delegate" => BuiltIn::boxed(
            name,
            "Give the issue you work on to an agent when you are done.",
            Write,
            say::delegate,
        ),
        "jot_note" => BuiltIn::boxed(
            name,
            "Remember something about this repository for later runs; a note of the same topic is replaced.",
            Comment,
            memory::jot,
        ),
        "recall_notes" => BuiltIn::boxed(
            name,
            "Recall what was noted about this repository, all of it or one topic.",
            Read,
            memory::recall,
        ),
        unknown => {
            let reason = format!("there is no such tool; known are {}", NAMES.join(", "));
            return Err(RegistrationError::tool(unknown, reason));
        }
    })
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
        for name in NAMES {
            let tool = built_in(name, &settings).unwrap();
            let spec = tool.spec();
            assert_eq!(spec.name, name);
            assert_eq!((name_fault(name), schema_fault(&spec.schema)), (None, None), "{name}");
            assert_eq!(spec.schema["additionalProperties"], false, "{name}: {}", spec.schema);
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
