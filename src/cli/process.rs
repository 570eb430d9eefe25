//! What holds for the process itself, whatever the command.

use rustix::fs::Mode;
use rustix::process::umask;

/// Keeps what we know to ourselves: no other process of our user, such as a server of tools that we start, may read our
/// memory or our environment, and every file that is made is our user's alone.
pub fn keep_to_itself() {
    umask(Mode::from_raw_mode(0o077));
    #[cfg(target_os = "linux")]
    if rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .is_err()
    {
        super::complain(
            "other processes of this user may read this one's memory: `prctl` was refused",
        );
    }
}
