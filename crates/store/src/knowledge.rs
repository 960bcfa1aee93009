//! A site's knowledge as it is built: pages, chunks and index segments under a generation.
//!
//! Owns: the tables `pages`, `chunks` and `index_segments` on the writing side, and the swap that makes a generation
//! answer, whole or not at all. Nothing of a generation is used before its swap. Never looks into a segment.

use crate::changes::{change, record_change};
use crate::engine_sql::{PUT_CHUNKS, PUT_PAGES};
use crate::statement::{Statement, execute, row, rows, value};
use crate::store::Store;
use chatward_types::{Error, PageId, Result, Scope, SiteId, Timestamp};
use serde::Serialize;

/// Text in one statement; longer lists are cut into several transactions, so that the writer is free in between.
const BATCH_BYTES: usize = 1 << 20;
/// Rows in one statement.
const BATCH_ROWS: usize = 256;
/// Pages in one list.
const LIST_LIMIT: u32 = 10_000;

const NEXT_GENERATION: Statement = Statement::both(
    "UPDATE sites SET latest_generation = latest_generation + 1 WHERE owner_id = $1 AND id = $2
     RETURNING latest_generation",
);
const PUT_SEGMENT: Statement = Statement::both(
    "INSERT INTO index_segments (owner_id, site_id, generation, ordinal, bytes) VALUES ($1, $2, $3, $4, $5)",
);
const SWAP_GENERATION: Statement = Statement::both(
    "UPDATE sites SET index_generation = $3
     WHERE owner_id = $1 AND id = $2 AND index_generation < $3 AND latest_generation >= $3",
);
const DELETE_OLDER_CHUNKS: Statement =
    Statement::both("DELETE FROM chunks WHERE owner_id = $1 AND site_id = $2 AND generation < $3");
const DELETE_OLDER_SEGMENTS: Statement =
    Statement::both("DELETE FROM index_segments WHERE owner_id = $1 AND site_id = $2 AND generation < $3");
const DELETE_OLDER_PAGES: Statement =
    Statement::both("DELETE FROM pages WHERE owner_id = $1 AND site_id = $2 AND generation < $3");
const DROP_CHUNKS: Statement = Statement::both(
    "DELETE FROM chunks WHERE owner_id = $1 AND site_id = $2 AND generation = $3 AND generation NOT IN
       (SELECT index_generation FROM sites WHERE owner_id = $1 AND id = $2)",
);
const DROP_SEGMENTS: Statement = Statement::both(
    "DELETE FROM index_segments WHERE owner_id = $1 AND site_id = $2 AND generation = $3 AND generation NOT IN
       (SELECT index_generation FROM sites WHERE owner_id = $1 AND id = $2)",
);
// The report of the dropped crawl stays until the next one; reports of crawls that were dropped before it go.
const DROP_OLDER_REPORTS: Statement = Statement::both(
    "DELETE FROM pages WHERE owner_id = $1 AND site_id = $2 AND generation < $3 AND generation NOT IN
       (SELECT index_generation FROM sites WHERE owner_id = $1 AND id = $2)",
);
const LIST_PAGES: Statement = Statement::both(
    "SELECT id, url, title, status, reason, chunks, bytes, language, fetched_at FROM pages
     WHERE owner_id = $1 AND site_id = $2 AND generation =
       (SELECT MAX(generation) FROM pages WHERE owner_id = $1 AND site_id = $2)
     ORDER BY fetched_at, id LIMIT $3",
);
const LIST_SOURCES: Statement = Statement::both(
    "SELECT id, url, title, status, reason, chunks, bytes, language, fetched_at FROM pages
     WHERE owner_id = $1 AND site_id = $2 AND generation =
       (SELECT index_generation FROM sites WHERE owner_id = $1 AND id = $2) AND id > $3
     ORDER BY id LIMIT $4",
);

/// A page that a crawl came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRow {
    /// Its id.
    pub id: PageId,
    /// Its address.
    pub url: String,
    /// Its title; may be empty.
    pub title: String,
    /// `indexed`, `skipped` or `failed`.
    pub status: String,
    /// Why it was skipped or failed; empty when it was indexed.
    pub reason: String,
    /// Chunks made of it.
    pub chunks: i32,
    /// Bytes fetched.
    pub bytes: i64,
    /// Its language as a tag; may be empty.
    pub language: String,
    /// When, in microseconds.
    pub fetched_at: Timestamp,
}
row!(PageRow { id, url, title, status, reason, chunks, bytes, language, fetched_at });

/// A piece of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkRow {
    /// Its number in the generation, as the index knows it.
    pub ordinal: i64,
    /// The page that it is from; it must be put before its chunks.
    pub page: PageId,
    /// The path of headings above it.
    pub heading: String,
    /// The text.
    pub text: String,
}

impl Store {
    /// A new generation's number for a crawl to write under.
    ///
    /// # Errors
    /// [`chatward_types::Kind::NotFound`] when the site is not there.
    pub async fn next_generation(&self, scope: &Scope, site: SiteId) -> Result<i64> {
        let mut tx = self.write(scope).await?;
        let generation = value!(i64, tx, NEXT_GENERATION, scope.owner(), site)?;
        tx.commit().await?;
        generation.ok_or_else(Error::not_found)
    }

