//! The rpm package, made with `rpmbuild` where that is at hand.

use std::path::Path;
use std::process::Command;

use crate::deb;
use crate::dist::Release;
use crate::project::{NAME, Project};
use crate::tools;

/// The program that makes it.
pub const TOOL: &str = "rpmbuild";

/// Writes the package into the folder of the release; its name.
pub fn pack(release: &Release) -> anyhow::Result<String> {
    let Release { project, commit, target, contents, out } = release;
    let mut tree = deb::installed(project, contents)?;
    for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let path = format!("usr/share/licenses/{NAME}/{license}");
        tree.copy(&project.root.join(license), path, 0o644)?;
    }
    let staged = tempfile::tempdir()?;
    let root = staged.path().join("files");
    tree.write(&root)?;
    let paths: Vec<_> = tree.files().map(|(path, _)| path.to_owned()).collect();
    let spec = staged.path().join("gitea-triage.spec");
    std::fs::write(&spec, self::spec(project, &paths, &root))?;
    let defined = |name: &str, value: &Path| format!("{name} {}", value.display());
    tools::output(
        Command::new(TOOL)
            .env("SOURCE_DATE_EPOCH", commit.seconds().to_string())
            .args(["-bb", "--quiet", "--target", target.processor()])
            .args(["--define", &defined("_topdir", staged.path())])
            .args(["--define", &defined("_rpmdir", out)])
            .args(["--define", "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"])
            .args(["--define", "_buildhost localhost"])
            .args(["--define", "use_source_date_epoch_as_buildtime 1"])
            .args(["--define", "clamp_mtime_to_source_date_epoch 1"])
            .arg(&spec),
    )?;
    Ok(format!("{NAME}-{}-1.{}.rpm", project.version, target.processor()))
}

fn spec(project: &Project, paths: &[String], root: &Path) -> String {
    let Project { version, license, repository, long_description, .. } = project;
    let synopsis = project.synopsis();
    let files = paths.iter().map(|path| match path.split('/').next() {
        Some("etc") => format!("%config(noreplace) /{path}\n"),
        _ if path.contains("/share/doc/") => format!("%doc /{path}\n"),
        _ if path.contains("/share/licenses/") => format!("%license /{path}\n"),
        _ => format!("/{path}\n"),
    });
    let files: String = files.collect();
    let units = deb::UNITS.join(" ");
    // The program is ready: nothing of it is taken away, looked through or packed again.
    format!(
        "%global debug_package %{{nil}}\n%global __os_install_post %{{nil}}\n%global _build_id_links none\n\
         Name: {NAME}\nVersion: {version}\nRelease: 1\nSummary: {synopsis}\nLicense: {license}\n\
         URL: {repository}\nRequires: ca-certificates\nAutoReqProv: no\n\n\
         %description\n{long_description}\n\n\
         %install\ncp -a {}/. %{{buildroot}}/\n\n\
         %post\nif [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi\n\n\
         %preun\nif [ $1 -eq 0 ] && [ -d /run/systemd/system ]; then systemctl disable --now {units} || :; fi\n\n\
         %postun\nif [ -d /run/systemd/system ]; then\n  systemctl daemon-reload || :\n  \
         [ $1 -eq 0 ] || systemctl try-restart {units} || :\nfi\n\n\
         %files\n%defattr(-,root,root)\n{files}",
        root.display(),
    )
}
