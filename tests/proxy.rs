//! The service behind a real nginx and a real Caddy, with the sites of `deploy/`: what Gitea signed arrives byte for
//! byte, what is too large is refused, the log tells who sent it, and people get to the pages, also under a path.
//!
//! Tests of a proxy that is not installed report themselves as ignored; libtest cannot decide that at run time, hence
//! a harness of our own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the failure message"
)]

mod database;
#[path = "faults/program.rs"]
mod program;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use gitea_triage::gitea::Recording;
use libtest_mimic::{Arguments, Completion, Trial};
use program::{PATIENCE, Program, Stage, delivery, push_payload, sign, until};

/// Where the sender stands: not where the proxy does.
const SENDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
/// What the dashboard asks people for.
const TOKEN: &str = "token-of-the-proxy-tests";
const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

/// A site of `deploy/`, and the proxy that serves it.
#[derive(Clone, Copy)]
struct Site {
    proxy: &'static str,
    name: &'static str,
    /// Writes the site for this port and service into the folder, and says how to start the proxy.
    command: fn(&Path, port: u16, service: &str) -> Command,
    /// The path under which the service is found.
    path: &'static str,
}

const SITES: [Site; 4] = [
    Site { proxy: "nginx", name: "nginx", command: nginx, path: "" },
    Site { proxy: "nginx", name: "nginx_under_a_path", command: nginx_sub_path, path: "/triage" },
    Site { proxy: "caddy", name: "caddy", command: caddy, path: "" },
    Site { proxy: "caddy", name: "caddy_under_a_path", command: caddy_sub_path, path: "/triage" },
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for site in SITES {
        trials.push(trial(site, "passes_every_recorded_delivery_byte_for_byte", |front| {
            Box::pin(recorded_deliveries(front))
        }));
        trials.push(trial(site, "lets_the_service_say_what_is_too_large", |front| {
            Box::pin(large_bodies(front))
        }));
        trials.push(trial(site, "tells_who_sent_a_forged_delivery", |front| {
            Box::pin(forged_deliveries(front))
        }));
        trials.push(trial(site, "hides_what_is_not_for_strangers", |front| {
            Box::pin(hidden_pages(front))
        }));
        trials.push(trial(site, "lets_people_sign_in_and_keeps_their_pages_up_to_date", |front| {
            Box::pin(dashboard(front))
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

type Story = fn(&Front) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>>;

fn trial(site: Site, claim: &str, story: Story) -> Trial {
    Trial::ignorable_test(format!("{}_{claim}", site.name), move || {
        if !is_installed(site.proxy) {
            return Ok(Completion::ignored_with(format!("install {} to run this", site.proxy)));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async { story(&Front::start(site).await).await });
        Ok(Completion::Completed)
    })
}

fn is_installed(proxy: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps nginx where only root looks.
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    folders.into_iter().any(|folder| folder.join(proxy).is_file())
}

/// The service with a proxy in front.
struct Front {
    stage: Stage,
    service: Program,
    proxy: Child,
    url: String,
    http: reqwest::Client,
}

impl Front {
    async fn start(site: Site) -> Self {
        let stage = Stage::with("[worker]\nconcurrency = 0\n").await;
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}{}", site.path);
        let service = stage.start_with(|command| {
            command.env("GITEA_TRIAGE__SERVER__PUBLIC_URL", &url);
            command.env("GITEA_TRIAGE__DASHBOARD__TOKEN", TOKEN);
            command.env("GITEA_TRIAGE__SERVER__TRUSTED_PROXIES", "127.0.0.1");
            command.env(
                "GITEA_TRIAGE__WEBHOOK__SECRETS",
                format!("{},fixture-secret", program::SECRET),
            );
            command.env("GITEA_TRIAGE__WEBHOOK__MAX_BODY", "10MiB");
        });
        let mut command = (site.command)(stage.folder.path(), port, service.address());
        let proxy = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let http = reqwest::Client::builder().no_proxy().local_address(IpAddr::V4(SENDER));
        let http = http.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let front = Self { stage, service, proxy, url, http };
        until("an answer through the proxy", PATIENCE, async || {
            front.status("/healthz").await == Some(200)
        })
        .await;
        front
    }

    async fn status(&self, path: &str) -> Option<u16> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    async fn post(&self, body: Vec<u8>) -> (u16, String) {
        let answer = delivery(&self.http, &format!("{}/webhook", self.url), body).send().await;
        let answer = answer.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.proxy.kill();
        let _ = self.proxy.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A file of `deploy/`, with each of these texts replaced; one that is not there is a mistake.
fn adapted(file: &str, changes: &[(&str, &str)]) -> String {
    let text = std::fs::read_to_string(Path::new(DEPLOY).join(file)).unwrap();
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "`{from}` is not in `{file}`");
        text.replace(from, to)
    })
}

fn start_nginx(folder: &Path, site: &str) -> Command {
    let here = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {here}/{kind};"));
    let config = format!(
        "daemon off;\nmaster_process off;\npid {here}/nginx.pid;\nerror_log {here}/nginx.log;\n\
         events {{}}\nhttp {{\naccess_log off;\n{}\n{site}\n}}\n",
        temporary.join("\n")
    );
    std::fs::write(folder.join("nginx.conf"), config).unwrap();
    let mut command = Command::new("nginx");
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin")).arg("-c").arg(folder.join("nginx.conf"));
    command
}

fn nginx(folder: &Path, port: u16, service: &str) -> Command {
    let changes = [
        ("server 127.0.0.1:8484;", format!("server {service};")),
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port};")),
        ("    listen [::]:443 ssl;\n", String::new()),
        ("ssl_certificate ", "# ".to_owned()),
        ("ssl_certificate_key ", "# ".to_owned()),
    ];
    let changes = changes.each_ref().map(|(from, to)| (*from, to.as_str()));
    start_nginx(folder, &adapted("nginx/gitea-triage.conf", &changes))
}

fn nginx_sub_path(folder: &Path, port: u16, service: &str) -> Command {
    let site = adapted("nginx/sub-path.conf", &[("127.0.0.1:8484", service)]);
    start_nginx(folder, &format!("server {{\nlisten 127.0.0.1:{port};\n{site}\n}}"))
}

fn caddy(folder: &Path, port: u16, service: &str) -> Command {
    let head = format!("http://127.0.0.1:{port} {{");
    let changes = [("triage.example.com {", head.as_str()), ("127.0.0.1:8484", service)];
    start_caddy(folder, &adapted("caddy/Caddyfile", &changes))
}

/// As its first lines say: what is in the site, in a `handle_path`.
fn caddy_sub_path(folder: &Path, port: u16, service: &str) -> Command {
    let head = format!("http://127.0.0.1:{port} {{\n\thandle_path /triage/* {{");
    let changes = [("triage.example.com {", head.as_str()), ("127.0.0.1:8484", service)];
    start_caddy(folder, &format!("{}}}\n", adapted("caddy/Caddyfile", &changes)))
}

fn start_caddy(folder: &Path, site: &str) -> Command {
    std::fs::write(folder.join("Caddyfile"), format!("{{\n\tadmin off\n}}\n{site}")).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(folder.join("Caddyfile"));
    // It keeps certificates and its last configuration there.
    command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    command
}

/// Posts the recorded deliveries; the status of each answer, by file.
fn replay(front: &Front, url: &str) -> BTreeMap<String, u64> {
    let output = front.stage.run(&["replay", "--json", "--to", url, FIXTURES]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let status =
        |l: serde_json::Value| Some((l["file"].as_str()?.to_owned(), l["status"].as_u64()?));
    lines.map(|line| status(line).unwrap()).collect()
}

async fn recorded_deliveries(front: &Front) {
    let through = replay(front, &format!("{}/webhook", front.url));
    assert_eq!(through.len(), 62);
    let straight = replay(front, &front.service.url("/webhook"));
    // What was taken is known by its id when it comes again; what was refused is refused for the same reason.
    let again = |status: &u64| if *status == 202 { 200 } else { *status };
    let expected: BTreeMap<_, _> = through.iter().map(|(f, s)| (f.clone(), again(s))).collect();
    assert_eq!(straight, expected);
    let taken = through.values().filter(|status| **status == 202).count();
    assert!(taken > 55, "{through:#?}");
    assert_eq!(front.stage.count("SELECT count(*) FROM delivery"), i64::try_from(taken).unwrap());
    assert_eq!(signed_bodies_changed(front), Vec::<String>::new());
}

/// The stored deliveries whose bytes are not those that were recorded. The receiver has verified each signature over
/// what it stored, so this compares them once more with the files.
fn signed_bodies_changed(front: &Front) -> Vec<String> {
    let folder = front.stage.path("exported");
    let folder = folder.to_str().unwrap();
    let output = front.stage.run(&["inbox", "export", "--limit", "1000", folder]);
    assert!(output.status.success(), "{output:?}");
    let recorded: Vec<Recording> = recordings(Path::new(FIXTURES));
    let is_known = |r: &Recording| recorded.iter().any(|known| signed_bytes(known) == r.body);
    let exported = recordings(Path::new(folder));
    assert!(exported.len() > 55, "{} were exported", exported.len());
    exported.iter().filter(|r| !is_known(r)).map(|r| format!("{:?}", r.headers)).collect()
}

fn recordings(folder: &Path) -> Vec<Recording> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == "http"));
    files.map(|path| Recording::read(std::fs::read(path).unwrap()).unwrap()).collect()
}

