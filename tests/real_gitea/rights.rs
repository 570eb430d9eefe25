//! Who may do what: every kind of account before every thing that only some may, on a private repository with a team
//! for each right, as our account is a writer, an administrator, and an owner of the organisation.

use std::time::Duration;

use chrono::TimeDelta;
use gitea_triage::apply::{Executor, LabelRules};
use gitea_triage::clock::Clock;
use gitea_triage::config::Config;
use gitea_triage::gitea::{Client, Rights, Settings, Source};
use gitea_triage::issue::{IssueRef, RepoName};
use gitea_triage::service::Service;
use gitea_triage::store::{DeliveryQuery, Sight};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use crate::browser::Browser;
use crate::forge::{ADMIN, BOT, Forge, SECRET, Which};
use crate::person::Person;
use crate::process::free_port;
use crate::sign_in::sign_in;
use crate::wait::until;
use crate::world::names;

const VAULT: &str = "/repos/acme/vault";
/// How long the forge may take to send what was written.
const ARRIVES: Duration = Duration::from_secs(30);

/// What makes an account what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    OrgOwner,
    Collaborator(&'static str),
    Team(&'static [(&'static str, &'static str)]),
    /// In the organisation, in a team that has not this repository.
    Member,
    Outsider,
    SiteAdmin,
    /// A collaborator that may write, under another login when it comes to it.
    Renamed,
    /// A collaborator that may write, and is gone when its comment is read.
    Deleted,
    Bot,
}

/// What becomes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Obeyed,
    Refused,
    /// Refused, with what helps.
    Unshown,
    /// Nobody can comment where they see nothing.
    NoPlace,
    /// Nothing happens, and nothing is said of it.
    Nothing,
}
use Answer::{NoPlace, Nothing, Obeyed, Refused, Unshown};

/// An account, and what is right for it.
struct Actor {
    login: &'static str,
    kind: Kind,
    /// A command, while our account may write, administers the repository, and owns the organisation.
    commands: [Answer; 3],
    /// Whether the dashboard shows them the repository.
    pages: bool,
}

impl Actor {
    /// Whether the forge lists them among those who can be assigned in a private repository: with any unit to write, or pull
    /// requests to read by a team.
    fn may_claim(&self) -> bool {
        match self.kind {
            Kind::Collaborator(right) => right != "read",
            Kind::Team(units) => units.iter().any(|(unit, may)| *may != "read" || *unit == "pulls"),
            Kind::SiteAdmin => false,
            _ => true,
        }
    }
}

const fn actor(login: &'static str, kind: Kind, commands: [Answer; 3], pages: bool) -> Actor {
    Actor { login, kind, commands, pages }
}

const CAST: [Actor; 17] = [
    actor("olga", Kind::OrgOwner, [Unshown, Obeyed, Obeyed], true),
    actor("rita", Kind::Collaborator("read"), [Refused, Refused, Refused], false),
    actor("wanda", Kind::Collaborator("write"), [Unshown, Obeyed, Obeyed], true),
    actor("adam", Kind::Collaborator("admin"), [Unshown, Obeyed, Obeyed], true),
    actor("tia", Kind::Team(&[("admin", "")]), [Unshown, Obeyed, Obeyed], true),
    actor("tina", Kind::Team(&[("issues", "write")]), [Unshown, Unshown, Obeyed], false),
    actor("tess", Kind::Team(&[("issues", "read")]), [Refused, Refused, Refused], false),
    actor(
        "tom",
        Kind::Team(&[("issues", "read"), ("pulls", "read")]),
        [Unshown, Unshown, Refused],
        false,
    ),
    actor(
        "tara",
        Kind::Team(&[("issues", "read"), ("code", "write")]),
        [Unshown, Unshown, Refused],
        true,
    ),
    actor(
        "theo",
        Kind::Team(&[("issues", "read"), ("wiki", "write")]),
        [Unshown, Unshown, Refused],
        false,
    ),
    actor(
        "thea",
        Kind::Team(&[("issues", "read"), ("releases", "write")]),
        [Unshown, Unshown, Refused],
        false,
    ),
    actor("mona", Kind::Member, [NoPlace, NoPlace, NoPlace], false),
    actor("otto", Kind::Outsider, [NoPlace, NoPlace, NoPlace], false),
    actor("root", Kind::SiteAdmin, [Refused, Obeyed, Obeyed], true),
    actor("rose", Kind::Renamed, [Unshown, Obeyed, Obeyed], true),
    actor("dora", Kind::Deleted, [Refused, Refused, Refused], false),
    actor(BOT, Kind::Bot, [Nothing, Nothing, Nothing], false),
];

