//! The publishable keys of sites: the current one, and those before it that are still honoured.
//!
//! Owns: which entries of `site_directory` a site has, and when each ends; the current key stands with the site, too.
//! Every change is one of the site's, so that its copies are dropped. Never decides whether a key holds.

use crate::changes::{change, record_change};
use crate::statement::{Statement, execute, row, rows};
use crate::store::Store;
use chatward_types::{DAY, Result, Scope, SiteId, Timestamp};

/// How long an ended key is remembered, so that whoever names it is told what became of it.
const REMEMBERED: Timestamp = 30 * DAY;

const SITE_KEYS: Statement = Statement::both(
    "SELECT publishable_key, made_at, honoured_until FROM site_directory
     WHERE owner_id = $1 AND site_id = $2 ORDER BY COALESCE(made_at, 0), publishable_key LIMIT 100",
);
/// Only the current key is rotated: of two at once, the second finds another.
const SET_CURRENT: Statement = Statement::both(
    "UPDATE sites SET publishable_key = $4, updated_at = CASE WHEN updated_at >= $5 THEN updated_at + 1 ELSE $5 END
     WHERE owner_id = $1 AND id = $2 AND publishable_key = $3",
);
/// An end that is there already stays where it is earlier.
const END_KEY: Statement = Statement::both(
    "UPDATE site_directory SET honoured_until = $3
     WHERE owner_id = $1 AND publishable_key = $2 AND (honoured_until IS NULL OR honoured_until > $3)",
);
const INSERT_KEY: Statement =
    Statement::both("INSERT INTO site_directory (owner_id, site_id, publishable_key, made_at) VALUES ($1, $2, $3, $4)");
const FORGET_KEYS: Statement = Statement::both(
    "DELETE FROM site_directory WHERE owner_id = $1 AND site_id = $2 AND publishable_key <> $3 AND honoured_until <= $4",
);
/// One key, or each where $3 is empty.
const REVOKE_KEYS: Statement = Statement::both(
    "UPDATE site_directory SET honoured_until = $2
     WHERE owner_id = $1 AND ($3 = '' OR publishable_key = $3) AND (honoured_until IS NULL OR honoured_until > $2)
     RETURNING site_id",
);

/// A publishable key of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteKeyRow {
    /// The key.
    pub publishable_key: String,
    /// When it was made, in microseconds; absent for a site's first key, which is as old as the site.
    pub made_at: Option<Timestamp>,
    /// Until when it is honoured, in microseconds; open for the current one.
    pub honoured_until: Option<Timestamp>,
}
row!(SiteKeyRow { publishable_key, made_at, honoured_until });

struct OfSite {
    site_id: SiteId,
}
row!(OfSite { site_id });

impl Store {
    /// A site's keys, oldest first, ended ones among them; at most 100.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn site_keys(&self, scope: &Scope, site: SiteId) -> Result<Vec<SiteKeyRow>> {
        let mut tx = self.read(scope).await?;
        let keys = rows!(SiteKeyRow, tx, SITE_KEYS, scope.owner(), site)?;
        tx.commit().await?;
        Ok(keys)
    }

    /// Gives a site another key; the one before is honoured until `until`. `false` when `current` is not the site's
    /// current key (any more).
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when the new key is taken.
    pub async fn rotate_site_key(
        &self,
        scope: &Scope,
        site: SiteId,
        current: &str,
        new: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let owner = scope.owner();
        let id = site.to_string();
        let mut tx = self.write(scope).await?;
        if execute!(tx, SET_CURRENT, owner, &id, current, new, now)? == 0 {
            return Ok(false);
        }
        execute!(tx, END_KEY, owner, current, until)?;
        execute!(tx, INSERT_KEY, owner, &id, new, now)?;
        execute!(tx, FORGET_KEYS, owner, &id, new, now.saturating_sub(REMEMBERED))?;
        record_change(&mut tx, change::SITE_CHANGED, Some(owner), &[&id], now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Ends one key of the owner's sites, or all of them; returns the sites that lost one, each once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn revoke_site_keys(&self, scope: &Scope, key: Option<&str>, now: Timestamp) -> Result<Vec<SiteId>> {
        let owner = scope.owner();
        let mut tx = self.write(scope).await?;
        let mut sites: Vec<SiteId> = rows!(OfSite, tx, REVOKE_KEYS, owner, now, key.unwrap_or_default())?
            .into_iter()
            .map(|row| row.site_id)
            .collect();
        sites.sort_by_key(|site| *site.as_bytes());
        sites.dedup();
        if sites.is_empty() {
            return Ok(sites);
        }
        let subjects: Vec<String> = sites.iter().map(SiteId::to_string).collect();
        let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
        record_change(&mut tx, change::SITE_CHANGED, Some(owner), &subjects, now).await?;
        tx.commit().await?;
        Ok(sites)
    }
}
