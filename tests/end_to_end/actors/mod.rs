//! Who takes part in a story beside the forge: the service and the runner as processes, and an agent. Shared by the
//! stories on the fake forge and on real ones.
#![allow(dead_code, reason = "not every test program uses all of it")]

pub mod coder;
pub mod model;
pub mod program;
pub mod record;
