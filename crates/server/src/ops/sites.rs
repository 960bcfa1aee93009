//! Sites: what a visitor's request needs to know of one, cached; and how an operator adds and changes them.

use crate::app::App;
use crate::client::Client;
use crate::ops::origins;
use crate::ops::site_settings::Settings;
use crate::ops::trail::{self, Actor};
use chatward_store::{NewSite, SiteKeyRow, SiteRow, Store};
use chatward_types::{
    Environment, Error, EventName, JobId, Kind, Outcome, OwnerId, Result, Scope, Severity, SiteId, Timestamp,
};
use chatward_vault::PublishableKey;
use quick_cache::sync::Cache;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use url::Url;

/// How many sites stay cached.
const KEPT: usize = 4096;
/// The most origins that a site may have.
pub const MOST_ORIGINS: usize = 50;
/// The most sites that an owner may have.
const MOST_SITES: u64 = 1000;
/// The most characters of a site's name.
const MOST_NAME: usize = 120;

/// A site as the fronts see it.
#[derive(Debug)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// Its tenant.
    pub owner: OwnerId,
    /// The current publishable key.
    pub key: Box<str>,
    /// Every key that it has or had, with its end.
    pub keys: Box<[(Box<str>, Option<Timestamp>)]>,
    /// The address that the crawl starts from.
    pub url: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// The origins that may frame and call its chat.
    pub origins: Box<[String]>,
    /// What its owner has set.
    pub settings: Settings,
    /// The generation of its index; 0 before the first crawl.
    pub generation: i64,
    /// What a model is told before its visitors' questions, once there was one (see `prompts`).
    pub rules: OnceLock<Arc<str>>,
}

impl Site {
    /// The site of a row; one whose settings cannot be read asks its visitors for consent.
    pub fn of(row: SiteRow, keys: Vec<SiteKeyRow>) -> Self {
        let settings = Settings::read_known(&row.settings).unwrap_or_else(|error| {
            tracing::error!(site = %row.id, error = error.source_line(), "the settings of a site cannot be read; asking its visitors for consent");
            Settings { consent: Some(true), ..Settings::default() }
        });
        Self {
            id: row.id,
            owner: row.owner,
            key: row.publishable_key.into(),
            keys: keys.into_iter().map(|key| (key.publishable_key.into(), key.honoured_until)).collect(),
            url: row.url.into(),
            name: row.name.into(),
            origins: row.origins.into(),
            settings,
            generation: row.index_generation,
            rules: OnceLock::new(),
        }
    }

    /// Whether the site answers to this key now.
    pub fn honours(&self, key: &str, now: Timestamp) -> bool {
        self.honoured(now).any(|own| own == key)
    }

    /// The keys that the site answers to: the current one, and those that were rotated a short while ago.
    pub fn honoured(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        self.keys.iter().filter(move |(_, end)| end.is_none_or(|end| end > now)).map(|(key, _)| &**key)
    }

    /// Whether `origin` is one of the site's.
    pub fn has_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|own| own == origin)
    }

    /// The rows of its tenant.
    pub fn scope(&self) -> Scope {
        Scope::of(self.owner)
    }
}

/// The bounded cache of sites, by key and by id.
pub struct Sites {
    by_id: Cache<SiteId, Arc<Site>>,
    ids: Cache<Box<str>, (OwnerId, SiteId)>,
    /// Counts what was forgotten, so that a copy which was read before is not kept after.
    forgotten: AtomicU64,
    /// The last reading of all origins that was begun, and the one that is in force.
    readings: AtomicU64,
    applied: Mutex<u64>,
}

impl std::fmt::Debug for Sites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sites").field("cached", &self.by_id.len()).finish()
    }
}

impl Default for Sites {
    fn default() -> Self {
        Self {
            by_id: Cache::new(KEPT),
            ids: Cache::new(KEPT),
            forgotten: AtomicU64::new(0),
            readings: AtomicU64::new(0),
            applied: Mutex::new(0),
        }
    }
}

impl Sites {
    /// Drops the copy of a site that has changed.
    pub fn forget(&self, site: SiteId) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.by_id.remove(&site);
    }
}

