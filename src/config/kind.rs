//! What a key can want: how it is read from TOML, from a variable's text, and how it is described.

use std::time::Duration as Span;

use chrono::{DateTime, NaiveTime, Utc};
use secrecy::SecretString;

use super::checks;
use super::tree::{Node, Spot};
use crate::clock::Timestamp;
use crate::dispatch::TaskType;
use crate::issue::RepoPatterns;

/// The most that fits anything counted here.
pub(super) const MANY: u64 = u32::MAX as u64;

/// What a key wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Any text; empty means none.
    Text,
    /// A name: letters, digits, `-`, `_`, `.`.
    Name,
    /// True or false.
    Bool,
    /// A whole number.
    Count { min: u64, max: u64 },
    /// A number with a fraction, kept in hundredths.
    Fraction { max: u64 },
    /// A span of time above zero.
    Duration,
    /// A number of bytes.
    Size,
    /// A text nobody may see.
    Secret,
    /// The path of a file that holds such a text.
    SecretFile,
    /// An http or https address without credentials.
    Url,
    /// Such an address to post to: taken as it is, with its query.
    Endpoint,
    /// `address:port`.
    Listen,
    /// The database.
    StoreUrl,
    /// Any texts.
    List,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Any of these.
    Choices(&'static [&'static str]),
    /// Task types.
    Strengths,
    /// Repositories and patterns.
    Repos,
    /// Addresses, networks and host names.
    Hosts,
    /// Addresses and networks.
    Networks,
    /// A time of day.
    ClockTime,
    /// A time zone.
    Zone,
    /// A colour.
    Colour,
    /// A moment in time.
    Moment,
    /// A list of tables; a bare text stands for a table with the key `short`.
    Entries { section: &'static str, short: Option<&'static str> },
}

/// What a key was found to hold. Never printed: [`super::show`] decides what people may see.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Bool(bool),
    Count(u64),
    Duration(Span),
    List(Vec<String>),
    Secret(SecretString),
    Repos(RepoPatterns),
    ClockTime(NaiveTime),
    Zone(chrono_tz::Tz),
    Moment(Timestamp),
    Rows(Vec<super::row::Row>),
}

impl Kind {
    /// What it wants, to end the sentence "it wants …".
    pub fn wants(self) -> String {
        let fixed = match self {
            Self::Text => "a text",
            Self::Name => "a name of letters, digits, `-`, `_` and `.`",
            Self::Bool => "`true` or `false`",
            Self::Count { min, max: MANY } => return format!("a whole number from {min}"),
            Self::Count { min, max } => return format!("a whole number from {min} to {max}"),
            Self::Fraction { max } => {
                return format!("a number from 0 to {}, such as `0.2`", fraction(max));
            }
            Self::Duration => "a duration above zero such as `30s`, `5m` or `2h`",
            Self::Size => "a size such as `10MiB`, `10MB` or a number of bytes",
            Self::Secret => "a text that is not empty",
            Self::SecretFile => "the path of a file",
            Self::Url => {
                "an address such as `https://example.com`, without user, query or fragment"
            }
            Self::Endpoint => "an address such as `https://example.com/tasks`, without user",
            Self::Listen => "an address with a port such as `127.0.0.1:8484`",
            Self::StoreUrl => "`sqlite:` and the path of a file",
            Self::List => "a list of texts",
            Self::Choice(all) => return format!("one of {}", ticked(all)),
            Self::Choices(all) => return format!("a list of any of {}", ticked(all)),
            Self::Strengths => return format!("a list of any of {}", ticked(&task_types())),
            Self::Repos => "a list of `owner/name`, where `*` stands for any part of a name",
            Self::Hosts => "a list of addresses, networks such as `10.1.0.0/16` and host names",
            Self::Networks => "a list of addresses and networks such as `10.1.0.0/16`",
            Self::ClockTime => "a time of day such as `06:00`",
            Self::Zone => "a time zone such as `Europe/Berlin` or `UTC`",
            Self::Colour => "a colour such as `#006b75`",
            Self::Moment => "a moment such as `2026-12-31T00:00:00Z`",
            Self::Entries { short: Some(_), .. } => "a list of texts or tables",
            Self::Entries { short: None, .. } => "a list of tables",
        };
        fixed.to_owned()
    }

