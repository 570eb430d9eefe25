//! Whose bytes are these? Checks a delivery's signature over the raw bytes and, only then, looks at its headers.
//! It never reads the payload.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::recording::Recording;
use super::rejected::Rejected;
use crate::clock::Timestamp;
use crate::delivery::{Delivery, DeliveryId};

/// Header name and the prefix its hex has. SHA-1 (`X-Hub-Signature`) is not among them: it proves nothing.
const SIGNATURES: [(&str, &str); 4] = [
    ("X-Forgejo-Signature", ""),
    ("X-Gitea-Signature", ""),
    ("X-Gogs-Signature", ""),
    ("X-Hub-Signature-256", "sha256="),
];
const DELIVERIES: [&str; 4] =
    ["X-Forgejo-Delivery", "X-Gitea-Delivery", "X-Gogs-Delivery", "X-GitHub-Delivery"];
/// The fine name (`issue_label`) before the coarse one (`issues`).
const EVENTS: [&str; 8] = [
    "X-Forgejo-Event-Type",
    "X-Gitea-Event-Type",
    "X-Gogs-Event-Type",
    "X-GitHub-Event-Type",
    "X-Forgejo-Event",
    "X-Gitea-Event",
    "X-Gogs-Event",
    "X-GitHub-Event",
];
/// What our own requests about a secret have in a delivery id's place.
pub(super) const PROBE: &str = "X-Gitea-Triage-Probe";
const MAX_EVENT: usize = 64;

type Digest = [u8; 32];

/// Where a request's headers can be looked up, whatever type holds them.
pub trait HeaderLookup {
    /// Each value of the header, in order; names do not differ by case.
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]>;
}

impl HeaderLookup for actix_web::http::header::HeaderMap {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name).map(|value| value.as_bytes())
    }
}

impl HeaderLookup for Recording {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let same = move |n: &str| n.eq_ignore_ascii_case(name);
        self.headers.iter().filter(move |(n, _)| same(n)).map(|(_, value)| value.as_bytes())
    }
}

/// Whether a request says that a webhook sent it, signed or not.
pub fn is_from_hook(headers: &impl HeaderLookup) -> bool {
    DELIVERIES.iter().any(|name| headers.values(name).next().is_some())
}

/// A header came with two values, of which a proxy and we could read different ones.
struct Ambiguous;

/// The value of a header, however often it says the same.
fn once<'a>(headers: &'a impl HeaderLookup, name: &'a str) -> Result<Option<&'a [u8]>, Ambiguous> {
    let mut values = headers.values(name).map(<[u8]>::trim_ascii);
    let value = values.next();
    if values.all(|other| Some(other) == value) { Ok(value) } else { Err(Ambiguous) }
}

/// One of the secrets that are valid at the same time.
#[derive(Clone, Debug)]
pub struct Secret {
    /// The secret as it stands in the hook.
    pub key: SecretString,
    /// From this moment on it is refused.
    pub expires: Option<Timestamp>,
    /// The repositories it speaks for, as patterns; `None` for all.
    pub repos: Option<Vec<String>>,
}

impl Secret {
    /// Whether its time is not over yet.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

/// Holds the secrets and accepts what one of them signed.
#[derive(Debug)]
pub struct Verifier {
    /// Each secret, with its key's state after the key itself went in: that part is done once and not for each delivery.
    secrets: Vec<(Hmac<Sha256>, Secret)>,
}

impl Verifier {
    /// A verifier for these secrets. An empty one is left out: anyone can sign with it.
    pub fn new(secrets: Vec<Secret>) -> Self {
        let signing = |secret: Secret| {
            let key = secret.key.expose_secret().as_bytes();
            let mac = Hmac::new_from_slice(key).ok().filter(|_| !key.is_empty())?;
            Some((mac, secret))
        };
        Self { secrets: secrets.into_iter().filter_map(signing).collect() }
    }

    /// The place of the secret with the same key.
    pub fn place_of(&self, secret: &Secret) -> Option<usize> {
        let key = secret.key.expose_secret();
        self.secrets.iter().position(|(_, one)| one.key.expose_secret() == key)
    }

    /// The delivery in a request, if one of the secrets signed it. The signature is judged before anything else,
    /// so that someone without a secret learns nothing but that.
    pub fn verify<H: HeaderLookup>(
        &self,
        headers: &H,
        body: Bytes,
        now: Timestamp,
    ) -> Result<Delivery, Rejected> {
        self.verify_by(headers, body, now).map(|(_, delivery)| delivery)
    }

