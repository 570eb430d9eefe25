//! Paths of the dashboard itself; redirects never lead anywhere else.

use url::Url;

/// The longest path that is kept during a sign-in; a longer one would not fit into a cookie.
const LONGEST: usize = 512;
/// The base against which a path is parsed; `.invalid` is never a real host.
const HERE: &str = "http://here.invalid";

/// A path of the dashboard with its query, without the path it is mounted under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LocalPath(String);

impl LocalPath {
    /// The front page.
    pub fn home() -> Self {
        Self("/".to_owned())
    }

    /// The path in `text`; the front page when it leads elsewhere. Parsed as browsers do: `\` counts as `/`, and tabs
    /// and line ends are removed.
    pub fn parse(text: &str) -> Self {
        let fits = text.starts_with('/') && text.len() <= LONGEST;
        let read = || Url::parse(HERE).ok()?.join(text).ok();
        let url = fits.then(read).flatten();
        let local = url.filter(|url| url.origin().ascii_serialization() == HERE);
        let path = local.map(|url| {
            let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
            format!("{}{query}", url.path())
        });
        // `//` in the path itself would again be another host.
        path.filter(|path| !path.starts_with("//")).map_or_else(Self::home, Self)
    }

    /// The path, from its first slash on.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_dashboard_is_kept() {
        for path in ["/", "/deliveries?state=dead&q=a%20b", "/issues/acme/widgets/7"] {
            assert_eq!(LocalPath::parse(path).as_str(), path);
        }
    }

    #[test]
    fn what_leads_elsewhere_leads_home() {
        let long = format!("/{}", "x".repeat(LONGEST));
        for path in [
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example/",
            "\\\\evil.example/",
            "/\t/evil.example/",
            "/\n/evil.example/",
            "/..//evil.example/",
            "/x/..//evil.example/",
            "///evil.example/",
            "javascript:alert(1)",
            "deliveries",
            "",
            &long,
        ] {
            assert_eq!(LocalPath::parse(path), LocalPath::home(), "{path:?}");
        }
    }

    #[test]
    fn a_path_cannot_climb_or_break_a_header() {
        assert_eq!(LocalPath::parse("/../../etc/passwd").as_str(), "/etc/passwd");
        let path = LocalPath::parse("/a\r\nSet-Cookie: x=1");
        assert!(!path.as_str().contains(['\r', '\n', ' ']), "{path:?}");
    }
}
