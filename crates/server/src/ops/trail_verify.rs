//! Whether the audit trail is as it was written, and which record is the first that is not.
//!
//! Walks the chain in pages, with the trail's keys and with heads that were kept elsewhere. Owns: the names of what can
//! have happened to it, and the pruning, which takes records from the beginning and leaves a signed one that says so.
//! What was written after the newest head can be cut off unnoticed; the report says from where on.

use crate::app::App;
use crate::ops::trail::{self, Actor};
use crate::ops::trail_heads::Heads;
use chatward_store::{TRAIL_GENESIS, TrailRow};
use chatward_types::{Error, EventName, Outcome, Result, Severity, Timestamp};
use serde::{Deserialize, Serialize};

/// Records that are read at once.
const PAGE: u32 = 500;

/// What happened to the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// A record's content was changed.
    Edited,
    /// Records were taken out.
    Dropped,
    /// A record that this installation did not write.
    Inserted,
    /// The end was cut off, or an older copy was put back.
    Truncated,
    /// An older copy was put back and written on: another history than the one that was signed.
    RolledBack,
    /// The file of heads holds one that was not signed here.
    ForgedHead,
}

/// The first fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What happened.
    pub what: Wrong,
    /// The record's number.
    pub record: i64,
    /// The same in words.
    pub text: String,
}

/// What a walk found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Records that are there and hold.
    pub records: u64,
    /// The number of the first one that is there.
    pub first: i64,
    /// The number of the last one.
    pub last: i64,
    /// The newest head that was compared; records above it are held by the chain alone.
    pub newest_head: Option<i64>,
    /// The first fault, if there is one.
    pub fault: Option<Fault>,
}

/// What the record of a pruning says.
#[derive(Debug, Serialize, Deserialize)]
struct Pruned {
    through: i64,
    hash: String,
}

struct Walk<'a> {
    app: &'a App,
    heads: &'a Heads,
    report: Report,
    before: Option<TrailRow>,
    /// What the first record follows, and what the newest pruning says.
    start: String,
    pruned: Option<Pruned>,
    good_head: i64,
}

/// Walks the whole trail.
///
/// # Errors
/// When the store fails.
pub async fn verify(app: &App, heads: &Heads) -> Result<Report> {
    let report = Report { records: 0, first: 0, last: 0, newest_head: None, fault: None };
    let mut walk =
        Walk { app, heads, report, before: None, start: TRAIL_GENESIS.to_owned(), pruned: None, good_head: 0 };
    if let Some(head) = heads.heads.values().find(|head| !head.holds(&app.trail)) {
        let text = format!("the head of record {} in the file was not signed by this installation", head.count);
        walk.report.fault = Some(Fault { what: Wrong::ForgedHead, record: head.count, text });
        return Ok(walk.report);
    }
    let mut after = i64::MIN;
    let mut held: Option<TrailRow> = None;
    loop {
        let page = app.store.trail_after(after, Timestamp::MIN, PAGE).await?;
        let ended = page.len() < PAGE as usize;
        for row in page {
            after = row.seq;
            // One record behind, because what follows tells an edit from an insertion.
            if let Some(waiting) = held.replace(row)
                && let Some(fault) = walk.step(waiting, held.as_ref())
            {
                walk.report.fault = Some(fault);
                return Ok(walk.report);
            }
        }
        if ended {
            break;
        }
    }
    walk.report.fault = match held {
        Some(last) => walk.step(last, None).or_else(|| walk.end()),
        None => walk.end(),
    };
    Ok(walk.report)
}

