//! Where the address that deliveries are sent to lies: on this machine, in a private network, or on the internet. The
//! forge delivers only to the last unless it is configured otherwise.

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

/// How far away an address is, as the forge's list of allowed hosts sees it (modules/hostmatcher/hostmatcher.go).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This machine alone.
    Loopback,
    /// A network that is not on the internet.
    Private,
    /// The internet; allowed without a word.
    Public,
}

/// The host of an address and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host as it is written.
    pub host: String,
    /// The farthest-in of the addresses it has; `None` when its name is not known here.
    pub reach: Option<Reach>,
}

impl Target {
    /// Looks the host of `url` up.
    pub async fn of(url: &str) -> Self {
        let Ok(url) = Url::parse(url) else { return Self { host: String::new(), reach: None } };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let addresses: Vec<IpAddr> = match url.host() {
            Some(Host::Ipv4(ip)) => vec![ip.into()],
            Some(Host::Ipv6(ip)) => vec![ip.into()],
            _ => match tokio::net::lookup_host((host.as_str(), 0)).await {
                Ok(found) => found.map(|address| address.ip()).collect(),
                Err(_) => Vec::new(),
            },
        };
        let reach = addresses.into_iter().map(reach).min_by_key(|reach| *reach as u8);
        Self { host, reach }
    }

    /// What to add to the forge's list of allowed hosts, as narrow as it can be; `None` when nothing is needed.
    pub fn to_allow(&self) -> Option<&str> {
        match self.reach {
            Some(Reach::Loopback) => Some("loopback"),
            Some(Reach::Private) => Some(&self.host),
            Some(Reach::Public) | None => None,
        }
    }
}

fn reach(ip: IpAddr) -> Reach {
    match ip {
        ip if ip.is_loopback() => Reach::Loopback,
        IpAddr::V4(ip) if is_private(ip) => Reach::Private,
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) if ip.is_loopback() => Reach::Loopback,
            Some(ip) if is_private(ip) => Reach::Private,
            None if ip.is_unique_local() || ip.is_unicast_link_local() => Reach::Private,
            _ => Reach::Public,
        },
        IpAddr::V4(_) => Reach::Public,
    }
}

/// Also what Gitea counts as external before 1.27 and not since: carriers' and benchmarking networks.
fn is_private(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    ip.is_private()
        || ip.is_link_local()
        || ip.is_unspecified()
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_are_sorted_as_the_forge_sorts_them() {
        for (url, expected) in [
            ("http://127.0.0.1:8484/webhook", Some("loopback")),
            ("http://[::1]:8484/webhook", Some("loopback")),
            ("http://localhost/webhook", Some("loopback")),
            ("http://10.1.2.3/webhook", Some("10.1.2.3")),
            ("http://192.168.1.9:1/webhook", Some("192.168.1.9")),
            ("http://[fd00::7]/webhook", Some("fd00::7")),
            ("http://100.100.1.1/webhook", Some("100.100.1.1")),
            ("https://203.0.113.7/webhook", None),
        ] {
            assert_eq!(Target::of(url).await.to_allow(), expected, "{url}");
        }
    }
}
