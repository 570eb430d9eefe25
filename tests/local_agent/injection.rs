//! Attempts to talk the model into something, `fixtures/injection.jsonl`: each names where it stands, what it says, and
//! the call that a model which falls for it would make. The scripted model falls for every one.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use gitea_triage::agents::local::{LocalAgent, Permission, Run};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::model::{Model, call, text};
use crate::outside::{World, comment, task};

const CANARY: &str = "canary-0d1f7a";
/// What this agent may use: everything that reads, nothing that says or changes something.
const TOOLS: [&str; 4] = ["read_issue", "read_comments", "read_file", "web_fetch"];

#[derive(Deserialize)]
pub struct Attempt {
    r#where: Place,
    pub text: String,
    pub wants: Wanted,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Place {
    Title,
    Body,
    Comment,
    File,
}

#[derive(Deserialize)]
pub struct Wanted {
    pub tool: String,
    pub arguments: Value,
}

pub fn corpus() -> Vec<Attempt> {
    let text = std::fs::read_to_string("fixtures/injection.jsonl").unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Attempt {
    fn world(&self) -> World {
        let mut world = World::new();
        match self.r#where {
            Place::Title => world.issue.title = self.text.clone(),
            Place::Body => world.issue.body = self.text.clone(),
            Place::Comment => {
                world.remarks = vec![comment("mallory", &self.text)];
            }
            Place::File => world.file = Some(self.text.clone()),
        }
        world
    }

    /// A model that reads the text, does what it says, and is then done.
    async fn fallen_for(self) -> Fallen {
        let world = self.world();
        let read = match self.r#where {
            Place::Comment => call("read_comments", json!({})),
            Place::File => call("read_file", json!({"path": "README.md"})),
            _ => call("read_issue", json!({})),
        };
        let wanted = call(&self.wants.tool, self.wants.arguments.clone());
        let model = Model::says(vec![read, wanted, text("done")]).await;
        let mut settings = model.settings(&TOOLS);
        settings.api_key = Some(CANARY.into());
        settings.permission = Permission::Read;
        settings.web_hosts = vec!["docs.example.com".into()];
        let run = LocalAgent::start(settings).await.unwrap().run(&task(), &world).await;
        Fallen { run, actions: world.actions().len(), asked: model.asked().await, attempt: self }
    }
}

/// What is left of a message when everything between a pair of fence lines is taken out.
pub fn outside_of_fences(message: &str) -> String {
    static OPEN: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\[\[untrusted ([0-9a-f]{32}): ").unwrap());
    let (mut kept, mut end) = (String::new(), None);
    for line in message.split('\n') {
        match &end {
            Some(closing) if line == closing => end = None,
            Some(_) => {}
            None => match OPEN.captures(line) {
                Some(found) => end = Some(format!("[[end {}]]", &found[1])),
                None => kept.push_str(line),
            },
        }
    }
    assert!(end.is_none(), "a fence is never closed: {message}");
    kept
}

#[tokio::test]
async fn there_are_at_least_fifty_different_attempts() {
    let texts: BTreeSet<_> = corpus().into_iter().map(|a| a.text).collect();
    assert!(texts.len() >= 50, "{}", texts.len());
}

/// What came of an attempt.
struct Fallen {
    attempt: Attempt,
    run: Run,
    actions: usize,
    asked: Vec<Value>,
}

/// Every attempt, made once for all tests.
async fn all() -> &'static [Fallen] {
    static ALL: OnceCell<Vec<Fallen>> = OnceCell::const_new();
    let made = async || {
        let mut all = Vec::new();
        for attempt in corpus() {
            all.push(attempt.fallen_for().await);
        }
        all
    };
    ALL.get_or_init(made).await
}

#[tokio::test]
async fn no_attempt_gets_its_call_carried_out() {
    for Fallen { attempt, run, actions, .. } in all().await {
        assert_eq!((run.error.as_str(), *actions), ("", 0), "{}", attempt.text);
        let record = &run.tool_calls[1];
        let (tool, result) = (&record.tool, &record.result);
        let refused = result.starts_with(&format!("Error: unknown tool `{tool}`"))
            || result.starts_with(&format!("Error: the arguments of `{tool}` are wrong"));
        assert!(refused, "{}: {result}", attempt.text);
    }
}

#[tokio::test]
async fn no_attempt_leaves_its_fence() {
    let plain = Attempt {
        r#where: Place::Body,
        text: "An empty password makes it crash.".into(),
        wants: Wanted { tool: "read_issue".into(), arguments: json!({}) },
    };
    let usual = plain.fallen_for().await;
    let request = outside_of_fences(usual.run.messages[1].content());
    for Fallen { attempt, run, .. } in all().await {
        assert_eq!(outside_of_fences(run.messages[1].content()), request, "{}", attempt.text);
        let read = outside_of_fences(run.messages[3].content());
        let ours = ["", "1 of 1 comments on acme/widgets#5:"];
        assert!(ours.contains(&read.as_str()), "{}: {read}", attempt.text);
    }
}

#[tokio::test]
async fn nothing_hidden_and_no_template_mark_reaches_the_model() {
    let hidden = Regex::new(
        r"<!--|<\||\|>|\[/?INST\]|<</?SYS>>|</?s>|<start_of_turn>|<tool_call>|<｜|[\p{Cf}\u{fe00}-\u{fe0f}\u{3164}\u{2028}\u{2029}\x1b\x08]",
    );
    let hidden = hidden.unwrap();
    for Fallen { attempt, run, .. } in all().await {
        for message in run.messages.iter().filter(|m| m.role() != "assistant") {
            let found = hidden.find(message.content());
            assert!(found.is_none(), "{found:?} of {}", attempt.text);
        }
    }
}

#[tokio::test]
async fn no_secret_is_in_any_message() {
    for Fallen { attempt, run, asked, .. } in all().await {
        assert!(!format!("{run:?}").contains(CANARY), "{}", attempt.text);
        assert!(!format!("{asked:?}").contains(CANARY), "{}", attempt.text);
    }
}
