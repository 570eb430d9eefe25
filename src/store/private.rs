//! Files that only our own user may read: what people wrote in private repositories stands in them.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

const MODE: u32 = 0o600;

/// Opens a file to be written, made where there is none.
pub(super) fn file(path: &Path) -> io::Result<File> {
    let open = File::options().create(true).truncate(false).write(true).mode(MODE).open(path);
    close(path);
    open
}

/// Takes a file that everybody can read away from all others, as far as it is ours. One that is open to its group alone was
/// opened on purpose.
pub(super) fn close(path: &Path) {
    if path.metadata().is_ok_and(|file| file.permissions().mode() & 0o007 != 0) {
        let _ = std::fs::set_permissions(path, Permissions::from_mode(MODE));
    }
}
