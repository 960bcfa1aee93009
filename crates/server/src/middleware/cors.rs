//! Origins. `Origin` is a courtesy of browsers, not authentication: limits, budgets and tokens hold without
//! it. What it does give is that no page of a stranger can use a visitor's browser against a site.

use super::Client;
use crate::app::App;
use crate::ops::origins;
use crate::routes::TICKETS;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use chatward_types::{Error, EventName, Kind, Outcome, OwnerId, Severity, SiteId};
use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN,
};

/// The code of the refusal; a response with it gets no grant.
pub const REFUSED: &str = "origin_not_allowed";

/// What a request says of its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No Origin field: not a browser, or a plain same-origin GET.
    Absent,
    /// One origin, as text.
    Named(Box<str>),
    /// `null`, several fields, or bytes that are no text: never allowed.
    Unusable,
}

/// Reads the Origin field.
pub fn of(headers: &HeaderMap) -> Origin {
    let mut values = headers.get_all(ORIGIN).iter();
    match (values.next(), values.next()) {
        (None, _) => Origin::Absent,
        (Some(value), None) => match value.to_str() {
            Ok(text) if text != "null" && !text.is_empty() && text.len() <= 300 => Origin::Named(text.into()),
            _ => Origin::Unusable,
        },
        _ => Origin::Unusable,
    }
}

/// Answers a preflight, or says that the request is none.
pub fn preflight(app: &App, request: &Request, client: &Client) -> Option<Response> {
    if request.method() != Method::OPTIONS || !request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let counted = match super::guard::count(app, crate::routes::Limit::Api, client) {
        Ok(counted) => counted,
        Err(refusal) => return Some(refusal.into_response()),
    };
    let mut response = Response::new(Body::empty());
    if let Some(decision) = counted {
        super::headers::add_limit_fields(response.headers_mut(), &decision);
    }
    match of(request.headers()) {
        Origin::Named(origin) if app.origins.is_known(&origin) => {
            let headers = response.headers_mut();
            grant(headers, &origin);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        }
        // Every page may ask for a ticket, and be told in its console why it gets none.
        Origin::Named(origin) if request.uri().path() == TICKETS && origins::is_exact(&origin) => {
            let headers = response.headers_mut();
            grant(headers, &origin);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        }
        // 200 without a grant: the browser refuses the call, and nothing is told about which origins exist.
        _ => report(app, client),
    }
    Some(response)
}

/// Lets a page of `origin` read the response. Never with credentials: cookies are for our own pages.
pub fn grant(headers: &mut HeaderMap, origin: &str) {
    if let Ok(value) = HeaderValue::from_str(origin) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("ratelimit, ratelimit-policy, retry-after, x-request-id"),
        );
    }
}

/// Lets a page that is nobody's read why it gets no ticket, and nothing beside that: how much of the address's limit is
/// left would tell it what the visitor does elsewhere.
pub fn grant_refusal(headers: &mut HeaderMap, origin: &str) {
    if let Ok(value) = HeaderValue::from_str(origin) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    }
}

/// The refusal of a request from an origin that is not allowed, with its event.
pub fn refuse(app: &App, client: &Client) -> Error {
    report(app, client);
    refusal()
}

/// The same for a page of whoever is known to have meant this site.
pub fn refuse_at(app: &App, client: &Client, owner: OwnerId, site: SiteId) -> Error {
    app.event(EventName::CorsBlocked, Severity::Warning, Outcome::Refused).of(client).site(owner, site).emit();
    refusal()
}

fn refusal() -> Error {
    Error::new(
        Kind::Forbidden,
        REFUSED,
        "This page is not allowed to use this chat. The site's owner can add its origin to the site.",
    )
}

/// Tells that a page was refused.
pub(super) fn report(app: &App, client: &Client) {
    app.event(EventName::CorsBlocked, Severity::Warning, Outcome::Refused).of(client).emit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_doubled_origins_are_unusable() {
        let mut headers = HeaderMap::new();
        assert_eq!(of(&headers), Origin::Absent);
        headers.insert(ORIGIN, HeaderValue::from_static("null"));
        assert_eq!(of(&headers), Origin::Unusable);
        headers.insert(ORIGIN, HeaderValue::from_static("https://a.example"));
        assert_eq!(of(&headers), Origin::Named("https://a.example".into()));
        headers.append(ORIGIN, HeaderValue::from_static("https://b.example"));
        assert_eq!(of(&headers), Origin::Unusable);
    }
}
