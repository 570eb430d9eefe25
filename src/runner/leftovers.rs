//! What an earlier process of this runner left when it was killed: programs that go on by themselves, and locks that git
//! held. Nobody else ends them, and with a lock in a clone no run of its repository could start again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How often it is looked for programs: one that starts others faster than they are ended is given up on.
const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Ends every program whose home or folder for temporary files is below one of these: whatever was started for a run,
/// in its process group or not, unless it was given another environment. Waits until they are gone.
///
/// Known by `/proc`, so that on other systems than Linux nothing is found. How many there were is logged.
pub(super) fn end_programs(homes: &[PathBuf]) {
    let mut ended = std::collections::BTreeSet::new();
    for _ in 0..LOOKS {
        let found = programs(homes);
        if found.is_empty() {
            break;
        }
        for pid in found {
            // Fails only when it has ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
            ended.insert(pid.as_raw_nonzero());
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    if !ended.is_empty() {
        tracing::warn!(programs = ended.len(), "what an earlier process left running was ended");
    }
}

fn programs(homes: &[PathBuf]) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_ours = |entry: &fs::DirEntry| {
        // Only the programs of this account can be read. One that has ended, but was not waited for, has none.
        fs::read(entry.path().join("environ")).is_ok_and(|all| lives_in(&all, homes))
    };
    let id = |entry: fs::DirEntry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
    entries.filter(is_ours).filter_map(id).collect()
}

/// Whether an environment, as `/proc` shows it, has its home or its folder for temporary files there.
fn lives_in(environment: &[u8], homes: &[PathBuf]) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let variables = environment.split(|byte| *byte == 0);
    let values = variables
        .filter_map(|one| one.strip_prefix(b"HOME=").or_else(|| one.strip_prefix(b"TMPDIR=")));
    let mut values = values.map(|value| Path::new(std::ffi::OsStr::from_bytes(value)));
    values.any(|value| homes.iter().any(|home| value.starts_with(home)))
}

/// Removes the locks of git below a folder. Nobody may be using it.
pub(super) fn remove_locks(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_locks(&path)?;
        } else if path.extension().is_some_and(|kind| kind == "lock") {
            tracing::warn!("a lock that git had left was removed: `{}`", path.display());
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_where_it_lives_and_not_by_where_a_person_stands() {
        let homes = [PathBuf::from("/srv/runner/runs"), PathBuf::from("/srv/runner/home")];
        for (environment, expected) in [
            (&b"PATH=/bin\0HOME=/srv/runner/runs/a.b.1/home\0"[..], true),
            (b"HOME=/home/alice\0TMPDIR=/srv/runner/runs/a.b.1/tmp\0", true),
            (b"HOME=/srv/runner/home\0", true),
            (b"HOME=/home/alice\0PWD=/srv/runner/runs/a.b.1/tree\0", false),
            (b"HOME=/srv/runner/runs-of-another\0", false),
            (b"", false),
        ] {
            assert_eq!(lives_in(environment, &homes), expected);
        }
    }
}
