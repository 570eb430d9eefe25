//! Who sent a request: the address of the connection, or what a trusted proxy says stands behind it. For the log and for
//! sharing places; no right is given by it.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, X_FORWARDED_FOR};
use ipnet::IpNet;

/// The proxies whose `X-Forwarded-For` is believed; anybody else could write any address there.
#[derive(Clone, Debug, Default)]
pub struct Proxies(pub Vec<IpNet>);

impl Proxies {
    /// Where a request comes from. Each proxy appends the address it got the request from, so the list is read from
    /// its end, as far as the addresses are those of trusted proxies.
    pub fn sender(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut sender = peer?.ip().to_canonical();
        let lines: Vec<_> =
            headers.get_all(X_FORWARDED_FOR).filter_map(|v| v.to_str().ok()).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !self.0.iter().any(|network| network.contains(&sender)) {
                break;
            }
            let Some(address) = address(hop.trim()) else { break };
            sender = address;
        }
        Some(sender)
    }
}

/// `203.0.113.9`, `2001:db8::1`, and both with a port, as some proxies write them.
fn address(hop: &str) -> Option<IpAddr> {
    let with_port = || Some(hop.parse::<SocketAddr>().ok()?.ip());
    hop.parse().ok().or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[track_caller]
    fn comes_from(peer: &str, forwarded: &[&str], expected: &str) {
        let networks = ["127.0.0.0/8", "::1/128", "10.0.0.0/8"].map(|n| n.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        let sender = Proxies(networks.to_vec()).sender(Some(peer), &headers);
        assert_eq!(sender, Some(expected.parse().unwrap()));
    }

    #[test]
    fn without_a_proxy_it_is_the_connection() {
        comes_from("203.0.113.9", &[], "203.0.113.9");
        comes_from("::ffff:203.0.113.9", &[], "203.0.113.9");
        comes_from("127.0.0.1", &[], "127.0.0.1");
    }

    #[test]
    fn a_trusted_proxy_is_believed() {
        comes_from("127.0.0.1", &["203.0.113.9"], "203.0.113.9");
        comes_from("::1", &["2001:db8::7"], "2001:db8::7");
        comes_from("10.1.2.3", &["[2001:db8::7]:443"], "2001:db8::7");
    }

    #[test]
    fn nobody_else_is() {
        comes_from("203.0.113.9", &["198.51.100.1"], "203.0.113.9");
    }

    #[test]
    fn what_the_sender_wrote_itself_is_not_believed() {
        comes_from("127.0.0.1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9");
        comes_from("127.0.0.1", &["198.51.100.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9");
        comes_from("127.0.0.1", &["203.0.113.9, not an address"], "127.0.0.1");
    }
}
