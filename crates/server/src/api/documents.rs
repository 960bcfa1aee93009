//! `GET /openapi.json`: the API's own description, made once at the start and served as bytes.

use crate::app::App;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "pages",
    responses((status = 200, description = "The API's description in OpenAPI 3.1.", content_type = "application/json")))]
pub async fn get_openapi(State(app): State<App>) -> Response {
    let text: Bytes = app.openapi.clone();
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], text).into_response()
}
