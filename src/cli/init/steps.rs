//! One question after the other, and what is tried with each answer.

use secrecy::SecretString;

use super::super::finding::Findings;
use super::super::{Failure, secret};
use super::Init;
use super::ask::{Question, Questions};
use super::draft::Draft;
use super::files::Files;
use crate::check::{Checkup, Level, Line};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::dispatch::{Agent, Interface};
use crate::service;
use crate::triage::Preset;

/// How to make a token, in the words of the form.
const TOKEN: &str = "  Generate New Token: any name; Repository and Organization Access: All\n    issue         Read and Write\n    organization  Read\n    repository    Read\n    user          Read\n  and No Access for the rest.";

/// Asks and tries.
pub(super) struct Steps<'a> {
    given: Init,
    files: &'a Files,
    questions: Questions,
    draft: Draft,
    /// Whether the token, which works, may not do all that is needed.
    is_narrow: bool,
}

impl<'a> Steps<'a> {
    pub fn new(given: Init, files: &'a Files, questions: Questions) -> Self {
        let ids = config::built_in_agents().into_iter().map(|agent| agent.id.to_string());
        let store = given.store.clone().unwrap_or_else(|| files.store());
        let mut draft = Draft::new(store, ids.collect());
        draft.dry_run = !given.no_dry_run;
        Self { draft, given, files, questions, is_narrow: false }
    }

    /// All of them, in their order.
    pub async fn all(mut self) -> Result<Draft, Failure> {
        if let Some(why) = self.draft.wrong("store.url") {
            return Err(Failure::Usage(why));
        }
        self.url().await?;
        self.token().await?;
        self.repos().await?;
        self.owner().await?;
        self.agents().await?;
        self.preset().await?;
        self.dry_run().await?;
        self.addresses().await?;
        Ok(self.draft)
    }

    /// Asks unless a flag has answered.
    async fn answer(
        &mut self,
        given: Option<String>,
        question: Question<'_>,
    ) -> Result<String, Failure> {
        match given {
            Some(given) => Ok(given),
            None => self.questions.ask(question).await,
        }
    }

    /// Whether the draft can be read with the new answer.
    fn fits(&self, key: &str) -> Result<bool, Failure> {
        match self.draft.wrong(key) {
            Some(why) => self.questions.again(Some(why)).map(|()| false),
            None => Ok(true),
        }
    }

    /// Whether nothing that was seen is wrong.
    fn is_fine(&self, seen: Findings) -> Result<bool, Failure> {
        match seen.end()? {
            Level::Red => self.questions.again(None).map(|()| false),
            _ => Ok(true),
        }
    }

    async fn url(&mut self) -> Result<(), Failure> {
        loop {
            let question = Question {
                flag: "--url",
                text: "Address of the Gitea or Forgejo, as in https://gitea.example.com",
                default: None,
                is_secret: false,
            };
            let given = self.given.url.take();
            self.draft.url = self.answer(given, question).await?;
            if self.fits("gitea.url")? && self.tries_forge().await? {
                return Ok(());
            }
        }
    }

    async fn tries_forge(&self) -> Result<bool, Failure> {
        let mut seen = Findings::new(self.given.json);
        if !self.given.offline {
            let config = self.draft.config()?;
            checkup(&config)?.answers(&mut |line| seen.take(line)).await;
        }
        self.is_fine(seen)
    }

    async fn token(&mut self) -> Result<(), Failure> {
        let page = format!("{}/user/settings/applications", self.draft.url.trim_end_matches('/'));
        let mut given = match self.given.token_file.take() {
            Some(file) => Some(secret(&file, "token")?),
            // It was tried already.
            None if self.is_narrow => None,
            None => std::env::var("GITEA_TRIAGE_INIT_TOKEN").ok().map(SecretString::from),
        };
        if given.is_none() {
            self.questions.say(&format!(
                "\nA token of the account of the service, such as `triage-bot`, which may write to the\nrepositories. As that account, at {page}\n{TOKEN}"
            ))?;
        }
        loop {
            let question = Question {
                flag: "--token-file",
                text: "Token (is not shown)",
                default: None,
                is_secret: true,
            };
            self.draft.token = match given.take() {
                Some(token) => token,
                None => self.questions.ask(question).await?.into(),
            };
            if self.fits("gitea.token")? && self.tries_token().await? {
                return Ok(());
            }
            self.only_from_a_file()?;
        }
    }

