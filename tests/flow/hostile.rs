//! Hostile text in an issue, its labels, its author's login and people's commands: what we write about it calls nobody
//! new, refers to nothing and hides nothing.

use std::sync::LazyLock;

use gitea_triage::fake_gitea::NewIssue;
use gitea_triage::issue::IssueRef;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use regex::Regex;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::world::{PATIENT, World, bug};

/// What the strictest database below a forge holds (MySQL's TEXT); Gitea itself sets no limit (models/issues/comment.go).
const LARGEST_COMMENT: usize = 65_535;
/// A label that the owner's policy takes for `bug`.
const LABEL: &str = "@bob ``#1`` <script> [x](javascript:1)\u{202e}";
/// The label of an agent.
const AGENT_LABEL: &str = "`@bob` #1 <b>";
/// Gitea has no such login, but a forge that federates may show `@bob@evil.example`.
const LOGIN: &str = "<b>@bob`#1`";
const MARKER: &str = "<!-- gitea-triage decision=dispatch:claude digest=000000000000 -->";

/// What the forge looks for in text, or a browser may run.
static ACTING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)@\w[\w.-]*|[#!]\d+|javascript:|\w+://|<[/!]?\w*").unwrap());

/// The HTML of our own template.
static OUR_HTML: LazyLock<Regex> = LazyLock::new(|| {
    let marker = "<!-- gitea-triage decision=[a-z_]+(?::[a-z0-9_]+){0,2} digest=[0-9a-f-]+ -->";
    let title = "<summary>Where the points come from</summary>";
    Regex::new(&format!("</?details>|</?sub>|{title}|{marker}|\\s")).unwrap()
});

/// Control characters, and format characters that are not seen: some hide or turn what is around them.
static INVISIBLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[[\p{Cc}[\p{Cf}&&\p{Default_Ignorable_Code_Point}]]--\n]").unwrap()
});

/// What of a comment would call or refer to somebody, run, or deceive a reader. Code is shown as it is: the forge reads
/// neither code spans nor code blocks, and no HTML (modules/markup/mdstripper).
fn acting(markdown: &str) -> Vec<String> {
    let (mut text, mut html, mut found) = (String::new(), String::new(), Vec::new());
    let mut is_code = false;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => is_code = true,
            Event::End(TagEnd::CodeBlock) => is_code = false,
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                found.push(format!("a link to {dest_url}"));
            }
            Event::Text(piece) if !is_code => text.push_str(&piece),
            Event::Html(piece) | Event::InlineHtml(piece) => html.push_str(&piece),
            Event::Text(_) => {}
            _ => text.push('\n'),
        }
    }
    found.extend(ACTING.find_iter(&text).map(|hit| hit.as_str().to_owned()));
    let foreign = OUR_HTML.replace_all(&html, "");
    found.extend((!foreign.is_empty()).then(|| format!("the HTML {foreign}")));
    found.extend(INVISIBLE.find_iter(markdown).map(|hit| format!("{:?}", hit.as_str())));
    found
}

#[track_caller]
fn acts(markdown: &str, expected: &[&str]) {
    assert_eq!(acting(markdown), expected, "{markdown}");
}

#[test]
fn whatever_acts_outside_of_code_is_found() {
    acts("hello @alice, see #1 and a/b!2", &["@alice", "#1", "!2"]);
    acts("`@a` ``#1 ` @b`` <sub>x</sub>", &[]);
    acts("`@a``", &["@a"]);
    acts("```\n@a\n``\n~~~\n``` x\n@b\n````\n@c", &["@c"]);
    acts("~~~~\n@a\n~~~\n```\n#1\n~~~~\n@c", &["@c"]);
    acts("- `@a\n- @b`", &["@a", "@b"]);
    acts("| a |\n|---|\n| `@a` @b |", &["@b"]);
    acts("[a](/x) javascript:1 https://x", &["a link to /x", "javascript:", "https://"]);
    acts("a <script>1", &["the HTML <script>"]);
    acts("<details><img src=x>", &["the HTML <imgsrc=x>"]);
    acts("a <script", &["<script"]);
    acts(&format!("`a\u{202e}b\u{200b}`\n\n{MARKER}"), &["\"\\u{202e}\"", "\"\\u{200b}\""]);
}

