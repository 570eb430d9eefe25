//! The command line, run as a user runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use assert_cmd::Command;
use gitea_triage::clock::Clock;
use gitea_triage::gitea::{Recording, Secret, Verifier};
use gitea_triage::store::{OpenMode, Store};
use serde_json::{Value, json};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    command.env_clear().current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn json_lines(output: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(output).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn the_recorded_deliveries_replay_without_any_setup() {
    let output = program().args(["replay", "--json", "fixtures"]).assert().success();
    let lines = json_lines(&output.get_output().stdout);
    assert_eq!(lines.len(), 62);
    let by_number: BTreeMap<&str, &Value> =
        lines.iter().map(|l| (&l["file"].as_str().unwrap()[..2], l)).collect();
    let decision =
        |n: &str| by_number[n]["verdict"]["decision"]["action"].as_str().unwrap_or_default();
    assert_eq!(decision("02"), "dispatch");
    assert_eq!(by_number["02"]["verdict"]["decision"]["agent"], "claude");
    let effects = json!([
        {"kind": "comment", "value": "dispatch:claude"},
        {"kind": "label", "value": "claude-ready"},
        {"kind": "assignee", "value": "claude"},
    ]);
    assert_eq!(by_number["02"]["effects"], effects);
    assert_eq!(by_number["62"]["verdict"]["decision"]["agent"], "kimi");
    assert_eq!(by_number["62"]["effects"][1], json!({"kind": "label", "value": "kimi-ready"}));
    assert_eq!(by_number["04"]["verdict"]["score"], 4);
    assert_eq!([decision("04"), decision("05"), decision("06")], ["skip", "skip", "flag"]);
    for ignored in ["01", "44", "55"] {
        assert_eq!(by_number[ignored]["status"], "ignored");
        assert!(!by_number[ignored]["reason"].as_str().unwrap().is_empty());
    }
    assert_eq!(by_number["58"]["status"], "rejected");
    assert!(lines.iter().all(|l| l["status"] != "dead"), "{lines:#?}");
}

/// On an in-memory Forgejo, since the headers say so.
#[test]
fn what_a_forgejo_sent_replays_as_well() {
    let folder = "fixtures/forgejo-15.0.3";
    let output = program().args(["replay", "--json", folder]).assert().success();
    let lines = json_lines(&output.get_output().stdout);
    assert_eq!(lines.len(), 47);
    let by_number: BTreeMap<&str, &Value> =
        lines.iter().map(|l| (&l["file"].as_str().unwrap()[..2], l)).collect();
    let decided = |n: &str| {
        let decision = &by_number[n]["verdict"]["decision"];
        let agent = decision["agent"].as_str().unwrap_or_default();
        format!("{} {agent}", decision["action"].as_str().unwrap_or_default())
    };
    assert_eq!(decided("02"), "dispatch claude");
    assert_eq!(decided("70"), "dispatch kimi");
    assert_eq!(by_number["02"]["effects"][2], json!({"kind": "assignee", "value": "claude"}));
    assert_eq!([decided("04"), decided("05")], ["dispatch kimi", "skip "]);
    for ignored in ["01", "46", "52", "59", "67"] {
        assert_eq!(by_number[ignored]["status"], "ignored", "{ignored}");
    }
    assert_eq!(by_number["62"]["status"], "rejected");
    assert!(lines.iter().all(|l| l["status"] != "dead"), "{lines:#?}");
}

#[test]
fn the_table_has_a_line_for_each_delivery() {
    let output = program().args(["replay", "fixtures"]).assert().success();
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert_eq!(text.lines().count(), 63, "{text}");
    let second = text.lines().nth(2).unwrap();
    assert!(
        second.starts_with("02-issues-opened-bug") && second.contains("dispatch claude"),
        "{second}"
    );
}

#[test]
fn every_issue_of_the_corpus_is_scored_as_the_original_scored_it() {
    let corpus = std::fs::read_to_string("fixtures/parity/issues.jsonl").unwrap();
    let corpus: Vec<Value> = corpus.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let issues: String = corpus.iter().map(|line| format!("{}\n", line["issue"])).collect();
    let output = program()
        .args(["score", "--json", "--now", "2026-03-23T12:00:00Z", "-"])
        .write_stdin(issues)
        .assert()
        .success();
    let lines = json_lines(&output.get_output().stdout);
    assert_eq!(lines.len(), corpus.len());
    for (line, given) in lines.iter().zip(&corpus) {
        for (key, expected) in given["expected"].as_object().unwrap() {
            let found = match key.as_str() {
                "action" | "agent" => &line["decision"][key],
                _ => &line[key],
            };
            // The original writes nobody as an empty name.
            let nobody = key == "agent" && expected == "";
            let expected = if nobody { &Value::Null } else { expected };
            assert_eq!(found, expected, "`{key}` of {line}");
        }
    }
}

#[test]
fn issues_are_read_as_one_as_an_array_and_as_lines() {
    let issue = json!({"number": 1, "title": "[bug] x", "body": null, "assignees": null});
    for input in [
        issue.to_string(),
        json!([issue, issue]).to_string(),
        format!("{issue}\n{issue}\n\n{issue}"),
    ] {
        let wanted = input.matches("\"number\"").count();
        let output = program().args(["score", "--json", "-"]).write_stdin(input).assert().success();
        assert_eq!(json_lines(&output.get_output().stdout).len(), wanted);
    }
}

#[test]
fn a_score_is_explained_by_its_words() {
    let issue = json!({"number": 7, "title": "[bug] crash in src/a.py", "body": "must return"});
    let output = program()
        .args(["score", "--explain", "-"])
        .write_stdin(issue.to_string())
        .assert()
        .success();
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert!(text.contains("src/a.py") && text.contains("must") && text.contains("+3"), "{text}");
}

#[track_caller]
fn refused(arguments: &[&str], stdin: &str, code: i32, words: &[&str]) {
    let output = program().args(arguments).write_stdin(stdin).assert().code(code);
    let text = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn mistakes_are_named_with_what_to_do() {
    refused(&["score", "-"], "[{\"number\": 1}, 5]", 1, &["is not an issue"]);
    refused(&["score", "-"], "{\"number\": ", 1, &["not valid JSON", "value number 1"]);
    refused(&["score", "-"], "", 1, &["contains no issue"]);
    refused(&["score", "nowhere.json"], "", 2, &["`nowhere.json`", "cannot be read"]);
    refused(&["replay", "nowhere"], "", 2, &["there is no `nowhere`"]);
    refused(&["replay", "src"], "", 2, &["no `.http` file"]);
    refused(&["replay", "README.md"], "", 1, &["`README.md` is not a recorded delivery", "line 1"]);
    refused(&["explain", "acme/widgets"], "", 2, &["acme/widgets", "owner/name#12"]);
    refused(&["frobnicate"], "", 2, &["unrecognized subcommand"]);
}

#[test]
fn a_configuration_without_a_secret_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, "[gitea]\nurl = \"http://127.0.0.1:9\"\ntoken = \"t\"\nrepos = [\"a/b\"]\n[triage]\nredy_at = 5\n").unwrap();
    let file = file.to_str().unwrap();
    for arguments in [&["serve", "--config", file][..], &["--config", file, "config", "check"]] {
        refused(
            arguments,
            "",
            2,
            &["webhook.secrets", "line 6", "`triage.redy_at`", "`triage.ready_at`"],
        );
    }
    let output = program().args(["config", "check", "--json", "--config", file]).assert().code(2);
    let answer: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["problems"].as_array().unwrap().len(), 2, "{answer}");
}

