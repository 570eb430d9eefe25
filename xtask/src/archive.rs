//! The archive: the program and all that belongs to it, in one folder.

use crate::dist::Release;
use crate::project::NAME;
use crate::tree::{Tree, gzip};

/// The archive with its name.
pub fn pack(release: &Release) -> anyhow::Result<(String, Vec<u8>)> {
    let Release { project, commit, target, contents, .. } = release;
    let folder = format!("{NAME}-{}-{}", project.version, target.0);
    let mut tree = Tree::default();
    tree.add(NAME, 0o755, contents.program.as_slice());
    for (path, bytes) in contents.texts.files() {
        tree.add(path, 0o644, bytes);
    }
    for shell in &contents.completions {
        tree.add(format!("completions/{}", shell.file), 0o644, shell.script.as_str());
    }
    for page in &contents.pages {
        tree.add(format!("man/man{}/{}", page.section(), page.name), 0o644, page.text.as_slice());
    }
    let tar = tree.tar(&format!("{folder}/"), commit.seconds())?;
    Ok((format!("{folder}.tar.gz"), gzip(&tar)?))
}
