//! Files on their way into an archive or a folder: always in the same order, with the same times and owners.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// Who has a file in an archive.
const ROOT: u64 = 0;

/// What is written, by its path.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, File>,
    /// Folders that are not as others are: mode and owner.
    folders: BTreeMap<String, (u32, u64)>,
}

#[derive(Clone, Debug)]
struct File {
    mode: u32,
    bytes: Vec<u8>,
}

impl Tree {
    /// A file of these bytes.
    pub fn add(&mut self, path: impl Into<String>, mode: u32, bytes: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), File { mode, bytes: bytes.into() });
    }

    /// A folder with a mode and an owner of its own.
    pub fn add_folder(&mut self, path: &str, mode: u32, owner: u64) {
        self.folders.insert(path.to_owned(), (mode, owner));
    }

    /// The file that is there.
    pub fn copy(&mut self, from: &Path, path: impl Into<String>, mode: u32) -> anyhow::Result<()> {
        let bytes = std::fs::read(from);
        self.add(path, mode, bytes.with_context(|| format!("`{}`", from.display()))?);
        Ok(())
    }

    /// All files below a folder, for anybody to read.
    pub fn copy_folder(&mut self, from: &Path, path: &str) -> anyhow::Result<()> {
        let entries = std::fs::read_dir(from).with_context(|| format!("`{}`", from.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = format!("{path}/{}", entry.file_name().to_string_lossy());
            match entry.file_type()?.is_dir() {
                true => self.copy_folder(&entry.path(), &path)?,
                false => self.copy(&entry.path(), path, 0o644)?,
            }
        }
        Ok(())
    }

    /// Each file with its path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, file)| (path.as_str(), file.bytes.as_slice()))
    }

    /// Every folder that a file is in, the outer ones first.
    fn all_folders(&self) -> BTreeSet<&str> {
        let ends = |path: &str| path.match_indices('/').map(|(at, _)| at).collect::<Vec<_>>();
        let above = self.files.keys().chain(self.folders.keys());
        let above = above.flat_map(|path| ends(path).into_iter().map(|at| &path[..at]));
        above.chain(self.folders.keys().map(String::as_str)).collect()
    }

    /// As a tar archive, below a folder if one is named.
    pub fn tar(&self, below: &str, seconds: u64) -> anyhow::Result<Vec<u8>> {
        let mut archive = Builder::new(Vec::new());
        for folder in self.all_folders() {
            let (mode, owner) = self.folders.get(folder).copied().unwrap_or((0o755, ROOT));
            let mut header = header(EntryType::Directory, mode, seconds);
            header.set_uid(owner);
            header.set_gid(owner);
            archive.append_data(&mut header, format!("{below}{folder}/"), std::io::empty())?;
        }
        for (path, file) in &self.files {
            let mut header = header(EntryType::Regular, file.mode, seconds);
            header.set_size(file.bytes.len() as u64);
            archive.append_data(&mut header, format!("{below}{path}"), file.bytes.as_slice())?;
        }
        Ok(archive.into_inner()?)
    }

    /// Writes it into a folder.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        for below in self.all_folders() {
            let made = folder.join(below);
            std::fs::create_dir_all(&made)?;
            let mode = self.folders.get(below).map_or(0o755, |(mode, _)| *mode);
            std::fs::set_permissions(&made, PermissionsExt::from_mode(mode))?;
        }
        for (path, file) in &self.files {
            let written = folder.join(path);
            std::fs::write(&written, &file.bytes)?;
            std::fs::set_permissions(&written, PermissionsExt::from_mode(file.mode))?;
        }
        Ok(())
    }
}

fn header(kind: EntryType, mode: u32, seconds: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(seconds);
    header.set_size(0);
    header.set_uid(ROOT);
    header.set_gid(ROOT);
    header
}

/// As `gzip -9n` packs: without a name and a time.
pub fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::best());
    packed.write_all(bytes)?;
    Ok(packed.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_archive_whatever_their_order() {
        let archive = |names: &[&str]| {
            let mut tree = Tree::default();
            names.iter().for_each(|name| tree.add(*name, 0o644, name.as_bytes()));
            gzip(&tree.tar("below/", 7).unwrap()).unwrap()
        };
        assert_eq!(archive(&["a/b", "c"]), archive(&["c", "a/b"]));
        assert_ne!(archive(&["a/b", "c"]), archive(&["a/b", "d"]));
    }

    #[test]
    fn a_folder_comes_before_what_is_in_it_and_keeps_its_mode_and_owner() {
        let mut tree = Tree::default();
        tree.add("var/lib/one", 0o600, "text");
        tree.add_folder("var/lib", 0o700, 9);
        let tar = tree.tar("", 7).unwrap();
        let mut archive = tar::Archive::new(tar.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let header = entry.unwrap().header().clone();
            let path = header.path().unwrap().display().to_string();
            (path, header.mode().unwrap(), header.uid().unwrap(), header.mtime().unwrap())
        });
        let expected = [("var/", 0o755, 0), ("var/lib/", 0o700, 9), ("var/lib/one", 0o600, 0)];
        let expected = expected.map(|(path, mode, owner)| (path.to_owned(), mode, owner, 7));
        assert_eq!(entries.collect::<Vec<_>>(), expected);
    }
}
