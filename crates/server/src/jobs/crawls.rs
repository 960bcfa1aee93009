//! Crawls from the jobs table: claimed under a lease, kept by heartbeats, given up after three attempts.

use super::{pause, report};
use crate::app::App;
use crate::ops::crawls::{self, Progress};
use chatward_store::{JobRow, JobState};
use chatward_types::{Result, SECOND, Scope, SiteId};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the table is asked for work.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a claim holds without a heartbeat.
const LEASE: i64 = 30 * SECOND;
/// How often a claim is renewed, with the progress.
const RENEW_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(app: &App) {
    while pause(app, LOOK_EVERY).await {
        let now = app.clock.now();
        match app.store.claim_job(app.node, now, now + LEASE).await {
            Ok(Some(job)) => {
                if let Err(error) = run_job(app, &job).await {
                    report("crawl", &error);
                }
            }
            Ok(None) => {}
            Err(error) => report("crawl", &error),
        }
    }
}

/// Runs a claimed job to its end and writes the outcome.
///
/// # Errors
/// When the store fails; the lease then runs out and another attempt is made.
pub async fn run_job(app: &App, job: &JobRow) -> Result<()> {
    let (progress, watched) = watch::channel(Progress::default());
    let cancel = app.stopping.child_token();
    let renewing = renew(app, job, watched, cancel.clone());
    let crawling = async {
        let outcome = crawl(app, job, progress, cancel.clone()).await;
        cancel.cancel();
        outcome
    };
    let (outcome, ()) = tokio::join!(crawling, renewing);
    if app.stopping.is_cancelled() {
        // Not finished and not failed: the lease runs out, and another node takes it up.
        return Ok(());
    }
    let (text, state) = match outcome {
        Ok(report) => (serde_json::to_string(&report).unwrap_or_default(), JobState::Done),
        Err(error) => {
            super::report("crawl", &error);
            (serde_json::json!({ "error": error.public() }).to_string(), JobState::Failed)
        }
    };
    app.store.finish_job(job.id, app.node, &text, state, app.clock.now()).await?;
    Ok(())
}

async fn crawl(
    app: &App,
    job: &JobRow,
    progress: watch::Sender<Progress>,
    cancel: CancellationToken,
) -> Result<crawls::Report> {
    let site: SiteId = job.subject.parse().map_err(chatward_types::Error::internal)?;
    crawls::run(app, &Scope::of(job.owner), site, &progress, cancel).await
}

async fn renew(app: &App, job: &JobRow, watched: watch::Receiver<Progress>, cancel: CancellationToken) {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(RENEW_EVERY) => {}
        }
        let text = serde_json::to_string(&*watched.borrow()).unwrap_or_default();
        let until = app.clock.now() + LEASE;
        match app.store.heartbeat_job(job.id, app.node, until, &text, app.clock.now()).await {
            Ok(true) => {}
            // Another node has it now: what this one found must not be written over it.
            Ok(false) => return cancel.cancel(),
            Err(error) => report("crawl", &error),
        }
    }
}
