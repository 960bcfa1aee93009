//! Crawling a site: politely, within budgets, with a reason for every page that was not taken.
//!
//! Owns: the request, its limits, the events a crawl sends, the reasons it gives and its report.
//! Never does: storing, indexing, or fetching by any other way than `chatward-egress` with the reach it was given.

mod address;
mod begin;
mod frontier;
mod reason;
mod repeated;
mod robots;
mod run;
mod sitemap;
mod visit;

pub use reason::SkipReason;
pub use robots::Robots;
pub use run::crawl;
pub use sitemap::{Sitemap, read_sitemap};

use crate::chunk::Chunk;
use crate::language::Language;
use chatward_egress::Reach;
use std::time::Duration;
use url::Url;

/// Budgets of one crawl. Each is a cap, none is a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrawlLimits {
    /// Pages that are kept.
    pub pages: usize,
    /// Bytes of one page, decompressed.
    pub page_bytes: usize,
    /// Bytes of all pages together.
    pub total_bytes: usize,
    /// Links from the start page.
    pub depth: usize,
    /// Time for the whole crawl.
    pub time: Duration,
    /// Time for one fetch, redirects included.
    pub fetch_time: Duration,
    /// Pause between two fetches; robots.txt may lengthen it, up to [`MAX_CRAWL_DELAY`].
    pub delay: Duration,
    /// Fetches at a time; one where there is a crawl delay in robots.txt.
    pub concurrency: usize,
    /// Addresses that may wait.
    pub queue: usize,
}

impl Default for CrawlLimits {
    fn default() -> Self {
        Self {
            pages: 200,
            page_bytes: 2 << 20,
            total_bytes: 64 << 20,
            depth: 8,
            time: Duration::from_secs(600),
            fetch_time: Duration::from_secs(20),
            delay: Duration::from_millis(100),
            concurrency: 4,
            queue: 10_000,
        }
    }
}

/// The longest pause that robots.txt can ask for; a site that wants more is crawled this slowly, not for ever.
pub const MAX_CRAWL_DELAY: Duration = Duration::from_secs(5);
/// Skips that a crawl reports one by one; further ones are counted.
pub const MAX_LISTED_SKIPS: usize = 2_000;

/// What to crawl.
#[derive(Debug, Clone)]
pub struct CrawlRequest {
    /// The page to start from; its origin is the site.
    pub start: Url,
    /// How far fetches may go.
    pub reach: Reach,
    /// The budgets.
    pub limits: CrawlLimits,
    /// Sent with each request, and matched against robots.txt by its first word.
    pub user_agent: String,
}

/// The honest default user agent.
pub const USER_AGENT: &str = concat!("Chatward/", env!("CARGO_PKG_VERSION"), " (site assistant crawler)");

/// What a crawl tells while it runs. The channel is bounded: a slow receiver slows the crawl.
#[derive(Debug)]
pub enum CrawlEvent {
    /// A page that belongs into the index.
    Page(Box<CrawledPage>),
    /// A page that does not, and why.
    Skipped {
        /// Its address.
        url: Url,
        /// Why.
        reason: SkipReason,
    },
    /// Where the crawl is, after each page.
    Progress(Progress),
}

/// Counts of a running crawl.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pages done, kept or skipped.
    pub done: usize,
    /// Addresses waiting or being fetched.
    pub queued: usize,
    /// Chunks so far.
    pub chunks: usize,
}

/// A page that was read.
#[derive(Debug, Clone)]
pub struct CrawledPage {
    /// Where it is, after redirects.
    pub url: Url,
    /// Its title.
    pub title: String,
    /// Its language, if it says or shows one.
    pub language: Option<Language>,
    /// Its main content, cut.
    pub chunks: Vec<Chunk>,
    /// Bytes that were fetched.
    pub bytes: usize,
    /// Links from the start page.
    pub depth: usize,
}

/// How a crawl ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrawlEnd {
    /// Nothing was left to fetch.
    Complete,
    /// [`CrawlLimits::pages`] was reached with addresses left.
    PageBudget,
    /// [`CrawlLimits::total_bytes`] was reached.
    ByteBudget,
    /// [`CrawlLimits::time`] was reached.
    TimeBudget,
    /// Cancelled, or nobody receives the events any more.
    Cancelled,
    /// The start page could not be fetched or is not to be indexed; the reason stands with its skip.
    StartFailed,
    /// The site stopped answering on the way.
    SiteFailing,
}

impl CrawlEnd {
    /// The text for a person.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::PageBudget => "page budget reached",
            Self::ByteBudget => "byte budget reached",
            Self::TimeBudget => "time budget reached",
            Self::Cancelled => "cancelled",
            Self::StartFailed => "the start page could not be read",
            Self::SiteFailing => "the site stopped answering",
        }
    }
}

/// What a crawl did.
#[derive(Debug, Clone)]
pub struct CrawlReport {
    /// How it ended.
    pub end: CrawlEnd,
    /// Pages kept.
    pub pages: usize,
    /// Chunks of them.
    pub chunks: usize,
    /// Pages skipped, listed as events or not.
    pub skipped: usize,
    /// Bytes fetched.
    pub bytes: usize,
    /// Addresses that were known and never fetched, because a budget ended the crawl or the queue was full.
    pub left: usize,
    /// The site's address: the start page's, after a redirect from `http` or between `www` and the bare name.
    pub site: Url,
    /// The language of most pages.
    pub language: Language,
    /// The time it took.
    pub took: Duration,
}

impl CrawlReport {
    /// Whether the result may replace an older index: something was found, and the crawl was not broken off from
    /// outside or by the site's failure.
    pub fn is_usable(&self) -> bool {
        self.pages > 0 && !matches!(self.end, CrawlEnd::Cancelled | CrawlEnd::StartFailed | CrawlEnd::SiteFailing)
    }
}
