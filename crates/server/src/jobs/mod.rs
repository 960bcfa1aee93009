//! Background work: crawls from the jobs table, the poll of changes, sweeps, the node's sign of
//! life with what was counted meanwhile.
//!
//! Each loop ends when the server stops; a piece of work that fails is logged and tried again at its next turn.
//! Owns no rule: each turn is one function of ops, which tests call with a time of their choice.

pub mod crawls;

use crate::app::App;
use crate::events;
use crate::ops::{
    backoff, blocks, changes, key_ages, key_lookup, master_key, master_key_files, provider_keys, refusals, rotation,
    sessions, tickets, trail, trail_heads, trail_webhook,
};
use chatward_types::{DAY, Error, EventName, MINUTE, Outcome, Result, Severity, Timestamp};
use std::time::Duration;

/// How often other nodes' and the command line's changes are read.
const CHANGES_EVERY: Duration = Duration::from_millis(250);
/// How often a node says that it lives. Others believe it for three times as long.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// How often small things are put in order.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether a head of the audit trail is to be sent.
const SEND_EVERY: Duration = Duration::from_secs(5);
/// How long the last one may take when the server stops.
const LAST_SEND: Duration = Duration::from_secs(3);
/// How often the database's log is emptied of what was erased.
const EMPTY_LOG_EVERY: Duration = Duration::from_secs(3600);
/// How long a change is kept for nodes that were away.
const CHANGES_KEPT: i64 = DAY;
/// How long an ended job's report is kept.
const JOBS_KEPT: i64 = 30 * DAY;
/// How many days of taken budgets are kept.
const BUDGET_DAYS_KEPT: i64 = 90;

/// Runs everything until the server stops.
pub async fn run(app: App) {
    if let Err(error) = app.store.register_node(app.node, app.clock.now()).await {
        tracing::error!(source = error.source_line(), "this node could not register; the command line will not see it");
    }
    if let Err(error) = master_key_files::tell(&app).await {
        report("names of the master keys", &error);
    }
    if let Err(error) = key_ages::sight(&app).await {
        report("first sight of keys", &error);
    }
    tokio::join!(
        follow_changes(&app),
        beat(&app),
        sweep(&app),
        keep_house(&app),
        empty_logs(&app),
        sign(&app),
        send_heads(&app),
        crawls::run(&app),
    );
}

async fn follow_changes(app: &App) {
    let mut seq = loop {
        match app.store.latest_change().await {
            Ok(seq) => break seq,
            Err(error) => {
                report("changes", &error);
                if !pause(app, CHANGES_EVERY * 4).await {
                    return;
                }
            }
        }
    };
    // What changed between the start and now was read by nobody: take the sites' origins, the blocks and the keys once more.
    let again = [
        crate::ops::sites::refresh_origins(app).await,
        blocks::refresh(app).await,
        master_key_files::read_again(app).await,
        rotation::reload(app, None).await,
        provider_keys::reload(app).await,
    ];
    for outcome in again {
        if let Err(error) = outcome {
            report("changes", &error);
        }
    }
    while pause(app, CHANGES_EVERY).await {
        match changes::apply_since(app, seq).await {
            Ok(next) => seq = next,
            Err(error) => report("changes", &error),
        }
        app.issued.end_due(app.clock.now());
        if let Err(error) = blocks::impose(app).await {
            report("blocks", &error);
        }
    }
}

