//! The licences of the crates in the program, which have to come with it.

use std::collections::BTreeMap;
use std::path::Path;

use cargo_metadata::PackageId;

use crate::parts::Part;
use crate::project::NAME;

/// The text of every licence, once, after the names of the crates that have it.
pub fn notices(parts: &BTreeMap<PackageId, Part>) -> anyhow::Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut listed = String::new();
    for part in parts.values().filter(|part| part.is_linked && part.package.name != NAME) {
        let package = &part.package;
        let name = format!("{} {}", package.name, package.version);
        let license = package.license.as_deref().unwrap_or("see its text");
        listed += &format!("{name}: {license}\n");
        if let Some(folder) = package.manifest_path.parent() {
            for text in texts_in(folder.as_std_path())? {
                texts.entry(text).or_default().push(name.clone());
            }
        }
    }
    let mut written = format!("{NAME} is linked with these crates:\n\n{listed}");
    for (text, names) in texts {
        let line = "-".repeat(80);
        written += &format!("\n{line}\n{}\n\n{}\n", names.join(", "), text.trim_end());
    }
    Ok(written)
}

/// What a crate has of licences and notices.
fn texts_in(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        let starts = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];
        if entry.file_type()?.is_file() && starts.iter().any(|start| name.starts_with(start)) {
            let text = std::fs::read(entry.path())?;
            texts.push(String::from_utf8_lossy(&text).replace("\r\n", "\n"));
        }
    }
    texts.sort();
    Ok(texts)
}