/// What our account is, from least to most.
const STAGES: [&str; 3] = ["writer", "administrator", "owner"];

fn vault() -> RepoName {
    "acme/vault".parse().unwrap()
}

/// The service in this process, with a clock in hand that starts at the present.
struct Place {
    forge: Forge,
    running: Option<Service>,
    clock: Clock,
    config: String,
    url: String,
    _folder: TempDir,
}

pub async fn play(which: Which) {
    let mut place = Place::set(which).await;
    for stage in 0..STAGES.len() {
        place.promote(stage).await;
        place.check_source(stage).await;
        place.commands(stage).await;
    }
    place.claims().await;
    place.approvals().await;
    if which.is_real() {
        place.pages().await;
        place.endings().await;
    }
}

fn read(config: &str) -> Config {
    Config::from_toml("rights.toml", config, std::iter::empty()).unwrap()
}

impl Place {
    async fn set(which: Which) -> Self {
        let forge = Forge::start(which).await;
        forge.make_private_repo("vault").await;
        for Actor { login, kind, .. } in CAST.iter().filter(|actor| actor.kind != Kind::Bot) {
            cast(&forge, login, *kind).await;
        }
        forge.collaborate("vault", BOT, "write").await;
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let url = format!("http://127.0.0.1:{port}");
        let (client_id, client_secret) =
            forge.application(&format!("{url}/sign-in/callback")).await;
        let config = format!(
            "[gitea]\nurl = '{}'\ntoken = '{}'\nrepos = ['acme/vault']\n[server]\nlisten = '127.0.0.1:{port}'\n\
             [webhook]\nsecrets = ['{SECRET}']\n[store]\nurl = 'sqlite:{}'\n[worker]\nconcurrency = 0\n\
             [dashboard]\ntoken = 'the-token-of-the-dashboard'\nclient_id = '{client_id}'\nclient_secret = '{client_secret}'\n\
             admins = ['wanda', 'tom']\n",
            forge.url(),
            forge.token(BOT),
            folder.path().join("rights.db").display()
        );
        let clock = Clock::manual(chrono::Utc::now());
        let hook = json!({
            "type": "gitea", "active": true, "events": ["issues", "issue_comment"],
            "config": {"url": format!("{url}/webhook"), "content_type": "json", "secret": SECRET},
        });
        forge.person(ADMIN).post(&format!("{VAULT}/hooks"), hook).await;
        let mut place = Self { forge, running: None, clock, config, url, _folder: folder };
        place.restart().await;
        place
    }

    fn client(&self) -> Client {
        Client::new(Settings::new(self.forge.url(), self.forge.token(BOT))).unwrap()
    }

    fn service(&self) -> &Service {
        self.running.as_ref().unwrap()
    }

    /// Starts the service, anew where it runs: what it was told seconds ago is forgotten.
    async fn restart(&mut self) {
        if let Some(service) = self.running.take() {
            service.stop().await;
        }
        let service = Service::start(&read(&self.config), self.clock.clone()).await.unwrap();
        service.parts().worker.set_account(self.client().whoami().await.unwrap());
        self.running = Some(service);
    }

    async fn promote(&mut self, stage: usize) {
        match stage {
            0 => return,
            1 => self.forge.collaborate("vault", BOT, "admin").await,
            _ => self.forge.make_org_owner(BOT).await,
        }
        self.restart().await;
    }

    async fn check_source(&self, stage: usize) {
        let source = self.client().rights_source(&vault()).await.unwrap();
        match (stage, &source) {
            (0 | 1, Source::Unshown { teams, is_admin }) => {
                assert_eq!((*is_admin, teams.len()), (stage == 1, 4), "{source:?}");
            }
            _ => assert_eq!((stage, &source), (2, &Source::Asked)),
        }
    }

