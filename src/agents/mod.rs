//! How work is handed to an agent, one [`AgentClient`](crate::apply::AgentClient) for each interface, and what it
//! reports back. Whom, how often, and what a report means is decided elsewhere.
//!
//! Everything an HTTP agent is sent goes through [`HttpAgents`]: no proxy and no redirect is followed, every address
//! is checked before it is connected to, no answer is read past a limit.

mod callback;
mod excerpt;
mod http;
pub mod local;
mod outbound;
mod reach;
pub mod runner;
mod signature;

pub use callback::{CallbackError, MAX_REPORT, parse_report, report_of};
pub use http::HttpAgents;
pub use reach::check_endpoint;
pub use signature::{SIGNATURE_HEADER, verify_callback};

use futures_util::future::{BoxFuture, ready};

use crate::apply::{AgentClient, HandedOver};
use crate::dispatch::{Agent, Handoff};

/// Agents that watch the forge itself: a label and the assignment notify them, and nothing is called.
pub struct GiteaAgents;

impl AgentClient for GiteaAgents {
    fn hand_off<'a>(&'a self, _: &'a Agent, _: &'a Handoff) -> BoxFuture<'a, HandedOver> {
        Box::pin(ready(Ok(None)))
    }
}
