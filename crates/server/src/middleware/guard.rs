//! The guard of one route: counts the request, checks its origin, checks its credential, in this order.
//!
//! Counting comes first, before anything is parsed or authenticated, so that refused requests count too.
//! Every front passes here; none has a copy of its own.

use super::cors::{self, Origin};
use super::gate::Shown;
use super::signed::{self, Held};
use super::{Answered, Client, cookies, devices, headers, key_sites, keys, people, sockets};
use crate::app::App;
use crate::error::{ApiError, Carried};
use crate::limits::{Decision, Rule};
use crate::ops::acting::Acting;
use crate::ops::key_lookup::Entered;
use crate::ops::logins::Person;
use crate::ops::origins;
use crate::ops::tokens::Visitor;
use crate::ops::verified;
use crate::routes::{Limit, Policy, Row};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chatward_types::{Error, EventName, Kind, Outcome, Role, Severity};
use http::Method;
use http::header::{AUTHORIZATION, HeaderMap};
use std::pin::pin;
use std::sync::Arc;

/// The origin that the request came from, after the check; a request extension.
#[derive(Debug, Clone)]
pub struct FromOrigin(pub Origin);

/// Runs the guard of `row`.
pub async fn run(State((app, row)): State<(App, Row)>, mut request: Request, next: Next) -> Response {
    let Some(client) = request.extensions_mut().get_mut::<Client>() else {
        return ApiError::from(Error::internal("the stack did not run")).into_response();
    };
    client.path = Some(row.path);
    let client = client.clone();
    let origin = cors::of(request.headers());
    let mut response = match count(&app, row.limit, &client) {
        Ok(counted) => {
            let mut response = match admit(&app, row, &client, &origin, &mut request).await {
                Ok(None) => next.run(request).await,
                Ok(Some(Standing::Token(mut held))) => {
                    let response = signed::while_signed(&app, &client, &mut held, pin!(next.run(request))).await;
                    signed::watch_stream(&app, &client, held, response)
                }
                Ok(Some(Standing::Key(entered))) => keys::while_held(entered, &client, pin!(next.run(request))).await,
                Err(refusal) => refusal.into_response(),
            };
            if let Some(decision) = counted {
                headers::add_limit_fields(response.headers_mut(), &decision);
            }
            response
        }
        Err(refusal) => refusal.into_response(),
    };
    if let Origin::Named(origin) = &origin
        && may_read(&app, row, origin, &response)
    {
        if app.origins.is_known(origin) {
            cors::grant(response.headers_mut(), origin);
        } else {
            cors::grant_refusal(response.headers_mut(), origin);
        }
    }
    response.extensions_mut().insert(Answered(row));
    response
}

/// Whether a page of this origin may read the response.
fn may_read(app: &App, row: Row, origin: &str, response: &Response) -> bool {
    match row.policy {
        Policy::Public
        | Policy::Manage(..)
        | Policy::User(_)
        | Policy::Enrolment
        | Policy::SignIn
        | Policy::Device
        | Policy::WebSocket(_) => false,
        Policy::NamedOrigin => origins::is_exact(origin),
        Policy::SiteOrigin | Policy::Visitor => {
            app.origins.is_known(origin) && !Carried::has_code(response, cors::REFUSED)
        }
    }
}

/// What a request stands on, and ends with: a visitor's token, or an issued key.
enum Standing {
    Token(Held),
    Key(Arc<Entered>),
}

/// Lets a request in, or says why not; with what must go on holding. Whatever waits for the store is in a box: a visitor's
/// request has no need of it, and would have room for it as long as its answer takes.
async fn admit(
    app: &App,
    row: Row,
    client: &Client,
    origin: &Origin,
    request: &mut Request,
) -> Result<Option<Standing>, ApiError> {
    let mut held = None;
    if row.policy != Policy::Public {
        keys::refuse_in_browser(app, client, request.headers()).await?;
    }
    match row.policy {
        Policy::Public => {}
        Policy::NamedOrigin => {
            // What is not exactly an origin is no page of anybody's.
            match origin {
                Origin::Named(name) if origins::is_exact(name) => {}
                _ => return Err(cors::refuse(app, client).into()),
            }
            request.extensions_mut().insert(FromOrigin(origin.clone()));
        }
        Policy::Manage(scope, least) => {
            if people::is_access_token(request.headers()) {
                let person = Box::pin(admit_person(app, client, origin, row.method, request.headers(), least)).await?;
                people::refuse_without_factor(&person)?;
                request.extensions_mut().insert(Acting::by_user(person.owner, person.user));
                return Ok(None);
            }
            let entered = Arc::new(Box::pin(keys::authenticate(app, client, request.headers(), scope)).await?);
            let holder = &entered.holder;
            let acting = Acting::with_key(holder.owner, &holder.id, Arc::clone(&holder.sites));
            Box::pin(key_sites::check(app, row, &acting, request)).await?;
            request.extensions_mut().insert(acting);
            // For what outlives its request, such as a socket.
            request.extensions_mut().insert(Arc::clone(&entered));
            return Ok(Some(Standing::Key(entered)));
        }
        Policy::User(least) => {
            let person = Box::pin(admit_person(app, client, origin, row.method, request.headers(), least)).await?;
            people::refuse_without_factor(&person)?;
            request.extensions_mut().insert(Arc::new(person));
        }
        Policy::Enrolment => {
            let person =
                Box::pin(admit_person(app, client, origin, row.method, request.headers(), Role::Viewer)).await?;
            request.extensions_mut().insert(Arc::new(person));
        }
        Policy::SignIn => people::refuse_foreign_page(app, client, origin, request.headers())?,
        Policy::Device => {
            devices::refuse_page(app, client, request.headers())?;
            let device = Box::pin(devices::authenticate(app, client, bearer(request.headers()))).await?;
            request.extensions_mut().insert(Arc::new(device));
        }
        Policy::WebSocket(policy) => {
            let admission = {
                let has_query = request.uri().query().is_some();
                Box::pin(sockets::admit(app, client, policy, has_query, request.headers())).await?
            };
            request.extensions_mut().insert(admission);
        }
        Policy::SiteOrigin => {
            // Which of the site's origins it is, ops checks; here it must at least be somebody's.
            match origin {
                Origin::Named(name) if app.origins.is_known(name) => {}
                _ => return Err(cors::refuse(app, client).into()),
            }
            request.extensions_mut().insert(FromOrigin(origin.clone()));
        }
        Policy::Visitor => {
            refuse_strange_origin(app, client, origin, request.headers())?;
            let news = app.tokens.changes();
            let token = bearer(request.headers());
            let visitor = authenticate(app, client, token)?;
            held = token.map(|token| {
                let shown = request.extensions().get::<Shown>();
                let token = shown.map_or_else(|| Arc::from(token), |shown| shown.keep(token));
                Held::new(token, news, Arc::clone(&visitor))
            });
            refuse_another_sites_origin(app, client, origin, &visitor)?;
            request.extensions_mut().insert(visitor);
        }
    }
    Ok(held.map(Standing::Token))
}