/// What is signed: the body, or of a form its field `payload`.
fn signed_bytes(recording: &Recording) -> Vec<u8> {
    let is_form = |(name, value): &(String, String)| {
        name.eq_ignore_ascii_case("content-type") && value.contains("form")
    };
    if !recording.headers.iter().any(is_form) {
        return recording.body.to_vec();
    }
    let mut fields = url::form_urlencoded::parse(&recording.body);
    fields.find(|(name, _)| name == "payload").unwrap().1.into_owned().into_bytes()
}

async fn large_bodies(front: &Front) {
    let limit = 10 * 1024 * 1024;
    assert_eq!(front.post(push_payload(1, limit)).await.0, 202);
    let (status, text) = front.post(push_payload(2, limit + 1)).await;
    assert_eq!(status, 413);
    assert!(text.contains("raise `webhook.max_body`"), "{text}");
    assert_eq!(front.stage.count("SELECT count(*) FROM delivery"), 1);
}

async fn forged_deliveries(front: &Front) {
    let body = push_payload(1, 300);
    let url = format!("{}/webhook", front.url);
    let forged = front.http.post(url).header("X-Gitea-Delivery", "1").body(body.clone());
    let forged = forged.header("X-Gitea-Signature", sign("another key", &body));
    // What a sender writes there itself is not believed.
    let answer = forged.header("X-Forwarded-For", "192.0.2.1").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let from = format!("\"from\":\"{SENDER}\"");
    until("a line about it", PATIENCE, async || {
        front.service.log().iter().any(|line| line.contains("refused") && line.contains(&from))
    })
    .await;
}

