//! What may change while the service runs, and what needs a restart. All that changes is made of a configuration first,
//! so that one that cannot be used changes nothing; then every part takes its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context as _;
use url::Url;

use super::{Parts, base, people, rules, settings};
use crate::agents::local::LocalRules;
use crate::apply::LabelRules;
use crate::config::{Agents, Config};
use crate::gitea as forge;
use crate::receive::{Links, RunRules};
use crate::worker::Rules;
use crate::{dashboard, summary, sweep};

/// The keys whose values the service takes at its start only; a section or a list stands for all that is in it.
const AT_START: &[&str] = &[
    "server.listen",
    "server.workers",
    "server.trusted_proxies",
    "webhook.max_body",
    "webhook.queue",
    "store.password",
    "store.url",
    "local_agent.api",
    "local_agent.url",
    "local_agent.model",
    "local_agent.api_key",
    "local_agent.timeout",
    "local_agent.max_rounds",
    "local_agent.temperature",
    "local_agent.context",
    "local_agent.tools",
    "local_agent.permission",
    "local_agent.web_hosts",
    "local_agent.mcp",
    "local_agent.consult",
    "sweep.at_start",
    "worker.concurrency",
    "runs.embedded",
];

/// The settings of every part that can be swapped.
pub(super) struct Live {
    forge: forge::Settings,
    rules: Rules,
    labels: LabelRules,
    agents: Agents,
    /// With the template that agents are told by.
    runs: (RunRules, Option<String>),
    local: LocalRules,
    sweep: sweep::Settings,
    summary: summary::Settings,
    secrets: Vec<forge::Secret>,
    dashboard: dashboard::Settings,
    links: Links,
}

/// What a reload changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The keys whose new values are in force.
    pub changed: Vec<String>,
    /// The keys whose new values need a restart.
    pub restart: Vec<String>,
}

impl Live {
    /// The settings in a configuration.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            forge: settings::forge_settings(config),
            rules: rules(config)?,
            labels: settings::labels(config),
            agents: config.agents.clone(),
            runs: (settings::runs(config), config.runs.prompt.clone()),
            local: settings::local_rules(config),
            sweep: settings::sweep(config),
            summary: settings::summary(config),
            secrets: settings::secrets(config),
            dashboard: settings::dashboard(config)?,
            links: settings::links(config),
        })
    }
}

impl Parts {
    /// Takes over what may change while the service runs, and says what does and what does not.
    ///
    /// # Errors
    /// When the new configuration cannot be used; the old one stays.
    pub fn reload(&self, config: &Config) -> anyhow::Result<Reloaded> {
        // Named one by one, so that none is forgotten.
        #[rustfmt::skip]
        let Live { forge, rules, labels, agents, runs, local, sweep, summary, secrets, dashboard, links } =
            Live::of(config)?;
        self.forge.set_settings(forge).context("the forge cannot be asked")?;
        people::take(&self.named, config);
        self.worker.set_rules(Arc::new(rules));
        self.worker.set_labels(labels);
        self.worker.set_clients(base::clients(config, self.local.as_ref(), &self.runs));
        self.local.iter().for_each(|agent| agent.set_rules(local.clone()));
        self.sweeper.set_settings(sweep);
        self.summaries.set_settings(summary);
        self.web.receiver.set_secrets(secrets);
        self.web.receiver.set_links(links);
        self.web.callbacks.set_secrets(agents.secrets);
        self.web.runners.set_rules(runs.0);
        self.web.dashboard.set_settings(dashboard);
        let before = self.config.swap(Arc::new(config.clone()));
        self.follow_owner()?;
        self.reloaded.notify_waiters();
        Ok(Reloaded::between(&self.started, &before, config))
    }
}

impl Parts {
    /// Has everybody call the owner, and rotations their members, by the names that the accounts have now.
    pub(super) fn follow_owner(&self) -> anyhow::Result<()> {
        let written = self.config.load_full();
        let mut config = (*written).clone();
        config.triage.owner = config.triage.owner.and_then(|named| self.named.current(&named));
        let mut is_same = config.triage.owner == written.triage.owner;
        for member in config.rotation.iter_mut().flat_map(|rotation| &mut rotation.members) {
            // Whom nobody knows any more is passed over like anybody who cannot be assigned.
            let now = self.named.current(&member.login).unwrap_or_else(|| member.login.clone());
            is_same &= now == member.login;
            member.login = now;
        }
        if is_same && !self.is_owner_followed.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        self.is_owner_followed.store(!is_same, Ordering::SeqCst);
        self.worker.set_rules(Arc::new(rules(&config)?));
        self.local.iter().for_each(|agent| agent.set_rules(settings::local_rules(&config)));
        self.summaries.set_settings(settings::summary(&config));
        Ok(())
    }
}

impl Reloaded {
    /// What is different from the last configuration, and from the one of the start where only that counts.
    fn between(started: &Config, before: &Config, now: &Config) -> Self {
        let restart = needs_restart(started, now);
        let mut changed = before.changes(now);
        changed.retain(|key| !AT_START.contains(&key.as_str()));
        Self { changed, restart }
    }
}