    /// A token that is in a file is not asked for: the file has to hold another one.
    fn only_from_a_file(&self) -> Result<(), Failure> {
        match self.files.has_token {
            true => Err(Failure::Reported(1)),
            false => Ok(()),
        }
    }

    async fn tries_token(&self) -> Result<bool, Failure> {
        let mut seen = Findings::new(self.given.json);
        if !self.given.offline {
            let config = self.draft.config()?;
            checkup(&config)?.account(&mut |line| seen.take(line)).await;
        }
        self.is_fine(seen)
    }

    async fn repos(&mut self) -> Result<(), Failure> {
        loop {
            let question = Question {
                flag: "--repo",
                text: "Repositories, as in acme/widgets, acme/*",
                default: None,
                is_secret: false,
            };
            let given = std::mem::take(&mut self.given.repos);
            let given = (!given.is_empty()).then(|| given.join(","));
            self.draft.repos = listed(&self.answer(given, question).await?);
            if !self.fits("gitea.repos")? {
                continue;
            }
            if self.tries_repos(|_| true).await? {
                return Ok(());
            }
            if self.is_narrow {
                // Not the repositories have to be other ones.
                self.only_from_a_file()?;
                self.token().await?;
                self.is_narrow = false;
                self.given.repos = self.draft.repos.clone();
            }
        }
    }

    /// Looks at the repositories, and shows the lines that `is_shown`.
    async fn tries_repos(&mut self, is_shown: fn(&Line) -> bool) -> Result<bool, Failure> {
        let mut seen = Findings::new(self.given.json);
        if !self.given.offline {
            let config = self.draft.config()?;
            let checkup = checkup(&config)?;
            let mut is_narrow = false;
            let mut show = |line: Line| {
                is_narrow |= line.said.contains("the token lacks the scope");
                if is_shown(&line) {
                    seen.take(line);
                }
            };
            if let Some(account) = checkup.account(&mut |_| {}).await {
                checkup.repositories(&account, &mut show).await;
            }
            self.is_narrow = is_narrow;
        }
        self.is_fine(seen)
    }

    async fn owner(&mut self) -> Result<(), Failure> {
        loop {
            let question = Question {
                flag: "--owner",
                text: "Who is asked where an issue needs a person: a login, or nothing for the owner of the repository",
                default: Some(""),
                is_secret: false,
            };
            let given = self.given.owner.take();
            self.draft.owner = self.answer(given, question).await?;
            if !self.fits("triage.owner")? {
                continue;
            }
            let mut seen = Findings::new(self.given.json);
            if !self.given.offline {
                let config = self.draft.config()?;
                checkup(&config)?.owner(&mut |line| seen.take(line)).await;
            }
            if self.is_fine(seen)? {
                return Ok(());
            }
        }
    }

