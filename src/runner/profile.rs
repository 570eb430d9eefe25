//! The coding agents that need no more than their name: how each is started, and what to do where it is missing or
//! not signed in. As seen with the versions of November 2026.

named_enum! {
    /// How an agent is talked to.
    Protocol {
        /// The Agent Client Protocol, over its standard input and output.
        Acp = "acp",
        /// The prompt on its standard input; its exit code says whether it succeeded.
        Command = "command",
    }
}

named_enum! {
    /// A coding agent that is known.
    Profile {
        /// Claude Code, through its adapter.
        Claude = "claude",
        /// Kimi Code.
        Kimi = "kimi",
        /// OpenCode.
        OpenCode = "opencode",
        /// Codex, through its adapter.
        Codex = "codex",
        /// Gemini CLI.
        Gemini = "gemini",
    }
}

/// What is known of an agent.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Program and arguments.
    pub command: &'static [&'static str],
    /// How it is talked to.
    pub protocol: Protocol,
    /// The arguments that let the program print its version.
    pub version: &'static [&'static str],
    /// How to install it.
    pub install: &'static str,
    /// The oldest Node.js that it runs on, where that is newer than what systems have (`engines` in its package).
    pub node: Option<&'static str>,
    /// How to let it use an account.
    pub sign_in: &'static str,
    /// What its environment always holds.
    pub env: &'static [(&'static str, &'static str)],
    /// Who is named as co-author of commits.
    pub co_author: &'static str,
}

impl Profile {
    /// What is known of it.
    pub const fn known(self) -> Known {
        match self {
            Self::Claude => Known {
                command: &["claude-agent-acp"],
                protocol: Protocol::Acp,
                version: &["--version"],
                install: "npm install -g @agentclientprotocol/claude-agent-acp",
                node: None,
                sign_in: "run `claude setup-token` and give what it prints as `env_files.CLAUDE_CODE_OAUTH_TOKEN`, or a key as `env_files.ANTHROPIC_API_KEY`",
                env: &[("DISABLE_AUTOUPDATER", "1")],
                co_author: "Claude <noreply@anthropic.com>",
            },
            Self::Kimi => Known {
                command: &["kimi", "acp"],
                protocol: Protocol::Acp,
                version: &["--version"],
                install: "npm install -g @moonshot-ai/kimi-code (needs Node.js 22.19 or newer)",
                node: Some("22.19"),
                sign_in: "give a key as `env_files.KIMI_API_KEY`",
                env: &[],
                co_author: "Kimi <noreply@moonshot.ai>",
            },
            Self::OpenCode => Known {
                command: &["opencode", "acp"],
                protocol: Protocol::Acp,
                version: &["--version"],
                install: "npm install -g opencode-ai",
                node: None,
                sign_in: "name a provider and a model in a file, and that file as `env.OPENCODE_CONFIG`",
                env: &[
                    ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
                    ("OPENCODE_DISABLE_MODELS_FETCH", "1"),
                ],
                co_author: "OpenCode <noreply@opencode.ai>",
            },
            Self::Codex => Known {
                command: &["codex-acp"],
                protocol: Protocol::Acp,
                version: &["--version"],
                install: "npm install -g @zed-industries/codex-acp",
                node: None,
                sign_in: "give a key as `env_files.OPENAI_API_KEY`",
                env: &[],
                co_author: "Codex <noreply@openai.com>",
            },
            Self::Gemini => Known {
                command: &["gemini", "--experimental-acp"],
                protocol: Protocol::Acp,
                version: &["--version"],
                install: "npm install -g @google/gemini-cli",
                node: None,
                sign_in: "give a key as `env_files.GEMINI_API_KEY`",
                env: &[],
                co_author: "Gemini <noreply@google.com>",
            },
        }
    }
}
