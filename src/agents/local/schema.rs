//! Whether a model can be offered a tool: its name is one that every API takes, and its schema is one of an object.
//! Pure; what arguments a model then gives is checked where they are read.

use serde_json::Value;

const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];
/// A schema deeper than this describes no arguments.
const DEPTH: usize = 32;
/// The longest name that every API takes.
const LONGEST_NAME: usize = 64;

/// What is wrong with a name, if anything is.
pub(super) fn name_fault(name: &str) -> Option<String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(fine) {
        return Some(format!(
            "its name is not made of 1 to {LONGEST_NAME} letters, digits, `_` and `-`"
        ));
    }
    None
}

/// What is wrong with the schema of a tool's arguments, if anything is.
pub(super) fn schema_fault(schema: &Value) -> Option<String> {
    let fault = if !schema.is_object() {
        Some("is not an object".to_owned())
    } else if schema.get("type").and_then(Value::as_str) != Some("object") {
        Some("does not say `\"type\": \"object\"`".to_owned())
    } else {
        fault(schema, "", 0)
    };
    fault.map(|fault| format!("its schema {fault}"))
}

fn fault(schema: &Value, path: &str, depth: usize) -> Option<String> {
    let at = if path.is_empty() { "at its root".to_owned() } else { format!("at `{path}`") };
    if depth > DEPTH {
        return Some(format!("is more than {DEPTH} levels deep"));
    }
    let object = match schema {
        Value::Bool(_) => return None,
        Value::Object(object) => object,
        _ => return Some(format!("is neither an object nor true or false {at}")),
    };
    if let Some(kind) = object.get("type").filter(|kind| !is_type(kind)) {
        return Some(format!("has the unknown type `{kind}` {at}"));
    }
    let is_names = |v: &Value| v.as_array().is_some_and(|names| names.iter().all(Value::is_string));
    if object.get("required").is_some_and(|required| !is_names(required)) {
        return Some(format!("has a `required` that is no list of names {at}"));
    }
    let properties = object.get("properties");
    if properties.is_some_and(|properties| !properties.is_object()) {
        return Some(format!("has `properties` that are no object {at}"));
    }
    let items = object.get("items").filter(|items| !items.is_array());
    let items = items.map(|items| ("items", items));
    let inner = properties.and_then(Value::as_object).into_iter().flatten();
    let mut inner = inner.map(|(name, schema)| (name.as_str(), schema)).chain(items);
    inner.find_map(|(name, schema)| fault(schema, &format!("{path}/{name}"), depth + 1))
}

/// One of the names, or a list of them.
fn is_type(kind: &Value) -> bool {
    let known = |kind: &Value| kind.as_str().is_some_and(|kind| TYPES.contains(&kind));
    known(kind) || kind.as_array().is_some_and(|kinds| kinds.iter().all(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn says(schema: Value, expected: &str) {
        assert_eq!(schema_fault(&schema).as_deref(), Some(expected));
    }

    #[test]
    fn a_bad_schema_is_told_by_what_is_wrong_and_where() {
        says(json!("text"), "its schema is not an object");
        says(json!({"type": "string"}), "its schema does not say `\"type\": \"object\"`");
        says(
            json!({"type": "object", "properties": {"a": {"type": "txt"}}}),
            "its schema has the unknown type `\"txt\"` at `/a`",
        );
        says(
            json!({"type": "object", "required": "a"}),
            "its schema has a `required` that is no list of names at its root",
        );
        says(
            json!({"type": "object", "properties": {"a": {"items": 7}}}),
            "its schema is neither an object nor true or false at `/a/items`",
        );
        let mut deep = json!({"type": "string"});
        for _ in 0..40 {
            deep = json!({"type": "object", "properties": {"x": deep}});
        }
        says(deep, "its schema is more than 32 levels deep");
    }

    #[test]
    fn a_usual_schema_passes() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": ["string", "null"]}, "b": {"type": "array", "items": {"enum": [1]}}, "c": true,
        }, "required": ["a"]});
        assert_eq!(schema_fault(&schema), None);
    }

    #[test]
    fn names_are_what_every_api_takes() {
        assert_eq!(name_fault("read_issue-2"), None);
        for bad in ["", "a.b", "a b", "größe", &"x".repeat(65)] {
            assert!(name_fault(bad).is_some(), "{bad}");
        }
    }
}
