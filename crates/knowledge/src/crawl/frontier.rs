//! The addresses that wait, breadth first.
//!
//! Owns: what was seen, how many addresses of one shape are taken, and the bounds of the queue.
//! Never does: fetching, or remembering addresses in full once they were handed out.

use super::address::{self, Scope};
use super::reason::SkipReason;
use std::collections::{HashMap, HashSet, VecDeque};
use url::Url;

/// Fingerprints of addresses that are remembered; beyond, nothing new is taken.
const MAX_SEEN: usize = 200_000;
/// Addresses of one shape that look like dates.
const MAX_DATED: usize = 12;
/// Share of the pages that addresses of one shape may take.
const SHAPE_SHARE: usize = 2;
const MIN_OF_SHAPE: usize = 60;

/// An address with its distance from the start.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) depth: usize,
}

/// What became of an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Queued,
    /// Another site's, or known.
    Ignored,
    /// The queue or the memory of seen addresses is full, or it is too far from the start.
    Left,
    /// Seen for the first time and not worth asking for.
    Refused(Url, SkipReason),
}

#[derive(Debug)]
pub(super) struct Frontier {
    queue: VecDeque<Target>,
    seen: HashSet<u64>,
    shapes: HashMap<u64, usize>,
    max_queue: usize,
    max_of_shape: usize,
    max_depth: usize,
}

impl Frontier {
    pub(super) fn new(max_queue: usize, pages: usize, max_depth: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            seen: HashSet::new(),
            shapes: HashMap::new(),
            max_queue,
            max_of_shape: (pages / SHAPE_SHARE).max(MIN_OF_SHAPE),
            max_depth,
        }
    }

    /// Considers an address that was found at `depth`.
    pub(super) fn admit(&mut self, scope: &Scope, found: &Url, depth: usize) -> Admission {
        let Some(url) = scope.admit(found) else {
            return Admission::Ignored;
        };
        if depth > self.max_depth || self.seen.len() >= MAX_SEEN {
            return Admission::Left;
        }
        if !self.seen.insert(address::key(&url)) {
            return Admission::Ignored;
        }
        if let Some(reason) = address::refuse(&url) {
            return Admission::Refused(url, reason);
        }
        let shape = address::shape(&url);
        if shape.varies || shape.dated {
            let most = if shape.dated { MAX_DATED } else { self.max_of_shape };
            let of_shape = self.shapes.entry(shape.value).or_default();
            *of_shape += 1;
            if *of_shape > most {
                return Admission::Refused(url, SkipReason::Trap("very many addresses look like it"));
            }
        }
        if self.queue.len() >= self.max_queue {
            return Admission::Left;
        }
        self.queue.push_back(Target { url, depth });
        Admission::Queued
    }

    /// Notes an address as known (where a redirect led); false if it was known before.
    pub(super) fn note(&mut self, url: &Url) -> bool {
        self.seen.len() < MAX_SEEN && self.seen.insert(address::key(url))
    }

    pub(super) fn next(&mut self) -> Option<Target> {
        self.queue.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frontier_with(paths: impl IntoIterator<Item = String>) -> (Frontier, Vec<Admission>) {
        let site = Url::parse("https://a.example/").unwrap();
        let scope = Scope::new(&site);
        let mut frontier = Frontier::new(100, 200, 3);
        let admissions = paths.into_iter().map(|path| frontier.admit(&scope, &site.join(&path).unwrap(), 1)).collect();
        (frontier, admissions)
    }

    #[test]
    fn addresses_come_out_once_and_in_order() {
        let (mut frontier, admissions) = frontier_with(["/a", "/b", "/a#x", "https://b.example/"].map(String::from));
        assert_eq!(admissions, [Admission::Queued, Admission::Queued, Admission::Ignored, Admission::Ignored]);
        assert_eq!(frontier.next().unwrap().url.path(), "/a");
        assert_eq!(frontier.next().unwrap().url.path(), "/b");
        assert!(frontier.next().is_none());
    }

    #[test]
    fn a_calendar_is_cut_short_and_a_shop_is_not() {
        let (frontier, _) = frontier_with((0..1_000).map(|at| format!("/events?month={at}")));
        assert_eq!(frontier.len(), MAX_DATED);
        let (frontier, _) = frontier_with((0..80).map(|at| format!("/product/{at}")));
        assert_eq!(frontier.len(), 80);
    }

    #[test]
    fn the_queue_and_the_depth_are_bounded() {
        let (mut frontier, admissions) = frontier_with((0..5_000).map(|at| format!("/page-{}", "x".repeat(at % 900))));
        assert_eq!(frontier.len(), 100);
        assert!(admissions.contains(&Admission::Left));
        let site = Url::parse("https://a.example/").unwrap();
        let deep = site.join("/deep").unwrap();
        assert_eq!(frontier.admit(&Scope::new(&site), &deep, 4), Admission::Left);
    }
}
