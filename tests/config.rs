//! The configuration from outside: what is read, what is refused and in which words, what is never shown.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use gitea_triage::agents::local::{ModelApi, SubIssues};
use gitea_triage::config::{Config, Origin, find, reference, schema};
use gitea_triage::dispatch::{AgentId, Interface, TaskType};
use gitea_triage::triage::{Check, Policy, Route};
use secrecy::ExposeSecret;

const SMALLEST: &str = r#"
[gitea]
url = "https://gitea.example.com/"
token = "a-token"
repos = ["acme/widgets", "acme/tools-*"]
[webhook]
secrets = ["a-secret"]
"#;

fn vars(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let owned: Vec<_> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    owned.into_iter()
}

fn with_env(text: &str, pairs: &[(&str, &str)]) -> Config {
    Config::from_toml("gitea-triage.toml", text, vars(pairs)).unwrap_or_else(|e| panic!("{e}"))
}

fn read(more: &str) -> Config {
    with_env(&format!("{SMALLEST}{more}"), &[])
}

fn refused_with_env(text: &str, pairs: &[(&str, &str)]) -> String {
    match Config::from_toml("gitea-triage.toml", text, vars(pairs)) {
        Ok(_) => panic!("nothing was refused in\n{text}"),
        Err(error) => error.to_string(),
    }
}

fn refused(more: &str) -> String {
    refused_with_env(&format!("{SMALLEST}{more}"), &[])
}

fn ids(config: &Config) -> Vec<&str> {
    config.agents.list.iter().map(|a| a.id.as_str()).collect()
}

#[test]
fn the_smallest_useful_file_of_the_manual_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "from-a-file\n").unwrap();
    let text = format!(
        r##"
[gitea]
url = "https://gitea.example.com"
token_file = '{}'
repos = ["acme/widgets", "acme/tools-*"]
[server]
listen = "127.0.0.1:8484"                 # behind a reverse proxy
public_url = "https://triage.example.com"
[webhook]
secrets = ["a-long-random-text"]
[store]
url = "sqlite:gitea-triage.db"
[triage]
owner = "alice"                           # who is flagged; default: the repository's owner
ready_at = 5
dry_run = false
[sweep]
every = "1h"
at_start = true
[summary]
enabled = true
at = "06:00"
timezone = "UTC"
[worker]
concurrency = 4                           # 0: accept and store only
[[agent]]
id = "claude"
interface = "gitea"
label = "claude-ready"
login = "claude"
strengths = ["architecture", "refactoring", "complex_reasoning", "code_review"]
max_concurrent = 1
timeout = "2h"
"##,
        token.display()
    );
    let path = folder.path().join("gitea-triage.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(Some(&path), vars(&[])).unwrap();
    assert_eq!(config.gitea.token.expose_secret(), "from-a-file");
    assert_eq!(config.triage.owner.as_deref(), Some("alice"));
    assert_eq!(config.server.public_url.as_deref(), Some("https://triage.example.com"));
    assert!(config.gitea.repos.allows(&"Acme/tools-x".parse().unwrap()));
    assert_eq!(ids(&config), ["claude", "kimi", "api", "local"]);
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let config = read("");
    assert_eq!(config.gitea.url, "https://gitea.example.com");
    assert_eq!(config.gitea.timeout, Duration::from_secs(30));
    assert_eq!(config.webhook.max_body, 10 << 20);
    assert_eq!(config.webhook.queue, 1024);
    assert_eq!(config.store.keep, Duration::from_secs(30 * 86_400));
    assert_eq!((config.triage.ready_at, config.triage.dry_run), (5, false));
    assert_eq!(config.labels.color, "#006b75");
    assert_eq!(config.dispatch.route, Route::Triage);
    assert_eq!(config.sweep.full_every, Duration::from_secs(86_400));
    assert_eq!(config.summary.timezone, chrono_tz::UTC);
    assert_eq!((config.worker.concurrency, config.worker.fuse), (4, 20));
    assert!(config.local_agent.is_none());
    assert_eq!(config.policy, Policy::default());
}

#[test]
fn the_built_in_agents_are_those_of_the_manual() {
    let agents = read("").agents;
    let short: Vec<_> = agents
        .list
        .iter()
        .map(|a| {
            (a.id.as_str(), a.interface, a.label.as_deref(), a.login.as_deref(), a.max_concurrent)
        })
        .collect();
    assert_eq!(
        short,
        [
            ("claude", Interface::Forge, Some("claude-ready"), Some("claude"), 1),
            ("kimi", Interface::Forge, Some("kimi-ready"), None, 1),
            ("api", Interface::Http, None, None, 5),
            ("local", Interface::Local, None, None, 1),
        ]
    );
    assert!(agents.list.iter().all(|a| a.timeout == Duration::from_secs(7200)));
    assert_eq!(agents.list[3].strengths[0], TaskType::Triage);
}

#[test]
fn an_entry_changes_adds_or_takes_away_an_agent() {
    let config = read(
        r#"
[[agent]]
id = "claude"
login = ""
max_concurrent = 3
[[agent]]
id = "kimi"
enabled = false
[[agent]]
id = "docs"
interface = "http"
endpoint = "https://agents.example.com/hook?key=k/"
secret = "docs-secret"
[[agent]]
id = "retired"
interface = "local"
enabled = false
"#,
    );
    assert_eq!(ids(&config), ["claude", "api", "local", "docs"]);
    let claude = &config.agents.list[0];
    assert_eq!((claude.max_concurrent, claude.login.as_deref()), (3, None));
    assert_eq!(claude.label.as_deref(), Some("claude-ready"));
    let docs = &config.agents.list[3];
    assert_eq!(docs.endpoint.as_deref(), Some("https://agents.example.com/hook?key=k/"));
    assert_eq!(docs.timeout, Duration::from_secs(7200));
    assert_eq!(config.agents.secrets[&AgentId::new("docs")].expose_secret(), "docs-secret");
}

#[test]
fn webhook_secrets_are_texts_or_tables() {
    let text = SMALLEST.replace(
        r#"secrets = ["a-secret"]"#,
        r#"secrets = ["old-secret", { secret = "new-secret", expires = "2026-12-31T00:00:00Z", repos = ["acme/*"] }, { secret = "third-secret", expires = 2027-01-01T00:00:00Z }]"#,
    );
    let secrets = with_env(&text, &[]).webhook.secrets;
    let exposed: Vec<_> = secrets.iter().map(|s| s.secret.expose_secret()).collect();
    assert_eq!(exposed, ["old-secret", "new-secret", "third-secret"]);
    assert!(secrets[0].repos.is_none() && secrets[0].expires.is_none());
    assert_eq!(secrets[1].expires.unwrap().to_rfc3339(), "2026-12-31T00:00:00+00:00");
    let acme = secrets[1].repos.as_ref().unwrap();
    assert!(acme.allows(&"acme/x".parse().unwrap()) && !acme.allows(&"b/x".parse().unwrap()));
    assert!(secrets[2].expires.is_some());
}

