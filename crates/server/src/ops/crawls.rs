//! Reading a site: crawl, cut into chunks, index, and swap the new generation in as a whole.
//!
//! The old index answers until the moment of the swap, and goes on answering when the crawl finds nothing (a site
//! that is down, empty or hostile). Every page that was left out is in the report with its reason.

use crate::app::App;
use crate::client::Client;
use crate::ops::acting::Acting;
use crate::ops::sites;
use chatward_knowledge::{
    CrawlEvent, CrawlLimits, CrawlRequest, CrawledPage, IndexBuilder, IndexError, Language, crawl,
};
use chatward_store::{ChunkRow, JobRow, PageRow};
use chatward_types::{Error, EventName, JobId, Kind, Outcome, PageId, Result, Scope, Severity, SiteId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use url::Url;

/// How many events of a crawl wait for the indexer.
const QUEUE: usize = 16;
/// The most reasons that a report lists one by one.
const MOST_REASONS: usize = 200;
/// The most pages that were left out and are kept with those that were not.
const MOST_LEFT_OUT: usize = 1000;
/// The kind of these jobs.
const CRAWL: &str = "crawl";

/// How far a crawl is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Pages read and kept.
    pub pages: u32,
    /// Pages left out.
    pub skipped: u32,
    /// Addresses that wait.
    pub queued: u32,
    /// Chunks made.
    pub chunks: u32,
}

/// How a crawl ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Pages read and kept.
    pub pages: u32,
    /// Chunks made.
    pub chunks: u32,
    /// Why the crawl ended, such as `finished` or the budget that ran out.
    pub ended: String,
    /// Whether the new index was swapped in. If not, the old one still answers.
    pub swapped: bool,
    /// Pages left out, with the reason; the first 200.
    pub skipped: Vec<Skipped>,
    /// How many were left out in all.
    pub skipped_total: u32,
}

/// A page that was left out. A report outlives what was crawled, and the query of an address may say who somebody is; so
/// no query is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its address, with `?…` in the place of a query.
    pub url: String,
    /// Why, for a person.
    pub reason: String,
}

/// A text with `?…` in the place of what follows the path of each address in it.
fn without_queries(text: &str) -> String {
    let short = |word: &str| match word.find("://").and_then(|_| word.find(['?', '#'])) {
        Some(at) => format!("{}?…{}", &word[..at], if word.ends_with(')') { ")" } else { "" }),
        None => word.to_owned(),
    };
    text.split(' ').map(short).collect::<Vec<_>>().join(" ")
}

/// What one crawl gathers before it is stored.
#[derive(Default)]
struct Gathered {
    pages: Vec<PageRow>,
    chunks: Vec<ChunkRow>,
    left_out: usize,
    report: Report,
}

/// Queues a crawl of a site of the owner.
///
/// # Errors
/// [`Kind::NotFound`] when the owner has no such site; [`Kind::Conflict`], `crawl_running`, when one waits or runs.
pub async fn begin(app: &App, scope: &Scope, site: SiteId, by: &Acting, client: &Client) -> Result<JobRow> {
    if app.store.get_site(scope, site).await?.is_none() {
        return Err(Error::not_found());
    }
    let id = JobId::generate(app.clock.as_ref(), app.entropy.as_ref())?;
    let queued = app.store.enqueue_job(id, scope.owner(), CRAWL, &site.to_string(), app.clock.now()).await?;
    if queued != id {
        return Err(Error::new(
            Kind::Conflict,
            "crawl_running",
            "A crawl of this site waits or runs already. GET /api/v1/sites/{id}/crawls says how far it is.",
        ));
    }
    let event = app.event(EventName::CrawlQueued, Severity::Info, Outcome::Success).of(client);
    event.site(scope.owner(), site).detail(by.how.clone()).emit();
    app.store.get_job(id).await?.ok_or_else(|| Error::internal("a job vanished right after it was queued"))
}

