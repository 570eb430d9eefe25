//! The built-in policies, and by what people tell which policy made a decision.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use super::policy::{Policy, Preset};

/// `practical`, as data.
const PRACTICAL: &str = include_str!("presets/practical.toml");

#[expect(clippy::expect_used, reason = "a fixed text, read by every test")]
static PARSED: LazyLock<Policy> = LazyLock::new(|| toml::from_str(PRACTICAL).expect("a policy"));

/// How many bytes of the digest are shown.
const DIGEST_BYTES: usize = 6;

/// The policy a verdict was made with: `practical 1 (a1b2c3d4e5f6)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyId {
    /// The built-in policy it stands on.
    pub preset: Preset,
    /// The version of that.
    pub version: u32,
    /// A digest of all its keys: the same where they are the same.
    pub digest: String,
}

impl Preset {
    /// Its version: counted up when a change to its keys can change a verdict.
    pub const fn version(self) -> u32 {
        1
    }
}

impl Preset {
    /// The keys of a policy that stands on this one: each as it is here unless `keys` says otherwise.
    pub fn under(self, keys: Table) -> Table {
        let built_in = match self {
            Self::Seed => Table::new(),
            Self::Practical => PRACTICAL.parse().unwrap_or_default(),
        };
        merged(built_in, keys)
    }
}

/// The tables of both, as the second says where both say something; a list is one value.
fn merged(mut under: Table, over: Table) -> Table {
    for (name, value) in over {
        let value = match (under.remove(&name), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merged(below, above).into(),
            (_, value) => value,
        };
        under.insert(name, value);
    }
    under
}

impl Policy {
    /// Reads a policy file: the keys of the preset that it names, with its own over them.
    pub fn read(text: &str) -> Result<Self, toml::de::Error> {
        let alone: Self = toml::from_str(text)?;
        match alone.preset {
            Preset::Seed => Ok(alone),
            preset => preset.under(text.parse()?).try_into(),
        }
    }

    /// A built-in policy.
    pub fn of(preset: Preset) -> Self {
        match preset {
            Preset::Seed => Self::default(),
            Preset::Practical => PARSED.clone(),
        }
    }
}

impl PolicyId {
    pub(super) fn of(policy: &Policy) -> Self {
        let written = serde_json::to_vec(policy).unwrap_or_default();
        let digest = hex::encode(&Sha256::digest(&written)[..DIGEST_BYTES]);
        Self { preset: policy.preset, version: policy.preset.version(), digest }
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { preset, version, digest } = self;
        write!(f, "{preset} {version} ({digest})")
    }
}