    /// Stores pages of a generation.
    ///
    /// # Errors
    /// [`chatward_types::Kind::NotFound`] when the site is not there (any more).
    pub async fn put_pages(&self, scope: &Scope, site: SiteId, generation: i64, pages: &[PageRow]) -> Result<()> {
        let rows = pages.iter().map(|page| {
            (
                page.id,
                plain(&page.url),
                plain(&page.title),
                plain(&page.status),
                plain(&page.reason),
                page.chunks,
                page.bytes,
                plain(&page.language),
                page.fetched_at,
            )
        });
        for list in json_lists(rows)? {
            let mut tx = self.write(scope).await?;
            execute!(tx, PUT_PAGES, scope.owner(), site, generation, list)?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Stores chunks of a generation; their pages must be there.
    ///
    /// # Errors
    /// [`chatward_types::Kind::NotFound`] when a page is not there, [`chatward_types::Kind::Conflict`] when an ordinal
    /// is taken.
    pub async fn put_chunks(&self, scope: &Scope, site: SiteId, generation: i64, chunks: &[ChunkRow]) -> Result<()> {
        let rows = chunks.iter().map(|chunk| (chunk.ordinal, chunk.page, plain(&chunk.heading), plain(&chunk.text)));
        for list in json_lists(rows)? {
            let mut tx = self.write(scope).await?;
            execute!(tx, PUT_CHUNKS, scope.owner(), site, generation, list)?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Stores the index segment number `ordinal` of a generation.
    ///
    /// # Errors
    /// [`chatward_types::Kind::NotFound`] when the site is not there (any more).
    pub async fn put_segment(
        &self,
        scope: &Scope,
        site: SiteId,
        generation: i64,
        ordinal: i64,
        bytes: Vec<u8>,
    ) -> Result<()> {
        let mut tx = self.write(scope).await?;
        execute!(tx, PUT_SEGMENT, scope.owner(), site, generation, ordinal, bytes)?;
        tx.commit().await
    }

    /// Lets a generation answer from now on and deletes the older ones, in one transaction.
    ///
    /// # Errors
    /// [`chatward_types::Kind::NotFound`] when the site is not there, or already answers from this generation or a newer one.
    pub async fn swap_generation(&self, scope: &Scope, site: SiteId, generation: i64, now: Timestamp) -> Result<()> {
        let owner = scope.owner();
        let id = site.to_string();
        let mut tx = self.write(scope).await?;
        if execute!(tx, SWAP_GENERATION, owner, &id, generation)? == 0 {
            return Err(Error::not_found());
        }
        execute!(tx, DELETE_OLDER_CHUNKS, owner, &id, generation)?;
        execute!(tx, DELETE_OLDER_SEGMENTS, owner, &id, generation)?;
        execute!(tx, DELETE_OLDER_PAGES, owner, &id, generation)?;
        record_change(&mut tx, change::INDEX_SWAPPED, Some(owner), &[&id], now).await?;
        tx.commit().await
    }

    /// Drops the chunks and segments of a generation that will not answer. Its pages stay as the report of the crawl,
    /// until the next crawl. The generation that answers is never dropped.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn drop_generation(&self, scope: &Scope, site: SiteId, generation: i64) -> Result<()> {
        let owner = scope.owner();
        let mut tx = self.write(scope).await?;
        execute!(tx, DROP_CHUNKS, owner, site, generation)?;
        execute!(tx, DROP_SEGMENTS, owner, site, generation)?;
        execute!(tx, DROP_OLDER_REPORTS, owner, site, generation)?;
        tx.commit().await
    }

    /// The pages of the latest crawl, also of one that runs or failed, in the order they were fetched.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_pages(&self, scope: &Scope, site: SiteId) -> Result<Vec<PageRow>> {
        let mut tx = self.read(scope).await?;
        let pages = rows!(PageRow, tx, LIST_PAGES, scope.owner(), site, LIST_LIMIT)?;
        tx.commit().await?;
        Ok(pages)
    }

    /// Up to `limit` pages of the generation that answers, in the order they were fetched, those after `after` alone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_sources(
        &self,
        scope: &Scope,
        site: SiteId,
        after: Option<PageId>,
        limit: u32,
    ) -> Result<Vec<PageRow>> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let mut tx = self.read(scope).await?;
        let pages = rows!(PageRow, tx, LIST_SOURCES, scope.owner(), site, after, limit)?;
        tx.commit().await?;
        Ok(pages)
    }
}

/// A stranger's text without NUL, which PostgreSQL cannot hold.
fn plain(text: &str) -> String {
    text.replace('\0', "")
}

/// JSON arrays of rows, each within the bounds of a statement (a single larger row stands alone).
fn json_lists(rows: impl Iterator<Item = impl Serialize>) -> Result<Vec<String>> {
    let mut lists = Vec::new();
    let (mut list, mut count) = (String::new(), 0);
    for row in rows {
        let row = serde_json::to_string(&row).map_err(Error::internal)?;
        if count > 0 && (count == BATCH_ROWS || list.len() + row.len() > BATCH_BYTES) {
            list.push(']');
            lists.push(std::mem::take(&mut list));
            count = 0;
        }
        list.push(if count == 0 { '[' } else { ',' });
        list.push_str(&row);
        count += 1;
    }
    if count > 0 {
        list.push(']');
        lists.push(list);
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut_by_rows_and_by_bytes() {
        let lists = json_lists((0..600).map(|number| (number,))).expect("lists");
        assert_eq!(lists.len(), 3);
        assert!(lists.iter().all(|list| serde_json::from_str::<Vec<(i64,)>>(list).is_ok()));
        let large = "x".repeat(700 * 1024);
        assert_eq!(json_lists([(&large,), (&large,)].into_iter()).expect("lists").len(), 2);
        assert!(json_lists(std::iter::empty::<(i64,)>()).expect("no list").is_empty());
    }
}
