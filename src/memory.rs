//! How much memory the process may use: what its control group allows, or what the machine has.

use std::path::{Path, PathBuf};
use std::{fs, iter};

/// Taken when nobody says, and the most that is planned with: more than this is never needed.
const USUAL: u64 = 256 * 1024 * 1024;
/// Below this nothing runs anyway.
const LEAST: u64 = 48 * 1024 * 1024;

/// What this process may use, in bytes; planned with, not enforced.
pub fn limit() -> u64 {
    let of = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let groups = groups(&of("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"));
    let limits = groups.iter().filter_map(|file| parse_limit(&fs::read_to_string(file).ok()?));
    let machine = parse_machine(&of("/proc/meminfo"));
    limits.chain(machine.map(|total| total / 2)).chain([USUAL]).min().unwrap_or(USUAL).max(LEAST)
}

/// The files with the limits of a control group and of those above it: of version 2 `memory.max` and `memory.high`, of
/// version 1 `memory.limit_in_bytes`. In a container the group's own path may not be there, but its root is.
fn groups(cgroup: &str, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in cgroup.lines() {
        let Some((controllers, path)) = line.split_once(':').and_then(|(_, l)| l.split_once(':'))
        else {
            continue;
        };
        let (base, names): (_, &[_]) = match controllers {
            "" => (root.to_owned(), &["memory.max", "memory.high"]),
            list if list.split(',').any(|one| one == "memory") => {
                (root.join("memory"), &["memory.limit_in_bytes"])
            }
            _ => continue,
        };
        let own = base.join(path.trim_start_matches('/'));
        let above = iter::successors(Some(own.as_path()), |folder| folder.parent());
        let folders = above.take_while(|folder| folder.starts_with(&base));
        files.extend(folders.flat_map(|folder| names.iter().map(move |name| folder.join(name))));
    }
    files
}

/// A number, unless it is `max` or version 1's way to say that there is none.
fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit > 0 && *limit < 1 << 60)
}

fn parse_machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn limited(cgroup: &str, files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let files = groups(cgroup, root.path());
        files.iter().filter_map(|file| parse_limit(&fs::read_to_string(file).ok()?)).min()
    }

    #[test]
    fn the_lowest_limit_of_the_group_and_those_above_it_counts() {
        let group = "0::/system.slice/gitea-triage.service\n";
        let (own, above) = ("system.slice/gitea-triage.service", "system.slice");
        let max = format!("{own}/memory.max");
        let high = format!("{own}/memory.high");
        let slice = format!("{above}/memory.max");
        assert_eq!(limited(group, &[(&max, "536870912\n")]), Some(512 << 20));
        assert_eq!(
            limited(group, &[(&max, "536870912\n"), (&high, "268435456\n")]),
            Some(256 << 20)
        );
        assert_eq!(limited(group, &[(&max, "max\n"), (&slice, "134217728\n")]), Some(128 << 20));
        assert_eq!(limited(group, &[(&max, "max\n"), (&high, "max\n")]), None);
    }

    #[test]
    fn a_container_sees_its_limit_at_the_root() {
        assert_eq!(limited("0::/\n", &[("memory.max", "268435456\n")]), Some(256 << 20));
        let gone = "0::/../../kubepods/pod7\n";
        assert_eq!(limited(gone, &[("memory.max", "268435456\n")]), Some(256 << 20));
    }

    #[test]
    fn version_1_names_its_file_otherwise() {
        let groups = "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n";
        let own = "memory/docker/abc/memory.limit_in_bytes";
        let root = "memory/memory.limit_in_bytes";
        assert_eq!(limited(groups, &[(own, "268435456\n")]), Some(256 << 20));
        assert_eq!(limited(groups, &[(root, "268435456\n")]), Some(256 << 20));
        assert_eq!(limited(groups, &[(own, "9223372036854771712\n")]), None);
    }

    #[test]
    fn without_a_group_it_is_a_share_of_the_machine_within_bounds() {
        assert_eq!(parse_machine("MemTotal:        1000 kB\nMemFree: 1 kB\n"), Some(1_024_000));
        assert_eq!(parse_machine(""), None);
        assert!((LEAST..=USUAL).contains(&limit()));
    }
}
