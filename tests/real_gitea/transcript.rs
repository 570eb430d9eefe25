//! What can be seen on a server after a story, as text that is the same wherever the same happened: numbers,
//! addresses and times that differ from run to run are replaced.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regex::Regex;
use serde_json::Value;

use crate::forge::{Asked, BOT, REPO};
use crate::person::Person;
use crate::triage::Delivery;
use crate::world::{World, names};

/// Everything there is to compare, `last` being the highest number of an issue.
pub async fn transcript(world: &World, inbox: &[Delivery], last: u64) -> String {
    let reader = world.forge.person("alice");
    let asked = world.forge.asked_by(BOT).await;
    let mut text = String::new();
    for label in reader.get(&format!("{REPO}/labels?limit=50")).await.as_array().unwrap() {
        let (name, color) = (&label["name"], &label["color"]);
        let _ = writeln!(text, "label {name} {color} {}", label["description"]);
    }
    lines(&mut text, "write", written(&asked, None));
    lines(&mut text, "refused", refused(&asked));
    for number in 1..=last {
        let _ = writeln!(text, "\n== issue {number}");
        show_issue(&mut text, &reader, number).await;
        lines(&mut text, "write", written(&asked, Some(number)));
        lines(&mut text, "delivery", ends(inbox, number));
    }
    let _ = writeln!(text, "\n== elsewhere");
    let elsewhere = inbox.iter().filter(|d| !(1..=last).any(|n| d.is_about(n)));
    lines(&mut text, "delivery", elsewhere.map(end).collect());
    let mut sent: BTreeMap<String, u32> = BTreeMap::new();
    for one in world.forge.sent() {
        let status = one.status.unwrap_or_default();
        *sent.entry(format!("{} {status}", one.event)).or_default() += 1;
    }
    lines(&mut text, "sent", sent.iter().map(|(what, times)| format!("{what}: {times}")).collect());
    normal(&text, &[world.forge.url(), world.triage.webhook().replace("/webhook", "")])
}

/// Where two transcripts differ, part by part, or nothing.
pub fn difference(real: &str, fake: &str) -> Option<String> {
    if real == fake {
        return None;
    }
    let parts = |text: &str| text.split("\n== ").map(str::to_owned).collect::<Vec<_>>();
    let (real, fake) = (parts(real), parts(fake));
    let mut text = format!("{} and {} parts", real.len(), fake.len());
    for (real, fake) in real.iter().zip(&fake).filter(|(real, fake)| real != fake) {
        let _ = write!(text, "\n== {}", real.lines().next().unwrap_or_default());
        let only = |here: &str, there: &str, name: &str| {
            let lines = here.lines().filter(|line| !there.lines().any(|other| other == *line));
            lines.map(|line| format!("\n{name}: {line}")).collect::<String>()
        };
        let lines = only(real, fake, "real") + &only(fake, real, "fake");
        text += if lines.is_empty() { "\nthe same lines in another order" } else { &lines };
    }
    Some(text)
}

fn lines(text: &mut String, what: &str, lines: Vec<String>) {
    for line in lines {
        let _ = writeln!(text, "{what} {line}");
    }
}

async fn show_issue(text: &mut String, reader: &Person, number: u64) {
    let path = format!("{REPO}/issues/{number}");
    let Some(issue) = reader.find(&path).await else {
        let _ = writeln!(text, "gone");
        return;
    };
    let _ = writeln!(
        text,
        "{} by {}, {}, labels {:?}, assignees {:?}, {} comments",
        issue["title"],
        issue["user"]["login"],
        issue["state"],
        names(&issue["labels"], "name"),
        names(&issue["assignees"], "login"),
        issue["comments"],
    );
    for comment in reader.get(&format!("{path}/comments")).await.as_array().unwrap() {
        let body = comment["body"].as_str().unwrap();
        let _ = writeln!(text, "-- comment by {}:\n{body}\n--", comment["user"]["login"]);
    }
    // What different people do at the same time may be told in either order.
    let mut by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let timeline = reader.get(&format!("{path}/timeline")).await;
    for entry in timeline.as_array().map(Vec::as_slice).unwrap_or_default() {
        by.entry(entry["user"]["login"].to_string()).or_default().push(told(entry));
    }
    for (login, entries) in by {
        let _ = writeln!(text, "timeline of {login}: {}", entries.join(", "));
    }
}

/// One entry of a timeline: its kind and what it is about.
fn told(entry: &Value) -> String {
    let kind = entry["type"].as_str().unwrap_or_default();
    let about = match kind {
        // In Gitea's words: a `body` of "1" says that the label was added.
        "label" => format!(" {}{}", entry["body"], entry["label"]["name"]),
        "assignees" => {
            format!(" {} {}", entry["removed_assignee"], entry["assignee"]["login"])
        }
        _ => String::new(),
    };
    format!("{kind}{about}")
}

/// Our writes to one issue, or to the repository itself, in their order.
fn written(asked: &[Asked], number: Option<u64>) -> Vec<String> {
    let issue = Regex::new(r"/issues/(\d+)").unwrap();
    let place = |path: &str| issue.captures(path).map(|c| c[1].parse::<u64>().unwrap());
    let here = asked.iter().filter(|r| r.method != "GET" && place(&r.path) == number);
    here.map(|r| format!("{} {} {}", r.method, r.path, r.status)).collect()
}

/// What we asked for in vain, each once.
fn refused(asked: &[Asked]) -> Vec<String> {
    let mut all: Vec<_> = asked
        .iter()
        .filter(|r| r.status >= 300)
        .map(|r| format!("{} {} {}", r.method, r.path, r.status))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// How the deliveries about one issue ended. Sorted: batches of Gitea's queue may overtake each other.
fn ends(inbox: &[Delivery], number: u64) -> Vec<String> {
    let mut ends: Vec<_> = inbox.iter().filter(|d| d.is_about(number)).map(end).collect();
    ends.sort();
    ends
}

fn end(delivery: &Delivery) -> String {
    let reason = delivery.reason.as_deref().unwrap_or_default();
    let Delivery { origin, action, state, .. } = delivery;
    let action = action.as_deref().unwrap_or_default();
    format!("{origin} {action}: {state} {reason}").trim_end().to_owned()
}

fn normal(text: &str, urls: &[String]) -> String {
    let mut text = text.replace("https://gitea.example.com", "<gitea>");
    for (url, name) in urls.iter().zip(["<gitea>", "<triage>"]) {
        text = text.replace(url, name);
    }
    let patterns = [
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uuid>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
        (r"/comments/\d+", "/comments/<id>"),
        // A deadline, and what is made from it.
        (r"until \d{4}-\d\d-\d\d \d\d:\d\d UTC", "until <time>"),
        (r"digest=[0-9a-f]{12}", "digest=<digest>"),
    ];
    for (pattern, name) in patterns {
        text = Regex::new(pattern).unwrap().replace_all(&text, name).into_owned();
    }
    text
}
