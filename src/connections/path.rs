//! How a path is written. A proxy or a firewall guards `/metrics` by its text; the router would also take `/%6detrics`.

/// Whether a path is written without escapes that it does not need, empty segments or dots: no other writing leads to
/// anything.
pub fn is_plain(path: &str) -> bool {
    let mut escapes = path.split('%').skip(1);
    let segments = path.strip_prefix('/').unwrap_or(path);
    let is_empty = |segment: &str| matches!(segment, "" | "." | "..");
    let (last, before) = match segments.rsplit_once('/') {
        Some((before, last)) => (last, before.split('/').any(is_empty)),
        None => (segments, false),
    };
    !before && !matches!(last, "." | "..") && escapes.all(is_needed)
}

/// Whether what follows a `%` is the escape of a character that cannot stand for itself (RFC 3986, 2.3).
fn is_needed(escape: &str) -> bool {
    let byte = escape.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    byte.is_some_and(|b| !b.is_ascii_alphanumeric() && !b"-._~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_ours_are_plain() {
        for path in
            ["/", "/metrics", "/webhook/", "/issues/acme/widgets/5", "/deliveries/a%20b%2Fc"]
        {
            assert!(is_plain(path), "{path}");
        }
    }

    #[test]
    fn other_writings_are_not() {
        let paths = [
            "/%6detrics",
            "/%6Detrics",
            "//metrics",
            "/./metrics",
            "/x/../metrics",
            "/%2e/metrics",
            "/metrics/..",
            "/metrics/.",
            "/x//",
            "/%",
            "/%4",
            "/%zz",
            "/metric%73",
            "/%é",
        ];
        for path in paths {
            assert!(!is_plain(path), "{path}");
        }
    }
}
