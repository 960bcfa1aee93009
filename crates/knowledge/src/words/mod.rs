//! From text to index terms.
//!
//! Owns: what a word is (letters and digits, joined numbers, elided articles, character pairs where a script has no
//! spaces), lower-casing, compatibility forms, stemming, folding of accents, and which words carry no meaning alone.
//! Never does: storing or weighing terms. The same text gives the same terms when indexing and when searching;
//! anything that changes them must raise `index::segment::VERSION`.

mod fold;
mod script;
mod stop;

use crate::language::Language;
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
    stemmer: Option<Stemmer>,
    stops: &'static stop::StopWords,
}

impl Analyser {
    /// The analyser of `language`.
    pub fn new(language: Language) -> Self {
        Self { language, stemmer: language.algorithm().map(Stemmer::create), stops: stop::stop_words(language) }
    }

    /// The language it analyses.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Calls `visit` for each term of `text`, in order.
    pub fn terms(&self, text: &str, mut visit: impl FnMut(Term<'_>)) {
        self.select(text, &Initials::Any, &mut visit);
    }

    /// As [`Self::terms`], but words that begin unlike all of `initials` may be left out, which saves stemming them.
    pub(crate) fn select(&self, text: &str, initials: &Initials, visit: &mut impl FnMut(Term<'_>)) {
        match initials {
            Initials::Any => self.walk_normal(text, initials, visit),
            Initials::Of { .. } => {
                // No word crosses a space, so what stands between two is passed over as a whole.
                for cluster in text.split_ascii_whitespace() {
                    if !cluster.is_ascii() || initials.occur_in(cluster.as_bytes()) {
                        self.walk_normal(cluster, initials, visit);
                    }
                }
            }
        }
    }

    fn walk_normal(&self, text: &str, initials: &Initials, visit: &mut impl FnMut(Term<'_>)) {
        if text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
            self.walk(text.chars(), initials, visit);
        } else {
            self.walk(text.nfkc(), initials, visit);
        }
    }

    fn walk(&self, characters: impl Iterator<Item = char>, initials: &Initials, visit: &mut impl FnMut(Term<'_>)) {
        let mut characters = characters.peekable();
        let mut word = String::with_capacity(MAX_TERM_BYTES);
        let mut run = script::PairRun::default();
        while let Some(character) = characters.next() {
            let next = characters.peek().copied();
            if script::has_no_spaces(character) {
                self.finish(&mut word, initials, visit);
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
                self.finish(&mut word, initials, visit);
            }
        }
        run.end(visit);
        self.finish(&mut word, initials, visit);
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

    fn finish(&self, word: &mut String, initials: &Initials, visit: &mut impl FnMut(Term<'_>)) {
        if word.is_empty() || !initials.allow(word.as_bytes()) {
            word.clear();
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
        let stemmed = self.stem(word);
        let mut folded = fold::fold(&stemmed);
        if folded.len() > MAX_TERM_BYTES {
            cut(folded.to_mut(), MAX_TERM_BYTES);
        }
        if !folded.is_empty() {
            visit(Term { text: &folded, stop, pair: false });
        }
        word.clear();
    }

    fn stem<'a>(&self, word: &'a str) -> Cow<'a, str> {
        match &self.stemmer {
            Some(stemmer) if word.len() > 2 && !word.bytes().any(|b| b.is_ascii_digit()) => stemmer.stem(word),
            _ => Cow::Borrowed(word),
        }
    }
}

impl fmt::Debug for Analyser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analyser").field("language", &self.language).finish_non_exhaustive()
    }
}

/// The first letters of wanted terms, so that most words of a text can be passed over unstemmed. Stemming and folding
/// leave ASCII beginnings alone: two letters always (three English exceptions, dying, lying and tying, aside), and a third
/// in the languages of [`keeps_three`] but for i and y (cry becomes cri, using becomes use).
#[derive(Debug)]
pub(crate) enum Initials {
    /// All words.
    Any,
    /// Words that begin with one of these, or with a letter beyond ASCII.
    Of {
        /// A bit for each first byte, which turns most words away.
        first: u128,
        starts: Vec<[u8; 3]>,
    },
}

impl Initials {
    /// The beginnings of `terms`, which are stemmed.
    pub(crate) fn of<'a>(language: Language, terms: impl Iterator<Item = &'a str>) -> Self {
        let mut first = 0_u128;
        let mut starts = Vec::new();
        for term in terms {
            let mut start = Self::start(term.as_bytes());
            if !start.iter().all(u8::is_ascii) {
                return Self::Any;
            }
            if !keeps_three(language) {
                start[2] = 0;
            }
            if !starts.contains(&start) {
                first |= 1 << start[0];
                starts.push(start);
            }
        }
        Self::Of { first, starts }
    }

    fn start(word: &[u8]) -> [u8; 3] {
        [0, 1, 2].map(|at| word.get(at).copied().unwrap_or(0).to_ascii_lowercase())
    }

    fn allow(&self, word: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Of { first, starts } => {
                let word = Self::start(word);
                !word[0].is_ascii() || (first & (1 << word[0]) != 0 && starts.iter().any(|start| begins(start, word)))
            }
        }
    }

    /// Whether any word of an ASCII text begins so, hyphens and apostrophes taken for boundaries.
    fn occur_in(&self, text: &[u8]) -> bool {
        let Self::Of { first, starts } = self else { return true };
        let mut inside = false;
        text.iter().enumerate().any(|(at, byte)| {
            let new = byte.is_ascii_alphanumeric() && !inside;
            inside = byte.is_ascii_alphanumeric();
            new && first & (1 << byte.to_ascii_lowercase()) != 0 && {
                let word = Self::start(&text[at..]);
                starts.iter().any(|start| begins(start, word))
            }
        })
    }
}

/// Compares letter by letter until one of the two says nothing: a sign that may go from the word, a letter beyond ASCII,
/// the end of a short term.
fn begins(start: &[u8; 3], word: [u8; 3]) -> bool {
    for (at, (wanted, letter)) in start.iter().zip(word).enumerate() {
        if *wanted == 0 || !letter.is_ascii_alphanumeric() {
            return true;
        }
        if at == 2 && matches!(letter, b'i' | b'y') {
            return true;
        }
        if *wanted != letter {
            return false;
        }
    }
    true
}

fn keeps_three(language: Language) -> bool {
    matches!(
        language,
        Language::English
            | Language::German
            | Language::French
            | Language::Spanish
            | Language::Italian
            | Language::Portuguese
            | Language::Dutch
    )
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
        /// Passing words over must never lose one that is wanted.
        #[test]
        fn selecting_finds_every_wanted_term(text in "[a-eA-E '.,é-]{0,60}", wanted in "[a-e]{1,4}") {
            let analyser = Analyser::new(Language::English);
            let mut all = 0;
            analyser.terms(&text, |term| all += usize::from(term.text == wanted));
            let mut selected = 0;
            let initials = Initials::of(Language::English, [wanted.as_str()].into_iter());
            analyser.select(&text, &initials, &mut |term| selected += usize::from(term.text == wanted));
            prop_assert_eq!(all, selected);
        }

        #[test]
        fn any_text_gives_bounded_terms(text in "\\PC{0,200}", code in 0_u8..20) {
            let language = Language::from_code(code).unwrap_or_default();
            Analyser::new(language).terms(&text, |term| {
                assert!(!term.text.is_empty() && term.text.len() <= MAX_TERM_BYTES);
            });
        }
    }
}
