//! A partial change of a site, the same for the HTTP API and the command line.
//!
//! Owns: what is absent stays, what is there replaces, origins are added and taken away one by one. The bounds are those
//! of `sites::update_by`, which writes; nothing is written beside it.

use crate::app::App;
use crate::ops::site_settings::{Settings, SettingsChange};
use crate::ops::sites::{parse_origin, update_by};
use crate::ops::trail::Actor;
use chatward_store::SiteRow;
use chatward_types::{Environment, Error, Result, Scope, SiteId};

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
}

/// Makes a partial change and returns the site as it is then.
///
/// # Errors
/// As [`update_by`], and [`chatward_types::Kind::NotFound`] when the owner has no such site.
pub async fn change(app: &App, scope: &Scope, id: SiteId, change: SiteChange, by: &Actor) -> Result<SiteRow> {
    let Some(mut row) = app.store.get_site(scope, id).await? else { return Err(Error::not_found()) };
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
    update_by(app, scope, &row, by).await?;
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
