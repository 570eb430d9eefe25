//! How work is handed to an agent, one [`AgentClient`](crate::apply::AgentClient) for each interface, and what it
//! reports back. Whom, how often, and what a report means is decided elsewhere.
//!
//! Everything an HTTP agent is sent goes through [`HttpAgents`]: no proxy and no redirect is followed, every address
//! is checked before it is connected to, no answer is read past a limit.

mod callback;
mod excerpt;
mod gitea;
mod http;
pub mod local;
mod outbound;
mod reach;
mod signature;

pub use callback::{Callback, CallbackError};
pub use gitea::GiteaAgents;
pub use http::HttpAgents;
pub use signature::{SIGNATURE_HEADER, verify_callback};