#[test]
fn the_schema_is_json_and_names_every_section() {
    let output = program().args(["config", "schema"]).assert().success();
    let schema: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    for section in ["gitea", "server", "webhook", "store", "triage", "worker"] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
}

#[test]
fn a_preset_is_used_shown_and_named_in_every_verdict() {
    let bug = r#"{"number": 1, "title": "Crash when a list is empty", "body": "It should stay empty, see `sort()`."}"#;
    let run = |arguments: &[&str]| {
        let output = program().args(arguments).write_stdin(bug).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let line = |arguments: &[&str]| {
        json_lines(run(&[&["score", "--json", "-"], arguments].concat()).as_bytes()).remove(0)
    };
    let (seed, practical) = (line(&["--preset", "seed"]), line(&["--preset", "practical"]));
    assert_eq!(seed, line(&[]), "the default");
    let digests = [&seed, &practical].map(|line| line["policy"]["digest"].as_str().unwrap());
    assert_ne!(digests[0], digests[1]);
    assert_eq!((&seed["type"], &practical["type"]), (&json!("unknown"), &json!("bug")));
    assert_eq!(practical["policy"]["preset"], "practical");
    assert_eq!(practical["policy"]["version"], 1);
    assert_eq!(practical["acceptance_criteria"], json!(["It should stay empty, see `sort()`."]));
    assert_eq!((&practical["answer"], &seed["answer"]), (&Value::Null, &Value::Null));
    assert!(seed["missing"].as_array().is_some_and(|missing| !missing.is_empty()));
    // The printed policy is the policy.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    let printed = run(&["config", "policy", "--preset", "practical"]);
    for section in [printed.as_str(), "[policy]\npreset = \"practical\"\n"] {
        std::fs::write(&file, config(folder.path()) + section).unwrap();
        let used = line(&["--config", file.to_str().unwrap()]);
        assert_eq!(used, practical, "{section}");
    }
    refused(&["score", "--preset", "sead", "-"], bug, 2, &["'sead'", "seed, practical"]);
}

#[test]
fn a_mistake_in_the_policy_names_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, "ready_at = 3\nscoope = 1\n").unwrap();
    refused(
        &["score", "--policy", file.to_str().unwrap(), "-"],
        "{}",
        2,
        &["scoope", "policy.toml"],
    );
}

#[test]
fn every_mistake_in_the_section_of_the_policy_has_its_line_and_the_nearest_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    let sections = "[policy]\nready_at = 3\n[policy.scope]\nfle_points = 3\ncap = \"much\"\n";
    std::fs::write(&file, config(folder.path()) + sections).unwrap();
    let check = ["config", "check", "--config", file.to_str().unwrap()];
    let words = [
        "line 10: `policy.ready_at` has a place of its own; write `triage.ready_at`",
        "line 12: unknown key `policy.scope.fle_points`; did you mean `policy.scope.file_points`?",
        "line 13: `policy.scope.cap` is `much`; it wants a whole number from 0 to 255",
    ];
    refused(&check, "", 2, &words);
    for command in ["serve", "score"] {
        let rest: &[&str] = if command == "score" { &["-"] } else { &[] };
        let arguments = [&[command, "--config", file.to_str().unwrap()], rest].concat();
        refused(&arguments, "", 2, &words);
    }
    let numbers = "[triage]\nready_at = 8\n[policy.alignment]\ncap = 1\n";
    std::fs::write(&file, config(folder.path()) + numbers).unwrap();
    refused(
        &check,
        "",
        2,
        &["line 10: `triage.ready_at` is 8, but no issue can score more than 7"],
    );
}

#[test]
fn the_policy_can_be_printed_changed_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = program().current_dir(folder.path()).args(arguments).write_stdin(BUG).assert();
        String::from_utf8(output.success().get_output().stdout.clone()).unwrap()
    };
    const BUG: &str = r#"{"number": 1, "title": "[bug] x", "body": "in src/a.py"}"#;
    let built_in = run(&["config", "policy"]);
    let before: Value = serde_json::from_str(&run(&["score", "--json", "-"])).unwrap();
    let changed = built_in.replacen("bug_points = 3", "bug_points = 1", 1);
    assert_ne!(changed, built_in);
    // Found without being named, as `serve` finds it.
    std::fs::write(
        folder.path().join("gitea-triage.toml"),
        config(folder.path()) + "[triage]\nready_at = 4\n" + &changed,
    )
    .unwrap();
    let after: Value = serde_json::from_str(&run(&["score", "--json", "-"])).unwrap();
    assert_eq!(after["score"].as_u64().unwrap() + 2, before["score"].as_u64().unwrap());
    assert_eq!(
        (&before["decision"]["action"], &after["decision"]["action"]),
        (&json!("dispatch"), &json!("skip"))
    );
    assert_eq!(run(&["config", "policy"]), changed);
}

/// Every command that has none below it, as it is typed.
fn leaves() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, path: &[String], leaves: &mut Vec<Vec<String>>) {
        let below: Vec<_> = command.get_subcommands().collect();
        if below.is_empty() || path == ["runner"] {
            leaves.push(path.to_vec());
        }
        for one in below {
            walk(one, &[path, &[one.get_name().to_owned()]].concat(), leaves);
        }
    }
    let mut leaves = Vec::new();
    walk(&<gitea_triage::cli::Arguments as clap::CommandFactory>::command(), &[], &mut leaves);
    leaves
}

