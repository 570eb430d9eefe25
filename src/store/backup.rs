//! Copies of the whole store: taken while it is in use, tried before they count, and put back when it is not.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use super::engine::{Connection, Sqlite, beside, open_error};
use super::rows::{only, run};
use super::{Error, Store, lock, private, schema};

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its size in bytes.
    pub bytes: u64,
    /// How many deliveries are in it.
    pub deliveries: u64,
}

impl Store {
    /// Copies all that is committed now to `to`, beside readers and writer. The copy is one file, is tried, and has
    /// its name only when it is whole.
    pub async fn backup(&self, to: PathBuf) -> Result<Copied, Error> {
        self.read(move |c| {
            if matches!(c, Connection::Postgres(_)) {
                return Err(Error::Elsewhere);
            }
            let part = beside(&to, ".part");
            let _ = std::fs::remove_file(&part);
            private::file(&part).map_err(|e| open_error(&part, e))?;
            let path = part.to_str().ok_or_else(|| open_error(&part, "its name is no text"))?;
            run(c, "VACUUM INTO ?1", [path])?;
            let copied = copied(&part)?;
            settle(&part, &to)?;
            Ok(copied)
        })
        .await
    }

    /// Puts the copy `from` in the place of the database at `path`, which no service may have open. What was there
    /// is kept beside it, with `.before-restore` at the end of its name.
    ///
    /// # Errors
    /// When the copy is not sound or of a later version, a service is running, or a file cannot be written.
    pub fn restore(from: &Path, path: &Path) -> Result<Copied, Error> {
        let copied = copied(from)?;
        let _lock = lock(path)?;
        let part = beside(path, ".part");
        std::fs::copy(from, &part).map_err(|e| open_error(&part, e))?;
        for ours in [&part, &beside(path, ".lock")] {
            hand_over(ours, path)?;
            private::close(ours);
        }
        // With its log, which would be read as the new one's.
        let kept = beside(path, ".before-restore");
        for end in ["", "-wal", "-shm"] {
            let (old, kept) = (beside(path, end), beside(&kept, end));
            if old.exists() {
                std::fs::rename(&old, &kept).map_err(|e| open_error(&kept, e))?;
                private::close(&kept);
            }
        }
        settle(&part, path)?;
        Ok(copied)
    }
}

/// Gives a file to whom the one at `path` belongs, with the same mode: it is restored as root, and a service without
/// rights has to write it. Where there is none yet, to whom the folder belongs, as far as we may.
fn hand_over(part: &Path, path: &Path) -> Result<(), Error> {
    if let Ok(old) = path.metadata() {
        let given = std::fs::set_permissions(part, old.permissions())
            .and_then(|()| chown(part, Some(old.uid()), Some(old.gid())));
        return given.map_err(|e| open_error(path, format!("its owner cannot be kept: {e}")));
    }
    if let Ok(folder) = folder(path).metadata() {
        let _ = chown(part, Some(folder.uid()), Some(folder.gid()));
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives a finished file its name, on the disk before and after.
fn settle(part: &Path, path: &Path) -> Result<(), Error> {
    let settle = || {
        File::open(part)?.sync_all()?;
        std::fs::rename(part, path)?;
        File::open(folder(path))?.sync_all()
    };
    settle().map_err(|e: std::io::Error| open_error(path, e))
}

/// Tries a copy: every page of it is read.
fn copied(path: &Path) -> Result<Copied, Error> {
    let bytes = std::fs::metadata(path).map_err(|e| open_error(path, e))?.len();
    let mut c = Sqlite::reader(path)?;
    schema::must_be_known(c.inner(), path)?;
    let c = Connection::Sqlite(c);
    let no_store = |e| open_error(path, format!("it is no store: {e}"));
    let sound: String =
        only(&c, "PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(no_store)?;
    if sound != "ok" {
        return Err(Error::Unreadable(sound));
    }
    let count = "SELECT count(*) FROM delivery";
    let deliveries = only(&c, count, [], |row| row.get(0)).map_err(no_store)?;
    Ok(Copied { bytes, deliveries })
}
