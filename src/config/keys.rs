//! Every section and key, as the schema of [`Config`] has them: made from the structs, in their order.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Value as Json, json};
use strsim::normalized_damerau_levenshtein;
use toml::Value;

use super::Config;
use super::policy::ELSEWHERE;

/// Every section in the documented order; the first is the file itself, whose keys are the sections.
pub(super) static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| {
    let settings =
        SchemaSettings::draft2020_12().for_serialize().with(|s| s.inline_subschemas = true);
    let mut all = Vec::new();
    let schema = settings.into_generator().into_root_schema_for::<Config>();
    collect(String::new(), schema.to_value(), &mut all);
    all
});

/// The file itself.
pub(super) fn root() -> &'static Section {
    &SECTIONS[0]
}

/// The section at this path, such as `local_agent.mcp`.
pub(super) fn section(path: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|s| s.path == path)
}

/// A table of the file.
pub(super) struct Section {
    /// Its path; empty for the file itself.
    pub path: String,
    /// What it is about, for people.
    pub about: String,
    /// Whether it is an entry of a list.
    pub is_list: bool,
    /// Its keys, in the documented order.
    pub keys: Vec<Key>,
}

/// A key.
pub(super) struct Key {
    /// The section it stands in.
    pub section: String,
    /// Its name there.
    pub name: String,
    /// What it does, for people.
    pub about: String,
    /// What stands behind it.
    pub shape: Shape,
    schema: Json,
}

/// What stands behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A value.
    Value,
    /// The path of a file that holds the value of the key without `_file`.
    File,
    /// A section.
    Table,
    /// A list of tables.
    Entries,
}

/// Schemars names the fields that are always written, which are all, in their order.
fn collect(path: String, mut schema: Json, all: &mut Vec<Section>) {
    let is_list = schema["type"] == "array";
    let mut about = line(&schema["description"]);
    if is_list {
        schema = schema["items"].take();
        about = Some(line(&schema["description"])).filter(|own| !own.is_empty()).unwrap_or(about);
    }
    let (mut keys, mut inner) = (Vec::new(), Vec::new());
    let names: Vec<String> = serde_json::from_value(schema["required"].take()).unwrap_or_default();
    let is_here = |name: &String| path != "policy" || ELSEWHERE.iter().all(|(key, _)| key != name);
    for name in names.into_iter().filter(is_here) {
        let mut key = Key::new(&path, &name, schema["properties"][&name].take());
        if key.is_section() {
            let mut below = json!({ "type": key.kind(), "description": key.about });
            for part in ["items", "properties", "required"] {
                below[part] = key.schema[part].take();
            }
            inner.push((key.path(), below));
        }
        let file = key.is_secret().then(|| key.file());
        keys.push(key);
        keys.extend(file);
    }
    all.push(Section { path, about, is_list, keys });
    inner.into_iter().for_each(|(path, schema)| collect(path, schema, all));
}

/// A doc comment on one line, without the marks of its links.
fn line(about: &Json) -> String {
    about.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn ticked<'a>(all: impl IntoIterator<Item = &'a Json>) -> String {
    let all = all.into_iter().filter_map(Json::as_str).map(|text| format!("`{text}`"));
    all.collect::<Vec<_>>().join(", ")
}

impl Section {
    /// The names of its keys.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.name.as_str())
    }

    /// Whether it belongs to the policy, which `config policy` shows in full.
    pub fn is_policy(&self) -> bool {
        self.path.split('.').next() == Some("policy")
    }

    /// As it is written above its keys.
    pub fn heading(&self) -> String {
        if self.is_list { format!("[[{}]]", self.path) } else { format!("[{}]", self.path) }
    }
}

impl Key {
    fn new(section: &str, name: &str, mut schema: Json) -> Self {
        // What may be left out is, or it has a value: `null` cannot be written.
        if schema["type"].as_array().is_some_and(|types| types.contains(&"null".into())) {
            schema["type"] = schema["type"][0].take();
        }
        let shape = match (schema["type"].as_str(), schema["items"]["type"].as_str()) {
            (Some("object"), _) => Shape::Table,
            (_, Some("object")) => Shape::Entries,
            _ => Shape::Value,
        };
        let about = line(&schema["description"]);
        Self { section: section.to_owned(), name: name.to_owned(), about, shape, schema }
    }

    /// The key that names a file with this one's value.
    fn file(&self) -> Self {
        let about = format!(
            "File that holds it, instead of `{}`; a relative path starts in the folder of the configuration.",
            self.name
        );
        let schema = json!({ "type": "string", "minLength": 1, "default": null, "x-private": true, "x-wants": "the path of a file" });
        let (section, name) = (self.section.clone(), format!("{}_file", self.name));
        Self { section, name, about, shape: Shape::File, schema }
    }

    /// `section.name`.
    pub fn path(&self) -> String {
        match self.section.as_str() {
            "" => self.name.clone(),
            section => format!("{section}.{}", self.name),
        }
    }

    fn is_section(&self) -> bool {
        matches!(self.shape, Shape::Table | Shape::Entries)
    }

