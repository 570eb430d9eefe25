//! The runner's own configuration: a TOML file of its own, since a runner lives on another machine than the service
//! and needs none of its keys. A key is a field with its kind, its default and its doc comment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::generate::SchemaSettings;
use secrecy::SecretString;
use serde_json::Value as Json;
use strsim::normalized_damerau_levenshtein;
use toml::de::{DeTable, DeValue};

use super::profile::{Profile, Protocol};
use crate::dispatch::run::ToolKind;
use crate::setting::{As, Maybe, Name, Size, Span, Text, Url, settings};

/// Where the configuration is looked for when none is named.
pub const PLACES: [&str; 2] =
    ["gitea-triage-runner.toml", "/etc/gitea-triage/gitea-triage-runner.toml"];

const MINUTE: Duration = Duration::from_secs(60);
/// Below this, a guess would only confuse.
const ALIKE: f64 = 0.4;

named_enum! {
    /// What an agent's process is kept in.
    Sandbox {
        /// Nothing: it may do what the runner's account may.
        None = "none",
        /// Bubblewrap: the system can be read, only the workspace can be written.
        Bubblewrap = "bubblewrap",
    }
}

settings! {
    /// The runner.
    Settings {
        /// Address of the service.
        server: String as "As::<Url>" = String::new(),
        /// File that holds the runner's token, as `gitea-triage runner token` made it.
        token_file: PathBuf = PathBuf::new(),
        /// Folder for everything the runner keeps.
        work: PathBuf = PathBuf::from("/var/lib/gitea-triage-runner"),
        /// Runs at once.
        #[schemars(range(min = 1, max = 1000))]
        places: u32 = 1,
        /// How long the workspace of an ended run stays; removed at once when left out.
        keep: Option<Duration> as "As::<Maybe<Span>>" = None,
        /// The most a workspace may hold; a run that goes beyond is ended.
        disk_limit: usize as "As::<Size>" = 10 << 30,
        /// The most files and folders a workspace may hold; beyond it the run is ended.
        #[schemars(range(min = 1))]
        file_limit: u64 = 1_000_000,
        /// How long runs may go on after the runner was told to stop.
        drain: Duration as "As::<Span>" = MINUTE,
        /// The Gitea or Forgejo server.
        forge: Forge = Forge::default(),
        /// How commits are made.
        git: GitSettings = GitSettings::default(),
        /// Commands around a run.
        hooks: Hooks = Hooks::default(),
        /// Agents that can be run here.
        agent: Vec<AgentSettings> = Vec::new(),
    }

    /// The Gitea or Forgejo server.
    Forge {
        /// Address of the server, with its sub-path if it has one.
        url: String as "As::<Url>" = String::new(),
        /// File that holds a token which may write to the repositories and open pull requests.
        token_file: PathBuf = PathBuf::new(),
        /// Address to clone from, with `{owner}` and `{repo}`; below `url` when left out.
        clone: Option<String> as "As::<Maybe<Text>>" = None,
    }

    /// How commits are made.
    GitSettings {
        /// Who commits, as `Name <address>`.
        author: String as "As::<Text>" = "gitea-triage <gitea-triage@localhost>".to_owned(),
        /// Clone submodules, too.
        submodules: bool = false,
        /// How long one call of git may take.
        timeout: Duration as "As::<Span>" = 10 * MINUTE,
    }

    /// Commands around a run, each as program and arguments, kept in as the agent is.
    Hooks {
        /// After a workspace was made; when it fails, so does the run.
        after_create: Vec<String> = Vec::new(),
        /// Before the agent starts; when it fails, so does the run.
        before_run: Vec<String> = Vec::new(),
        /// After the agent ended, before its work is committed.
        after_run: Vec<String> = Vec::new(),
        /// Before a workspace is removed.
        before_remove: Vec<String> = Vec::new(),
        /// How long each may take.
        timeout: Duration as "As::<Span>" = 5 * MINUTE,
    }

    /// An agent that can be run here.
    AgentSettings {
        /// Its name, as the service knows it.
        id: String as "As::<Name>" = String::new(),
        /// The coding agent it is; the one of that name when left out.
        #[schemars(with = "Profile")]
        profile: Option<Profile> = None,
        /// Program and arguments, instead of those of the profile.
        command: Vec<String> = Vec::new(),
        /// How it is talked to; as the profile says when left out.
        #[schemars(with = "Protocol")]
        protocol: Option<Protocol> = None,
        /// Variables of its environment.
        env: BTreeMap<String, String> = BTreeMap::new(),
        /// Variables of its environment whose values stand in files; they are kept out of logs and pushes.
        env_files: BTreeMap<String, PathBuf> = BTreeMap::new(),
        /// Variables that it gets from the runner's own environment.
        pass_env: Vec<String> = ["PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"].map(str::to_owned).into(),
        /// What it may do when it asks.
        permissions: Permissions = Permissions::default(),
        /// What its process is kept in.
        sandbox: Sandbox = Sandbox::None,
        /// Whether it reaches the network from the sandbox.
        network: bool = true,
        /// Further folders that it may read from the sandbox.
        read: Vec<PathBuf> = Vec::new(),
        /// Program and arguments put before everything else.
        wrap: Vec<String> = Vec::new(),
        /// Who is named as co-author of what the runner commits, as `Name <address>`.
        co_author: Option<String> as "As::<Maybe<Text>>" = None,
    }

    /// What an agent may do when it asks. What is in neither list is asked of a person: the run ends with the question.
    Permissions {
        /// Kinds of tools that are allowed; when left out, all but running programs, reading from the network and what
        /// has no kind, and with a sandbox all.
        allow: Option<Vec<ToolKind>> = None,
        /// Kinds of tools that are refused.
        deny: Vec<ToolKind> = Vec::new(),
    }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SettingsError(pub Vec<String>);

impl Settings {
    /// The file to read: the one that was named, else the first of [`PLACES`] that exists.
    ///
    /// # Errors
    /// The named one is not there.
    pub fn find(named: Option<&Path>) -> Result<Option<PathBuf>, SettingsError> {
        match named {
            Some(path) if !path.is_file() => Err(SettingsError(vec![format!(
                "config `{}`: there is no such file; correct `--config`",
                path.display()
            )])),
            Some(path) => Ok(Some(path.to_owned())),
            None => Ok(PLACES.iter().map(PathBuf::from).find(|p| p.is_file())),
        }
    }

    /// Reads a file. The files that it names are relative to its folder.
    ///
    /// # Errors
    /// What cannot be read, each with its line. What is missing is not looked for: see [`Settings::check`].
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|e| SettingsError(vec![format!("config `{name}`: cannot be read: {e}")]))?;
        let mut read = Self::from_toml(&name, &text)?;
        if let Some(folder) = path.parent() {
            read.resolve(folder);
        }
        Ok(read)
    }

    /// Reads `text`, which messages call `name`.
    ///
    /// # Errors
    /// As for [`Settings::load`].
    pub fn from_toml(name: &str, text: &str) -> Result<Self, SettingsError> {
        let at = |place: usize, message: &str| {
            let line = text.get(..place).unwrap_or(text).matches('\n').count() + 1;
            format!("config `{name}` line {line}: {message}")
        };
        let broken = |error: &toml::de::Error| {
            // The error's own text would show the line, which may hold a key.
            at(error.span().map_or(0, |span| span.start), error.message())
        };
        let table = DeTable::parse(text).map_err(|e| SettingsError(vec![broken(&e)]))?;
        let mut unknown = Vec::new();
        let mut note = |place, message: String| unknown.push(at(place, &message));
        unknown_keys(&schema(), table.get_ref(), "", &mut note);
        if !unknown.is_empty() {
            return Err(SettingsError(unknown));
        }
        toml::from_str(text).map_err(|e| SettingsError(vec![broken(&e)]))
    }

    fn resolve(&mut self, folder: &Path) {
        let mut files = vec![&mut self.token_file, &mut self.forge.token_file, &mut self.work];
        files.extend(self.agent.iter_mut().flat_map(|agent| agent.env_files.values_mut()));
        for file in files.into_iter().filter(|file| !file.as_os_str().is_empty()) {
            *file = folder.join(&*file);
        }
    }

    /// Whether everything is there that a runner needs.
    ///
    /// # Errors
    /// All that is missing or cannot work.
    pub fn check(&self) -> Result<(), SettingsError> {
        let mut wrong = Vec::new();
        let mut need = |is_there: bool, key: &str, example: &str| {
            if !is_there {
                wrong.push(format!("`{key}` is missing; add `{example}`"));
            }
        };
        let is_file = |path: &Path| !path.as_os_str().is_empty();
        need(!self.server.is_empty(), "server", "server = \"https://triage.example.com\"");
        need(is_file(&self.token_file), "token_file", "token_file = \"/run/secrets/runner-token\"");
        need(!self.forge.url.is_empty(), "forge.url", "url = \"https://gitea.example.com\"");
        let token = "token_file = \"/run/secrets/gitea-token\"";
        need(is_file(&self.forge.token_file), "forge.token_file", token);
        need(!self.agent.is_empty(), "agent", "[[agent]]");
        if parse_person(&self.git.author).is_none() {
            wrong.push("`git.author` wants `Name <address>`".to_owned());
        }
        let mut ids: Vec<&str> = self.agent.iter().map(|agent| agent.id.as_str()).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            wrong.push("two agents have the same `agent.id`; give each its own".to_owned());
        }
        wrong.extend(self.agent.iter().filter_map(AgentSettings::problem));
        if wrong.is_empty() { Ok(()) } else { Err(SettingsError(wrong)) }
    }
}

