//! The lexical index of one site: BM25 over chunks.
//!
//! Owns: building segments ([`IndexBuilder`]), opening them into memory ([`Index`]), searching, and the weights of
//! title and heading. Every site has statistics of its own; nothing is shared between tenants.
//! Never does: storage or caching (the caller keeps segments in its database and an opened index in an `Arc`), reading
//! chunk texts, deciding what to answer (see `answer`). Opening survives any bytes whatever.

mod builder;
mod feature;
mod query;
mod search;
mod segment;

pub use builder::IndexBuilder;
pub use query::{Query, Reading};

use crate::language::Language;
use crate::words::Analyser;
use feature::Vocabulary;
use segment::{MAX_UNITS, Posting, Segment, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// BM25's saturation of repeated words.
const K1: f32 = 0.9;
/// BM25's discount for long texts.
const B: f32 = 0.4;
/// All segments of a site together may not be larger than this, in bytes.
pub const MAX_INDEX_BYTES: usize = 32 << 20;
/// Chunks that one site's index may hold.
pub const MAX_INDEXED_CHUNKS: usize = 64 * MAX_UNITS;

/// A chunk that matches a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The ordinal that was given to [`IndexBuilder::add`].
    pub ordinal: i64,
    /// BM25 score; comparable within one search only.
    pub score: f32,
    /// How much of the question's meaning-bearing words the chunk contains, weighted by how rare they are, 0 to 1.
    pub coverage: f32,
}

/// Why segments cannot be opened. The remedy is always a new crawl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexError {
    /// The bytes are not what was written.
    Checksum,
    /// Written by another version of the program, whose number this is.
    Version(u8),
    /// The structure is wrong; the text says where.
    Corrupt(&'static str),
    /// Larger than [`MAX_INDEX_BYTES`] or [`MAX_INDEXED_CHUNKS`].
    TooLarge,
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum => f.write_str("the index is damaged (its checksum does not hold)"),
            Self::Version(version) => {
                write!(f, "the index was written in format {version}; crawl the site again")
            }
            Self::Corrupt(what) => write!(f, "the index is damaged ({what})"),
            Self::TooLarge => f.write_str("the index is too large"),
        }
    }
}

impl std::error::Error for IndexError {}

/// An opened index. Immutable; share it in an `Arc`.
pub struct Index {
    vocabulary: Arc<Vocabulary>,
    ordinals: Vec<i64>,
    /// Ascending, for look-up by bisection and for neighbours of a misspelt word.
    terms: Vec<Entry>,
    postings: Vec<Impact>,
}

#[derive(Debug)]
struct Entry {
    term: Box<str>,
    /// Rarity: the logarithm of how few chunks have the term.
    rarity: f32,
    from: u32,
    to: u32,
}

/// What a term adds to a unit's score; all of BM25 is done when opening.
#[derive(Debug, Clone, Copy)]
struct Impact {
    unit: u32,
    score: f32,
}

impl Index {
    /// Opens the segments of one site's generation, in any order. No segment at all is an empty index.
    ///
    /// # Errors
    /// When bytes are damaged, of another version, or too large.
    pub fn open<S: AsRef<[u8]>>(segments: &[S]) -> Result<Self, IndexError> {
        let total = segments.iter().try_fold(0_usize, |sum, segment| sum.checked_add(segment.as_ref().len()));
        if total.is_none_or(|total| total > MAX_INDEX_BYTES) {
            return Err(IndexError::TooLarge);
        }
        let mut decoded =
            segments.iter().map(|bytes| Segment::decode(bytes.as_ref())).collect::<Result<Vec<_>, _>>()?;
        // The order of segments must not change the order of equal hits.
        decoded.sort_by_key(|segment| segment.units.first().map(|unit| unit.ordinal));
        let language = decoded.first().map(|segment| segment.language);
        let mut units: Vec<Unit> = Vec::new();
        let mut merged: BTreeMap<Box<str>, Vec<Posting>> = BTreeMap::new();
        for segment in decoded {
            if language != Some(segment.language) {
                return Err(IndexError::Corrupt("segments of different languages"));
            }
            if let (Some(last), Some(first)) = (units.last(), segment.units.first())
                && last.ordinal >= first.ordinal
            {
                return Err(IndexError::Corrupt("segments overlap"));
            }
            let offset = units.len() as u32;
            units.extend_from_slice(&segment.units);
            if units.len() > MAX_INDEXED_CHUNKS {
                return Err(IndexError::TooLarge);
            }
            for (term, postings) in segment.terms {
                merged.entry(term.into_boxed_str()).or_default().extend(
                    postings
                        .iter()
                        .map(|posting| Posting { unit: posting.unit + offset, frequency: posting.frequency }),
                );
            }
        }
        Ok(Self::assemble(language.unwrap_or_default(), &units, merged))
    }

    fn assemble(language: Language, units: &[Unit], merged: BTreeMap<Box<str>, Vec<Posting>>) -> Self {
        let count = units.len().max(1) as f32;
        let total: f64 = units.iter().map(|unit| f64::from(unit.length)).sum();
        let average = (total as f32 / count).max(1.0);
        let mut terms = Vec::with_capacity(merged.len());
        let mut postings = Vec::with_capacity(merged.values().map(Vec::len).sum());
        for (term, list) in merged {
            let rarity = rarity(count, list.len() as f32);
            let from = postings.len() as u32;
            postings.extend(list.iter().map(|posting| {
                let length = units.get(posting.unit as usize).map_or(average, |unit| unit.length as f32);
                let frequency = posting.frequency as f32 / builder::QUARTERS as f32;
                let norm = K1 * (1.0 - B + B * length / average);
                Impact { unit: posting.unit, score: rarity * frequency * (K1 + 1.0) / (frequency + norm) }
            }));
            let to = postings.len() as u32;
            terms.push(Entry { term, rarity, from, to });
        }
        Self {
            vocabulary: Arc::new(Vocabulary::new(Analyser::new(language))),
            ordinals: units.iter().map(|unit| unit.ordinal).collect(),
            terms,
            postings,
        }
    }

    /// The language that questions are analysed in.
    pub fn language(&self) -> Language {
        self.vocabulary.analyser().language()
    }

    /// How many chunks it holds.
    pub fn len(&self) -> usize {
        self.ordinals.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.ordinals.is_empty()
    }

    /// About how many bytes of memory it takes, for a bounded cache.
    pub fn memory_bytes(&self) -> usize {
        let term_bytes: usize = self.terms.iter().map(|entry| entry.term.len()).sum();
        size_of::<Self>()
            + term_bytes
            + self.terms.len() * size_of::<Entry>()
            + self.postings.len() * size_of::<Impact>()
            + self.ordinals.len() * size_of::<i64>()
    }

    fn find(&self, term: &str) -> Option<usize> {
        self.terms.binary_search_by(|entry| (*entry.term).cmp(term)).ok()
    }

    fn postings_of(&self, term: usize) -> &[Impact] {
        self.terms
            .get(term)
            .and_then(|entry| self.postings.get(entry.from as usize..entry.to as usize))
            .unwrap_or_default()
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("language", &self.language())
            .field("chunks", &self.ordinals.len())
            .field("terms", &self.terms.len())
            .finish_non_exhaustive()
    }
}

/// BM25's inverse document frequency, never negative.
fn rarity(units: f32, containing: f32) -> f32 {
    (1.0 + (units - containing + 0.5).max(0.0) / (containing + 0.5)).ln()
}

#[cfg(test)]
mod tests;
