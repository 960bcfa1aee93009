//! The open indexes of sites: read from the store once per generation, kept in a bounded cache, searched in memory.
//!
//! Nothing is shared between tenants: an index holds one site's words and its chunks, and is found by site.

use crate::app::App;
use crate::ops::sites::{self, Site};
use chatward_knowledge::Index;
use chatward_knowledge::answer::Sentences;
use chatward_providers::estimate_passage_tokens;
use chatward_store::PassageRow;
use chatward_types::{Error, PageId, Result, SiteId};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::{Arc, OnceLock};

/// How many bytes of open indexes are kept.
const KEPT_BYTES: u64 = 256 * 1024 * 1024;
/// How many chunks are read from the store at a time.
const CHUNKS_A_READ: u32 = 1000;
/// The most chunks that one site's open index may hold.
pub const MOST_CHUNKS: usize = 100_000;

/// A chunk as an answer needs it.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The title of its page.
    pub title: Arc<str>,
    /// The address of its page.
    pub url: Arc<str>,
    /// The headings above it.
    pub heading: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
    /// What it adds to a prompt.
    pub tokens: u32,
    /// Its sentences, read when it is first quoted: pages that answer are quoted again and again.
    read: OnceLock<Sentences>,
}

impl Open {
    /// The sentences of one of its chunks.
    pub fn sentences<'a>(&self, chunk: &'a Chunk) -> &'a Sentences {
        chunk.read.get_or_init(|| Sentences::of(&chunk.heading, &chunk.text, |part| self.index.read(part)))
    }
}

/// An index with its chunks, by ordinal.
#[derive(Debug)]
pub struct Open {
    /// The words.
    pub index: Index,
    /// The passages.
    pub chunks: Box<[Chunk]>,
    bytes: u64,
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<(SiteId, i64), Arc<Open>> for ByBytes {
    fn weight(&self, _: &(SiteId, i64), open: &Arc<Open>) -> u64 {
        open.bytes.max(1)
    }
}

/// The bounded cache.
pub struct Indexes(Cache<(SiteId, i64), Arc<Open>, ByBytes>);

impl std::fmt::Debug for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexes").field("open", &self.0.len()).finish()
    }
}

impl Default for Indexes {
    fn default() -> Self {
        Self(Cache::with_weighter(1024, KEPT_BYTES, ByBytes))
    }
}

/// The open index of a site, or `None` before its first crawl.
///
/// # Errors
/// When the store fails or a segment is damaged; the site's chat then has nothing to quote and says so.
pub async fn of(app: &App, site: &Site) -> Result<Option<Arc<Open>>> {
    let error = match open(app, site).await {
        Ok(open) => return Ok(open),
        Err(error) => error,
    };
    // Another node may have swapped the index since this copy of the site was read; its chunks are gone then.
    app.sites.forget(site.id);
    match sites::by_id(app, &site.scope(), site.id).await? {
        Some(fresh) if fresh.generation != site.generation => open(app, &fresh).await,
        _ => Err(error),
    }
}

async fn open(app: &App, site: &Site) -> Result<Option<Arc<Open>>> {
    if site.generation == 0 {
        return Ok(None);
    }
    // One load at a time for each index (in a box: almost every question finds it loaded): a thousand visitors of a cold site wait for the same one.
    let key = (site.id, site.generation);
    app.indexes.0.get_or_insert_async(&key, Box::pin(load(app, site))).await.map(Some)
}

async fn load(app: &App, site: &Site) -> Result<Arc<Open>> {
    let scope = site.scope();
    let segments = app.store.load_segments(&scope, site.id, site.generation).await?;
    let mut rows = Vec::new();
    loop {
        let after = rows.last().map_or(-1, |row: &PassageRow| row.ordinal);
        let page = app.store.all_chunks(&scope, site.id, site.generation, after, CHUNKS_A_READ).await?;
        let full = page.len() >= CHUNKS_A_READ as usize;
        rows.extend(page);
        if !full || rows.len() > MOST_CHUNKS {
            break;
        }
    }
    if segments.is_empty() || rows.len() > MOST_CHUNKS {
        return Err(Error::internal("an index generation is empty or larger than the bound"));
    }
    let open = tokio::task::spawn_blocking(move || {
        let index = Index::open(&segments).map_err(Error::internal)?;
        let mut bytes = index.memory_bytes();
        let mut chunks = Vec::with_capacity(rows.len());
        let mut page: Option<(PageId, Arc<str>, Arc<str>)> = None;
        for (place, row) in rows.into_iter().enumerate() {
            if usize::try_from(row.ordinal) != Ok(place) {
                return Err(Error::internal("the chunks of an index generation have a gap"));
            }
            // The text, about as much again for its words once they are read, and what each sentence costs besides.
            let sentences = (row.text.len() / 16).min(60);
            bytes += 3 * (row.text.len() + row.heading.len()) + 64 * sentences + 256;
            // The chunks of a page follow each other and share its title and address.
            let (_, title, url) = match page.take() {
                Some(same) if same.0 == row.page => page.insert(same),
                _ => {
                    bytes += row.title.len() + row.url.len();
                    page.insert((row.page, row.title.into(), row.url.into()))
                }
            };
            let tokens = estimate_passage_tokens(title, url, &row.text);
            chunks.push(Chunk {
                title: Arc::clone(title),
                url: Arc::clone(url),
                heading: row.heading.into(),
                text: row.text.into(),
                tokens,
                read: OnceLock::new(),
            });
        }
        Ok(Open { index, chunks: chunks.into(), bytes: bytes as u64 })
    })
    .await
    .map_err(Error::internal)??;
    Ok(Arc::new(open))
}
