//! What an agent is answered that asks for a permission: by rule, or not at all when a person has to decide.

use serde_json::{Value, json};

use super::files::Tree;
use crate::dispatch::run::{Asked, Permits, ToolKind};
use crate::runner::settings::AgentSettings;

/// What is known of a call of a tool.
#[derive(Clone, Debug, Default)]
pub(super) struct ToolCall {
    pub kind: Option<ToolKind>,
    pub title: String,
    /// The places it names.
    paths: Vec<String>,
}

impl ToolCall {
    /// What `shown` says beyond what was said before.
    pub fn update(&mut self, shown: &Value) {
        if let Some(kind) = shown["kind"].as_str() {
            self.kind = Some(kind.parse().unwrap_or(ToolKind::Other));
        }
        if let Some(title) = shown["title"].as_str() {
            self.title = title.chars().take(200).collect();
        }
        let listed = |name: &str| shown[name].as_array().cloned().unwrap_or_default();
        let paths = listed("locations").into_iter().chain(listed("content"));
        let paths = paths.filter_map(|one| one["path"].as_str().map(str::to_owned));
        self.paths.extend(paths.take(100));
    }

    fn kind(&self) -> ToolKind {
        self.kind.unwrap_or(ToolKind::Other)
    }
}

/// What is answered.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// By a rule: the result of the request, and what to note about it.
    ByRule(Value, String),
    /// A person has to say.
    Ask(Asked),
}

/// What is answered by.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub agent: &'a AgentSettings,
    /// What people answered on the issue.
    pub permits: &'a Permits,
    pub tree: &'a Tree,
}

/// The answer to `session/request_permission`. What is refused anywhere is not allowed elsewhere.
pub(super) fn answer(call: &ToolCall, options: &Value, rules: Rules<'_>) -> Answer {
    let Rules { agent, permits, tree } = rules;
    let (kind, title) = (call.kind(), &call.title);
    let outside = call.paths.iter().find(|path| !tree.holds(path));
    let is_allowed = match outside {
        Some(_) => Some(false),
        None if agent.permissions.deny.contains(&kind) || permits.deny.contains(&kind) => {
            Some(false)
        }
        None if agent.allowed().contains(&kind) || permits.allow.contains(&kind) => Some(true),
        None => None,
    };
    let note = |answer: &str| match outside {
        Some(path) => format!("{kind} {answer}: `{path}` is outside of the workspace"),
        None => format!("{kind} {answer}: {title}"),
    };
    match is_allowed {
        Some(true) => {
            Answer::ByRule(chosen(options, ["allow_once", "allow_always"]), note("allowed"))
        }
        Some(false) => {
            Answer::ByRule(chosen(options, ["reject_once", "reject_always"]), note("refused"))
        }
        None => Answer::Ask(Asked { kind, title: title.clone() }),
    }
}

/// The option of one of these kinds, the first of them before the others.
fn chosen(options: &Value, kinds: [&str; 2]) -> Value {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |kind: &&str| options.iter().find(|option| option["kind"] == **kind);
    match kinds.iter().find_map(of) {
        Some(option) => json!({"outcome": {"outcome": "selected", "optionId": option["optionId"]}}),
        None => json!({"outcome": {"outcome": "cancelled"}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::settings::Permissions;

    fn asked(kind: &str, path: &str, permissions: Permissions) -> Answer {
        asked_on(kind, path, permissions, Permits::default())
    }

    /// The same on an issue where people have answered so.
    fn asked_on(kind: &str, path: &str, permissions: Permissions, permits: Permits) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::open(folder.path()).unwrap();
        let mut call = ToolCall::default();
        let path = path.replace("TREE", &folder.path().display().to_string());
        call.update(&json!({"kind": kind, "title": "x", "locations": [{"path": path}]}));
        let agent = AgentSettings { id: "a".to_owned(), permissions, ..AgentSettings::default() };
        let options = json!([
            {"optionId": "1", "kind": "allow_always"}, {"optionId": "2", "kind": "allow_once"},
            {"optionId": "3", "kind": "reject_once"},
        ]);
        answer(&call, &options, Rules { agent: &agent, permits: &permits, tree: &tree })
    }

    fn option(answer: &Answer) -> Option<&str> {
        match answer {
            Answer::ByRule(value, _) => value["outcome"]["optionId"].as_str(),
            Answer::Ask(_) => None,
        }
    }

    #[test]
    fn rules_decide_and_what_they_do_not_say_is_asked() {
        let none = Permissions::default;
        assert_eq!(option(&asked("edit", "TREE/a.rs", none())), Some("2"));
        assert_eq!(option(&asked("edit", "/etc/passwd", none())), Some("3"));
        assert!(matches!(asked("execute", "TREE", none()), Answer::Ask(_)));
        assert!(matches!(asked("never-heard-of", "TREE", none()), Answer::Ask(_)));
        let deny = Permissions { deny: vec![ToolKind::Execute], ..none() };
        assert_eq!(option(&asked("execute", "TREE", deny)), Some("3"));
        let allow = Permissions { allow: Some(vec![ToolKind::Execute]), ..none() };
        assert_eq!(option(&asked("execute", "TREE", allow.clone())), Some("2"));
        assert!(matches!(asked("edit", "TREE/a.rs", allow), Answer::Ask(_)));
    }

    #[test]
    fn what_people_answered_counts_for_its_kind_and_never_outside_of_the_workspace() {
        let permits = Permits { allow: vec![ToolKind::Execute], deny: vec![ToolKind::Edit] };
        let on = |kind, path, permissions| asked_on(kind, path, permissions, permits.clone());
        let none = Permissions::default;
        assert_eq!(option(&on("execute", "TREE", none())), Some("2"));
        assert_eq!(option(&on("execute", "/etc/passwd", none())), Some("3"));
        assert_eq!(option(&on("edit", "TREE/a.rs", none())), Some("3"));
        assert!(matches!(on("fetch", "TREE", none()), Answer::Ask(_)));
        let deny = Permissions { deny: vec![ToolKind::Execute], ..none() };
        assert_eq!(
            option(&on("execute", "TREE", deny)),
            Some("3"),
            "the runner's word stands above"
        );
    }

    #[test]
    fn an_answer_that_is_not_offered_is_no_other() {
        assert_eq!(
            chosen(&json!([]), ["allow_once", "allow_always"])["outcome"]["outcome"],
            "cancelled"
        );
    }
}
