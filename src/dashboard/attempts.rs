//! How often a stranger may try: wrong tokens, and sign-ins that come to nothing. Counted for each address, so that one
//! who tries does not keep the others out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;

use crate::clock::Timestamp;

const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// Addresses that are counted for themselves; more share one count.
const ADDRESSES: usize = 4_096;

/// Where somebody comes from; `None` where that is not known.
type From = Option<IpAddr>;

/// The failed tries of the current minute.
#[derive(Debug)]
pub(super) struct Attempts {
    most: u32,
    tries: Mutex<HashMap<From, (Timestamp, u32)>>,
}

impl Attempts {
    /// Lets so many fail in a minute.
    pub fn new(most: u32) -> Self {
        Self { most, tries: Mutex::default() }
    }

    /// Whether another try may be made.
    pub fn allow(&self, from: From, now: Timestamp) -> bool {
        let tries = self.tries();
        let place = place(&tries, from);
        tries.get(&place).is_none_or(|(since, count)| now - *since >= WINDOW || *count < self.most)
    }

    /// Counts a try that failed.
    pub fn record_failed(&self, from: From, now: Timestamp) {
        let mut tries = self.tries();
        tries.retain(|_, (since, _)| now - *since < WINDOW);
        let place = place(&tries, from);
        tries.entry(place).or_insert((now, 0)).1 += 1;
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<From, (Timestamp, u32)>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the tries from an address are counted. Whoever has one address of IPv6 has all of its network.
fn place(tries: &HashMap<From, (Timestamp, u32)>, from: From) -> From {
    let network = |ip: Ipv6Addr| Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64);
    let place = from.map(|ip| match ip {
        IpAddr::V6(ip) => IpAddr::V6(network(ip)),
        ip => ip,
    });
    place.filter(|_| tries.len() < ADDRESSES || tries.contains_key(&place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_millis;

    fn address(text: &str) -> From {
        Some(text.parse().unwrap())
    }

    #[test]
    fn after_too_many_failed_ones_there_is_a_pause_for_that_address_alone() {
        let attempts = Attempts::new(3);
        let (now, one, other) = (from_millis(0), address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..3 {
            assert!(attempts.allow(one, now));
            attempts.record_failed(one, now);
        }
        assert!(!attempts.allow(one, now + TimeDelta::seconds(59)));
        assert!(attempts.allow(other, now) && attempts.allow(None, now));
        assert!(attempts.allow(one, now + WINDOW));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_the_memory_is_bounded() {
        let attempts = Attempts::new(1);
        let now = from_millis(0);
        attempts.record_failed(address("2001:db8::1"), now);
        assert!(!attempts.allow(address("2001:db8::ffff"), now));
        assert!(attempts.allow(address("2001:db8:0:1::1"), now));
        for n in 0..2 * ADDRESSES as u32 {
            attempts.record_failed(Some(IpAddr::V4(n.into())), now);
        }
        assert!(attempts.tries().len() <= ADDRESSES + 1);
    }
}
