//! Phrases that are compared word by word: labels, what stands before a title's colon, headings of forms.

use std::collections::HashMap;
use std::ops::Range;

/// How many words of a text are looked at: a heading and a label have no more.
const MOST_WORDS: usize = 16;

/// The first words of a text in lower case, whatever parts them; an apostrophe parts nothing, and a letter of a script
/// without spaces is a word.
pub(super) fn words(text: &str) -> Words {
    /// What most headings and labels are no longer than.
    const USUAL: usize = 64;
    let mut words = Words::default();
    words.joined.reserve(text.len().min(USUAL));
    let mut is_open = false;
    for c in text.chars() {
        let is_taken = match c {
            'a'..='z' | '0'..='9' => words.add(c, &mut is_open),
            'A'..='Z' => words.add(c.to_ascii_lowercase(), &mut is_open),
            c if c.is_ascii() => {
                is_open &= c == '\'';
                true
            }
            c => c.to_lowercase().all(|c| words.take(c, &mut is_open)),
        };
        if !is_taken {
            break;
        }
    }
    words
}

/// Words in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// All of them, a space between each two.
    joined: String,
    /// Where each ends there.
    ends: [usize; MOST_WORDS],
    count: usize,
}

impl Words {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Some of them, joined by spaces.
    pub(super) fn part(&self, part: Range<usize>) -> &str {
        let ends = &self.ends[..self.count];
        let start = part.start.checked_sub(1).and_then(|before| Some(ends.get(before)? + 1));
        let end = part.end.checked_sub(1).and_then(|last| ends.get(last));
        self.joined.get(start.unwrap_or(0)..end.copied().unwrap_or(0)).unwrap_or_default()
    }

    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.count).map(|at| self.part(at..at + 1))
    }

    /// Adds a letter in lower case that is not in ASCII, or the end of a word; `false` when there are enough words.
    fn take(&mut self, c: char, is_open: &mut bool) -> bool {
        if is_unspaced(c) {
            *is_open = false;
            let is_taken = self.add(c, is_open);
            *is_open = false;
            return is_taken;
        }
        if c.is_alphanumeric() {
            return self.add(c, is_open);
        }
        *is_open &= matches!(c, '’' | '\u{301}');
        true
    }

    /// Adds a letter to the last word, or to a new one; `false` when there are enough words.
    fn add(&mut self, c: char, is_open: &mut bool) -> bool {
        if !*is_open {
            if self.count == MOST_WORDS {
                return false;
            }
            if self.count > 0 {
                self.joined.push(' ');
            }
            self.count += 1;
            *is_open = true;
        }
        self.joined.push(c);
        self.ends[self.count - 1] = self.joined.len();
        true
    }
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
            found.all.entry(words.joined).or_insert(meaning);
        }
        found
    }

    /// Whether a text has more words than any phrase, as far as can be told without taking it apart.
    pub(super) fn is_too_long(&self, text: &str) -> bool {
        let has_word = |part: &&str| part.contains(|c: char| c.is_alphanumeric());
        text.split_whitespace().filter(has_word).nth(self.longest).is_some()
    }

    /// What exactly these words stand for.
    pub(super) fn get(&self, words: &Words) -> Option<T> {
        self.get_part(words, 0..words.len())
    }

    /// What exactly some of these words stand for.
    pub(super) fn get_part(&self, words: &Words, part: Range<usize>) -> Option<T> {
        let may_be = !part.is_empty() && part.len() <= self.longest;
        may_be.then(|| self.all.get(words.part(part)).copied()).flatten()
    }

    /// What the longest phrase among these words stands for; of two, the first. A single word says little among many.
    pub(super) fn within(&self, words: &Words) -> Option<T> {
        let least = if words.len() > 2 { 2 } else { 1 };
        let lengths = (least..=self.longest.min(words.len())).rev();
        let parts = lengths
            .flat_map(|length| (0..=words.len() - length).map(move |from| from..from + length));
        parts.into_iter().find_map(|part| self.get_part(words, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn splits(text: &str, expected: &[&str]) {
        assert_eq!(words(text).iter().collect::<Vec<_>>(), expected, "{text}");
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
