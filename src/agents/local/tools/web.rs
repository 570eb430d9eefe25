//! `web_fetch`: reads a page from a host that the owner listed. No other host, no private address, no redirect, no
//! large or strange answer: the model chooses the address, and somebody else's text may have chosen it for the model.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Response, Url};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::quoted::Part;
use super::super::settings::Settings;
use super::super::tool::{Permission, RegistrationError, Tool, ToolError};
use super::page::words;
use crate::agents::outbound::{self, End};
use crate::agents::reach::Allowed;

/// For the whole page.
const TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest page that is read, in bytes.
const LARGEST: usize = 512 * 1024;
/// The longest address: one much longer carries something out rather than asking for something.
const LONGEST_ADDRESS: usize = 512;

/// Which page.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Fetch {
    /// The address, beginning with `https://` or `http://`.
    url: String,
}

struct Web {
    http: reqwest::Client,
    hosts: Vec<Host>,
    allowed: Arc<Allowed>,
}

/// The tool, if the settings list a host.
pub(super) fn tool(name: &str, settings: &Settings) -> Result<Tool, RegistrationError> {
    let Settings { web_hosts, allow_private, .. } = settings;
    let cannot = |reason: String| RegistrationError::tool(name, reason);
    if web_hosts.is_empty() {
        return Err(cannot("no host is listed in `local_agent.web_hosts`".to_owned()));
    }
    let allowed = Allowed::new(allow_private.clone())
        .map_err(|text| cannot(format!("`agents.allow_private`: `{text}` is no address")))?;
    let allowed = Arc::new(allowed);
    let client = outbound::client(CONNECT_TIMEOUT, Some(&allowed));
    let (http, _) = client.map_err(|why| cannot(why.to_owned()))?;
    let host = |text: &String| {
        Host::parse(text).ok_or_else(|| {
            cannot(format!("`local_agent.web_hosts`: `{text}` is neither a host nor `host:port`"))
        })
    };
    let hosts = web_hosts.iter().map(host).collect::<Result<_, _>>()?;
    let web = Arc::new(Web { http, hosts, allowed });
    let about = format!("Read a web page as text. Only these hosts: {}.", web_hosts.join(", "));
    Ok(Tool::new(name, about, Permission::Read, move |_, page: Fetch| {
        let web = Arc::clone(&web);
        Box::pin(async move {
            let page = web.fetch(web.address(&page.url)?).await.map_err(ToolError::Failed)?;
            Ok(vec![page])
        })
    }))
}

/// A host that may be read from: at the usual ports, or at the one that is named. What else listens there was not meant.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    /// A host, or `host:port`.
    fn parse(text: &str) -> Option<Self> {
        // Each of them leaves out the port that is its own.
        let [plain, safe] =
            ["http", "https"].map(|scheme| Url::parse(&format!("{scheme}://{text}")));
        let (plain, safe) = (plain.ok()?, safe.ok()?);
        let is_alone =
            plain.path() == "/" && plain.query().is_none() && !text.contains(['/', '@', '#']);
        let port = plain.port().or(safe.port());
        is_alone.then(|| Self { name: name(&plain), port })
    }

    fn is_of(&self, url: &Url) -> bool {
        let is_port = match self.port {
            None => url.port().is_none(),
            port => url.port_or_known_default() == port,
        };
        is_port && name(url) == self.name
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn name(url: &Url) -> String {
    url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase()
}

impl Web {
    /// The address, when it is one that may be called.
    fn address(&self, text: &str) -> Result<Url, ToolError> {
        let bad = |why: &str| ToolError::Arguments(format!("`url` {why}"));
        if text.len() > LONGEST_ADDRESS {
            return Err(bad("is too long"));
        }
        let url = outbound::parse_url(text.trim()).map_err(bad)?;
        if !self.hosts.iter().any(|host| host.is_of(&url)) {
            let listed: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
            return Err(bad(&format!(
                "leads to a host that is not listed; only {} are, at the usual ports where none is named",
                listed.join(", ")
            )));
        }
        let checked = self.allowed.check_url(&url);
        checked.map_err(|refused| ToolError::Failed(refused.to_string()))?;
        Ok(url)
    }

    async fn fetch(&self, url: Url) -> Result<Part, String> {
        let request = self.http.get(url.clone()).timeout(TIMEOUT);
        let response = request.send().await.map_err(|e| broken(&e))?;
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
            let what = "where the page has moved, which is not followed";
            return Ok(Part::untrusted(what, to.unwrap_or_default()));
        }
        if !status.is_success() {
            return Err(format!("the host answered {}", status.as_u16()));
        }
        let is_html = is_html(&response).ok_or("the page is neither text, HTML, JSON nor XML")?;
        let (body, end) = outbound::read(response, LARGEST).await;
        match end {
            End::Whole => {}
            End::TooLarge => return Err(format!("the page is larger than {} KiB", LARGEST / 1024)),
            End::Broken(error) => return Err(broken(&error).to_owned()),
        }
        let text = String::from_utf8_lossy(&body);
        let text = if is_html { words(&text) } else { text.into_owned() };
        Ok(Part::untrusted("a web page", format!("{url}\n{text}")))
    }
}

/// Whether it is a page with marks to be taken out; `None` when it is no text.
fn is_html(response: &Response) -> Option<bool> {
    let value = response.headers().get(CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
    match value.split(';').next().unwrap_or_default().trim() {
        "text/html" | "application/xhtml+xml" => Some(true),
        "application/json" | "application/xml" => Some(false),
        kind if kind.starts_with("text/") => Some(false),
        kind => (kind.ends_with("+json") || kind.ends_with("+xml")).then_some(false),
    }
}

fn broken(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no whole page came in time"
    } else if error.is_connect() {
        "the host could not be reached, or leads to a private address"
    } else {
        "the connection broke off"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn may_read(listed: &str, url: &str) -> bool {
        Host::parse(listed).unwrap().is_of(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_host_is_read_at_the_usual_ports_or_at_the_one_that_is_named() {
        for url in ["http://a.example/", "https://A.example./x", "https://a.example:443/"] {
            assert!(may_read("a.example", url), "{url}");
        }
        for url in ["http://a.example:6379/", "https://a.example:8443/", "http://a.example:443/"] {
            assert!(!may_read("a.example", url), "{url}");
        }
        assert!(may_read("a.example:8443", "https://a.example:8443/"));
        assert!(may_read("a.example:80", "http://a.example/"));
        assert!(may_read("a.example:443", "https://a.example/"));
        assert!(!may_read("a.example:443", "http://a.example/"));
        assert!(!may_read("a.example:8443", "https://a.example/"));
        assert!(may_read("[::1]:8080", "http://[::1]:8080/"));
        assert!(may_read("127.0.0.1:8080", "http://127.1:8080/"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in
            ["", "a.example:99999", "a.example/x", "me@a.example", "http://a.example", "a#b"]
        {
            assert_eq!(Host::parse(text), None, "{text}");
        }
    }
}