fn help(words: &[String]) -> String {
    let mut command = program();
    let output = command.env("COLUMNS", "80").args(words).arg("--help").assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

#[test]
fn every_command_has_help_with_an_example_that_fits_and_exit_codes() {
    let leaves = leaves();
    assert!(leaves.len() >= 34, "{leaves:?}");
    for words in leaves {
        let text = help(&words);
        for part in
            ["\nExamples:\n  ", "\nExit codes: 0 done; 1 failed; 2 wrong usage", "-c, --config"]
        {
            assert!(text.contains(part), "{words:?}: {text}");
        }
        // Each example begins with what can be typed; only a line that says so goes on.
        let examples = text.split("\nExamples:\n").nth(1).unwrap().split("\n\n").next().unwrap();
        let mut goes_on = false;
        for line in examples.lines() {
            let is_begun = ["  gitea-triage ", "  curl ", "  systemctl ", "  GITEA_TRIAGE__"];
            let is_begun = is_begun.iter().any(|start| line.starts_with(start));
            assert_eq!(goes_on, !is_begun, "{words:?}: {line}");
            goes_on = line.ends_with('\\');
        }
    }
}

#[test]
fn every_page_of_the_help_is_as_wide_as_the_terminal() {
    let mut pages = leaves();
    pages.push(Vec::new());
    pages.extend(["agent", "config", "hook", "inbox", "store"].map(|word| vec![word.to_owned()]));
    for words in pages {
        let text = help(&words);
        let long: Vec<_> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{words:?}: {long:#?}");
    }
}

#[test]
fn the_help_groups_the_commands_and_names_exit_codes_environment_and_files() {
    let text = help(&[]);
    for part in [
        "\nSet up:\n",
        "\nDeliveries and the store:\n",
        "\nExit codes:\n  0  done\n",
        "\nEnvironment:\n",
        "GITEA_TRIAGE_LOG",
        "NO_COLOR",
        "\nFiles:\n",
        "/etc/gitea-triage/gitea-triage.toml",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    assert!(!text.contains("\nCommands:\n"), "{text}");
}

#[test]
fn agents_are_listed_from_the_configuration_and_without_one_those_that_are_built_in() {
    let folder = tempfile::tempdir().unwrap();
    let ids = || {
        let output = program().current_dir(folder.path()).args(["agent", "list", "--ids"]).assert();
        String::from_utf8(output.success().get_output().stdout.clone()).unwrap()
    };
    assert_eq!(ids(), "claude\nkimi\napi\nlocal\n");
    let mine = "[[agent]]\nid = \"kimi\"\nenabled = false\n[[agent]]\nid = \"reviewer\"\ninterface = \"gitea\"\nlabel = \"r\"\n";
    let file = folder.path().join("gitea-triage.toml");
    std::fs::write(&file, config(folder.path()) + mine).unwrap();
    assert_eq!(ids(), "claude\napi\nlocal\nreviewer\n");
    let output = program().current_dir(folder.path()).args(["agent", "list", "--json"]).assert();
    let lines = json_lines(&output.success().get_output().stdout);
    let last = json!({"id": "reviewer", "interface": "gitea", "label": "r", "login": null, "max_concurrent": 1});
    assert_eq!(lines[3], last);
}

#[test]
fn a_missing_store_is_reported_with_what_creates_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, config(folder.path())).unwrap();
    refused(&["inbox", "list", "--config", file.to_str().unwrap()], "", 1, &["no store", "serve"]);
}

fn config(folder: &Path) -> String {
    format!(
        "[gitea]\nurl = \"http://127.0.0.1:9\"\ntoken = \"t\"\nrepos = [\"a/b\"]\n[webhook]\nsecrets = [\"a-secret-of-the-tests\"]\n[store]\nurl = \"sqlite:{}/x.db\"\n",
        folder.display()
    )
}

/// Stores a recorded delivery as the receiver would.
async fn accept(store: &Store, file: &str) {
    let recording = Recording::read(std::fs::read(file).unwrap()).unwrap();
    let secret = Secret { key: "fixture-secret".into(), expires: None, repos: None };
    let verifier = Verifier::new(vec![secret]);
    let delivery = verifier.verify(&recording, recording.body.clone(), Clock::System.now());
    store.accept(delivery.unwrap()).await.unwrap();
}

#[tokio::test]
async fn exported_deliveries_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, config(folder.path())).unwrap();
    let store = Store::open(&folder.path().join("x.db"), 16, OpenMode::Exclusive).unwrap();
    accept(&store, "fixtures/02-issues-opened-bug.http").await;
    let target = folder.path().join("out");
    let export = || {
        let mut command = program();
        command.args(["inbox", "export", "--config"]).args([&file, &target]);
        command
    };
    let output = export().assert().success();
    let text = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert!(text.starts_with("1 written to"), "{text}");
    let replayed = program().args(["replay", "--json"]).arg(&target).assert().success();
    let lines = json_lines(&replayed.get_output().stdout);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["verdict"]["decision"]["agent"], "claude");
    // Existing files are not overwritten.
    let again = export().assert().code(1);
    let text = String::from_utf8_lossy(&again.get_output().stderr).into_owned();
    assert!(text.contains("cannot be written"), "{text}");
}

