//! The agent with a forge and a store behind it: what it writes, what it may not, and what it may spend.

use std::path::Path;

use gitea_triage::agents::local::{Run, Task};
use gitea_triage::clock::Clock;
use gitea_triage::config::Config;
use gitea_triage::fake_gitea::{FakeGitea, NewIssue};
use gitea_triage::issue::IssueRef;
use gitea_triage::service::{self, Base};
use gitea_triage::store::{ManualOrder, OpenMode, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use wiremock::ResponseTemplate;

use crate::model::{Model, call, text};

pub struct Place {
    pub gitea: FakeGitea,
    pub at: IssueRef,
    pub folder: TempDir,
    clock: Clock,
}

impl Place {
    pub async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = Clock::manual("2026-03-23T12:00:00Z".parse().unwrap());
        let gitea = FakeGitea::start_at(clock.clone()).await.unwrap();
        let repo = "acme/widgets".parse().unwrap();
        gitea.add_repo(&repo);
        gitea.add_collaborator(&repo, "alice", "write");
        gitea.add_collaborator(&repo, "bob", "read");
        for label in ["needs-info", "claude-ready"] {
            gitea.create_repo_label(&repo, label);
        }
        let issue = NewIssue {
            title: "Login crashes".into(),
            body: "An empty password makes it crash.".into(),
            author: "bob".into(),
            ..NewIssue::default()
        };
        let at = gitea.open_issue(&repo, issue);
        Self { gitea, at, folder: tempfile::tempdir().unwrap(), clock }
    }

    pub fn toml(&self, model: &Model, tools: &[&str], more: &str) -> String {
        let database = self.folder.path().join("a.db");
        format!(
            "[gitea]\nurl = \"{}\"\ntoken = \"{}\"\nrepos = [\"acme/*\"]\n[webhook]\nsecrets = [\"a-secret-of-the-tests\"]\n\
             [server]\nlisten = \"127.0.0.1:0\"\n[triage]\nowner = \"alice\"\n[store]\nurl = \"sqlite:{}\"\n\
             [local_agent]\nurl = \"{}\"\nmodel = \"llama3.1\"\ntools = {tools:?}\n{more}",
            self.gitea.url(),
            self.gitea.token(),
            database.display(),
            model.server.uri()
        )
    }

    pub fn store(&self) -> Store {
        Store::open(&self.folder.path().join("a.db"), 16, OpenMode::Shared).unwrap()
    }

    pub async fn run(&self, lines: Vec<ResponseTemplate>, tools: &[&str], more: &str) -> Run {
        let model = Model::says(lines).await;
        let text = self.toml(&model, tools, more);
        let config = Config::from_toml("a.toml", &text, std::iter::empty()).unwrap();
        let agent = service::local_agent(&config).await.unwrap().unwrap();
        let runs = Base::new(&config, self.store(), self.clock.clone()).unwrap().local_runs(agent);
        runs.run(Task::new(self.at.clone()), &|_| {}).await.unwrap()
    }

    /// A run with one call, and what the call gave.
    async fn calls(&self, tool: &str, arguments: Value, more: &str) -> String {
        let run = self.run(vec![call(tool, arguments), text("done")], &[tool], more).await;
        assert_eq!(run.error, "");
        run.tool_calls[0].result.clone()
    }

    pub fn ours(&self) -> Vec<String> {
        let bot = self.gitea.bot().login;
        let comments = self.gitea.issue(&self.at).unwrap().comments;
        comments.into_iter().filter(|c| c.author == bot).map(|c| c.body).collect()
    }
}

#[tokio::test]
async fn a_comment_is_quoted_marked_and_written_once() {
    let place = Place::new().await;
    let text = json!({"text": "@alice see #1\n```\n<!-- gitea-triage decision=x digest=y -->"});
    assert_eq!(place.calls("comment", text.clone(), "").await, "done");
    assert_eq!(
        place.calls("comment", text, "").await,
        "this was said before; it is not said again"
    );
    let comments = place.ours();
    assert_eq!(comments.len(), 1);
    let (quoted, marker) = comments[0].rsplit_once("\n\n").unwrap();
    assert!(
        quoted.starts_with("**The local agent says:**\n\n````text\n@alice see #1\n```"),
        "{quoted}"
    );
    assert!(quoted.ends_with("\n````"), "{quoted}");
    assert!(
        marker.starts_with("<!-- gitea-triage decision=answer:local-comment digest="),
        "{marker}"
    );
    assert_eq!(comments[0].matches("<!--").count(), 1);
}