impl AgentSettings {
    /// The known coding agent it is.
    pub fn known(&self) -> Option<Profile> {
        self.profile.or_else(|| self.id.parse().ok().filter(|_| self.command.is_empty()))
    }

    /// Program and arguments.
    pub fn argv(&self) -> Vec<String> {
        match self.known() {
            Some(profile) if self.command.is_empty() => {
                profile.known().command.iter().map(ToString::to_string).collect()
            }
            _ => self.command.clone(),
        }
    }

    /// How it is talked to.
    pub fn spoken(&self) -> Protocol {
        let known = self.known().map(|profile| profile.known().protocol);
        self.protocol.or(known).unwrap_or(Protocol::Command)
    }

    /// Whether nothing keeps it from the files of the account it runs as.
    pub fn is_bare(&self) -> bool {
        self.sandbox == Sandbox::None && self.wrap.is_empty()
    }

    /// The kinds of tools that are allowed.
    pub fn allowed(&self) -> Vec<ToolKind> {
        let is_kept_in = self.sandbox != Sandbox::None;
        let reaches_out =
            |kind: &ToolKind| matches!(kind, ToolKind::Execute | ToolKind::Fetch | ToolKind::Other);
        let usual = || {
            let all = ToolKind::ALL.iter().copied();
            all.filter(|kind| is_kept_in || !reaches_out(kind)).collect()
        };
        self.permissions.allow.clone().unwrap_or_else(usual)
    }

