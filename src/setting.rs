//! Kinds of values that settings are written as: how each is read, shown and described. A field of a settings struct
//! names its kind with `#[serde(with = "As::<Kind>")]`; its Rust type stays a plain one.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat};
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value as Json, json};
use toml::Value;

use crate::clock::Timestamp;
use crate::issue::{PathPattern, RepoPatterns};

/// A hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// What is shown in a secret's place.
pub const HIDDEN: &str = "***";

/// One kind of value.
pub trait Kind {
    /// What it is in the program.
    type Value;
    /// What the key wants, to end the sentence "it wants …".
    const WANTS: &str;
    /// Whether a message may not repeat what was written.
    const IS_PRIVATE: bool = false;
    /// Whether the empty text means that there is none.
    const EMPTY_IS_NONE: bool = false;

    /// The JSON Schema of what is written.
    fn schema() -> Json;

    /// The value in what was written; `None` when it is not what is wanted.
    fn read(value: &Value) -> Option<Self::Value>;

    /// The value as people may see it, written as it is read.
    fn show(value: &Self::Value) -> Json;
}

/// Reads, writes and describes a field as the kind `K`.
pub struct As<K>(PhantomData<K>);

impl<K: Kind> As<K> {
    /// For serde.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<K::Value, D::Error> {
        let value = Value::deserialize(from)?;
        K::read(&value).ok_or_else(|| de::Error::custom(format_args!("it wants {}", K::WANTS)))
    }

    /// For serde.
    pub fn serialize<S: Serializer>(value: &K::Value, into: S) -> Result<S::Ok, S::Error> {
        K::show(value).serialize(into)
    }
}

impl<K: Kind> JsonSchema for As<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<K>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = Schema::try_from(K::schema()).unwrap_or_default();
        schema.insert("x-wants".to_owned(), K::WANTS.into());
        schema.insert("x-private".to_owned(), K::IS_PRIVATE.into());
        schema
    }
}

/// Structs of settings, each of which has its keys' doc comments, types, kinds and defaults in one place.
macro_rules! settings {
    ($($(#[$meta:meta])* $name:ident {
        $($(#[$about:meta])* $key:ident: $type:ty $(as $kind:tt)? = $default:expr,)+
    })+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default)]
        pub struct $name {
            $($(#[$about])* $(#[serde(with = $kind)])? pub $key: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default),+ }
            }
        }
    )+};
}
pub(crate) use settings;

/// The same kind, or none.
pub struct Maybe<K>(PhantomData<K>);

impl<K: Kind> Kind for Maybe<K> {
    type Value = Option<K::Value>;
    const WANTS: &str = K::WANTS;
    const IS_PRIVATE: bool = K::IS_PRIVATE;

    fn schema() -> Json {
        K::schema()
    }

    fn read(value: &Value) -> Option<Self::Value> {
        match value.as_str() {
            Some(text) if K::EMPTY_IS_NONE && text.trim().is_empty() => Some(None),
            _ => K::read(value).map(Some),
        }
    }

    fn show(value: &Self::Value) -> Json {
        value.as_ref().map_or(Json::Null, K::show)
    }
}

/// The kinds: name, type, what is wanted, the JSON Schema, how the value is read and how it is shown.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $type:ty, $wants:literal, $schema:tt, $read:expr, $show:expr
        $(, $flag:ident)*;)+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Kind for $name {
            type Value = $type;
            const WANTS: &str = $wants;
            $(const $flag: bool = true;)*

            fn schema() -> Json {
                json!($schema)
            }

            fn read(value: &Value) -> Option<$type> {
                let read: fn(&Value) -> Option<$type> = $read;
                read(value)
            }

            fn show(value: &$type) -> Json {
                let show: fn(&$type) -> Json = $show;
                show(value)
            }
        }
    )+};
}

