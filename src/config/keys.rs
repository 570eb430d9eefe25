//! The one table of keys. Reading, unknown-key checks, environment variables, `config schema` and the
//! reference in the README all come from it, so none of them can say something else.

use super::kind::Kind::*;
use super::kind::{Kind, MANY};

/// Whether a key may be left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Presence {
    /// It may not; an example line is shown instead.
    Required(&'static str),
    /// It may, and then means nothing.
    Optional,
    /// It may, and then is this, written as in an environment variable.
    Default(&'static str),
}

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// The table it stands in; `[]` at the end marks a list of tables.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it wants.
    pub kind: Kind,
    /// Whether it may be left out.
    pub presence: Presence,
    /// What it does, for people.
    pub about: &'static str,
}

impl Key {
    /// `section.name`, without the marks of a list.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section.trim_end_matches("[]"), self.name)
    }
}

/// The keys of one section, in the order they are documented.
pub(super) fn of(section: &str) -> impl Iterator<Item = &'static Key> + use<'_> {
    KEYS.iter().filter(move |k| k.section == section)
}

/// The key `name` of `section`.
pub(super) fn find(section: &str, name: &str) -> Option<&'static Key> {
    of(section).find(|k| k.name == name)
}

/// One table of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// Its name; `[]` at the end marks a list of tables.
    pub name: &'static str,
    /// What it is about, for people.
    pub about: &'static str,
}

impl Section {
    /// Whether the file may hold it more than once.
    pub fn is_list(&self) -> bool {
        self.name.ends_with("[]")
    }
}

const fn section(name: &'static str, about: &'static str) -> Section {
    Section { name, about }
}

const fn required(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    example: &'static str,
    about: &'static str,
) -> Key {
    Key { section, name, kind, presence: Presence::Required(example), about }
}

const fn optional(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    about: &'static str,
) -> Key {
    Key { section, name, kind, presence: Presence::Optional, about }
}

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
) -> Key {
    Key { section, name, kind, presence: Presence::Default(default), about }
}

const fn count(min: u64, max: u64) -> Kind {
    Count { min, max }
}

/// Every section, in the order they are documented. `policy` has no keys here: it is the triage room's.
pub(super) const SECTIONS: &[Section] = &[
    section("gitea", "The Gitea or Forgejo server."),
    section("server", "The address this service listens on."),
    section("webhook", "What the webhook accepts."),
    section("webhook.secrets[]", "An entry of `webhook.secrets` written as a table."),
    section("store", "Where deliveries and the ledger are kept."),
    section("triage", "How issues are judged and what is left alone."),
    section("labels", "Labels the service puts on."),
    section("dispatch", "How issues are given to agents."),
    section("review", "What a closed issue has to show."),
    section("agents", "What holds for all agents."),
    section("agent[]", "One agent; a built-in `id` changes only the keys named here."),
    section("local_agent", "The model behind agents with `interface = \"local\"`."),
    section("local_agent.mcp[]", "A server of tools for the local agent; `command` or `url`."),
    section(
        "local_agent.consult[]",
        "An outside model the local agent may ask, as the tool `consult_<name>`.",
    ),
    section(
        "local_agent.budget[]",
        "What the local agent may spend within a day (UTC); without one there is no limit.",
    ),
    section("sweep", "Looking for what no webhook told."),
    section("summary", "The daily summary issue."),
    section("worker", "How the inbox is worked off."),
    section("dashboard", "The pages for people; they show nothing until a way to sign in is set."),
];

