//! A partial change of a site, the same for the HTTP API and the command line.
//!
//! Owns: what is absent stays, what is there replaces, origins are added and taken away one by one. The bounds are those
//! of `sites::update_by`, which writes; nothing is written beside it.

use crate::app::App;
use crate::ops::site_settings::{Settings, SettingsChange};
use crate::ops::sites::{parse_origin, update_by};
use crate::ops::trail::Actor;
use chatward_store::SiteRow;
use chatward_types::{Environment, Error, Kind, Result, Scope, SiteId, Timestamp};

/// A partial change of a site; what is absent stays.
#[derive(Debug, Default)]
pub struct SiteChange {
    /// Another name.
    pub name: Option<String>,
    /// Other origins, in place of those before.
    pub origins: Option<Vec<String>>,
    /// Origins to allow beside those before.
    pub add_origins: Vec<String>,
    /// Origins to allow no longer.
    pub remove_origins: Vec<String>,
    /// Other settings.
    pub settings: SettingsChange,
    /// The version that the change was made for, as [`SiteRow::updated_at`]; any where it is absent.
    pub version: Option<Timestamp>,
}

/// The refusal of a change that was made for another version.
pub fn changed_meanwhile() -> Error {
    Error::new(
        Kind::Precondition,
        "changed_meanwhile",
        "Somebody else changed it meanwhile. Read it again, and send the change with its new ETag.",
    )
}

/// Makes a partial change and returns the site as it is then.
///
/// # Errors
/// As [`update_by`], [`Kind::NotFound`] when the owner has no such site, and [`Kind::Precondition`] when it is of another
/// version than the one named.
pub async fn change(app: &App, scope: &Scope, id: SiteId, change: SiteChange, by: &Actor) -> Result<SiteRow> {
    let Some(mut row) = app.store.get_site(scope, id).await? else { return Err(Error::not_found()) };
    if change.version.is_some_and(|version| version != row.updated_at) {
        return Err(changed_meanwhile());
    }
    // What cannot be read is not written over: a newer version of this program may have set it.
    let mut settings = Settings::read(&row.settings)?;
    change.settings.apply(&mut settings);
    row.settings = serde_json::to_string(&settings).map_err(Error::internal)?;
    if let Some(name) = change.name {
        row.name = name;
    }
    if let Some(origins) = change.origins {
        row.origins = Vec::new();
        add_origins(&mut row, &origins, app.config.environment)?;
    }
    add_origins(&mut row, &change.add_origins, app.config.environment)?;
    for origin in &change.remove_origins {
        let Ok(origin) = parse_origin(origin, Environment::Development) else { continue };
        row.origins.retain(|known| *known != origin);
    }
    update_by(app, scope, &row, by).await.map_err(|error| match (change.version, error.kind()) {
        (Some(_), Kind::Conflict) => changed_meanwhile(),
        _ => error,
    })?;
    app.store.get_site(scope, id).await?.ok_or_else(Error::not_found)
}

fn add_origins(row: &mut SiteRow, origins: &[String], environment: Environment) -> Result<()> {
    for origin in origins {
        let origin = parse_origin(origin, environment)?;
        if !row.origins.contains(&origin) {
            row.origins.push(origin);
        }
    }
    Ok(())
}
