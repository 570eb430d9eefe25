//! What is in every kind of package.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Endianness, elf};

use crate::project::Project;
use crate::tools;
use crate::tree::Tree;

/// The folders of `deploy/` that are of use to somebody with a package; the others make one.
const EXAMPLES: [&str; 6] = ["caddy", "docker", "kubernetes", "nginx", "prometheus", "systemd"];
const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// The program and what belongs to it.
pub struct Contents {
    /// The program itself.
    pub program: Vec<u8>,
    /// Documents and examples.
    pub texts: Tree,
    /// A script for each shell.
    pub completions: Vec<Completion>,
    /// The manual.
    pub pages: Vec<Page>,
}

/// By which a shell completes commands.
pub struct Completion {
    /// What the shell wants its file to be called.
    pub file: &'static str,
    /// Where Debian's shell looks for it.
    pub folder: &'static str,
    /// The script.
    pub script: String,
}

/// A page of the manual.
pub struct Page {
    /// Its name, as `gitea-triage-serve.1`.
    pub name: String,
    /// The page.
    pub text: Vec<u8>,
}

impl Page {
    /// The section of the manual that it belongs to.
    pub fn section(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or("1")
    }
}

impl Contents {
    /// All of it. `runnable` is a program of the same source that can be run here.
    pub fn collect(project: &Project, program: &Path, runnable: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(program).with_context(|| format!("`{}`", program.display()))?;
        if needs_libraries(&bytes)? {
            bail!(
                "`{}` needs shared libraries; only a static program is packed",
                program.display()
            );
        }
        let mut texts = Tree::default();
        for document in DOCUMENTS {
            texts.copy(&project.root.join(document), document, 0o644)?;
        }
        let deploy = project.root.join("deploy");
        for file in ["install.md", "gitea-triage.toml"] {
            texts.copy(&deploy.join(file), format!("deploy/{file}"), 0o644)?;
        }
        for folder in EXAMPLES {
            texts.copy_folder(&deploy.join(folder), &format!("deploy/{folder}"))?;
        }
        let completions = completions(runnable)?;
        Ok(Self { program: bytes, texts, completions, pages: pages(runnable)? })
    }
}

/// Whether the program asks for a loader.
fn needs_libraries(program: &[u8]) -> anyhow::Result<bool> {
    let program = ElfFile64::<Endianness>::parse(program).context("not a 64-bit ELF program")?;
    let (endian, header) = (program.endian(), program.elf_header());
    let headers = header.program_headers(endian, program.data())?;
    Ok(headers.iter().any(|one| one.p_type(endian) == elf::PT_INTERP))
}

fn completions(runnable: &Path) -> anyhow::Result<Vec<Completion>> {
    let shells = [
        ("bash", "gitea-triage", "usr/share/bash-completion/completions"),
        ("zsh", "_gitea-triage", "usr/share/zsh/vendor-completions"),
        ("fish", "gitea-triage.fish", "usr/share/fish/vendor_completions.d"),
    ];
    let script = |(shell, file, folder)| {
        let script = tools::output(Command::new(runnable).args(["completions", shell]))?;
        Ok(Completion { file, folder, script })
    };
    shells.into_iter().map(script).collect()
}

fn pages(runnable: &Path) -> anyhow::Result<Vec<Page>> {
    let folder = tempfile::tempdir()?;
    tools::output(Command::new(runnable).arg("man").arg(folder.path()))?;
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(folder.path())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        pages.push(Page { name, text: std::fs::read(entry.path())? });
    }
    Ok(pages)
}