kinds! {
    /// Any text without white space around it.
    Text: String, "a text", { "type": "string" }, |v| Some(v.as_str()?.trim().to_owned()), plain, EMPTY_IS_NONE;
    /// The name of an account; an `@` belongs to a mention of it, not to it.
    Login: String, "a login such as `alice`, without `@`", { "type": "string" },
        |v| kept(v.as_str()?.trim(), is_name), plain, EMPTY_IS_NONE;
    /// Names, each of letters, digits, `-`, `_` and `.`.
    Names: Vec<String>, "a list of names", { "type": "array", "items": { "type": "string" } },
        |v| texts(v)?.into_iter().map(|text| kept(text.trim(), is_name)).collect(), plain;
    /// Names of accounts.
    Logins: Vec<String>, "a list of logins such as `alice`, without `@`",
        { "type": "array", "items": { "type": "string" } },
        |v| texts(v)?.into_iter().map(|text| kept(text.trim(), is_name)).collect(), plain;
    /// The name of a label. A comma would part it in two wherever labels are listed.
    Label: String, "the name of one label, without a comma", { "type": "string" },
        |v| kept(v.as_str()?.trim(), is_label), plain, EMPTY_IS_NONE;
    /// Names of labels.
    LabelNames: Vec<String>, "a list of labels, each without a comma",
        { "type": "array", "items": { "type": "string" } },
        |v| texts(v)?.into_iter().map(|text| kept(text.trim(), is_label)).collect(), plain;
    /// Letters, digits, `-`, `_` and `.`, at least one.
    Name: String, "a name of letters, digits, `-`, `_` and `.`", { "type": "string", "minLength": 1 },
        |v| kept(v.as_str()?, is_name), plain;
    /// A span of time above zero, and short enough to be added to any moment.
    Span: Duration, "a duration above zero such as `30s`, `5m` or `2h`", { "type": "string" },
        |v| humantime::parse_duration(v.as_str()?).ok().filter(|d| !d.is_zero() && *d <= LONGEST),
        |d| span(*d).into();
    /// A text nobody may see.
    Secret: SecretString, "a text that is not empty", { "type": "string", "minLength": 1, "x-secret": true },
        |v| v.as_str().filter(|t| !t.trim().is_empty()).map(Into::into), |_| HIDDEN.into(), IS_PRIVATE;
    /// An address without credentials, which would be shown, and without a query, which appended paths would end up in.
    Url: String, "an address such as `https://example.com`, without user, query or fragment",
        { "type": "string", "pattern": "^(https?://.+)?$" },
        |v| kept(v.as_str()?.trim_end_matches('/'), |t| is_endpoint(t) && !t.contains(['?', '#'])), plain,
        IS_PRIVATE, EMPTY_IS_NONE;
    /// An address to post to, taken as it is. Services hand out addresses with a key in their path or query: neither is
    /// shown.
    Endpoint: String, "an address such as `https://example.com/tasks`, without user",
        { "type": "string", "pattern": "^(https?://.+)?$" }, |v| kept(v.as_str()?, is_endpoint),
        |url| origin(url), IS_PRIVATE, EMPTY_IS_NONE;
    /// The same where paths are added: the address of a service of others, whose own path may be a key.
    Service: String, "an address such as `https://example.com`, without user, query or fragment",
        { "type": "string", "pattern": "^(https?://.+)?$" },
        |v| Url::read(v), |url| origin(url), IS_PRIVATE, EMPTY_IS_NONE;
    /// `address:port` or `host:port`.
    Listen: String, "an address with a port such as `127.0.0.1:8484`", { "type": "string" },
        |v| kept(v.as_str()?, is_listen), plain;
    /// The database.
    StoreUrl: String, "`sqlite:` and the path of a file, or `postgres://user@host/database` without a password",
        { "type": "string", "pattern": "^(sqlite:|postgres(ql)?://)." },
        |v| kept(v.as_str()?, is_store), plain, IS_PRIVATE;
    /// A SHA-256.
    Sha256: String, "64 hexadecimal digits, as `gitea-triage runner token` prints them",
        { "type": "string", "pattern": "^[0-9a-fA-F]{64}$" },
        |v| kept(&v.as_str()?.trim().to_ascii_lowercase(), is_sha256), plain;
    /// The path of a file.
    File: String, "the path of a file", { "type": "string" },
        |v| kept(v.as_str()?.trim(), |t| !t.is_empty()), plain, EMPTY_IS_NONE;
    /// A time of day.
    ClockTime: NaiveTime, "a time of day such as `06:00`",
        { "type": "string", "pattern": "^[0-2]?[0-9]:[0-5][0-9]$" },
        |v| NaiveTime::parse_from_str(v.as_str()?, "%H:%M").ok(), |at| at.format("%H:%M").to_string().into();
    /// A day, as a text or as TOML has it.
    Day: NaiveDate, "a day such as `2026-12-20`", { "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" },
        |v| v.as_datetime().map(ToString::to_string).as_deref().or(v.as_str())?.parse().ok(),
        |day| day.to_string().into();
    /// Patterns of paths.
    Paths: Vec<String>, "a list of paths in the repository, where `*` stands for any part of a name and `**` for folders",
        { "type": "array", "items": { "type": "string" } },
        |v| texts(v)?.into_iter().map(|text| kept(text, |t| PathPattern::new(t).is_some())).collect(), plain;
    /// A time zone.
    Zone: chrono_tz::Tz, "a time zone such as `Europe/Berlin` or `UTC`", { "type": "string" },
        |v| v.as_str()?.parse().ok(), |zone| zone.name().into();
    /// `#` and six hexadecimal digits, as Gitea stores it.
    Colour: String, "a colour such as `#006b75`", { "type": "string", "pattern": "^#[0-9a-fA-F]{6}$" },
        |v| kept(v.as_str()?, is_colour), plain;
    /// A number of bytes, with a unit or without.
    Size: usize, "a size such as `10MiB`, `10MB` or a number of bytes",
        { "type": ["integer", "string"], "minimum": 1 },
        |v| bytes(v.as_str().map_or_else(|| v.to_string(), str::to_owned).trim()),
        |n| if n % (1 << 20) == 0 { format!("{}MiB", n >> 20).into() } else { (*n).into() };
    /// A number with a fraction, kept in hundredths.
    Fraction: u32, "a number from 0 to 2, such as `0.2`", { "type": "number", "minimum": 0, "maximum": 2 },
        hundredths, |n| (f64::from(*n) / 100.0).into();
    /// Money, kept in millionths.
    Money: u64, "an amount of money above 0, such as `2.5`", { "type": "number", "exclusiveMinimum": 0 },
        millionths, |n| (*n as f64 / 1e6).into();
    /// A moment, as a text or as TOML has it.
    Moment: Timestamp, "a moment such as `2026-12-31T00:00:00Z`", { "type": "string" },
        moment, |at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true).into();
    /// Repositories and patterns of them.
    Repos: RepoPatterns, "a list of `owner/name`, where `*` stands for any part of a name",
        { "type": "array", "items": { "type": "string" } },
        |v| RepoPatterns::new(texts(v)?).ok(), |repos| repos.texts().collect::<Vec<_>>().into();
    /// Addresses, networks and host names.
    Hosts: Vec<String>, "a list of addresses, networks such as `10.1.0.0/16` and host names",
        { "type": "array", "items": { "type": "string" } },
        |v| texts(v)?.into_iter().map(|t| kept(t, is_host)).collect(), plain;
    /// Addresses and networks.
    Networks: Vec<IpNet>, "a list of addresses and networks such as `10.1.0.0/16`",
        { "type": "array", "items": { "type": "string" } },
        |v| texts(v)?.into_iter().map(network).collect(), |nets| nets.iter().map(written).collect();
}