    /// Agents that are called on the forge itself; others need more than a name.
    async fn agents(&mut self) -> Result<(), Failure> {
        let built_in: Vec<Agent> = config::built_in_agents()
            .into_iter()
            .filter(|agent| agent.interface == Interface::Forge)
            .collect();
        let ids: Vec<_> = built_in.iter().map(|agent| agent.id.to_string()).collect();
        let text = format!("Agents that get issues by a label: none, or of {}", ids.join(", "));
        loop {
            let question =
                Question { flag: "--agent", text: &text, default: Some("none"), is_secret: false };
            let given = std::mem::take(&mut self.given.agents);
            let given = (!given.is_empty()).then(|| given.join(","));
            let mut chosen = listed(&self.answer(given, question).await?);
            chosen.retain(|id| id != "none");
            if let Some(other) = chosen.iter().find(|id| !ids.contains(id)) {
                self.questions.again(Some(format!(
                    "`{other}` is none of {}; others need more than a name and are added to the file afterwards (docs/src/agents.md)",
                    ids.join(", ")
                )))?;
                continue;
            }
            for choice in &mut self.draft.agents {
                choice.is_chosen = chosen.contains(&choice.id);
                let agent = built_in.iter().find(|agent| agent.id.as_str() == choice.id);
                let login = agent.and_then(|agent| agent.login.as_deref());
                choice.by_label_alone = match login
                    .filter(|_| choice.is_chosen && !self.given.offline)
                {
                    Some(login) => !is_account(&self.draft.url, &self.draft.token, login).await?,
                    None => false,
                };
            }
            if chosen.is_empty() || self.tries_repos(|line| line.check == "agent").await? {
                return Ok(());
            }
        }
    }

    async fn preset(&mut self) -> Result<(), Failure> {
        loop {
            let question = Question {
                flag: "--preset",
                text: "Policy: `practical` for issues as people write them, `seed` for issues in a fixed form",
                default: Some(Preset::Practical.as_str()),
                is_secret: false,
            };
            let given = self.given.preset.take().map(|preset| preset.to_string());
            match self.answer(given, question).await?.parse() {
                Ok(preset) => {
                    self.draft.preset = preset;
                    return Ok(());
                }
                Err(why) => self.questions.again(Some(why))?,
            }
        }
    }

    async fn dry_run(&mut self) -> Result<(), Failure> {
        loop {
            let question = Question {
                flag: "--no-dry-run",
                text: "First only decide and record, and write nothing to issues (yes or no)",
                default: Some(if self.draft.dry_run { "yes" } else { "no" }),
                is_secret: false,
            };
            let given = self.given.no_dry_run.then(|| "no".to_owned());
            match self.answer(given, question).await?.to_lowercase().as_str() {
                "y" | "yes" => self.draft.dry_run = true,
                "n" | "no" => self.draft.dry_run = false,
                _ => {
                    self.questions.again(Some("answer `yes` or `no`".to_owned()))?;
                    continue;
                }
            }
            return Ok(());
        }
    }

    async fn addresses(&mut self) -> Result<(), Failure> {
        loop {
            let default = self.draft.listen.clone();
            let question = Question {
                flag: "--listen",
                text: "Address and port that the service listens on",
                default: Some(&default),
                is_secret: false,
            };
            let given = self.given.listen.take();
            self.draft.listen = self.answer(given, question).await?;
            if self.fits("server.listen")? {
                break;
            }
            self.draft.listen = default;
        }
        let default = format!("http://{}", self.draft.listen);
        loop {
            let question = Question {
                flag: "--public-url",
                text: "Address under which the forge reaches the service",
                default: Some(&default),
                is_secret: false,
            };
            let given = self.given.public_url.take();
            self.draft.public_url = self.answer(given, question).await?;
            if self.fits("server.public_url")? {
                return Ok(());
            }
        }
    }
}

fn checkup(config: &Config) -> Result<Checkup<'_>, Failure> {
    // Also in a dry run: what is sent beside GET is refused by the forge, and tells whether the token may write.
    let forge = service::forge_as(config, &config.gitea.token, false)?;
    Ok(Checkup {
        config,
        hook_forge: forge.clone(),
        forge,
        wanted: None,
        database: service::database(config)?,
        clock: Clock::System,
        patience: None,
    })
}

async fn is_account(url: &str, token: &SecretString, login: &str) -> Result<bool, Failure> {
    let settings = crate::gitea::Settings::new(url, "");
    let settings = crate::gitea::Settings { token: token.clone(), ..settings };
    // Where it cannot be asked, the line about the agent says so.
    Ok(crate::gitea::Client::new(settings)?.is_account(login).await.unwrap_or(true))
}

/// The entries of a list as people write one.
fn listed(text: &str) -> Vec<String> {
    let parts = text.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}