/// Up to `limit` crawls of a site, newest first, those older than `before` alone.
///
/// # Errors
/// [`Kind::NotFound`] when the owner has no such site.
pub async fn list(app: &App, scope: &Scope, site: SiteId, before: Option<JobId>, limit: u32) -> Result<Vec<JobRow>> {
    if app.store.get_site(scope, site).await?.is_none() {
        return Err(Error::not_found());
    }
    app.store.list_subject_jobs(scope, CRAWL, &site.to_string(), before, limit).await
}

/// Crawls a site and swaps its new index in.
///
/// # Errors
/// When the site is gone or the store fails; the old index then still answers.
pub async fn run(
    app: &App,
    scope: &Scope,
    site: SiteId,
    progress: &watch::Sender<Progress>,
    cancel: CancellationToken,
) -> Result<Report> {
    let site = sites::by_id(app, scope, site).await?.ok_or_else(Error::not_found)?;
    let start = Url::parse(&site.url).map_err(Error::internal)?;
    let request = CrawlRequest {
        start,
        reach: app.crawl_reach,
        limits: limits(app),
        user_agent: app.config.crawl.user_agent.clone(),
    };
    let (sender, mut receiver) = mpsc::channel(QUEUE);
    let crawling = crawl(&app.egress, request, sender, cancel.clone());
    let gathering = async {
        let mut gathered = Gathered::default();
        while let Some(event) = receiver.recv().await {
            gathered.take(app, event, progress)?;
        }
        Ok::<_, Error>(gathered)
    };
    let (outcome, gathered) = tokio::join!(crawling, gathering);
    let mut gathered = gathered?;
    gathered.report.ended = outcome.end.as_str().to_owned();
    gathered.report.skipped_total = count(outcome.skipped);
    if cancel.is_cancelled() || gathered.chunks.is_empty() || !outcome.is_usable() {
        return Ok(gathered.report);
    }
    let language = site.settings.language.as_deref().and_then(Language::from_tag).unwrap_or(outcome.language);
    let segments = build_segments(&gathered, language).await?;
    let generation = app.store.next_generation(scope, site.id).await?;
    let stored = store(app, scope, site.id, generation, &gathered, segments).await;
    if let Err(error) = stored {
        let _ = app.store.drop_generation(scope, site.id, generation).await;
        return Err(error);
    }
    app.store.swap_generation(scope, site.id, generation, app.clock.now()).await?;
    app.sites.forget(site.id);
    gathered.report.swapped = true;
    app.metrics.count_crawl_pages("indexed", u64::from(gathered.report.pages));
    app.metrics.count_crawl_pages("left_out", u64::from(gathered.report.skipped_total));
    Ok(gathered.report)
}

impl Gathered {
    fn take(&mut self, app: &App, event: CrawlEvent, progress: &watch::Sender<Progress>) -> Result<()> {
        match event {
            CrawlEvent::Page(page) => self.take_page(app, *page)?,
            CrawlEvent::Skipped { url, reason } => {
                self.report.skipped_total += 1;
                self.keep_left_out(app, url.as_str(), &reason.to_string())?;
                if self.report.skipped.len() < MOST_REASONS {
                    let (url, reason) = (without_queries(url.as_str()), without_queries(&reason.to_string()));
                    self.report.skipped.push(Skipped { url, reason });
                }
            }
            CrawlEvent::Progress(counts) => {
                progress.send_modify(|now| now.queued = count(counts.queued));
            }
        }
        progress.send_modify(|now| {
            now.pages = self.report.pages;
            now.skipped = self.report.skipped_total;
            now.chunks = self.report.chunks;
        });
        Ok(())
    }

    fn keep_left_out(&mut self, app: &App, url: &str, reason: &str) -> Result<()> {
        if self.left_out >= MOST_LEFT_OUT {
            return Ok(());
        }
        self.left_out += 1;
        self.pages.push(PageRow {
            id: PageId::generate(app.clock.as_ref(), app.entropy.as_ref())?,
            url: url.to_owned(),
            title: String::new(),
            status: "skipped".to_owned(),
            reason: reason.to_owned(),
            chunks: 0,
            bytes: 0,
            language: String::new(),
            fetched_at: app.clock.now(),
        });
        Ok(())
    }