    /// The section behind it.
    pub fn inner(&self) -> Option<&'static Section> {
        section(&self.path()).filter(|_| self.is_section())
    }

    /// Whether it is a list of the file itself of which single entries have no names in the environment.
    pub fn is_list_of_its_own(&self) -> bool {
        self.section.is_empty() && self.shape == Shape::Entries && self.name != "agent"
    }

    /// Whether what stands there must never be shown.
    pub fn is_secret(&self) -> bool {
        self.schema["x-secret"] == true
    }

    /// Whether a message may not repeat what stands there.
    pub fn is_private(&self) -> bool {
        self.schema["x-private"] == true || self.shape == Shape::Entries
    }

    /// A line that sets it, if it has to be set.
    pub fn example(&self) -> Option<&str> {
        self.schema["x-required"].as_str()
    }

    /// The key of an entry that a bare text stands for.
    pub fn short(&self) -> Option<&str> {
        self.schema["x-short"].as_str()
    }

    /// What it is when it is left out.
    pub fn default(&self) -> &Json {
        &self.schema["default"]
    }

    /// The type in the schema; of a list, that of the list.
    pub fn kind(&self) -> &str {
        self.schema["type"].as_str().unwrap_or("string")
    }

    /// The schema, without what only this program reads.
    pub fn schema(&self) -> Json {
        let mut schema = self.schema.clone();
        if let Some(all) = schema.as_object_mut() {
            all.retain(|name, value| {
                !name.starts_with("x-")
                    && name != "format"
                    && !(name == "default" && value.is_null())
            });
            if self.example().is_some() {
                all.remove("default");
            }
            all.insert("description".to_owned(), self.about.clone().into());
        }
        schema
    }

    /// What it wants, to end the sentence "it wants …".
    pub fn wants(&self) -> String {
        let schema = &self.schema;
        let (items, most) =
            (&schema["items"], schema["maximum"].as_u64().filter(|most| *most < u32::MAX.into()));
        match (schema["x-wants"].as_str(), self.kind(), most) {
            (Some(told), ..) => told.to_owned(),
            (_, "boolean", _) => "`true` or `false`".to_owned(),
            (_, "integer", Some(most)) => {
                format!("a whole number from {} to {most}", schema["minimum"])
            }
            (_, "integer", None) => format!("a whole number from {}", schema["minimum"]),
            (_, "array", _) if self.short().is_some() => "a list of texts or tables".to_owned(),
            (_, "array", _) if self.shape == Shape::Entries => "a list of tables".to_owned(),
            (_, "array", _) => match items["enum"].as_array() {
                Some(all) => format!("a list of any of {}", ticked(all)),
                None => "a list of texts".to_owned(),
            },
            _ => match schema["enum"].as_array() {
                Some(all) => format!("one of {}", ticked(all)),
                None => "a text".to_owned(),
            },
        }
    }

    /// Whether `value`, alone in a file at `at`, is what it wants.
    pub fn fits(&self, at: &str, value: &Value) -> bool {
        let limit = |name: &str| self.schema[name].as_i64();
        let number = value.as_integer().filter(|_| self.kind() == "integer");
        let is_within = number.is_none_or(|n| {
            limit("minimum").is_none_or(|least| n >= least)
                && limit("maximum").is_none_or(|most| n <= most)
        });
        match self.shape {
            Shape::File => value.as_str().is_some_and(|path| !path.is_empty()),
            _ => is_within && alone(at, value.clone()).try_into::<Config>().is_ok(),
        }
    }
}

/// A file that holds nothing but `value` at `at`; a number in the path stands for a list.
fn alone(at: &str, value: Value) -> Value {
    at.rsplit('.').fold(value, |inner, name| match name.parse::<usize>() {
        Ok(_) => Value::Array(vec![inner]),
        Err(_) => Value::Table(toml::Table::from_iter([(name.to_owned(), inner)])),
    })
}

/// Below this, a guess would only confuse.
const ALIKE: f64 = 0.4;

/// The key of `section` most like `name`, or the same name in another section.
pub(super) fn nearest_key(section: &str, name: &str) -> Option<&'static Key> {
    let all = SECTIONS.iter().skip(1).flat_map(|s| s.keys.iter().map(move |key| (key, s.is_list)));
    best(all.map(|(key, is_list)| match (key.section == section, key.name == name) {
        (true, _) => (key, normalized_damerau_levenshtein(&key.name, name)),
        (false, true) if !is_list => (key, 0.6),
        _ => (key, 0.0),
    }))
}

/// The one of `all` most like `name`.
pub(super) fn nearest<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    best(all.map(|one| (one, normalized_damerau_levenshtein(one, name))))
}

fn best<T>(scored: impl Iterator<Item = (T, f64)>) -> Option<T> {
    let alike = scored.filter(|(_, s)| *s >= ALIKE);
    // Of equals the first: a `token` without a section is more likely Gitea's than one that was added later.
    alike.reduce(|best, one| if one.1 > best.1 { one } else { best }).map(|(t, _)| t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_sentence_and_every_default_is_what_its_key_wants() {
        for key in SECTIONS.iter().skip(1).flat_map(|s| &s.keys) {
            assert!(key.about.ends_with('.'), "`{}` has no sentence", key.path());
            let default = Value::try_from(key.default()).ok().filter(|_| key.example().is_none());
            let in_list = section(&key.section).is_some_and(|s| s.is_list);
            if let Some(default) = default.filter(|_| !in_list) {
                assert!(key.fits(&key.path(), &default), "`{}`", key.path());
            }
        }
        assert!(SECTIONS.iter().map(|s| s.keys.len()).sum::<usize>() > 130);
    }
}
