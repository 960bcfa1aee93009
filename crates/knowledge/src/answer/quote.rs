//! The sentences of a passage that answer best.
//!
//! Owns: measuring sentences against a question and choosing one to three neighbours.
//! Never does: changing a character; a quote is always a slice of the passage.

use crate::index::{Query, Reading};
use crate::sentence::sentences;
use std::ops::Range;

const MAX_SENTENCES: usize = 3;
/// A quote longer than this is not lengthened further.
const MAX_BYTES: usize = 420;
/// A single sentence longer than this is cut at a space.
const MAX_SINGLE_BYTES: usize = 900;
/// A quote shorter than this takes its neighbour on the next line along.
const SHORT_BYTES: usize = 40;
/// The reply to a question in a heading is given this much room.
const REPLY_BYTES: usize = 120;
/// The share of a question that a heading must have for the text below to be its reply.
const ASKED: f32 = 0.6;
/// What a word in the heading counts for each sentence below.
const FROM_ABOVE: f32 = 0.8;
/// Sentences of a passage that are looked at.
const MAX_LOOKED_AT: usize = 60;
/// What another sentence must add to be worth reading.
const WORTH: f32 = 0.12;

/// A quote and how well it covers the question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quote<'a> {
    /// A slice of the passage.
    pub text: &'a str,
    /// How much of the question heading and quote cover together, weighted, 0 to 1.
    pub measure: f32,
}

/// The best one to three neighbouring sentences of `text`, verbatim.
pub fn best_quote<'a>(query: &Query, text: &'a str) -> &'a str {
    quote(query, "", text).text
}

/// A passage that was read once, so that each further quote of it costs a fraction.
#[derive(Debug, Clone)]
pub struct Sentences {
    heading: Reading,
    ranges: Box<[Range<usize>]>,
    readings: Box<[Reading]>,
}

impl Sentences {
    /// Reads the passage `text` below `heading`, each part of it by `read`.
    pub fn of(heading: &str, text: &str, read: impl Fn(&str) -> Reading) -> Self {
        let mut ranges = sentences(text);
        ranges.truncate(MAX_LOOKED_AT);
        let readings = ranges.iter().map(|range| read(&text[range.clone()])).collect();
        Self { heading: read(heading), ranges: ranges.into(), readings }
    }
}

/// As [`best_quote`], with the passage's heading counted towards what is covered, and the measure.
pub fn quote<'a>(query: &Query, heading: &str, text: &'a str) -> Quote<'a> {
    quote_of(query, heading, text, &Sentences::of(heading, text, |part| query.read(part)))
}

/// As [`quote`], of a passage that was read before: `read` must be of the same heading and text, by the same index.
pub fn quote_of<'a>(query: &Query, heading: &str, text: &'a str, read: &Sentences) -> Quote<'a> {
    let ranges = &read.ranges[..];
    let weights: Vec<f32> = query.weights().collect();
    let total: f32 = weights.iter().sum::<f32>().max(f32::MIN_POSITIVE);
    let above: Vec<f32> = query.measure(&read.heading).collect();
    let mut found = Table { cells: Vec::with_capacity(ranges.len() * weights.len()), width: weights.len() };
    found.cells.extend(read.readings.iter().flat_map(|sentence| query.measure(sentence)));
    if ranges.is_empty() {
        return Quote { text: "", measure: 0.0 };
    }
    let asked_above = heading.ends_with(['?', '？']) && sum(&weights, &above) / total >= ASKED;
    let adds = |has: &[f32]| has.iter().zip(&above).any(|(has, above)| has > above);
    let (from, to) = if asked_above {
        (0, 0)
    } else if (0..ranges.len()).any(|sentence| adds(found.row(sentence))) {
        choose(ranges, &weights, &above, &found)
    } else {
        // The heading says all that the text says of the question, so the section from its start is the answer.
        (
            0,
            (0..ranges.len().min(MAX_SENTENCES))
                .rfind(|&to| ranges[to].end - ranges[0].start <= MAX_BYTES)
                .unwrap_or(0),
        )
    };
    let to = lengthen(text, ranges, from, to, asked_above);
    let mut has = above;
    for sentence in from..=to {
        merge(&mut has, found.row(sentence));
    }
    Quote { text: cut(&text[ranges[from].start..ranges[to].end]), measure: sum(&weights, &has) / total }
}

/// How far each sentence has each word of the question.
struct Table {
    cells: Vec<f32>,
    width: usize,
}

impl Table {
    fn row(&self, sentence: usize) -> &[f32] {
        &self.cells[sentence * self.width..(sentence + 1) * self.width]
    }
}

/// The neighbours that cover most of the question, each further one having to be worth it. What the heading covers
/// counts nearly as if each sentence said it, so that the sentence which adds something wins.
fn choose(ranges: &[Range<usize>], weights: &[f32], above: &[f32], found: &Table) -> (usize, usize) {
    let total = weights.iter().sum::<f32>().max(f32::MIN_POSITIVE);
    let mut best = (f32::MIN, 0, 0);
    let mut has = Vec::with_capacity(above.len());
    for from in 0..ranges.len() {
        has.clear();
        has.extend(above.iter().map(|above| above * FROM_ABOVE));
        for to in from..ranges.len().min(from + MAX_SENTENCES) {
            if to > from && ranges[to].end - ranges[from].start > MAX_BYTES {
                break;
            }
            merge(&mut has, found.row(to));
            let measure = sum(weights, &has) / total - WORTH * (to - from) as f32;
            if measure > best.0 {
                best = (measure, from, to);
            }
        }
    }
    (best.1, best.2)
}

fn merge(has: &mut [f32], more: &[f32]) {
    for (has, more) in has.iter_mut().zip(more) {
        *has = has.max(*more);
    }
}

fn sum(weights: &[f32], has: &[f32]) -> f32 {
    weights.iter().zip(has).map(|(weight, has)| weight * has).sum()
}

/// A question or an announcement is nothing without what follows, and a scrap is little.
fn lengthen(text: &str, ranges: &[Range<usize>], from: usize, to: usize, reply: bool) -> usize {
    let mut to = to;
    while to + 1 < ranges.len() && to - from + 1 < MAX_SENTENCES {
        let last = &text[ranges[to].clone()];
        let open = last.ends_with([':', '?', '？', '：']);
        let least = if reply { REPLY_BYTES } else { SHORT_BYTES };
        let short = ranges[to].end - ranges[from].start < least;
        let fits = ranges[to + 1].end - ranges[from].start <= MAX_BYTES;
        if !fits || !(open || short) {
            break;
        }
        to += 1;
    }
    to
}

fn cut(quote: &str) -> &str {
    if quote.len() <= MAX_SINGLE_BYTES {
        return quote;
    }
    let end = quote.floor_char_boundary(MAX_SINGLE_BYTES);
    let end = quote[..end].rfind(' ').filter(|at| *at > end / 2).unwrap_or(end);
    &quote[..end]
}
