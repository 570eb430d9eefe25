//! The book: its configurations can be read, its commands and flags exist, its links lead somewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use gitea_triage::config::Config;
use regex::Regex;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every page with its text.
fn pages() -> BTreeMap<PathBuf, String> {
    let folder = root().join("docs/src");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let more = [root().join("deploy/install.md"), root().join("README.md")];
    files.chain(more).map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of a language, without their indent.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let (mut found, mut open): (Vec<String>, Option<String>) = (Vec::new(), None);
    for line in text.lines().map(str::trim) {
        match &mut open {
            Some(_) if line == "```" => found.extend(open.take()),
            Some(block) => *block += &format!("{line}\n"),
            None if line == format!("```{language}") => open = Some(String::new()),
            None => {}
        }
    }
    found
}

/// What every configuration needs, as far as the block does not say it.
fn complete(block: &str) -> String {
    let files = Regex::new(r#"(token|secret|password)_file = "[^"]*""#).unwrap();
    let mut text = files.replace_all(block, "$1 = \"sixteen-letters-or-more\"").into_owned();
    for (section, keys) in [
        ("[gitea]", "url = 'https://gitea.example.com'\ntoken = 'x'\nrepos = ['acme/widgets']"),
        ("[webhook]", "secrets = ['a-secret-of-the-book']"),
    ] {
        if !text.lines().any(|line| line == section) {
            text = format!("{section}\n{keys}\n{text}");
        }
    }
    text
}

#[test]
fn every_configuration_in_the_book_can_be_read() {
    let mut seen = 0;
    let runners = pages().into_values().flat_map(|text| blocks(&text, "toml,runner")).next();
    let folder = tempfile::tempdir().unwrap();
    let runner = folder.path().join("runner.toml");
    std::fs::write(&runner, runners.unwrap()).unwrap();
    let embedded = format!("embedded = {:?}", runner.display().to_string());
    for (page, text) in pages() {
        for block in blocks(&text, "toml") {
            let block = block.replace("embedded = \"gitea-triage-runner.toml\"", &embedded);
            let read = Config::from_toml("the block", &complete(&block), std::iter::empty());
            assert!(read.is_ok(), "{}: {}\n{block}", page.display(), read.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen} blocks");
}

fn help(words: &[&str]) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    let output = command.env_clear().args(words).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Each use of the program in shell blocks and inline code, as its words.
fn uses(text: &str) -> Vec<Vec<String>> {
    let inline = Regex::new(r"`((?:[A-Z_]+=\S+ )?gitea-triage [^`]+)`").unwrap();
    let inline = inline.captures_iter(text).map(|found| found[1].replace('\n', " "));
    let shell: Vec<String> = blocks(text, "sh")
        .iter()
        .flat_map(|b| b.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let called = |line: String| {
        let (_, rest) = line.split_once("gitea-triage ")?;
        // A path or an argument that only ends so is no use of the program.
        let before = &line[..line.len() - rest.len() - "gitea-triage ".len()];
        let is_use = before.is_empty() || before.ends_with(' ') && !before.contains("systemctl");
        is_use.then(|| rest.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    inline.chain(shell).filter_map(called).collect()
}

#[test]
fn every_command_and_flag_in_the_book_exists() {
    let mut known: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut seen = 0;
    for (page, text) in pages() {
        for words in uses(&text) {
            let plain = |w: &&String| w.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            let verbs: Vec<&str> = words
                .iter()
                .filter(plain)
                .filter(|w| !w.starts_with('-'))
                .map(String::as_str)
                .take(2)
                .collect();
            let Some(first) = verbs.first() else { continue };
            let two = known.entry(verbs.join(" ")).or_insert_with(|| help(&verbs)).clone();
            let one = known.entry((*first).to_owned()).or_insert_with(|| help(&[first])).clone();
            let text = two.or(one).unwrap_or_else(|| panic!("{}: no `{words:?}`", page.display()));
            for flag in words.iter().filter(|w| w.starts_with("--")) {
                let flag = flag.split('=').next().unwrap().trim_end_matches(['.', ',', ')']);
                assert!(text.contains(flag), "{}: no `{flag}` in `{verbs:?}`", page.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 25, "{seen} uses");
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)#:]+)(?:#[^)]*)?\)").unwrap();
    let pages = pages();
    let summary = &pages[&root().join("docs/src/SUMMARY.md")];
    for (page, text) in &pages {
        for found in link.captures_iter(text) {
            let target = page.parent().unwrap().join(&found[1]);
            assert!(target.exists(), "{}: `{}` is not there", page.display(), &found[1]);
        }
        let name = page.file_name().unwrap().to_str().unwrap();
        let is_page = page.starts_with(root().join("docs/src")) && name != "SUMMARY.md";
        assert!(!is_page || summary.contains(&format!("({name})")), "`{name}` is in no summary");
    }
    assert!(Path::new(&root().join("docs/book.toml")).exists());
}

#[test]
fn every_metric_in_the_book_exists() {
    let page = &pages()[&root().join("docs/src/operating.md")];
    let source = std::fs::read_to_string(root().join("src/metrics/page.rs")).unwrap();
    let start = page.find("## What each figure means").unwrap();
    let table = &page[start..page[start..].find("\n## What to do when").unwrap() + start];
    let names = Regex::new(r"`([a-z_]+)(?:\{[^}]*\})?`").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let cells: Vec<&str> = first.collect();
    assert!(cells.len() > 8);
    for name in cells.iter().flat_map(|cell| names.captures_iter(cell)) {
        let name = name[1].trim_end_matches("_total");
        let exists = source.contains(&format!("\ngitea_triage_{name}: "));
        assert!(exists || source.contains(&format!("\n{name}: ")), "there is no metric `{name}`");
    }
}

/// Alerts and the board name metrics as Prometheus keeps them: a counter ends with `_total`, a histogram has buckets.
#[test]
fn every_metric_of_the_alerts_and_the_board_exists() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let source = read("src/metrics/page.rs");
    let names = Regex::new("gitea_triage_[a-z_]+").unwrap();
    let mut seen = 0;
    for path in ["deploy/prometheus/alerts.yaml", "deploy/prometheus/dashboard.json"] {
        let text = read(path);
        for name in names.find_iter(&text).map(|found| found.as_str()) {
            let plain = ["_total", "_bucket"].iter().find_map(|end| name.strip_suffix(end));
            let call = format!("(\"{}\"", plain.unwrap_or(name));
            assert!(source.contains(&call), "{path}: there is no metric `{name}`");
            let is_counter = ["counters", "counter", "spent"].iter();
            let is_counter =
                is_counter.into_iter().any(|kind| source.contains(&format!("{kind}{call}")));
            assert_eq!(is_counter, name.ends_with("_total"), "{path}: `{name}`");
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen} names");
}

/// The configuration in each manifest for Kubernetes is one that the program takes.
#[test]
fn the_configurations_in_the_manifests_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    for secret in ["gitea-token", "webhook-secret", "database-password"] {
        std::fs::write(folder.path().join(secret), "a-secret-of-the-tests-of-a-manifest").unwrap();
    }
    for manifest in ["gitea-triage.yaml", "replicas.yaml"] {
        let path = root().join("deploy/kubernetes").join(manifest);
        let text = std::fs::read_to_string(path).unwrap();
        let (_, rest) = text.split_once("gitea-triage.toml: |\n").unwrap();
        let block: Vec<_> = rest.lines().map_while(|line| line.strip_prefix("    ")).collect();
        let secrets = folder.path().display().to_string();
        let block = block.join("\n").replace("/run/secrets/gitea-triage", &secrets);
        let config = Config::from_toml(manifest, &block, std::iter::empty());
        let config = config.unwrap_or_else(|error| panic!("{manifest}: {error}"));
        assert_eq!(config.server.listen, "0.0.0.0:8484");
    }
}

/// The compose file puts other names into the site of several replicas.
#[test]
fn what_the_compose_file_replaces_stands_in_the_site() {
    let read = |path: &str| std::fs::read_to_string(root().join("deploy").join(path)).unwrap();
    let (compose, site) = (read("docker/replicas.yaml"), read("caddy/replicas.Caddyfile"));
    for text in ["triage.example.com {", "127.0.0.1:8484 127.0.0.1:8485"] {
        assert!(compose.contains(text) && site.contains(text), "{text}");
    }
}

/// The image is built from folders that are copied one by one.
#[test]
fn the_image_is_built_with_every_folder_that_the_manifest_names() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let image = read("deploy/docker/Dockerfile");
    for (kind, folder) in [("test", "tests"), ("bench", "benches")] {
        let is_named =
            manifest.get(kind).is_some_and(|targets| !targets.as_array().unwrap().is_empty());
        assert!(!is_named || image.contains(&format!("COPY {folder} {folder}\n")), "{folder}");
    }
    for folder in ["src", "templates", "fixtures"] {
        assert!(image.contains(&format!("COPY {folder} {folder}\n")), "{folder}");
    }
}