/// Every key, section by section.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    required("gitea", "url", Url, "url = \"https://gitea.example.com\"", "Address of the server, with its sub-path if it has one."),
    required("gitea", "token", Secret, "token_file = \"/run/secrets/gitea-token\"", "Access token of the service's own account; or `token_file`."),
    optional("gitea", "token_file", SecretFile, "File that holds the token, instead of `token`."),
    required("gitea", "repos", Repos, "repos = [\"acme/widgets\"]", "Repositories to look after."),
    optional("gitea", "account", Text, "Login of the service's own account; asked from the server when left out."),
    key("gitea", "timeout", Duration, "30s", "How long one request may take."),
    key("gitea", "connect_timeout", Duration, "3s", "How long connecting may take."),

    key("server", "listen", Listen, "127.0.0.1:8484", "Address and port to listen on."),
    optional("server", "public_url", Url, "Address under which the server reaches this service; used for the webhook, links and callbacks."),
    key("server", "trusted_proxies", Networks, "127.0.0.0/8,::1", "Proxies whose `X-Forwarded-For` says where a refused delivery came from."),
    key("server", "workers", count(1, 1024), "2", "Threads that answer HTTP requests."),

    required("webhook", "secrets", Entries { section: "webhook.secrets[]", short: Some("secret") }, "secrets = [\"a long random text\"]", "Secrets that sign deliveries, all valid at once."),
    key("webhook", "max_body", Size, "10MiB", "Largest delivery that is accepted."),
    key("webhook", "queue", count(1, MANY), "1024", "Deliveries that may wait to be written before new ones are answered 503."),

    required("webhook.secrets[]", "secret", Secret, "secret_file = \"/run/secrets/webhook\"", "The secret; or `secret_file`."),
    optional("webhook.secrets[]", "secret_file", SecretFile, "File that holds the secret, instead of `secret`."),
    optional("webhook.secrets[]", "expires", Moment, "When the secret stops being valid."),
    optional("webhook.secrets[]", "repos", Repos, "Repositories it may sign for; all when left out."),

    key("store", "url", StoreUrl, "sqlite:gitea-triage.db", "The database; a relative path starts in the working directory."),
    key("store", "keep", Duration, "30d", "How long finished deliveries are kept."),

    optional("triage", "owner", Text, "Login that is flagged; the repository's owner when left out."),
    key("triage", "ready_at", count(0, 9), "5", "Score from which an issue is dispatched."),
    key("triage", "dry_run", Bool, "false", "Decide and record, but write nothing to the server."),
    optional("triage", "flag_label", Text, "Label put on a flagged issue."),
    key("triage", "ignore_labels", List, "", "Issues with one of these labels are left alone."),
    key("triage", "ignore_authors", List, "", "Issues of these logins are left alone."),

    key("labels", "create", Bool, "true", "Create a label that is missing."),
    key("labels", "color", Colour, "#006b75", "Colour of a created label."),

    key("dispatch", "route", Choice(&["triage", "task-type"]), "triage", "Who gets an issue: the agent of the decision, or the one whose strengths hold the task type."),
    key("dispatch", "max_attempts", count(1, 100), "2", "Failed hand-offs and reviews before a person is asked."),

    key("review", "require", Choices(&["tasks", "pull_request", "status"]), "", "Checks on close: no open task-list items, a merged pull request linked, its commit status green."),

    key("agents", "allow_private", Hosts, "", "Private addresses, networks and host names that agents may be called on."),

    required("agent[]", "id", Name, "id = \"claude\"", "Name of the agent; built in are `claude`, `kimi`, `api` and `local`."),
    optional("agent[]", "interface", Choice(&["gitea", "http", "local"]), "How it is told about its work; required for a new agent."),
    optional("agent[]", "label", Text, "Label that calls it; empty takes a built-in one away."),
    optional("agent[]", "login", Text, "Account that is assigned to the issue."),
    key("agent[]", "strengths", Strengths, "", "Task types it is good at."),
    key("agent[]", "max_concurrent", count(1, 10_000), "1", "Dispatches it may have open at once."),
    key("agent[]", "timeout", Duration, "2h", "How long a dispatch may stay open."),
    optional("agent[]", "endpoint", Endpoint, "Where an `http` agent is told."),
    optional("agent[]", "secret", Secret, "Signs what is sent to the agent and what it calls back with."),
    optional("agent[]", "secret_file", SecretFile, "File that holds the secret, instead of `secret`."),
    key("agent[]", "enabled", Bool, "true", "`false` takes the agent away."),

    key("local_agent", "api", Choice(&["ollama", "openai"]), "ollama", "Which API the model is reached by."),
    key("local_agent", "url", Url, "http://127.0.0.1:11434", "Address of that API."),
    required("local_agent", "model", Text, "model = \"llama3.1\"", "The model's name; required as soon as the section is there."),
    optional("local_agent", "api_key", Secret, "Key that an OpenAI-compatible API wants."),
    optional("local_agent", "api_key_file", SecretFile, "File that holds the key, instead of `api_key`."),
    key("local_agent", "timeout", Duration, "60s", "How long one answer of the model may take."),
    key("local_agent", "max_rounds", count(1, 1000), "10", "Rounds of tool calls before a run is given up."),
    key("local_agent", "temperature", Fraction { max: 200 }, "0.2", "How freely the model speaks."),
    key("local_agent", "context", count(512, MANY), "8192", "Tokens the model takes in; the oldest results of tools make room."),
    key("local_agent", "tools", List, "", "Built-in tools it may use."),
    key("local_agent", "permission", Choice(&["read", "comment", "write"]), "write", "The most any of its tools may do; one that may do more stops the start."),
    key("local_agent", "web_hosts", List, "", "Hosts that the tool `web_fetch` may read from."),
    key("local_agent", "sub_issues", Choice(&["ask", "create"]), "ask", "Whether the tool `plan_sub_issues` asks in a comment before it opens issues."),
    optional("local_agent", "mcp", Entries { section: "local_agent.mcp[]", short: None }, "Servers of further tools."),
    optional("local_agent", "consult", Entries { section: "local_agent.consult[]", short: None }, "Outside models it may ask."),
    optional("local_agent", "budget", Entries { section: "local_agent.budget[]", short: None }, "What it may spend."),

    required("local_agent.mcp[]", "name", Name, "name = \"files\"", "Name of the tool server."),
    optional("local_agent.mcp[]", "command", List, "Program and arguments that start it."),
    optional("local_agent.mcp[]", "url", Url, "Address of it, instead of `command`."),
    key("local_agent.mcp[]", "tools", List, "", "Tools of it that may be used."),
    key("local_agent.mcp[]", "timeout", Duration, "30s", "How long starting it, and each call, may take."),
    key("local_agent.mcp[]", "required", Bool, "true", "Whether the service refuses to start without it."),

    required("local_agent.consult[]", "name", Name, "name = \"big\"", "Name of the outside model; the tool is called `consult_` and this."),
    required("local_agent.consult[]", "url", Url, "url = \"https://api.example.com/v1\"", "Address of its OpenAI-compatible API."),
    required("local_agent.consult[]", "model", Text, "model = \"big-model\"", "The model's name there."),
    optional("local_agent.consult[]", "api_key", Secret, "Key that the API wants."),
    optional("local_agent.consult[]", "api_key_file", SecretFile, "File that holds the key, instead of `api_key`."),
    key("local_agent.consult[]", "timeout", Duration, "60s", "How long its answer may take."),
    key("local_agent.consult[]", "invoice", Choice(&["none", "lnbits", "lnd"]), "none", "Service that makes a Lightning invoice before a question is sent; without an invoice nothing is sent."),
    optional("local_agent.consult[]", "invoice_url", Url, "Address of that service."),
    optional("local_agent.consult[]", "invoice_key", Secret, "Key of LNbits, or macaroon of LND in hexadecimal."),
    optional("local_agent.consult[]", "invoice_key_file", SecretFile, "File that holds it, instead of `invoice_key`."),
    key("local_agent.consult[]", "sats", count(1, MANY), "100", "Amount of the invoice, in satoshi."),

    required("local_agent.budget[]", "per", Choice(&["issue", "repository", "day"]), "per = \"issue\"", "What the budget is for: each issue, each repository, or all of them together."),
    optional("local_agent.budget[]", "rounds", count(1, MANY), "Answers of the model."),
    optional("local_agent.budget[]", "tokens", count(1, MANY), "Tokens, as the model counts them."),
    optional("local_agent.budget[]", "time", Duration, "Time of all runs together."),

    key("sweep", "every", Duration, "1h", "Time between two sweeps."),
    key("sweep", "at_start", Bool, "true", "Sweep when the service starts."),
    key("sweep", "full_every", Duration, "24h", "Time between two sweeps that read every issue."),

    key("summary", "enabled", Bool, "true", "Post a summary each day."),
    key("summary", "at", ClockTime, "06:00", "Local time of the summary."),
    key("summary", "timezone", Zone, "UTC", "Time zone of `at`."),
    key("summary", "close_previous", Bool, "true", "Close the newest older summary that is still open."),

    key("worker", "concurrency", count(0, 1024), "4", "Issues worked on at once; 0 accepts and stores only."),
    key("worker", "max_attempts", count(1, 1000), "10", "Tries before a delivery ends dead."),
    key("worker", "fuse", count(1, MANY), "20", "Writes to one issue within an hour before the service stops and asks."),

    optional("dashboard", "token", Secret, "Whoever has it may sign in, see everything and act; at least 16 characters. Or `token_file`."),
    optional("dashboard", "token_file", SecretFile, "File that holds the token, instead of `token`."),
    optional("dashboard", "client_id", Text, "Client id of an OAuth2 application on the server, for \"Sign in with Gitea\"; its redirect URI is `public_url` + `/sign-in/callback`."),
    optional("dashboard", "client_secret", Secret, "Client secret of that application; or `client_secret_file`."),
    optional("dashboard", "client_secret_file", SecretFile, "File that holds the client secret, instead of `client_secret`."),
    optional("dashboard", "gitea_url", Url, "Address of the server for people's browsers, when it is not `gitea.url`."),
    key("dashboard", "admins", List, "", "Logins that may act, among those who may write to a repository; `triage.owner` when empty."),
];

