//! Which repositories something holds for: names, and patterns with `*`.

use super::RepoName;

/// Repositories by name and by pattern; `*` stands for any part of a name but never crosses the `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepoPatterns(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Name(RepoName),
    Wildcard { owner: String, name: String },
}

impl RepoPatterns {
    /// The patterns in `texts`; the first that is none is given back as the error.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let patterns = texts.into_iter().map(|t| Pattern::new(t).ok_or_else(|| t.to_owned()));
        patterns.collect::<Result<_, _>>().map(Self)
    }

    /// Whether `repo` is one of them; names do not differ by case alone. A name that another repository has now is
    /// none: nobody who asks for the name means that one.
    pub fn allows(&self, repo: &RepoName) -> bool {
        !repo.is_former() && self.0.iter().any(|p| p.allows(repo))
    }

    /// The repositories named in full, in the order of the configuration.
    pub fn names(&self) -> impl Iterator<Item = &RepoName> {
        self.0.iter().filter_map(|p| match p {
            Pattern::Name(name) => Some(name),
            Pattern::Wildcard { .. } => None,
        })
    }

    /// The patterns with `*`, as owner and name, in the order of the configuration.
    pub fn wildcards(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|p| match p {
            Pattern::Wildcard { owner, name } => Some((owner.as_str(), name.as_str())),
            Pattern::Name(_) => None,
        })
    }

    /// Whether it names nothing, and so allows nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each one as it was written.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|p| match p {
            Pattern::Name(name) => name.to_string(),
            Pattern::Wildcard { owner, name } => format!("{owner}/{name}"),
        })
    }
}

impl Pattern {
    fn new(text: &str) -> Option<Self> {
        if !text.contains('*') {
            return text.parse().ok().map(Self::Name);
        }
        // With a letter for each `*`, what is left must be a repository's name.
        let plain: RepoName = text.replace('*', "x").parse().ok()?;
        let (owner, name) = text.split_once('/')?;
        debug_assert!(!plain.owner().is_empty());
        Some(Self::Wildcard { owner: owner.to_owned(), name: name.to_owned() })
    }

    fn allows(&self, repo: &RepoName) -> bool {
        match self {
            Self::Name(name) => same(name.owner(), repo.owner()) && same(name.name(), repo.name()),
            Self::Wildcard { owner, name } => {
                matches(owner, repo.owner()) && matches(name, repo.name())
            }
        }
    }
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Whether `text` fits `pattern`, where `*` stands for anything, nothing included.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The earliest place is enough: what follows only gets more room.
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn allows(pattern: &str, repo: &str, expected: bool) {
        let patterns = RepoPatterns::new([pattern]).unwrap();
        assert_eq!(patterns.allows(&repo.parse().unwrap()), expected, "{pattern} on {repo}");
    }

    #[test]
    fn a_star_stands_for_any_part_of_one_name() {
        allows("acme/widgets", "acme/widgets", true);
        allows("acme/widgets", "Acme/Widgets", true);
        allows("acme/widgets", "acme/widgets2", false);
        allows("acme/tools-*", "acme/tools-x", true);
        allows("acme/Tools-*", "ACME/tools-", true);
        allows("acme/tools-*", "acme/tool", false);
        allows("acme/*", "acmes/x", false);
        allows("*/*", "any/thing", true);
        allows("a*/x", "acme/x", true);
        allows("acme/a*b*c", "acme/a1b2c", true);
        allows("acme/a*b*c", "acme/a1c", false);
        allows("acme/a*ab", "acme/ab", false);
        allows("acme/*-*", "acme/a-b-c", true);
    }

    #[test]
    fn names_and_wildcards_are_told_apart() {
        let patterns = RepoPatterns::new(["acme/widgets", "acme/tools-*"]).unwrap();
        assert_eq!(patterns.names().map(ToString::to_string).collect::<Vec<_>>(), ["acme/widgets"]);
        assert_eq!(patterns.wildcards().collect::<Vec<_>>(), [("acme", "tools-*")]);
        assert_eq!(patterns.texts().collect::<Vec<_>>(), ["acme/widgets", "acme/tools-*"]);
    }

    #[test]
    fn what_is_no_pattern_is_given_back() {
        for bad in ["acme", "*", "acme/", "acme/a/b", "acme/a b*", "/x"] {
            assert_eq!(RepoPatterns::new([bad]), Err(bad.to_owned()));
        }
    }
}
