//! The files of a workspace, as an agent asks the client for them. Each part of a path is opened by itself and may be
//! no link, so that nothing outside is reached, whatever the agent changes in between.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;

/// The longest text that is read or written, in bytes.
const MOST: u64 = 8 * 1024 * 1024;

/// The folder of the repository's files.
pub(super) struct Tree {
    path: PathBuf,
    root: OwnedFd,
}

/// Which lines of a file are asked for; the first is 1.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Range {
    pub line: Option<u64>,
    pub limit: Option<u64>,
}

impl Tree {
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { path: path.to_owned(), root })
    }

    /// Whether a path that is only named lies inside.
    pub fn holds(&self, path: &str) -> bool {
        Path::new(path).is_relative() && self.parts(&self.path.join(path)).is_ok()
            || self.parts(Path::new(path)).is_ok()
    }

    /// The parts of a path below the tree.
    fn parts<'a>(&self, path: &'a Path) -> Result<Vec<&'a std::ffi::OsStr>, String> {
        let shown = || crate::runner::journal::plain(&path.display().to_string());
        let below = path
            .strip_prefix(&self.path)
            .map_err(|_| format!("`{}` is outside of the workspace", shown()))?;
        let plain = |part: Component<'a>| match part {
            Component::Normal(name) => Ok(name),
            _ => Err(format!("`{}` leads out of the workspace", shown())),
        };
        let parts = below.components().map(plain).collect::<Result<Vec<_>, _>>()?;
        match parts.first() {
            Some(name) if name.eq_ignore_ascii_case(".git") => {
                Err("`.git` is no file of the repository".to_owned())
            }
            _ => Ok(parts),
        }
    }

    /// Opens a file, and the folders on the way to it, which are made with `make`.
    fn file(&self, path: &Path, flags: OFlags, make: bool) -> Result<File, String> {
        let parts = self.parts(path)?;
        let (name, folders) = parts.split_last().ok_or("the workspace itself is no file")?;
        let failed = |error: Errno| match error {
            Errno::LOOP | Errno::NOTDIR => "a symbolic link is not followed".to_owned(),
            error => io::Error::from(error).to_string(),
        };
        let folder = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = self.root.try_clone().map_err(|e| e.to_string())?;
        for part in folders {
            if make {
                match mkdirat(&at, *part, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            at = openat(&at, *part, folder, Mode::empty()).map_err(failed)?;
        }
        // A pipe would be waited for without `NONBLOCK`.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&at, *name, flags, Mode::from_raw_mode(0o644)).map_err(failed)?;
        let found = fstat(&file).map_err(failed)?;
        let is_file = rustix::fs::FileType::from_raw_mode(found.st_mode).is_file();
        if is_file { Ok(file.into()) } else { Err("it is no ordinary file".to_owned()) }
    }

    /// The text of a file, or some lines of it.
    pub fn read(&self, path: &str, range: Range) -> Result<String, String> {
        let file = self.file(Path::new(path), OFlags::RDONLY, false)?;
        let mut bytes = Vec::new();
        file.take(MOST + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        if bytes.len() as u64 > MOST {
            return Err(format!("it is longer than {MOST} bytes"));
        }
        let text = String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let skip = count(range.line.unwrap_or(1).saturating_sub(1));
        Ok(match (range.line, range.limit) {
            (None, None) => text,
            (_, limit) => text
                .split_inclusive('\n')
                .skip(skip)
                .take(limit.map_or(usize::MAX, count))
                .collect(),
        })
    }

    /// Writes a file anew.
    pub fn write(&self, path: &str, text: &str) -> Result<(), String> {
        if text.len() as u64 > MOST {
            return Err(format!("it is longer than {MOST} bytes"));
        }
        let flags = OFlags::WRONLY | OFlags::CREATE;
        let mut file = self.file(Path::new(path), flags, true)?;
        // Only now that it is known to be a file: opening to truncate would do it before.
        file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> (tempfile::TempDir, Tree, String) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("tree");
        fs::create_dir(&root).unwrap();
        fs::write(folder.path().join("secret"), "outside").unwrap();
        let tree = Tree::open(&root).unwrap();
        let root = root.display().to_string();
        (folder, tree, root)
    }

    #[test]
    fn files_inside_are_written_and_read_by_lines() {
        let (_folder, tree, root) = tree();
        let path = format!("{root}/src/new/a.rs");
        tree.write(&path, "one\ntwo\nthree\n").unwrap();
        tree.write(&path, "1\n2\n3\n").unwrap();
        assert_eq!(tree.read(&path, Range::default()).unwrap(), "1\n2\n3\n");
        let range = Range { line: Some(2), limit: Some(1) };
        assert_eq!(tree.read(&path, range).unwrap(), "2\n");
        assert!(tree.holds(&path) && tree.holds("src/x.rs"));
    }

    #[test]
    fn nothing_outside_is_reached_by_name_or_by_link() {
        let (folder, tree, root) = tree();
        let secret = folder.path().join("secret");
        symlink(&secret, folder.path().join("tree/link")).unwrap();
        symlink(folder.path(), folder.path().join("tree/folder")).unwrap();
        for path in [
            secret.display().to_string(),
            format!("{root}/../secret"),
            format!("{root}/link"),
            format!("{root}/folder/secret"),
            "secret".to_owned(),
            format!("{root}/.git/config"),
            root.clone(),
        ] {
            assert!(tree.read(&path, Range::default()).is_err(), "{path}");
            assert!(tree.write(&path, "owned").is_err(), "{path}");
        }
        assert_eq!(fs::read_to_string(&secret).unwrap(), "outside");
        assert!(!tree.holds("/etc/passwd") && !tree.holds("../secret"));
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let (folder, tree, root) = tree();
        let made =
            std::process::Command::new("mkfifo").arg(folder.path().join("tree/pipe")).status();
        assert!(made.unwrap().success());
        assert!(tree.read(&format!("{root}/pipe"), Range::default()).is_err());
        assert!(tree.write(&format!("{root}/pipe"), "x").is_err());
    }
}
