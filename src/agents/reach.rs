//! Where an agent may be: on the public internet, or where the owner says. An endpoint inside our own network would
//! let whoever names it send requests to what trusts that network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// IANA's special-purpose registry, without what is reachable from anywhere.
const CLOSED_V4: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),        // this network
    v4([10, 0, 0, 0], 8),       // private
    v4([100, 64, 0, 0], 10),    // behind a provider's NAT; one cloud's metadata
    v4([127, 0, 0, 0], 8),      // loopback
    v4([168, 63, 129, 16], 32), // Azure's host, which is not in the registry
    v4([169, 254, 0, 0], 16),   // link-local; most clouds' metadata
    v4([172, 16, 0, 0], 12),    // private
    v4([192, 0, 0, 0], 24),     // protocol assignments
    v4([192, 0, 2, 0], 24),     // documentation
    v4([192, 88, 99, 0], 24),   // 6to4 relays
    v4([192, 168, 0, 0], 16),   // private
    v4([198, 18, 0, 0], 15),    // benchmarks
    v4([198, 51, 100, 0], 24),  // documentation
    v4([203, 0, 113, 0], 24),   // documentation
    v4([224, 0, 0, 0], 4),      // multicast
    v4([240, 0, 0, 0], 4),      // reserved; broadcast
];

/// All of IPv6 that is in use for the public; loopback, unique local, link-local, multicast and mapped ones are outside.
const OPEN_V6: Ipv6Net = v6(0x2000, 0, 0, 3);
const CLOSED_V6: [Ipv6Net; 4] = [
    v6(0x2001, 0, 0, 23),     // protocol assignments, Teredo among them
    v6(0x2001, 0xdb8, 0, 32), // documentation
    v6(0x2002, 0, 0, 16),     // 6to4: an IPv4 address in disguise
    v6(0x3fff, 0, 0, 20),     // documentation
];
/// How a network without IPv4 names IPv4 hosts; what is meant is the address in the last 32 bits.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => !CLOSED_V4.iter().any(|net| net.contains(&ip)),
        IpAddr::V6(ip) if NAT64.contains(&ip) => {
            let [.., a, b, c, d] = ip.octets();
            is_public([a, b, c, d].into())
        }
        IpAddr::V6(ip) => OPEN_V6.contains(&ip) && !CLOSED_V6.iter().any(|net| net.contains(&ip)),
    }
}

/// An address that an agent must not be called on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{host}` leads to the private address `{address}`")]
pub(super) struct Refused {
    pub host: String,
    pub address: IpAddr,
}

/// What the owner lists in `agents.allow_private`.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    networks: Vec<IpNet>,
    hosts: Vec<String>,
}

impl Allowed {
    /// Reads addresses, networks and host names; gives back the first text that is none.
    pub fn new(texts: Vec<String>) -> Result<Self, String> {
        let mut allowed = Self::default();
        for text in texts {
            if let Ok(address) = text.parse::<IpAddr>() {
                allowed.networks.push(address.to_canonical().into());
            } else if let Ok(network) = text.parse::<IpNet>() {
                allowed.networks.push(network);
            } else if let Ok(url::Host::Domain(name)) = url::Host::parse(&text) {
                allowed.hosts.push(plain(&name));
            } else {
                return Err(text);
            }
        }
        Ok(allowed)
    }

