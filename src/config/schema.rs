//! The keys for editors (JSON Schema) and for people (Markdown).

use std::fmt::Write;

use serde_json::{Map, Value as Json, json};

use super::keys::{self, Key, SECTIONS, Section, Shape};

/// A longer default is not repeated in the reference.
const LONGEST_DEFAULT: usize = 60;
/// What the reference says about terms, behind the sections of the policy.
const TERMS: &str = "\
`gitea-triage config policy` prints the policy in force, word lists included; what is left out keeps its built-in value.
The threshold is `triage.ready_at`.

A term is plain text, found anywhere and in any case. In it `{word}` stands for letters, digits and `_`, `{space}` for
one white space, `{spaces}` for any number of them, `{any}` for one character of the line, `{edge}` for the beginning or
end of a word, and `{{` for a brace.
";

/// A JSON Schema (draft 2020-12) of the file. Keys that may come from the environment instead are not
/// required by it.
pub fn schema() -> Json {
    let mut schema = table(keys::root());
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "gitea-triage.toml".into();
    schema
}

fn table(section: &Section) -> Json {
    let keys: Map<String, Json> = section.keys.iter().map(|k| (k.name.clone(), key(k))).collect();
    let mut table = json!({ "type": "object", "additionalProperties": false, "properties": keys });
    // Everything else may stand in the environment or in a file; the name of an entry may not.
    let needed = section.keys.iter().filter(|k| k.example().is_some() && !k.is_secret());
    let needed: Vec<&str> = needed.map(|key| key.name.as_str()).collect();
    if section.is_list && !needed.is_empty() {
        table["required"] = needed.into();
    }
    table
}

fn key(key: &Key) -> Json {
    let Some(section) = key.inner() else { return key.schema() };
    let mut schema = table(section);
    if key.shape == Shape::Entries {
        let text = key.short().map(|_| json!({ "type": "string", "minLength": 1 }));
        let items = match text {
            Some(text) => json!({ "anyOf": [text, schema] }),
            None => schema,
        };
        schema = json!({ "type": "array", "items": items });
    }
    schema["description"] = key.about.clone().into();
    schema
}

/// All keys as Markdown tables, for the book.
pub fn reference() -> String {
    let mut out = String::new();
    for section in SECTIONS.iter().skip(1) {
        let heading = match section.path.as_str() {
            "webhook.secrets" => "webhook.secrets = [{ … }]".to_owned(),
            _ => section.heading(),
        };
        let _ = writeln!(out, "### `{heading}`\n\n{}\n", section.about);
        out.push_str("| key | wants | default | what it is |\n|---|---|---|---|\n");
        for key in section.keys.iter().filter(|key| key.shape != Shape::Table) {
            let (wants, default) = (key.wants(), default(key));
            let _ = writeln!(out, "| `{}` | {wants} | {default} | {} |", key.name, key.about);
        }
        out.push('\n');
    }
    out.push_str(TERMS);
    out
}

fn default(key: &Key) -> String {
    match (key.example(), key.default()) {
        (Some(_), _) => "required".to_owned(),
        (_, Json::Null) => "–".to_owned(),
        (_, value) if is_long(&value.to_string()) => "built in".to_owned(),
        (_, value) => format!("`{value}`"),
    }
}

/// Whether a default is too long to be repeated, or would end the code span around it.
fn is_long(default: &str) -> bool {
    default.len() > LONGEST_DEFAULT || default.contains('`')
}
