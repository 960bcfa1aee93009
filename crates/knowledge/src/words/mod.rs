//! From text to index terms.
//!
//! Owns: what a word is (letters and digits, joined numbers, elided articles, character pairs where a script has no
//! spaces), lower-casing, compatibility forms, stemming, folding of accents, and which words carry no meaning alone.
//! Never does: storing or weighing terms. The same text gives the same terms when indexing and when searching;
//! anything that changes them must raise `index::segment::VERSION`.

mod fold;
mod remembered;
mod script;
mod stop;

use crate::language::Language;
use remembered::Stems;
use rust_stemmers::Stemmer;
use std::borrow::Cow;
use std::fmt;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

pub(crate) use stop::guess_by_stop_words;

/// The longest term in bytes; what is longer is cut (it is a token of a program, not a word of a visitor).
pub(crate) const MAX_TERM_BYTES: usize = 48;

/// One term of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term<'a> {
    /// The stemmed and folded form that is indexed.
    pub text: &'a str,
    /// Whether it carries no meaning of its own (articles, auxiliaries, question words, courtesies).
    pub stop: bool,
    /// Whether it stands for part of a text without spaces, a pair of characters.
    pub pair: bool,
}

/// Turns text into terms for one language.
pub struct Analyser {
    language: Language,
    stemmer: Option<(Stemmer, &'static Stems)>,
    stops: &'static stop::StopWords,
}

impl Analyser {
    /// The analyser of `language`.
    pub fn new(language: Language) -> Self {
        let stemmer = language.algorithm().map(|algorithm| (Stemmer::create(algorithm), remembered::of(language)));
        Self { language, stemmer, stops: stop::stop_words(language) }
    }

    /// The language it analyses.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Calls `visit` for each term of `text`, in order.
    pub fn terms(&self, text: &str, mut visit: impl FnMut(Term<'_>)) {
        if text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
            self.walk(text.chars(), &mut visit);
        } else {
            self.walk(text.nfkc(), &mut visit);
        }
    }

    fn walk(&self, characters: impl Iterator<Item = char>, visit: &mut impl FnMut(Term<'_>)) {
        let mut characters = characters.peekable();
        let mut word = String::with_capacity(MAX_TERM_BYTES);
        let mut run = script::PairRun::default();
        while let Some(character) = characters.next() {
            let next = characters.peek().copied();
            if script::has_no_spaces(character) {
                self.finish(&mut word, visit);
                run.push(character, visit);
                continue;
            }
            run.end(visit);
            if character.is_ascii_alphanumeric() {
                word.push(character.to_ascii_lowercase());
            } else if character.is_alphanumeric() || (fold::is_mark(character) && !word.is_empty()) {
                word.extend(character.to_lowercase());
            } else if is_apostrophe(character) && !word.is_empty() && next.is_some_and(char::is_alphabetic) {
                self.apostrophe(&mut word);
            } else if matches!(character, '.' | ',')
                && word.ends_with(|c: char| c.is_ascii_digit())
                && next.is_some_and(|c| c.is_ascii_digit())
            {
                // 14.90 and 1,000 are one number each; a comma is written as a full stop so that both customs meet.
                word.push('.');
            } else if character == '-'
                && word.len() == 1
                && word.as_bytes()[0].is_ascii_alphabetic()
                && next.is_some_and(char::is_alphabetic)
            {
                // e-mail, t-shirt: written together as often as apart.
            } else if character == '\u{ad}' {
                // A soft hyphen is no boundary.
            } else {
                self.finish(&mut word, visit);
            }
        }
        run.end(visit);
        self.finish(&mut word, visit);
    }

    /// `l'article`: the article goes. `don't`, `Anna's`: kept in the word, `finish` deals with it.
    fn apostrophe(&self, word: &mut String) {
        let elides = matches!(self.language, Language::French | Language::Italian | Language::Other);
        if elides && (word.chars().count() == 1 || ["qu", "un", "all", "dell", "nell", "sull"].contains(&word.as_str()))
        {
            word.clear();
        } else {
            word.push('\'');
        }
    }

    fn finish(&self, word: &mut String, visit: &mut impl FnMut(Term<'_>)) {
        if word.is_empty() {
            return;
        }
        if let Some(at) = word.find('\'') {
            let tail = &word[at + 1..];
            if matches!(tail, "s" | "re" | "ve" | "ll" | "d" | "m") {
                word.truncate(at);
            } else {
                // don't becomes dont, which is how half of the visitors write it.
                word.retain(|c| c != '\'');
            }
        }
        if word.len() > MAX_TERM_BYTES * 2 {
            cut(word, MAX_TERM_BYTES * 2);
        }
        let stop = self.stops.contains(word.as_str());
        if fold::writes_stress(self.language) && !word.is_ascii() {
            *word = fold::without_stress(word);
        }
        let mut tell = |term: &str| {
            if !term.is_empty() {
                visit(Term { text: term, stop, pair: false });
            }
        };
        match &self.stemmer {
            Some((stemmer, stems)) if word.len() > 2 && !word.bytes().any(|b| b.is_ascii_digit()) => {
                tell(&stems.get(word, || folded(&stemmer.stem(word)).into()));
            }
            _ => tell(&folded(word)),
        }
        word.clear();
    }
}

/// Without accents, and no longer than a term may be.
fn folded(word: &str) -> Cow<'_, str> {
    let mut folded = fold::fold(word);
    if folded.len() > MAX_TERM_BYTES {
        cut(folded.to_mut(), MAX_TERM_BYTES);
    }
    folded
}

impl fmt::Debug for Analyser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analyser").field("language", &self.language).finish_non_exhaustive()
    }
}

