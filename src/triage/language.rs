//! The language of a text, as far as it matters for an answer: by words that every text in it has.

use super::phrases::is_unspaced;

named_enum! {
    /// The languages in which people are answered.
    #[derive(Default)]
    Language {
        /// English, and what is none of the others.
        #[default]
        English = "en",
        /// German.
        German = "de",
        /// Spanish.
        Spanish = "es",
        /// French.
        French = "fr",
        /// Chinese.
        Chinese = "zh",
    }
}

/// Words that are frequent in one language and none in the others.
const WORDS: [(Language, &[&str]); 4] = [
    (
        Language::English,
        &[
            "the", "is", "it", "and", "to", "of", "this", "when", "with", "does", "not", "i", "my",
            "can",
        ],
    ),
    (
        Language::German,
        &[
            "der", "die", "das", "und", "ist", "nicht", "ich", "wenn", "mit", "beim", "ein",
            "eine", "wird", "auf",
        ],
    ),
    (
        Language::Spanish,
        &[
            "el", "los", "las", "y", "es", "cuando", "con", "una", "por", "que", "se", "mi", "al",
            "del",
        ],
    ),
    (
        Language::French,
        &[
            "le", "les", "et", "est", "quand", "avec", "une", "pour", "ne", "pas", "je", "du",
            "dans", "il",
        ],
    ),
];
/// How much of a text is looked at.
const LONGEST: usize = 4_000;

impl Language {
    /// The language of a text.
    pub fn of(text: &str) -> Self {
        let text: String = text.chars().take(LONGEST).collect::<String>().to_lowercase();
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        // A letter of these says as much as a few of others.
        if text.chars().filter(|c| is_unspaced(*c)).count() * 4 > letters {
            return Self::Chinese;
        }
        let count = |words: &[&str]| {
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| words.contains(word)).count()
        };
        let counted = WORDS.iter().map(|(language, words)| (*language, count(words)));
        let most = counted.reduce(|most, one| if one.1 > most.1 { one } else { most });
        most.filter(|(_, count)| *count > 0).map_or(Self::English, |(language, _)| language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_told_by_its_frequent_words() {
        let all = [
            ("The list is empty when I open it", Language::English),
            ("Die Liste ist leer, wenn ich sie öffne", Language::German),
            ("La lista está vacía cuando se abre el menú", Language::Spanish),
            ("La liste est vide quand je l'ouvre dans le menu", Language::French),
            ("打开菜单时 list 是空的", Language::Chinese),
            ("foo bar", Language::English),
            ("", Language::English),
        ];
        for (text, expected) in all {
            assert_eq!(Language::of(text), expected, "{text}");
        }
    }
}
