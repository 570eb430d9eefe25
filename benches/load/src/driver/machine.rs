//! What `/proc` says of CPU time: the receiver's, the driver's, and what other guests of the machine took away.

use std::fs;

/// CPU seconds used since each began; differences of two readings are what counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// By the receiver.
    pub server_s: f64,
    /// By processes that the receiver started and waited for.
    pub children_s: f64,
    /// By this driver.
    pub driver_s: f64,
    /// Taken away by the host.
    pub steal_s: f64,
}

impl Usage {
    pub fn now(pid: Option<u32>) -> Self {
        let (server_s, children_s) = pid.map(|pid| process(&pid.to_string())).unwrap_or_default();
        Self { server_s, children_s, driver_s: process("self").0, steal_s: steal() }
    }

    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            server_s: self.server_s - earlier.server_s,
            children_s: self.children_s - earlier.children_s,
            driver_s: self.driver_s - earlier.driver_s,
            steal_s: self.steal_s - earlier.steal_s,
        }
    }
}

/// CPU seconds of a process and of its children; zero for one that is gone.
fn process(pid: &str) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold spaces and parentheses; the numbers stand behind its last one.
    let numbers = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<f64> =
        numbers.split_whitespace().skip(11).take(4).filter_map(|n| n.parse().ok()).collect();
    match ticks[..] {
        [user, system, child_user, child_system] => {
            (seconds(user + system), seconds(child_user + child_system))
        }
        _ => (0.0, 0.0),
    }
}

fn steal() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = text.lines().next().and_then(|line| line.split_whitespace().nth(8));
    seconds(all.and_then(|n| n.parse().ok()).unwrap_or(0.0))
}

fn seconds(ticks: f64) -> f64 {
    ticks / rustix::param::clock_ticks_per_second() as f64
}