/// The site that a publishable key names, for a caller who is told what is wrong with the key.
///
/// # Errors
/// [`Kind::NotFound`], `site_unknown_environment` for a key of another environment; else when the store fails.
pub async fn named(app: &App, text: &str, client: &Client) -> Result<Arc<Site>> {
    if let Some(site) = by_key(app, text, client).await? {
        let event = app.event(EventName::ApiKeyValidation, Severity::Info, Outcome::Success);
        event.of(client).site(site.owner, site.id).emit();
        return Ok(site);
    }
    let elsewhere = PublishableKey::parse(text).is_ok_and(|key| key.environment() != app.config.environment);
    Err(if elsewhere {
        Error::new(
            Kind::NotFound,
            "site_unknown_environment",
            "This key is of another environment (live, test or dev) than this server. Copy the key from this server's site.",
        )
    } else {
        Error::new(
            Kind::NotFound,
            "site_unknown",
            "There is no site with this key. Copy the key again from the site's settings; each environment has its own.",
        )
    })
}

/// The site that a publishable key names, or `None` for one that is malformed, of another environment or unknown.
///
/// # Errors
/// When the store fails.
pub async fn by_key(app: &App, text: &str, client: &Client) -> Result<Option<Arc<Site>>> {
    let refusal = |why: &'static str| {
        app.event(EventName::ApiKeyValidation, Severity::Warning, Outcome::Refused).of(client).detail(why)
    };
    // Shape first: a mistyped or foreign key never reaches the store.
    let Ok(key) = PublishableKey::parse(text) else {
        refusal("what was given as a publishable key is none").emit();
        return Ok(None);
    };
    if key.environment() != app.config.environment {
        refusal("a publishable key of another environment").emit();
        return Ok(None);
    }
    let found = match app.sites.ids.get(text) {
        Some(found) => Some(found),
        None => {
            let found = app.store.find_site_key(text).await?;
            if let Some(found) = found {
                app.sites.ids.insert(text.into(), found);
            }
            found
        }
    };
    let site = match found {
        Some((owner, id)) => by_id(app, &Scope::of(owner), id).await?,
        None => None,
    };
    let Some(site) = site else {
        refusal("an unknown publishable key").owner_if_known(found.map(|(owner, _)| owner)).emit();
        return Ok(None);
    };
    if !site.honours(text, app.clock.now()) {
        refusal("a publishable key that was rotated or revoked").site(site.owner, site.id).emit();
        return Ok(None);
    }
    Ok(Some(site))
}

/// A site of the scope's owner.
///
/// # Errors
/// When the store fails.
pub async fn by_id(app: &App, scope: &Scope, id: SiteId) -> Result<Option<Arc<Site>>> {
    if let Some(site) = app.sites.by_id.get(&id) {
        return Ok((site.owner == scope.owner()).then_some(site));
    }
    let forgotten = app.sites.forgotten.load(Ordering::Acquire);
    let Some(row) = app.store.get_site(scope, id).await? else { return Ok(None) };
    let keys = app.store.site_keys(&Scope::of(row.owner), id).await?;
    let site = Arc::new(Site::of(row, keys));
    app.sites.by_id.insert(id, Arc::clone(&site));
    if app.sites.forgotten.load(Ordering::Acquire) != forgotten {
        // Something changed while this was read; it may have been this site.
        app.sites.by_id.remove(&id);
    }
    Ok(Some(site))
}

/// Reads the origins of every site anew: at start and when a site has changed.
///
/// # Errors
/// When the store fails; the old set stays.
pub async fn refresh_origins(app: &App) -> Result<()> {
    let reading = app.sites.readings.fetch_add(1, Ordering::AcqRel) + 1;
    let rows = app.store.admin_list_sites().await?;
    // Of two that overlap, the one that began later has seen more.
    let mut applied = app.sites.applied.lock().unwrap_or_else(PoisonError::into_inner);
    if reading > *applied {
        *applied = reading;
        app.origins.replace(rows.into_iter().flat_map(|row| row.origins));
    }
    Ok(())
}

/// Adds a site. Its own origin, and the one with or without `www.`, are allowed from the start.
///
/// # Errors
/// [`Kind::Invalid`] when the address is no http(s) URL that a site can have.
pub async fn add(app: &App, scope: &Scope, url: &str, name: Option<&str>, origins: &[String]) -> Result<SiteRow> {
    add_by(app, scope, &Addition { url, name, origins }, &Actor::Operator).await
}

