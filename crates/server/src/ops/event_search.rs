//! Events read back page by page: the security log of this node and the audit trail of the installation, as one list.
//!
//! Owns: who sees what. An owner sees the records and lines that name it; whatever is about a site names its owner too, so
//! that the lines of a site stay its owner's when it is removed. Lines of an earlier version may name a site alone: they
//! are its owner's as long as it is there, and nobody's after. The installation's own owner also sees what names no owner
//! and no site: refused host names, limits by address, whatever came with no credential or with none of ours. Nobody sees
//! another owner's. A page costs a bounded amount of reading: one that reached that bound may hold few events, and says
//! where the next one goes on.

use crate::app::App;
use crate::events::{self, Filter, Newest};
use chatward_store::TrailRow;
use chatward_types::{Error, OwnerId, Result, Scope, Timestamp};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Records that are read at once.
const RECORDS: u32 = 500;
/// How often, for one page.
const TURNS: usize = 20;
/// Events of one microsecond that a page can begin after.
const MOST_SKIPPED: usize = 20_000;
/// How long a request waits while others read.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a page begins: not later than this time, and after so many events of exactly this time.
pub type Place = (Timestamp, usize);

/// One page.
#[derive(Debug)]
pub struct Found {
    /// Newest first.
    pub events: Vec<Value>,
    /// Where the next page begins; none where there is nothing more.
    pub next: Option<Place>,
}

/// Whose events somebody may see.
#[derive(Debug)]
struct Visible {
    owner: String,
    sites: HashSet<String>,
    global: bool,
}

impl Visible {
    fn takes(&self, event: &Value) -> bool {
        match (event["owner"].as_str(), event["site"].as_str()) {
            (Some(owner), _) => owner == self.owner,
            (None, Some(site)) => self.sites.contains(site),
            (None, None) => self.global,
        }
    }
}

/// A page of an owner's events.
///
/// # Errors
/// [`chatward_types::Kind::Unavailable`] when others read for too long; else when the log or the store cannot be read.
pub async fn search(app: &App, owner: OwnerId, filter: &Filter, place: Option<Place>, limit: usize) -> Result<Found> {
    let scope = Scope::of(owner);
    let sites = app.store.list_sites(&scope).await?.into_iter().map(|site| site.id.to_string()).collect();
    let visible = Visible { owner: owner.to_string(), sites, global: owner == app.owner };
    let global = visible.global;
    let since = filter.since().unwrap_or(Timestamp::MIN);
    let latest = filter.until().map_or(Timestamp::MAX, |until| until - 1);
    let (until, skip) = match place {
        Some((at, skip)) if at <= latest => (at, skip.min(MOST_SKIPPED)),
        _ => (latest, 0),
    };
    // One more than is given, so that it is known whether there is more.
    let most = limit + skip + 1;
    let wanted = {
        let filter = filter.clone();
        move |event: &Value| visible.takes(event) && filter.takes(event)
    };
    let logged = read_log(app, (since, until), most, wanted).await?;
    let recorded = read_trail(app, &scope, global, filter, (since, until), most).await?;
    Ok(page(logged, recorded, (until, skip), limit))
}

async fn read_log(
    app: &App,
    (since, until): (Timestamp, Timestamp),
    most: usize,
    wanted: impl Fn(&Value) -> bool + Send + 'static,
) -> Result<Newest> {
    let Some(path) = app.config.logging.security_file.clone() else { return Ok(Newest::default()) };
    let Ok(Ok(place)) = tokio::time::timeout(PATIENCE, Arc::clone(&app.event_reads).acquire_owned()).await else {
        return Err(Error::unavailable("too many requests read the security log"));
    };
    let read = tokio::task::spawn_blocking(move || {
        // Held by the reading itself, which goes on when the client has left.
        let _place = place;
        events::newest(&path, since, until, most, wanted)
    });
    Ok(read.await.map_err(Error::internal)??)
}

async fn read_trail(
    app: &App,
    scope: &Scope,
    global: bool,
    filter: &Filter,
    (since, until): (Timestamp, Timestamp),
    most: usize,
) -> Result<Newest> {
    let mut found = Newest::default();
    let mut below = i64::MAX;
    for turn in 1..=TURNS {
        let rows = app.store.trail_of_owner(scope, global, below, (since, until), RECORDS).await?;
        let ended = rows.len() < RECORDS as usize;
        let last = rows.last().map(|row| (row.seq, row.at));
        let events = rows.iter().map(|row| (row.at, view(row))).filter(|(_, event)| filter.takes(event));
        found.events.extend(events);
        let Some((seq, at)) = last else { break };
        below = seq;
        if ended || found.events.len() >= most {
            break;
        }
        if turn == TURNS {
            found.floor = Some(at);
        }
    }
    Ok(found)
}

/// Both lists as one page.
fn page(logged: Newest, recorded: Newest, (until, skip): Place, limit: usize) -> Found {
    let floor = logged.floor.max(recorded.floor);
    let mut all: Vec<(Timestamp, Value)> = logged.events.into_iter().chain(recorded.events).collect();
    // Stable: at one time the log comes first, each list in its own order, and so on every page.
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    if let Some(floor) = floor {
        all.retain(|(at, _)| *at > floor);
    }
    let more = all.len() > skip + limit;
    let given: Vec<(Timestamp, Value)> = all.into_iter().skip(skip).take(limit).collect();
    let next = match given.last() {
        Some((last, _)) if more => {
            let of_last = given.iter().filter(|(at, _)| at == last).count();
            Some((*last, if *last == until { skip + of_last } else { of_last }))
        }
        _ => floor.map(|floor| (floor, 0)),
    };
    Found { events: given.into_iter().map(|(_, event)| event).collect(), next }
}

/// A record of the trail in the form of the log's lines.
pub fn view(record: &TrailRow) -> Value {
    json!({
        "category": "AUDIT",
        "time": events::time_text(record.at),
        "event": record.name,
        "record": record.seq,
        "actor": record.actor,
        "subject": record.subject,
        "owner": record.owner,
        "detail": record.detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(times: &[Timestamp], floor: Option<Timestamp>) -> Newest {
        Newest { events: times.iter().map(|at| (*at, json!({ "at": at }))).collect(), floor }
    }

    fn times(found: &Found) -> Vec<i64> {
        found.events.iter().filter_map(|event| event["at"].as_i64()).collect()
    }

    #[test]
    fn two_lists_are_one_and_the_next_page_goes_on_where_this_one_ended() {
        let first = page(list(&[9, 7, 7, 7], None), list(&[8, 7], None), (Timestamp::MAX, 0), 3);
        assert_eq!((times(&first), first.next), (vec![9, 8, 7], Some((7, 1))));
        let second = page(list(&[7, 7, 7, 1], None), list(&[7], None), (7, 1), 2);
        assert_eq!((times(&second), second.next), (vec![7, 7], Some((7, 3))));
        let third = page(list(&[7, 7, 7, 1], None), list(&[7], None), (7, 3), 9);
        assert_eq!((times(&third), third.next), (vec![7, 1], None));
    }

    #[test]
    fn a_list_that_was_cut_cuts_the_page_and_says_where_to_go_on() {
        let found = page(list(&[9, 5], Some(5)), list(&[8, 4], None), (Timestamp::MAX, 0), 10);
        assert_eq!((times(&found), found.next), (vec![9, 8], Some((5, 0))));
        let none = page(list(&[], Some(5)), list(&[], Some(3)), (9, 0), 10);
        assert_eq!((times(&none), none.next), (vec![], Some((5, 0))));
    }
}