impl Walk<'_> {
    fn step(&mut self, row: TrailRow, next: Option<&TrailRow>) -> Option<Fault> {
        let (expected, previous) = match &self.before {
            Some(before) => (before.seq + 1, before.hash.clone()),
            None => {
                self.report.first = row.seq;
                self.start.clone_from(&row.previous);
                (row.seq, row.previous.clone())
            }
        };
        if row.seq != expected {
            let text = match row.seq - expected {
                1 => format!("record {expected} was dropped"),
                _ => format!("records {expected} to {} were dropped", row.seq - 1),
            };
            return Some(Fault { what: Wrong::Dropped, record: expected, text });
        }
        if !self.app.trail.holds(&row) {
            return Some(self.judge(&row, &previous, next));
        }
        let head = self.heads.heads.get(&row.seq);
        if row.previous != previous || head.is_some_and(|head| head.hash != row.hash) {
            let text = format!(
                "record {} belongs to another history than the one that was signed: an older copy was put back and \
                 written on, after record {} at the earliest",
                row.seq, self.good_head
            );
            return Some(Fault { what: Wrong::RolledBack, record: row.seq, text });
        }
        if head.is_some() {
            self.good_head = row.seq;
            self.report.newest_head = Some(row.seq);
        }
        if row.name == EventName::AuditTrailPruned.as_str() {
            self.pruned = serde_json::from_str(&row.detail).ok().or(self.pruned.take());
        }
        self.report.records += 1;
        self.report.last = row.seq;
        self.before = Some(row);
        None
    }

    /// What happened at a record whose hash is not ours.
    fn judge(&self, row: &TrailRow, previous: &str, next: Option<&TrailRow>) -> Fault {
        let record = row.seq;
        let fault = |what, text| Fault { what, record, text };
        // A true record under another number: those before it were taken out, or somebody made room before it.
        let moved = |by: i64| self.app.trail.holds(&TrailRow { seq: record + by, ..row.clone() });
        if (1..=16).any(moved) {
            return fault(Wrong::Dropped, format!("record {record} was dropped, and those after it renumbered"));
        }
        let linked = next.is_some_and(|next| next.previous == row.hash);
        let vouched = self.heads.heads.get(&record).is_some_and(|head| head.hash == row.hash);
        if row.previous == previous && (linked || vouched) {
            return fault(Wrong::Edited, format!("record {record} was edited"));
        }
        fault(Wrong::Inserted, format!("record {record} was not written by this installation: inserted, or rewritten"))
    }

    fn end(&self) -> Option<Fault> {
        let newest = self.heads.heads.last_key_value().map_or(0, |(count, _)| *count);
        if newest > self.report.last {
            let record = self.report.last + 1;
            let text = format!(
                "records {record} to {newest}, which a head vouches for, are gone: the end was cut off, or an older \
                 copy was put back"
            );
            return Some(Fault { what: Wrong::Truncated, record, text });
        }
        let missing = match self.report.first {
            0 => return None,
            1 => self.start != TRAIL_GENESIS,
            first => {
                !self.pruned.as_ref().is_some_and(|pruned| pruned.through == first - 1 && pruned.hash == self.start)
            }
        };
        missing.then(|| Fault {
            what: Wrong::Dropped,
            record: 1,
            text: format!(
                "the records before {} were dropped: no record of a pruning vouches for it",
                self.report.first.max(2)
            ),
        })
    }
}

/// Takes away the records that are all older than `before`. The record of it is written first, in the same
/// transaction. Returns how many were taken.
///
/// # Errors
/// [`chatward_types::Kind::Invalid`] when nothing is that old; else when the store fails.
pub async fn prune(app: &App, before: Timestamp) -> Result<u64> {
    let through = app.store.trail_boundary(before).await?;
    let Some(last) = app.store.trail_record(through).await? else {
        return Err(Error::invalid("No record of the audit trail is older than that."));
    };
    let pruned = Pruned { through, hash: last.hash };
    let detail = serde_json::to_value(&pruned).map_err(Error::internal)?;
    let name = EventName::AuditTrailPruned;
    let entry = trail::entry(app, name, &Actor::Operator, None, "audit trail", &detail)?;
    let count = trail::audited(app, entry).prune_trail(through).await?;
    app.event(name, Severity::Info, Outcome::Success).detail(format!("{count} records up to {through}")).emit();
    Ok(count)
}
