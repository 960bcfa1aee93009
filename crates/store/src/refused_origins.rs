//! Origins that asked for a site's chat and were refused: what an owner may want to allow.
//!
//! Owns: the table `refused_origins`, bounded per site. Rows come in sums, never one a request.
//! Never decides what is allowed.

use crate::statement::{Statement, execute, row, rows};
use crate::store::Store;
use chatward_types::{Result, Scope, SiteId, Timestamp};

const UPSERT_REFUSED: Statement = Statement::both(
    "INSERT INTO refused_origins (owner_id, site_id, origin, count, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (owner_id, site_id, origin)
     DO UPDATE SET count = refused_origins.count + excluded.count, last_at = excluded.last_at",
);
const TRIM_REFUSED: Statement = Statement::both(
    "DELETE FROM refused_origins WHERE owner_id = $1 AND site_id = $2 AND origin NOT IN
       (SELECT origin FROM refused_origins WHERE owner_id = $1 AND site_id = $2
        ORDER BY last_at DESC, origin LIMIT $3)",
);
const LIST_REFUSED: Statement = Statement::both(
    "SELECT origin, count, first_at, last_at FROM refused_origins
     WHERE owner_id = $1 AND site_id = $2 ORDER BY last_at DESC, origin LIMIT 1000",
);

/// An origin with how often it was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedOrigin {
    /// The origin.
    pub origin: String,
    /// How many requests.
    pub count: i64,
    /// The first of them, in microseconds.
    pub first_at: Timestamp,
    /// The last of them, in microseconds.
    pub last_at: Timestamp,
}
row!(RefusedOrigin { origin, count, first_at, last_at });

impl Store {
    /// Adds sums to a site's refused origins and keeps the `most` that were seen last.
    ///
    /// # Errors
    /// [`chatward_types::Kind::NotFound`] when the site does not exist.
    pub async fn add_refused_origins(
        &self,
        scope: &Scope,
        site: SiteId,
        refused: &[RefusedOrigin],
        most: u32,
    ) -> Result<()> {
        let owner = scope.owner();
        let mut tx = self.write(scope).await?;
        for sum in refused {
            execute!(tx, UPSERT_REFUSED, owner, site, &sum.origin, sum.count, sum.first_at, sum.last_at)?;
        }
        execute!(tx, TRIM_REFUSED, owner, site, most)?;
        tx.commit().await
    }

    /// A site's refused origins, the last seen first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_refused_origins(&self, scope: &Scope, site: SiteId) -> Result<Vec<RefusedOrigin>> {
        let mut tx = self.read(scope).await?;
        let refused = rows!(RefusedOrigin, tx, LIST_REFUSED, scope.owner(), site)?;
        tx.commit().await?;
        Ok(refused)
    }
}
