//! Phrases that are compared word by word: labels, what stands before a title's colon, headings of forms.

use std::collections::HashMap;

/// How many words of a text are looked at: a heading and a label have no more.
const MOST_WORDS: usize = 16;

/// The first words of a text in lower case, whatever parts them; an apostrophe parts nothing, and a letter of a script
/// without spaces is a word.
pub(super) fn words(text: &str) -> Vec<String> {
    if text.is_ascii() && !text.contains('\'') {
        let words =
            text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        return words.take(MOST_WORDS).map(str::to_ascii_lowercase).collect();
    }
    let mut words = vec![String::new()];
    for c in text.chars().flat_map(char::to_lowercase) {
        if words.len() > MOST_WORDS {
            break;
        }
        match words.last_mut() {
            Some(word) if c.is_alphanumeric() && !is_unspaced(c) => word.push(c),
            _ if is_unspaced(c) => words.extend([c.to_string(), String::new()]),
            _ if matches!(c, '\'' | '’' | '\u{301}') => {}
            _ => words.push(String::new()),
        }
        if let [.., before, last] = &words[..]
            && before.is_empty()
            && last.is_empty()
        {
            words.pop();
        }
    }
    words.retain(|word| !word.is_empty());
    words.truncate(MOST_WORDS);
    words
}

/// Whether the letter belongs to a script that puts no spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// What phrases stand for.
#[derive(Clone, Debug)]
pub(super) struct Phrases<T> {
    all: HashMap<String, T>,
    /// The number of words of the longest.
    longest: usize,
}

impl<T: Copy> Phrases<T> {
    /// Of two that are the same, the first counts.
    pub(super) fn new<'a>(phrases: impl IntoIterator<Item = (&'a String, T)>) -> Self {
        let mut found = Self { all: HashMap::new(), longest: 0 };
        for (phrase, meaning) in phrases {
            let words = words(phrase);
            found.longest = found.longest.max(words.len());
            found.all.entry(words.join(" ")).or_insert(meaning);
        }
        found
    }

    /// Whether a text has more words than any phrase, as far as can be told without taking it apart.
    pub(super) fn is_too_long(&self, text: &str) -> bool {
        let has_word = |part: &&str| part.contains(|c: char| c.is_alphanumeric());
        text.split_whitespace().filter(has_word).nth(self.longest).is_some()
    }

    /// What exactly these words stand for.
    pub(super) fn get(&self, words: &[String]) -> Option<T> {
        self.get_joined(&words.join(" "))
    }

    /// What exactly these words, joined by spaces, stand for.
    pub(super) fn get_joined(&self, words: &str) -> Option<T> {
        self.all.get(words).copied()
    }

    /// What the longest phrase among these words stands for; of two, the first. A single word says little among many.
    pub(super) fn within(&self, words: &[String]) -> Option<T> {
        let least = if words.len() > 2 { 2 } else { 1 };
        let lengths = (least..=self.longest.min(words.len())).rev();
        lengths.flat_map(|length| words.windows(length)).find_map(|part| self.get(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn splits(text: &str, expected: &[&str]) {
        assert_eq!(words(text), expected, "{text}");
    }

    #[test]
    fn words_are_parted_by_anything_else() {
        splits("Kind/Bug 🐛", &["kind", "bug"]);
        splits("won't-fix: X_y", &["wont", "fix", "x", "y"]);
        splits("类型:Bug", &["类", "型", "bug"]);
        splits("  ", &[]);
        assert_eq!(words(&"a ".repeat(1000)).len(), MOST_WORDS);
    }

    #[test]
    fn the_longest_phrase_counts() {
        let list = ["bug", "bug report", "功能"].map(str::to_owned);
        let phrases = Phrases::new(list.iter().zip(0..));
        assert_eq!(phrases.within(&words("A bug report, please")), Some(1));
        assert_eq!(phrases.within(&words("debugging")), None);
        assert_eq!(phrases.within(&words("no bug at all")), None);
        assert_eq!(phrases.within(&words("新功能建议")), Some(2));
        assert_eq!(phrases.get(&words("Bug")), Some(0));
        assert_eq!(phrases.get(&words("a bug")), None);
    }
}
