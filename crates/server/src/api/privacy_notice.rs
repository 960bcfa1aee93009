//! `GET /privacy/{site}`: the privacy notice of a site's chat, a page of ours that needs no script.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::ops::{notice, sites};
use crate::path::Path;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use chatward_types::Error;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};

/// A text, its style and its icon: nothing runs, nothing is sent, nobody frames it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// What a site's chat stores, for how long, and who receives it: made from the settings in force.
#[utoipa::path(get, path = "/privacy/{site}", tag = "pages",
    params(
        ("site" = String, Path, description = "The site's publishable key."),
        ("language" = Option<String>, Query, description = "A BCP 47 tag. Without one, or with one that the chat does not speak, the site's own language, else English.")),
    responses(
        (status = 200, description = "The privacy notice.", content_type = "text/html"),
        (status = 404, description = "No such site.", body = crate::error::ErrorBody)))]
pub async fn get_privacy_notice(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Path(site): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let Some(site) = sites::by_key(&app, &site, &client).await? else {
        return Err(Error::not_found().into());
    };
    let query = query.unwrap_or_default();
    let mut members = url::form_urlencoded::parse(query.as_bytes());
    let language = members.find(|(name, _)| name == "language").map(|(_, value)| value);
    let page = notice::of(&app, &site, language.as_deref()).page();
    Ok(([(CONTENT_TYPE, HTML), (CONTENT_SECURITY_POLICY, POLICY)], page).into_response())
}