/// A site that somebody wants.
#[derive(Debug, Clone, Copy)]
pub struct Addition<'a> {
    /// Where the crawl starts.
    pub url: &'a str,
    /// Its name; its host where it is absent.
    pub name: Option<&'a str>,
    /// Origins beside its own.
    pub origins: &'a [String],
}

/// The same, by somebody else than the operator.
///
/// # Errors
/// As [`add`], and [`Kind::Conflict`], `sites_full`, when the owner has the most that it may have.
pub async fn add_by(app: &App, scope: &Scope, wanted: &Addition<'_>, by: &Actor) -> Result<SiteRow> {
    let Addition { url, name, origins } = *wanted;
    if name.is_some_and(|name| !is_name(name)) {
        return Err(Error::invalid("name takes 1 to 120 characters."));
    }
    if app.store.count_sites(scope).await? >= MOST_SITES {
        return Err(Error::new(
            Kind::Conflict,
            "sites_full",
            "There are 1000 sites already. Remove one before adding another.",
        ));
    }
    let url = parse_site_url(url, app.config.environment)?;
    let mut allowed = twin_origins(&url);
    for origin in origins {
        allowed.push(parse_origin(origin, app.config.environment)?);
    }
    allowed.sort();
    allowed.dedup();
    check_origins(&allowed)?;
    let key = PublishableKey::generate(app.config.environment, app.entropy.as_ref())?;
    let host = url.host_str().unwrap_or_default();
    let now = app.clock.now();
    let site = NewSite {
        id: SiteId::generate(app.clock.as_ref(), app.entropy.as_ref())?,
        publishable_key: key.to_string(),
        url: url.to_string(),
        name: name.unwrap_or_else(|| host.strip_prefix("www.").unwrap_or(host)).chars().take(MOST_NAME).collect(),
        origins: allowed,
        settings: "{}".to_owned(),
        created_at: now,
    };
    let id = site.id;
    let detail = json!({ "what": "site added", "url": site.url, "origins": site.origins });
    store_for(app, scope, id, by, &detail)?.insert_site(scope, &site).await?;
    changed(app, scope, id, "site added").await?;
    app.store.get_site(scope, id).await?.ok_or_else(|| Error::internal("a site vanished right after it was added"))
}

/// Writes a changed site.
///
/// # Errors
/// [`Kind::Invalid`] for origins or settings out of bounds, [`Kind::Conflict`] when somebody else was faster.
pub async fn update(app: &App, scope: &Scope, row: &SiteRow) -> Result<()> {
    update_by(app, scope, row, &Actor::Operator).await
}

/// The same, by somebody else than the operator.
///
/// # Errors
/// As [`update`].
pub async fn update_by(app: &App, scope: &Scope, row: &SiteRow, by: &Actor) -> Result<()> {
    check_origins(&row.origins)?;
    for origin in &row.origins {
        parse_origin(origin, app.config.environment)?;
    }
    if !is_name(&row.name) {
        return Err(Error::invalid("name takes 1 to 120 characters."));
    }
    Settings::read(&row.settings)?.check()?;
    let detail = json!({ "what": "site changed", "name": row.name, "origins": row.origins });
    store_for(app, scope, row.id, by, &detail)?.update_site(scope, row, app.clock.now()).await?;
    changed(app, scope, row.id, "site changed").await
}

/// Removes a site with all that belongs to it.
///
/// # Errors
/// [`Kind::NotFound`] when there is none.
pub async fn remove(app: &App, scope: &Scope, id: SiteId) -> Result<()> {
    remove_by(app, scope, id, &Actor::Operator).await
}

/// The same, by somebody else than the operator.
///
/// # Errors
/// As [`remove`].
pub async fn remove_by(app: &App, scope: &Scope, id: SiteId, by: &Actor) -> Result<()> {
    let detail = json!({ "what": "site removed" });
    let store = store_for(app, scope, id, by, &detail)?;
    if !store.remove_site(scope, id, app.clock.now()).await? {
        return Err(Error::not_found());
    }
    changed(app, scope, id, "site removed").await
}

/// Queues a crawl of a site, or finds the one that is queued or running.
///
/// # Errors
/// When the store fails.
pub async fn queue_crawl(app: &App, scope: &Scope, id: SiteId) -> Result<JobId> {
    let job = JobId::generate(app.clock.as_ref(), app.entropy.as_ref())?;
    app.store.enqueue_job(job, scope.owner(), "crawl", &id.to_string(), app.clock.now()).await
}