    /// Everybody gives the commands of every group, each on an issue of their own.
    async fn commands(&self, stage: usize) {
        let mut given = Vec::new();
        for actor in &CAST {
            if stage > 0 && actor.kind == Kind::Deleted {
                continue;
            }
            given.push(self.command(actor, actor.commands[stage]).await);
        }
        if stage == 0 {
            self.forge.delete_account("dora").await;
        }
        for (actor, given) in
            CAST.iter().filter(|a| stage == 0 || a.kind != Kind::Deleted).zip(given)
        {
            let Some(given) = given else { continue };
            self.has_answered(&given, actor, stage).await;
        }
    }

    /// Has somebody write commands of each group; where, and which comment it is.
    async fn command(&self, actor: &Actor, answer: Answer) -> Option<(IssueRef, i64)> {
        let number = self.open().await;
        let path = format!("{VAULT}/issues/{number}/comments");
        let body = json!({"body": "/triage hold\n/triage assign @wanda\n/triage approve\n/triage go\n/triage"});
        if answer == NoPlace {
            let refused = self.person(actor).send(Method::POST, &path, Some(body)).await;
            assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{}", actor.login);
            return None;
        }
        let written = self.person(actor).post(&path, body).await;
        Some((IssueRef { repo: vault(), number }, written["id"].as_i64().unwrap()))
    }

    async fn open(&self) -> u64 {
        let issue = json!({"title": "A question about the vault", "body": "Who may open it?"});
        let opened = self.forge.person(ADMIN).post(&format!("{VAULT}/issues"), issue).await;
        opened["number"].as_u64().unwrap()
    }

    /// Everybody who sees it claims an issue of their own: whoever is listed as an assignee may, also who may not write.
    async fn claims(&self) {
        let is_there = |actor: &&Actor| actor.commands[2] != NoPlace && actor.kind != Kind::Deleted;
        for actor in CAST.iter().filter(is_there).filter(|actor| actor.kind != Kind::Bot) {
            let number = self.open().await;
            let path = format!("{VAULT}/issues/{number}/comments");
            let written = self.person(actor).post(&path, json!({"body": "/triage claim"})).await;
            let comment = written["id"].as_i64().unwrap();
            let (may, what) =
                (actor.may_claim(), format!("{} ({:?}) claims", actor.login, actor.kind));
            until(ARRIVES, async || {
                self.service().parts().worker.settle(Duration::from_secs(600)).await.unwrap();
                let seen = self.reactions(comment).await;
                let is_answered = seen == [if may { "+1" } else { "confused" }];
                if is_answered { Ok(()) } else { Err(format!("{what}: {seen:?}")) }
            })
            .await;
            let shown = self.forge.person(ADMIN).get(&format!("{VAULT}/issues/{number}")).await;
            let wanted = if may { vec![actor.login.to_owned()] } else { Vec::new() };
            assert_eq!(names(&shown["assignees"], "login"), wanted, "{what}");
        }
    }

    fn person(&self, actor: &Actor) -> Person {
        self.forge.person(actor.login)
    }