fn needs_restart(started: &Config, now: &Config) -> Vec<String> {
    let mut changed = started.changes(now);
    let fetches =
        started.local_agent.as_ref().is_some_and(|l| l.tools.iter().any(|t| t == "web_fetch"));
    // The path and the scheme are in the cookies, as the server was told at its start.
    let place = |config: &Config| {
        let url = Url::parse(config.server.public_url.as_deref()?).ok()?;
        Some((url.scheme().to_owned(), url.path().to_owned()))
    };
    let moves_cookies = now.dashboard.is_on() && place(started) != place(now);
    changed.retain(|key| match key.as_str() {
        "agents.allow_private" => fetches,
        "server.public_url" => moves_cookies,
        key => AT_START.contains(&key),
    });
    changed
}

#[cfg(test)]
mod tests {
    use secrecy::{ExposeSecret as _, SecretString};
    use serde_json::Value as Json;

    use super::*;

    /// A file in which every section is in use.
    const FILE: &str = r#"
[gitea]
url = "https://gitea.example.com"
token = "a-token"
repos = ["acme/*"]
[server]
public_url = "https://triage.example.com"
[webhook]
secrets = ["a-webhook-secret"]
[dashboard]
token = "a-dashboard-token"
client_id = "a-client"
client_secret = "a-client-secret"
[[agent]]
id = "api"
endpoint = "https://agents.example.com"
[[agent]]
id = "coder"
interface = "runner"
[[runner]]
name = "one"
token_sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
agents = ["coder"]
[local_agent]
model = "llama3.1"
"#;
    /// What a new entry of a list has to have.
    const ENTRIES: [(&str, &str); 9] = [
        (
            "runner",
            "name = 'one', token_sha256 = '1111111111111111111111111111111111111111111111111111111111111111', agents = ['coder']",
        ),
        ("rotation", "name = 'backend', members = ['alice']"),
        ("rotation[].members", "login = 'alice'"),
        ("rotation[].members[].absent", "from = '2026-12-20', until = '2027-01-06'"),
        ("webhook.secrets", "secret = 'another-webhook-secret'"),
        ("local_agent.mcp", "name = 'files', command = ['files']"),
        (
            "local_agent.consult",
            "name = 'big', url = 'https://big.example.com', model = 'm', invoice_url = 'https://i.example.com', invoice_key = 'k'",
        ),
        ("local_agent.budget", "per = 'day'"),
        ("runs.budget", "per = 'day', tokens = 1000"),
    ];
    /// Values of every kind; the first that a key takes and that is another than before is tried.
    const VALUES: &[&str] = &[
        "planning",
        "read",
        "read_issue",
        "create",
        "always",
        "lnbits",
        "issue",
        "true",
        "false",
        "7",
        "8",
        "600",
        "0.5",
        "7m",
        "20MiB",
        "05:30",
        "Europe/Berlin",
        "#123456",
        "127.0.0.1:9999",
        "sqlite:other.db",
        "2036-12-31T00:00:00Z",
        "https://other.example.com",
        "acme/other",
        "10.9.0.0/16",
        "tasks",
        "kimi",
        "task-type",
        "local",
        "another-text-of-24-letters",
        "openai",
        "repository",
        "comment",
        "approved",
        "reviewed",
        "2026-12-24",
        "2222222222222222222222222222222222222222222222222222222222222222",
    ];

    fn read(vars: &[(String, String)]) -> Option<Config> {
        Config::from_toml(None, FILE, vars.iter().cloned()).ok()
    }

    /// The paths of all keys, those of a list's entries behind `[]`.
    fn keys(schema: &Json, above: &str) -> Vec<String> {
        let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
        let all = properties.iter().flat_map(|(name, key)| {
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            let entry = [&key["items"], &key["items"]["anyOf"][1]];
            let entry = entry.into_iter().find(|items| items["properties"].is_object());
            match (&key["properties"], entry) {
                (_, Some(entry)) => keys(entry, &format!("{path}[]")),
                (Json::Object(_), _) => keys(key, &path),
                _ => vec![path],
            }
        });
        all.collect()
    }

    /// The variables that set a key to this value.
    fn setting(path: &str, value: &str) -> Vec<(String, String)> {
        let named =
            |path: &str| format!("GITEA_TRIAGE__{}", path.to_uppercase().replace('.', "__"));
        match path.split_once("[].") {
            None => vec![(named(path), value.to_owned())],
            Some(("agent", "id")) => vec![
                (named("agent.added.label"), "added".to_owned()),
                (named("agent.added.interface"), "gitea".to_owned()),
            ],
            Some(("agent", "endpoint")) => vec![(named("agent.api.endpoint"), value.to_owned())],
            Some(("agent", key)) => vec![(named(&format!("agent.claude.{key}")), value.to_owned())],
            // Two agents, and one runner for both.
            Some((list @ "runner", key @ "agents")) => vec![
                (named("agent.added.interface"), "runner".to_owned()),
                (named(list), format!("[{}]", entry(list, key, "['coder', 'added']"))),
            ],
            Some((list, key)) => {
                let texts = [format!("'{value}'"), value.to_owned(), format!("['{value}']")];
                let texts =
                    texts.map(|value| (named(list), format!("[{}]", entry(list, key, &value))));
                let mut texts = texts.into_iter();
                texts.find(|one| read(std::slice::from_ref(one)).is_some()).into_iter().collect()
            }
        }
    }