fn plain<T: Clone + Into<Json>>(value: &T) -> Json {
    value.clone().into()
}

/// An address up to its host and port.
fn origin(address: &str) -> Json {
    let Ok(url) = url::Url::parse(address) else { return HIDDEN.into() };
    let origin = url.origin().ascii_serialization();
    let is_all = matches!(url.path(), "" | "/") && url.query().is_none();
    if is_all { origin.into() } else { format!("{origin}/{HIDDEN}").into() }
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

fn hundredths(value: &Value) -> Option<u32> {
    let number = value.as_float().or(value.as_integer().map(|n| n as f64))?;
    let hundredths = (number * 100.0).round();
    (0.0..=200.0).contains(&hundredths).then_some(hundredths as u32)
}

fn millionths(value: &Value) -> Option<u64> {
    let number = value.as_float().or(value.as_integer().map(|n| n as f64))?;
    let millionths = (number * 1e6).round();
    (1.0..=1e15).contains(&millionths).then_some(millionths as u64)
}

fn moment(value: &Value) -> Option<Timestamp> {
    let text = value.as_datetime().map(ToString::to_string);
    DateTime::parse_from_rfc3339(text.as_deref().or(value.as_str())?).ok().map(Into::into)
}

fn kept(text: &str, is_fine: impl Fn(&str) -> bool) -> Option<String> {
    is_fine(text).then(|| text.to_owned())
}

/// Letters, digits, `-`, `_` and `.`, at least one.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && !text.contains([',', '\n'])
}