async fn hidden_pages(front: &Front) {
    for page in ["/metrics", "/readyz"] {
        assert_eq!(front.status(page).await, Some(404), "{page}");
    }
    let others =
        ["/%6detrics", "/metric%73", "//metrics", "/metrics/", "/%72eadyz", "//readyz", "/readyz/"];
    for page in others {
        assert_eq!(front.status(page).await, Some(404), "{page}");
    }
    assert_eq!(front.status("/webhook").await, Some(405), "never a redirect");
    assert_eq!(front.status("/healthz").await, Some(200));
    let listen = front.service.address();
    let mut command = front.stage.command();
    let output = command.env("GITEA_TRIAGE__SERVER__LISTEN", listen).arg("healthcheck").output();
    assert_eq!(output.unwrap().stdout, b"ok\n");
}

/// The address a page answers with, which the browser is to go to.
fn goes_to(answer: &reqwest::Response, front: &Front) -> String {
    assert_eq!(answer.status(), 303, "{}", answer.url());
    let to = answer.headers()["location"].to_str().unwrap();
    let to = answer.url().join(to).unwrap().to_string();
    assert!(to.starts_with(&format!("{}/", front.url)), "{to}");
    to
}

/// The cookie of an answer, as it is sent back.
fn cookie(answer: &reqwest::Response) -> String {
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// What stands in this attribute, wherever a page has it.
fn attributes(page: &str, name: &str) -> Vec<String> {
    let start = format!(" {name}=\"");
    let values = page.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap());
    values.map(|value| value.replace("&amp;", "&").replace("&#38;", "&")).collect()
}

async fn dashboard(front: &Front) {
    let get = async |url: &str, cookie: &str| {
        front.http.get(url).header("Cookie", cookie).send().await.unwrap()
    };
    let sign_in = goes_to(&get(&format!("{}/", front.url), "").await, front);
    let page = get(&sign_in, "").await;
    let mut session = cookie(&page);
    let page = page.text().await.unwrap();
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let action = attributes(&page, "action").into_iter().find(|a| a.ends_with("/token")).unwrap();
    let origin = url::Url::parse(&front.url).unwrap().origin().ascii_serialization();
    let form = [("csrf", csrf), ("next", "/deliveries"), ("token", TOKEN)];
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let post = front.http.post(format!("{origin}{action}")).header("Origin", &origin);
    let post = post.header("Content-Type", "application/x-www-form-urlencoded");
    let answer = post.header("Cookie", &session).body(form).send().await.unwrap();
    assert_eq!(goes_to(&answer, front), format!("{}/deliveries", front.url));
    session = cookie(&answer);

    let page = get(&format!("{}/deliveries", front.url), &session).await;
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    let links = ["href", "src", "action"].map(|name| attributes(&page, name)).concat();
    let links: Vec<_> = links.iter().filter(|link| !link.starts_with('#')).collect();
    assert!(links.len() > 8, "{links:?}");
    for link in links.iter().filter(|link| !link.ends_with("/sign-out")) {
        let url = format!("{origin}{link}");
        assert!(url.starts_with(&format!("{}/", front.url)), "{link}");
        assert_eq!(get(&url, &session).await.status(), 200, "{link}");
    }

    let events = attributes(&page, "data-events").pop().unwrap();
    let mut events = get(&format!("{origin}{events}"), &session).await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    assert_eq!(front.post(push_payload(1, 300)).await.0, 202);
    let mut seen = String::new();
    let told = async {
        while !seen.contains("data:") {
            seen.push_str(&String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap()));
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("a line that something has changed");
}
