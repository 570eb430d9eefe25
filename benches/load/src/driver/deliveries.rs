//! What is sent: recorded-looking deliveries, signed once beforehand, each under an id of its own. A template costs one
//! copy a request, so that the driver takes little of the CPU it shares with the receiver.

use std::net::SocketAddr;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

/// Stands in a template where an id belongs.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// All that is known of the requests before they are sent.
pub struct Deliveries {
    templates: Vec<Template>,
    next: usize,
    dice: Dice,
    /// The share that repeats an id.
    duplicates: f64,
    /// Ids that can be repeated; empty when none are.
    sent: Vec<Uuid>,
}

/// A whole request, head and body, and the places of the id in it.
struct Template {
    bytes: Vec<u8>,
    ids: Vec<usize>,
}

/// Where requests go and who signs them.
pub struct Address<'a> {
    pub host: SocketAddr,
    pub path: &'a str,
    pub secret: &'a [u8],
}

impl Deliveries {
    /// Signs every body in the file once.
    pub fn read(file: &Path, to: &Address<'_>, duplicates: f64) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("`{}` cannot be read", file.display()))?;
        let bodies = text.lines().map(serde_json::from_str::<String>);
        let templates: Vec<_> = bodies
            .map(|body| Template::new(to, &body?))
            .collect::<Result<_, _>>()
            .context("a line is no JSON string")?;
        ensure!(!templates.is_empty(), "`{}` holds no body", file.display());
        Ok(Self { templates, next: 0, dice: Dice::new(), duplicates, sent: Vec::new() })
    }

    /// Writes the next request over what the buffer held.
    pub fn write_next(&mut self, request: &mut Vec<u8>) {
        let id = self.id();
        let template = &self.templates[self.next % self.templates.len()];
        self.next += 1;
        request.clear();
        request.extend_from_slice(&template.bytes);
        for at in &template.ids {
            id.hyphenated().encode_lower(&mut request[*at..*at + NO_ID.len()]);
        }
    }

    fn id(&mut self) -> Uuid {
        if !self.sent.is_empty() && self.dice.unit() < self.duplicates {
            let place = self.dice.next() as usize % self.sent.len();
            return self.sent[place];
        }
        let id = uuid::Builder::from_random_bytes(self.dice.bytes()).into_uuid();
        if self.duplicates > 0.0 {
            self.sent.push(id);
        }
        id
    }
}

impl Template {
    fn new(to: &Address<'_>, body: &str) -> Result<Self, serde_json::Error> {
        let head = head(to, body);
        let ids = head.match_indices(NO_ID).map(|(at, _)| at).collect();
        Ok(Self { bytes: (head + body).into_bytes(), ids })
    }
}

/// The headers that Gitea 1.25 sends with an issue.
fn head(to: &Address<'_>, body: &str) -> String {
    let signature = signature(to.secret, body);
    let mut head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\n\
         Content-Type: application/json\r\nAccept-Encoding: gzip\r\n",
        to.path,
        to.host,
        body.len()
    );
    for brand in ["Gitea", "GitHub", "Gogs"] {
        head += &format!(
            "X-{brand}-Delivery: {NO_ID}\r\nX-{brand}-Event: issues\r\nX-{brand}-Event-Type: issues\r\n"
        );
    }
    head + &format!(
        "X-Gitea-Signature: {signature}\r\nX-Gogs-Signature: {signature}\r\n\
         X-Hub-Signature: sha1={}\r\nX-Hub-Signature-256: sha256={signature}\r\n\r\n",
        "0".repeat(40)
    )
}

fn signature(secret: &[u8], body: &str) -> String {
    // A key of any length will do for HMAC, so this arm is never taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// splitmix64: fast, and good enough for ids that only have to differ.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(since.as_nanos() as u64)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn bytes(&mut self) -> [u8; 16] {
        ((u128::from(self.next()) << 64) | u128::from(self.next())).to_be_bytes()
    }
}
