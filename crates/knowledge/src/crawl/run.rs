//! The crawl itself: one coordinator, a few fetches at a time, events as it goes.
//!
//! Owns: the order (robots.txt, start page, sitemaps, then breadth first), every budget, politeness and the end.
//! Never does: holding a page longer than it takes to send it. In memory are at most `concurrency` pages being read,
//! the addresses that wait, and a fingerprint of what was kept; a slow receiver of events makes the crawl wait.

use super::address::{Scope, key};
use super::frontier::{Admission, Frontier, Target};
use super::reason::SkipReason;
use super::repeated::Repeated;
use super::robots::Robots;
use super::visit::{Read, Shared, Visited, visit};
use super::{CrawlEnd, CrawlEvent, CrawlReport, CrawlRequest, MAX_CRAWL_DELAY, MAX_LISTED_SKIPS, Progress};
use crate::language::Language;
use chatward_egress::{Egress, Fetch, Fetched};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use url::Url;

/// Fetches for each page that may be kept, so that a site of nothing but errors ends as well.
const TRIES_PER_PAGE: usize = 4;
const MORE_TRIES: usize = 100;
/// Outages one after the other that end a crawl.
const MAX_OUTAGES: usize = 12;
/// The pause after a server said that it is busy.
const BUSY_DELAY: Duration = Duration::from_millis(500);

/// Crawls a site. Ends by itself within `request.limits`; the caller bounds nothing but the channel.
///
/// Events arrive in the order in which pages were finished. When `cancel` fires or `events` is closed, running fetches
/// are dropped and the report says [`CrawlEnd::Cancelled`].
pub async fn crawl(
    egress: &Egress,
    request: CrawlRequest,
    events: mpsc::Sender<CrawlEvent>,
    cancel: CancellationToken,
) -> CrawlReport {
    let began = Instant::now();
    let mut start = request.start.clone();
    start.set_fragment(None);
    let limits = request.limits.clone();
    let mut crawl = Crawl {
        scope: Scope::new(&start),
        robots: Robots::allow_all(),
        frontier: Frontier::new(limits.queue, limits.pages, limits.depth),
        contents: HashMap::new(),
        kept: HashSet::new(),
        languages: Vec::new(),
        done: 0,
        tries: 0,
        chunks: 0,
        bytes: 0,
        skipped: 0,
        left: 0,
        outages: 0,
        delay: limits.delay,
        concurrency: limits.concurrency.max(1),
        next_at: began,
        deadline: began + limits.time,
        shared: Arc::new(Shared { egress: egress.clone(), request, repeated: Mutex::new(Repeated::default()) }),
        events,
        cancel,
    };
    let end = match crawl.run(start).await {
        Ok(()) => CrawlEnd::Complete,
        Err(end) => end,
    };
    let report = crawl.report(end, began.elapsed());
    tracing::info!(
        site = %report.site,
        end = end.as_str(),
        pages = report.pages,
        skipped = report.skipped,
        bytes = report.bytes,
        "crawl ended"
    );
    report
}

pub(super) struct Crawl {
    pub(super) shared: Arc<Shared>,
    pub(super) scope: Scope,
    pub(super) robots: Robots,
    pub(super) frontier: Frontier,
    /// Fingerprint of the text of each kept page, and where it stands.
    contents: HashMap<u64, Url>,
    /// Keys of kept pages.
    kept: HashSet<u64>,
    languages: Vec<Language>,
    done: usize,
    pub(super) tries: usize,
    chunks: usize,
    pub(super) bytes: usize,
    skipped: usize,
    left: usize,
    outages: usize,
    pub(super) delay: Duration,
    pub(super) concurrency: usize,
    next_at: Instant,
    deadline: Instant,
    events: mpsc::Sender<CrawlEvent>,
    cancel: CancellationToken,
}

/// `Err` is the reason to end.
pub(super) type Step<T = ()> = Result<T, CrawlEnd>;

impl Crawl {
    async fn run(&mut self, start: Url) -> Step {
        let start = self.open(start).await?;
        let reached = self.start_page(start).await?;
        self.follow_sitemaps(&reached).await?;
        self.breadth_first().await
    }

    async fn breadth_first(&mut self) -> Step {
        let mut running: FuturesUnordered<BoxFuture<'static, Visited>> = FuturesUnordered::new();
        loop {
            let mut budget = None;
            while running.len() < self.concurrency {
                budget = self.exhausted(running.len());
                if budget.is_some() {
                    break;
                }
                let Some(target) = self.frontier.next() else {
                    break;
                };
                if !self.robots.allows(&target.url) {
                    self.skip(target.url, SkipReason::Robots).await?;
                    continue;
                }
                self.tries += 1;
                let at = self.slot();
                let stay = Some(self.scope.clone());
                running.push(Box::pin(visit(Arc::clone(&self.shared), target, at, stay)));
            }
            if running.is_empty() {
                return match budget {
                    Some(end) if self.frontier.len() > 0 => Err(end),
                    _ => Ok(()),
                };
            }
            if let Some(visited) = self.guarded(running.next()).await? {
                let waiting = running.len();
                self.handle(visited).await?;
                self.progress(waiting).await?;
            }
        }
    }

    /// The budget that forbids another fetch beside those running.
    fn exhausted(&self, running: usize) -> Option<CrawlEnd> {
        let limits = &self.shared.request.limits;
        if self.kept.len() + running >= limits.pages
            || self.tries >= limits.pages.saturating_mul(TRIES_PER_PAGE) + MORE_TRIES
        {
            return Some(CrawlEnd::PageBudget);
        }
        let reserved = running.saturating_mul(limits.page_bytes);
        (self.bytes.saturating_add(reserved) >= limits.total_bytes).then_some(CrawlEnd::ByteBudget)
    }