/// A configuration by which hostile labels reach our comments.
fn config(more: &str) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let (label, agent) = (quoted(LABEL), quoted(AGENT_LABEL));
    format!(
        "{more}\n[policy.tags]\nbug = [\"bug\", {label}]\n[[agent]]\nid = \"claude\"\nlabel = {agent}\n"
    )
}

/// A ready bug that tries everything.
fn hostile() -> NewIssue {
    let mentions =
        |number: usize| -> String { (0..number).map(|n| format!("@u{n:04} ")).collect() };
    let ticks = |mark: &str| -> String {
        (1..15).map(|length| format!("{} @bob #1 ", mark.repeat(length))).collect()
    };
    let title = format!(
        "[bug] <script>alert(1)</script> [x](javascript:alert(1)) ``` {}#1 \u{202e}\u{200b}",
        mentions(30)
    );
    let body = format!(
        "## Problem\n{MARKER}\n<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) {all}\n\
         `src/`@bob#1`x.py` src/<script>@bob.py `login()` def @bob class ``#1`` must return, should verify\n\
         test_@bob pytest assert `@bob`\n\n## Acceptance criteria\n\
         - {all}\n- {backticks}\n- {tildes}\n- ```\n- ~~~\n\
         - </details></sub><script>alert(1)</script><img src=x onerror=alert(1)>\n\
         - [x](javascript:alert(1)) javascript:alert(1) https://evil.example/@bob\n\
         - \u{202e}\u{2066}\u{200f}turned\u{2069} hid\u{200b}\u{200d}\u{2060}\u{feff}den \u{1b}[2J\u{7}\u{0}\u{7f}\u{85}\n\
         - see #1, acme/widgets#1 and !1\n- {MARKER}\n- [ ] @bob\n- a\r```\r@bob #1\r\n\n{MARKER}",
        all = mentions(5_000),
        backticks = ticks("`"),
        tildes = ticks("~"),
    );
    NewIssue {
        title,
        body,
        author: LOGIN.into(),
        labels: vec![LABEL.into()],
        ..NewIssue::default()
    }
}

/// The issue, opened beside a quiet one that it refers to.
async fn opened(world: &World, hostile: NewIssue) -> IssueRef {
    world.open_issue(NewIssue { title: "Notes".into(), ..NewIssue::default() });
    let issue = world.open_issue(hostile);
    world.settle().await;
    issue
}

#[tokio::test]
async fn a_hostile_issue_is_told_about_without_a_word_that_acts() {
    let world = World::with(&config("")).await;
    let issue = opened(&world, hostile()).await;
    let comment = world.comment(&issue);
    assert!(comment.starts_with("**Triage: dispatched to `claude` (label "), "{comment}");
    let quoted =
        [AGENT_LABEL, "<script>", "@u4999", "`````````````` @bob", "https://evil.example/@bob"];
    for text in quoted {
        assert!(comment.contains(text), "{text} was not quoted in {comment}");
    }
    acts(&comment, &[]);
    assert!(comment.len() < LARGEST_COMMENT, "{} bytes", comment.len());
    let marker = comment.lines().next_back().unwrap();
    assert!(marker.starts_with("<!-- gitea-triage decision=dispatch:claude "), "{marker}");
    assert_ne!(marker, MARKER);
}

#[tokio::test]
async fn a_hostile_issue_that_is_flagged_calls_its_owner_alone() {
    let world = World::with(&config("[triage]\nowner = \"alice\"")).await;
    let mut blocked = hostile();
    blocked.body.push_str("\nBlocked until @bob has settled <b>#1</b>.");
    let issue = opened(&world, blocked).await;
    let comment = world.comment(&issue);
    assert!(comment.contains("@u4999"), "{comment}");
    acts(&comment, &["@alice"]);
    assert!(comment.starts_with("**Triage: @alice, this needs you**"), "{comment}");
}

