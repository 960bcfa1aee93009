//! Stems that were made before: stemming a word takes ten times as long as looking it up, and people use the same words.
//!
//! Owns: one bounded memory for each language, shared by all analysers of the process. Never does: change what a stem is.
//! What it holds are single words in their index form, nothing of where they were from.

use crate::language::Language;
use quick_cache::sync::Cache;
use std::sync::{Arc, LazyLock};

/// Words of a language that are remembered; the most used stay.
const WORDS: usize = 2048;
/// Longer words are rare and stemmed each time.
const LONGEST: usize = 32;

/// The stems of one language.
pub(super) struct Stems(Cache<Box<str>, Arc<str>>);

/// The memory of a language.
pub(super) fn of(language: Language) -> &'static Stems {
    static ALL: [LazyLock<Stems>; Language::COUNT] = [const { LazyLock::new(Stems::new) }; Language::COUNT];
    &ALL[language as usize]
}

impl Stems {
    fn new() -> Self {
        Self(Cache::new(WORDS))
    }

    /// The index form of `word`, which `make` makes where it is not known.
    pub(super) fn get(&self, word: &str, make: impl FnOnce() -> Arc<str>) -> Arc<str> {
        if word.len() > LONGEST {
            return make();
        }
        if let Some(known) = self.0.get(word) {
            return known;
        }
        let made = make();
        self.0.insert(word.into(), Arc::clone(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_made_once_and_the_memory_is_bounded() {
        let stems = Stems::new();
        for _ in 0..3 {
            assert_eq!(&*stems.get("shipping", || "ship".into()), "ship");
        }
        assert_eq!(&*stems.get("shipping", || unreachable!("it is known")), "ship");
        for number in 0..10 * WORDS {
            stems.get(&format!("word{number}"), || "w".into());
        }
        assert!(stems.0.len() <= WORDS, "{}", stems.0.len());
        let long = "x".repeat(LONGEST + 1);
        let before = stems.0.len();
        assert_eq!(&*stems.get(&long, || "x".into()), "x");
        assert_eq!(stems.0.len(), before, "a long word is not kept");
    }

    #[test]
    fn languages_do_not_share_their_stems() {
        assert!(!std::ptr::eq(of(Language::English), of(Language::German)));
        assert!(std::ptr::eq(of(Language::English), of(Language::English)));
    }
}
