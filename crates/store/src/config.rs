//! What the store is told: addresses, sizes and deadlines.
//!
//! Owns: `StoreConfig` and what its URL means. Never reads the environment or a file; the server's `config/` does.

use chatward_types::{Error, Result, Secret};
use std::path::PathBuf;
use std::time::Duration;

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// The embedded default: one file.
    Sqlite,
    /// For several nodes.
    Postgres,
}

/// Where the database is and how hard to lean on it.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `sqlite:///absolute/path.db`, `sqlite://relative/path.db` (taken as it stands: no query, no percent-encoding)
    /// or `postgres://user:password@host/database`.
    pub url: Secret<String>,
    /// PostgreSQL: the login that may become `chatward_owner` and migrate. The application's own where absent.
    ///
    /// It makes the three roles (`chatward_owner`, `chatward_app`, `chatward_admin`, none of which can log in) if it has
    /// CREATEROLE. Otherwise an administrator makes them, gives each login its one role
    /// (`GRANT chatward_app TO …`) and this one CREATE on the database.
    pub migrate_url: Option<Secret<String>>,
    /// PostgreSQL: the login that may become `chatward_admin`. The application's own where absent.
    pub admin_url: Option<Secret<String>>,
    /// PostgreSQL, development: one login may `SET ROLE` to all three. Where false, an application login that could
    /// become the owner or the administrator, or is a superuser, is refused.
    pub allow_set_role: bool,
    /// Connections for requests (SQLite: readers, beside the one writer).
    pub pool_size: u32,
    /// Longest wait for a connection, and for room in the queue of `append`.
    pub acquire_deadline: Duration,
}

impl StoreConfig {
    /// Defaults for a development machine: 8 connections, 5 seconds, one login.
    pub fn development(url: impl Into<String>) -> Self {
        Self {
            url: Secret::new(url.into()),
            migrate_url: None,
            admin_url: None,
            allow_set_role: true,
            pool_size: 8,
            acquire_deadline: Duration::from_secs(5),
        }
    }

    /// Which engine the URL names.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Invalid`] for another scheme.
    pub fn engine(&self) -> Result<Engine> {
        self.location().map(|location| match location {
            Location::Sqlite(_) => Engine::Sqlite,
            Location::Postgres => Engine::Postgres,
        })
    }

    pub(crate) fn location(&self) -> Result<Location> {
        let url = self.url.expose();
        if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() || path.contains(['?', '\0']) || path.starts_with(':') {
                return Err(Error::invalid("database.url: expected sqlite:// and the path of a file, without a query"));
            }
            return Ok(Location::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Location::Postgres);
        }
        Err(Error::invalid("database.url: expected sqlite://… or postgres://…"))
    }
}

/// What the URL means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Sqlite(PathBuf),
    Postgres,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_file_or_a_server() {
        let location = |url: &str| StoreConfig::development(url).location();
        assert_eq!(location("sqlite:///srv/a b.db").expect("a path"), Location::Sqlite(PathBuf::from("/srv/a b.db")));
        assert_eq!(location("sqlite://data/c.db").expect("a path"), Location::Sqlite(PathBuf::from("data/c.db")));
        assert_eq!(location("postgres://localhost/chatward").expect("a server"), Location::Postgres);
        for bad in ["", "sqlite://", "sqlite://a.db?mode=memory", "sqlite://:memory:", "mysql://x", "file.db"] {
            assert!(location(bad).is_err(), "{bad}");
        }
    }
}
