//! Searching an opened index.
//!
//! Owns: adding up impacts, the best few, and how much of the question each covers.
//! Never does: allocation per posting: one array of scores per search, and the result.

use super::query::Word;
use super::{Hit, Impact, Index, Query};

/// The most hits that a search gives.
const MAX_HITS: usize = 64;

impl Index {
    /// The best `k` chunks for a question, best first. `k` is cut to 64.
    pub fn search(&self, question: &str, k: usize) -> Vec<Hit> {
        self.search_query(&self.analyse(question), k)
    }

    /// As [`Self::search`], for a question that was analysed by this very index.
    pub fn search_query(&self, query: &Query, k: usize) -> Vec<Hit> {
        let k = k.min(MAX_HITS);
        if k == 0 || self.ordinals.is_empty() {
            return Vec::new();
        }
        let mut scores = vec![0.0_f32; self.ordinals.len()];
        for word in &query.words {
            for form in &word.forms {
                let Some(place) = form.place else { continue };
                let factor = word.factor * form.factor;
                for impact in self.postings_of(place) {
                    if let Some(score) = scores.get_mut(impact.unit as usize) {
                        *score += factor * impact.score;
                    }
                }
            }
        }
        let mut best: Vec<Impact> = Vec::with_capacity(k + 1);
        for (unit, &score) in scores.iter().enumerate() {
            let worst = best.last().map_or(0.0, |worst| worst.score);
            if score <= 0.0 || (best.len() == k && score <= worst) {
                continue;
            }
            let at = best.partition_point(|other| other.score >= score);
            best.insert(at, Impact { unit: unit as u32, score });
            best.truncate(k);
        }
        let total = query.total_weight();
        best.iter()
            .filter_map(|impact| {
                let ordinal = *self.ordinals.get(impact.unit as usize)?;
                let covered: f32 = query.words.iter().map(|word| word.weight * self.has(word, impact.unit)).sum();
                Some(Hit { ordinal, score: impact.score, coverage: if total > 0.0 { covered / total } else { 0.0 } })
            })
            .collect()
    }

    /// How far a unit has a word, 0 to 1: in full with the word itself, in part with other forms of it.
    fn has(&self, word: &Word, unit: u32) -> f32 {
        if word.weight == 0.0 {
            return 0.0;
        }
        let mut has = 0.0_f32;
        for form in &word.forms {
            let Some(place) = form.place else { continue };
            let postings = self.postings_of(place);
            if postings.binary_search_by_key(&unit, |impact| impact.unit).is_ok() {
                has += form.stands_for;
                if has >= 1.0 {
                    return 1.0;
                }
            }
        }
        has
    }
}
