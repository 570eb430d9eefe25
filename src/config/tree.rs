//! The file as a tree that knows where each value came from. It holds secrets, so nothing here is `Debug`.

use std::collections::BTreeMap;

use toml::de::{DeInteger, DeTable, DeValue};
use toml::value::Datetime;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// This line of the file.
    Line(usize),
    /// This environment variable.
    Variable(String),
}

/// A value and where it came from.
#[derive(Clone)]
pub(super) struct Spot {
    pub node: Node,
    pub origin: Origin,
}

/// A value as TOML knows it.
#[derive(Clone)]
pub(super) enum Node {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Time(Datetime),
    List(Vec<Spot>),
    Table(Table),
}

/// A table as TOML knows it.
pub(super) type Table = BTreeMap<String, Spot>;

/// A line, and what TOML does not allow there.
pub(super) type Mistake = (usize, String);

/// The file's text as a tree, or what is wrong with it line by line.
pub(super) fn parse(text: &str) -> Result<Table, Vec<Mistake>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table(root.get_ref(), &|at| Origin::Line(line_of(text, at))));
    }
    let mut mistakes: Vec<Mistake> = Vec::new();
    for error in errors {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        // One slip often breaks the rest of its line; the first word on it is the useful one.
        if mistakes.last().is_none_or(|(last, _)| *last != line) {
            mistakes.push((line, error.message().to_owned()));
        }
    }
    Err(mistakes)
}

/// One value in TOML's notation, as the variable `name` holds it.
pub(super) fn parse_value(text: &str, name: &str) -> Option<Spot> {
    let value = DeValue::parse(text).ok()?;
    Some(spot(value.get_ref(), 0, &|_| Origin::Variable(name.to_owned())))
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

fn table(from: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> Table {
    from.iter()
        .map(|(key, value)| {
            (key.get_ref().to_string(), spot(value.get_ref(), key.span().start, origin))
        })
        .collect()
}

fn spot(value: &DeValue<'_>, at: usize, origin: &dyn Fn(usize) -> Origin) -> Spot {
    let node = match value {
        DeValue::String(text) => Node::Text(text.to_string()),
        DeValue::Integer(number) => Node::Int(integer(number)),
        DeValue::Float(number) => Node::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(yes) => Node::Bool(*yes),
        DeValue::Datetime(time) => Node::Time(*time),
        DeValue::Array(items) => {
            Node::List(items.iter().map(|i| spot(i.get_ref(), i.span().start, origin)).collect())
        }
        DeValue::Table(inner) => Node::Table(table(inner, origin)),
    };
    Spot { node, origin: origin(at) }
}

/// Past what fits, the largest number: every key with a number has a lower limit of its own.
fn integer(number: &DeInteger<'_>) -> i64 {
    i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(i64::MAX)
}

impl Spot {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The table, if it is one.
    pub fn table(&self) -> Option<&Table> {
        match &self.node {
            Node::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Node {
    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Int(_) => "a number",
            Self::Float(_) => "a fraction",
            Self::Bool(_) => "true or false",
            Self::Time(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The same value without where it came from.
    pub fn to_toml(&self) -> toml::Value {
        match self {
            Self::Text(text) => toml::Value::String(text.clone()),
            Self::Int(number) => toml::Value::Integer(*number),
            Self::Float(number) => toml::Value::Float(*number),
            Self::Bool(yes) => toml::Value::Boolean(*yes),
            Self::Time(time) => toml::Value::Datetime(*time),
            Self::List(items) => {
                toml::Value::Array(items.iter().map(|i| i.node.to_toml()).collect())
            }
            Self::Table(table) => toml::Value::Table(to_toml(table)),
        }
    }
}

/// The table without where its values came from.
pub(super) fn to_toml(table: &Table) -> toml::Table {
    table.iter().map(|(k, v)| (k.clone(), v.node.to_toml())).collect()
}