#[test]
fn the_local_agent_and_its_tool_servers_are_read() {
    let config = read(
        r#"
[local_agent]
api = "openai"
url = "http://model.internal:8000/v1/"
model = "m"
tools = ["read_file"]
[[local_agent.mcp]]
name = "files"
command = ["mcp-files", "--root", "."]
[[local_agent.mcp]]
name = "web"
url = "http://127.0.0.1:9000"
tools = ["fetch"]
"#,
    );
    let local = config.local_agent.unwrap();
    assert_eq!(
        (local.api, local.url.as_str()),
        (ModelApi::OpenAi, "http://model.internal:8000/v1")
    );
    assert_eq!((local.max_rounds, local.timeout), (10, Duration::from_secs(60)));
    let command = ["mcp-files", "--root", "."].map(str::to_owned).to_vec();
    assert_eq!((&local.mcp[0].command, &local.mcp[0].url), (&command, &None));
    assert_eq!(local.mcp[1].url.as_deref(), Some("http://127.0.0.1:9000"));
    assert!(local.mcp[1].required);
    assert_eq!((local.temperature, local.context), (Some(20), Some(8192)));
    assert!(local.sub_issues == SubIssues::Ask && local.budgets.is_empty());
}

#[test]
fn what_runs_may_use_is_read() {
    let config = read(
        "[[runs.budget]]\nper = \"issue\"\ntokens = 1000\nmoney = 2\n[[runs.budget]]\nper = \"day\"\nmoney = 0.25\n",
    );
    let budgets = &config.runs.budgets;
    assert_eq!((budgets[0].tokens, budgets[0].money), (Some(1000), Some(2_000_000)));
    assert_eq!((budgets[1].tokens, budgets[1].money), (None, Some(250_000)));
    insta::assert_snapshot!(refused("[[runs.budget]]\nper = \"day\"\n"), @r#"
    config `gitea-triage.toml` line 8: `runs.budget` per day limits nothing; add `tokens` or `money` to it
    "#);
    let wrong = "[[runs.budget]]\ntokens = 0\n[[runs.budget]]\nper = \"week\"\nmoney = -1\n";
    insta::assert_snapshot!(refused(wrong), @r#"
    config `gitea-triage.toml` line 8: `runs.budget.per` is missing; add `per = "day"`
    config `gitea-triage.toml` line 9: `runs.budget.tokens` is `0`; it wants a whole number from 1
    config `gitea-triage.toml` line 11: `runs.budget.per` is `week`; it wants one of `dispatch`, `issue`, `repository`, `day`
    config `gitea-triage.toml` line 12: `runs.budget.money` is `-1`; it wants an amount of money above 0, such as `2.5`
    "#);
}

#[test]
fn what_the_local_agent_may_ask_and_spend_is_read() {
    let config = read(
        r#"
[local_agent]
model = "m"
temperature = 1
[[local_agent.consult]]
name = "big"
url = "https://api.example.com/v1"
model = "big-model"
invoice = "lnbits"
invoice_url = "https://lnbits.example.com"
invoice_key = "k"
[[local_agent.budget]]
per = "repository"
rounds = 200
time = "1h"
"#,
    );
    let local = config.local_agent.unwrap();
    assert_eq!(local.temperature, Some(100));
    assert_eq!(local.consult[0].sats, 100);
    let budget = local.budgets[0];
    assert_eq!((budget.rounds, budget.tokens), (Some(200), None));
    assert_eq!(budget.time, Some(Duration::from_secs(3_600)));
}

#[test]
fn an_invoice_service_without_its_key_is_refused() {
    let text = format!(
        "{SMALLEST}\n[local_agent]\nmodel = \"m\"\ntemperature = 2.5\n[[local_agent.consult]]\nname = \"big\"\n\
         url = \"https://api.example.com\"\nmodel = \"m\"\ninvoice = \"lnd\"\n"
    );
    let error = Config::from_toml("x", &text, std::iter::empty()).unwrap_err().to_string();
    let expected = [
        "`local_agent.temperature` is a fraction; it wants a number from 0 to 2, such as `0.2`",
        "`local_agent.consult.big.invoice` needs `invoice_url` and `invoice_key`; set both",
    ];
    for part in expected {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_variable_of_each_kind_overrides_the_file() {
    let config = with_env(
        SMALLEST,
        &[
            ("GITEA_TRIAGE__GITEA__URL", "http://other.example.com:3000/git/"),
            ("gitea_triage__gitea__repos", "acme/a, acme/b-*"),
            ("GITEA_TRIAGE__GITEA__TIMEOUT", "5s"),
            (
                "GITEA_TRIAGE__WEBHOOK__SECRETS",
                r#"["the-first-one", { secret = "the-second-one", repos = ["a/b"] }]"#,
            ),
            ("GITEA_TRIAGE__WEBHOOK__MAX_BODY", "1MB"),
            ("GITEA_TRIAGE__TRIAGE__READY_AT", "7"),
            ("GITEA_TRIAGE__TRIAGE__DRY_RUN", "true"),
            ("GITEA_TRIAGE__REVIEW__REQUIRE", r#"["tasks", "status"]"#),
            ("GITEA_TRIAGE__DISPATCH__ROUTE", "task-type"),
            ("GITEA_TRIAGE__SUMMARY__AT", "18:30"),
            ("GITEA_TRIAGE__SUMMARY__TIMEZONE", "Europe/Berlin"),
            ("GITEA_TRIAGE__AGENT__CLAUDE__MAX_CONCURRENT", "4"),
            ("GITEA_TRIAGE__AGENT__NEW__INTERFACE", "http"),
            ("GITEA_TRIAGE__AGENT__NEW__ENDPOINT", "https://agents.example.com"),
            ("GITEA_TRIAGE__POLICY__SCOPE__CAP", "2"),
            ("GITEA_TRIAGE_LOG", "debug"),
            ("HOME", "/home/alice"),
        ],
    );
    assert_eq!(config.gitea.url, "http://other.example.com:3000/git");
    assert_eq!(config.gitea.repos.texts().collect::<Vec<_>>(), ["acme/a", "acme/b-*"]);
    assert_eq!(config.gitea.timeout, Duration::from_secs(5));
    assert_eq!(config.webhook.secrets.len(), 2);
    assert_eq!(config.webhook.max_body, 1_000_000);
    assert_eq!((config.triage.ready_at, config.triage.dry_run), (7, true));
    assert_eq!(config.review.require, [Check::Tasks, Check::Status]);
    assert_eq!(config.dispatch.route, Route::TaskType);
    assert_eq!(config.summary.at.to_string(), "18:30:00");
    assert_eq!(config.summary.timezone, chrono_tz::Europe::Berlin);
    assert_eq!(config.agents.list[0].max_concurrent, 4);
    assert_eq!(ids(&config), ["claude", "kimi", "api", "local", "new"]);
    assert_eq!(config.policy.scope.cap, 2);
}

#[test]
fn the_environment_alone_is_enough() {
    let env = [
        ("GITEA_TRIAGE__GITEA__URL", "https://gitea.example.com"),
        ("GITEA_TRIAGE__GITEA__TOKEN", "t"),
        ("GITEA_TRIAGE__GITEA__REPOS", "acme/widgets"),
        ("GITEA_TRIAGE__WEBHOOK__SECRETS", "the-first-one,the-second-one"),
    ];
    let config = Config::load(None, vars(&env)).unwrap();
    assert_eq!(config.webhook.secrets[1].secret.expose_secret(), "the-second-one");
    assert_eq!(config.file(), None);
}

#[test]
fn a_token_in_the_environment_replaces_the_file_s_token_file() {
    let text = SMALLEST.replace(r#"token = "a-token""#, r#"token_file = "not/there""#);
    let config = with_env(&text, &[("GITEA_TRIAGE__GITEA__TOKEN", "t")]);
    assert_eq!(config.gitea.token.expose_secret(), "t");
    assert_eq!(
        config.origin("gitea.token"),
        Origin::Variable("GITEA_TRIAGE__GITEA__TOKEN".to_owned())
    );
}

#[test]
fn unknown_keys_name_the_nearest_one_and_the_line() {
    insta::assert_snapshot!(refused(
        r#"[triage]
redy_at = 5
listen = "127.0.0.1:1"
zzzzzz = 1
[sumary]
at = "06:00"
[[agent]]
id = "kimi"
lable = "x"
[[local_agent.mcp]]
nam = "x"
"#
    ), @r#"
    config `gitea-triage.toml` line 9: unknown key `triage.redy_at`; did you mean `triage.ready_at`?
    config `gitea-triage.toml` line 10: unknown key `triage.listen`; did you mean `server.listen`?
    config `gitea-triage.toml` line 11: unknown key `triage.zzzzzz`; known there are `owner`, `commanders`, `ready_at`, `dry_run`, `flag_label`, `answers`, `needs_info_label`, `question_label`, `duplicates`, `authors`, `approve_label`, `ignore_labels`, `ready_labels`, `ignore_authors`
    config `gitea-triage.toml` line 12: unknown key `sumary`; did you mean `[summary]`?
    config `gitea-triage.toml` line 16: unknown key `agent.kimi.lable`; did you mean `agent.kimi.label`?
    config `gitea-triage.toml` line 17: `local_agent.mcp.name` is missing; add `name = "files"`
    config `gitea-triage.toml` line 17: `local_agent.mcp` needs either `command` or `url`; set one
    config `gitea-triage.toml` line 18: unknown key `local_agent.mcp.nam`; did you mean `local_agent.mcp.name`?
    config `gitea-triage.toml`: `local_agent.model` is missing; add `model = "llama3.1"` to `[local_agent]` or set `GITEA_TRIAGE__LOCAL_AGENT__MODEL`
    "#);
}

#[test]
fn a_wrong_value_says_what_is_wanted() {
    insta::assert_snapshot!(refused(
        r#"[server]
listen = "8484"
workers = 0
public_url = "https://alice:pw@example.com"
[store]
url = "postgres://alice:pw@db/triage"
keep = 30
[triage]
ready_at = "five"
dry_run = "yes"
ignore_labels = "wontfix"
[labels]
color = "teal"
[dispatch]
route = "task_type"
[review]
require = ["tasks", "tests"]
[agents]
allow_private = ["10.1.0.0/16", "10.1.0.0/77"]
[summary]
at = "6 o'clock"
timezone = "Mars/Olympus"
[worker]
concurrency = -1
[[agent]]
id = "kimi"
strengths = ["cooking"]
[sweep]
every = "0s"
"#
    ), @r#"
    config `gitea-triage.toml` line 9: `server.listen` is `8484`; it wants an address with a port such as `127.0.0.1:8484`
    config `gitea-triage.toml` line 10: `server.workers` is `0`; it wants a whole number from 1 to 1024
    config `gitea-triage.toml` line 11: `server.public_url` is unusable; it wants an address such as `https://example.com`, without user, query or fragment
    config `gitea-triage.toml` line 13: `store.url` is unusable; it wants `sqlite:` and the path of a file, or `postgres://user@host/database` without a password
    config `gitea-triage.toml` line 14: `store.keep` is `30`; it wants a duration above zero such as `30s`, `5m` or `2h`
    config `gitea-triage.toml` line 16: `triage.ready_at` is `five`; it wants a whole number from 0 to 9
    config `gitea-triage.toml` line 17: `triage.dry_run` is `yes`; it wants `true` or `false`
    config `gitea-triage.toml` line 18: `triage.ignore_labels` is `wontfix`; it wants a list of labels, each without a comma
    config `gitea-triage.toml` line 20: `labels.color` is `teal`; it wants a colour such as `#006b75`
    config `gitea-triage.toml` line 22: `dispatch.route` is `task_type`; it wants one of `triage`, `task-type`
    config `gitea-triage.toml` line 24: `review.require` is a list with `tests` in it; it wants a list of any of `tasks`, `pull_request`, `status`
    config `gitea-triage.toml` line 26: `agents.allow_private` is a list with `10.1.0.0/77` in it; it wants a list of addresses, networks such as `10.1.0.0/16` and host names
    config `gitea-triage.toml` line 28: `summary.at` is `6 o'clock`; it wants a time of day such as `06:00`
    config `gitea-triage.toml` line 29: `summary.timezone` is `Mars/Olympus`; it wants a time zone such as `Europe/Berlin` or `UTC`
    config `gitea-triage.toml` line 31: `worker.concurrency` is `-1`; it wants a whole number from 0 to 1024
    config `gitea-triage.toml` line 34: `agent.kimi.strengths` is a list with `cooking` in it; it wants a list of any of `architecture`, `refactoring`, `complex_reasoning`, `code_review`, `parallel_implementation`, `routine_coding`, `fast_iteration`, `research`, `analysis`, `specialized`, `triage`, `planning`, `creative`, `orchestration`
    config `gitea-triage.toml` line 36: `sweep.every` is `0s`; it wants a duration above zero such as `30s`, `5m` or `2h`
    "#);
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    insta::assert_snapshot!(refused_with_env("", &[]), @r#"
    config `gitea-triage.toml`: `gitea.url` is missing; add `url = "https://gitea.example.com"` to `[gitea]` or set `GITEA_TRIAGE__GITEA__URL`
    config `gitea-triage.toml`: `gitea.token` is missing; add `token_file = "/run/secrets/gitea-token"` to `[gitea]` or set `GITEA_TRIAGE__GITEA__TOKEN`
    config `gitea-triage.toml`: `gitea.repos` is missing; add `repos = ["acme/widgets"]` to `[gitea]` or set `GITEA_TRIAGE__GITEA__REPOS`
    config `gitea-triage.toml`: `webhook.secrets` is missing; the service refuses to start without; add `secrets = ["a long random text"]` to `[webhook]` or set `GITEA_TRIAGE__WEBHOOK__SECRETS`
    "#);
    insta::assert_snapshot!(refused_with_env("[webhook]\nsecrets = []\n[local_agent]\n", &[]), @r#"
    config `gitea-triage.toml`: `gitea.url` is missing; add `url = "https://gitea.example.com"` to `[gitea]` or set `GITEA_TRIAGE__GITEA__URL`
    config `gitea-triage.toml`: `gitea.token` is missing; add `token_file = "/run/secrets/gitea-token"` to `[gitea]` or set `GITEA_TRIAGE__GITEA__TOKEN`
    config `gitea-triage.toml`: `gitea.repos` is missing; add `repos = ["acme/widgets"]` to `[gitea]` or set `GITEA_TRIAGE__GITEA__REPOS`
    config `gitea-triage.toml`: `webhook.secrets` is missing; the service refuses to start without; add `secrets = ["a long random text"]` to `[webhook]` or set `GITEA_TRIAGE__WEBHOOK__SECRETS`
    config `gitea-triage.toml`: `local_agent.model` is missing; add `model = "llama3.1"` to `[local_agent]` or set `GITEA_TRIAGE__LOCAL_AGENT__MODEL`
    "#);
}

#[test]
fn agents_that_cannot_work_are_refused() {
    insta::assert_snapshot!(refused(
        r#"[[agent]]
id = "cluade"
[[agent]]
id = "kimi"
label = "claude-ready"
[[agent]]
id = "kimi"
[[agent]]
label = "nameless"
[[agent]]
id = "silent"
interface = "gitea"
[[agent]]
id = "two words"
interface = "carrier-pigeon"
"#
    ), @r#"
    config `gitea-triage.toml` line 8: `agent.cluade.interface` is missing; say how the new agent is told: `gitea`, `http`, `local` or `runner` (or did you mean the built-in `claude`?)
    config `gitea-triage.toml` line 12: label `claude-ready` calls both `claude` and `kimi`; give each its own
    config `gitea-triage.toml` line 13: agent `kimi` is there twice; merge the two entries
    config `gitea-triage.toml` line 15: `agent.id` is missing; add `id = "claude"`
    config `gitea-triage.toml` line 19: `agent.silent` has neither `label` nor `login`, so nothing would tell it; add one
    config `gitea-triage.toml` line 21: `agent.id` is `two words`; it wants a name of letters, digits, `-`, `_` and `.`
    config `gitea-triage.toml` line 22: `agent.interface` is `carrier-pigeon`; it wants one of `gitea`, `http`, `local`, `runner`
    "#);
}

/// What would be found only when it is needed, each in a file of its own, and a part of what is said.
const CANNOT_WORK: [(&str, &str); 30] = [
    ("[webhook]\nsecrets = [\"abc\"]", "`webhook.secrets.secret` is shorter than 8 characters"),
    (
        "[webhook]\nsecrets = [\"a-secret\", { secret = \"1234567\", repos = [\"a/b\"] }]",
        "shorter than 8",
    ),
    ("[[agent]]\nid = \"claude\"\nsecret = \"abc\"", "`agent.claude.secret` is shorter than 8"),
    (
        "[triage]\nowner = \"@alice\"",
        "`triage.owner` is `@alice`; it wants a login such as `alice`, without `@`",
    ),
    ("[gitea]\naccount = \"@bot\"", "`gitea.account`"),
    ("[gitea]\ntoken = \"a token\"", "`gitea.token` holds a space"),
    (
        "[gitea]\nurl = \"https://gitea.example.com/api/v1/\"",
        "`gitea.url` is the address of the API",
    ),
    (
        "[server]\npublic_url = \"https://t.example.com/webhook\"",
        "`server.public_url` is the address of the webhook",
    ),
    (
        "[dashboard]\nadmins = [\"alice\", \"@bob\"]",
        "`dashboard.admins` is a list with `@bob` in it",
    ),
    ("[triage]\nignore_authors = [\"@renovate\"]", "`triage.ignore_authors`"),
    ("[triage]\nignore_labels = [\"wontfix, invalid\"]", "each without a comma"),
    ("[triage]\nflag_label = \"a,b\"", "the name of one label, without a comma"),
    ("[triage]\nflag_label = \"claude-ready\"", "is `triage.flag_label`"),
    ("[triage]\nignore_labels = [\"claude-ready\"]", "is in `triage.ignore_labels`"),
    (
        "[policy]\ndefault_agent = \"cluade\"",
        "`policy.default_agent` is `cluade`, which is no agent that is enabled; did you mean `claude`?",
    ),
    (
        "[policy]\nresearch_agent = \"kimi\"\n[[agent]]\nid = \"kimi\"\nenabled = false",
        "`policy.research_agent` is `kimi`",
    ),
    ("[[agent]]\nid = \"new\"\ninterface = \"http\"", "`agent.new.endpoint` is missing"),
    ("[[agent]]\nid = \"api\"\nmax_concurrent = 2", "`agent.api.endpoint` is missing"),
    (
        "[[agent]]\nid = \"api\"\nendpoint = \"http://10.0.0.7/x\"",
        "list it in `agents.allow_private`",
    ),
    (
        "[[agent]]\nid = \"kimi\"\nendpoint = \"https://x.example\"",
        "`agent.kimi.endpoint` is never called",
    ),
    ("[[agent]]\nid = \"near\"\ninterface = \"local\"", "no model is configured"),
    ("[[agent]]\nid = \"claude\"\nlogin = \"@claude\"", "`agent.claude.login` is `@claude`"),
    (
        "[local_agent]\nmodel = \"m\"\ntools = [\"read_isue\"]",
        "the tool `read_isue` cannot be registered",
    ),
    (
        "[local_agent]\nmodel = \"m\"\ntools = [\"web_fetch\"]",
        "no host is listed in `local_agent.web_hosts`",
    ),
    (
        "[local_agent]\nmodel = \"m\"\ntools = [\"comment\"]\npermission = \"read\"",
        "`local_agent.permission` is `read`",
    ),
    ("[store]\nkeep = \"100000 years\"", "`store.keep`"),
    ("[webhook]\nsecrets = [\"x\"]", "`webhook.secrets.secret` is shorter than 8"),
    ("[[agent]]\nid = \"kimi\"\nsecret = \"x\"", "`agent.kimi.secret` is shorter than 8"),
    ("[dashboard]\ntoken = \"x\"", "`dashboard.token` is shorter than 16"),
    (
        "[dashboard]\nclient_id = \"a\"\nclient_secret = \"x\"",
        "`dashboard.client_secret` is shorter than 8 characters, which can be guessed; copy the one that the forge shows",
    ),
];

const ROTATIONS: &str = r#"[[rotation]]
name = "backend"
members = ["alice", { login = "bob", weight = 2, absent = [{ from = "2026-12-20", until = 2027-01-06 }] }]
labels = ["area/backend"]
paths = ["src/db/**"]
repos = ["acme/*"]
assign = false
timezone = "Europe/Berlin"
"#;

#[test]
fn rotations_are_read_from_the_file_and_from_one_variable() {
    let config = read(ROTATIONS);
    let [backend] = &config.rotation[..] else { panic!("{:?}", config.rotation) };
    let [alice, bob] = &backend.members[..] else { panic!("{backend:?}") };
    assert_eq!((alice.login.as_str(), alice.weight), ("alice", 1));
    assert_eq!((bob.login.as_str(), bob.weight), ("bob", 2));
    let absence = (bob.absent[0].from.to_string(), bob.absent[0].until.to_string());
    assert_eq!(absence, ("2026-12-20".to_owned(), "2027-01-06".to_owned()));
    assert!(!backend.assign);
    let again = with_env(&config.show().replace("***", "a-secret"), &[]);
    assert_eq!(format!("{:?}", again.rotation), format!("{:?}", config.rotation));
    let variable = ("GITEA_TRIAGE__ROTATION", "[{ name = 'web', members = ['cleo'] }]");
    let config = with_env(&format!("{SMALLEST}{ROTATIONS}"), &[variable]);
    assert_eq!(config.rotation.len(), 1);
    assert_eq!(config.rotation[0].members[0].login, "cleo");
}

#[test]
fn rotations_that_cannot_work_are_refused() {
    insta::assert_snapshot!(refused(
        r#"[[rotation]]
name = "backend"
[[rotation]]
name = "Backend"
timezone = "Mars/Olympus"
paths = ["/"]
members = [
    "alice",
    { login = "Alice" },
    { login = "bob", weight = 0 },
    { login = "carol", absent = [{ from = "2027-01-06", until = "2026-12-20" }] },
    { login = "dora", absent = [{ from = "soon" }] },
    "claude",
]
[claim]
limit = -1
expires = "0d"
"#
    ), @r#"
    config `gitea-triage.toml` line 8: `rotation.backend.members` is missing; add `members = ["alice", "bob"]`
    config `gitea-triage.toml` line 11: rotation `Backend` is there twice; give each its own name
    config `gitea-triage.toml` line 12: `rotation.Backend.timezone` is `Mars/Olympus`; it wants a time zone such as `Europe/Berlin` or `UTC`
    config `gitea-triage.toml` line 13: `rotation.Backend.paths` is a list with `/` in it; it wants a list of paths in the repository, where `*` stands for any part of a name and `**` for folders
    config `gitea-triage.toml` line 16: `Alice` is in rotation `Backend` twice; list them once; `weight` says how often they are asked
    config `gitea-triage.toml` line 17: `rotation.Backend.members.weight` is `0`; it wants a whole number from 1 to 1000
    config `gitea-triage.toml` line 18: `carol` is absent from 2027-01-06 until 2026-12-20, which is before; exchange the two days
    config `gitea-triage.toml` line 19: `rotation.Backend.members.absent.from` is `soon`; it wants a day such as `2026-12-20`
    config `gitea-triage.toml` line 19: `rotation.Backend.members.absent.until` is missing; add `until = "2027-01-06"`
    config `gitea-triage.toml` line 20: `claude` is the account of agent `claude`; a rotation asks people; take it out
    config `gitea-triage.toml` line 23: `claim.limit` is `-1`; it wants a whole number from 0 to 10000
    config `gitea-triage.toml` line 24: `claim.expires` is `0d`; it wants a duration above zero such as `30s`, `5m` or `2h`
    "#);
}

#[test]
fn what_cannot_work_later_is_refused_now() {
    for (more, said) in CANNOT_WORK {
        // A section may be there once only.
        let section = more.lines().next().unwrap_or_default();
        let (others, keys) = match SMALLEST.contains(section) && !section.starts_with("[[") {
            true => (SMALLEST.replace(section, "\0"), &more[section.len() + 1..]),
            false => (SMALLEST.to_owned(), more),
        };
        let key = keys.split(" = ").next().unwrap_or_default();
        let rest = others
            .lines()
            .filter(|line| !others.contains('\0') || !line.starts_with(&format!("{key} =")));
        let rest = rest.collect::<Vec<_>>().join("\n");
        let text = match rest.contains('\0') {
            true => rest.replace('\0', more),
            false => format!("{rest}\n{more}\n"),
        };
        let told = refused_with_env(&text, &[]);
        assert!(told.contains(said), "{more}\nis not told by `{said}`, but:\n{told}");
        assert_eq!(told.lines().count(), 1, "{more}\n{told}");
    }
}

#[test]
fn what_works_is_not_refused() {
    for more in [
        "[policy]\ndefault_agent = \"kimi\"",
        // Nobody named it: whoever has the strengths gets the work.
        "[[agent]]\nid = \"claude\"\nenabled = false",
        "[[agent]]\nid = \"api\"\nenabled = false",
        "[[agent]]\nid = \"api\"\nendpoint = \"http://10.0.0.7/x\"\n[agents]\nallow_private = [\"10.0.0.0/8\"]",
        "[[agent]]\nid = \"local\"\nmax_concurrent = 2\n[local_agent]\nmodel = \"m\"\ntools = [\"read_issue\"]",
        "[triage]\nowner = \"\"\nflag_label = \"Status: blocked\"\nignore_labels = [\"wontfix\", \"invalid\"]",
        "[store]\nkeep = \"10 years\"",
    ] {
        read(more);
    }
    with_env(&SMALLEST.replace("a-secret", "fixture-secret"), &[]);
}

#[test]
fn sections_of_the_wrong_shape_are_named() {
    insta::assert_snapshot!(
        refused_with_env("policy = 5\ngitea = true\n[webhook]\nsecrets = [\"a-secret\"]\n[[triage]]\nowner = \"alice\"\n[agent]\nid = \"claude\"\n[local_agent]\nmodel = \"m\"\nmcp = [\"x\", { name = \"y\" }]\n", &[]),
        @r#"
    config `gitea-triage.toml` line 1: `policy` is a number; write it as `[policy]`
    config `gitea-triage.toml` line 2: `gitea` is true or false; write it as `[gitea]`
    config `gitea-triage.toml` line 5: `triage` is a list; write it as `[triage]`
    config `gitea-triage.toml` line 7: `agent` is a single table; write it as `[[agent]]`
    config `gitea-triage.toml` line 11: `local_agent.mcp` holds a text; write each as `[[local_agent.mcp]]`
    config `gitea-triage.toml` line 11: `local_agent.mcp.y` needs either `command` or `url`; set one
    config `gitea-triage.toml`: `gitea.url` is missing; add `url = "https://gitea.example.com"` to `[gitea]` or set `GITEA_TRIAGE__GITEA__URL`
    config `gitea-triage.toml`: `gitea.token` is missing; add `token_file = "/run/secrets/gitea-token"` to `[gitea]` or set `GITEA_TRIAGE__GITEA__TOKEN`
    config `gitea-triage.toml`: `gitea.repos` is missing; add `repos = ["acme/widgets"]` to `[gitea]` or set `GITEA_TRIAGE__GITEA__REPOS`
    "#
    );
}

#[test]
fn broken_toml_is_told_by_line() {
    insta::assert_snapshot!(refused_with_env("[gitea]\nurl = https://x\n\n[gitea]\ntoken = \"canary", &[]), @r#"
    config `gitea-triage.toml` line 2: this is not TOML (column 7): string values must be quoted, expected literal string
    config `gitea-triage.toml` line 4: this is not TOML (column 2): duplicate key
    config `gitea-triage.toml` line 5: this is not TOML (column 16): invalid basic string, expected `"`
    "#);
}

#[test]
fn unknown_variables_are_mistakes_too() {
    insta::assert_snapshot!(refused_with_env(SMALLEST, &[
        ("GITEA_TRIAGE__TRIAGE__REDY_AT", "5"),
        ("GITEA_TRIAGE__TRIAGES__OWNER", "alice"),
        ("GITEA_TRIAGE__AGENT__CLAUDE__LABLE", "x"),
        ("GITEA_TRIAGE__TOKEN", "canary"),
        ("GITEA_TRIAGE__TRIAGE__READY_AT", "often"),
        ("GITEA_TRIAGE__XQ__ZZZZZZ", "1"),
    ]), @r#"
    environment variable `GITEA_TRIAGE__AGENT__CLAUDE__LABLE`: unknown key `agent.lable`; did you mean `GITEA_TRIAGE__AGENT__CLAUDE__LABEL`?
    environment variable `GITEA_TRIAGE__TOKEN`: unknown key `token`; did you mean `GITEA_TRIAGE__GITEA__TOKEN`?
    environment variable `GITEA_TRIAGE__TRIAGES__OWNER`: unknown key `triages.owner`; did you mean `GITEA_TRIAGE__TRIAGE__OWNER`?
    environment variable `GITEA_TRIAGE__TRIAGE__REDY_AT`: unknown key `triage.redy_at`; did you mean `GITEA_TRIAGE__TRIAGE__READY_AT`?
    environment variable `GITEA_TRIAGE__XQ__ZZZZZZ`: unknown key `xq.zzzzzz`; `gitea-triage config schema` lists all keys
    environment variable `GITEA_TRIAGE__TRIAGE__READY_AT`: `triage.ready_at` is `often`; it wants a whole number from 0 to 9
    "#);
}

#[test]
fn a_secret_file_that_cannot_be_used_is_named_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "\n").unwrap();
    let text = format!(
        "[gitea]\nurl = \"https://x.example\"\nrepos = [\"a/b\"]\ntoken_file = \"not/there\"\n\
         [webhook]\nsecrets = [{{ secret_file = '{}' }}, {{ secret = \"a\", secret_file = \"b\" }}, {{ repos = [\"a/b\"] }}]\n",
        empty.display()
    );
    let told = refused_with_env(&text, &[]).replace(&empty.display().to_string(), "EMPTY");
    insta::assert_snapshot!(told, @r#"
    config `gitea-triage.toml` line 4: `gitea.token_file` names `not/there`, which is not there; create it or correct the path
    config `gitea-triage.toml` line 6: `webhook.secrets.secret_file` names `EMPTY`, which is empty; write the secret into it
    config `gitea-triage.toml` line 6: `webhook.secrets.secret` and `webhook.secrets.secret_file` are both set; keep one of them
    config `gitea-triage.toml` line 6: `webhook.secrets.secret` is missing; add `secret_file = "/run/secrets/webhook"`
    "#);
}

#[test]
fn no_secret_is_ever_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "canary-in-file").unwrap();
    let text = format!(
        "{}[[agent]]\nid = \"api\"\nsecret = \"canary-agent\"\nendpoint = \"https://x.example/?k=canary-query\"\n",
        SMALLEST.replace("a-token", "canary-token").replace(
            "[\"a-secret\"]",
            &format!("[\"canary-hook\", {{ secret_file = '{}' }}]", file.display())
        )
    );
    let config = with_env(&text, &[("GITEA_TRIAGE__AGENT__CLAUDE__SECRET", "canary-env")]);
    assert_eq!(config.webhook.secrets[1].secret.expose_secret(), "canary-in-file");
    assert!(!config.show().contains("canary"), "{}", config.show());
    assert!(!config.to_json().to_string().contains("canary"));
    let debug = format!("{config:?}").replace("canary-query", "");
    assert!(!debug.contains("canary"), "{debug}");
}

#[test]
fn no_secret_is_in_an_error() {
    let text = r#"
[gitea]
url = "https://alice:canary@example.com"
token = { value = "canary" }
tokn = "canary"
repos = ["acme/widgets"]
[webhook]
secrets = [["canary"], { secret = ["canary"], secre = "canary" }, 5]
[store]
url = "postgres://alice:canary@db"
[[agent]]
id = "api"
secret = ["canary"]
endpoint = "https://alice:canary@example.com"
"#;
    let told = refused_with_env(text, &[("GITEA_TRIAGE__GITEA__TOKE", "canary")]);
    assert!(!told.contains("canary"), "{told}");
    let debug = format!("{:?}", Config::from_toml("x", text, vars(&[])));
    assert!(!debug.contains("canary"), "{debug}");
}

#[test]
fn what_is_shown_says_where_it_came_from_and_can_be_read_again() {
    let config = with_env(
        &format!("{SMALLEST}[triage]\nready_at = 6\n[policy]\nresearch_label = \"x\"\n"),
        &[("GITEA_TRIAGE__WORKER__CONCURRENCY", "0")],
    );
    let shown = config.show();
    assert!(shown.contains("ready_at = 6  # line 9\n"), "{shown}");
    assert!(shown.contains("concurrency = 0  # GITEA_TRIAGE__WORKER__CONCURRENCY\n"), "{shown}");
    assert!(shown.contains("token = \"***\"  # line 4\n"), "{shown}");
    // What stands in a secret's place is shorter than any.
    with_env(&shown.replace("***", "in-its-place"), &[]);
    let json = config.to_json();
    assert_eq!(json["values"]["triage"]["ready_at"], 6);
    assert_eq!(json["values"]["agent"][1]["id"], "kimi");
    assert_eq!(json["from"]["triage.ready_at"], "line 9");
    assert_eq!(json["from"]["policy.research_label"], "line 11");
    assert_eq!(json["from"].get("triage.dry_run"), None);
}

#[test]
fn every_mistake_of_file_and_environment_is_told_at_once() {
    insta::assert_snapshot!(refused_with_env(
        r#"
[gitea]
url = "https://gitea.example.com"
token = "a-token"
repos = ["acme/widgets", "acme"]
[webhook]
secrets = ["a-secret"]
[policy]
ready_at = 4
[policy.scope]
file_point = 2
cap = "five"
function_points = 300
[policy.points]
scope = 99
[polcy]
x = 1
[sweep]
every = "1 fortnight"
[[agent]]
id = "claude"
max_concurent = 2
max_concurrent = "two"
"#,
        &[("GITEA_TRIAGE__POLICY__SCOPE__CAPP", "2"), ("GITEA_TRIAGE__SWEEP__EVERY", "2h"), ("GITEA_TRIAGE__WORKER__FUSE", "0")],
    ), @r#"
    config `gitea-triage.toml` line 5: `gitea.repos` is a list with `acme` in it; it wants a list of `owner/name`, where `*` stands for any part of a name
    config `gitea-triage.toml` line 9: `policy.ready_at` has a place of its own; write `triage.ready_at`
    config `gitea-triage.toml` line 11: unknown key `policy.scope.file_point`; did you mean `policy.scope.file_points`?
    config `gitea-triage.toml` line 12: `policy.scope.cap` is `five`; it wants a whole number from 0 to 255
    config `gitea-triage.toml` line 13: `policy.scope.function_points` is `300`; it wants a whole number from 0 to 255
    config `gitea-triage.toml` line 14: unknown key `policy.points`; known there are `preset`, `reads`, `flag_urgent`, `duplicate_at`, `duplicate_days`, `authors_in`, `default_agent`, `research_agent`, `research_label`, `blocked_terms`, `blocked_by`, `negations`, `urgent_phrases`, `type_margin`, `labels`, `fields`, `tags`, `scope`, `acceptance`, `alignment`, `task_types`, `types`
    config `gitea-triage.toml` line 16: unknown key `polcy`; did you mean `[policy]`?
    config `gitea-triage.toml` line 22: unknown key `agent.claude.max_concurent`; did you mean `agent.claude.max_concurrent`?
    config `gitea-triage.toml` line 23: `agent.claude.max_concurrent` is `two`; it wants a whole number from 1 to 10000
    environment variable `GITEA_TRIAGE__POLICY__SCOPE__CAPP`: unknown key `policy.scope.capp`; did you mean `GITEA_TRIAGE__POLICY__SCOPE__CAP`?
    environment variable `GITEA_TRIAGE__WORKER__FUSE`: `worker.fuse` is `0`; it wants a whole number from 1
    "#);
}

#[test]
fn a_policy_that_makes_no_sense_is_told_with_the_rest() {
    insta::assert_snapshot!(refused(
        "[triage]\nready_at = 9\nredy_at = 1\n[policy.scope]\ncap = 1\n"
    ), @r"
    config `gitea-triage.toml` line 9: `triage.ready_at` is 9, but no issue can score more than 7; lower it
    config `gitea-triage.toml` line 10: unknown key `triage.redy_at`; did you mean `triage.ready_at`?
    ");
    insta::assert_snapshot!(refused("[policy]\nblocked_terms = ['on {holt}']\n"), @"config `gitea-triage.toml` line 9: `policy.blocked_terms`: the term `on {holt}` has an unknown mark `{holt}`; write `{word}`, `{space}`, `{spaces}`, `{any}` or `{edge}`, and `{{` for a brace");
}

#[test]
fn a_relative_path_of_a_secret_starts_in_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "from-a-file\n").unwrap();
    let text = SMALLEST.replace(r#"token = "a-token""#, r#"token_file = "token""#);
    let path = folder.path().join("gitea-triage.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(Some(&path), vars(&[])).unwrap();
    assert_eq!(config.gitea.token.expose_secret(), "from-a-file");
    let shown = config.show();
    assert!(shown.contains("token_file = \"token\"  # line 4\n"), "{shown}");
    assert!(!shown.contains("from-a-file"));
}

#[test]
fn a_file_that_was_named_has_to_be_there() {
    let error = find(Some("not/there.toml".as_ref())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "config `not/there.toml`: there is no such file; correct `--config`"
    );
}

#[test]
fn the_schema_names_every_section_with_descriptions_and_defaults() {
    let schema = schema();
    let sections: BTreeMap<_, _> = schema["properties"].as_object().unwrap().iter().collect();
    assert!(sections.contains_key(&"policy".to_owned()));
    assert_eq!(schema["properties"]["triage"]["properties"]["ready_at"]["default"], 5);
    assert_eq!(schema["properties"]["agent"]["items"]["required"][0], "id");
    assert_eq!(schema["properties"]["triage"]["additionalProperties"], false);
    assert!(schema["properties"]["sweep"]["properties"]["every"]["description"].is_string());
}

#[test]
fn the_documentation_holds_the_current_reference() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/configuration.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (_, inside) = text.split_once("<!-- reference -->").expect("the page has the marker");
    assert_eq!(
        inside.trim(),
        reference().trim(),
        "paste what `gitea-triage config reference` prints"
    );
}

/// The path of an address of others may be a key, as its query may.
#[test]
fn of_a_service_of_others_only_the_host_is_shown() {
    let text = format!(
        "{SMALLEST}[[agent]]\nid = \"api\"\nendpoint = \"https://agents.example.com:8443/services/T0/canary-1?k=canary-2\"\n\
         [local_agent]\nmodel = \"m\"\nurl = \"https://models.example.com/canary-3/v1\"\n\
         [[local_agent.mcp]]\nname = \"files\"\nurl = \"https://tools.example.com/mcp/canary-4\"\n\
         [[local_agent.consult]]\nname = \"wise\"\nmodel = \"w\"\nurl = \"https://wise.example.com/canary-5\"\n\
         invoice = \"lnbits\"\ninvoice_url = \"https://pay.example.com/canary-6\"\ninvoice_key = \"canary-7-of-it\"\n"
    );
    let config = Config::from_toml("c.toml", &text, std::iter::empty()).unwrap();
    for shown in [config.show(), config.to_json().to_string()] {
        assert!(!shown.contains("canary"), "{shown}");
        for host in
            ["agents.example.com:8443/***", "models.example.com/***", "tools.example.com/***"]
        {
            assert!(shown.contains(&format!("https://{host}")), "{host} is not in {shown}");
        }
    }
    assert_eq!(config.local_agent.unwrap().url, "https://models.example.com/canary-3/v1");
}

#[test]
fn one_label_does_not_mean_two_things() {
    let message = |more: &str| refused(more);
    for (more, of) in [
        ("[triage]\napprove_label = \"Claude-Ready\"", "agent `claude`"),
        (
            "[triage]\nauthors = \"approved\"\nquestion_label = \"approved\"",
            "`triage.question_label`",
        ),
        (
            "[triage]\nauthors = \"members\"\nneeds_info_label = \"approved\"",
            "`triage.needs_info_label`",
        ),
        ("[triage]\nauthors = \"members\"\nflag_label = \"approved\"", "`triage.flag_label`"),
    ] {
        let told = message(more);
        assert!(told.contains("`triage.approve_label` is"), "{told}");
        assert!(
            told.contains(&format!("the label of {of} too; give one of the two another name")),
            "{told}"
        );
    }
    // Where nobody approves anything, a label that nobody chose is in nobody's way.
    read("[triage]\nflag_label = \"approved\"");
}

/// A runner's entry whose digest is sixty-four times this digit.
fn runner(name: &str, digit: &str, agents: &str) -> String {
    let digest = digit.repeat(64);
    format!("[[runner]]\nname = \"{name}\"\ntoken_sha256 = \"{digest}\"\nagents = [{agents}]\n")
}

#[test]
fn a_runner_that_nobody_could_use_is_refused() {
    let coder = "[[agent]]\nid = \"coder\"\ninterface = \"runner\"\n";
    let one = || coder.to_owned() + &runner("one", "a", "\"coder\"");
    for (more, says) in [
        (coder.to_owned(), "no `[[runner]]` lists `coder` among its `agents`"),
        (one() + &runner("One", "b", "\"coder\""), "runner `One` is there twice"),
        (one() + &runner("two", "A", "\"coder\""), "runners `one` and `two` have the same token"),
        (
            one() + &runner("two", "b", "\"codre\""),
            "`codre`, which is no agent that is enabled; did you mean `coder`?",
        ),
        (
            one() + &runner("two", "b", "\"claude\""),
            "`claude`, which works by `interface = \"gitea\"`",
        ),
        (one() + &runner("two", "x", "\"coder\""), "it wants 64 hexadecimal digits"),
        (one() + &runner("two", "b", ""), "`runner.two.agents` is missing"),
        (one() + "[runs]\nlease = \"2s\"", "write at least `10s`"),
        (one() + "[runs]\nlog_limit = \"1KiB\"", "write at least `256KiB`"),
        (
            one() + "[runs]\nprompt_file = \"nowhere.md\"",
            "names `nowhere.md`, which cannot be read",
        ),
        (
            one().replace("\"runner\"\n", "\"runner\"\nendpoint = \"https://x.example.com\"\n"),
            "is never called",
        ),
    ] {
        let told = refused(&more);
        assert!(told.contains(says), "{says}: {told}");
    }
    let config = read(&one());
    assert_eq!(config.runner[0].agents, ["coder"]);
    assert_eq!(config.agents.list.last().unwrap().interface, Interface::Runner);
    let built_in =
        "[[agent]]\nid = \"claude\"\ninterface = \"runner\"\nlabel = \"\"\nlogin = \"\"\n";
    read(&(built_in.to_owned() + &runner("one", "a", "\"claude\"")));
}

#[test]
fn a_template_is_read_beside_the_configuration_and_tried() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("triage.toml");
    let base = "[gitea]\nurl = 'https://gitea.example.com'\ntoken = 'x'\nrepos = ['acme/widgets']\n[webhook]\nsecrets = ['a-secret-text']\n[runs]\nprompt_file = 'prompt.md'\n";
    std::fs::write(&path, base).unwrap();
    let load = || Config::load(Some(&path), std::iter::empty());
    std::fs::write(folder.path().join("prompt.md"), "Do {{ issue }} on {{ brunch }}").unwrap();
    let told = load().unwrap_err().to_string();
    assert!(told.contains("line 8: `runs.prompt_file` names `prompt.md`, which is no template: line 1: undefined value"), "{told}");
    std::fs::write(folder.path().join("prompt.md"), "Do {{ issue }} on {{ branch }}").unwrap();
    let config = load().unwrap();
    assert_eq!(config.runs.prompt.as_deref(), Some("Do {{ issue }} on {{ branch }}"));
    assert!(config.show().contains("prompt_file = \"prompt.md\""), "{}", config.show());
}
