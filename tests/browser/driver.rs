//! A real Chromium, driven through chromedriver by the WebDriver protocol: a handful of JSON requests, for which a
//! client library would bring twenty more crates into every build of the tests.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::program::{PATIENCE, until};

/// The key under which the protocol names an element (W3C WebDriver, 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Whether both programs are there.
pub fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    is_there("chromium") && is_there("chromedriver")
}

/// One browser with one window and a profile of its own.
pub struct Browser {
    http: reqwest::Client,
    session: String,
    driver: Child,
    _profile: tempfile::TempDir,
}

/// How the browser is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    On,
    Off,
}

impl Browser {
    pub async fn start(scripts: Scripts) -> Self {
        // Fails when another story has chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let profile = tempfile::tempdir().unwrap();
        let (driver, port) = driver(profile.path());
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let root = format!("http://127.0.0.1:{port}/session");
        let asked = json!({ "capabilities": { "alwaysMatch": capabilities(profile.path()) } });
        let answer = http.post(&root).json(&asked).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let session = format!("{root}/{id}");
        let browser = Self { http, session, driver, _profile: profile };
        browser.size(1280, 900, false).await;
        let is_off = json!({ "value": scripts == Scripts::Off });
        browser.devtools("Emulation.setScriptExecutionDisabled", is_off).await;
        browser
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Value> {
        self.answer(self.http.post(format!("{}/{path}", self.session)).json(&body)).await
    }

    async fn ask(&self, path: &str) -> Result<Value, Value> {
        self.answer(self.http.get(format!("{}/{path}", self.session))).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, Value> {
        let answer = request.send().await.unwrap();
        let is_fine = answer.status().is_success();
        let value: Value = answer.json().await.unwrap();
        if is_fine { Ok(value["value"].clone()) } else { Err(value["value"].clone()) }
    }

    /// A command of Chromium's own protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("goog/cdp/execute", body).await.unwrap()
    }

    pub async fn goto(&self, url: &str) {
        self.post("url", json!({ "url": url })).await.unwrap();
    }

    pub async fn reload(&self) {
        self.post("refresh", json!({})).await.unwrap();
    }

    pub async fn url(&self) -> String {
        self.ask("url").await.unwrap().as_str().unwrap().to_owned()
    }

    pub async fn title(&self) -> String {
        self.ask("title").await.unwrap().as_str().unwrap().to_owned()
    }

    async fn find(&self, selector: &str) -> Result<String, Value> {
        let (using, value) = match selector.strip_prefix("//") {
            Some(_) => ("xpath", selector),
            None => ("css selector", selector),
        };
        let found = self.post("element", json!({ "using": using, "value": value })).await?;
        Ok(found[ELEMENT].as_str().unwrap().to_owned())
    }

    /// Clicks what the selector (CSS, or XPath from `//` on) finds, and waits until the page is there that it leads to.
    ///
    /// A click is answered as soon as it is done. A form is sent only after that, so that whoever asked for the address at
    /// once could be told the old one, and whoever went elsewhere at once would have taken the form back.
    pub async fn follow(&self, selector: &str) {
        let page = self.find("html").await.unwrap();
        self.at(selector, "click", json!({})).await;
        until(selector, PATIENCE, async || {
            // An element of another page is not known any more.
            self.ask(&format!("element/{page}/name")).await.is_err()
        })
        .await;
    }

    pub async fn write(&self, selector: &str, text: &str) {
        self.at(selector, "value", json!({ "text": text })).await;
    }

    /// Does something to an element. A page that is kept up to date can exchange it at any moment between its being
    /// found and that, even while the browser is about to write into it.
    async fn at(&self, selector: &str, what: &str, how: Value) {
        const EXCHANGED: [&str; 2] = ["stale element reference", "element not interactable"];
        until(&format!("{what} `{selector}`"), PATIENCE, async || {
            let element = self.find(selector).await.unwrap_or_else(|e| panic!("`{selector}`: {e}"));
            match self.post(&format!("element/{element}/{what}"), how.clone()).await {
                Ok(_) => true,
                Err(e) if EXCHANGED.iter().any(|kind| e["error"] == *kind) => false,
                Err(e) => panic!("`{selector}`: {e}"),
            }
        })
        .await;
    }

    pub async fn press(&self, key: &str) {
        let keys =
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })];
        let actions = json!([{ "type": "key", "id": "keyboard", "actions": keys }]);
        self.post("actions", json!({ "actions": actions })).await.unwrap();
    }

    pub async fn has_element(&self, selector: &str) -> bool {
        self.find(selector).await.is_ok()
    }

    /// What a person reads on the page.
    pub async fn text(&self) -> String {
        // An element can be exchanged between being found and being read.
        for _ in 0..5 {
            if let Ok(body) = self.find("body").await
                && let Ok(text) = self.ask(&format!("element/{body}/text")).await
            {
                return text.as_str().unwrap().to_owned();
            }
        }
        String::new()
    }

    /// Waits until a person reads this, without doing anything.
    pub async fn sees(&self, text: &str) {
        let seen = tokio::time::timeout(PATIENCE, async {
            while !self.text().await.contains(text) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        if seen.await.is_err() {
            panic!("`{text}` is not on {}:\n{}", self.url().await, self.text().await);
        }
    }

    /// Loads the page again and again until a person reads this.
    pub async fn sees_after_loading(&self, text: &str) {
        until(text, PATIENCE, async || {
            self.reload().await;
            self.text().await.contains(text)
        })
        .await;
    }

    pub async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", json!({ "script": script, "args": [] })).await.unwrap()
    }

    /// Runs a script on every page from now on, before the page's own.
    pub async fn run_before_each_page(&self, script: &str) {
        let script = json!({ "source": script });
        self.devtools("Page.addScriptToEvaluateOnNewDocument", script).await;
    }

    /// What the browser complained about on pages of `root` since the last time, such as something that the policy
    /// forbade.
    pub async fn complaints(&self, root: &str) -> Vec<String> {
        let log = self.post("se/log", json!({ "type": "browser" })).await.unwrap();
        let lines = log.as_array().unwrap().iter().map(|line| line["message"].to_string());
        lines.filter(|line| line.contains(root)).collect()
    }

    pub async fn size(&self, width: u32, height: u32, is_phone: bool) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    pub async fn colours(&self, scheme: &str) {
        let wish = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", wish).await;
    }

    /// The whole page as a PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let whole = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.devtools("Page.captureScreenshot", whole).await;
        base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// Ends the browser before its driver, which would leave it behind.
    pub async fn close(self) {
        let _ = self.answer(self.http.delete(&self.session)).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A driver that listens, and its port. It chooses a port for IPv4 and ends where another has the same one for IPv6, so
/// it is started anew a few times.
fn driver(home: &Path) -> (Child, u16) {
    let mut said = Vec::new();
    for _ in 0..5 {
        let log = home.join("chromedriver.log");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", home)
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        if let Some(port) = port(&mut driver, &mut said) {
            return (driver, port);
        }
        let end = driver.wait().unwrap();
        said.push(format!("{end}: {}", std::fs::read_to_string(&log).unwrap_or_default()));
    }
    panic!("chromedriver does not say which port it listens on: {said:#?}");
}

/// The port it chose, as it says on its first lines, which are kept in `said`; none if it ends before.
fn port(driver: &mut Child, said: &mut Vec<String>) -> Option<u16> {
    let mut lines = BufReader::new(driver.stdout.take()?).lines().map_while(Result::ok);
    let port = lines.by_ref().inspect(|line| said.push(line.clone())).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    // Read on, so that it never waits for a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    port
}

fn capabilities(profile: &Path) -> Value {
    let profile = format!("--user-data-dir={}", profile.join("profile").display());
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        &profile,
    ];
    json!({
        "goog:chromeOptions": { "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL" },
        "unhandledPromptBehavior": "accept",
    })
}
