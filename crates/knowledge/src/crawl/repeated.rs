//! What stands on page after page is not the content of any of them.
//!
//! Owns: counting the blocks of a crawl and telling which have been on several pages already.
//! Never does: touching long paragraphs, which pages repeat on purpose, or removing all of a page.

use crate::extract::Block;
use crate::fingerprint;
use std::collections::HashMap;

/// Pages that keep a repeated block: the first ones that have it, so that an answer in a footer stays findable.
const KEPT_ON: u16 = 3;
/// Longer blocks are never taken for page furniture.
const MAX_CHARS: usize = 300;
const MAX_KNOWN: usize = 50_000;

#[derive(Debug, Default)]
pub(super) struct Repeated {
    pages: HashMap<u64, u16>,
}

impl Repeated {
    /// Removes from a page what the first pages already had, and counts the rest.
    pub(super) fn remove_from(&mut self, blocks: &mut Vec<Block>) {
        let mut on_this_page = Vec::with_capacity(blocks.len());
        let keep: Vec<bool> = blocks
            .iter()
            .map(|block| {
                if block.text.len() > MAX_CHARS {
                    return true;
                }
                let of = fingerprint::of(block.text.as_bytes());
                on_this_page.push(of);
                self.pages.get(&of).is_none_or(|pages| *pages < KEPT_ON)
            })
            .collect();
        on_this_page.sort_unstable();
        on_this_page.dedup();
        for of in on_this_page {
            if self.pages.len() < MAX_KNOWN || self.pages.contains_key(&of) {
                let pages = self.pages.entry(of).or_default();
                *pages = pages.saturating_add(1);
            }
        }
        if keep.iter().any(|keep| *keep) {
            let mut keep = keep.into_iter();
            blocks.retain(|_| keep.next().unwrap_or(true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn furniture_stays_on_the_first_pages_only() {
        let mut repeated = Repeated::default();
        let mut left = Vec::new();
        for at in 0..6 {
            let mut blocks = vec![
                Block { heading_path: "".into(), text: "Call 555 0100".to_owned() },
                Block { heading_path: "".into(), text: format!("Page {at}") },
            ];
            repeated.remove_from(&mut blocks);
            left.push(blocks.len());
        }
        assert_eq!(left, [2, 2, 2, 1, 1, 1]);
        let mut only = vec![Block { heading_path: "".into(), text: "Call 555 0100".to_owned() }];
        repeated.remove_from(&mut only);
        assert_eq!(only.len(), 1, "a page is never emptied");
    }
}
