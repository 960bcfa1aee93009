//! The newest events of the log that somebody wants, page by page, at a bounded cost a page.
//!
//! Owns: which files are read for a page (from the newest back, those that can hold something alone) and how far a page
//! reaches when its share of reading is used up. Blocks its thread; callers give it one of its own.

use super::file::first_time;
use super::history::{Follower, files};
use super::{filter, time};
use chatward_types::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Bytes after which no further file is begun.
const SHARE: u64 = 64 * 1024 * 1024;

/// What was found.
#[derive(Debug, Default)]
pub struct Newest {
    /// Events with their times, newest first.
    pub events: Vec<(Timestamp, Value)>,
    /// Where the reading ended before the log did: everything later than this is in `events`.
    pub floor: Option<Timestamp>,
}

/// The newest `most` events that are wanted, not older than `since` and not later than `until`.
///
/// # Errors
/// When a file cannot be read.
pub fn newest(
    path: &Path,
    since: Timestamp,
    until: Timestamp,
    most: usize,
    wanted: impl Fn(&Value) -> bool,
) -> io::Result<Newest> {
    let mut kept = BTreeMap::new();
    let mut read = 0;
    let mut floor = None;
    for (age, file) in files(path)?.iter().rev().enumerate() {
        // Nobody knows of a file without a first line when it began; it is read.
        let began = first_time(file);
        if began.is_some_and(|began| began > until) {
            continue;
        }
        let mut lines = if file == path { Follower::new(file) } else { Follower::of_rotated(file) };
        let mut number = 0_u64;
        while let Some(line) = lines.next_line()? {
            number += 1;
            read += line.len() as u64 + 1;
            let event = filter::read_line(&line);
            let at = event["time"].as_str().and_then(time::parse);
            let Some(at) = at.filter(|at| (since..=until).contains(at)) else { continue };
            if !wanted(&event) {
                continue;
            }
            // Of two at one time the later line is the newer one, and a younger file's is newer than an older one's.
            kept.insert((at, std::cmp::Reverse(age), number), event);
            if kept.len() > most {
                kept.pop_first();
            }
        }
        if began.is_some_and(|began| began < since) || kept.len() >= most {
            break;
        }
        // A page that ends at the time at which it began would never end.
        if read >= SHARE && began.is_some_and(|began| began < until) {
            floor = began;
            break;
        }
    }
    Ok(Newest { events: kept.into_iter().rev().map(|((at, ..), event)| (at, event)).collect(), floor })
}
