//! A part of a text that has so many bytes at most, cut between two characters.

/// How a text begins.
pub fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// How a text ends.
pub fn ending(text: &str, most: usize) -> &str {
    let from = text.len().saturating_sub(most);
    let from = (from..=text.len()).find(|from| text.is_char_boundary(*from));
    &text[from.unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!((beginning("aé", 2), beginning("aé", 3), beginning("", 5)), ("a", "aé", ""));
        assert_eq!((ending("éa", 2), ending("éa", 3), ending("", 5)), ("a", "éa", ""));
    }
}