fn is_apostrophe(character: char) -> bool {
    matches!(character, '\'' | '\u{2019}' | '\u{2018}' | '\u{02bc}')
}

/// Cuts to at most `bytes`, at a character boundary.
fn cut(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(language: Language, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        Analyser::new(language).terms(text, |term| found.push(term.text.to_owned()));
        found
    }

    #[test]
    fn words_are_lowered_stemmed_and_folded() {
        assert_eq!(terms(Language::English, "Shipping COSTS: naïve cafés"), ["ship", "cost", "naiv", "cafe"]);
        assert_eq!(terms(Language::German, "Größe der Bücher"), ["gross", "der", "buch"]);
        assert_eq!(terms(Language::French, "l’article d'été"), ["articl", "ete"]);
        assert_eq!(terms(Language::Other, "ŁÓDŹ ﬁne"), ["lodz", "fine"]);
    }

    #[test]
    fn numbers_apostrophes_and_hyphens_hold_together_as_they_should() {
        assert_eq!(
            terms(Language::English, "CA$14.90, 1,000 or 14,90. Version 2."),
            ["ca", "14.90", "1.000", "or", "14.90", "version", "2"]
        );
        assert_eq!(
            terms(Language::English, "don't Anna's e-mail well-known"),
            ["dont", "anna", "email", "well", "known"]
        );
    }

    #[test]
    fn scripts_without_spaces_become_pairs() {
        assert_eq!(terms(Language::Chinese, "运费多少"), ["运费", "费多", "多少"]);
        assert_eq!(terms(Language::Chinese, "买 A4 纸"), ["买", "a4", "纸"]);
        // A full-width letter is the same letter.
        assert_eq!(terms(Language::Japanese, "Ａ４"), ["a4"]);
    }

    #[test]
    fn stop_words_are_marked_before_stemming() {
        let mut stops = Vec::new();
        Analyser::new(Language::English).terms("What does shipping to Canada cost?", |term| {
            if term.stop {
                stops.push(term.text.to_owned());
            }
        });
        assert_eq!(stops, ["what", "doe", "to"]);
    }

    #[test]
    fn an_endless_word_is_cut() {
        let long = "ä".repeat(5_000);
        let found = terms(Language::Other, &long);
        assert_eq!(found.len(), 1);
        assert!(found[0].len() <= MAX_TERM_BYTES);
    }

    proptest! {
        #[test]
        fn any_text_gives_bounded_terms(text in "\\PC{0,200}", code in 0_u8..20) {
            let language = Language::from_code(code).unwrap_or_default();
            Analyser::new(language).terms(&text, |term| {
                assert!(!term.text.is_empty() && term.text.len() <= MAX_TERM_BYTES);
            });
        }
    }
}
