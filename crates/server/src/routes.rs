//! The table of contents: every method, path, policy, limit and handler of the public listener.
//!
//! A row without a policy does not compile. `Public` is the rare word; grep for it. The OpenAPI document
//! must name exactly these rows (a test compares them), and the policy test walks this table as nobody,
//! as a stranger, as a visitor, as users of each role and with keys. Nothing here decides anything: `middleware::guard` reads the row.

use crate::app::App;
use crate::{api, middleware, ui};
use axum::Router;
use axum::extract::State;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use chatward_types::{KeyScope, Role};
use http::{Method, StatusCode};

/// The one route whose refusal every page may read: it tells a page's owner what to do. Preflights ask for it by name.
pub const TICKETS: &str = "/api/v1/widget/tickets";

/// What a lockdown leaves open where whoever switched it on allowed logging in. Nobody becomes a user meanwhile.
pub const IN_LOCKDOWN: [&str; 2] = ["/api/v1/auth/login", "/api/v1/auth/refresh"];

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Anybody, from any page. For what holds no data of anybody.
    Public,
    /// Anybody whose browser shows an origin of the site that the request names; checked against that site by ops.
    SiteOrigin,
    /// Any page whose browser names it. Whether it is one of the site's, ops says; the refusal, which is constant, can be
    /// read by the page that gets it.
    NamedOrigin,
    /// A program with a secret key of an owner that may do this, never a browser; or a user of at least this role.
    Manage(KeyScope, Role),
    /// A user of at least this role, by an access token, from our own pages or a program.
    User(Role),
    /// A user of any role, also one who must have a second factor and has none: what they need to get one, or to leave.
    Enrolment,
    /// Whoever has a password or a token in the body, from our own pages or a program. Ops checks it.
    SignIn,
    /// A visitor with a token of ours, from the origin that the token was minted for.
    Visitor,
    /// A device of an owner, by its token; never from a page.
    Device,
    /// A WebSocket: how it proves itself, who may, and which pages may open it.
    WebSocket(SocketPolicy),
}

/// What a WebSocket's row demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketPolicy {
    /// When it proves itself.
    pub auth: SocketAuth,
    /// Who may.
    pub caller: SocketCaller,
    /// Which pages may open it.
    pub origin: SocketOrigin,
}

/// When a WebSocket proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketAuth {
    /// At the upgrade, by the Authorization field, or by cookie where [`SocketOrigin::Ours`] lets it.
    Upgrade,
    /// At the upgrade, or in its first frame within `sockets.first_frame_timeout` (10 seconds).
    FirstFrame,
}

/// Who may open a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketCaller {
    /// A user of at least this role, by an access token.
    User(Role),
    /// A device, by its token.
    Device,
}

/// Which pages may open a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketOrigin {
    /// None: programs alone.
    Programs,
    /// Pages that we serve ourselves, and programs. A user proves themselves by cookie too, on such a page alone.
    Ours,
}

/// Which windows count a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// 60 a minute and 1000 an hour by default.
    Chat = 0,
    /// 100 in 15 minutes by default.
    Api = 1,
    /// Pages and files of ours: a multiple of the API's limit, because one page loads several.
    Files = 2,
    /// Not counted: health probes.
    Health = 3,
    /// What takes a password, or a token for another: 20 a minute by default.
    SignIn = 4,
    /// New WebSockets: 10 a minute by default.
    Sockets = 5,
}

/// Which security headers a response of the route carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// JSON for programs.
    Api,
    /// A page of ours that nobody may frame.
    Page,
    /// A page made to be framed by a site's origins.
    Frame,
    /// A script, style or image of our own pages.
    Asset,
    /// The loader, which other people's pages include.
    Loader,
    /// Health: answered whatever the Host says.
    Health,
}

/// One row of the table, as the guard and the tests see it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The method.
    pub method: &'static Method,
    /// The path pattern, in axum's and OpenAPI's common form.
    pub path: &'static str,
    /// Who may call it.
    pub policy: Policy,
    /// Which windows count it.
    pub limit: Limit,
    /// Which headers it carries.
    pub class: Class,
    /// Its place in the table, for metrics.
    pub index: usize,
}

/// A row with its handler.
pub struct Route {
    row: Row,
    handler: MethodRouter<App>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.row.fmt(f)
    }
}

