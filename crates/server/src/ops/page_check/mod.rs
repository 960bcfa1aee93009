//! A visit to an owner's page: is the widget there, may it run, and would it be let in?
//!
//! The page is fetched as a stranger's, through the guarded way out, and read without running its scripts. Owns what is
//! looked at and what is said of it; a finding says what to do. Never changes anything.

mod judge;
pub mod policy;
#[cfg(test)]
mod tests;

use crate::app::App;
use crate::ops::sites::{self, Site};
use chatward_egress::{Fetch, Fetched};
use chatward_knowledge::extract::{Embedded, inspect};
use chatward_types::{Error, Result, Scope};
use chatward_vault::{KeyShapeError, PublishableKey};
use serde::Serialize;
use std::sync::Arc;
use url::Url;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The widget does not work, or not for everybody.
    Problem,
    /// Good to know.
    Note,
}

/// Something about a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// A stable word.
    pub code: &'static str,
    /// What it is.
    pub text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// What a visit found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The address that was asked for.
    pub url: String,
    /// Where that led.
    pub final_url: String,
    /// Whether there is no problem.
    pub ok: bool,
    /// Problems first.
    pub findings: Vec<Finding>,
}

/// A key as it stands in a page, and what this server knows of it.
#[derive(Debug, Clone)]
pub(crate) enum KeyState {
    /// A site of this server.
    Known(Arc<Site>),
    /// Well formed, and nobody's.
    Unknown,
    /// Of another environment.
    OtherEnvironment,
    /// A secret key, which has no place in a page.
    Secret,
    /// Not a key; the words say why.
    Malformed(String),
}

/// What was seen of a page.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) asked: Url,
    pub(crate) fetched: Fetched,
    pub(crate) embedded: Embedded,
    /// Each key once, with where it leads.
    pub(crate) keys: Vec<(String, KeyState)>,
    pub(crate) twin: Option<Twin>,
}

/// The same site with or without `www.`.
#[derive(Debug)]
pub(crate) struct Twin {
    pub(crate) origin: String,
    /// The origin that it led to; absent where nothing answered.
    pub(crate) led_to: Option<String>,
}

/// What this server is, as a page must know it.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) origin: Url,
    /// The digest in the address of the pinned loader.
    pub(crate) pin: String,
}

/// Visits a page; `pin` is the digest of this server's loader.
///
/// # Errors
/// [`chatward_types::Kind::Invalid`] for an address that is none or cannot be read; the reason is told, because the
/// person who asks is at this machine.
pub async fn visit(app: &App, address: &str, pin: &str) -> Result<Report> {
    let whole = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
    let asked = Url::parse(whole.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
        .ok_or_else(|| Error::invalid("Give the address of a page, such as https://www.example.com/."))?;
    let fetched = app.egress.fetch(Fetch::new(asked.clone(), app.crawl_reach)).await.map_err(|error| {
        Error::invalid("The page cannot be fetched. Is the address right, public, and does it answer?")
            .with_source(error)
    })?;
    let (page, kind, from) = (fetched.body.clone(), fetched.content_type.clone(), fetched.final_url.clone());
    let embedded =
        tokio::task::spawn_blocking(move || inspect(&page, kind.as_deref(), &from)).await.map_err(Error::internal)?;
    let embedded = match embedded {
        Ok(embedded) => embedded,
        Err(reason) => return Ok(judge::unreadable(&asked, &fetched, &reason.to_string())),
    };
    let mut keys = Vec::new();
    for key in judge::keys_in(&embedded) {
        let state = look_up(app, &key).await?;
        keys.push((key, state));
    }
    let twin = visit_twin(app, &fetched.final_url).await;
    let own = Own { origin: Url::parse(app.origins.own()).map_err(Error::internal)?, pin: pin.to_owned() };
    Ok(judge::report(&own, &Seen { asked, fetched, embedded, keys, twin }))
}

async fn look_up(app: &App, text: &str) -> Result<KeyState> {
    let key = match PublishableKey::parse(text) {
        Ok(key) => key,
        Err(KeyShapeError::SecretKey) => return Ok(KeyState::Secret),
        Err(error) => return Ok(KeyState::Malformed(error.to_string())),
    };
    if key.environment() != app.config.environment {
        return Ok(KeyState::OtherEnvironment);
    }
    let Some((owner, id)) = app.store.find_site_key(text).await? else { return Ok(KeyState::Unknown) };
    let site = sites::by_id(app, &Scope::of(owner), id).await?;
    let site = site.filter(|site| site.honours(text, app.clock.now()));
    Ok(site.map_or(KeyState::Unknown, KeyState::Known))
}

async fn visit_twin(app: &App, url: &Url) -> Option<Twin> {
    let origin = sites::twin_origins(url).into_iter().nth(1)?;
    let mut other = Url::parse(&origin).ok()?;
    other.set_path(url.path());
    let fetched = app.egress.fetch(Fetch::new(other, app.crawl_reach)).await.ok();
    let led_to =
        fetched.filter(|fetched| fetched.status < 400).map(|fetched| fetched.final_url.origin().ascii_serialization());
    Some(Twin { origin, led_to })
}
