//! The administrative listener: metrics and health, on loopback by default, never on the public one.

use crate::api;
use crate::app::App;
use crate::middleware::{self, host};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chatward_types::{Error, Kind};
use http::header::CONTENT_TYPE;

/// The router of the administrative listener.
pub fn router(app: &App) -> Router {
    Router::new()
        .route("/metrics", get(get_metrics))
        .route("/healthz", get(api::health::get_liveness))
        .route("/readyz", get(api::health::get_readiness))
        .layer(axum::middleware::from_fn(refuse_foreign_names))
        .layer(axum::middleware::from_fn_with_state(app.clone(), middleware::run_administrative))
        .with_state(app.clone())
}

/// The counters, in Prometheus' text format.
async fn get_metrics(State(app): State<App>) -> Response {
    app.metrics.set_gate(app.gate.blocked(), app.gate.is_locked(), app.gate.refused(), app.trail.waiting());
    app.metrics.set_open(app.connections.total(), app.connections.resting(), app.load.running());
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], app.metrics.render())
        .into_response()
}

/// A page in the operator's own browser must not read the metrics by rebinding its name to this listener.
async fn refuse_foreign_names(request: Request, next: Next) -> Response {
    let name = host::named(&request);
    let is_literal = name.is_some_and(|name| {
        name.eq_ignore_ascii_case("localhost")
            || name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok()
    });
    if is_literal {
        next.run(request).await
    } else {
        crate::error::ApiError::from(Error::new(
            Kind::Misdirected,
            "misdirected",
            "Address the administrative listener by its IP address or as localhost.",
        ))
        .into_response()
    }
}
