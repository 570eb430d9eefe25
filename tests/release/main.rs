//! The files of a release, used as somebody would who got them: unpacked, installed, upgraded, removed, started.
//!
//! `GITEA_TRIAGE_DIST` names the folder that `cargo xtask dist` filled; without it, and where a program is missing that a
//! test needs, a test reports itself as ignored. libtest cannot decide that at run time, hence a harness of our own. The
//! way of a stranger from the archive to the first decision needs a forge: `tests/real_gitea/stranger.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod archive;
mod dist;
mod image;
mod package;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

use dist::{Dist, NEEDS_DIST};

/// What a test needs, as shell commands that fail where it is not there, and how that is said.
type Needs = [(&'static str, &'static str)];

const BUBBLEWRAP: (&str, &str) = (
    "bwrap --unshare-user --unshare-pid --ro-bind / / --proc /proc true",
    "no bubblewrap, or it can make no namespaces here",
);
const LINTIAN: (&str, &str) = ("lintian --version", "no lintian");
const DPKG: (&str, &str) = ("dpkg-deb --version && deb-systemd-helper --help", "no Debian");
const OVERLAY: (&str, &str) = (
    "[ \"$(id -u)\" = 0 ] && unshare --mount sh -c 'mount -t tmpfs none /mnt && mkdir /mnt/a /mnt/b /mnt/c && \
     mount -t overlay none -o lowerdir=/,upperdir=/mnt/a,workdir=/mnt/b /mnt/c'",
    "the root of this machine cannot be laid under another one",
);

fn main() -> ExitCode {
    let trials = vec![
        trial("the_sums_are_those_of_the_files", &[], archive::has_sums),
        trial("the_archive_has_all_that_belongs_to_it", &[], archive::is_whole),
        trial("the_bill_of_materials_is_that_of_the_lock_file", &[], archive::has_its_bill),
        trial("lintian_finds_no_error", &[DPKG, LINTIAN], package::is_clean),
        trial(
            "a_package_comes_and_goes_without_a_trace",
            &[DPKG, OVERLAY],
            package::comes_and_goes,
        ),
        trial("the_image_serves_and_is_healthy", &[BUBBLEWRAP], image::serves),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: &str, needs: &'static Needs, test: fn(&Dist)) -> Trial {
    Trial::ignorable_test(name, move || {
        let Some(dist) = Dist::named() else { return Ok(Completion::ignored_with(NEEDS_DIST)) };
        let missing = needs.iter().find(|(tried, _)| !dist::works(tried));
        if let Some((_, why)) = missing {
            return Ok(Completion::ignored_with(format!("NOT TRIED: {why}")));
        }
        test(&dist);
        Ok(Completion::Completed)
    })
}