fn is_endpoint(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|u| {
        matches!(u.scheme(), "http" | "https")
            && u.has_host()
            && u.username().is_empty()
            && u.password().is_none()
    })
}

/// Whether a store is named, and no password with it, which would be shown; the rest is read where it is opened.
fn is_store(url: &str) -> bool {
    if let Some(path) = url.strip_prefix("sqlite:") {
        return !path.is_empty();
    }
    let rest = ["postgres://", "postgresql://"].iter().find_map(|s| url.strip_prefix(s));
    rest.is_some_and(|rest| {
        let place = rest.split(['/', '?']).next().unwrap_or_default();
        let user = place.rsplit_once('@').map_or("", |(user, _)| user);
        !rest.is_empty() && !user.contains(':') && !rest.contains("password=")
    })
}

fn is_listen(text: &str) -> bool {
    let is_host_and_port =
        |(host, port): (&str, &str)| is_host_name(host) && port.parse::<u16>().is_ok();
    text.parse::<SocketAddr>().is_ok() || text.rsplit_once(':').is_some_and(is_host_and_port)
}

fn is_host(text: &str) -> bool {
    network(text).is_some() || is_host_name(text)
}

/// An address alone is a network of one.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn written(net: &IpNet) -> String {
    let is_one = net.prefix_len() == net.max_prefix_len();
    if is_one { net.addr().to_string() } else { net.to_string() }
}

/// A name with a letter in it, so that a mistyped IPv4 address is not taken for one.
fn is_host_name(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
        && text.split('.').all(|part| {
            !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
        })
}

fn is_colour(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|hex| hex.len() == 6 && hex.chars().all(|c| c.is_ascii_hexdigit()))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// The bytes in `10MiB`, `10MB`, `512KiB` or `1024`; never zero.
fn bytes(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "kib" => 1 << 10,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit).filter(|n| *n > 0)
}

/// In the largest unit that leaves no rest, up to hours, and days from two on.
fn span(span: Duration) -> String {
    let s = span.as_secs();
    match (span.subsec_nanos(), s) {
        (0, s) if s % 86_400 == 0 && s > 86_400 => format!("{}d", s / 86_400),
        (0, s) if s % 3_600 == 0 => format!("{}h", s / 3_600),
        (0, s) if s % 60 == 0 && s > 60 => format!("{}m", s / 60),
        (0, s) => format!("{s}s"),
        _ => humantime::format_duration(span).to_string().replace(' ', ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        assert_eq!(bytes("10MiB"), Some(10 << 20));
        assert_eq!(bytes("10 MB"), Some(10_000_000));
        assert_eq!(bytes("4096"), Some(4096));
        assert_eq!(bytes("0"), None);
        assert_eq!(bytes("10 apples"), None);
        assert_eq!(bytes("99999999999999999999GiB"), None);
    }

    #[test]
    fn an_address_with_credentials_or_a_query_is_refused() {
        let is_url = |text: &str| Url::read(&text.into()).is_some();
        assert!(is_url("https://gitea.example.com/git"));
        assert!(!is_url("https://alice:pw@gitea.example.com"));
        assert!(!is_url("https://gitea.example.com/?token=x"));
        assert!(!is_url("ftp://gitea.example.com"));
        assert!(!is_url("gitea.example.com"));
    }

    #[test]
    fn hosts_are_addresses_networks_or_names() {
        for good in ["127.0.0.1", "10.1.0.0/16", "::1", "fd00::/8", "agents.internal", "localhost"]
        {
            assert!(is_host(good), "{good}");
        }
        for bad in ["10.1.0.0/33", "300.1.2.3", "", "a..b", "http://x"] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn a_listen_address_needs_a_port() {
        assert!(is_listen("127.0.0.1:8484"));
        assert!(is_listen("[::1]:8484"));
        assert!(is_listen("localhost:8484"));
        assert!(!is_listen("127.0.0.1"));
        assert!(!is_listen(":8484"));
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for seconds in [1, 60, 90, 300, 3_600, 5_400, 86_400, 30 * 86_400] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(humantime::parse_duration(&span(duration)), Ok(duration), "{seconds}");
        }
        assert_eq!(Size::show(&(10 << 20)), "10MiB");
        assert_eq!(Size::show(&1000), 1000);
        let nets = Networks::read(&vec!["::1", "10.0.0.0/8"].into()).unwrap();
        assert_eq!(Networks::show(&nets), json!(["::1", "10.0.0.0/8"]));
    }
}
