//! `SHA256SUMS`: what the files of a release have to be.

use std::path::Path;

use sha2::{Digest as _, Sha256};

/// The digest of these bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Writes the digests of all files in a folder, in the form of `sha256sum`.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && name != "SHA256SUMS" {
            lines.push((name, sha256(&std::fs::read(entry.path())?)));
        }
    }
    lines.sort();
    let text: String = lines.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    print!("{text}");
    Ok(std::fs::write(folder.join("SHA256SUMS"), text)?)
}