/// The user of a token or a cookie, from a page of ours or a program.
async fn admit_person(
    app: &App,
    client: &Client,
    origin: &Origin,
    method: &Method,
    headers: &HeaderMap,
    least: Role,
) -> Result<Person, ApiError> {
    people::refuse_foreign_page(app, client, origin, headers)?;
    cookies::refuse_foreign_page(app, client, method, headers)?;
    // Another scheme's credential is one that does not hold.
    let other = || headers.contains_key(AUTHORIZATION).then_some("");
    let token = bearer(headers).or_else(|| cookies::access(headers)).or_else(other);
    people::authenticate(app, client, token, least).await
}

/// Counts a request in the windows of its group; refuses with 429 when one is full.
pub fn count(app: &App, group: Limit, client: &Client) -> Result<Option<Decision>, ApiError> {
    let rules: &[Rule] = match group {
        Limit::Chat => &app.rules.chat,
        Limit::Api => &app.rules.api,
        Limit::Files => &app.rules.files,
        Limit::SignIn => &app.rules.sign_in,
        Limit::Sockets => &app.rules.sockets,
        Limit::Health => return Ok(None),
    };
    let decision = app.limiter.check(group as u8, client.address, rules, app.load.scale(), app.clock.now());
    if decision.allowed {
        return Ok(Some(decision));
    }
    app.metrics.count_limited();
    app.event(EventName::RateLimitExceeded, Severity::Warning, Outcome::Refused).of(client).emit();
    let mut fields = HeaderMap::new();
    headers::add_limit_fields(&mut fields, &decision);
    let refusal = Error::new(
        Kind::Limited,
        "rate_limited",
        "Too many requests from this network address. Wait as long as Retry-After says, then try again.",
    )
    .retry_after(decision.reset_seconds);
    Err(ApiError::from(refusal).with_headers(fields))
}

fn authenticate(app: &App, client: &Client, token: Option<&str>) -> Result<Arc<Visitor>, ApiError> {
    let visitor = token.and_then(|token| verified::visitor(app, token));
    visitor.ok_or_else(|| refuse_session(app, client, None).into())
}

/// The refusal of a token or session that is missing, forged, expired or unknown: one answer for all. The event is the
/// site's owner's where the visitor's token was one of ours.
pub fn refuse_session(app: &App, client: &Client, visitor: Option<&Visitor>) -> Error {
    let event = app.event(EventName::InvalidSessionId, Severity::Warning, Outcome::Refused).of(client);
    match visitor {
        Some(visitor) => event.site(visitor.owner, visitor.site).session(&visitor.session).emit(),
        None => event.emit(),
    }
    Error::new(
        Kind::Unauthenticated,
        "session_invalid",
        "There is no such session. Start a new one with POST /api/v1/widget/sessions.",
    )
}

/// Refuses a page that is nobody's before its credential is looked at.
fn refuse_strange_origin(app: &App, client: &Client, origin: &Origin, headers: &HeaderMap) -> Result<(), ApiError> {
    let allowed = match origin {
        Origin::Named(name) => app.origins.is_known(name),
        Origin::Unusable => false,
        // A browser that hides its origin still says whether the call crosses sites.
        Origin::Absent => match headers.get("sec-fetch-site") {
            None => true,
            Some(value) => matches!(value.as_bytes(), b"same-origin" | b"none"),
        },
    };
    if allowed { Ok(()) } else { Err(cors::refuse(app, client).into()) }
}

/// Refuses a page other than the one that the token was minted for, and our own.
fn refuse_another_sites_origin(app: &App, client: &Client, origin: &Origin, visitor: &Visitor) -> Result<(), ApiError> {
    let allowed = match origin {
        Origin::Named(name) => **name == *visitor.origin || app.origins.is_own(name),
        Origin::Absent | Origin::Unusable => true,
    };
    if allowed { Ok(()) } else { Err(cors::refuse_at(app, client, visitor.owner, visitor.site).into()) }
}

/// The one bearer credential of a request; two are none.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}