    /// An entry of a list in which a key has this value, beside what else it has to have.
    fn entry(list: &str, key: &str, value: &str) -> String {
        let has = ENTRIES.iter().find(|(name, _)| *name == list);
        let (_, has) = has.unwrap_or_else(|| panic!("`{list}` is new: what does an entry need?"));
        let (key, value) = match key.split_once("[].") {
            Some((inner, rest)) => {
                (inner, format!("[{}]", entry(&format!("{list}[].{inner}"), rest, value)))
            }
            None => (key, value.to_owned()),
        };
        let others = has.split(", ").filter(|one| {
            let name = one.split(" = ").next().unwrap_or_default();
            // A tool server has one or the other.
            name != key.trim_end_matches("_file") && (key, name) != ("url", "command")
        });
        let all: Vec<_> = others.map(str::to_owned).chain([format!("{key} = {value}")]).collect();
        format!("{{ {} }}", all.join(", "))
    }

    /// All that is in force, secrets included.
    fn in_force(config: &Config) -> String {
        #[rustfmt::skip]
        let Live { forge, rules, labels, agents, runs, local, sweep, summary, secrets, dashboard, links } =
            Live::of(config).unwrap();
        let shown = |secret: &SecretString| secret.expose_secret().to_owned();
        let hidden: Vec<_> = secrets
            .iter()
            .map(|s| shown(&s.key))
            .chain(agents.secrets.values().map(shown))
            .chain(dashboard.token.as_ref().map(shown))
            .chain([shown(&forge.token)])
            .collect();
        let sign_in = dashboard.sign_in.as_ref().map(|sign_in| sign_in.fingerprint());
        let keep = config.store.keep;
        format!(
            "{forge:?}{rules:?}{labels:?}{agents:?}{runs:?}{local:?}{sweep:?}{summary:?}{secrets:?}{dashboard:?}{links:?}{hidden:?}{sign_in:?}{keep:?}"
        )
    }

    /// Made from the keys that there are: a new one that nobody takes over and nobody names is found here.
    #[test]
    fn each_key_is_in_force_after_a_reload_or_is_named_as_needing_a_restart() {
        let before = read(&[]).unwrap();
        let was = in_force(&before);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "a-secret-from-a-file").unwrap();
        let file = file.display().to_string();
        let runner = folder.path().join("runner.toml");
        let forge = "[forge]\nurl = 'https://gitea.example.com'\ntoken_file = 'b'\n";
        let agent = "[[agent]]\nid = 'claude'\n";
        std::fs::write(&runner, format!("token_file = 'a'\n{forge}{agent}")).unwrap();
        let runner = runner.display().to_string();
        let all = keys(&crate::config::schema(), "");
        assert!(all.len() > 90, "{}", all.len());
        // The policy goes over as a whole.
        let all = all
            .iter()
            .filter(|path| !path.starts_with("policy.") || *path == "policy.default_agent");
        for path in all {
            let values: &[&str] = match path.as_str() {
                "runs.embedded" => &[&runner],
                path if path.ends_with("_file") => &[&file],
                _ => VALUES,
            };
            let changed = values.iter().filter_map(|value| read(&setting(path, value)));
            let mut changed = changed.filter(|config| !before.changes(config).is_empty());
            let after = changed.next().unwrap_or_else(|| panic!("`{path}`: add a value to try"));
            let Reloaded { changed, restart } = Reloaded::between(&before, &before, &after);
            let is_in_force = in_force(&after) != was;
            assert!(is_in_force || !restart.is_empty(), "`{path}` is neither in force nor named");
            assert_eq!(is_in_force, !changed.is_empty(), "`{path}`: {changed:?}, {restart:?}");
        }
    }

    #[test]
    fn what_needs_a_restart_is_named_until_it_came() {
        let [first, second] = ["127.0.0.1:1", "127.0.0.1:2"]
            .map(|listen| read(&setting("server.listen", listen)).unwrap());
        let third = read(
            &[setting("server.listen", "127.0.0.1:2"), setting("triage.dry_run", "true")].concat(),
        )
        .unwrap();
        assert_eq!(Reloaded::between(&first, &first, &first), Reloaded::default());
        let named = vec!["server.listen".to_owned()];
        let told = Reloaded::between(&first, &first, &second);
        assert_eq!(told, Reloaded { changed: vec![], restart: named.clone() });
        let told = Reloaded::between(&first, &second, &third);
        assert_eq!(told, Reloaded { changed: vec!["triage.dry_run".into()], restart: named });
    }
}
