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
    /// Whoever has a password or a token in the body, from our own pages or a program. Ops checks it.
    SignIn,
    /// A visitor with a token of ours, from the origin that the token was minted for.
    Visitor,
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
    use Policy::{NamedOrigin, Public, SignIn, SiteOrigin, User, Visitor};
    const READ: Policy = Policy::Manage(KeyScope::Manage, Role::Viewer);
    const CHANGE: Policy = Policy::Manage(KeyScope::Manage, Role::Member);
    const ANYONE: Policy = User(Role::Viewer);
    const GET: &Method = &Method::GET;
    const POST: &Method = &Method::POST;
    const PATCH: &Method = &Method::PATCH;
    const DELETE: &Method = &Method::DELETE;
    let mut table = Table::default();
    let t = &mut table;

    t.row(GET, "/healthz", Public, Limit::Health, Class::Health, api::health::get_liveness);
    t.row(GET, "/readyz", Public, Limit::Health, Class::Health, api::health::get_readiness);
    t.row(GET, "/openapi.json", Public, Limit::Files, Class::Asset, api::documents::get_openapi);
    t.row(GET, "/docs", Public, Limit::Files, Class::Page, ui::get_docs);
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
    t.row(GET, "/api/v1/sites/{id}", READ, Limit::Api, Class::Api, api::sites::get_site);
    t.row(PATCH, "/api/v1/sites/{id}", CHANGE, Limit::Api, Class::Api, api::sites::update_site);
    t.row(POST, "/api/v1/sites/{id}/origins", CHANGE, Limit::Api, Class::Api, api::site_origins::create_origin);
    t.row(GET, "/api/v1/sites/{id}/refused-origins", READ, Limit::Api, Class::Api, api::site_origins::list_refused);

    t.row(POST, "/api/v1/auth/setup", SignIn, Limit::SignIn, Class::Api, api::auth_setup::create_first_user);
    t.row(POST, "/api/v1/auth/accept", SignIn, Limit::SignIn, Class::Api, api::invitations::accept_invitation);
    t.row(POST, "/api/v1/auth/login", SignIn, Limit::SignIn, Class::Api, api::auth_login::create_login);
    t.row(POST, "/api/v1/auth/refresh", SignIn, Limit::SignIn, Class::Api, api::auth_login::refresh_login);
    t.row(POST, "/api/v1/auth/logout", ANYONE, Limit::Api, Class::Api, api::auth_login::end_login);
    t.row(GET, "/api/v1/auth/me", ANYONE, Limit::Api, Class::Api, api::account::get_me);
    t.row(GET, "/api/v1/account/sessions", ANYONE, Limit::Api, Class::Api, api::account::list_sessions);
    t.row(DELETE, "/api/v1/account/sessions/{login}", ANYONE, Limit::Api, Class::Api, api::account::delete_session);
    t.row(POST, "/api/v1/invitations", User(Role::Admin), Limit::Api, Class::Api, api::invitations::create_invitation);

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
