//! A site's knowledge as it is read: segments for the index, passages for an answer.
//!
//! Owns: the reading side of `chunks`, `pages` and `index_segments`. A reader names the generation that it means; one
//! that was swapped away meanwhile reads as empty, and the caller asks the site for its present one.

use crate::engine_sql::CHUNKS_BY_ORDINAL;
use crate::statement::{Statement, row, rows};
use crate::store::Store;
use chatward_types::{Error, PageId, Result, Scope, SiteId};

const LOAD_SEGMENTS: Statement = Statement::both(
    "SELECT bytes FROM index_segments WHERE owner_id = $1 AND site_id = $2 AND generation = $3 ORDER BY ordinal",
);
const ALL_CHUNKS: Statement = Statement::both(
    "SELECT c.ordinal, c.page_id, c.heading, c.text, p.title, p.url FROM chunks c
     JOIN pages p ON p.owner_id = c.owner_id AND p.site_id = c.site_id AND p.generation = c.generation AND p.id = c.page_id
     WHERE c.owner_id = $1 AND c.site_id = $2 AND c.generation = $3 AND c.ordinal > $4
     ORDER BY c.ordinal LIMIT $5",
);

/// A chunk with what a citation says of its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassageRow {
    /// Its number in the generation, as the index knows it.
    pub ordinal: i64,
    /// The page that it is from.
    pub page: PageId,
    /// The path of headings above it.
    pub heading: String,
    /// The text.
    pub text: String,
    /// The page's title.
    pub title: String,
    /// The page's address.
    pub url: String,
}
row!(PassageRow { ordinal, page = "page_id", heading, text, title, url });

struct SegmentRow {
    bytes: Vec<u8>,
}
row!(SegmentRow { bytes });

impl Store {
    /// The index segments of a generation, in order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load_segments(&self, scope: &Scope, site: SiteId, generation: i64) -> Result<Vec<Vec<u8>>> {
        let mut tx = self.read(scope).await?;
        let segments = rows!(SegmentRow, tx, LOAD_SEGMENTS, scope.owner(), site, generation)?;
        tx.commit().await?;
        Ok(segments.into_iter().map(|segment| segment.bytes).collect())
    }

    /// The chunks with these ordinals, in no particular order; one that is not there is left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn chunks_by_ordinal(
        &self,
        scope: &Scope,
        site: SiteId,
        generation: i64,
        ordinals: &[i64],
    ) -> Result<Vec<PassageRow>> {
        let list: Vec<[i64; 1]> = ordinals.iter().map(|ordinal| [*ordinal]).collect();
        let list = serde_json::to_string(&list).map_err(Error::internal)?;
        let mut tx = self.read(scope).await?;
        let passages = rows!(PassageRow, tx, CHUNKS_BY_ORDINAL, scope.owner(), site, generation, list)?;
        tx.commit().await?;
        Ok(passages)
    }

    /// Up to `limit` chunks of a generation with an ordinal above `after` (-1 for the first), in order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn all_chunks(
        &self,
        scope: &Scope,
        site: SiteId,
        generation: i64,
        after: i64,
        limit: u32,
    ) -> Result<Vec<PassageRow>> {
        let mut tx = self.read(scope).await?;
        let passages = rows!(PassageRow, tx, ALL_CHUNKS, scope.owner(), site, generation, after, limit)?;
        tx.commit().await?;
        Ok(passages)
    }
}
