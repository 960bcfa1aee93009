//! A question, analysed against one index.
//!
//! Owns: its words with their rarity, their other forms (words for the same thing, parts of a compound, the nearest
//! spelling) and how much each counts.
//! Never does: scoring chunks (see `search`) or judging answers (see `answer`, which measures sentences with it).

use super::feature::{self, Feature, Vocabulary};
use super::{Index, rarity};
use crate::fingerprint;
use crate::language::Language;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Words of a question that are looked at; a question is at most a thousand characters anyway.
const MAX_WORDS: usize = 64;
/// Other forms of one word.
const MAX_FORMS: usize = 8;
/// A word for the same thing: less when ranking, nearly as good when it comes to whether a text answers.
const ALIKE: Worth = Worth { ranking: 0.5, answering: 0.8 };
/// The nearest spelling, or a longer word that begins with it, for a word that the site never uses.
const NEAR: Worth = Worth { ranking: 0.7, answering: 0.8 };
/// One part of a compound.
const PART: Worth = Worth { ranking: 0.5, answering: 0.6 };
/// What a general word ("number", "policy") counts beside one that names a thing.
const GENERAL_WEIGHT: f32 = 0.3;
/// How much a word without a meaning of its own counts when ranking.
const STOP_FACTOR: f32 = 0.15;
/// The same for a pair of characters: the other half of it may mean much.
const STOP_PAIR_FACTOR: f32 = 0.7;

/// A question's words, ready for searching and for measuring sentences.
pub struct Query {
    pub(super) vocabulary: Arc<Vocabulary>,
    pub(super) words: Vec<Word>,
}

#[derive(Debug, Clone, Copy)]
struct Worth {
    ranking: f32,
    answering: f32,
}

#[derive(Debug)]
pub(super) struct Word {
    pub(super) forms: Vec<Form>,
    /// What it counts when deciding whether a text covers the question; 0 for words without meaning.
    pub(super) weight: f32,
    /// What it counts when ranking.
    pub(super) factor: f32,
    /// Whether the site uses it at all.
    known: bool,
    asks: Option<Feature>,
}

#[derive(Debug)]
pub(super) struct Form {
    /// The fingerprint of the term, which stands for it.
    print: u64,
    /// Its place in the index, if the index has it.
    pub(super) place: Option<usize>,
    /// What it counts when ranking, beside the word itself.
    pub(super) factor: f32,
    /// How far a text that has it has the word.
    pub(super) stands_for: f32,
}

/// The words of a text, to measure questions against: eight bytes each, in order of their fingerprints.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    prints: Box<[u64]>,
    money: bool,
    time: bool,
}

impl Reading {
    pub(crate) fn of(vocabulary: &Vocabulary, text: &str) -> Self {
        let mut prints = Vec::new();
        vocabulary.analyser().terms(text, |term| prints.push(fingerprint::of(term.text.as_bytes())));
        prints.sort_unstable();
        prints.dedup();
        let mut reading = Self { prints: prints.into(), ..Self::default() };
        for feature in feature::of_text(text) {
            match feature {
                Feature::Money => reading.money = true,
                Feature::Time => reading.time = true,
            }
        }
        reading
    }

    fn has(&self, feature: Feature) -> bool {
        match feature {
            Feature::Money => self.money,
            Feature::Time => self.time,
        }
    }
}

impl Index {
    /// Analyses a question against this index.
    pub fn analyse(&self, question: &str) -> Query {
        let mut words: Vec<Word> = Vec::with_capacity(12);
        let units = self.ordinals.len().max(1) as f32;
        let rarest = rarity(units, 0.0).max(f32::MIN_POSITIVE);
        self.vocabulary.analyser().terms(question, |term| {
            let print = fingerprint::of(term.text.as_bytes());
            if words.len() >= MAX_WORDS || words.iter().any(|word| word.forms[0].print == print) {
                return;
            }
            let place = self.find(term.text);
            let mut forms = vec![Form { print, place, factor: 1.0, stands_for: 1.0 }];
            let mut asks = None;
            let mut known = place.is_some();
            if !term.stop {
                asks = self.vocabulary.asks_for(term.text);
                self.other_forms(term.text, term.pair, known, &mut forms);
                known = forms.iter().any(|form| form.place.is_some());
            }
            let rare = place.map_or(rarest, |place| self.terms[place].rarity);
            let weight = match (term.stop, asks) {
                (true, _) => 0.0,
                // What is asked for ("how much", "how long") is rarely said in the answer.
                (false, Some(_)) => 0.25 + 0.25 * rare / rarest,
                (false, None) if self.vocabulary.is_general(term.text) => GENERAL_WEIGHT,
                (false, None) => 0.4 + 0.6 * rare / rarest,
            };
            words.push(Word {
                forms,
                weight,
                factor: match (term.stop, term.pair) {
                    (false, _) => 1.0,
                    (true, false) => STOP_FACTOR,
                    (true, true) => STOP_PAIR_FACTOR,
                },
                known,
                asks,
            });
        });
        if words.iter().all(|word| word.weight == 0.0) {
            for word in &mut words {
                word.factor = 1.0;
            }
        }
        Query { vocabulary: Arc::clone(&self.vocabulary), words }
    }

    /// Reads a text once, so that questions can be measured against it often.
    pub fn read(&self, text: &str) -> Reading {
        Reading::of(&self.vocabulary, text)
    }

