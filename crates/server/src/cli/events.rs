//! `chatward events`: the security log and the audit trail, in the order of time, filtered and followed.
//!
//! What is printed was partly written by strangers: whatever steers a terminal is made visible instead.

use super::serve::Stop;
use super::{Common, Failure, Outcome, print, when};
use crate::app::{App, Options};
use crate::events::{self, Filter, Follower, Wanted};
use crate::ops::event_search;
use chatward_store::TrailRow;
use chatward_types::{Clock as _, Error, SystemClock, Timestamp};
use clap::Args;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;

/// How often a followed log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Records of the trail that are read at once.
const PAGE: u32 = 500;

/// Which events.
#[derive(Debug, Args)]
pub(super) struct EventsArguments {
    /// Go on with what comes, until interrupted
    #[arg(long)]
    follow: bool,
    /// Events whose name holds this
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Events since then: a span back from now, a date, or a time in UTC
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Events before then, in the same form
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    until: Option<String>,
    /// Events of this address or network
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// Events of this issued key, by its public id or the whole key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Events of this session
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// The newest so many
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

pub(super) async fn run(common: &Common, arguments: EventsArguments) -> Outcome {
    // A filter that is none is refused before anything is opened.
    filter(&arguments, SystemClock.now())?;
    let config = common.load(None)?;
    let app = App::start(config, Options { write_events: false, ..Options::default() }).await?;
    let outcome = show(&app, common, &arguments).await;
    app.store.close().await;
    outcome
}

async fn show(app: &App, common: &Common, arguments: &EventsArguments) -> Outcome {
    let filter = filter(arguments, app.clock.now())?;
    let limit = usize::try_from(arguments.limit).unwrap_or(1);
    let mut follower = app.config.logging.security_file.as_deref().map(Follower::new);
    let mut found = VecDeque::new();
    let keep = |found: &mut VecDeque<Value>, event: Value| {
        if filter.takes(&event) {
            if found.len() >= limit {
                found.pop_front();
            }
            found.push_back(event);
        }
    };
    if let Some(path) = &app.config.logging.security_file {
        for file in events::files(path).map_err(Error::from)? {
            if file != *path {
                let mut rotated = Follower::of_rotated(&file);
                while let Some(line) = rotated.next_line().map_err(Error::from)? {
                    keep(&mut found, events::read_line(&line));
                }
            }
        }
    }
    if let Some(follower) = &mut follower {
        while let Some(line) = follower.next_line().map_err(Error::from)? {
            keep(&mut found, events::read_line(&line));
        }
    }
    let mut recorded = VecDeque::new();
    let mut after = i64::MIN;
    for record in new_records(app, &mut after, filter.since().unwrap_or(Timestamp::MIN)).await? {
        keep(&mut recorded, event_search::view(&record));
    }
    let mut all: Vec<Value> = found.into_iter().chain(recorded).collect();
    all.sort_by(|one, other| one["time"].as_str().cmp(&other["time"].as_str()));
    for event in all.iter().skip(all.len().saturating_sub(limit)) {
        tell(common, event);
    }
    if !arguments.follow {
        return Ok(());
    }
    let mut stop = std::pin::pin!(Stop::listen()?.wait());
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if let Some(follower) = &mut follower {
            while let Some(line) = follower.next_line().map_err(Error::from)? {
                let event = events::read_line(&line);
                if filter.takes(&event) {
                    tell(common, &event);
                }
            }
        }
        for record in new_records(app, &mut after, Timestamp::MIN).await? {
            let event = event_search::view(&record);
            if filter.takes(&event) {
                tell(common, &event);
            }
        }
    }
}

/// The records after this number, page by page; the number moves on.
async fn new_records(app: &App, after: &mut i64, since: Timestamp) -> Result<Vec<TrailRow>, Failure> {
    let mut records = VecDeque::new();
    loop {
        let page = app.store.trail_after(*after, since, PAGE).await?;
        let ended = page.len() < PAGE as usize;
        for record in page {
            *after = record.seq;
            if records.len() >= 100_000 {
                records.pop_front();
            }
            records.push_back(record);
        }
        if ended {
            return Ok(records.into());
        }
    }
}

fn tell(common: &Common, event: &Value) {
    // JSON leaves some characters alone that a terminal obeys; they can stand only inside of texts.
    if common.json {
        return print::line(&events::neutral(&event.to_string()));
    }
    let text = |name: &str| match &event[name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let mut line = format!("{}  {}", text("time").unwrap_or_default(), text("event").unwrap_or_default());
    for name in
        ["record", "severity", "outcome", "actor", "subject", "address", "path", "owner", "site", "session", "count"]
    {
        if let Some(value) = text(name) {
            line.push_str(&format!("  {name}={value}"));
        }
    }
    if let Some(detail) = text("detail") {
        line.push_str(&format!("  {detail}"));
    }
    print::line(&events::neutral(&line));
}

fn filter(arguments: &EventsArguments, now: Timestamp) -> Result<Filter, Failure> {
    let time = |text: Option<&str>| text.map(|text| when::time(text, now)).transpose();
    let wanted = Wanted {
        name: arguments.name.as_deref(),
        since: time(arguments.since.as_deref())?,
        until: time(arguments.until.as_deref())?,
        address: arguments.address.as_deref(),
        key: arguments.key.as_deref(),
        session: arguments.session.as_deref(),
    };
    Filter::of(wanted).map_err(|error| Failure::Usage(error.public().to_owned()))
}