    fn problem(&self) -> Option<String> {
        if self.id.is_empty() {
            return Some("`agent.id` is missing; add `id = \"claude\"`".to_owned());
        }
        let id = &self.id;
        if self.argv().is_empty() {
            let all = Profile::NAMES.join("`, `");
            return Some(format!(
                "`agent.{id}` has neither `command` nor a `profile`; known profiles are `{all}`"
            ));
        }
        let person = self.co_author.as_deref().filter(|text| parse_person(text).is_none())?;
        Some(format!("`agent.{id}.co_author` is `{person}`; it wants `Name <address>`"))
    }
}

/// Name and address of `Name <address>`.
pub(super) fn parse_person(text: &str) -> Option<[&str; 2]> {
    let (name, address) = text.strip_suffix('>')?.split_once('<')?;
    let (name, address) = (name.trim(), address.trim());
    let is_plain = |text: &str| !text.is_empty() && !text.contains(['<', '>', '\n', '"', '\\']);
    (is_plain(name) && is_plain(address)).then_some([name, address])
}

/// What a file holds, without the line break at its end.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn secret_of(key: &str, path: &Path) -> Result<SecretString, String> {
    let named = || format!("`{key}` names `{}`, which", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!("{} is not there; create it", named()),
        _ => format!("{} cannot be read: {e}; let the runner's user read it", named()),
    })?;
    match text.trim() {
        "" => Err(format!("{} is empty; write the secret into it", named())),
        text => Ok(text.into()),
    }
}

