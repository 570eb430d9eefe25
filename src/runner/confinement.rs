//! What an agent's process, and whatever else runs in a workspace, is kept in: an environment from a list, folders of
//! its own, and the sandbox.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::git::ALONE;
use super::settings::{AgentSettings, Sandbox};

/// What of the system can be read in the sandbox; the configuration in `/etc` and the homes are not among it.
const SYSTEM: [&str; 20] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/nix/store",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/localtime",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
];

/// The folders of one run.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    /// All of it.
    pub root: PathBuf,
    /// The files of the repository.
    pub tree: PathBuf,
    /// The agent's home.
    pub home: PathBuf,
    /// For temporary files.
    pub temporary: PathBuf,
}

impl Folders {
    /// Those below `root`.
    pub fn below(root: PathBuf) -> Self {
        let [tree, home, temporary] = ["tree", "home", "tmp"].map(|name| root.join(name));
        Self { root, tree, home, temporary }
    }
}

/// How programs are started for an agent in its workspace.
#[derive(Clone)]
pub(super) struct Confinement {
    pub folders: Folders,
    environment: BTreeMap<String, OsString>,
    wrap: Vec<String>,
    sandbox: Sandbox,
    network: bool,
    read: Vec<PathBuf>,
}

impl Confinement {
    /// That of an agent; `secrets` are the values of its `env_files`.
    pub fn new(
        agent: &AgentSettings,
        secrets: &BTreeMap<String, String>,
        folders: Folders,
    ) -> Self {
        let mut environment: BTreeMap<String, OsString> = BTreeMap::new();
        let passed = agent.pass_env.iter();
        environment.extend(passed.filter_map(|name| Some((name.clone(), std::env::var_os(name)?))));
        for (name, folder) in [
            ("XDG_CONFIG_HOME", ".config"),
            ("XDG_CACHE_HOME", ".cache"),
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_STATE_HOME", ".local/state"),
        ] {
            environment.insert(name.to_owned(), folders.home.join(folder).into());
        }
        environment.insert("HOME".to_owned(), folders.home.clone().into());
        environment.insert("TMPDIR".to_owned(), folders.temporary.clone().into());
        environment.insert("TERM".to_owned(), "dumb".into());
        let known = agent.known().map(|profile| profile.known().env).unwrap_or_default();
        environment.extend(known.iter().map(|(name, value)| ((*name).to_owned(), value.into())));
        let own = agent.env.iter().chain(secrets);
        environment.extend(own.map(|(name, value)| (name.clone(), value.into())));
        Self {
            folders,
            environment,
            wrap: agent.wrap.clone(),
            sandbox: agent.sandbox,
            network: agent.network,
            read: agent.read.clone(),
        }
    }

    /// A command in the workspace.
    pub fn command(&self, argv: &[String]) -> Command {
        let mut whole = self.wrap.clone();
        if self.sandbox == Sandbox::Bubblewrap {
            whole.extend(self.bubblewrap());
        }
        whole.extend_from_slice(argv);
        let mut whole = whole.into_iter();
        let mut command = Command::new(whole.next().unwrap_or_default());
        command.args(whole).env_clear().envs(&self.environment).current_dir(&self.folders.tree);
        command
    }

    /// Git in the agent's own repository: it may run what the agent put there, and reaches no more than the agent.
    pub fn git(&self, arguments: &[&str]) -> Command {
        let safe = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"];
        let all = safe.iter().chain(&["-c", "commit.gpgSign=false"]).chain(arguments);
        let mut command = self.command(&all.map(ToString::to_string).collect::<Vec<_>>());
        command.envs(ALONE).env("LC_ALL", "C");
        command
    }

    fn bubblewrap(&self) -> Vec<String> {
        let shown = |path: &Path| path.display().to_string();
        let mut words: Vec<String> = [
            "bwrap",
            "--die-with-parent",
            "--new-session",
            "--unshare-user",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-cgroup-try",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
        ]
        .map(str::to_owned)
        .into();
        if !self.network {
            words.push("--unshare-net".to_owned());
        }
        let read = SYSTEM.iter().map(PathBuf::from).chain(self.read.iter().cloned());
        for path in read.map(|path| shown(&path)) {
            words.extend(["--ro-bind-try".to_owned(), path.clone(), path]);
        }
        let Folders { tree, home, temporary, .. } = &self.folders;
        for path in [tree, home, temporary].map(|path| shown(path)) {
            words.extend(["--bind".to_owned(), path.clone(), path]);
        }
        words.extend(["--chdir".to_owned(), shown(tree), "--".to_owned()]);
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_holds_what_is_listed_and_folders_of_the_run() {
        let agent = AgentSettings {
            env: [("A".to_owned(), "1".to_owned())].into(),
            pass_env: vec!["PATH".to_owned()],
            ..AgentSettings::default()
        };
        let secrets = [("KEY".to_owned(), "2".to_owned())].into();
        let kept_in = Confinement::new(&agent, &secrets, Folders::below("/w/run".into()));
        let names: Vec<_> = kept_in.environment.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "A",
                "HOME",
                "KEY",
                "PATH",
                "TERM",
                "TMPDIR",
                "XDG_CACHE_HOME",
                "XDG_CONFIG_HOME",
                "XDG_DATA_HOME",
                "XDG_STATE_HOME"
            ]
        );
    }

    #[test]
    fn the_sandbox_binds_the_workspace_and_nothing_of_the_runner() {
        let agent = AgentSettings {
            sandbox: Sandbox::Bubblewrap,
            network: false,
            wrap: vec!["nice".to_owned()],
            ..AgentSettings::default()
        };
        let kept_in = Confinement::new(&agent, &BTreeMap::new(), Folders::below("/w/run".into()));
        let command = kept_in.command(&["agent".to_owned()]);
        let words: Vec<_> = command.as_std().get_args().filter_map(|a| a.to_str()).collect();
        assert_eq!(command.as_std().get_program(), "nice");
        assert!(words.contains(&"--unshare-net") && words.contains(&"--die-with-parent"));
        let bound: Vec<_> = words.windows(3).filter(|w| w[0] == "--bind").map(|w| w[1]).collect();
        assert_eq!(bound, ["/w/run/tree", "/w/run/home", "/w/run/tmp"]);
        assert!(!words.contains(&"/") && !words.contains(&"/etc") && !words.contains(&"/home"));
        assert_eq!(words.last(), Some(&"agent"));
    }
}
