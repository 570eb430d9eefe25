//! A real limit of memory around the program: a control group where this process may make one (version 1 or 2, as root
//! or with a delegated group). Where it may not, the peak of the resident memory is compared instead.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::Program;

/// The limits that ship, in bytes: of the unit, the container and the pod.
fn shipped_limits() -> Vec<u64> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let of = |file: &str, key: &str| -> u64 {
        let text = fs::read_to_string(deploy.join(file)).unwrap();
        let at = text.find(key).unwrap_or_else(|| panic!("`{key}` is not in `{file}`"));
        let value = text[at + key.len()..].trim_start();
        let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
        // `M`, `Mi`, `m`: all of them mean mebibytes where these are read.
        assert!(value[digits.len()..].to_lowercase().starts_with('m'), "{value}");
        digits.parse::<u64>().unwrap() << 20
    };
    vec![
        of("systemd/gitea-triage.service", "MemoryHigh="),
        of("docker/compose.yaml", "mem_limit:"),
        of("kubernetes/gitea-triage.yaml", "limits: { memory:"),
    ]
}

/// The smallest of them.
pub fn shipped() -> u64 {
    shipped_limits().into_iter().min().unwrap()
}

/// A control group with the shipped limit, removed when it is dropped.
pub struct Group {
    folder: Option<PathBuf>,
    is_second: bool,
}

impl Group {
    /// One with this limit, or none where it cannot be made.
    pub fn new(bytes: u64) -> Self {
        let name = format!("gitea-triage-test-{}", uuid::Uuid::new_v4());
        let roots =
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        for (version, (root, file)) in roots.into_iter().enumerate() {
            let folder = Path::new(root).join(&name);
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            if fs::write(folder.join(file), bytes.to_string()).is_ok() {
                return Self { folder: Some(folder), is_second: version == 1 };
            }
            let _ = fs::remove_dir(&folder);
        }
        Self { folder: None, is_second: false }
    }

    /// What it is, for whoever reads the test's output.
    pub fn kind(&self) -> &'static str {
        match (&self.folder, self.is_second) {
            (None, _) => "no control group: the peak of the resident memory is compared",
            (_, false) => "in a control group of version 1",
            (_, true) => "in a control group of version 2",
        }
    }

    /// The command line that starts a program in it.
    pub fn enter(&self, command: &mut std::process::Command) {
        let Some(folder) = &self.folder else { return };
        let mut inside = std::process::Command::new("sh");
        inside.arg("-c").arg("echo $$ > \"$0\" && exec \"$@\"").arg(folder.join("cgroup.procs"));
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                inside.env(name, value);
            }
        }
        *command = inside;
    }

    /// Fails when the program held more than `limit`, or was killed for it.
    pub fn assert_within(&self, program: &mut Program, limit: u64) {
        assert!(program.ended().is_none(), "it was ended: {:#?}", program.log());
        let peak = program.memory("VmHWM");
        println!("{}: {} MiB at most, of {}", self.kind(), peak >> 20, limit >> 20);
        assert!(peak <= limit, "it held {} MiB", peak >> 20);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // Its processes have ended by then; a moment later the group is empty.
            for _ in 0..100 {
                if fs::remove_dir(folder).is_ok() {
                    return;
                }
                std::thread::yield_now();
            }
        }
    }
}
