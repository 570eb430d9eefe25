//! A configuration with a secret wherever one can stand.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::program::{SECRET, Stage};

/// Where the application on the forge sends people back to: the program listens there as far as it knows.
const CALLBACK: &str = "http://127.0.0.1:0/sign-in/callback";

/// How the secrets are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Inline,
    InFiles,
}

impl Way {
    /// What the program's own reference says that such a key wants.
    pub(super) fn wants(self) -> &'static str {
        match self {
            Self::Inline => "a text that is not empty",
            Self::InFiles => "the path of a file",
        }
    }

    /// Whether a key of this name would hold a secret, whatever it says that it wants.
    pub(super) fn is_named_so(self, name: &str) -> bool {
        let base = match self {
            Self::Inline => Some(name),
            Self::InFiles => name.strip_suffix("_file"),
        };
        let ends = ["token", "secret", "key", "password", "macaroon"];
        base.is_some_and(|base| ends.iter().any(|end| base.ends_with(end)))
    }
}

/// The secrets of one configuration.
pub(super) struct Secrets {
    pub(super) way: Way,
    folder: PathBuf,
    pub(super) all: Vec<Secret>,
}

pub(super) struct Secret {
    /// Where it stands, as `config reference` names the key.
    key: String,
    pub(super) word: String,
    pub(super) line: String,
}

impl Secrets {
    pub(super) fn new(way: Way, stage: &Stage) -> Self {
        let folder = stage.path("secrets");
        std::fs::create_dir(&folder).unwrap();
        Self { way, folder, all: Vec::new() }
    }

    /// A word of its own for this key; hexadecimal, as some want it, and never seen before.
    pub(super) fn new_in(&mut self, key: &str) -> String {
        let word = format!("{:04x}{}", self.all.len(), uuid::Uuid::new_v4().simple());
        self.put(key, &word)
    }

    /// The line that gives this key this word.
    pub(super) fn put(&mut self, key: &str, word: &str) -> String {
        let (section, name) = key.rsplit_once('.').unwrap();
        let line = match self.way {
            Way::Inline => format!("{name} = \"{word}\""),
            Way::InFiles => {
                let path = self.folder.join(self.all.len().to_string());
                std::fs::write(&path, format!("{word}\n")).unwrap();
                format!("{name}_file = \"{}\"", path.display())
            }
        };
        let key = format!("{section}.{}", line.split_once(' ').unwrap().0);
        self.all.push(Secret { key, word: word.to_owned(), line: line.clone() });
        line
    }

    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.all.iter().map(|secret| secret.key.clone()).collect()
    }

    pub(super) fn words(&self) -> Vec<String> {
        self.all.iter().map(|secret| secret.word.clone()).collect()
    }

    /// The word in this key, the last one where there are several.
    pub(super) fn last_of(&self, key: &str) -> String {
        self.all.iter().rfind(|secret| secret.key.starts_with(key)).unwrap().word.clone()
    }
}

/// Files that a configuration names, and that everybody may read.
const FILES_WITHOUT_SECRETS: [&str; 2] = ["runs.embedded", "runs.prompt_file"];

/// The keys that hold a secret or name its file, as the program itself lists them.
pub(super) fn published(stage: &Stage, way: Way) -> BTreeSet<String> {
    let reference = String::from_utf8(stage.run(&["config", "reference"]).stdout).unwrap();
    let mut section = "";
    let mut keys = BTreeSet::new();
    for line in reference.lines() {
        if let Some(heading) = line.strip_prefix("### `") {
            section = heading.trim_start_matches('[').split([']', ' ']).next().unwrap();
        }
        let Some((name, rest)) = line.strip_prefix("| `").and_then(|l| l.split_once("` | ")) else {
            continue;
        };
        if rest.starts_with(&format!("{} |", way.wants())) || way.is_named_so(name) {
            keys.insert(format!("{section}.{name}"));
        }
    }
    keys.retain(|key| !FILES_WITHOUT_SECRETS.contains(&key.as_str()));
    // Of a server alone, which has a program of its own (tests/postgres.rs).
    keys.retain(|key| !key.starts_with("store."));
    keys
}

/// A configuration with a secret wherever one can stand, and a token in an address.
pub(super) fn config(
    stage: &Stage,
    outside: &str,
    address_token: &str,
    secrets: &mut Secrets,
) -> String {
    let (client_id, client_secret) = stage.gitea.add_oauth_application(CALLBACK);
    let hook = "webhook.secrets.secret";
    let first = match (secrets.put(hook, SECRET), secrets.way) {
        (_, Way::Inline) => format!("\"{SECRET}\""),
        (line, Way::InFiles) => format!("{{ {line} }}"),
    };
    let (second, once) = (secrets.new_in(hook), secrets.new_in(hook));
    let (kimi, api) = (secrets.new_in("agent.secret"), secrets.new_in("agent.secret"));
    let mut consult = |name: &str, invoice: &str| {
        let key = secrets.new_in("local_agent.consult.api_key");
        let invoice_key = secrets.new_in("local_agent.consult.invoice_key");
        format!(
            "[[local_agent.consult]]\nname = \"{name}\"\nurl = \"{outside}/paid\"\nmodel = \"m\"\n{key}\n\
             invoice = \"{invoice}\"\ninvoice_url = \"{outside}/{invoice}\"\n{invoice_key}\n"
        )
    };
    let consults = consult("big", "lnbits") + &consult("small", "lnd");
    format!(
        "[gitea]\nurl = \"{gitea}\"\n{token}\nrepos = [\"acme/widgets\"]\n[server]\nlisten = \"127.0.0.1:0\"\n\
         [webhook]\nsecrets = [{first}, {{ {second} }}, {{ {once}, expires = \"2020-01-01T00:00:00Z\" }}]\n\
         [store]\nurl = \"sqlite:{database}\"\n[sweep]\nat_start = false\n[summary]\nenabled = false\n\
         [triage]\nowner = \"alice\"\n[dispatch]\nmax_attempts = 1\n[worker]\nfuse = 1000\n\
         [agents]\nallow_private = [\"127.0.0.1\"]\n[[agent]]\nid = \"claude\"\nmax_concurrent = 10000\n\
         [[agent]]\nid = \"kimi\"\n{kimi}\n[[agent]]\nid = \"api\"\n{api}\n\
         endpoint = \"{outside}/work?key={address_token}\"\n\
         [local_agent]\napi = \"openai\"\nurl = \"{outside}/model\"\nmodel = \"m\"\n{model_key}\n{consults}\
         [dashboard]\n{dashboard}\nclient_id = \"{client_id}\"\n{client_secret}\n",
        gitea = stage.gitea.url(),
        token = secrets.put("gitea.token", stage.gitea.token()),
        database = stage.path("fault.db").display(),
        model_key = secrets.new_in("local_agent.api_key"),
        dashboard = secrets.new_in("dashboard.token"),
        client_secret = secrets.put("dashboard.client_secret", &client_secret),
    )
}
