//! The configuration as it stands after each answer. Pure.

use std::fmt::Write as _;

use secrecy::{ExposeSecret as _, SecretString};
use toml::Value;

use crate::config::{Config, ConfigError};
use crate::triage::Preset;

/// What stands for an answer that is still to come; never written to a file.
const LATER: &str = "still-to-come";

/// The answers so far.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub url: String,
    pub token: SecretString,
    pub repos: Vec<String>,
    pub owner: String,
    pub agents: Vec<Choice>,
    pub preset: Preset,
    pub dry_run: bool,
    pub listen: String,
    pub public_url: String,
    pub store: String,
}

/// A built-in agent, and what was chosen.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub id: String,
    pub is_chosen: bool,
    /// Whether it has no account that could be assigned.
    pub by_label_alone: bool,
}

impl Draft {
    /// Nothing is answered yet.
    pub fn new(store: String, agents: Vec<String>) -> Self {
        let none = |id| Choice { id, is_chosen: false, by_label_alone: false };
        Self {
            url: "https://gitea.example.com".to_owned(),
            token: LATER.into(),
            repos: vec!["*/*".to_owned()],
            owner: String::new(),
            agents: agents.into_iter().map(none).collect(),
            preset: Preset::Practical,
            dry_run: true,
            listen: "127.0.0.1:8484".to_owned(),
            public_url: String::new(),
            store,
        }
    }

    /// The configuration to try the answers with; what is wrong with one otherwise.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let token = format!("token = {}", quoted(self.token.expose_secret()));
        let text = self.text(&token, &format!("{{ secret = {} }}", quoted(LATER)));
        Config::from_toml(None, &text, std::iter::empty())
    }

    /// What is wrong with the answer for a key.
    pub fn wrong(&self, key: &str) -> Option<String> {
        let problems = self.config().err()?.problems;
        problems.into_iter().find(|one| one.key.as_deref() == Some(key)).map(|one| one.message)
    }

    /// The file, with the names of the files that hold the secrets.
    pub fn file(&self, token_file: &str, secret_file: &str) -> String {
        let token = format!("token_file = {}", quoted(token_file));
        self.text(&token, &format!("{{ secret_file = {} }}", quoted(secret_file)))
    }

    fn text(&self, token: &str, secret: &str) -> String {
        let repos: Vec<_> = self.repos.iter().map(|repo| quoted(repo)).collect();
        let mut text = format!(
            "# Written by `gitea-triage init`. `gitea-triage config reference` lists all keys, and\n\
             # `gitea-triage config check` reports every mistake.\n\n\
             [gitea]\nurl = {}\n{token}\nrepos = [{}]\n\n[server]\nlisten = {}\n",
            quoted(&self.url),
            repos.join(", "),
            quoted(&self.listen),
        );
        if !self.public_url.is_empty() {
            let _ = writeln!(text, "public_url = {}", quoted(&self.public_url));
        }
        let _ = write!(
            text,
            "\n[webhook]\nsecrets = [{secret}]\n\n[store]\nurl = {}\n\n[triage]\n",
            quoted(&self.store)
        );
        if !self.owner.is_empty() {
            let _ = writeln!(
                text,
                "# Who is asked where an issue needs a person.\nowner = {}",
                quoted(&self.owner)
            );
        }
        if self.dry_run {
            text.push_str(
                "# Decides and records, but writes nothing to the forge. Take it out when decisions look right.\n\
                 dry_run = true\n",
            );
        }
        let _ = write!(text, "\n[policy]\npreset = {}\n", quoted(self.preset.as_str()));
        self.agents.iter().for_each(|choice| text.push_str(&choice.text()));
        text
    }
}

impl Choice {
    fn text(&self) -> String {
        let entry = format!("\n[[agent]]\nid = {}\n", quoted(&self.id));
        match (self.is_chosen, self.by_label_alone) {
            (true, false) => String::new(),
            (true, true) => format!(
                "{entry}# It has no account here: its label alone calls it.\nlogin = \"\"\n"
            ),
            (false, _) => format!("{entry}enabled = false\n"),
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drafted_is_a_configuration_and_a_wrong_answer_is_named_by_its_key() {
        let mut draft = Draft::new("sqlite:x.db".into(), vec!["claude".into(), "kimi".into()]);
        assert!(draft.config().is_ok());
        for (key, wrong) in
            [("gitea.url", "no address"), ("server.listen", "x"), ("triage.owner", "@a b")]
        {
            let mut draft = draft.clone();
            match key {
                "gitea.url" => draft.url = wrong.into(),
                "server.listen" => draft.listen = wrong.into(),
                _ => draft.owner = wrong.into(),
            }
            assert!(draft.wrong(key).is_some_and(|why| why.contains(key)), "{key}");
            assert_eq!(draft.wrong("gitea.repos"), None);
        }
        draft.owner = "a\"b\\".into();
        assert!(draft.wrong("triage.owner").is_some(), "a quote ends no text");
    }
}
