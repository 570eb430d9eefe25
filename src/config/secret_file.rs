//! Secrets that stand in a file of their own, as service managers hand them out.

use std::path::Path;

use super::error::Mistakes;
use super::keys::Key;
use super::kind::Value;
use super::row::Row;

/// Reads the file that `key` names into the key without `_file`.
pub(super) fn read(key: &'static Key, label: &str, row: &mut Row, mistakes: &mut Mistakes) {
    let Some(path) = row.some_text(key.name) else { return };
    let origin = row.origin(key.name).clone();
    let Some(base) = key.name.strip_suffix("_file") else { return };
    let key_path = format!("{label}.{}", key.name);
    if row.has(base) {
        let message = format!("`{label}.{base}` and `{key_path}` are both set; keep one of them");
        mistakes.add(&origin, &key_path, message);
        return;
    }
    match contents(Path::new(&path)) {
        Ok(text) => row.set(base, Value::Secret(text.into()), origin),
        Err(why) => {
            let message = format!("`{key_path}` names `{path}`, which {why}");
            mistakes.add(&origin, &key_path, message);
            row.set_bad(base);
        }
    }
}

fn contents(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "is not there; create it or correct the path".to_owned(),
        std::io::ErrorKind::InvalidData => "is not a text".to_owned(),
        _ => format!("cannot be read: {e}; let the service's user read it"),
    })?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.trim().is_empty() {
        return Err("is empty; write the secret into it".to_owned());
    }
    Ok(text.to_owned())
}