    /// Whether `host` may be called when it is at these addresses. One that may not is enough to refuse them all:
    /// who can put it there can have it chosen.
    fn check(
        &self,
        host: &str,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<(), Refused> {
        if self.hosts.contains(&plain(host)) {
            return Ok(());
        }
        // `::ffff:10.0.0.1` is 10.0.0.1 to the system.
        let mut addresses = addresses.into_iter().map(|address| address.to_canonical());
        let is_listed = |address: &IpAddr| self.networks.iter().any(|net| net.contains(address));
        match addresses.find(|address| !is_public(*address) && !is_listed(address)) {
            Some(address) => Err(Refused { host: host.to_owned(), address }),
            None => Ok(()),
        }
    }

    /// Whether `url` may be called, as far as it names an address. A host name is checked when it is resolved; an address
    /// never is, so it is checked here.
    pub fn check_url(&self, url: &Url) -> Result<(), Refused> {
        let address = match url.host() {
            Some(url::Host::Ipv4(ip)) => Some(ip.into()),
            Some(url::Host::Ipv6(ip)) => Some(ip.into()),
            _ => None,
        };
        self.check(url.host_str().unwrap_or_default(), address)
    }
}

/// Whether an agent may be called at `endpoint`, as far as it names an address: what a name leads to shows when it is
/// called.
///
/// # Errors
/// What is wrong, and what to do.
pub fn check_endpoint(endpoint: &str, allow_private: &[String]) -> Result<(), String> {
    let url: Url = endpoint.parse().map_err(|_| "it is no address".to_owned())?;
    // What is wrong with the list itself is reported where it stands.
    let Ok(allowed) = Allowed::new(allow_private.to_vec()) else { return Ok(()) };
    allowed
        .check_url(&url)
        .map_err(|refused| format!("{refused}; list it in `agents.allow_private` if that is meant"))
}

/// A host name as it is compared: lower-case, without the root's dot.
fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Resolves names for the client and gives it checked addresses only. Since the client connects to what this gives,
/// a name that answers differently the next time gains nothing.
pub(super) struct CheckedResolver(pub Arc<Allowed>);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            allowed.check(name.as_str(), found.iter().map(SocketAddr::ip))?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(texts: &[&str]) -> Allowed {
        Allowed::new(texts.iter().map(ToString::to_string).collect()).unwrap()
    }

    fn passes(allowed: &Allowed, addresses: &[&str]) -> bool {
        let addresses = addresses.iter().map(|a| a.parse().unwrap());
        allowed.check("agent.example.com", addresses).is_ok()
    }

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!passes(&Allowed::default(), &[address]), "{address}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.0.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(passes(&Allowed::default(), &[address]), "{address}");
        }
    }

    #[test]
    fn one_private_address_among_public_ones_is_enough() {
        assert!(!passes(&Allowed::default(), &["1.1.1.1", "10.0.0.1"]));
        assert!(passes(&Allowed::default(), &["1.1.1.1", "2606:4700::1111"]));
        assert!(!passes(&allowed(&["10.0.0.1"]), &["10.0.0.1", "10.0.0.2"]));
    }

    #[test]
    fn what_is_listed_passes_and_its_neighbour_does_not() {
        let list = allowed(&["10.1.0.0/16", "127.0.0.1", "fd00::/8", "::ffff:192.168.0.1"]);
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "fd12::1", "192.168.0.1"] {
            assert!(passes(&list, &[address]), "{address}");
        }
        for address in ["10.2.0.1", "127.0.0.2", "::1", "fc00::1", "192.168.0.2"] {
            assert!(!passes(&list, &[address]), "{address}");
        }
    }

    #[test]
    fn a_listed_name_passes_wherever_it_is() {
        let list = allowed(&["Agents.Internal", "bücher.example"]);
        let check = |host| list.check(host, ["10.0.0.1".parse().unwrap()]);
        for host in ["agents.internal", "AGENTS.internal.", "xn--bcher-kva.example"] {
            assert_eq!(check(host), Ok(()), "{host}");
        }
        for host in ["x.agents.internal", "agents.internal.example.com", "internal"] {
            assert!(check(host).is_err(), "{host}");
        }
    }

    #[test]
    fn an_entry_that_is_nothing_of_all_that_is_given_back() {
        for text in ["10.0.0.0/33", "a b", "", "10.0.0.256"] {
            assert_eq!(Allowed::new(vec![text.into()]).unwrap_err(), text);
        }
    }
}
