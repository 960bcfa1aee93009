//! Tickets: how a page of a site's origin hands its visitor to our frame.
//!
//! The loader gets one on the page (its `Origin` is the site's, exactly) and the frame trades it (its `Origin` is ours):
//! neither alone begins a session, so another page that frames ours gets nothing. A ticket lives 30 seconds, holds once
//! on all nodes together, and is spent by the attempt, whatever comes of it. Owns the claims and the spending; never
//! looks at a request.

use crate::app::App;
use crate::client::Client;
use crate::ops::signing::{self, ISSUER};
use crate::ops::sites::{self, Site};
use chatward_types::{
    Error, EventName, Kind, MINUTE, Outcome, OwnerId, Result, SECOND, Scope, Severity, SiteId, Timestamp,
};
use chatward_vault::base62_encode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How long a ticket holds, in seconds.
pub const LIFE_SECONDS: i64 = 30;
/// How long a spent one is remembered beyond its end, for nodes whose clocks differ.
const REMEMBERED: Timestamp = 10 * MINUTE;

/// A ticket as it is handed out.
#[derive(Debug)]
pub struct Minted {
    /// The ticket.
    pub ticket: String,
    /// When it ends, in seconds.
    pub expires_at: i64,
}

/// What a ticket was worth.
#[derive(Debug)]
pub struct Traded {
    /// The site.
    pub site: Arc<Site>,
    /// The origin of the page that got the ticket.
    pub origin: Box<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    jti: String,
    own: OwnerId,
    site: SiteId,
    org: String,
    iat: i64,
    exp: i64,
}

/// Mints a ticket for a page of `origin`, which the caller has checked.
///
/// # Errors
/// When signing or the entropy source fails.
pub fn mint(app: &App, site: &Site, origin: &str) -> Result<Minted> {
    let issued = app.clock.now() / SECOND;
    let mut random = [0_u8; 16];
    app.entropy.fill(&mut random)?;
    let ring = &app.tokens.tickets;
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: ring.audience(),
        jti: base62_encode(random),
        own: site.owner,
        site: site.id,
        org: origin.to_owned(),
        iat: issued,
        exp: issued + LIFE_SECONDS,
    };
    Ok(Minted { ticket: ring.sign(&claims)?, expires_at: claims.exp })
}

/// Trades a ticket. It is spent before anything else is looked at.
///
/// # Errors
/// [`Kind::Unauthenticated`] alike for one that is forged, run out, spent, or of a site or origin that is no longer
/// there; else when the store fails.
pub async fn trade(app: &App, ticket: &str, client: &Client) -> Result<Traded> {
    let refused = |why: &'static str, of: Option<&Claims>| {
        let event = app.event(EventName::TicketRefused, Severity::Warning, Outcome::Refused).of(client).detail(why);
        match of {
            Some(claims) => event.site(claims.own, claims.site).emit(),
            None => event.emit(),
        }
        Error::new(
            Kind::Unauthenticated,
            "ticket_invalid",
            "This ticket does not hold. Get a new one with POST /api/v1/widget/tickets and trade it within 30 seconds.",
        )
    };
    let Some(claims) = app.tokens.tickets.verify::<Claims>(ticket, app.clock.now()) else {
        return Err(refused("a ticket that is none of ours", None));
    };
    let Some(ends_at) = signing::end_of(claims.iat, claims.exp, app.clock.now()) else {
        return Err(refused("a ticket that has run out", Some(&claims)));
    };
    if !app.store.spend_ticket(&claims.jti, ends_at).await? {
        return Err(refused("a ticket that was traded before", Some(&claims)));
    }
    let site = sites::by_id(app, &Scope::of(claims.own), claims.site).await?;
    match site {
        Some(site) if site.has_origin(&claims.org) || app.origins.is_ours(&claims.org) => {
            Ok(Traded { site, origin: claims.org.into() })
        }
        _ => Err(refused("a ticket of a site or an origin that is gone", Some(&claims))),
    }
}

/// Forgets spent tickets that have run out.
///
/// # Errors
/// When the store fails; the next turn does it.
pub async fn sweep(app: &App, now: Timestamp) -> Result<u64> {
    app.store.prune_tickets(now - REMEMBERED).await
}
