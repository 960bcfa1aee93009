//! Folding of accents after stemming, so that "Cafe" finds "Café".
//!
//! Owns: which marks may go. Accents of Latin, Greek, Cyrillic, Hebrew and Arabic text are optional for a searcher;
//! the vowel signs of Indic scripts are not, and stay.
//! Never does: transliteration between scripts.

use crate::language::Language;
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Whether `character` is a combining mark, which continues a word.
pub(super) fn is_mark(character: char) -> bool {
    !character.is_ascii() && is_combining_mark(character)
}

/// The word without optional marks and with plain letters for `ß`, `ø`, `ł` and their kind.
pub(super) fn fold(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        return Cow::Borrowed(word);
    }
    let mut folded = String::with_capacity(word.len());
    for character in word.nfd() {
        match character {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ı' => folded.push('i'),
            'þ' => folded.push_str("th"),
            'ς' => folded.push('σ'),
            mark if is_optional(mark) => {}
            other => folded.push(other),
        }
    }
    // What stays (Hangul, Indic signs) is put together again, so that terms are in one form.
    Cow::Owned(folded.nfc().collect())
}

/// Languages whose accents mostly mark stress. Visitors leave them out, and stemmers would take "envío" and "envio" to
/// different stems, so there they go first; letters of their own (ñ, ç, ã) stay until after stemming.
pub(super) fn writes_stress(language: Language) -> bool {
    matches!(language, Language::Spanish | Language::Italian | Language::Portuguese)
}

/// The word without marks of stress.
pub(super) fn without_stress(word: &str) -> String {
    word.chars()
        .map(|character| match character {
            'á' | 'à' | 'â' => 'a',
            'é' | 'è' | 'ê' => 'e',
            'í' | 'ì' | 'î' => 'i',
            'ó' | 'ò' | 'ô' => 'o',
            'ú' | 'ù' | 'û' => 'u',
            other => other,
        })
        .collect()
}

fn is_optional(character: char) -> bool {
    matches!(u32::from(character),
        0x0300..=0x036f        // accents of Latin, Greek and Cyrillic
        | 0x0483..=0x0487      // Cyrillic
        | 0x0591..=0x05c7      // Hebrew points
        | 0x0610..=0x061a | 0x064b..=0x065f | 0x0670 // Arabic vowels
    )
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn optional_marks_go_and_needed_ones_stay() {
        assert_eq!(fold("café"), "cafe");
        assert_eq!(fold("straße"), "strasse");
        assert_eq!(fold("smørrebrød"), "smorrebrod");
        assert_eq!(fold("हिंदी"), "हिंदी");
        assert_eq!(fold("한국"), "한국");
        assert_eq!(fold("plain"), "plain");
    }
}