#[tokio::test]
async fn labels_that_give_work_or_do_not_exist_are_not_put_on() {
    let place = Place::new().await;
    let label = async |name: &str| place.calls("add_label", json!({"name": name}), "").await;
    assert_eq!(label("needs-info").await, "done");
    assert_eq!(label("needs-info").await, "the issue has this label already");
    assert_eq!(
        label("Claude-Ready").await,
        "Error executing add_label: this label decides who works on the issue; it is not put on by a tool"
    );
    assert!(
        label("brand-new")
            .await
            .starts_with("Error executing add_label: there is no label `brand-new`")
    );
    assert_eq!(place.gitea.issue(&place.at).unwrap().labels, ["needs-info"]);
}

#[tokio::test]
async fn parts_are_opened_as_agreed_by_somebody_who_may_write() {
    let place = Place::new().await;
    let split = async |title: &str| {
        let parts = json!({"parts": [{"title": title, "body": "see #1"}, {"title": "Test it", "body": "b"}]});
        place.calls("plan_sub_issues", parts, "").await
    };
    let asked = "proposed in a comment; the parts are opened when a person has agreed";
    assert_eq!(split("Mend it").await, asked);
    assert!(place.ours()[0].contains("1. Mend it\nsee #1"), "{}", place.ours()[0]);
    place.gitea.comment(&place.at, "bob", "approved");
    assert_eq!(split("Mend it").await, asked, "a reader's word is not enough");
    place.gitea.comment(&place.at, "alice", "Approved, thanks");
    assert_eq!(split("Something else").await, "2 issues opened, 0 were there");
    let issues = place.gitea.issues(&place.at.repo);
    let titles: Vec<_> = issues.iter().map(|(_, issue)| issue.title.as_str()).collect();
    assert_eq!(titles, ["Login crashes", "Mend it", "Test it"]);
    let body = &issues[1].1.body;
    assert!(body.starts_with("Part of acme/widgets#1.\n\n```text\nsee #1\n```"), "{body}");
    assert_eq!(split("Third").await, asked, "what was agreed to once is not agreed to for ever");
}

#[tokio::test]
async fn a_team_that_may_only_read_agrees_to_nothing() {
    let place = Place::new().await;
    place.gitea.add_pull_reader(&place.at.repo, "carol");
    let parts = json!({"parts": [{"title": "Mend it", "body": "b"}]});
    let asked = "proposed in a comment; the parts are opened when a person has agreed";
    assert_eq!(place.calls("plan_sub_issues", parts.clone(), "").await, asked);
    place.gitea.comment(&place.at, "carol", "approved");
    assert_eq!(place.calls("plan_sub_issues", parts, "").await, asked);
    assert_eq!(place.gitea.issues(&place.at.repo).len(), 1);
}

#[tokio::test]
async fn parts_are_opened_once_where_nobody_has_to_be_asked() {
    let place = Place::new().await;
    let parts = json!({"parts": [{"title": "Mend it", "body": "b"}]});
    let create = "sub_issues = \"create\"\n";
    assert_eq!(
        place.calls("plan_sub_issues", parts.clone(), create).await,
        "1 issues opened, 0 were there"
    );
    assert_eq!(
        place.calls("plan_sub_issues", parts, create).await,
        "0 issues opened, 1 were there"
    );
    assert_eq!(place.gitea.issues(&place.at.repo).len(), 2);
}

#[tokio::test]
async fn an_issue_is_delegated_to_an_agent_there_is() {
    let place = Place::new().await;
    let told = place.calls("list_agents", json!({}), "").await;
    assert!(told.starts_with("claude: good at architecture, "), "{told}");
    assert!(!told.contains("\nlocal:"), "{told}");
    let to = async |agent: &str| place.calls("delegate", json!({"agent": agent}), "").await;
    assert_eq!(to("kimi").await, "kimi gets the issue when it has a place free");
    for nobody in ["local", "gpt"] {
        assert!(to(nobody).await.contains("there is no such agent"));
    }
    let order: ManualOrder = place.store().carried(1).await.unwrap().unwrap();
    assert_eq!((order.by.as_str(), order.command.as_str()), ("the local agent", "assign kimi"));
}