    fn take_page(&mut self, app: &App, page: CrawledPage) -> Result<()> {
        if self.chunks.len() + page.chunks.len() > super::indexes::MOST_CHUNKS {
            return Ok(());
        }
        let id = PageId::generate(app.clock.as_ref(), app.entropy.as_ref())?;
        self.report.pages += 1;
        self.report.chunks += count(page.chunks.len());
        self.pages.push(PageRow {
            id,
            url: page.url.to_string(),
            title: page.title,
            status: "indexed".to_owned(),
            reason: String::new(),
            chunks: i32::try_from(page.chunks.len()).unwrap_or(i32::MAX),
            bytes: i64::try_from(page.bytes).unwrap_or(i64::MAX),
            language: page.language.map_or_else(String::new, |language| language.tag().to_owned()),
            fetched_at: app.clock.now(),
        });
        for piece in page.chunks {
            let ordinal = i64::try_from(self.chunks.len()).map_err(Error::internal)?;
            self.chunks.push(ChunkRow { ordinal, page: id, heading: piece.heading, text: piece.text });
        }
        Ok(())
    }
}

/// Indexing is work for a processor, not for the runtime's threads.
async fn build_segments(gathered: &Gathered, language: Language) -> Result<Vec<Vec<u8>>> {
    let titles: std::collections::HashMap<PageId, String> =
        gathered.pages.iter().map(|page| (page.id, page.title.clone())).collect();
    let texts: Vec<(i64, String, String, String)> = gathered
        .chunks
        .iter()
        .map(|row| {
            let title = titles.get(&row.page).cloned().unwrap_or_default();
            (row.ordinal, title, row.heading.clone(), row.text.clone())
        })
        .collect();
    tokio::task::spawn_blocking(move || {
        let mut builder = IndexBuilder::new(language);
        for (ordinal, title, heading, text) in &texts {
            builder.add(*ordinal, title, heading, text)?;
        }
        Ok::<_, IndexError>(builder.finish())
    })
    .await
    .map_err(Error::internal)?
    .map_err(Error::internal)
}

async fn store(
    app: &App,
    scope: &Scope,
    site: SiteId,
    generation: i64,
    gathered: &Gathered,
    segments: Vec<Vec<u8>>,
) -> Result<()> {
    app.store.put_pages(scope, site, generation, &gathered.pages).await?;
    app.store.put_chunks(scope, site, generation, &gathered.chunks).await?;
    for (ordinal, segment) in (0_i64..).zip(segments) {
        app.store.put_segment(scope, site, generation, ordinal, segment).await?;
    }
    Ok(())
}

fn limits(app: &App) -> CrawlLimits {
    let crawl = &app.config.crawl;
    CrawlLimits {
        pages: crawl.max_pages,
        page_bytes: crawl.max_page_bytes,
        total_bytes: crawl.max_total_bytes,
        depth: usize::try_from(crawl.max_depth).unwrap_or(usize::MAX),
        time: Duration::from_secs(u64::from(crawl.max_minutes) * 60),
        delay: Duration::from_millis(crawl.delay_ms),
        ..CrawlLimits::default()
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::without_queries;

    #[test]
    fn an_address_in_a_text_is_cut_behind_its_path() {
        for (text, short) in [
            ("http://a.test/find?name=ann&id=7", "http://a.test/find?…"),
            ("http://a.test/#ann", "http://a.test/?…"),
            (
                "it redirects to another site (https://b.test/in?as=ann)",
                "it redirects to another site (https://b.test/in?…)",
            ),
            ("the same content as http://a.test/x?y then", "the same content as http://a.test/x?… then"),
            ("is it none? http://a.test/x", "is it none? http://a.test/x"),
            ("", ""),
        ] {
            assert_eq!(without_queries(text), short);
        }
    }
}
