//! Sites and the directory that leads from a publishable key to its owner.
//!
//! Owns: the tables `sites` and `site_directory`, always changed together, with a row in `changes`.
//! Never decides what origins or settings mean.

use crate::changes::{change, record_change};
use crate::statement::{Statement, execute, first, row, rows, value};
use crate::store::Store;
use chatward_types::{Error, Kind, OwnerId, Result, Scope, SiteId, Timestamp};

/// Sites that one list returns at most.
const LIST_LIMIT: u32 = 10_000;

const INSERT_SITE: Statement = Statement::both(
    "INSERT INTO sites (owner_id, id, publishable_key, url, name, origins, settings,
                        index_generation, latest_generation, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, $8)",
);
const INSERT_DIRECTORY: Statement =
    Statement::both("INSERT INTO site_directory (publishable_key, owner_id, site_id) VALUES ($1, $2, $3)");
const GET_SITE: Statement = Statement::both(
    "SELECT id, owner_id, publishable_key, url, name, origins, settings, index_generation, created_at, updated_at
     FROM sites WHERE owner_id = $1 AND id = $2",
);
const LIST_SITES: Statement = Statement::both(
    "SELECT id, owner_id, publishable_key, url, name, origins, settings, index_generation, created_at, updated_at
     FROM sites WHERE owner_id = $1 ORDER BY created_at, id LIMIT $2",
);
const ADMIN_LIST_SITES: Statement = Statement::both(
    "SELECT id, owner_id, publishable_key, url, name, origins, settings, index_generation, created_at, updated_at
     FROM sites ORDER BY created_at, id LIMIT $1",
);
const LIST_SITES_AFTER: Statement = Statement::both(
    "SELECT id, owner_id, publishable_key, url, name, origins, settings, index_generation, created_at, updated_at
     FROM sites WHERE owner_id = $1 AND id > $2 ORDER BY id LIMIT $3",
);
const COUNT_SITES: Statement = Statement::both("SELECT CAST(COUNT(*) AS BIGINT) FROM sites WHERE owner_id = $1");
const UPDATE_SITE: Statement = Statement::both(
    "UPDATE sites SET url = $3, name = $4, origins = $5, settings = $6, updated_at = $7
     WHERE owner_id = $1 AND id = $2 AND updated_at = $8",
);
const FIND_SITE_KEY: Statement =
    Statement::both("SELECT owner_id, site_id FROM site_directory WHERE publishable_key = $1");

// Everything of a site, leaves first: a cascade would look up each page's chunks one by one.
const REMOVE_CHUNKS: Statement = Statement::both("DELETE FROM chunks WHERE owner_id = $1 AND site_id = $2");
const REMOVE_SEGMENTS: Statement = Statement::both("DELETE FROM index_segments WHERE owner_id = $1 AND site_id = $2");
const REMOVE_PAGES: Statement = Statement::both("DELETE FROM pages WHERE owner_id = $1 AND site_id = $2");
const REMOVE_FEEDBACK: Statement = Statement::both(
    "DELETE FROM feedback WHERE owner_id = $1 AND conversation_id IN
       (SELECT id FROM conversations WHERE owner_id = $1 AND site_id = $2)",
);
const REMOVE_MESSAGES: Statement = Statement::both(
    "DELETE FROM messages WHERE owner_id = $1 AND conversation_id IN
       (SELECT id FROM conversations WHERE owner_id = $1 AND site_id = $2)",
);
const REMOVE_SESSIONS: Statement = Statement::both("DELETE FROM sessions WHERE owner_id = $1 AND site_id = $2");
const REMOVE_CONVERSATIONS: Statement =
    Statement::both("DELETE FROM conversations WHERE owner_id = $1 AND site_id = $2");
const REMOVE_USAGE: Statement = Statement::both("DELETE FROM usage WHERE owner_id = $1 AND site_id = $2");
const REMOVE_REFUSED: Statement = Statement::both("DELETE FROM refused_origins WHERE owner_id = $1 AND site_id = $2");
const REMOVE_DIRECTORY: Statement = Statement::both("DELETE FROM site_directory WHERE owner_id = $1 AND site_id = $2");
const REMOVE_SITE: Statement = Statement::both("DELETE FROM sites WHERE owner_id = $1 AND id = $2");

/// A site to be added.
#[derive(Debug, Clone)]
pub struct NewSite {
    /// Its id.
    pub id: SiteId,
    /// The key that its pages carry.
    pub publishable_key: String,
    /// Where the crawl starts.
    pub url: String,
    /// What people call it.
    pub name: String,
    /// The exact origins that may embed the chat.
    pub origins: Vec<String>,
    /// Bot settings as JSON.
    pub settings: String,
    /// When, in microseconds.
    pub created_at: Timestamp,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteRow {
    /// Its id.
    pub id: SiteId,
    /// Whose it is.
    pub owner: OwnerId,
    /// The current key that its pages carry; only `rotate_site_key` changes it.
    pub publishable_key: String,
    /// Where the crawl starts.
    pub url: String,
    /// What people call it.
    pub name: String,
    /// The exact origins that may embed the chat.
    pub origins: Vec<String>,
    /// Bot settings as JSON.
    pub settings: String,
    /// The generation of the index that answers; 0 before the first crawl. Only `swap_generation` changes it.
    pub index_generation: i64,
    /// When it was added, in microseconds.
    pub created_at: Timestamp,
    /// When address, name, origins or settings last changed; the version that `update_site` compares.
    pub updated_at: Timestamp,
}
row!(SiteRow {
    id, owner = "owner_id", publishable_key, url, name, origins, settings, index_generation, created_at, updated_at,
});

struct DirectoryRow {
    owner: OwnerId,
    site: SiteId,
}
row!(DirectoryRow { owner = "owner_id", site = "site_id" });

impl Store {
    /// Adds a site and its entry in the directory.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when the id or the key is taken, [`Kind::NotFound`] when the owner does not exist.
    pub async fn insert_site(&self, scope: &Scope, site: &NewSite) -> Result<()> {
        let owner = scope.owner();
        let origins = serde_json::to_string(&site.origins).map_err(Error::internal)?;
        let id = site.id.to_string();
        let mut tx = self.write(scope).await?;
        execute!(
            tx,
            INSERT_SITE,
            owner,
            &id,
            &site.publishable_key,
            &site.url,
            &site.name,
            &origins,
            &site.settings,
            site.created_at,
        )?;
        execute!(tx, INSERT_DIRECTORY, &site.publishable_key, owner, &id)?;
        record_change(&mut tx, change::SITE_ADDED, Some(owner), &[&id], site.created_at).await?;
        tx.commit().await
    }