#[test]
fn a_service_that_does_not_run_is_not_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    // Nobody listens on port 1.
    let config = config(folder.path()) + "[server]\nlisten = \"127.0.0.1:1\"\n";
    std::fs::write(&file, config).unwrap();
    let file = file.to_str().unwrap();
    refused(
        &["healthcheck", "--config", file],
        "",
        1,
        &["does not answer", "`gitea-triage serve`"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_is_dispatched_by_hand() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let gitea = gitea_triage::fake_gitea::FakeGitea::start().await.unwrap();
    let repo = "acme/widgets".parse().unwrap();
    gitea.add_repo(&repo);
    let new =
        gitea_triage::fake_gitea::NewIssue { title: "It is slow".into(), ..Default::default() };
    let issue = gitea.open_issue(&repo, new).to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    let text = format!(
        "[gitea]\nurl = \"{}\"\ntoken = \"{}\"\nrepos = [\"acme/*\"]\n[webhook]\nsecrets = [\"a-secret-of-the-tests\"]\n[store]\nurl = \"sqlite:{}/t.db\"\n",
        gitea.url(),
        gitea.token(),
        folder.path().display(),
    );
    std::fs::write(&file, text).unwrap();
    let run = |more: &[&str]| {
        let mut command = program();
        command.arg("--config").arg(&file).args(["dispatch", "--json"]).args(more);
        command.output().unwrap()
    };
    let given = tokio::task::block_in_place(|| {
        run(&[&issue, "--agent", "Kimi", "--task-type", "planning"])
    });
    assert!(given.status.success(), "{}", String::from_utf8_lossy(&given.stderr));
    let dispatched = &json_lines(&given.stdout)[0];
    assert_eq!(dispatched["agent"], "kimi");
    assert_eq!(dispatched["state"], "assigned");
    assert_eq!(dispatched["task_type"], "planning");
    let refused = tokio::task::block_in_place(|| run(&[&issue, "--agent", "api"]));
    assert_eq!(refused.status.code(), Some(1), "the agent cannot be reached, so a person is asked");
    let reason = json_lines(&refused.stdout)[0]["reason"].to_string();
    assert!(reason.contains("No API endpoint configured for agent `api`"), "{reason}");
    let at = issue.parse().unwrap();
    assert_eq!(gitea.issue(&at).unwrap().labels, [""; 0], "the first agent no longer has it");
    let closed = gitea.open_issue(&repo, gitea_triage::fake_gitea::NewIssue::default());
    gitea.close(&closed, "alice");
    let closed = closed.to_string();
    for (arguments, code, says) in [
        (vec![closed.as_str(), "--agent", "kimi"], 1, "is closed; reopen it first"),
        (
            vec![issue.as_str(), "--agent", "gemini"],
            2,
            "there is no agent `gemini`; there are `claude`",
        ),
        (vec!["other/repo#1"], 2, "`other/repo` is not among `gitea.repos`"),
        (vec!["acme/widgets#99"], 1, "there is no issue `acme/widgets#99`"),
    ] {
        let refused = run(&arguments);
        assert_eq!(refused.status.code(), Some(code), "{arguments:?}");
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn what_cannot_be_scored_is_named_by_its_place() {
    let good = r#"{"number":1,"title":"x"}"#;
    refused(
        &["score", "-"],
        &format!("[{good}, {{\"number\":7,\"labels\":3}}]"),
        1,
        &["element 2 of value number 1 of `-` (issue 7)"],
    );
    refused(
        &["score", "-"],
        &format!("{good}\n{{\"title\":\"x\"}}"),
        1,
        &["value number 2 of `-`", "no `number`"],
    );
    refused(
        &["score", "-"],
        &format!("{good}\n[{good},[]]"),
        1,
        &["element 2 of value number 2 of `-`"],
    );
    refused(
        &["score", "-"],
        &format!("{good}\n{{"),
        1,
        &["value number 2 of `-` is not valid JSON"],
    );
}

/// A recorded delivery without each of these keys.
fn shortened(file: &str, folder: &Path, keys: &[&str]) {
    let text = std::fs::read_to_string(file).unwrap();
    let (head, body) = text.split_once("\n\n").or_else(|| text.split_once("\r\n\r\n")).unwrap();
    let end = if text.contains("\r\n\r\n") { "\r\n" } else { "\n" };
    for key in keys {
        let mut payload: Value = serde_json::from_str(body).unwrap();
        let (above, name) = key.rsplit_once('/').unwrap();
        payload.pointer_mut(above).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        let body = payload.to_string();
        let signature = sign("fixture-secret", body.as_bytes());
        let kept = head.lines().filter(|line| {
            let line = line.to_ascii_lowercase();
            !line.contains("signature") && !line.starts_with("content-length")
        });
        let head = kept.collect::<Vec<_>>().join(end);
        let whole = format!("{head}{end}X-Gitea-Signature: {signature}{end}{end}{body}");
        std::fs::write(folder.join(format!("{}.http", key.replace('/', "-"))), whole).unwrap();
    }
}

fn sign(secret: &str, body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[test]
fn a_recording_without_what_nobody_needs_is_replayed_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [
        "/issue/id",
        "/issue/user",
        "/issue/labels",
        "/issue/created_at",
        "/issue/state",
        "/repository/id",
        "/repository/owner",
        "/sender",
    ];
    shortened("fixtures/02-issues-opened-bug.http", folder.path(), &keys);
    let replayed = program().args(["replay", "--json"]).arg(folder.path()).assert().success();
    let lines = json_lines(&replayed.get_output().stdout);
    assert_eq!(lines.len(), keys.len());
    for line in lines {
        assert_eq!(line["status"], "done", "{line}");
        assert_eq!(line["verdict"]["decision"]["agent"], "claude", "{line}");
    }
}

/// A forge, and a configuration of it in a folder.
async fn forge() -> (gitea_triage::fake_gitea::FakeGitea, tempfile::TempDir) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let gitea = gitea_triage::fake_gitea::FakeGitea::start().await.unwrap();
    gitea.add_repo(&"acme/widgets".parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[gitea]\nurl = \"{}\"\ntoken = \"{}\"\nrepos = [\"acme/*\"]\n[webhook]\nsecrets = [\"a-secret-of-the-tests\"]\n[store]\nurl = \"sqlite:{}/t.db\"\n",
        gitea.url(),
        gitea.token(),
        folder.path().display(),
    );
    std::fs::write(folder.path().join("t.toml"), text).unwrap();
    (gitea, folder)
}

fn run_in(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = program();
    command.arg("--config").arg(folder.join("t.toml")).args(arguments);
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_score_of_a_reference_is_what_serve_decides() {
    use gitea_triage::fake_gitea::NewIssue;
    let (gitea, folder) = forge().await;
    let repo = "acme/widgets".parse().unwrap();
    let ready =
        "The handler `login()` in src/auth/login.py should return 400.\n\n- [ ] pytest passes";
    let open = |title: &str, body: String| {
        gitea.open_issue(
            &repo,
            NewIssue { title: title.into(), body, author: "bob".into(), ..Default::default() },
        )
    };
    let blocker = open("A blocker", String::new());
    let waits = open("[bug] Login crashes", ready.to_owned());
    let named = open("[bug] Logout crashes", format!("{ready}\n\nBlocked by #{}.", blocker.number));
    gitea.add_dependency(&waits, &blocker);
    let decision = |at: &gitea_triage::issue::IssueRef| {
        let (code, out, err) = run_in(folder.path(), &["score", "--json", &at.to_string()]);
        assert_eq!(code, 0, "{err}");
        json_lines(out.as_bytes())[0]["decision"].clone()
    };
    let decided = |at: &_| decision(at)["action"].as_str().unwrap().to_owned();
    assert_eq!([decided(&waits), decided(&named)], ["flag", "flag"]);
    gitea.close(&blocker, "bob");
    assert_eq!([decided(&waits), decided(&named)], ["dispatch", "dispatch"]);
    let (code, out, err) = run_in(folder.path(), &["score", "--json", "acme/widgets"]);
    assert_eq!(code, 0, "{err}");
    let numbers: Vec<_> =
        json_lines(out.as_bytes()).iter().map(|line| line["number"].clone()).collect();
    assert_eq!(numbers, [json!(named.number), json!(waits.number)], "the open ones");
    assert_eq!(gitea.writes(), [], "it only asks");
    assert!(!folder.path().join("t.db").exists(), "and keeps nothing");
    // What the ledger knows counts, as it does for the service.
    let (code, _, err) =
        run_in(folder.path(), &["dispatch", &waits.to_string(), "--agent", "kimi"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(decision(&waits)["agent"], "kimi", "who has it by hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_dispatched_is_refused_with_the_reason() {
    use gitea_triage::fake_gitea::NewIssue;
    let (gitea, folder) = forge().await;
    let repo = "acme/widgets".parse().unwrap();
    let pull = gitea.open_issue(
        &repo,
        NewIssue { title: "x".into(), is_pull_request: true, ..Default::default() },
    );
    let open = gitea.open_issue(
        &repo,
        NewIssue { title: "y".into(), is_pull_request: true, ..Default::default() },
    );
    gitea.merge(&pull, "alice");
    let closed = gitea.open_issue(&repo, NewIssue { title: "z".into(), ..Default::default() });
    gitea.close(&closed, "alice");
    for more in [&[][..], &["--agent", "kimi"]] {
        for (at, why) in [
            (&pull, "is a pull request"),
            (&open, "is a pull request"),
            (&closed, "reopen it first"),
        ] {
            let at = at.to_string();
            let (code, _, err) =
                run_in(folder.path(), &[&["dispatch", at.as_str()], more].concat());
            assert_eq!(code, 1, "{err}");
            assert!(err.contains(why), "{err}");
        }
        let gone = run_in(folder.path(), &[&["dispatch", "acme/widgets#99"], more].concat());
        assert_eq!(gone.0, 1);
        assert!(gone.2.contains("there is no issue `acme/widgets#99`"), "{}", gone.2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_of_a_repository_that_is_not_there_is_refused() {
    let (gitea, folder) = forge().await;
    drop(Store::open(&folder.path().join("t.db"), 16, OpenMode::Exclusive).unwrap());
    let (code, out, err) = run_in(folder.path(), &["summary", "--print", "--repo", "acme/nowhere"]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("there is no repository `acme/nowhere`"), "{err}");
    let (code, out, err) = run_in(folder.path(), &["summary", "--print", "--repo", "acme/widgets"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("**Open issues:** 0"), "{out}");
    // A forge that cannot be asked hides no ledger.
    gitea.stop();
    let (code, _, err) = run_in(folder.path(), &["summary", "--print", "--repo", "acme/widgets"]);
    assert_eq!(code, 0, "{err}");
}

/// What a terminal would obey, or what hides what stands there.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\u{202e}gpj\u{2066}\u{200f}\u{e0041}";

/// Whether nothing of it came through as it is.
#[track_caller]
fn is_harmless(output: &[u8]) {
    let text = String::from_utf8(output.to_vec()).unwrap();
    let hidden = |c: &char| c.is_control() && !matches!(c, '\n' | '\t');
    let bidi = |c: &char| matches!(c, '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0041}');
    let found: Vec<_> = text.chars().filter(|c| hidden(c) || bidi(c)).collect();
    assert!(found.is_empty(), "{found:?} in {text}");
}

#[test]
fn what_people_write_is_shown_to_a_terminal_and_not_obeyed() {
    let issue = json!({
        "number": 5, "title": format!("[bug] {HOSTILE}"), "labels": [{"name": HOSTILE}],
        "body": format!("`src/{HOSTILE}.rs` should not panic\n- [ ] {HOSTILE}"),
    });
    for arguments in [&["score", "-"][..], &["score", "--explain", "-"], &["score", "--json", "-"]]
    {
        let run = program().args(arguments).write_stdin(issue.to_string()).assert().success();
        is_harmless(&run.get_output().stdout);
        let text = String::from_utf8_lossy(&run.get_output().stdout);
        assert_eq!(text.contains("u202e"), arguments.len() == 3, "{text}");
    }
    // A mistake that quotes what it was given.
    let run = program().args(["score", &format!("{HOSTILE}.json")]).assert().code(2);
    is_harmless(&run.get_output().stderr);
}

#[tokio::test]
async fn what_a_delivery_says_is_shown_to_a_terminal_and_not_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, config(folder.path())).unwrap();
    let store = Store::open(&folder.path().join("x.db"), 16, OpenMode::Exclusive).unwrap();
    // Raw in the body: JSON allows all but the control characters of ASCII.
    let body =
        format!(r#"{{"action": "{}"}}"#, HOSTILE.replace(|c: char| c.is_ascii_control(), ""));
    let recording = Recording::signed(
        "8d3f4b7e-0000-4000-8000-000000000001",
        "issues",
        body.into(),
        &"fixture-secret".into(),
    );
    let recording = recording.unwrap();
    let secret = Secret { key: "fixture-secret".into(), expires: None, repos: None };
    let delivery = Verifier::new(vec![secret])
        .verify(&recording, recording.body.clone(), Clock::System.now())
        .unwrap();
    let id = delivery.id.to_string();
    store.accept(delivery).await.unwrap();
    for more in [&[][..], &["--json"]] {
        let mut command = program();
        command.args(["inbox", "show", &id, "--config"]).arg(&file).args(more);
        let output = command.assert().success();
        let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        assert!(text.contains("\\u202e") && !text.contains('\u{202e}'), "{text}");
        assert!(text.contains("\\u009b") && !text.contains('\u{9b}'), "{text}");
    }
}

/// The kind: there is one way to the terminal, which makes everything visible.
#[test]
fn nothing_goes_to_the_terminal_but_through_one_place() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut others = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text = std::fs::read_to_string(&entry).unwrap();
            let ways = ["println!(", "print!(", "io::stdout()", "io::stderr()", "dbg!("];
            let writes = ways.iter().any(|way| text.contains(way));
            // Whether somebody looks on may be asked anywhere.
            let asks = text
                .replace("io::stdout().is_terminal()", "")
                .replace("io::stderr().is_terminal()", "");
            if writes
                && ways.iter().any(|way| asks.contains(way))
                && !entry.ends_with("cli/terminal.rs")
            {
                others.push(entry);
            }
        }
    }
    assert!(others.is_empty(), "{others:?}");
}

/// Who may do what with a file.
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn what_is_kept_is_for_our_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (file, database) = (folder.path().join("c.toml"), folder.path().join("x.db"));
    std::fs::write(&file, config(folder.path())).unwrap();
    // One of an earlier version, open to all.
    std::fs::write(&database, "").unwrap();
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = Store::open(&database, 16, OpenMode::Exclusive).unwrap();
    accept(&store, "fixtures/02-issues-opened-bug.http").await;
    for end in ["", "-wal", "-shm", ".lock"] {
        let path = folder.path().join(format!("x.db{end}"));
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    let (backup, out) = (folder.path().join("copy.db"), folder.path().join("out"));
    let run = |arguments: &[&str], at: &Path| {
        let mut command = program();
        command.args(arguments).arg("--config").arg(&file).arg(at).assert().success();
    };
    run(&["store", "backup"], &backup);
    run(&["inbox", "export"], &out);
    assert_eq!((mode(&backup), mode(&out)), (0o600, 0o700));
    let exported = std::fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    assert_eq!(mode(&exported), 0o600);
    store.close().await.unwrap();
    drop(store);
    // A copy that somebody opened to all, and what is kept of the store before it.
    std::fs::set_permissions(&backup, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
    run(&["store", "restore"], &backup);
    let before = folder.path().join("x.db.before-restore");
    assert_eq!((mode(&database), mode(&before)), (0o600, 0o600));
}

/// A program that we start runs as our user, and could read our memory and our environment.
#[cfg(target_os = "linux")]
#[test]
fn another_process_of_our_user_cannot_look_into_ours() {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    command.args(["demo", "--listen", "127.0.0.1:0"]).current_dir("/");
    command.stdout(std::process::Stdio::piped()).env("GITEA_TRIAGE__GITEA__TOKEN", "canary");
    if is_root {
        command.uid(65_534).gid(65_534);
    }
    let mut demo = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(demo.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // What the kernel lets nobody of the same user open belongs to root.
    let owner = std::fs::metadata(format!("/proc/{}/environ", demo.id())).unwrap().uid();
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert!(!line.is_empty());
    assert_eq!(owner, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runners_token_is_printed_once_and_the_service_knows_its_digest_only() {
    use sha2::Digest as _;
    let (_gitea, folder) = forge().await;
    let printed = || {
        let arguments = ["runner", "token", "builder", "--agent", "coder", "--json"];
        let (code, out, err) = run_in(folder.path(), &arguments);
        assert_eq!(code, 0, "{err}");
        json_lines(out.as_bytes()).remove(0)
    };
    let (one, other) = (printed(), printed());
    let token = one["token"].as_str().unwrap();
    assert!(token.len() > 60 && token != other["token"], "{token}");
    assert_eq!(one["token_sha256"], hex::encode(sha2::Sha256::digest(token)));
    let (_, text, _) = run_in(folder.path(), &["runner", "token", "builder", "--agent", "coder"]);
    let (said, lines) = text.split_once("[[runner]]").unwrap();
    assert!(said.contains("gtr_") && !lines.contains("gtr_"), "{text}");
    let path = folder.path().join("t.toml");
    let agent = "[[agent]]\nid = \"coder\"\ninterface = \"runner\"\n";
    let text = std::fs::read_to_string(&path).unwrap() + agent + "[[runner]]" + lines;
    std::fs::write(&path, text).unwrap();
    let (code, _, err) = run_in(folder.path(), &["config", "check"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(run_in(folder.path(), &["runner", "token", "a b"]).0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_would_be_told_is_printed_and_nothing_is_kept() {
    use gitea_triage::fake_gitea::NewIssue;
    let (gitea, folder) = forge().await;
    let repo = "acme/widgets".parse().unwrap();
    let body = "`login()` should return 400.\n\n- [ ] pytest passes".to_owned();
    let issue = NewIssue {
        title: "Login crashes".into(),
        body,
        author: "bob".into(),
        ..Default::default()
    };
    let at = gitea.open_issue(&repo, issue).to_string();
    let (code, out, err) = run_in(folder.path(), &["runner", "prompt", &at]);
    assert_eq!(code, 0, "{err}");
    for part in
        ["issue 1 of the repository acme/widgets", "`triage/1-login-crashes`", "- pytest passes"]
    {
        assert!(out.contains(part), "{part} is not in {out}");
    }
    std::fs::write(folder.path().join("mine.md"), "Fix {{ number }} now.").unwrap();
    let path = folder.path().join("t.toml");
    let text = std::fs::read_to_string(&path).unwrap() + "[runs]\nprompt_file = \"mine.md\"\n";
    std::fs::write(&path, text).unwrap();
    let (_, out, _) = run_in(folder.path(), &["runner", "prompt", &at]);
    assert_eq!(out, "Fix 1 now.\n");
    let (code, _, err) = run_in(folder.path(), &["runner", "prompt", "acme/widgets#99"]);
    assert_eq!(code, 1);
    assert!(err.contains("there is no issue `acme/widgets#99`"), "{err}");
    assert_eq!(gitea.writes(), []);
    assert!(!folder.path().join("t.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_webhook_of_a_place_is_listed_with_whose_it_is() {
    let (gitea, folder) = forge().await;
    let repo = "acme/widgets".parse().unwrap();
    gitea.add_collaborator(&repo, &gitea.bot().login, "admin");
    let file = folder.path().join("t.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let public = "[server]\npublic_url = \"https://triage.example.com\"\n[webhook]";
    std::fs::write(&file, text.replace("[webhook]", public)).unwrap();
    let (code, out, err) = run_in(folder.path(), &["hook", "list"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("none of ours; `gitea-triage hook install` creates one"), "{out}");
    assert_eq!(run_in(folder.path(), &["hook", "install", "--force"]).0, 0);
    let client = reqwest::Client::new();
    let others = [
        ("gitea", "https://ci.example.com/hook?key=canary"),
        ("slack", "https://hooks.example.com/T0/canary"),
    ];
    for (kind, url) in others {
        let hook = json!({"type": kind, "active": false, "events": ["push"],
            "config": {"url": url, "content_type": "json"}});
        let made = client
            .post(format!("{}/api/v1/repos/acme/widgets/hooks", gitea.url()))
            .header("Authorization", format!("token {}", gitea.token()))
            .json(&hook);
        assert!(made.send().await.unwrap().status().is_success());
    }
    let (code, out, err) = run_in(folder.path(), &["hook", "list", "--json"]);
    assert_eq!(code, 0, "{err}");
    let place = &json_lines(out.as_bytes())[0];
    assert_eq!((&place["place"], &place["status"]), (&json!("acme/widgets"), &json!("unchanged")));
    let hooks = place["hooks"].as_array().unwrap();
    let shown: Vec<_> = hooks
        .iter()
        .map(|h| (h["is_ours"].as_bool().unwrap(), h["url"].as_str().unwrap()))
        .collect();
    assert_eq!(
        shown,
        [
            (true, "https://triage.example.com/webhook"),
            (false, "https://ci.example.com/hook…"),
            (false, "https://hooks.example.com/…"),
        ]
    );
    assert_eq!(hooks[1]["events"], json!(["push"]));
    assert_eq!((&hooks[1]["is_active"], &hooks[1]["last_delivery"]), (&json!(false), &Value::Null));
    let (_, text, _) = run_in(folder.path(), &["hook", "list"]);
    let head = text.lines().next().unwrap();
    for column in ["PLACE", "HOOK", "WHOSE", "ACTIVE", "LAST", "SENDS TO", "EVENTS"] {
        assert!(head.contains(column), "{text}");
    }
    assert!(
        text.contains("not told") && !text.contains("canary") && !text.contains('\u{1b}'),
        "{text}"
    );
}

#[tokio::test]
async fn deliveries_are_listed_below_a_head_and_one_a_line_where_nobody_looks_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, config(folder.path())).unwrap();
    let store = Store::open(&folder.path().join("x.db"), 16, OpenMode::Exclusive).unwrap();
    let list = |more: &[&str]| {
        let mut command = program();
        command.args(["inbox", "list", "--config"]).arg(&file).args(more);
        String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
    };
    assert_eq!(list(&[]), "", "a table of nothing");
    accept(&store, "fixtures/02-issues-opened-bug.http").await;
    let text = list(&[]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("RECEIVED") && lines[1].contains("  received  "), "{text}");
    assert_eq!(list(&["--state", "dead"]), "");
    let mut command = program();
    command.args(["inbox", "list", "--state", "daed", "--config"]).arg(&file);
    let wrong = command.assert().code(2);
    let said = String::from_utf8_lossy(&wrong.get_output().stderr).into_owned();
    assert!(said.contains("a similar value exists: 'dead'"), "{said}");
}

/// Runs `init --yes` in a folder, with these arguments beside the address of the forge.
fn init(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = program();
    command.current_dir(folder).args(["init", "--yes"]).args(arguments);
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_sets_up_a_configuration_that_is_read_as_it_is_and_never_overwritten() {
    let (gitea, _other) = forge().await;
    gitea.add_collaborator(&"acme/widgets".parse().unwrap(), &gitea.bot().login, "write");
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("mine"), gitea.token()).unwrap();
    let url = gitea.url();
    let arguments =
        ["--url", url.as_str(), "--token-file", "mine", "--repo", "acme/widgets", "--json"];
    let (code, out, err) = init(at, &arguments);
    assert_eq!(code, 0, "{out}{err}");
    let lines = json_lines(out.as_bytes());
    let last = lines.last().unwrap();
    assert_eq!(last["written"], json!(["gitea-triage.toml", "webhook-secret"]));
    assert_eq!(last["next"][0], "gitea-triage serve");
    for name in ["gitea-triage.toml", "webhook-secret"] {
        assert_eq!(mode(&at.join(name)), 0o600, "{name}");
    }
    let text = std::fs::read_to_string(at.join("gitea-triage.toml")).unwrap();
    assert!(text.contains("token_file = \"mine\"") && text.contains("dry_run = true"), "{text}");
    assert!(!text.contains(gitea.token()));
    program().current_dir(at).args(["config", "check"]).assert().success();
    let show = program().current_dir(at).args(["config", "show", "--json"]).assert().success();
    let show = String::from_utf8_lossy(&show.get_output().stdout).into_owned();
    assert!(show.contains("practical"), "{show}");
    // A second time nothing is touched.
    let secret = std::fs::read_to_string(at.join("webhook-secret")).unwrap();
    assert!(secret.trim().len() >= 64, "{secret}");
    let (code, _, err) = init(at, &arguments);
    assert_eq!(code, 2);
    assert!(err.contains("`gitea-triage.toml`, `webhook-secret` exists already"), "{err}");
    assert_eq!(std::fs::read_to_string(at.join("webhook-secret")).unwrap(), secret);
    assert_eq!(init(at, &[&arguments[..], &["--force", "--no-dry-run"]].concat()).0, 0);
    let text = std::fs::read_to_string(at.join("gitea-triage.toml")).unwrap();
    assert!(!text.contains("dry_run"), "{text}");
    assert_ne!(std::fs::read_to_string(at.join("webhook-secret")).unwrap(), secret);
    // Elsewhere, the token's file is named by its whole path.
    std::fs::create_dir(at.join("etc")).unwrap();
    let elsewhere = [&arguments[..], &["--config", "etc/triage.toml", "--agent", "kimi"]].concat();
    let (code, out, err) = init(at, &elsewhere);
    assert_eq!(code, 0, "{out}{err}");
    program()
        .args(["config", "check", "--config"])
        .arg(at.join("etc/triage.toml"))
        .assert()
        .success();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_setup_from_working_is_named_with_its_cure_and_nothing_is_written() {
    let (gitea, _other) = forge().await;
    let repo = "acme/widgets".parse().unwrap();
    gitea.add_collaborator(&repo, &gitea.bot().login, "write");
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let bot = gitea.bot().login;
    let url = gitea.url();
    let nowhere = "http://127.0.0.1:9".to_owned();
    let cases = [
        (&nowhere, gitea.token().to_owned(), ["no connection", "open the address in a browser"]),
        (
            &url,
            "0123456789".to_owned(),
            ["the forge does not know this token", "make one as the service's account"],
        ),
        (
            &url,
            gitea.token_with_scopes(&bot, &["write:issue", "read:repository"]),
            ["lacks the scope `read:user`", "make one with the scopes"],
        ),
        (
            &url,
            gitea.token_with_scopes(&bot, &["write:issue", "read:user"]),
            ["lacks the scope `read:repository`", "make one with the scopes"],
        ),
        (
            &url,
            gitea.token_with_scopes(&bot, &["read:issue", "read:repository", "read:user"]),
            ["lacks the scope `write:issue`", "make one with the scopes"],
        ),
    ];
    for (url, token, words) in cases {
        std::fs::write(at.join("mine"), token).unwrap();
        let (code, out, err) =
            init(at, &["--url", url, "--token-file", "mine", "--repo", "acme/widgets"]);
        assert_eq!(code, 1, "{words:?}: {out}{err}");
        for word in words {
            assert!(out.contains(word), "`{word}` is not in {out}{err}");
        }
        assert!(!at.join("gitea-triage.toml").exists() && !at.join("webhook-secret").exists());
    }
    for (arguments, word) in [
        (&["--token-file", "mine", "--repo", "a/b"][..], "`--url` is missing"),
        (&["--url", &url, "--repo", "a/b"], "`--token-file` is missing"),
        (&["--url", "x", "--token-file", "mine"], "`gitea.url` is unusable; it wants an address"),
        (
            &["--offline", "--url", &url, "--token-file", "mine", "--repo", "a/b", "--listen", "x"],
            "`server.listen` is `x`",
        ),
        (
            &[
                "--offline",
                "--url",
                &url,
                "--token-file",
                "mine",
                "--repo",
                "a/b",
                "--agent",
                "gemini",
            ],
            "`gemini` is none of claude, kimi",
        ),
    ] {
        let (code, out, err) = init(at, arguments);
        assert_eq!(code, 2, "{arguments:?}: {out}{err}");
        assert!(err.contains(word), "`{word}` is not in {err}");
    }
    let mut command = program();
    let output = command.current_dir(at).arg("init").assert().code(2);
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(said.contains("needs a terminal") && said.contains("--yes"), "{said}");
}

/// A script may hold the token in a variable or a pipe: then it is copied to a file of its own.
#[test]
fn a_token_that_is_in_no_file_gets_one() {
    for (set, flag) in [
        (Some(("GITEA_TRIAGE_INIT_TOKEN", "canary")), None),
        (None, Some("--token-file=/dev/stdin")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = program();
        command.current_dir(folder.path()).envs(set).write_stdin("canary\n");
        command
            .args(["init", "--yes", "--offline", "--url", "http://127.0.0.1:9", "--repo", "a/b"])
            .args(flag);
        let done = command.assert().success();
        let said = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
        assert!(said.contains("gitea-token") && !said.contains("canary"), "{said}");
        let file = folder.path().join("gitea-token");
        assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), "canary");
        assert_eq!(mode(&file), 0o600);
        program().current_dir(folder.path()).args(["config", "check"]).assert().success();
    }
}

#[test]
fn without_a_configuration_the_places_and_init_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let places =
        ["`gitea-triage.toml` or `/etc/gitea-triage/gitea-triage.toml`", "`gitea-triage init`"];
    for (set, more) in [
        (None, None),
        (Some(("GITEA_TRIAGE__TRIAGE__OWNER", "alice")), Some("`gitea.url` is missing")),
    ] {
        for arguments in [&["serve"][..], &["config", "check"], &["inbox", "list"], &["check"]] {
            let mut command = program();
            let output =
                command.current_dir(folder.path()).args(arguments).envs(set).assert().code(2);
            let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
            for word in places.iter().copied().chain(more) {
                assert!(said.contains(word), "`{word}` is not in {said}");
            }
        }
    }
}

/// The keys of a value, and those of what it holds.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// What the book says of `--json` is what is printed, key by key.
#[tokio::test(flavor = "multi_thread")]
async fn the_shapes_of_json_are_those_of_the_book() {
    let page = std::fs::read_to_string("docs/src/json.md").unwrap();
    let version = program().arg("--version").assert().success();
    let version = String::from_utf8_lossy(&version.get_output().stdout).into_owned();
    assert!(version.contains("JSON shapes: version 1"), "{version}");
    assert!(page.contains("shapes of **version 1**"));
    let documented = |command: &str| -> Value {
        let part = page.split(&format!("### `{command} --json`")).nth(1).expect(command);
        let block = part.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
        serde_json::from_str(block).unwrap()
    };
    let same = |command: &str, printed: &Value| {
        assert_eq!(keys(printed), keys(&documented(command)), "{command}");
    };
    let (gitea, folder) = forge().await;
    let repo = "acme/widgets".parse().unwrap();
    let bot = gitea.bot().login;
    gitea.add_collaborator(&repo, &bot, "admin");
    let at = folder.path();
    let file = at.join("t.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let public = "[server]\nlisten = \"127.0.0.1:1\"\npublic_url = \"https://triage.example.com\"\n[webhook]";
    std::fs::write(&file, text.replace("[webhook]", public)).unwrap();
    let new =
        gitea_triage::fake_gitea::NewIssue { title: "It is slow".into(), ..Default::default() };
    let issue = gitea.open_issue(&repo, new).to_string();
    let store = Store::open(&at.join("t.db"), 16, OpenMode::Shared).unwrap();
    accept(&store, "fixtures/02-issues-opened-bug.http").await;
    store.close().await.unwrap();
    drop(store);
    assert_eq!(run_in(at, &["hook", "install", "--force"]).0, 0);
    let copy = at.join("copy.db").display().to_string();
    let cases: [(&str, &[&str]); 12] = [
        ("score", &["score", &issue, "--json"]),
        ("replay", &["replay", "fixtures/02-issues-opened-bug.http", "--json"]),
        ("agent list", &["agent", "list", "--json"]),
        ("inbox list", &["inbox", "list", "--json"]),
        ("hook list", &["hook", "list", "--json"]),
        ("check", &["check", "--no-delivery", "--json"]),
        ("config check", &["config", "check", "--json"]),
        ("dispatch", &["dispatch", &issue, "--agent", "kimi", "--json"]),
        ("explain", &["explain", &issue, "--json"]),
        ("runner token", &["runner", "token", "builder", "--json"]),
        ("sweep", &["sweep", "--dry-run", "--json"]),
        ("store backup", &["store", "backup", &copy, "--json"]),
    ];
    for (command, arguments) in cases {
        let (_, out, err) = run_in(at, arguments);
        let lines = json_lines(out.as_bytes());
        let line = if command == "sweep" { lines.last() } else { lines.first() };
        let line = line.unwrap_or_else(|| panic!("{command}: {err}"));
        let mut line = line.clone();
        if command == "check" {
            // Left out where there is nothing to do.
            line.as_object_mut().unwrap().remove("cure");
        }
        same(command, &line);
        match command {
            "hook list" => {
                assert_eq!(keys(&line["hooks"][0]), keys(&documented(command)["hooks"][0]))
            }
            "score" => assert_eq!(keys(&line["decision"]), keys(&documented(command)["decision"])),
            _ => {}
        }
    }
}
