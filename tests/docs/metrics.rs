//! The metrics that the book, the alerts and the board name.

use regex::Regex;

use crate::book::{pages, root};

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
