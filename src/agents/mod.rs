//! How an agent is told about its work through an interface of its own, and what it reports back. It tells and reads;
//! whom to tell, how often, and what a report means is decided elsewhere.
//!
//! Everything an HTTP agent is sent goes through [`HttpAgents`]: no proxy and no redirect is followed, every address
//! is checked before it is connected to, no answer is read past a limit.

mod callback;
mod error;
mod excerpt;
mod http;
pub mod local;
mod reach;
mod signature;

pub use callback::{Callback, CallbackError};
pub use error::{HandoffError, Wrong};
pub use http::{HttpAgents, Told};
pub use signature::{SIGNATURE_HEADER, verify_callback};