#[cfg(test)]
mod tests {
    use super::super::{Config, env};
    use super::*;

    /// Two values for each kind, in TOML.
    fn samples(key: &Key, file: &str) -> [String; 2] {
        let two = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        match key.kind {
            Text | Name | Secret => two("\"some-text-of-length\"", "\"other-text-of-length\""),
            Bool => two("true", "false"),
            Count { min, .. } => [min + 3, min + 4].map(|n| n.to_string()),
            Duration => two("\"7m\"", "\"8m\""),
            Size => two("\"3KiB\"", "4"),
            SecretFile => [file, file].map(|f| format!("'{f}'")),
            Url | Endpoint => two("\"https://x.example\"", "\"http://y.example/sub/\""),
            Listen => two("\"[::1]:9\"", "\"localhost:80\""),
            StoreUrl => two("\"sqlite:a.db\"", "\"sqlite:b.db\""),
            List => two("[\"a\", \"b\"]", "[\"a\"]"),
            Choice(all) => [all[0], all[1]].map(|c| format!("\"{c}\"")),
            Choices(all) => [all[0], all[1]].map(|c| format!("[\"{c}\"]")),
            Strengths => two("[\"planning\"]", "[]"),
            Repos => two("[\"a/*\"]", "[\"a/b\", \"c/d\"]"),
            Networks => two("[\"::1\"]", "[\"10.0.0.0/8\"]"),
            Hosts => two("[\"::1\"]", "[\"10.0.0.0/8\"]"),
            ClockTime => two("\"23:59\"", "\"00:00\""),
            Zone => two("\"Asia/Tokyo\"", "\"Europe/Paris\""),
            Colour => two("\"#ffffff\"", "\"#000000\""),
            Moment => two("2030-01-01T00:00:00Z", "\"2031-01-01T00:00:00+02:00\""),
            Entries { short: Some(_), .. } => two("[\"s\"]", "[\"s\", \"t\"]"),
            Entries { section: "local_agent.mcp[]", .. } => {
                two("[{ name = \"n\", command = [\"c\"] }]", "[]")
            }
            Entries { section: "local_agent.budget[]", .. } => two("[{ per = \"day\" }]", "[]"),
            Entries { short: None, .. } => {
                two("[{ name = \"n\", url = \"http://x\", model = \"m\" }]", "[]")
            }
            Fraction { .. } => two("0.5", "1"),
        }
    }