    /// One site of the owner.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_site(&self, scope: &Scope, site: SiteId) -> Result<Option<SiteRow>> {
        let mut tx = self.read(scope).await?;
        let row = first!(SiteRow, tx, GET_SITE, scope.owner(), site)?;
        tx.commit().await?;
        Ok(row)
    }

    /// All sites of the owner, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_sites(&self, scope: &Scope) -> Result<Vec<SiteRow>> {
        let mut tx = self.read(scope).await?;
        let sites = rows!(SiteRow, tx, LIST_SITES, scope.owner(), LIST_LIMIT)?;
        tx.commit().await?;
        Ok(sites)
    }

    /// Up to `limit` sites of the owner, oldest first, those after `after` alone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_sites_after(&self, scope: &Scope, after: Option<SiteId>, limit: u32) -> Result<Vec<SiteRow>> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let mut tx = self.read(scope).await?;
        let sites = rows!(SiteRow, tx, LIST_SITES_AFTER, scope.owner(), after, limit)?;
        tx.commit().await?;
        Ok(sites)
    }

    /// How many sites the owner has.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_sites(&self, scope: &Scope) -> Result<u64> {
        let mut tx = self.read(scope).await?;
        let count = value!(i64, tx, COUNT_SITES, scope.owner())?.unwrap_or(0);
        tx.commit().await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// All sites of all owners, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_list_sites(&self) -> Result<Vec<SiteRow>> {
        let mut tx = self.admin("admin_list_sites").await?;
        let sites = rows!(SiteRow, tx, ADMIN_LIST_SITES, LIST_LIMIT)?;
        tx.commit().await?;
        Ok(sites)
    }

    /// Stores the address, name, origins and settings of `site` if nobody changed it since it was read; returns it as
    /// stored, with its new `updated_at`. Key and generation are not changed here.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when it was changed meanwhile, [`Kind::NotFound`] when it is not there.
    pub async fn update_site(&self, scope: &Scope, site: &SiteRow, now: Timestamp) -> Result<SiteRow> {
        let owner = scope.owner();
        let origins = serde_json::to_string(&site.origins).map_err(Error::internal)?;
        let id = site.id.to_string();
        // Strictly later, so that two changes in one microsecond are still two versions.
        let updated_at = now.max(site.updated_at + 1);
        let mut tx = self.write(scope).await?;
        let updated = execute!(
            tx,
            UPDATE_SITE,
            owner,
            &id,
            &site.url,
            &site.name,
            &origins,
            &site.settings,
            updated_at,
            site.updated_at,
        )?;
        let Some(stored) = first!(SiteRow, tx, GET_SITE, owner, &id)? else {
            return Err(Error::not_found());
        };
        if updated == 0 {
            return Err(Error::new(Kind::Conflict, "conflict", "It was changed meanwhile. Read it again."));
        }
        record_change(&mut tx, change::SITE_CHANGED, Some(owner), &[&id], updated_at).await?;
        tx.commit().await?;
        Ok(stored)
    }

    /// Removes a site with its knowledge, sessions, conversations and usage. `false` when it was not there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn remove_site(&self, scope: &Scope, site: SiteId, now: Timestamp) -> Result<bool> {
        let owner = scope.owner();
        let id = site.to_string();
        let mut tx = self.write(scope).await?;
        execute!(tx, REMOVE_CHUNKS, owner, &id)?;
        execute!(tx, REMOVE_SEGMENTS, owner, &id)?;
        execute!(tx, REMOVE_PAGES, owner, &id)?;
        execute!(tx, REMOVE_FEEDBACK, owner, &id)?;
        execute!(tx, REMOVE_MESSAGES, owner, &id)?;
        execute!(tx, REMOVE_SESSIONS, owner, &id)?;
        execute!(tx, REMOVE_CONVERSATIONS, owner, &id)?;
        execute!(tx, REMOVE_USAGE, owner, &id)?;
        execute!(tx, REMOVE_REFUSED, owner, &id)?;
        execute!(tx, REMOVE_DIRECTORY, owner, &id)?;
        let removed = execute!(tx, REMOVE_SITE, owner, &id)?;
        if removed == 0 {
            return Ok(false);
        }
        record_change(&mut tx, change::SITE_REMOVED, Some(owner), &[&id], now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whose site a publishable key belongs to. Global: it is asked before an owner is known.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_site_key(&self, key: &str) -> Result<Option<(OwnerId, SiteId)>> {
        let mut tx = self.read_global().await?;
        let entry = first!(DirectoryRow, tx, FIND_SITE_KEY, key)?;
        tx.commit().await?;
        Ok(entry.map(|entry| (entry.owner, entry.site)))
    }
}
