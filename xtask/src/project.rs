//! What `Cargo.toml` and the commit say.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use cargo_metadata::MetadataCommand;
use chrono::{DateTime, Utc};

use crate::tools;

/// The program that is released.
pub const NAME: &str = "gitea-triage";

/// The project, as it stands.
pub struct Project {
    /// The folder of the source.
    pub root: PathBuf,
    /// Cargo's folder for what it builds.
    pub target: PathBuf,
    /// The version of the release.
    pub version: String,
    /// What it is, in one line.
    pub description: String,
    /// What it is, in a paragraph.
    pub long_description: String,
    /// The licence, as an SPDX expression.
    pub license: String,
    /// The address of the source.
    pub repository: String,
    /// Who answers for the packages.
    pub maintainer: String,
}

impl Project {
    /// The project that this crate lies in.
    pub fn read() -> anyhow::Result<Self> {
        let root = root();
        let mut asked = MetadataCommand::new();
        let asked = asked.manifest_path(root.join("Cargo.toml")).no_deps().exec()?;
        let target = asked.target_directory.into_std_path_buf();
        let package = asked.packages.into_iter().find(|package| package.name == NAME);
        let package = package.context("`Cargo.toml` is not that of the program")?;
        let said = |key: &str| {
            let text = package.metadata["dist"][key].as_str().map(str::to_owned);
            text.with_context(|| format!("`package.metadata.dist.{key}` is missing"))
        };
        Ok(Self {
            target,
            root,
            maintainer: said("maintainer")?,
            long_description: said("description")?,
            version: package.version.to_string(),
            description: package.description.context("`description` is missing")?,
            license: package.license.context("`license` is missing")?,
            repository: package.repository.context("`repository` is missing")?,
        })
    }
}

impl Project {
    /// What it is, in a few words.
    pub fn synopsis(&self) -> &str {
        self.description.split(':').next().unwrap_or(&self.description)
    }
}

/// The folder of the source.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned()
}

/// Which state of the source it is.
pub struct Commit {
    /// Its id; `unknown` where the source came without its history.
    pub id: String,
    /// What every file of the release has for its time.
    pub time: DateTime<Utc>,
}

impl Commit {
    /// The commit that is checked out; its time is `SOURCE_DATE_EPOCH`, if that is set.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let git = |arguments: &[&str]| {
            let said = tools::output(Command::new("git").arg("-C").arg(root).args(arguments));
            said.map(|text| text.trim().to_owned())
        };
        let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(seconds) => seconds,
            Err(_) => git(&["log", "-1", "--format=%ct"])
                .context("no commit to take the time from; set `SOURCE_DATE_EPOCH`")?,
        };
        let seconds = seconds.parse().context("`SOURCE_DATE_EPOCH` is no number of seconds")?;
        let time = DateTime::from_timestamp(seconds, 0);
        let time = time.context("`SOURCE_DATE_EPOCH` is no time")?;
        if git(&["status", "--porcelain"]).is_ok_and(|changes| !changes.is_empty()) {
            println!("there are changes that are in no commit; they are in the release as well");
        }
        let id = git(&["rev-parse", "HEAD"]).unwrap_or_else(|_| "unknown".to_owned());
        Ok(Self { id, time })
    }
}

impl Commit {
    /// Its time in seconds since 1970.
    pub fn seconds(&self) -> u64 {
        self.time.timestamp().unsigned_abs()
    }
}

/// A platform, as the compiler names it.
#[derive(Clone, Debug)]
pub struct Target(pub String);

impl Target {
    /// The one that is compiled on.
    pub fn host() -> anyhow::Result<Self> {
        let said = tools::output(Command::new("rustc").arg("-vV"))?;
        let host = said.lines().find_map(|line| line.strip_prefix("host: "));
        Ok(Self(host.context("`rustc` names no host")?.to_owned()))
    }

    /// The processor.
    pub fn processor(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }

    /// The processor, as Debian and container images name it.
    pub fn architecture(&self) -> &str {
        match self.processor() {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
    }

    /// Whether static programs need to be asked for.
    pub fn is_gnu(&self) -> bool {
        self.0.ends_with("-linux-gnu")
    }
}
