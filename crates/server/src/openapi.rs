//! The API's description, assembled from the documentation that stands beside each handler.
//!
//! A test holds its operations equal to the route table, and another holds docs/openapi.json equal to it.

use crate::error::{ErrorBody, ErrorDetail};
use utoipa::OpenApi;

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
        crate::api::health::get_liveness,
        crate::api::health::get_readiness,
        crate::api::documents::get_openapi,
        crate::ui::get_docs,
        crate::ui::get_loader,
        crate::ui::get_asset,
        crate::ui::get_embed,
        crate::api::widget_sessions::create_session,
        crate::api::widget_sessions::get_session,
        crate::api::widget_sessions::delete_session,
        crate::api::widget_messages::create_message,
        crate::api::widget_feedback::create_feedback,
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
pub fn text() -> String {
    let mut value = serde_json::to_value(Document::openapi()).unwrap_or_default();
    // The document uses nothing newer, and most tools read 3.1.
    value["openapi"] = "3.1.1".into();
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}