/// Every route of the public listener.
pub fn table() -> Vec<Route> {
    use Policy::{Device, Enrolment, NamedOrigin, Public, SignIn, SiteOrigin, User, Visitor, WebSocket};
    const READ: Policy = Policy::Manage(KeyScope::Manage, Role::Viewer);
    const CHANGE: Policy = Policy::Manage(KeyScope::Manage, Role::Member);
    const DESTROY: Policy = Policy::Manage(KeyScope::Manage, Role::Admin);
    // Programs do not look after the installation, and a key that deploys pages reads no log.
    const ADMIN: Policy = User(Role::Admin);
    const ANYONE: Policy = User(Role::Viewer);
    const WATCHER: Policy = WebSocket(SocketPolicy {
        auth: SocketAuth::FirstFrame,
        caller: SocketCaller::User(Role::Admin),
        origin: SocketOrigin::Ours,
    });
    const CONNECTED_DEVICE: Policy = WebSocket(SocketPolicy {
        auth: SocketAuth::FirstFrame,
        caller: SocketCaller::Device,
        origin: SocketOrigin::Programs,
    });
    const GET: &Method = &Method::GET;
    const POST: &Method = &Method::POST;
    const PUT: &Method = &Method::PUT;
    const PATCH: &Method = &Method::PATCH;
    const DELETE: &Method = &Method::DELETE;
    const TALKS: &str = "/api/v1/sites/{id}/conversations";
    const TALK: &str = "/api/v1/conversations/{conversation}";
    const WORDS: &str = "/api/v1/conversations/{conversation}/messages";
    let mut table = Table::default();
    let t = &mut table;

    t.row(GET, "/healthz", Public, Limit::Health, Class::Health, api::health::get_liveness);
    t.row(GET, "/readyz", Public, Limit::Health, Class::Health, api::health::get_readiness);
    t.row(GET, "/openapi.json", Public, Limit::Files, Class::Asset, api::documents::get_openapi);
    t.row(GET, "/.well-known/jwks.json", Public, Limit::Files, Class::Api, api::jwks::get_jwks);
    t.row(GET, "/docs", Public, Limit::Files, Class::Page, ui::get_docs);
    t.row(GET, "/account/accept", Public, Limit::Files, Class::Page, ui::get_accept);
    t.row(GET, "/account/recover", Public, Limit::Files, Class::Page, ui::get_recover);
    t.row(GET, "/dashboard", Public, Limit::Files, Class::Page, ui::get_dashboard);
    t.row(GET, "/widget.js", Public, Limit::Files, Class::Loader, ui::get_loader);
    t.row(GET, "/widget/{digest}/widget.js", Public, Limit::Files, Class::Loader, ui::get_pinned_loader);
    t.row(GET, "/preview/{site}", Public, Limit::Files, Class::Page, ui::get_preview);
    t.row(GET, "/privacy/{site}", Public, Limit::Files, Class::Page, api::privacy_notice::get_privacy_notice);
    t.row(GET, "/assets/{folder}/{file}", Public, Limit::Files, Class::Asset, ui::get_asset);
    t.row(GET, "/embed/{site}", Public, Limit::Files, Class::Frame, ui::get_embed);

    t.row(POST, TICKETS, NamedOrigin, Limit::Chat, Class::Api, api::widget_tickets::create_ticket);
    t.row(POST, "/api/v1/widget/sessions", SiteOrigin, Limit::Chat, Class::Api, api::widget_sessions::create_session);
    t.row(GET, "/api/v1/widget/session", Visitor, Limit::Chat, Class::Api, api::widget_sessions::get_session);
    t.row(DELETE, "/api/v1/widget/session", Visitor, Limit::Chat, Class::Api, api::widget_sessions::delete_session);
    t.row(GET, "/api/v1/widget/session/export", Visitor, Limit::Chat, Class::Api, api::widget_export::get_export);
    t.row(POST, "/api/v1/widget/identity", Visitor, Limit::Chat, Class::Api, api::widget_identity::create_identity);
    t.row(POST, "/api/v1/widget/messages", Visitor, Limit::Chat, Class::Api, api::widget_messages::create_message);
    t.row(POST, "/api/v1/widget/feedback", Visitor, Limit::Chat, Class::Api, api::widget_feedback::create_feedback);

    t.row(GET, "/api/v1/sites", READ, Limit::Api, Class::Api, api::sites::list_sites);
    t.row(POST, "/api/v1/sites", CHANGE, Limit::Api, Class::Api, api::sites::create_site);
    t.row(GET, "/api/v1/sites/{id}", READ, Limit::Api, Class::Api, api::sites::get_site);
    t.row(PATCH, "/api/v1/sites/{id}", CHANGE, Limit::Api, Class::Api, api::sites::update_site);
    t.row(DELETE, "/api/v1/sites/{id}", DESTROY, Limit::Api, Class::Api, api::sites::delete_site);
    t.row(GET, "/api/v1/sites/{id}/sources", READ, Limit::Api, Class::Api, api::site_sources::list_sources);
    t.row(GET, "/api/v1/sites/{id}/crawls", READ, Limit::Api, Class::Api, api::site_sources::list_crawls);
    t.row(POST, "/api/v1/sites/{id}/crawls", CHANGE, Limit::Api, Class::Api, api::site_sources::create_crawl);
    t.row(POST, "/api/v1/sites/{id}/origins", CHANGE, Limit::Api, Class::Api, api::site_origins::create_origin);
    t.row(GET, "/api/v1/sites/{id}/refused-origins", READ, Limit::Api, Class::Api, api::site_origins::list_refused);
    t.row(GET, TALKS, READ, Limit::Api, Class::Api, api::conversations::list_conversations);
    t.row(GET, WORDS, CHANGE, Limit::Api, Class::Api, api::conversations::list_messages);
    t.row(DELETE, TALK, DESTROY, Limit::Api, Class::Api, api::conversations::delete_conversation);
    t.row(GET, "/api/v1/usage", READ, Limit::Api, Class::Api, api::usage::list_usage);

    t.row(GET, "/api/v1/events", ADMIN, Limit::Api, Class::Api, api::events::list_events);
    t.row(GET, "/api/v1/blocks", ADMIN, Limit::Api, Class::Api, api::blocks::list_blocks);
    t.row(POST, "/api/v1/blocks", ADMIN, Limit::Api, Class::Api, api::blocks::create_block);
    t.row(DELETE, "/api/v1/blocks", ADMIN, Limit::Api, Class::Api, api::blocks::delete_block);
    t.row(GET, "/api/v1/lockdown", ADMIN, Limit::Api, Class::Api, api::lockdown::get_lockdown);
    t.row(PUT, "/api/v1/lockdown", ADMIN, Limit::Api, Class::Api, api::lockdown::begin_lockdown);
    t.row(DELETE, "/api/v1/lockdown", ADMIN, Limit::Api, Class::Api, api::lockdown::end_lockdown);

    // Users only: a key makes no keys.
    t.row(GET, "/api/v1/keys", ADMIN, Limit::Api, Class::Api, api::keys::list_keys);
    t.row(POST, "/api/v1/keys", ADMIN, Limit::Api, Class::Api, api::keys::create_key);
    t.row(GET, "/api/v1/keys/{key}", ADMIN, Limit::Api, Class::Api, api::keys::get_key);
    t.row(PATCH, "/api/v1/keys/{key}", ADMIN, Limit::Api, Class::Api, api::keys::update_key);
    t.row(DELETE, "/api/v1/keys/{key}", ADMIN, Limit::Api, Class::Api, api::keys::delete_key);
    t.row(POST, "/api/v1/keys/{key}/rotate", ADMIN, Limit::Api, Class::Api, api::keys::rotate_key);

    t.row(POST, "/api/v1/auth/setup", SignIn, Limit::SignIn, Class::Api, api::auth_setup::create_first_user);
    t.row(POST, "/api/v1/auth/accept", SignIn, Limit::SignIn, Class::Api, api::invitations::accept_invitation);
    t.row(POST, "/api/v1/auth/recover", SignIn, Limit::SignIn, Class::Api, api::auth_recover::recover_account);
    t.row(POST, "/api/v1/auth/register", SignIn, Limit::SignIn, Class::Api, api::auth_register::register_owner);
    t.row(POST, "/api/v1/auth/login", SignIn, Limit::SignIn, Class::Api, api::auth_login::create_login);
    t.row(POST, "/api/v1/auth/refresh", SignIn, Limit::SignIn, Class::Api, api::auth_login::refresh_login);
    t.row(POST, "/api/v1/auth/logout", Enrolment, Limit::Api, Class::Api, api::auth_login::end_login);
    t.row(GET, "/api/v1/auth/me", Enrolment, Limit::Api, Class::Api, api::account::get_me);
    t.row(PATCH, "/api/v1/account", ANYONE, Limit::Api, Class::Api, api::account::update_account);
    t.row(DELETE, "/api/v1/account", ANYONE, Limit::Api, Class::Api, api::account::delete_account);
    t.row(POST, "/api/v1/account/password", ANYONE, Limit::SignIn, Class::Api, api::account::change_password);
    t.row(GET, "/api/v1/account/sessions", ANYONE, Limit::Api, Class::Api, api::account::list_sessions);
    t.row(DELETE, "/api/v1/account/sessions/{login}", ANYONE, Limit::Api, Class::Api, api::account::delete_session);
    t.row(POST, "/api/v1/account/totp", Enrolment, Limit::SignIn, Class::Api, api::account_factor::begin_totp);
    t.row(
        POST,
        "/api/v1/account/totp/confirm",
        Enrolment,
        Limit::SignIn,
        Class::Api,
        api::account_factor::confirm_totp,
    );
    t.row(DELETE, "/api/v1/account/totp", Enrolment, Limit::SignIn, Class::Api, api::account_factor::delete_totp);
    t.row(
        POST,
        "/api/v1/account/recovery-codes",
        Enrolment,
        Limit::SignIn,
        Class::Api,
        api::account_factor::renew_codes,
    );
    t.row(GET, "/api/v1/users", ADMIN, Limit::Api, Class::Api, api::users::list_users);
    t.row(GET, "/api/v1/users/{user}", ADMIN, Limit::Api, Class::Api, api::users::get_user);
    t.row(PATCH, "/api/v1/users/{user}", ADMIN, Limit::Api, Class::Api, api::users::update_user);
    t.row(DELETE, "/api/v1/users/{user}", ADMIN, Limit::Api, Class::Api, api::users::delete_user);
    t.row(POST, "/api/v1/users/{user}/unlock", ADMIN, Limit::Api, Class::Api, api::users::unlock_user);
    t.row(POST, "/api/v1/users/{user}/recovery", ADMIN, Limit::Api, Class::Api, api::users::create_recovery);
    t.row(GET, "/api/v1/invitations", ADMIN, Limit::Api, Class::Api, api::invitations::list_invitations);
    t.row(POST, "/api/v1/invitations", ADMIN, Limit::Api, Class::Api, api::invitations::create_invitation);
    t.row(
        DELETE,
        "/api/v1/invitations/{invitation}",
        ADMIN,
        Limit::Api,
        Class::Api,
        api::invitations::delete_invitation,
    );

    t.row(GET, "/api/v1/devices", ADMIN, Limit::Api, Class::Api, api::devices::list_devices);
    t.row(POST, "/api/v1/devices", ADMIN, Limit::Api, Class::Api, api::devices::create_device);
    t.row(DELETE, "/api/v1/devices/{device}", ADMIN, Limit::Api, Class::Api, api::devices::delete_device);
    t.row(POST, "/api/v1/devices/{device}/token", ADMIN, Limit::SignIn, Class::Api, api::devices::create_token);
    t.row(POST, "/api/v1/devices/renew", Device, Limit::SignIn, Class::Api, api::device_token::renew_token);
    t.row(GET, "/api/v1/devices/socket", CONNECTED_DEVICE, Limit::Sockets, Class::Api, api::device_socket::open_socket);
    t.row(GET, "/api/v1/events/stream", WATCHER, Limit::Sockets, Class::Api, api::event_stream::open_stream);

    table.routes
}