/// The store for a change of a site, which is recorded or not made.
fn store_for(app: &App, scope: &Scope, id: SiteId, by: &Actor, detail: &serde_json::Value) -> Result<Store> {
    let name = EventName::ConfigurationChanged;
    Ok(trail::audited(app, trail::entry(app, name, by, Some(scope.owner()), &id.to_string(), detail)?))
}

async fn changed(app: &App, scope: &Scope, id: SiteId, what: &'static str) -> Result<()> {
    app.sites.forget(id);
    let event = app.event(EventName::ConfigurationChanged, Severity::Info, Outcome::Success);
    event.site(scope.owner(), id).detail(what).emit();
    refresh_origins(app).await
}

fn parse_site_url(text: &str, environment: Environment) -> Result<Url> {
    let text = text.trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let mut url = Url::parse(&whole)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
        .ok_or_else(|| {
            Error::invalid("The site's address must be an http or https URL such as https://www.example.com/.")
        })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid("The site's address must not hold a user name or password."));
    }
    if whole.len() > 2000 {
        return Err(Error::invalid("The site's address is too long; 2000 characters are the most."));
    }
    if environment == Environment::Production && url.scheme() != "https" {
        return Err(Error::invalid("In production a site's address must begin with https://."));
    }
    url.set_fragment(None);
    Ok(url)
}

/// An origin that a site may have in this environment.
///
/// # Errors
/// [`Kind::Invalid`], with what to write instead.
pub fn parse_origin(text: &str, environment: Environment) -> Result<String> {
    let origin = origins::parse(text).ok_or_else(|| {
        Error::invalid("An origin is a scheme and a host, such as https://www.example.com, without a path or a *.")
    })?;
    let plain = origin.starts_with("http://");
    let local = Url::parse(&origin).ok().is_none_or(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    });
    if environment == Environment::Production && (plain || local) {
        return Err(Error::new(
            Kind::Invalid,
            "invalid",
            "In production an origin must begin with https:// and must not be this machine.",
        ));
    }
    Ok(origin)
}

/// The URL's origin, and its twin with or without `www.`.
pub(crate) fn twin_origins(url: &Url) -> Vec<String> {
    let mut found: Vec<String> = origins::of_url(url).into_iter().collect();
    if let Some(url::Host::Domain(host)) = url.host()
        && host.contains('.')
    {
        let twin = host.strip_prefix("www.").map_or_else(|| format!("www.{host}"), str::to_owned);
        let mut other = url.clone();
        if twin.contains('.') && other.set_host(Some(&twin)).is_ok() {
            found.extend(origins::of_url(&other));
        }
    }
    found
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= MOST_NAME && !name.chars().any(char::is_control)
}

fn check_origins(list: &[String]) -> Result<()> {
    if list.len() > MOST_ORIGINS {
        return Err(Error::invalid("A site can have at most 50 origins."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_answers_with_and_without_www() {
        let url = Url::parse("https://www.shop.example/start").expect("a URL");
        assert_eq!(twin_origins(&url), ["https://www.shop.example", "https://shop.example"]);
        let url = Url::parse("https://shop.example/").expect("a URL");
        assert_eq!(twin_origins(&url), ["https://shop.example", "https://www.shop.example"]);
        let url = Url::parse("http://127.0.0.1:3000/").expect("a URL");
        assert_eq!(twin_origins(&url), ["http://127.0.0.1:3000"]);
    }

    #[test]
    fn production_takes_neither_http_nor_localhost() {
        for bad in [
            "http://shop.example",
            "https://localhost",
            "https://127.0.0.1",
            "https://[::1]",
            "https://a.localhost",
            "*",
            "null",
        ] {
            assert!(parse_origin(bad, Environment::Production).is_err(), "{bad}");
        }
        assert!(parse_origin("https://shop.example", Environment::Production).is_ok());
        assert!(parse_origin("http://localhost:5173", Environment::Development).is_ok());
        assert!(parse_site_url("http://shop.example", Environment::Production).is_err());
        assert!(parse_site_url("shop.example", Environment::Production).is_ok());
        assert!(parse_site_url("https://u:p@shop.example", Environment::Development).is_err());
    }
}
