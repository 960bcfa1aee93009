//! Cookie mode: a browser on our own pages keeps a login's tokens where no script can read them.
//!
//! Owns: the two cookies, their attributes and their reading, and what a request by cookie must show beside it, since a
//! browser sends a cookie whoever made it send the request: our own origin for whatever changes something, and no other
//! site's page for the rest. A cookie counts on the routes of people alone, their sockets included, and only where no
//! `Authorization` is sent.
//! Never lets a token that came in a cookie go out in a body.

use super::Client;
use super::cors::{self, Origin};
use crate::app::App;
use crate::error::ApiError;
use crate::ops::logins::Issued;
use axum::Json;
use axum::response::{IntoResponse, Response};
use chatward_types::{Error, Kind, SECOND, Secret};
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The cookie of the access token.
pub const ACCESS: &str = "__Host-chatward_access";
/// The cookie of the refresh token.
pub const REFRESH: &str = "__Host-chatward_refresh";
/// `__Host-` makes browsers refuse a cookie of another name's making, or one that is not of the whole host over TLS.
const ATTRIBUTES: &str = "Path=/; HttpOnly; Secure; SameSite=Strict";
/// Longer ones are no tokens of ours.
const LONGEST: usize = 8 * 1024;

/// Where a login's tokens go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Into the body, for programs.
    #[default]
    Token,
    /// Into cookies that no script can read, for browsers on our own pages; the body has none.
    Cookie,
}

/// What a login is continued with.
#[derive(Serialize, ToSchema)]
pub struct LoginTokens {
    /// Goes with every request, as `Authorization: Bearer`. Absent in cookie mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// When it ends, in seconds since 1970 (UTC).
    access_expires_at: i64,
    /// Trades for the next two tokens at `POST /api/v1/auth/refresh`, once. Used a second time, unless by the same client
    /// at the same moment, it ends the login. Absent in cookie mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// When it ends unless it is used, in seconds since 1970 (UTC).
    refresh_expires_at: i64,
}

impl std::fmt::Debug for LoginTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginTokens").finish_non_exhaustive()
    }
}

/// The answer that hands a login's tokens out.
pub fn deliver(app: &App, status: StatusCode, issued: Issued, mode: Mode) -> Response {
    let Issued { access_token, access_expires_at, refresh_token, refresh_expires_at } = issued;
    let body = |access_token, refresh_token| {
        Json(LoginTokens { access_token, access_expires_at, refresh_token, refresh_expires_at })
    };
    if mode == Mode::Token {
        return (status, body(Some(access_token), Some(refresh_token))).into_response();
    }
    let now = app.clock.now() / SECOND;
    let mut response = (status, body(None, None)).into_response();
    set(&mut response, ACCESS, &access_token, access_expires_at - now);
    set(&mut response, REFRESH, &refresh_token, refresh_expires_at - now);
    response
}

/// Makes a browser forget both cookies.
pub fn clear(response: &mut Response) {
    set(response, ACCESS, "", 0);
    set(response, REFRESH, "", 0);
}

/// Whether a request proves itself by a cookie: it has one, or several, and no `Authorization`.
pub fn is_by_cookie(headers: &HeaderMap) -> bool {
    !headers.contains_key(AUTHORIZATION) && !matches!(find(headers, ACCESS), Found::Nothing)
}

/// The access token of the request's cookie; of two none counts.
pub(super) fn access(headers: &HeaderMap) -> Option<&str> {
    match find(headers, ACCESS) {
        Found::One(value) if is_by_cookie(headers) => std::str::from_utf8(value).ok(),
        _ => None,
    }
}

/// The refresh token of the request's cookie, for a request that has none in its body.
///
/// # Errors
/// [`Kind::Forbidden`] when it does not come from a page of ours.
pub fn refresh(app: &App, client: &Client, headers: &HeaderMap) -> Result<Option<Secret<String>>, ApiError> {
    let found = find(headers, REFRESH);
    if matches!(found, Found::Nothing) {
        return Ok(None);
    }
    demand_our_page(app, client, &Method::POST, headers)?;
    Ok(match found {
        Found::One(value) => std::str::from_utf8(value).ok().map(|text| Secret::new(text.to_owned())),
        Found::Nothing | Found::Several => None,
    })
}