    pub(super) async fn handle(&mut self, visited: Visited) -> Step {
        self.bytes += visited.bytes;
        let Target { url, depth } = visited.target;
        let read = match visited.outcome {
            Ok(read) => {
                self.outages = 0;
                read
            }
            Err(reason) => {
                let outage = reason.is_outage();
                if matches!(reason, SkipReason::Status(429 | 503)) {
                    self.delay = (self.delay * 2).clamp(BUSY_DELAY, MAX_CRAWL_DELAY);
                }
                self.skip(url, reason).await?;
                self.outages = if outage { self.outages + 1 } else { 0 };
                return if self.outages >= MAX_OUTAGES { Err(CrawlEnd::SiteFailing) } else { Ok(()) };
            }
        };
        let landed = read.page.url.clone();
        if key(&landed) != key(&url) {
            if !self.robots.allows(&landed) {
                return self.skip(url, SkipReason::Robots).await;
            }
            if !self.frontier.note(&landed) {
                return self.skip(url, SkipReason::Duplicate(Box::new(landed))).await;
            }
        }
        for link in &read.links {
            self.consider(link, depth + 1).await?;
        }
        match self.judge(&read, depth).await? {
            Some(reason) => self.skip(url, reason).await,
            None => self.keep(read).await,
        }
    }

    /// Why a page that could be read is not kept.
    async fn judge(&mut self, read: &Read, depth: usize) -> Step<Option<SkipReason>> {
        if read.no_index {
            return Ok(Some(SkipReason::NoIndex));
        }
        if read.empty || read.page.chunks.is_empty() {
            return Ok(Some(SkipReason::Empty));
        }
        if let Some(first) = self.contents.get(&read.content) {
            return Ok(Some(SkipReason::Duplicate(Box::new(first.clone()))));
        }
        let canonical = read.canonical.as_ref().and_then(|url| self.scope.admit(url));
        // A template that names the home page for every page is a mistake, not a wish.
        if let Some(canonical) = canonical.filter(|url| url.path() != "/" && key(url) != key(&read.page.url)) {
            if self.kept.contains(&key(&canonical)) {
                return Ok(Some(SkipReason::Duplicate(Box::new(canonical))));
            }
            if self.consider(&canonical, depth).await? {
                return Ok(Some(SkipReason::Canonical(Box::new(canonical))));
            }
        }
        Ok(None)
    }

    async fn keep(&mut self, read: Read) -> Step {
        self.done += 1;
        self.kept.insert(key(&read.page.url));
        self.contents.insert(read.content, read.page.url.clone());
        self.chunks += read.page.chunks.len();
        self.languages.extend(read.page.language);
        self.send(CrawlEvent::Page(Box::new(read.page))).await
    }

    /// Takes an address into the queue; true if it now waits there.
    pub(super) async fn consider(&mut self, url: &Url, depth: usize) -> Step<bool> {
        match self.frontier.admit(&self.scope, url, depth) {
            Admission::Queued => return Ok(true),
            Admission::Ignored => {}
            Admission::Left => self.left += 1,
            Admission::Refused(url, reason) => self.skip(url, reason).await?,
        }
        Ok(false)
    }

    pub(super) async fn skip(&mut self, url: Url, reason: SkipReason) -> Step {
        self.done += 1;
        self.skipped += 1;
        if self.skipped > MAX_LISTED_SKIPS {
            return Ok(());
        }
        self.send(CrawlEvent::Skipped { url, reason }).await
    }

    pub(super) async fn progress(&mut self, running: usize) -> Step {
        let progress = Progress { done: self.done, queued: self.frontier.len() + running, chunks: self.chunks };
        self.send(CrawlEvent::Progress(progress)).await
    }

    async fn send(&self, event: CrawlEvent) -> Step {
        let sent = self.guarded(self.events.send(event)).await?;
        sent.map_err(|_| CrawlEnd::Cancelled)
    }

    pub(super) async fn fetch(
        &mut self,
        url: Url,
        max_bytes: usize,
        stay: bool,
    ) -> Step<Result<Fetched, chatward_egress::FetchError>> {
        let fetch = Fetch {
            url,
            reach: self.shared.request.reach,
            accept: "*/*",
            same_origin_only: stay.then(|| self.scope.origin()),
            max_bytes,
            deadline: self.shared.request.limits.fetch_time,
            user_agent: Some(self.shared.request.user_agent.clone()),
        };
        let at = self.slot();
        self.guarded(sleep_until(at)).await?;
        self.guarded(self.shared.egress.fetch(fetch)).await
    }

    /// The time of the next fetch.
    pub(super) fn slot(&mut self) -> Instant {
        let at = self.next_at.max(Instant::now());
        self.next_at = at + self.delay;
        at
    }

    /// Waits, but no longer than the crawl may.
    pub(super) async fn guarded<T>(&self, waiting: impl Future<Output = T>) -> Step<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(CrawlEnd::Cancelled),
            () = sleep_until(self.deadline) => Err(CrawlEnd::TimeBudget),
            outcome = waiting => Ok(outcome),
        }
    }

    fn report(self, end: CrawlEnd, took: Duration) -> CrawlReport {
        CrawlReport {
            end,
            pages: self.kept.len(),
            chunks: self.chunks,
            skipped: self.skipped,
            bytes: self.bytes,
            left: self.left + self.frontier.len(),
            site: self.scope.site().clone(),
            language: Language::of_site(self.languages),
            took,
        }
    }
}
