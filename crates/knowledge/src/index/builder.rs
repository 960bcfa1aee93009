//! Building an index, chunk by chunk, into segments of bounded size.
//!
//! Owns: how much a word in the title or heading counts, and when a segment is full.
//! Never does: keeping texts; a chunk is forgotten once its words are counted.

use super::feature::{self, Vocabulary};
use super::segment::{MAX_FREQUENCY, MAX_ORDINAL, MAX_UNITS, Posting, Segment, Unit};
use super::{IndexError, MAX_INDEXED_CHUNKS};
use crate::language::Language;
use crate::words::Analyser;
use std::collections::BTreeMap;

/// Frequencies are counted in quarters.
pub(super) const QUARTERS: u32 = 4;
const TEXT_WEIGHT: u32 = 4;
const HEADING_WEIGHT: u32 = 6;
const TITLE_WEIGHT: u32 = 6;
/// Postings after which a segment is closed, about half a megabyte.
const FULL_POSTINGS: usize = 200_000;

/// Collects chunks into segments.
#[derive(Debug)]
pub struct IndexBuilder {
    vocabulary: Vocabulary,
    done: Vec<Vec<u8>>,
    units: Vec<Unit>,
    terms: BTreeMap<Box<str>, Vec<Posting>>,
    postings: usize,
    chunks: usize,
    last: Option<i64>,
}

impl IndexBuilder {
    /// A builder for a site in `language`.
    pub fn new(language: Language) -> Self {
        Self {
            vocabulary: Vocabulary::new(Analyser::new(language)),
            done: Vec::new(),
            units: Vec::new(),
            terms: BTreeMap::new(),
            postings: 0,
            chunks: 0,
            last: None,
        }
    }

    /// Adds a chunk. Ordinals must ascend from call to call and lie between 0 and 2^48.
    ///
    /// # Errors
    /// [`IndexError::Corrupt`] for an ordinal out of order, [`IndexError::TooLarge`] beyond the cap on chunks.
    pub fn add(&mut self, ordinal: i64, title: &str, heading: &str, text: &str) -> Result<(), IndexError> {
        if !(0..=MAX_ORDINAL).contains(&ordinal) || self.last.is_some_and(|last| ordinal <= last) {
            return Err(IndexError::Corrupt("ordinals do not ascend"));
        }
        if self.chunks >= MAX_INDEXED_CHUNKS {
            return Err(IndexError::TooLarge);
        }
        if self.units.len() >= MAX_UNITS || self.postings >= FULL_POSTINGS {
            self.close();
        }
        self.last = Some(ordinal);
        self.chunks += 1;
        let unit = self.units.len() as u32;
        let mut length = 0_u32;
        for (field, weight) in [(text, TEXT_WEIGHT), (heading, HEADING_WEIGHT), (title, TITLE_WEIGHT)] {
            let (terms, postings) = (&mut self.terms, &mut self.postings);
            self.vocabulary.analyser().terms(field, |term| {
                length = length.saturating_add(1);
                *postings += usize::from(count(terms, term.text, unit, weight));
            });
        }
        for feature in feature::of_text(text) {
            self.postings += usize::from(count(&mut self.terms, feature.term(), unit, TEXT_WEIGHT));
        }
        self.units.push(Unit { ordinal, length: length.min(MAX_FREQUENCY) });
        Ok(())
    }

    /// How many chunks were added.
    pub fn len(&self) -> usize {
        self.chunks
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.chunks == 0
    }

    /// The segments, each at most about a megabyte. An empty site has one empty segment, which tells it from a site
    /// whose segments are lost.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        if !self.units.is_empty() || self.done.is_empty() {
            self.close();
        }
        self.done
    }

    fn close(&mut self) {
        self.postings = 0;
        let segment = Segment {
            language: self.vocabulary.analyser().language(),
            units: std::mem::take(&mut self.units),
            terms: std::mem::take(&mut self.terms)
                .into_iter()
                .map(|(term, postings)| (String::from(term), postings))
                .collect(),
        };
        self.done.push(segment.encode());
    }
}

/// Counts one occurrence; true when the term is new to this unit.
fn count(terms: &mut BTreeMap<Box<str>, Vec<Posting>>, term: &str, unit: u32, weight: u32) -> bool {
    let list = match terms.get_mut(term) {
        Some(list) => list,
        None => terms.entry(term.into()).or_default(),
    };
    match list.last_mut().filter(|posting| posting.unit == unit) {
        Some(posting) => {
            posting.frequency = posting.frequency.saturating_add(weight).min(MAX_FREQUENCY);
            false
        }
        None => {
            list.push(Posting { unit, frequency: weight });
            true
        }
    }
}
