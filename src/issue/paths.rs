//! Which files something holds for.

use regex::Regex;

/// A pattern for paths: `*` and `?` stand for anything within a folder, `**` for folders as well. One without `/` holds for
/// files of that name in any folder.
#[derive(Clone, Debug)]
pub struct PathPattern(Regex);

impl PathPattern {
    /// The pattern in a text; `None` when it is none.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.strip_prefix("./").unwrap_or(text).trim_start_matches('/');
        if text.is_empty() || text.contains(|c: char| c.is_control()) {
            return None;
        }
        let anywhere = if text.contains('/') { "" } else { "(?:.*/)?" };
        let inner = if text.ends_with('/') { format!("{text}**") } else { text.to_owned() };
        Regex::new(&format!("^{anywhere}{}$", expression(&inner))).ok().map(Self)
    }

    /// Whether a path, from the top of the repository on, fits.
    pub fn fits(&self, path: &str) -> bool {
        self.0.is_match(path.strip_prefix("./").unwrap_or(path).trim_start_matches('/'))
    }
}

fn expression(mut pattern: &str) -> String {
    let mut expression = String::new();
    while let Some(c) = pattern.chars().next() {
        let (taken, part) = match pattern {
            rest if rest.starts_with("**/") => (3, "(?:.*/)?".to_owned()),
            rest if rest.starts_with("**") => (2, ".*".to_owned()),
            rest if rest.starts_with('*') => (1, "[^/]*".to_owned()),
            rest if rest.starts_with('?') => (1, "[^/]".to_owned()),
            _ => (c.len_utf8(), regex::escape(c.encode_utf8(&mut [0; 4]))),
        };
        expression += &part;
        pattern = &pattern[taken..];
    }
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fits(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern = PathPattern::new(pattern).unwrap();
        assert!(yes.iter().all(|path| pattern.fits(path)), "{pattern:?}: {yes:?}");
        assert!(!no.iter().any(|path| pattern.fits(path)), "{pattern:?}: {no:?}");
    }

    #[test]
    fn a_pattern_stays_within_its_folder_unless_it_says_otherwise() {
        fits("src/db/*.rs", &["src/db/mod.rs", "./src/db/a.rs"], &["src/db/a/b.rs", "src/db.rs"]);
        fits("src/**/*.rs", &["src/a.rs", "src/a/b/c.rs"], &["tests/a.rs", "src/a.rsx"]);
        fits("docs/", &["docs/src/a.md", "docs/b.md"], &["src/docs/a.md", "docs"]);
        fits("*.css", &["a.css", "web/static/a.css"], &["a.css.rs"]);
        fits("a?c/[x]+", &["abc/[x]+"], &["a/c/[x]+", "abc/x"]);
        assert!(PathPattern::new("").is_none() && PathPattern::new("/").is_none());
    }
}