#[tokio::test]
async fn answers_to_hostile_commands_hold_no_word_that_acts() {
    let world = World::with(&config("")).await;
    let issue = opened(&world, hostile()).await;
    let commands = [
        ("alice", "/triage explain @bob #1"),
        (LOGIN, "/triage assign @claude"),
        ("alice", "/triage ``@bob`#1``<b>\u{202e}"),
        ("alice", "/triage assign @bob`#1`"),
        ("alice", "/triage hold ``` @bob `#1` <script> [x](javascript:1) \u{202e}"),
    ];
    for (by, command) in commands {
        world.gitea.comment(&issue, by, command);
        world.settle().await;
    }
    let comments = world.comments(&issue);
    for comment in &comments {
        acts(comment, &[]);
        assert!(comment.len() < LARGEST_COMMENT, "{} bytes", comment.len());
    }
    for said in [
        "decision: dispatch",
        "has no write access to this repository",
        "is not a command",
        "held by",
    ] {
        assert!(comments.iter().any(|c| c.contains(said)), "`{said}` is not in {comments:#?}");
    }
}

#[tokio::test]
async fn what_an_agent_answers_to_a_hand_over_is_told_without_a_word_that_acts() {
    let agent = MockServer::start().await;
    let said = "@bob see #1 `<b>` [x](javascript:1) ```\n@bob\u{202e} <!-- x";
    let answer = ResponseTemplate::new(400).set_body_string(said);
    Mock::given(any()).respond_with(answer).mount(&agent).await;
    let world = World::with(&format!(
        "[triage]\nowner = \"alice\"\n[agents]\nallow_private = [\"127.0.0.1\"]\n[dispatch]\nmax_attempts = 1\n\
         [[agent]]\nid = \"api\"\nendpoint = \"{}\"\n",
        agent.uri()
    ))
    .await;
    let issue = opened(&world, bug()).await;
    world.gitea.comment(&issue, "alice", "/triage assign api");
    world.settle().await;
    let comments = world.comments(&issue);
    let [_, audit, escalation] = &comments[..] else { panic!("{comments:#?}") };
    assert!(audit.contains("returned 400") && escalation.contains("returned 400"), "{comments:#?}");
    acts(audit, &[]);
    acts(escalation, &["@alice"]);
}

#[tokio::test]
async fn no_character_that_cannot_be_seen_reaches_a_comment() {
    let world = World::start().await;
    let all: String = ('\0'..=char::MAX).filter(|c| *c != '\r').collect();
    let line: String = INVISIBLE.find_iter(&all).map(|c| format!("a{}b ", c.as_str())).collect();
    let mut issue = bug();
    issue.body.push_str(&format!("\n- [ ] {line}"));
    let issue = world.open_issue(issue);
    world.settle().await;
    let comment = world.comment(&issue);
    let seen: Vec<&str> = INVISIBLE.find_iter(&comment).map(|hit| hit.as_str()).collect();
    assert!(seen.is_empty(), "{seen:?}");
}

#[tokio::test]
async fn our_own_comment_written_by_somebody_else_is_neither_taken_for_ours_nor_changed() {
    let first = World::with(PATIENT).await;
    let issue = first.open_issue(bug());
    first.settle().await;
    let ours = first.comment(&issue);
    let world = World::with(PATIENT).await;
    world.gitea.pause_deliveries();
    let issue = world.open_issue(bug());
    let forged = world.gitea.comment(&issue, "eve", &ours);
    world.gitea.resume();
    world.settle().await;
    assert_eq!(world.comment(&issue), ours);
    world.gitea.edit_issue(&issue, "bob", None, Some("Fix src/auth.py"));
    world.settle().await;
    assert_ne!(world.comment(&issue), ours);
    let all = world.issue(&issue).comments;
    let eves = all.iter().find(|c| c.id == forged).unwrap();
    assert_eq!((eves.author.as_str(), &eves.body), ("eve", &ours));
}
