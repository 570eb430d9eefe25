//! The Debian package, made with `dpkg-deb`.

use std::process::Command;

use anyhow::Context as _;
use md5::{Digest as _, Md5};

use crate::contents::Contents;
use crate::dist::Release;
use crate::project::{Commit, NAME, Project, Target};
use crate::tools;
use crate::tree::{Tree, gzip};

/// The revision of the package: one for each version, as the packaging is in the same tree.
const REVISION: &str = "1";
const CONFIGURATION: &str = "etc/gitea-triage/gitea-triage.toml";
/// The services of a package.
pub const UNITS: [&str; 2] = ["gitea-triage.service", "gitea-triage-runner.service"];

/// Writes the package into the folder of the release; its name.
pub fn pack(release: &Release) -> anyhow::Result<String> {
    let Release { project, commit, target, contents, out } = release;
    let mut tree = installed(project, contents)?;
    let documents = format!("usr/share/doc/{NAME}");
    tree.add(format!("{documents}/copyright"), 0o644, copyright(project)?);
    tree.add(format!("{documents}/changelog.Debian.gz"), 0o644, gzip(&changelog(project, commit))?);
    let overrides = project.root.join("deploy/debian/lintian-overrides");
    tree.copy(&overrides, format!("usr/share/lintian/overrides/{NAME}"), 0o644)?;
    let sums = tree.files().map(|(path, bytes)| {
        let sum = hex::encode(Md5::digest(bytes));
        format!("{sum}  {path}\n")
    });
    let sums: String = sums.collect();
    let size = tree.files().map(|(_, bytes)| bytes.len().div_ceil(1024)).sum();
    tree.add("DEBIAN/control", 0o644, control(project, target, size));
    tree.add("DEBIAN/conffiles", 0o644, format!("/{CONFIGURATION}\n"));
    tree.add("DEBIAN/md5sums", 0o644, sums);
    for script in ["postinst", "prerm", "postrm"] {
        let file = project.root.join("deploy/debian").join(script);
        tree.copy(&file, format!("DEBIAN/{script}"), 0o755)?;
    }
    let staged = tempfile::tempdir()?;
    let root = staged.path().join("package");
    tree.write(&root)?;
    let name = format!("{NAME}_{}-{REVISION}_{}.deb", project.version, target.architecture());
    // What it packs has no later time than the commit, and a folder has the mode that it gets here.
    let made = tools::output(
        Command::new("dpkg-deb")
            .env("SOURCE_DATE_EPOCH", commit.seconds().to_string())
            .args(["--root-owner-group", "-Zxz", "-z6", "--threads-max=1", "--build"])
            .args([&root, &out.join(&name)]),
    );
    made.map(|_| name)
}

/// The files of any package that is installed by a system's own tool.
pub fn installed(project: &Project, contents: &Contents) -> anyhow::Result<Tree> {
    let mut tree = Tree::default();
    tree.add(format!("usr/bin/{NAME}"), 0o755, contents.program.as_slice());
    let deploy = project.root.join("deploy");
    tree.copy(&deploy.join("gitea-triage.toml"), CONFIGURATION, 0o644)?;
    for unit in UNITS {
        let file = deploy.join("systemd").join(unit);
        tree.copy(&file, format!("usr/lib/systemd/system/{unit}"), 0o644)?;
    }
    for page in &contents.pages {
        let path = format!("usr/share/man/man{}/{}.gz", page.section(), page.name);
        tree.add(path, 0o644, gzip(&page.text)?);
    }
    for shell in &contents.completions {
        tree.add(format!("{}/{}", shell.folder, shell.file), 0o644, shell.script.as_str());
    }
    let documents = format!("usr/share/doc/{NAME}");
    for (path, bytes) in contents.texts.files() {
        match path.strip_prefix("deploy/") {
            // They are where they belong.
            Some(example) if example.starts_with("systemd/") => {}
            Some("gitea-triage.toml") => {}
            Some("install.md") => tree.add(format!("{documents}/install.md"), 0o644, bytes),
            Some(example) => tree.add(format!("{documents}/examples/{example}"), 0o644, bytes),
            None if path == "CHANGELOG.md" => {
                tree.add(format!("{documents}/changelog.gz"), 0o644, gzip(bytes)?);
            }
            // `copyright` has them.
            None if path.starts_with("LICENSE-") => {}
            None => tree.add(format!("{documents}/{path}"), 0o644, bytes),
        }
    }
    Ok(tree)
}

fn control(project: &Project, target: &Target, size: usize) -> String {
    let Project { version, maintainer, repository, .. } = project;
    let synopsis = project.synopsis();
    let architecture = target.architecture();
    format!(
        "Package: {NAME}\nVersion: {version}-{REVISION}\nArchitecture: {architecture}\n\
         Maintainer: {maintainer}\nInstalled-Size: {size}\nDepends: ca-certificates\n\
         Suggests: bubblewrap, git, postgresql\nSection: devel\nPriority: optional\n\
         Homepage: {repository}\nDescription: {synopsis}\n{}\n",
        folded(&project.long_description),
    )
}

/// A paragraph in lines that fit, each after a space.
fn folded(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 78 => *line += &format!(" {word}"),
            _ => lines.push(format!(" {word}")),
        }
    }
    lines.join("\n")
}

/// Debian's own record: what changed is in the other one.
fn changelog(project: &Project, commit: &Commit) -> Vec<u8> {
    let date = commit.time.format("%a, %d %b %Y %H:%M:%S +0000");
    format!(
        "{NAME} ({}-{REVISION}) stable; urgency=medium\n\n  * Release {}; changelog.gz says what changed.\n\n \
         -- {}  {date}\n",
        project.version, project.version, project.maintainer
    )
    .into_bytes()
}

/// In the form of Debian (DEP 5). The Apache licence is on every Debian; the other is short.
fn copyright(project: &Project) -> anyhow::Result<String> {
    let mit = std::fs::read_to_string(project.root.join("LICENSE-MIT"))?;
    let holder = mit.lines().find_map(|line| line.strip_prefix("Copyright (c) "));
    let holder = holder.context("`LICENSE-MIT` names nobody")?;
    let (_, text) = mit.split_once(holder).unwrap_or_default();
    let text = text.trim().lines().map(|line| match line.is_empty() {
        true => " .\n".to_owned(),
        false => format!(" {line}\n"),
    });
    let text: String = text.collect();
    Ok(format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: {NAME}\nSource: {}\n\
         Comment: The crates that the program is linked with, and their licences, are in\n \
         /usr/share/doc/{NAME}/THIRD-PARTY-LICENSES.txt.\n\n\
         Files: *\nCopyright: {holder}\nLicense: Expat or Apache-2.0\n\n\
         License: Expat\n{text}\n\
         License: Apache-2.0\n \
         On Debian systems, the text of the Apache License 2.0 is in\n \
         /usr/share/common-licenses/Apache-2.0.\n",
        project.repository
    ))
}