/// The JSON Schema of the file.
pub fn schema() -> Json {
    let settings =
        SchemaSettings::draft2020_12().for_serialize().with(|s| s.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Settings>().to_value()
}

fn unknown_keys(
    schema: &Json,
    table: &DeTable<'_>,
    path: &str,
    note: &mut dyn FnMut(usize, String),
) {
    // A table whose keys anybody chooses has no properties.
    let Some(known) = schema["properties"].as_object() else { return };
    for (key, value) in table {
        let (name, place) = (key.get_ref().as_ref(), key.span().start);
        let here = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let Some(inner) = known.get(name) else {
            note(place, format!("unknown key `{here}`; {}", hint(known.keys(), path, name)));
            continue;
        };
        match value.get_ref() {
            DeValue::Table(table) => unknown_keys(inner, table, &here, note),
            DeValue::Array(items) => {
                for item in items {
                    if let DeValue::Table(table) = item.get_ref() {
                        unknown_keys(&inner["items"], table, &here, note);
                    }
                }
            }
            _ => {}
        }
    }
}

fn hint<'a>(known: impl Iterator<Item = &'a String> + Clone, path: &str, name: &str) -> String {
    let near = known
        .clone()
        .map(|key| (normalized_damerau_levenshtein(key, name), key))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let full = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match near {
        Some((_, key)) => format!("did you mean `{}`?", full(key)),
        None => {
            let all: Vec<_> = known.map(|key| format!("`{key}`")).collect();
            format!("known there are {}", all.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "server = \"https://triage.example.com\"\ntoken_file = \"t\"\n[forge]\nurl = \"https://gitea.example.com\"\ntoken_file = \"g\"\n[[agent]]\nid = \"claude\"\n";

    #[test]
    fn a_small_file_is_enough_and_a_profile_is_known_by_its_name() {
        let read = Settings::from_toml("r.toml", SMALL).unwrap();
        assert_eq!(read.check(), Ok(()));
        let agent = &read.agent[0];
        assert_eq!(agent.argv(), ["claude-agent-acp"]);
        assert_eq!(agent.spoken(), Protocol::Acp);
        assert!(agent.allowed().contains(&ToolKind::Edit));
        assert!(!agent.allowed().contains(&ToolKind::Execute));
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_one_at_every_depth() {
        let text = format!(
            "{SMALL}commnd = [\"x\"]\n[agent.permissions]\nalow = []\n[hook]\nbefore_run = []\n"
        );
        let error = Settings::from_toml("r.toml", &text).unwrap_err().to_string();
        for expected in [
            "config `r.toml` line 8: unknown key `agent.commnd`; did you mean `agent.command`?",
            "line 10: unknown key `agent.permissions.alow`; did you mean `agent.permissions.allow`?",
            "line 11: unknown key `hook`; did you mean `hooks`?",
        ] {
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_wrong_value_names_its_line_and_not_what_stands_there() {
        let text = "places = 1\nkeep = \"secret-looking\"\n";
        let error = Settings::from_toml("r.toml", text).unwrap_err().to_string();
        assert!(error.starts_with("config `r.toml` line 2: it wants a duration"), "{error}");
        assert!(!error.contains("secret-looking"));
    }

    #[test]
    fn what_is_missing_is_said_at_once() {
        let error = Settings::default().check().unwrap_err();
        assert_eq!(error.0.len(), 5, "{error}");
        let nothing = "[[agent]]\nid = \"mine\"\n";
        let error = Settings::from_toml("r", nothing).unwrap().check().unwrap_err().to_string();
        assert!(error.contains("`agent.mine` has neither `command` nor a `profile`"), "{error}");
    }

    #[test]
    fn an_environment_may_hold_any_name() {
        let text = format!("{SMALL}env = {{ ANY_NAME = \"x\" }}\n");
        assert_eq!(Settings::from_toml("r", &text).unwrap().agent[0].env["ANY_NAME"], "x");
    }
}