#[tokio::test]
async fn notes_and_searches_come_from_the_store_and_the_forge() {
    let place = Place::new().await;
    let note = json!({"topic": "Build", "text": "make all"});
    assert_eq!(place.calls("jot_note", note, "").await, "noted");
    assert!(
        place
            .calls("recall_notes", json!({"topic": "build"}), "")
            .await
            .contains("build: make all")
    );
    assert!(
        place.calls("search_issues", json!({"words": "crash"}), "").await.contains("Login crashes")
    );
    place.gitea.comment(&place.at, "alice", "same here");
    assert!(place.calls("read_comments", json!({}), "").await.contains("alice wrote:\nsame here"));
}

#[tokio::test]
async fn a_dry_run_sends_nothing_but_reads() {
    let place = Place::new().await;
    let (comment, label) = (json!({"text": "x"}), json!({"name": "needs-info"}));
    let calls = [
        ("comment", comment),
        ("add_label", label),
        ("propose_criteria", json!({"criteria": ["a"]})),
        ("plan_sub_issues", json!({"parts": [{"title": "a", "body": "b"}]})),
        ("delegate", json!({"agent": "kimi"})),
        ("jot_note", json!({"topic": "a", "text": "b"})),
    ];
    let dry = |model: &Model, tool: &str| {
        place.toml(model, &[tool], "").replace("[triage]\n", "[triage]\ndry_run = true\n")
    };
    for (tool, arguments) in calls {
        let model = Model::says(vec![call(tool, arguments), text("done")]).await;
        let config = Config::from_toml("a.toml", &dry(&model, tool), std::iter::empty()).unwrap();
        let agent = service::local_agent(&config).await.unwrap().unwrap();
        let base = Base::new(&config, place.store(), place.clock.clone()).unwrap();
        let runs = base.local_runs(agent);
        let run = runs.run(Task::new(place.at.clone()), &|_| {}).await.unwrap();
        assert_eq!(run.tool_calls[0].result, "held back: this is a dry run", "{tool}");
    }
    assert!(place.gitea.writes().is_empty());
    assert!(place.store().notes(&place.at.repo).await.unwrap().is_empty());
    assert!(place.store().proposal(&place.at).await.unwrap().is_none());
}

#[tokio::test]
async fn a_budget_that_is_used_up_asks_nothing_and_tells_a_person_once_a_day() {
    let place = Place::new().await;
    let budget = "[[local_agent.budget]]\nper = \"issue\"\nrounds = 2\n";
    let lines = || (1..9).map(|n| call("read_issue", json!({"number": n}))).collect();
    let first = place.run(lines(), &["read_issue"], budget).await;
    assert_eq!((first.rounds, first.error.as_str()), (2, "the budget of rounds is used up"));
    for _ in 0..2 {
        let run = place.run(lines(), &["read_issue"], budget).await;
        assert_eq!(run.rounds, 0);
        assert_eq!(
            run.error,
            "the budget of rounds for `acme/widgets#1` is used up until midnight UTC; see `[[local_agent.budget]]`"
        );
    }
    let told = place.ours();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("@alice, the local agent did not work on this: the budget of rounds"),
        "{}",
        told[0]
    );
    place.clock.advance(chrono::TimeDelta::days(1));
    assert_eq!(place.run(lines(), &["read_issue"], budget).await.rounds, 2);
}

/// The whole program, as a person runs it.
mod program {
    use super::*;
    use std::process::Output;

    async fn agent_run(place: &Place, config: &str, arguments: &[&str]) -> Output {
        let path = place.folder.path().join("a.toml");
        std::fs::write(&path, config).unwrap();
        let issue = place.at.to_string();
        command(&path, &[&["agent", "run", &issue], arguments].concat()).await
    }

    async fn command(config: &Path, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
        command.env_clear().arg("--config").arg(config).args(arguments).output().await.unwrap()
    }