    async fn has_answered(&self, (at, comment): &(IssueRef, i64), actor: &Actor, stage: usize) {
        let answer = actor.commands[stage];
        let what =
            format!("{} ({:?}) while our account is {}", actor.login, actor.kind, STAGES[stage]);
        // An author hears the reason once a day; a reaction says the rest.
        let earlier = &actor.commands[..stage];
        let is_first = !earlier.iter().any(|answer| matches!(answer, Refused | Unshown));
        let wanted: &[&str] = match answer {
            Obeyed => &["+1"],
            Refused | Unshown => &["confused"],
            Nothing | NoPlace => &[],
        };
        let store = &self.service().parts().store;
        let key = format!("acme/vault#{}", at.number);
        until(ARRIVES, async || {
            self.service().parts().worker.settle(Duration::from_secs(600)).await.unwrap();
            let seen = self.reactions(*comment).await;
            let query = DeliveryQuery { text: Some(key.clone()), limit: 50, ..Default::default() };
            let page = store.delivery_page(query, Sight::All).await.unwrap();
            let is_read = page
                .rows
                .iter()
                .any(|d| d.action.starts_with("issue_comment") && d.settled_at.is_some());
            if is_read && seen == wanted {
                Ok(())
            } else {
                Err(format!("{what}: {seen:?}, wanted {wanted:?}"))
            }
        })
        .await;
        let is_held =
            store.issue_story(at.clone(), None, 1).await.unwrap().unwrap().lane.held.is_some();
        let shown = self.forge.person(ADMIN).get(&format!("{VAULT}/issues/{}", at.number)).await;
        let is_assigned = names(&shown["assignees"], "login").contains(&"wanda".to_owned());
        assert_eq!((is_held, is_assigned), (answer == Obeyed, answer == Obeyed), "{what}");
        let said =
            self.forge.person(ADMIN).get(&format!("{VAULT}/issues/{}/comments", at.number)).await;
        let says = |words: &str| {
            said.as_array().unwrap().iter().any(|c| c["body"].as_str().unwrap().contains(words))
        };
        let unshown = answer == Unshown && is_first;
        assert_eq!(says("does not show us whether"), unshown, "{what}: {said}");
        let refused = answer == Refused && is_first;
        assert_eq!(says("has no write access"), refused, "{what}: {said}");
    }

    async fn reactions(&self, comment: i64) -> Vec<String> {
        let path = format!("{VAULT}/issues/comments/{comment}/reactions");
        names(&self.forge.person(ADMIN).get(&path).await, "content")
    }

    /// Approvals of the local agent, and the parts of an issue that it opens on one, ask the same question.
    async fn approvals(&self) {
        let labels = LabelRules { create: false, color: String::new() };
        let executor = Executor::new(self.client(), labels);
        for actor in CAST.iter().filter(|a| !matches!(a.kind, Kind::Bot | Kind::Deleted)) {
            let rights = executor.rights(&vault(), actor.login).await.unwrap();
            let wanted = if actor.commands[2] == Obeyed { Rights::Writer } else { Rights::Reader };
            assert_eq!(rights, wanted, "{}", actor.login);
        }
        for nobody in ["dora", "nobody-here"] {
            assert_eq!(
                executor.rights(&vault(), nobody).await.unwrap(),
                Rights::Reader,
                "{nobody}"
            );
        }
    }

    /// Every page, the search, the body of a delivery, and what an admin may do.
    async fn pages(&self) {
        let id = self.delivery().await;
        let paths = [
            "/issues/acme/vault/1".to_owned(),
            format!("/deliveries/{id}"),
            format!("/deliveries/{id}/body"),
        ];
        for actor in CAST.iter().filter(|a| !matches!(a.kind, Kind::Bot | Kind::Deleted)) {
            let login = actor.login;
            let (mut browser, came_to) = sign_in(login, &self.forge, &self.url).await;
            let is_in = came_to == format!("{}/issues", self.url);
            assert_eq!(is_in, actor.pages, "{login} ({:?}) came to {came_to}", actor.kind);
            for path in &paths {
                let status = browser.get(&format!("{}{path}", self.url)).await.status().as_u16();
                assert_eq!(status, if actor.pages { 200 } else { 303 }, "{login} {path}");
            }
            let found =
                browser.get(&format!("{}/search?q=vault", self.url)).await.text().await.unwrap();
            assert_eq!(found.contains("A question about"), actor.pages, "{login}");
            if actor.pages {
                self.acts(&mut browser, login).await;
            }
        }
    }

    async fn acts(&self, browser: &mut Browser, login: &str) {
        let page = browser.page(&format!("{}/issues/acme/vault/1", self.url)).await;
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let form = [("csrf", csrf), ("order", "look")];
        let orders = format!("{}/issues/acme/vault/1/orders", self.url);
        let answer = browser.submit(&orders, form, &self.url).await;
        assert_eq!(answer.status().as_u16(), if login == "wanda" { 303 } else { 403 }, "{login}");
    }

