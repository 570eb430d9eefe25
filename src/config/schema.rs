//! The table of keys for editors (JSON Schema) and for people (Markdown).

use std::fmt::Write;

use serde_json::{Map, Value as Json, json};

use super::env;
use super::keys::{self, Key, Presence, SECTIONS, Section};
use super::kind::{Kind, task_types};
use super::tree::{Node, Spot};

/// The section that the triage room reads; its tests hold this against what it knows.
const POLICY: &str = "\
### `[policy]`

What the owner tunes in scoring and deciding. `gitea-triage config policy` prints every key with the value in force, word
lists included; what is left out keeps its built-in value. The threshold is `triage.ready_at`.

| section | keys |
|---|---|
| `[policy]` | `default_agent`, `research_agent`, `research_label`, `blocked_terms` |
| `[policy.tags]` | `bug`, `feature`, `refactor`, `meta`, `p0`, `research`, `from_loop` |
| `[policy.scope]` | `file_terms`, `file_points`, `function_terms`, `function_points`, `title_limit`, `title_points`, `meta_penalty`, `cap` |
| `[policy.acceptance]` | `terms`, `some_points`, `many`, `many_points`, `test_terms`, `test_points`, `section_terms`, `section_points`, `meta_penalty`, `cap` |
| `[policy.alignment]` | `bug_points`, `refactor_points`, `feature_points`, `from_loop_points`, `cap` |
| `[[policy.task_types]]` | `task`, `words` |

A term is plain text, found anywhere and in any case. In it `{word}` stands for letters, digits and `_`, `{space}` for
one white space, `{spaces}` for any number of them, `{any}` for one character of the line, `{edge}` for the beginning or
end of a word, and `{{` for a brace.
";

/// A JSON Schema (draft 2020-12) of the file. Keys that may come from the environment instead are not
/// required by it.
pub fn schema() -> Json {
    let mut sections: Map<String, Json> = SECTIONS
        .iter()
        .filter(|s| !s.name.contains('.'))
        .map(|s| (s.name.trim_end_matches("[]").to_owned(), section_schema(s)))
        .collect();
    let policy = json!({ "type": "object", "description": "What the owner tunes in scoring." });
    sections.insert("policy".to_owned(), policy);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gitea-triage.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": sections,
    })
}

fn section_schema(section: &Section) -> Json {
    let mut table = table_schema(section.name);
    if section.is_list() {
        return json!({ "type": "array", "description": section.about, "items": table });
    }
    table["description"] = section.about.into();
    table
}

fn table_schema(section: &str) -> Json {
    let keys: Map<String, Json> =
        keys::of(section).map(|k| (k.name.to_owned(), key_schema(k))).collect();
    let mut table = json!({ "type": "object", "additionalProperties": false, "properties": keys });
    let needed: Vec<&str> = keys::of(section)
        .filter(|k| matches!(k.presence, Presence::Required(_)) && k.kind != Kind::Secret)
        .map(|k| k.name)
        .collect();
    // Everything else may stand in the environment; the name of an entry may not.
    if section.ends_with("[]") && !needed.is_empty() {
        table["required"] = needed.into();
    }
    table
}

fn key_schema(key: &Key) -> Json {
    let mut schema = kind_schema(key.kind);
    schema["description"] = key.about.into();
    if let Presence::Default(text) = key.presence {
        schema["default"] = default_json(key.kind, text);
    }
    schema
}

fn default_json(kind: Kind, text: &str) -> Json {
    plain(&env::typed(kind, "default", text))
}

fn plain(spot: &Spot) -> Json {
    match &spot.node {
        Node::List(items) => items.iter().map(plain).collect(),
        Node::Text(text) => text.as_str().into(),
        other => serde_json::to_value(other.to_toml()).unwrap_or_default(),
    }
}

fn kind_schema(kind: Kind) -> Json {
    let list_of = |all: &[&str]| json!({ "type": "array", "items": { "enum": all } });
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Fraction { max } => {
            json!({ "type": "number", "minimum": 0, "maximum": super::kind::fraction(max) })
        }
        Kind::Size => json!({ "type": ["integer", "string"], "minimum": 1 }),
        Kind::Choice(all) => json!({ "enum": all }),
        Kind::Choices(all) => list_of(all),
        Kind::Strengths => list_of(&task_types()),
        Kind::List | Kind::Repos | Kind::Hosts | Kind::Networks => {
            json!({ "type": "array", "items": { "type": "string" } })
        }
        Kind::Colour => json!({ "type": "string", "pattern": "^#[0-9a-fA-F]{6}$" }),
        Kind::ClockTime => json!({ "type": "string", "pattern": "^[0-2]?[0-9]:[0-5][0-9]$" }),
        Kind::StoreUrl => json!({ "type": "string", "pattern": "^sqlite:." }),
        Kind::Url | Kind::Endpoint => json!({ "type": "string", "pattern": "^(https?://.+)?$" }),
        Kind::Entries { section, short } => {
            let table = table_schema(section);
            let text = short.map(|_| json!({ "type": "string", "minLength": 1 }));
            let choices: Vec<Json> = text.into_iter().chain([table]).collect();
            json!({ "type": "array", "items": { "anyOf": choices } })
        }
        Kind::Secret | Kind::SecretFile | Kind::Name => json!({ "type": "string", "minLength": 1 }),
        Kind::Text | Kind::Duration | Kind::Listen | Kind::Zone | Kind::Moment => {
            json!({ "type": "string" })
        }
    }
}

/// All keys as Markdown tables, for the README.
pub fn reference() -> String {
    let mut out = String::new();
    for section in SECTIONS {
        let _ = writeln!(out, "### {}\n\n{}\n", heading(section), section.about);
        out.push_str("| key | wants | default | what it is |\n|---|---|---|---|\n");
        for key in keys::of(section.name) {
            let wants = key.kind.wants();
            let _ =
                writeln!(out, "| `{}` | {wants} | {} | {} |", key.name, default(key), key.about);
        }
        out.push('\n');
    }
    out.push_str(POLICY);
    out
}

fn heading(section: &Section) -> String {
    match section.name.trim_end_matches("[]") {
        "webhook.secrets" => "`webhook.secrets = [{ … }]`".to_owned(),
        name if section.is_list() => format!("`[[{name}]]`"),
        name => format!("`[{name}]`"),
    }
}

fn default(key: &Key) -> String {
    match key.presence {
        Presence::Required(_) => "required".to_owned(),
        Presence::Optional => "–".to_owned(),
        Presence::Default(text) => format!("`{}`", default_json(key.kind, text)),
    }
}