/// The rows alone, for tests and metrics.
pub fn rows() -> Vec<Row> {
    table().into_iter().map(|route| route.row).collect()
}

/// The router of the public listener: the table, each row behind its guard, all behind the one stack.
pub fn router(app: &App) -> Router {
    let mut router = Router::new();
    for Route { row, handler } in table() {
        let guard = axum::middleware::from_fn_with_state((app.clone(), row), middleware::guard::run);
        router = router.route(row.path, handler.route_layer(guard));
    }
    router
        .fallback(refuse_unknown)
        .method_not_allowed_fallback(refuse_method)
        .layer(axum::middleware::from_fn_with_state(app.clone(), middleware::run))
        .with_state(app.clone())
}

#[derive(Default)]
struct Table {
    routes: Vec<Route>,
}

impl Table {
    fn row<H, T>(
        &mut self,
        method: &'static Method,
        path: &'static str,
        policy: Policy,
        limit: Limit,
        class: Class,
        handler: H,
    ) where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = match *method {
            Method::POST => MethodFilter::POST,
            Method::DELETE => MethodFilter::DELETE,
            Method::PUT => MethodFilter::PUT,
            Method::PATCH => MethodFilter::PATCH,
            _ => MethodFilter::GET,
        };
        let row = Row { method, path, policy, limit, class, index: self.routes.len() };
        self.routes.push(Route { row, handler: on(filter, handler) });
    }
}

async fn refuse_unknown(app: State<App>, client: axum::Extension<middleware::Client>) -> Response {
    refuse_counted(&app, &client, StatusCode::NOT_FOUND)
}

async fn refuse_method(app: State<App>, client: axum::Extension<middleware::Client>) -> Response {
    refuse_counted(&app, &client, StatusCode::METHOD_NOT_ALLOWED)
}

/// What no row answers is counted all the same.
fn refuse_counted(app: &App, client: &middleware::Client, status: StatusCode) -> Response {
    match middleware::guard::count(app, Limit::Api, client) {
        Ok(counted) => {
            let mut response = status.into_response();
            if let Some(decision) = counted {
                middleware::headers::add_limit_fields(response.headers_mut(), &decision);
            }
            response
        }
        Err(refusal) => refusal.into_response(),
    }
}
