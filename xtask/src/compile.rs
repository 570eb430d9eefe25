//! Builds the program: static, and for a release without the paths of this machine.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use cargo_metadata::Message;

use crate::project::{Commit, NAME, Project, Target};
use crate::tools;

/// The profile that is released.
const RELEASE: &str = "release";
/// What the linker is told, and what is not packed: symbols, which the profile of a release leaves out anyway.
const LINKED: [&str; 4] = ["-C", "target-feature=+crt-static", "-C", "strip=symbols"];

/// How it is built.
pub struct Build<'a> {
    /// The profile of Cargo.
    pub profile: &'a str,
    /// For which platform.
    pub target: &'a Target,
    /// Whether `cargo zigbuild` builds it.
    pub with_zig: bool,
}

impl Build<'_> {
    /// The program that came of it.
    pub fn run(&self, project: &Project, commit: &Commit) -> anyhow::Result<PathBuf> {
        let mut cargo = self.command(project)?;
        cargo.env("SOURCE_DATE_EPOCH", commit.seconds().to_string());
        if self.profile == RELEASE {
            cargo.envs(self.flags(project)?);
        }
        let mut running = cargo.stdout(Stdio::piped()).spawn().context("`cargo`")?;
        let said = running.stdout.take().context("`cargo` says nothing")?;
        let mut program = None;
        for message in Message::parse_stream(BufReader::new(said)) {
            if let Message::CompilerArtifact(artifact) = message?
                && artifact.target.name == NAME
            {
                program = artifact.executable.or(program);
            }
        }
        let status = running.wait()?;
        if !status.success() {
            bail!("the program was not built: {status}");
        }
        Ok(program.context("`cargo` names no program")?.into_std_path_buf())
    }

    fn command(&self, project: &Project) -> anyhow::Result<Command> {
        // Only what comes last is told to be static there, so that a try uses the crates that are built already.
        let is_told = self.target.is_gnu() && !self.with_zig;
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&project.root);
        cargo.arg(match (self.with_zig, is_told) {
            (true, _) => "zigbuild",
            (false, true) => "rustc",
            (false, false) => "build",
        });
        cargo.args(["--locked", "--message-format=json-render-diagnostics"]);
        cargo.args(["--bin", NAME, "--profile", self.profile]);
        // Where a platform is named, build scripts and macros get none of the flags.
        if self.profile == RELEASE || self.target.0 != Target::host()?.0 {
            cargo.args(["--target", &self.target.0]);
        }
        if is_told {
            cargo.arg("--").args(LINKED);
        }
        Ok(cargo)
    }

    /// Flags by which no folder of this machine gets into the program.
    fn flags(&self, project: &Project) -> anyhow::Result<BTreeMap<String, String>> {
        let folders = folders(project)?;
        let written = |folder: &Path| folder.display().to_string();
        let rust = folders.iter().map(|(from, to)| {
            // The later ones win.
            format!("--remap-path-prefix={}={to}", written(from))
        });
        let c =
            folders.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", written(from)));
        let platform = self.target.0.replace('-', "_");
        Ok(BTreeMap::from([
            ("CARGO_ENCODED_RUSTFLAGS".to_owned(), rust.collect::<Vec<_>>().join("\x1f")),
            (format!("CFLAGS_{platform}"), c.collect::<Vec<_>>().join(" ")),
        ]))
    }
}

/// The folders that a compiler writes into a program, and what is written for them.
fn folders(project: &Project) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let said = tools::output(Command::new("rustc").arg("-vV"))?;
    let commit = said.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    let system = tools::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let library = Path::new(system.trim()).join("lib/rustlib/src/rust");
    Ok(vec![
        (project.root.clone(), "/source".to_owned()),
        (project.target.clone(), "/target".to_owned()),
        (cargo, "/cargo".to_owned()),
        (library, format!("/rustc/{}", commit.unwrap_or("unknown"))),
    ])
}