    /// `mcp` of `local_agent.mcp[]`.
    fn section_name(section: &'static str) -> &'static str {
        section.trim_end_matches("[]").rsplit('.').next().unwrap_or_default()
    }

    /// A file that sets `key` and otherwise only what has to be there.
    fn file_with(key: &Key, value: &str) -> String {
        let mut tables = vec![
            ("gitea", "url", "\"https://g.example\""),
            ("gitea", "repos", "[\"a/b\"]"),
            ("gitea", "token", "\"t\""),
            ("webhook", "secrets", "[\"s\"]"),
        ];
        let twin = key.name.trim_end_matches("_file");
        tables.retain(|(s, n, _)| *s != key.section || (*n != key.name && *n != twin));
        let inline;
        let extra = match key.section {
            "dashboard" if key.name.starts_with("client_secret") => vec![("client_id", "\"c\"")],
            "dashboard" if key.name == "client_id" => vec![("client_secret", "\"s\"")],
            "dashboard" if key.name == "gitea_url" => {
                vec![("client_id", "\"c\""), ("client_secret", "\"s\"")]
            }
            "agent[]" if key.name == "id" => vec![("interface", "\"local\"")],
            "agent[]" => vec![("id", "\"kimi\"")],
            "local_agent" if key.name != "model" => vec![("model", "\"m\"")],
            _ => vec![],
        };
        tables.extend(extra.into_iter().map(|(n, v)| (key.section, n, v)));
        match key.section {
            "webhook.secrets[]" => {
                let secret = if twin == "secret" { "" } else { "secret = \"s\", " };
                inline = format!("[{{ {secret}{} = {value} }}]", key.name);
                tables.retain(|(s, ..)| *s != "webhook");
                tables.push(("webhook", "secrets", &inline));
            }
            "local_agent.mcp[]" | "local_agent.consult[]" | "local_agent.budget[]" => {
                let needed: &[(&str, &str)] = match (key.section, key.name) {
                    ("local_agent.budget[]", _) => &[("per", "\"day\"")],
                    ("local_agent.consult[]", "invoice") => &[
                        ("name", "\"n\""),
                        ("url", "\"http://x\""),
                        ("model", "\"m\""),
                        ("invoice_url", "\"http://i\""),
                        ("invoice_key", "\"k\""),
                    ],
                    ("local_agent.consult[]", "invoice_url" | "sats") => &[
                        ("name", "\"n\""),
                        ("url", "\"http://x\""),
                        ("model", "\"m\""),
                        ("invoice", "\"lnd\""),
                        ("invoice_url", "\"http://i\""),
                        ("invoice_key", "\"k\""),
                    ],
                    ("local_agent.consult[]", _) => {
                        &[("name", "\"n\""), ("url", "\"http://x\""), ("model", "\"m\"")]
                    }
                    (_, "command") => &[("name", "\"n\"")],
                    _ => &[("name", "\"n\""), ("url", "\"http://x\"")],
                };
                let needed = needed.iter().filter(|(name, _)| *name != key.name);
                let rest: String =
                    needed.map(|(name, value)| format!("{name} = {value}, ")).collect();
                inline = format!("[{{ {rest}{} = {value} }}]", key.name);
                let list = section_name(key.section);
                tables.extend([("local_agent", "model", "\"m\""), ("local_agent", list, &inline)]);
            }
            section => tables.push((section, key.name, value)),
        }
        let mut sections: Vec<&str> = tables.iter().map(|t| t.0).collect();
        sections.dedup();
        sections.sort_unstable();
        sections.dedup();
        let body = |section: &str| -> String {
            let own = tables.iter().filter(|t| t.0 == section);
            own.map(|(_, n, v)| format!("{n} = {v}\n")).collect()
        };
        let title = |s: &str| match s.strip_suffix("[]") {
            Some(list) => format!("[[{list}]]"),
            None => format!("[{s}]"),
        };
        sections.iter().map(|s| format!("{}\n{}", title(s), body(s))).collect()
    }

    /// What the service sees of the file: the typed sections alone.
    fn seen(text: &str) -> String {
        let config = Config::from_toml("x", text, std::iter::empty())
            .unwrap_or_else(|e| panic!("{e}\n{text}"));
        let debug = format!("{config:?}");
        debug.split(", resolved: ").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn every_key_can_be_set_and_reaches_the_service() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "sixteen-or-longer").unwrap();
        for key in KEYS {
            let [one, other] = samples(key, &secret.display().to_string())
                .map(|value| seen(&file_with(key, &value)));
            // Secrets look alike here; that they arrive is tested one by one.
            let hidden = matches!(key.kind, Secret | SecretFile);
            assert_eq!(one == other, hidden, "{}", key.path());
        }
    }

    #[test]
    fn every_default_is_what_its_key_wants() {
        for key in KEYS {
            if let Presence::Default(text) = key.presence {
                let spot = env::typed(key.kind, "default", text);
                assert!(key.kind.read(&spot).is_some(), "{}", key.path());
            }
        }
    }

    #[test]
    fn every_key_has_a_section_and_stands_there_once() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(SECTIONS.iter().any(|s| s.name == key.section), "{}", key.path());
            let same = |k: &Key| k.section == key.section && k.name == key.name;
            assert!(!KEYS[..at].iter().any(same), "{} is there twice", key.path());
            assert!(key.about.ends_with('.'), "{} has no sentence", key.path());
        }
    }
}