    /// Whether what stands there must never be repeated in a message.
    pub fn is_private(self) -> bool {
        // An address is refused for the password in it, so it cannot be quoted either.
        matches!(
            self,
            Self::Secret
                | Self::SecretFile
                | Self::Url
                | Self::Endpoint
                | Self::StoreUrl
                | Self::Entries { .. }
        )
    }

    /// Whether a variable may hold several, separated by commas.
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::List
                | Self::Choices(_)
                | Self::Strengths
                | Self::Repos
                | Self::Hosts
                | Self::Networks
                | Self::Entries { .. }
        )
    }

    /// The value in `spot`; `None` when it is not what is wanted.
    pub fn read(self, spot: &Spot) -> Option<Value> {
        match (self, &spot.node) {
            (Self::Bool, Node::Bool(b)) => Some(Value::Bool(*b)),
            (Self::Count { min, max }, Node::Int(n)) => {
                u64::try_from(*n).ok().filter(|n| (min..=max).contains(n)).map(Value::Count)
            }
            (Self::Fraction { max }, Node::Int(n)) => hundredths(*n as f64, max),
            (Self::Fraction { max }, Node::Float(n)) => hundredths(*n, max),
            (Self::Size, Node::Int(n)) => {
                u64::try_from(*n).ok().filter(|n| *n > 0).map(Value::Count)
            }
            (Self::Moment, Node::Time(t)) => moment(&t.to_string()),
            (_, Node::Text(text)) => self.read_text(text),
            (_, Node::List(items)) => {
                let texts = items.iter().map(Spot::text).collect::<Option<Vec<_>>>()?;
                self.read_list(texts)
            }
            _ => None,
        }
    }

    fn read_text(self, text: &str) -> Option<Value> {
        let kept = |ok: bool| ok.then(|| Value::Text(text.to_owned()));
        match self {
            Self::Text => Some(Value::Text(text.trim().to_owned())),
            Self::Name => kept(checks::is_name(text)),
            Self::Duration => {
                humantime::parse_duration(text).ok().filter(|d| !d.is_zero()).map(Value::Duration)
            }
            Self::Size => checks::bytes(text).map(Value::Count),
            Self::Secret if !text.trim().is_empty() => Some(Value::Secret(text.into())),
            Self::SecretFile => kept(!text.is_empty()),
            Self::Url | Self::Endpoint if text.is_empty() => kept(true),
            Self::Endpoint => kept(checks::is_endpoint(text)),
            Self::Url => {
                checks::is_url(text).then(|| Value::Text(text.trim_end_matches('/').to_owned()))
            }
            Self::Listen => kept(checks::is_listen(text)),
            Self::StoreUrl => kept(text.strip_prefix("sqlite:").is_some_and(|p| !p.is_empty())),
            Self::Choice(all) => kept(all.contains(&text)),
            Self::ClockTime => NaiveTime::parse_from_str(text, "%H:%M").ok().map(Value::ClockTime),
            Self::Zone => text.parse().ok().map(Value::Zone),
            Self::Colour => kept(checks::is_colour(text)),
            Self::Moment => moment(text),
            _ => None,
        }
    }

    fn read_list(self, texts: Vec<&str>) -> Option<Value> {
        let ok = match self {
            Self::List => true,
            Self::Choices(all) => texts.iter().all(|t| all.contains(t)),
            Self::Strengths => texts.iter().all(|t| t.parse::<TaskType>().is_ok()),
            Self::Hosts => texts.iter().all(|t| checks::is_host(t)),
            Self::Networks => texts.iter().all(|t| checks::network(t).is_some()),
            Self::Repos => return RepoPatterns::new(texts).ok().map(Value::Repos),
            _ => false,
        };
        ok.then(|| Value::List(texts.into_iter().map(str::to_owned).collect()))
    }
}

/// A number in hundredths, if it is within 0 and `max` of them.
fn hundredths(number: f64, max: u64) -> Option<Value> {
    let hundredths = (number * 100.0).round();
    let fits = hundredths >= 0.0 && hundredths <= max as f64;
    fits.then_some(Value::Count(hundredths as u64))
}

/// A number in hundredths as it is written.
pub(super) fn fraction(hundredths: u64) -> f64 {
    hundredths as f64 / 100.0
}

fn moment(text: &str) -> Option<Value> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| Value::Moment(t.with_timezone(&Utc)))
}

/// The names of all task types.
pub(super) fn task_types() -> Vec<&'static str> {
    TaskType::ALL.iter().map(|t| t.as_str()).collect()
}

fn ticked(all: &[&str]) -> String {
    all.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(", ")
}