    /// The other forms of a term, of which it is `known` whether the index has it.
    fn other_forms(&self, term: &str, pair: bool, known: bool, forms: &mut Vec<Form>) {
        let mut add = |term: &str, worth: Worth| {
            let print = fingerprint::of(term.as_bytes());
            if forms.len() < MAX_FORMS && forms.iter().all(|form| form.print != print) {
                let (place, factor, stands_for) = (self.find(term), worth.ranking, worth.answering);
                forms.push(Form { print, place, factor, stands_for });
            }
        };
        for alike in self.vocabulary.alike(term) {
            add(alike, ALIKE);
        }
        if let Some(feature) = self.vocabulary.asks_for(term) {
            add(feature.term(), ALIKE);
        }
        if pair || term.len() < 4 || term.bytes().any(|byte| byte.is_ascii_digit()) {
            return;
        }
        let compounds = self.language().compounds();
        if compounds && !known {
            let parts = self.split(term);
            for part in &parts {
                add(part, PART);
            }
            if !parts.is_empty() {
                return;
            }
        }
        // In a language of compounds Versand also finds Versandkosten, whether or not it stands alone somewhere.
        if compounds || !known {
            let worth = if known { ALIKE } else { NEAR };
            for place in self.beginning_with(term).filter(|&at| *self.terms[at].term != *term).take(MAX_FORMS) {
                add(&self.terms[place].term, worth);
            }
        }
        if !known && term.len() >= 5 {
            for place in self.same_initial(term) {
                if is_one_slip_away(&self.terms[place].term, term) {
                    add(&self.terms[place].term, NEAR);
                }
            }
        }
    }

    fn beginning_with<'a>(&'a self, start: &'a str) -> impl Iterator<Item = usize> + 'a {
        let from = self.terms.partition_point(|entry| &*entry.term < start);
        (from..self.terms.len()).take_while(move |&at| self.terms[at].term.starts_with(start))
    }

    fn same_initial(&self, term: &str) -> Range<usize> {
        let initial = term.chars().next().unwrap_or_default();
        let from = self.terms.partition_point(|entry| &*entry.term < initial.encode_utf8(&mut [0; 4]) as &str);
        let to = self.terms[from..].partition_point(|entry| entry.term.starts_with(initial));
        from..from + to
    }

    /// The known parts of a compound, the longest first part winning; a linking sound between them is dropped. A second
    /// part that asks for something ("-kosten") counts as known.
    fn split<'a>(&'a self, term: &'a str) -> Vec<&'a str> {
        const SHORTEST: usize = 4;
        if term.len() < 2 * SHORTEST {
            return Vec::new();
        }
        for at in (SHORTEST..=term.len() - SHORTEST).rev() {
            if !term.is_char_boundary(at) {
                continue;
            }
            let (first, second) = term.split_at(at);
            let asks = self.vocabulary.asks_for(second).map(Feature::term);
            let Some(second) = self.find(second).map(|_| second).or(asks) else {
                continue;
            };
            let first = ["", "s", "es", "n", "en", "e"]
                .iter()
                .filter_map(|link| first.strip_suffix(link))
                .find(|first| first.len() >= SHORTEST && self.find(first).is_some());
            if let Some(first) = first {
                return vec![first, second];
            }
        }
        Vec::new()
    }
}

impl Query {
    /// The language that the question was analysed in.
    pub fn language(&self) -> Language {
        self.vocabulary.analyser().language()
    }

    /// How many of its words mean something.
    pub fn meaning_words(&self) -> usize {
        self.words.iter().filter(|word| word.weight > 0.0).count()
    }

    /// How many of its meaning words the site never uses, in any form.
    pub fn unknown_words(&self) -> usize {
        self.words.iter().filter(|word| word.weight > 0.0 && !word.known).count()
    }

    /// The sum of all words' weights.
    pub(super) fn total_weight(&self) -> f32 {
        self.words.iter().map(|word| word.weight).sum()
    }

    /// Reads a text for [`Self::measure`].
    pub(crate) fn read(&self, text: &str) -> Reading {
        Reading::of(&self.vocabulary, text)
    }

    /// How far a text has each word, 0 to 1, in the order of the words. It never has one that means nothing.
    pub(crate) fn measure<'a>(&'a self, text: &'a Reading) -> impl Iterator<Item = f32> + 'a {
        let has = move |word: &Word| {
            if word.weight == 0.0 {
                return 0.0;
            }
            // In a sentence the amount itself is better than the word for it.
            if word.asks.is_some_and(|feature| text.has(feature)) {
                return 1.0;
            }
            let found = word.forms.iter().filter(|form| text.prints.binary_search(&form.print).is_ok());
            found.map(|form| form.stands_for).fold(0.0, f32::max)
        };
        self.words.iter().map(has)
    }

    /// The weights of the words, in the same order as [`Self::measure`] goes through them.
    pub(crate) fn weights(&self) -> impl Iterator<Item = f32> + '_ {
        self.words.iter().map(|word| word.weight)
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A visitor's words do not belong in a log.
        f.debug_struct("Query").field("words", &self.words.len()).finish_non_exhaustive()
    }
}

/// Whether one letter more, less, other or exchanged with its neighbour makes one word the other.
fn is_one_slip_away(one: &str, other: &str) -> bool {
    let (a, b) = (one.as_bytes(), other.as_bytes());
    if a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    match (a, b) {
        ([], []) => true,
        ([_], []) | ([], [_]) | ([_], [_]) => true,
        ([p, q], [r, s]) => p == s && q == r,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_is_near_and_two_are_not() {
        for (one, other) in [("ship", "shp"), ("canda", "canada"), ("recieve", "receive"), ("mug", "mud")] {
            assert!(is_one_slip_away(one, other), "{one} {other}");
        }
        for (one, other) in [("ship", "shop s"), ("return", "rtrn"), ("ab", "cd")] {
            assert!(!is_one_slip_away(one, other), "{one} {other}");
        }
    }
}
