//! The agent that does the work: OpenCode, where `OPENCODE_BIN` names it, or a script that speaks the same protocol.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::model::{Asked, KEY, Model, NAME};

/// Why a story with OpenCode is not told.
pub const HOW: &str =
    "set OPENCODE_BIN to the program `opencode` (npm install opencode-ai) to run this";

/// The program of OpenCode, when there is one.
pub fn opencode() -> Option<PathBuf> {
    let named = std::env::var_os("OPENCODE_BIN").filter(|path| !path.is_empty());
    named.map(|path| Path::new(&path).canonicalize().expect("OPENCODE_BIN names a program"))
}

/// An agent, as the service and the runner know it under the name `opencode`.
pub enum Coder {
    /// `tests/runner/agent.sh`.
    Scripted,
    /// OpenCode, and the model that it asks.
    OpenCode { program: PathBuf, model: Model },
}

impl Coder {
    pub fn opencode(program: PathBuf) -> Self {
        Self::OpenCode { program, model: Model::start() }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Scripted => "a scripted agent",
            Self::OpenCode { .. } => "OpenCode",
        }
    }

    /// Its part of the runner's configuration; what it names is written into the folder.
    pub fn entry(&self, folder: &Path) -> String {
        match self {
            Self::Scripted => {
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runner/agent.sh");
                format!(
                    "[[agent]]\nid = \"opencode\"\ncommand = [\"/bin/sh\", \"{script}\", \"edits\"]\nprotocol = \"acp\"\n"
                )
            }
            Self::OpenCode { program, model } => {
                let settings = settings(model.address()).to_string();
                std::fs::write(folder.join("opencode.json"), settings).unwrap();
                std::fs::write(folder.join("model-key"), KEY).unwrap();
                format!(
                    "[[agent]]\nid = \"opencode\"\nprofile = \"opencode\"\ncommand = [\"{}\", \"acp\"]\nenv = {{ OPENCODE_CONFIG = \"{}\" }}\n\
                     env_files = {{ MODEL_KEY = \"model-key\" }}\n",
                    program.display(),
                    folder.join("opencode.json").display(),
                )
            }
        }
    }

    /// What its model was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        match self {
            Self::Scripted => Vec::new(),
            Self::OpenCode { model, .. } => model.asked(),
        }
    }
}

/// As `docs/src/runner.md` says it ("OpenCode with a model of your own").
fn settings(address: &str) -> serde_json::Value {
    let models = json!({NAME: {"name": NAME, "limit": {"context": 100_000, "output": 4000}}});
    let options = json!({"baseURL": address, "apiKey": "{env:MODEL_KEY}"});
    json!({
        "$schema": "https://opencode.ai/config.json",
        "autoupdate": false,
        "share": "disabled",
        "permission": {"edit": "ask", "bash": "ask"},
        "model": format!("own/{NAME}"),
        "small_model": format!("own/{NAME}"),
        "provider": {"own": {
            "npm": "@ai-sdk/openai-compatible", "name": "A model of our own", "options": options, "models": models,
        }},
    })
}
