//! The API's description, assembled from the documentation that stands beside each handler.
//!
//! A test holds its operations equal to the route table, and another holds docs/openapi.json equal to it. That file is
//! what is served: assembling the description takes ten megabytes, which the allocator keeps.

use crate::error::{ErrorBody, ErrorDetail};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chatward",
        description = "AI chat on the open internet without giving away the keys.\n\nErrors have one shape, \
            `ErrorBody`. Every counted response carries the `RateLimit` and `RateLimit-Policy` fields; a 429 also \
            `Retry-After` in seconds. Any route may answer 403 `address_blocked` to a blocked network address, and any \
            but the probes 503 `lockdown` with `Retry-After` while nobody is served but administrators. \
            Request bodies are JSON objects without unknown or repeated members.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        crate::api::health::get_liveness,
        crate::api::health::get_readiness,
        crate::api::documents::get_openapi,
        crate::api::jwks::get_jwks,
        crate::ui::get_docs,
        crate::ui::get_accept,
        crate::ui::get_recover,
        crate::ui::get_dashboard,
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
        crate::api::sites::create_site,
        crate::api::sites::get_site,
        crate::api::sites::update_site,
        crate::api::sites::delete_site,
        crate::api::site_sources::list_sources,
        crate::api::site_sources::list_crawls,
        crate::api::site_sources::create_crawl,
        crate::api::site_origins::create_origin,
        crate::api::site_origins::list_refused,
        crate::api::keys::list_keys,
        crate::api::keys::create_key,
        crate::api::keys::get_key,
        crate::api::keys::update_key,
        crate::api::keys::delete_key,
        crate::api::keys::rotate_key,
        crate::api::conversations::list_conversations,
        crate::api::conversations::list_messages,
        crate::api::conversations::delete_conversation,
        crate::api::usage::list_usage,
        crate::api::events::list_events,
        crate::api::blocks::list_blocks,
        crate::api::blocks::create_block,
        crate::api::blocks::delete_block,
        crate::api::lockdown::get_lockdown,
        crate::api::lockdown::begin_lockdown,
        crate::api::lockdown::end_lockdown,
        crate::api::auth_setup::create_first_user,
        crate::api::invitations::accept_invitation,
        crate::api::auth_recover::recover_account,
        crate::api::auth_register::register_owner,
        crate::api::auth_login::create_login,
        crate::api::auth_login::refresh_login,
        crate::api::auth_login::end_login,
        crate::api::account::get_me,
        crate::api::account::update_account,
        crate::api::account::delete_account,
        crate::api::account::change_password,
        crate::api::account::list_sessions,
        crate::api::account::delete_session,
        crate::api::users::list_users,
        crate::api::users::get_user,
        crate::api::users::update_user,
        crate::api::users::delete_user,
        crate::api::users::unlock_user,
        crate::api::users::create_recovery,
        crate::api::account_factor::begin_totp,
        crate::api::account_factor::confirm_totp,
        crate::api::account_factor::delete_totp,
        crate::api::account_factor::renew_codes,
        crate::api::invitations::create_invitation,
        crate::api::invitations::list_invitations,
        crate::api::invitations::delete_invitation,
        crate::api::devices::list_devices,
        crate::api::devices::create_device,
        crate::api::devices::delete_device,
        crate::api::devices::create_token,
        crate::api::device_token::renew_token,
        crate::api::device_socket::open_socket,
        crate::api::event_stream::open_stream,
    ),
    components(schemas(ErrorBody, ErrorDetail)),
    modifiers(&Credentials),
    tags(
        (name = "widget", description = "What a visitor's chat speaks."),
        (name = "sites", description = "What an owner's program does with a secret key, or a user with an access token."),
        (name = "keys", description = "Secret keys for programs, made by users of the role admin or owner."),
        (name = "conversations", description = "What was said on an owner's sites."),
        (name = "security", description = "What the administrators of the installation see and do."),
        (name = "accounts", description = "How users come in, go on and leave, and who else may."),
        (name = "devices", description = "An owner's devices, their tokens and their connection. Feeds are not served yet."),
        (name = "events", description = "Security events as they happen."),
        (name = "pages", description = "Pages and files of the chat itself."),
        (name = "health", description = "Probes.")
    )
)]
struct Document;

struct Credentials;

impl utoipa::Modify for Credentials {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        };
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("The token that POST /api/v1/widget/sessions returned.".to_owned());
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("visitor", SecurityScheme::Http(bearer));
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description =
            Some("A secret key (`chatward key create --scope manage`). Never from a browser.".to_owned());
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("The access token of a user; POST /api/v1/auth/login returns one. Or a token of an outside issuer that the operator has configured, of a subject that is linked to a user.".to_owned());
        components.add_security_scheme("user", SecurityScheme::Http(bearer));
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("The token of a device (`chatward device token`). Never from a browser.".to_owned());
        components.add_security_scheme("device", SecurityScheme::Http(bearer));
        let cookie = ApiKeyValue::with_description(
            crate::middleware::cookies::ACCESS,
            "The same token in a cookie that a login with `\"mode\": \"cookie\"` sets; from our own pages only.",
        );
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        // Wherever a user's token counts, their cookie does.
        let by_cookie = SecurityRequirement::new::<_, _, String>("cookie", []);
        let user = SecurityRequirement::new::<_, _, String>("user", []);
        for operation in openapi.paths.paths.values_mut().flat_map(operations) {
            if let Some(ways) = operation.security.as_mut().filter(|ways| ways.contains(&user)) {
                ways.push(by_cookie.clone());
            }
        }
    }
}

fn operations(item: &mut utoipa::openapi::PathItem) -> impl Iterator<Item = &mut utoipa::openapi::path::Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}

/// The document as it was written when this program was made.
pub const WRITTEN: &str = include_str!("../../../docs/openapi.json");

/// The document as indented JSON, as docs/openapi.json holds it.
pub fn text() -> String {
    let mut value = serde_json::to_value(Document::openapi()).unwrap_or_default();
    // The document uses nothing newer, and most tools read 3.1.
    value["openapi"] = "3.1.1".into();
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}