    /// The same, with the place of the first valid secret that signed it.
    pub fn verify_by<H: HeaderLookup>(
        &self,
        headers: &H,
        body: Bytes,
        now: Timestamp,
    ) -> Result<(usize, Delivery), Rejected> {
        let claim = claim(headers)?;
        let signed = signed_bytes(headers, &body);
        let (place, scope) = self.signer(signed.as_ref().unwrap_or(&body), &claim, now)?;
        let body = signed?;
        let id = delivery_id(headers).ok_or_else(|| match headers.values(PROBE).next() {
            Some(_) => Rejected::Probe,
            None => Rejected::NoDeliveryId,
        })?;
        let event_header = event_header(headers);
        Ok((place, Delivery { id, received_at: now, body, event_header, scope }))
    }

    /// The first valid secret that made this digest, and what all that made it speak for together.
    fn signer(
        &self,
        signed: &[u8],
        claim: &Digest,
        now: Timestamp,
    ) -> Result<(usize, Option<Vec<String>>), Rejected> {
        // `verify_slice` compares in constant time.
        let signs =
            |mac: &Hmac<Sha256>| mac.clone().chain_update(signed).verify_slice(claim).is_ok();
        let signers: Vec<(usize, &Secret)> = self
            .secrets
            .iter()
            .enumerate()
            .filter(|(_, (mac, _))| signs(mac))
            .map(|(place, (_, secret))| (place, secret))
            .collect();
        if signers.is_empty() {
            return Err(Rejected::SignatureMismatch);
        }
        let valid = signers.into_iter().filter(|(_, secret)| secret.is_valid(now));
        let scopes = valid.map(|(place, secret)| (place, secret.repos.clone()));
        let all = scopes.reduce(|(place, a), (_, b)| (place, union(a, b)));
        all.ok_or(Rejected::SecretExpired)
    }
}

fn union(a: Option<Vec<String>>, b: Option<Vec<String>>) -> Option<Vec<String>> {
    let (mut all, more) = (a?, b?);
    for pattern in more {
        if !all.contains(&pattern) {
            all.push(pattern);
        }
    }
    Some(all)
}

/// The digest that every signature header claims. A body has one digest per secret, so headers that differ cannot
/// all be right, whatever the secret.
fn claim(headers: &impl HeaderLookup) -> Result<Digest, Rejected> {
    let mut claims = Vec::with_capacity(SIGNATURES.len());
    for (name, prefix) in SIGNATURES {
        // A proxy may join the values of a repeated header by commas.
        for value in headers.values(name).flat_map(|value| value.split(|byte| *byte == b',')) {
            claims.push(digest(value.trim_ascii(), prefix)?);
        }
    }
    let first = *claims.first().ok_or(Rejected::SignatureMissing)?;
    let agree = claims.iter().all(|claim| *claim == first);
    if agree { Ok(first) } else { Err(Rejected::SignatureMismatch) }
}

fn digest(value: &[u8], prefix: &str) -> Result<Digest, Rejected> {
    if value.is_empty() || value == prefix.as_bytes() {
        return Err(Rejected::SignatureEmpty);
    }
    let hex = value.strip_prefix(prefix.as_bytes()).ok_or(Rejected::SignatureMalformed)?;
    let mut digest = Digest::default();
    hex::decode_to_slice(hex, &mut digest).map_err(|_| Rejected::SignatureMalformed)?;
    Ok(digest)
}

/// The bytes Gitea signed: the raw body of JSON, the decoded field of a form (services/webhook/deliver.go).
fn signed_bytes(headers: &impl HeaderLookup, body: &Bytes) -> Result<Bytes, Rejected> {
    let Ok(Some(content_type)) = once(headers, "Content-Type") else {
        return Err(Rejected::UnsupportedContentType);
    };
    let media_type = content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    if media_type.eq_ignore_ascii_case(b"application/json") {
        Ok(body.clone())
    } else if media_type.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
        payload_field(body).ok_or(Rejected::BadForm)
    } else {
        Err(Rejected::UnsupportedContentType)
    }
}

fn payload_field(form: &[u8]) -> Option<Bytes> {
    let mut payloads = form_urlencoded::parse(form).filter(|(name, _)| name == "payload");
    match (payloads.next(), payloads.next()) {
        (Some((_, payload)), None) => Some(Bytes::from(payload.into_owned())),
        _ => None,
    }
}

fn delivery_id(headers: &impl HeaderLookup) -> Option<DeliveryId> {
    for name in DELIVERIES {
        if let Some(value) = once(headers, name).ok()? {
            return DeliveryId::parse(str::from_utf8(value).ok()?);
        }
    }
    None
}

/// The event's name as the headers claim it, made harmless to print.
fn event_header(headers: &impl HeaderLookup) -> String {
    let mut names = EVENTS.iter().filter_map(|name| headers.values(name).next());
    let claimed = names.find(|value| !value.is_empty()).unwrap_or_default();
    claimed.iter().filter(|b| b.is_ascii_graphic()).take(MAX_EVENT).map(|b| *b as char).collect()
}