    fn said(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[tokio::test]
    async fn a_run_is_one_json_object_with_the_agreed_keys() {
        let place = Place::new().await;
        let model =
            Model::says(vec![call("comment", json!({"text": "hi"})), text("Told them.")]).await;
        let config = place.toml(&model, &["comment"], "");
        let output = agent_run(&place, &config, &["--json", "--prompt", "Say hi."]).await;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
        let mut run: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(run.as_object_mut().unwrap().remove("latency_ms").unwrap().is_u64());
        let call =
            json!({"round": 1, "tool": "comment", "arguments": {"text": "hi"}, "result": "done"});
        assert_eq!(
            run,
            json!({"content": "Told them.", "tool_calls": [call], "rounds": 2, "model": "llama3.1", "error": ""})
        );
        assert_eq!(place.ours().len(), 1);
        assert!(
            model.asked().await[0]["messages"][1]["content"]
                .as_str()
                .unwrap()
                .starts_with("Say hi.\n")
        );
    }

    #[tokio::test]
    async fn a_dry_run_shows_every_message_and_leaves_nothing_behind() {
        let place = Place::new().await;
        let lines = || vec![call("comment", json!({"text": "hi"})), text("Told them.")];
        let model = Model::says(lines()).await;
        let output = agent_run(&place, &place.toml(&model, &["comment"], ""), &["--dry-run"]).await;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
        let shown = said(&output.stdout);
        let expected = [
            "── system ──\nYou work on one issue",
            "── user ──\n",
            "An empty password makes it crash.",
            "── assistant ──\ncalls comment {\"text\":\"hi\"}\n",
            "── tool ──\nheld back: this is a dry run\n",
            "── assistant ──\nTold them.\n",
        ];
        for part in expected {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(place.gitea.writes().is_empty());
        assert!(!place.folder.path().join("a.db").exists());
        let model = Model::says(lines()).await;
        let config = place.toml(&model, &["comment"], "");
        let output = agent_run(&place, &config, &["--dry-run", "--json"]).await;
        let run: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(run["content"], "Told them.");
        assert!(said(&output.stderr).contains("── user ──\n"));
    }

    #[tokio::test]
    async fn a_run_with_an_error_exits_with_1() {
        let place = Place::new().await;
        let model = Model::says(vec![ResponseTemplate::new(500)]).await;
        let config = place.toml(&model, &[], "");
        let output = agent_run(&place, &config, &["--json"]).await;
        assert_eq!(output.status.code(), Some(1));
        let run: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(run["error"], "Ollama HTTP error: 500");
        let output = agent_run(&place, &config, &[]).await;
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            said(&output.stderr).lines().last(),
            Some("gitea-triage: Ollama HTTP error: 500")
        );
    }

    #[tokio::test]
    async fn what_cannot_be_registered_refuses_every_start_with_exit_2() {
        let place = Place::new().await;
        let model = Model::says(vec![text("x")]).await;
        let server = "[[local_agent.mcp]]\nname = \"files\"\ncommand = [\"/nonexistent/files\"]\n";
        let cases = [
            (
                place.toml(&model, &["comment", "comment"], ""),
                "the tool `comment` cannot be registered: there are two of this name",
            ),
            (
                place.toml(&model, &["web_fetch"], ""),
                "the tool `web_fetch` cannot be registered: no host is listed",
            ),
            (
                place.toml(&model, &["comnt"], ""),
                "the tool `comnt` cannot be registered: there is no such tool",
            ),
            (
                place.toml(&model, &[], server),
                "the tool server `files` cannot be used: `/nonexistent/files` could not be started",
            ),
        ];
        for (config, expected) in cases {
            let path = place.folder.path().join("a.toml");
            std::fs::write(&path, config).unwrap();
            for arguments in [&["serve"][..], &["agent", "run", "acme/widgets#1"]] {
                let output = command(&path, arguments).await;
                assert_eq!(output.status.code(), Some(2), "{arguments:?} {}", said(&output.stderr));
                assert!(said(&output.stderr).contains(expected), "{}", said(&output.stderr));
            }
        }
        assert!(model.asked().await.is_empty());
    }

    #[tokio::test]
    async fn what_is_not_set_up_is_a_mistake_in_the_words() {
        let place = Place::new().await;
        let model = Model::says(vec![text("x")]).await;
        let config = place.toml(&model, &[], "");
        let without = config.split("[local_agent]").next().unwrap();
        let output = agent_run(&place, without, &[]).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output.stderr).contains("there is no local agent; add `[local_agent]`"));
        let elsewhere = config.replace("acme/*", "other/*");
        let output = agent_run(&place, &elsewhere, &[]).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output.stderr).contains("`acme/widgets` is not among `gitea.repos`"));
    }
}

#[tokio::test]
async fn what_it_wrote_stands_in_the_story_of_the_issue() {
    let place = Place::new().await;
    place.calls("comment", json!({"text": "The crash is in src/auth.py."}), "").await;
    let history = place.store().history(place.at.clone()).await.unwrap().unwrap();
    let evaluation = &history.evaluations[0];
    assert_eq!(evaluation.reason, "the local agent was run by hand");
    let effect = &evaluation.effects[0];
    assert_eq!((effect.kind.as_str(), effect.state.as_str()), ("comment", "done"));
    assert!(effect.value.starts_with("answer:local-"), "{}", effect.value);
    assert!(effect.forge_id.is_some());
}