    async fn delivery(&self) -> String {
        let query =
            DeliveryQuery { text: Some("acme/vault#1".into()), limit: 50, ..Default::default() };
        let page = self.service().parts().store.delivery_page(query, Sight::All).await.unwrap();
        let of_first =
            |d: &&gitea_triage::store::DeliveryView| d.issue.as_deref() == Some("acme/vault#1");
        page.rows.iter().find(of_first).unwrap().id.clone()
    }

    async fn status(&self, browser: &mut Browser) -> u16 {
        browser.get(&format!("{}/issues", self.url)).await.status().as_u16()
    }

    /// What ends a session: a right or an agreement that is gone, signing out, and another secret.
    async fn endings(&self) {
        let admin = self.forge.person(ADMIN);
        let (mut wanda, _) = sign_in("wanda", &self.forge, &self.url).await;
        let (mut adam, _) = sign_in("adam", &self.forge, &self.url).await;
        let (mut rose, _) = sign_in("rose", &self.forge, &self.url).await;
        admin.delete(&format!("{VAULT}/collaborators/wanda")).await;
        admin.post("/admin/users/rose/rename", json!({"new_username": "rosa"})).await;
        assert_eq!(
            self.status(&mut wanda).await,
            200,
            "the answer of a moment ago is good for minutes"
        );
        self.clock.advance(TimeDelta::minutes(5));
        assert_eq!(self.status(&mut wanda).await, 303, "a right that was taken away");
        let page = rose.page(&format!("{}/issues", self.url)).await;
        assert!(page.contains("<bdi>rosa</bdi>"), "under the new login");

        let mut thief = adam.copy();
        let page = adam.page(&format!("{}/issues", self.url)).await;
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        adam.submit(&format!("{}/sign-out", self.url), [("csrf", csrf)], &self.url).await;
        assert_eq!(self.status(&mut thief).await, 303, "a copy of the cookie after signing out");

        let (mut adam, _) = sign_in("adam", &self.forge, &self.url).await;
        assert_eq!(self.status(&mut adam).await, 200);
        let again = self.config.replace("client_secret = 'gto_", "client_secret = 'other_");
        self.service().parts().reload(&read(&again)).unwrap();
        assert_eq!(self.status(&mut adam).await, 303, "another client secret");
        self.service().parts().reload(&read(&self.config)).unwrap();

        let (mut adam, _) = sign_in("adam", &self.forge, &self.url).await;
        for made in admin.get("/user/applications/oauth2").await.as_array().unwrap() {
            admin.delete(&format!("/user/applications/oauth2/{}", made["id"])).await;
        }
        self.clock.advance(TimeDelta::minutes(5));
        assert_eq!(self.status(&mut adam).await, 303, "the application is gone");
    }
}

async fn cast(forge: &Forge, login: &str, kind: Kind) {
    let first = if kind == Kind::Renamed { "rosalind" } else { login };
    forge.add_account(first).await;
    match kind {
        Kind::OrgOwner => forge.make_org_owner(first).await,
        Kind::Collaborator(may) => forge.collaborate("vault", first, may).await,
        Kind::Renamed | Kind::Deleted => forge.collaborate("vault", first, "write").await,
        Kind::Team(units) => {
            forge.team(Some("vault"), (&format!("team-of-{login}"), units), first).await
        }
        Kind::Member => forge.team(None, ("others", &[("issues", "write")]), first).await,
        Kind::SiteAdmin => forge.make_site_admin(first).await,
        Kind::Outsider | Kind::Bot => {}
    }
    if kind == Kind::Renamed {
        forge.rename_account(first, login).await;
    }
}

/// A repository of a person has no teams: the list of those who can be assigned is the word.
pub async fn without_teams(which: Which) {
    let forge = Forge::start(which).await;
    forge.make_own_repo("alice", "own").await;
    let us = Client::new(Settings::new(forge.url(), forge.token(BOT))).unwrap();
    let repo: RepoName = "alice/own".parse().unwrap();
    assert_eq!(us.rights_source(&repo).await.unwrap(), Source::Listed);
    for (login, wanted) in
        [("alice", Rights::Writer), ("kimi", Rights::Writer), ("bob", Rights::Reader)]
    {
        assert_eq!(us.rights(&repo, login).await.unwrap(), wanted, "{login}");
    }
}
