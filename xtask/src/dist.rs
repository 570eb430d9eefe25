//! `cargo xtask dist`: all files of a release, in one folder.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::compile::Build;
use crate::contents::Contents;
use crate::project::{Commit, NAME, Project, Target};
use crate::{archive, deb, digests, image, notices, parts, rpm, sbom, tools};

/// The platforms that a release has archives for.
const PLATFORMS: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// Make the files of a release
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask dist\n  cargo xtask dist --profile dev\n  cargo xtask dist --target aarch64-unknown-linux-musl --zig \\\n      --runnable target/x86_64-unknown-linux-musl/release/gitea-triage\n\nOnly the profile `release` is built without the paths of this machine. Another one is for a try."
)]
pub struct Dist {
    /// The profile of Cargo
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
    /// The platform [default: that of this machine]
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Build with `cargo zigbuild`, which has a C compiler for every platform
    #[arg(long)]
    zig: bool,
    /// A static program that was built before, instead of building one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// A program of the same source that can be run here, to write the manual and the completions [default: the one that is
    /// packed]
    #[arg(long, value_name = "PATH")]
    runnable: Option<PathBuf>,
    /// The folder to write to [default: `dist` in Cargo's target folder]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl Dist {
    /// Makes them all, and says what was made and what was not.
    pub fn run(self) -> anyhow::Result<()> {
        let project = Project::read()?;
        let commit = Commit::read(&project.root)?;
        let host = Target::host()?;
        let target = self.target.clone().map_or_else(|| host.clone(), Target);
        let program = match &self.binary {
            Some(binary) => binary.clone(),
            None => {
                let profile = &self.profile;
                Build { profile, target: &target, with_zig: self.zig }.run(&project, &commit)?
            }
        };
        let runnable = self.runnable.as_ref().unwrap_or(&program);
        if self.runnable.is_none() && target.processor() != host.processor() {
            bail!(
                "`{}` cannot be run here; name one that can with `--runnable`",
                program.display()
            );
        }
        let out = self.out.clone().unwrap_or_else(|| project.target.join("dist"));
        std::fs::create_dir_all(&out)?;
        let parts = parts::parts(&project.root, &target)?;
        let mut contents = Contents::collect(&project, &program, &std::path::absolute(runnable)?)?;
        contents.texts.add("THIRD-PARTY-LICENSES.txt", 0o644, notices::notices(&parts)?);
        let release = Release { project, commit, target, contents, out };
        let missing = release.write()?;
        let bill = sbom::bill(&release.commit, &parts)?;
        release.add((release.bill(), bill))?;
        digests::write(&release.out)?;
        println!("\nin {}", release.out.display());
        missing
            .iter()
            .chain(&release.other_platforms())
            .for_each(|one| println!("NOT BUILT: {one}"));
        Ok(())
    }
}

/// What the files are made of.
pub struct Release {
    /// What is released.
    pub project: Project,
    /// Its state.
    pub commit: Commit,
    /// What it runs on.
    pub target: Target,
    /// What is in each file.
    pub contents: Contents,
    /// The folder of the files.
    pub out: PathBuf,
}

impl Release {
    /// Writes the packages; what could not be made here.
    fn write(&self) -> anyhow::Result<Vec<String>> {
        let mut missing = Vec::new();
        self.add(archive::pack(self)?)?;
        self.add(image::pack(self)?)?;
        type Pack = fn(&Release) -> anyhow::Result<String>;
        let packers: [(&str, &str, Pack); 2] =
            [("the Debian package", "dpkg-deb", deb::pack), ("the rpm", rpm::TOOL, rpm::pack)];
        for (what, tool, pack) in packers {
            match tools::is_there(tool) {
                true => drop(pack(self)?),
                false => missing.push(format!("{what}: there is no `{tool}`")),
            }
        }
        Ok(missing)
    }

    fn add(&self, (name, bytes): (String, Vec<u8>)) -> anyhow::Result<()> {
        Ok(std::fs::write(self.out.join(name), bytes)?)
    }

    fn bill(&self) -> String {
        format!("{NAME}-{}-{}.cdx.json", self.project.version, self.target.0)
    }

    /// The platforms of a release that have no archive in the folder.
    fn other_platforms(&self) -> Vec<String> {
        let is_missing = |platform: &&&str| {
            let name = format!("{NAME}-{}-{platform}.tar.gz", self.project.version);
            !self.out.join(name).is_file()
        };
        let missing = PLATFORMS.iter().filter(is_missing);
        missing.map(|platform| format!("{platform}: needs `--target {platform}`")).collect()
    }
}
