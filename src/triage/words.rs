//! Words for people about what the ledger keeps as short names.

use crate::delivery::WakeCause;

/// The reason of an evaluation that stands for an issue nobody has looked at.
pub const RUN_BY_HAND: &str = "the local agent was run by hand";

/// Why an issue was woken.
fn wake_cause(cause: WakeCause) -> &'static str {
    match cause {
        WakeCause::Unblocked => "what it waited for is closed",
        WakeCause::PlaceFree => "a place is free",
        WakeCause::Due => "its time has come",
    }
}

/// What a delivery is called, as `kind/action`.
pub fn action(name: String) -> String {
    let cause = name.strip_prefix("wake/").and_then(|cause| cause.parse().ok());
    cause.map_or(name, |cause| format!("wake/{}", wake_cause(cause)))
}

/// That a delivery says what the one called `id` said before.
pub fn same_bytes(id: &str) -> String {
    format!("the same bytes as `{id}`")
}
