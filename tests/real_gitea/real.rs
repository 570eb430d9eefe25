//! A real Gitea or Forgejo in a folder of its own: started, given its accounts, and looked into. Everything goes with it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gitea_triage::fake_gitea::Flavour;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;
use crate::forge::{ADMIN, Asked, BOT, Hook, PEOPLE, REPO, Sent};
use crate::person::{Person, client, good};
use crate::process::{Process, free_port};
use crate::wait::until;

/// The password of everybody on the stage.
pub const PASSWORD: &str = "correct horse battery staple";
/// How long it may take to listen; the first start makes all tables.
const START: Duration = Duration::from_secs(60);
/// How long a line may take from an answer to the log.
const LOG: Duration = Duration::from_secs(5);
/// The least that the service's token needs.
const BOT_SCOPES: [&str; 4] = ["write:issue", "read:repository", "read:user", "read:organization"];

/// The beginning of the names of the variables about one of the two.
fn variable(flavour: Flavour, what: &str) -> String {
    format!("{}_{what}", if flavour == Flavour::Forgejo { "FORGEJO" } else { "GITEA" })
}

/// The executable to test with, when there is one.
pub fn executable(flavour: Flavour) -> Option<PathBuf> {
    let named = std::env::var_os(variable(flavour, "BIN"));
    named.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A running Gitea or Forgejo.
pub struct RealGitea {
    // Dropped in this order: the process ends before its folder goes.
    _process: Process,
    folder: TempDir,
    port: u16,
    tokens: RefCell<HashMap<String, String>>,
    marks: Cell<u32>,
}

impl RealGitea {
    /// Starts `GITEA_BIN` or `FORGEJO_BIN` and sets the stage.
    pub async fn start(flavour: Flavour) -> Self {
        Self::start_allowing(flavour, "loopback").await
    }

    /// The same with these hosts as `[webhook] ALLOWED_HOST_LIST`.
    pub async fn start_allowing(flavour: Flavour, hosts: &str) -> Self {
        let binary = executable(flavour).expect("a variable names the executable");
        let folder = tempfile::Builder::new().prefix("real-gitea-").tempdir().unwrap();
        let port = free_port();
        let assets = std::env::var(variable(flavour, "STATIC_ROOT")).unwrap_or_default();
        let settings = settings(folder.path(), port, hosts, &assets);
        std::fs::write(folder.path().join("app.ini"), settings).unwrap();
        let mut web = command(&binary, folder.path());
        let mut process = Process::start(web.arg("web"), &folder.path().join("console.log"));
        listens(&mut process, port, folder.path()).await;
        make_admin(&binary, folder.path());
        let tokens = RefCell::default();
        let mut gitea = Self { _process: process, folder, port, tokens, marks: Cell::new(0) };
        gitea.set_stage().await;
        gitea
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The token of an account on the stage.
    pub fn token(&self, login: &str) -> String {
        self.tokens.borrow()[login].clone()
    }

    async fn set_stage(&mut self) {
        self.make_token(ADMIN, &["all"]).await;
        let admin = Person::new(&self.url(), &self.token(ADMIN));
        let everybody = PEOPLE.into_iter().chain([(BOT, true)]);
        for (login, _) in everybody.clone() {
            self.make_account(login).await;
            let scopes = if login == BOT { &BOT_SCOPES[..] } else { &["all"] };
            self.make_token(login, scopes).await;
        }
        admin.post("/orgs", json!({"username": "acme"})).await;
        admin.post("/orgs/acme/repos", json!({"name": "widgets"})).await;
        for (login, _) in everybody.filter(|(_, writes)| *writes) {
            let path = format!("{REPO}/collaborators/{login}");
            admin.put(&path, json!({"permission": "write"})).await;
        }
    }

    async fn make_account(&self, login: &str) {
        let new = json!({
            "username": login,
            "email": format!("{login}@example.com"),
            "password": PASSWORD,
            "must_change_password": false,
        });
        Person::new(&self.url(), &self.token(ADMIN)).post("/admin/users", new).await;
    }

    /// Makes an account that may do everything that is its own.
    pub async fn add_account(&self, login: &str) {
        self.make_account(login).await;
        self.make_token(login, &["all"]).await;
    }

    /// Takes note of an account's other login.
    pub fn is_called(&self, from: &str, to: &str) {
        let token = self.token(from);
        self.tokens.borrow_mut().insert(to.to_owned(), token);
    }

    async fn make_token(&self, login: &str, scopes: &[&str]) {
        let token = self.token_with_scopes(login, scopes).await;
        self.tokens.borrow_mut().insert(login.to_owned(), token);
    }

    /// A further token of an account, for these scopes alone.
    pub async fn token_with_scopes(&self, login: &str, scopes: &[&str]) -> String {
        let path = format!("{}/api/v1/users/{login}/tokens", self.url());
        let request = client().post(&path).basic_auth(ADMIN, Some(PASSWORD));
        // Two tokens of an account may not have one name.
        let body = json!({"name": scopes.join(" "), "scopes": scopes});
        let answer = request.json(&body).send().await;
        good(&path, answer.unwrap()).await["sha1"].as_str().unwrap().to_owned()
    }

    /// Takes a token back: the API shows the last eight digits of each.
    pub async fn revoke(&self, login: &str, token: &str) {
        let path = format!("{}/api/v1/users/{login}/tokens", self.url());
        let basic = |request: reqwest::RequestBuilder| request.basic_auth(ADMIN, Some(PASSWORD));
        let all = good(&path, basic(client().get(&path)).send().await.unwrap()).await;
        let all = all.as_array().unwrap().iter();
        let mut all = all.filter(|one| token.ends_with(one["token_last_eight"].as_str().unwrap()));
        let path = format!("{path}/{}", all.next().unwrap()["id"]);
        good(&path, basic(client().delete(&path)).send().await.unwrap()).await;
    }

    /// Every delivery so far. No API lists them, so the table is read (models/webhook/hooktask.go).
    pub fn sent(&self) -> Vec<Sent> {
        let file = self.folder.path().join("gitea.db");
        let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        database.busy_timeout(LOG).unwrap();
        let sql = "SELECT uuid, event_type, response_content FROM hook_task ORDER BY id";
        let mut tasks = database.prepare(sql).unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            let answer: Option<String> = row.get(2)?;
            Ok(Sent { uuid: row.get(0)?, event: row.get(1)?, status: status(answer.as_deref()) })
        };
        tasks.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// Every API request of an account so far, from the access log. A request of our own marks where to stop.
    pub async fn asked_by(&self, login: &str) -> Vec<Asked> {
        self.marks.set(self.marks.get() + 1);
        let mark = format!("/api/v1/version?mark={} ", self.marks.get());
        Person::new(&self.url(), &self.token(ADMIN)).get(mark[7..].trim()).await;
        let file = self.folder.path().join("log").join("access.log");
        let log = until(LOG, async || {
            let log = std::fs::read_to_string(&file).unwrap_or_default();
            if log.contains(&mark) { Ok(log) } else { Err("the access log lags".to_owned()) }
        });
        log.await.lines().filter_map(|line| asked(line, login)).collect()
    }

    /// Presses the button on the page of a delivery: signs in, then sends the form with its token.
    pub async fn redeliver(&self, hook: &Hook, uuid: &str) {
        let mut browser = Browser::signed_in(ADMIN, &self.url()).await;
        let page = format!("{}/acme/widgets/settings/hooks/{}", self.url(), hook.id);
        browser.page(&page).await;
        let answer = browser.post(&format!("{page}/replay/{uuid}"), [("", ""); 0]).await;
        assert_eq!(answer.status().as_u16(), 303, "`{uuid}` could not be sent again");
    }
}

/// Everything in one folder, nothing that talks to the outside, and no more log than is asked for.
fn settings(folder: &Path, port: u16, hosts: &str, assets: &str) -> String {
    let folder = folder.display();
    let assets = match assets {
        "" => String::new(),
        root => format!("STATIC_ROOT_PATH = {root}\n"),
    };
    format!(
        "APP_NAME = story
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true

[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
OFFLINE_MODE = true
DISABLE_SSH = true
LFS_START_SERVER = false
{assets}
[database]
DB_TYPE = sqlite3
PATH = {folder}/gitea.db
SQLITE_JOURNAL_MODE = WAL
SQLITE_TIMEOUT = 5000

[security]
INSTALL_LOCK = true
SECRET_KEY = not-a-secret
PASSWORD_HASH_ALGO = pbkdf2_v1
DISABLE_GIT_HOOKS = true

[service]
DISABLE_REGISTRATION = true

[webhook]
ALLOWED_HOST_LIST = {hosts}

[mailer]
ENABLED = false

[indexer]
ISSUE_INDEXER_TYPE = db

[actions]
ENABLED = false

[packages]
ENABLED = false

[picture]
DISABLE_GRAVATAR = true

[cron]
ENABLED = false

[cron.update_checker]
ENABLED = false

[log]
MODE = console
LEVEL = warn
ROOT_PATH = {folder}/log
logger.router.MODE =
logger.access.MODE = access
ACCESS_LOG_TEMPLATE = {{{{.Identity}}}} {{{{.Ctx.Req.Method}}}} {{{{.Ctx.Req.URL.RequestURI}}}} {{{{.ResponseWriter.Status}}}}

[log.access]
MODE = file
FILE_NAME = access.log
LEVEL = info
"
    )
}

fn command(binary: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command.arg("--work-path").arg(folder).arg("--config").arg(folder.join("app.ini"));
    command.env("HOME", folder).current_dir(folder);
    for variable in ["GITEA_WORK_DIR", "GITEA_CUSTOM", "FORGEJO_WORK_DIR", "FORGEJO_CUSTOM"] {
        command.env_remove(variable);
    }
    command
}

async fn listens(process: &mut Process, port: u16, folder: &Path) {
    let (client, url) = (client(), format!("http://127.0.0.1:{port}/api/healthz"));
    let console = || std::fs::read_to_string(folder.join("console.log")).unwrap_or_default();
    until(START, async || {
        let ended = process.ended();
        assert!(ended.is_none(), "the forge ended ({ended:?}):\n{}", console());
        let answer = client.get(&url).send().await;
        let is_up = answer.is_ok_and(|a| a.status().is_success());
        if is_up { Ok(()) } else { Err(format!("the forge does not listen:\n{}", console())) }
    })
    .await;
}

fn make_admin(binary: &Path, folder: &Path) {
    let mut create = command(binary, folder);
    create.args(["admin", "user", "create", "--admin", "--must-change-password=false"]);
    create.args(["--username", ADMIN, "--email", "gitadmin@example.com"]);
    let output = create.args(["--password", PASSWORD]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The status in a task's recorded answer: absent before it came, 0 when none will.
fn status(answer: Option<&str>) -> Option<u16> {
    let answer = answer.filter(|text| !text.is_empty())?;
    let answer: Value = serde_json::from_str(answer).unwrap();
    u16::try_from(answer["status"].as_u64()?).ok()
}

fn asked(line: &str, login: &str) -> Option<Asked> {
    let mut words = line.split_whitespace();
    let (by, method, uri) = (words.next()?, words.next()?, words.next()?);
    let path = uri.split('?').next()?.strip_prefix("/api/v1").filter(|_| by == login)?;
    let status = words.next()?.parse().ok()?;
    Some(Asked { method: method.to_owned(), path: path.to_owned(), status })
}