/// Refuses a request by cookie that another's page may have made a browser send.
///
/// # Errors
/// [`Kind::Forbidden`].
pub(super) fn refuse_foreign_page(
    app: &App,
    client: &Client,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    if is_by_cookie(headers) { demand_our_page(app, client, method, headers) } else { Ok(()) }
}

fn demand_our_page(app: &App, client: &Client, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let origin = match cors::of(headers) {
        // Only pages that we serve: what the configuration allows beside them runs other people's scripts.
        Origin::Named(name) => Some(app.origins.is_own(&name)),
        Origin::Unusable => Some(false),
        Origin::Absent => None,
    };
    let safe = matches!(*method, Method::GET | Method::HEAD);
    let mut sites = headers.get_all("sec-fetch-site").iter();
    let site = match (sites.next(), sites.next()) {
        (None, _) => None,
        // `none` is a person at the address bar, who changes nothing there.
        (Some(one), None) => Some(one == "same-origin" || (safe && one == "none")),
        _ => Some(false),
    };
    let ours = match (origin, site) {
        (Some(false), _) | (_, Some(false)) => false,
        (None, None) => safe,
        _ => true,
    };
    if ours {
        return Ok(());
    }
    cors::report(app, client);
    Err(Error::new(
        Kind::Forbidden,
        "cookie_from_elsewhere",
        "A request by cookie must come from a page of this server. Programs send Authorization: Bearer instead.",
    )
    .into())
}

enum Found<'a> {
    Nothing,
    One(&'a [u8]),
    Several,
}

/// The value of a cookie, strictly: the name as it is, over every field of the request, however many there are.
fn find<'a>(headers: &'a HeaderMap, name: &str) -> Found<'a> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    match (values.next(), values.next()) {
        (None, _) => Found::Nothing,
        (Some(value), None) if value.len() <= LONGEST => Found::One(value),
        _ => Found::Several,
    }
}

fn set(response: &mut Response, name: &str, value: &str, seconds: i64) {
    let text = format!("{name}={value}; Max-Age={}; {ATTRIBUTES}", seconds.max(0));
    // Our tokens are letters, digits, dots, hyphens and underscores.
    if let Ok(mut field) = HeaderValue::from_str(&text) {
        field.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, field);
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(fields: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, HeaderValue::from_bytes(field.as_bytes()).expect("a field"));
        }
        match find(&headers, ACCESS) {
            Found::Nothing => "nothing".to_owned(),
            Found::One(value) => String::from_utf8_lossy(value).into_owned(),
            Found::Several => "several".to_owned(),
        }
    }

    #[test]
    fn one_cookie_of_the_exact_name_is_read_and_of_two_none() {
        assert_eq!(found(&["__Host-chatward_access=a.b.c"]), "a.b.c");
        assert_eq!(found(&["x=1; __Host-chatward_access=a.b.c; y=2"]), "a.b.c");
        assert_eq!(found(&["x=ä", "y=1;__Host-chatward_access=a=b"]), "a=b");
        for none in
            ["", "chatward_access=a", "__host-chatward_access=a", "x__Host-chatward_access=a", "__Host-chatward_access"]
        {
            assert_eq!(found(&[none]), "nothing", "{none}");
        }
        assert_eq!(found(&["__Host-chatward_access =a"]), "nothing");
        for two in [
            &["__Host-chatward_access=a; __Host-chatward_access=a"][..],
            &["__Host-chatward_access=a", "__Host-chatward_access=b"],
        ] {
            assert_eq!(found(two), "several", "{two:?}");
        }
        assert_eq!(found(&[&format!("{ACCESS}={}", "a".repeat(LONGEST + 1))]), "several", "too long to be one of ours");
    }
}
