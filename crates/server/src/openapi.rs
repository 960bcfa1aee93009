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
            `Retry-After` in seconds. Any route may answer 403 `address_blocked` to a blocked network address, and any \
            but the probes 503 `lockdown` with `Retry-After` while nobody is served. \
            Request bodies are JSON objects without unknown or repeated members.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        crate::api::health::get_liveness,
        crate::api::health::get_readiness,
        crate::api::documents::get_openapi,
        crate::ui::get_docs,
        crate::ui::get_loader,
        crate::ui::get_pinned_loader,
        crate::ui::get_preview,
        crate::api::privacy_notice::get_privacy_notice,
        crate::ui::get_asset,
        crate::ui::get_embed,
        crate::api::widget_tickets::create_ticket,
        crate::api::widget_sessions::create_session,
        crate::api::widget_sessions::get_session,
        crate::api::widget_sessions::delete_session,
        crate::api::widget_export::get_export,
        crate::api::widget_identity::create_identity,
        crate::api::widget_messages::create_message,
        crate::api::widget_feedback::create_feedback,
        crate::api::sites::list_sites,
        crate::api::sites::get_site,
        crate::api::sites::update_site,
        crate::api::site_origins::create_origin,
        crate::api::site_origins::list_refused,
        crate::api::auth_setup::create_first_user,
        crate::api::invitations::accept_invitation,
        crate::api::auth_login::create_login,
        crate::api::auth_login::refresh_login,
        crate::api::auth_login::end_login,
        crate::api::account::get_me,
        crate::api::account::list_sessions,
        crate::api::account::delete_session,
        crate::api::invitations::create_invitation,
    ),
    components(schemas(ErrorBody, ErrorDetail)),
    modifiers(&Credentials),
    tags(
        (name = "widget", description = "What a visitor's chat speaks."),
        (name = "sites", description = "What an owner's program does with a secret key, or a user with an access token."),
        (name = "accounts", description = "How users come in, go on and leave, and who else may."),
        (name = "pages", description = "Pages and files of the chat itself."),
        (name = "health", description = "Probes.")
    )
)]
struct Document;

struct Credentials;

impl utoipa::Modify for Credentials {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("The token that POST /api/v1/widget/sessions returned.".to_owned());
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("visitor", SecurityScheme::Http(bearer));
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description =
            Some("A secret key (`chatward key create --scope manage`). Never from a browser.".to_owned());
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("The access token of a user; POST /api/v1/auth/login returns one.".to_owned());
        components.add_security_scheme("user", SecurityScheme::Http(bearer));
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
