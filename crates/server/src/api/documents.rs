//! `GET /openapi.json`: the API's own description, a part of the program.

use crate::openapi;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "pages",
    responses((status = 200, description = "The API's description in OpenAPI 3.1.", content_type = "application/json")))]
pub async fn get_openapi() -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], openapi::WRITTEN).into_response()
}
