//! Whether a text is what a key wants; nothing here knows which key.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Letters, digits, `-`, `_` and `.`, at least one.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// An http or https address. Credentials would be shown in logs and links; paths are appended, so a
/// query or fragment would swallow them.
pub(super) fn is_url(text: &str) -> bool {
    is_endpoint(text) && !text.contains(['?', '#'])
}

/// An http or https address without credentials, which may have a query.
pub(super) fn is_endpoint(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|u| {
        matches!(u.scheme(), "http" | "https")
            && u.has_host()
            && u.username().is_empty()
            && u.password().is_none()
    })
}

/// `address:port` or `host:port`.
pub(super) fn is_listen(text: &str) -> bool {
    let host_and_port = || {
        let (host, port) = text.rsplit_once(':')?;
        Some(is_host_name(host) && port.parse::<u16>().is_ok())
    };
    text.parse::<SocketAddr>().is_ok() || host_and_port().unwrap_or(false)
}

/// An address, a network or a host name.
pub(super) fn is_host(text: &str) -> bool {
    network(text).is_some() || is_host_name(text)
}

/// An address alone is a network of one.
pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// A name with a letter in it, so that a mistyped IPv4 address is not taken for one.
fn is_host_name(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
        && text.split('.').all(|part| {
            !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
        })
}

/// `#` and six hexadecimal digits, as Gitea stores it.
pub(super) fn is_colour(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|hex| hex.len() == 6 && hex.chars().all(|c| c.is_ascii_hexdigit()))
}

/// The bytes in `10MiB`, `10MB`, `512KiB` or `1024`; never zero.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "kib" => 1 << 10,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        assert_eq!(bytes("10MiB"), Some(10 << 20));
        assert_eq!(bytes("10 MB"), Some(10_000_000));
        assert_eq!(bytes("4096"), Some(4096));
        assert_eq!(bytes("0"), None);
        assert_eq!(bytes("10 apples"), None);
        assert_eq!(bytes("99999999999999999999GiB"), None);
    }

    #[test]
    fn an_address_with_credentials_or_a_query_is_refused() {
        assert!(is_url("https://gitea.example.com/git"));
        assert!(!is_url("https://alice:pw@gitea.example.com"));
        assert!(!is_url("https://gitea.example.com/?token=x"));
        assert!(!is_url("ftp://gitea.example.com"));
        assert!(!is_url("gitea.example.com"));
    }

    #[test]
    fn hosts_are_addresses_networks_or_names() {
        for good in ["127.0.0.1", "10.1.0.0/16", "::1", "fd00::/8", "agents.internal", "localhost"]
        {
            assert!(is_host(good), "{good}");
        }
        for bad in ["10.1.0.0/33", "300.1.2.3", "", "a..b", "http://x"] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn a_listen_address_needs_a_port() {
        assert!(is_listen("127.0.0.1:8484"));
        assert!(is_listen("[::1]:8484"));
        assert!(is_listen("localhost:8484"));
        assert!(!is_listen("127.0.0.1"));
        assert!(!is_listen(":8484"));
    }
}
