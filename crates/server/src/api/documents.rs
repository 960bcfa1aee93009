//! `GET /openapi.json`: the API's own description, generated from the handlers once and served as bytes.

use crate::app::App;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

/// The one shape of every error.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong, for a program and for a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// A stable word for programs.
    #[schema(example = "rate_limited")]
    pub code: String,
    /// A sentence that says what to do next. It never repeats the request.
    pub message: String,
    /// The request's id, as in the `X-Request-Id` header; name it when you report a problem.
    #[schema(example = "req_019305d2c0a87b3c9e1f2a3b4c5d6e7f")]
    pub request_id: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chatward",
        description = "AI chat on the open internet without giving away the keys.\n\nErrors have one shape, \
            `ErrorBody`. Every counted response carries the `RateLimit` and `RateLimit-Policy` fields; a 429 also \
            `Retry-After` in seconds. Request bodies are JSON objects without unknown or repeated members.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        super::health::get_liveness,
        super::health::get_readiness,
        get_openapi,
        crate::ui::get_docs,
        crate::ui::get_loader,
        crate::ui::get_asset,
        crate::ui::get_embed,
        super::widget_sessions::create_session,
        super::widget_sessions::get_session,
        super::widget_sessions::delete_session,
        super::widget_messages::create_message,
        super::widget_feedback::create_feedback,
    ),
    components(schemas(ErrorBody, ErrorDetail)),
    modifiers(&VisitorToken),
    tags(
        (name = "widget", description = "What a visitor's chat speaks."),
        (name = "pages", description = "Pages and files of the chat itself."),
        (name = "health", description = "Probes.")
    )
)]
struct Document;

struct VisitorToken;

impl utoipa::Modify for VisitorToken {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("The token that POST /api/v1/widget/sessions returned.".to_owned());
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("visitor", SecurityScheme::Http(bearer));
    }
}

/// The document as indented JSON, as docs/openapi.json holds it.
pub fn openapi_text() -> String {
    let mut value = serde_json::to_value(Document::openapi()).unwrap_or_default();
    // The document uses nothing newer, and most tools read 3.1.
    value["openapi"] = "3.1.1".into();
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "pages",
    responses((status = 200, description = "The API's description in OpenAPI 3.1.", content_type = "application/json")))]
pub async fn get_openapi(State(app): State<App>) -> Response {
    let text: Bytes = app.openapi.clone();
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], text).into_response()
}