async fn beat(app: &App) {
    while pause(app, HEARTBEAT_EVERY).await {
        let now = app.clock.now();
        let beaten = match app.store.heartbeat_node(app.node, now).await {
            // Forgotten while the store was out of reach.
            Ok(false) => match app.store.register_node(app.node, now).await {
                Ok(()) => master_key_files::tell(app).await,
                failed => failed,
            },
            Ok(true) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = beaten {
            report("heartbeat", &error);
        }
        // An owner who sets a page up looks for its refusal within seconds.
        if let Err(error) = refusals::flush(app).await {
            report("refused origins", &error);
        }
        if let Err(error) = trail::flush_reserve(app).await {
            report("audit reserve", &error);
        }
        if let Err(error) = key_lookup::flush_uses(app).await {
            report("uses of keys", &error);
        }
    }
}

/// Signs the trail's head, and writes the records that wait.
async fn sign(app: &App) {
    while pause(app, app.config.audit.head_every).await {
        if let Err(error) = trail_heads::write(app).await {
            report("audit head", &error);
        }
    }
    // The last word of a server that stops.
    if let Err(error) = trail_heads::write(app).await {
        report("audit head", &error);
    }
}

/// Sends the trail's head to another machine, and once more when the server stops.
async fn send_heads(app: &App) {
    if app.config.audit.head_webhook.is_none() {
        return;
    }
    let deliver = async || {
        if let Err(error) = trail_webhook::deliver(app).await {
            report("audit head", &error);
        }
    };
    while pause(app, SEND_EVERY).await {
        deliver().await;
    }
    if tokio::time::timeout(LAST_SEND, deliver()).await.is_err() {
        tracing::warn!("the last head of the audit trail was not delivered before the server stopped");
    }
}

async fn sweep(app: &App) {
    let every = Duration::from_secs(u64::from(app.config.sessions.sweep_seconds));
    while pause(app, every).await {
        if let Err(error) = sessions::sweep(app, app.clock.now()).await {
            report("sweep", &error);
        }
    }
}

async fn keep_house(app: &App) {
    // What a command began that was killed is ended here.
    if let Err(error) = master_key::advance(app).await {
        report("rotation of the master key", &error);
    }
    while pause(app, HOUSEKEEPING_EVERY).await {
        if let Err(error) = run_housekeeping(app).await {
            report("housekeeping", &error);
        }
        if let Err(error) = shorten_addresses(app, app.clock.now()).await {
            report("shortening of old addresses", &error);
        }
    }
}

/// What was erased is gone from the database's log within the hour.
async fn empty_logs(app: &App) {
    while pause(app, EMPTY_LOG_EVERY).await {
        if let Err(error) = app.store.empty_log().await {
            report("the database's log", &error);
        }
    }
}

/// One turn of housekeeping: spent limit windows, yesterday's budgets, spent tickets, ended signing keys, old attempts to log
/// in and changes; the daily word about keys that are overdue; and a rotation of the master key that waits for something.
///
/// # Errors
/// When the store fails; the next turn does it.
pub async fn run_housekeeping(app: &App) -> Result<()> {
    let now = app.clock.now();
    app.limiter.sweep(now);
    app.abuse.sweep(now);
    app.issued.sweep(now);
    app.store.prune_blocks(now - blocks::remembered(&app.config.logging)).await?;
    app.budgets.give_back(now.div_euclid(DAY)).await?;
    app.store.prune_changes(now - CHANGES_KEPT).await?;
    tickets::sweep(app, now).await?;
    backoff::sweep(app, now).await?;
    rotation::sweep(app, now).await?;
    rotation::remind(app).await?;
    app.store.prune_nodes(now - 10 * MINUTE).await?;
    app.store.prune_jobs(now - JOBS_KEPT).await?;
    app.store.prune_budgets(now.div_euclid(DAY) - BUDGET_DAYS_KEPT).await?;
    tell_administrative_reads(app);
    key_ages::tell_due(app).await?;
    // Last: it has a record to write, and waits for one that can be written.
    master_key::advance(app).await?;
    Ok(())
}

/// Says which functions read across owners since the last turn, and how often.
pub fn tell_administrative_reads(app: &App) {
    for (name, count) in app.store.take_administrative_reads() {
        let event = app.event(EventName::AdministrativeRead, Severity::Info, Outcome::Success);
        event.detail(format!("{name}, {count} times")).emit();
    }
}

/// One turn of the shortening of old addresses in the security log; returns how many files were replaced.
///
/// # Errors
/// When a file cannot be read or written; the next turn does it.
pub async fn shorten_addresses(app: &App, now: Timestamp) -> Result<usize> {
    let Some(path) = app.config.logging.security_file.clone() else { return Ok(0) };
    let (settings, stopping) = (app.config.logging.clone(), app.stopping.clone());
    let work = move || events::shorten_old(&path, &settings, now, || stopping.is_cancelled());
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map_err(Error::internal)
}

/// Waits; false when the server stops.
async fn pause(app: &App, time: Duration) -> bool {
    tokio::select! {
        () = app.stopping.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}

fn report(work: &'static str, error: &chatward_types::Error) {
    tracing::error!(work, source = error.source_line(), "background work failed; it is tried again");
}
