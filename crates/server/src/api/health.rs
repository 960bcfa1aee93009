//! `GET /healthz` and `GET /readyz`: whether the process lives, and whether it can serve.

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use axum::Json;
use axum::extract::State;
use chatward_types::{Error, Kind};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// How long the store may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// A probe's answer. It names no version, path or number.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    pub status: &'static str,
}

/// Says that the process runs. Does not touch the store.
#[utoipa::path(get, path = "/healthz", tag = "health",
    responses((status = 200, description = "The process runs.", body = Health)))]
pub async fn get_liveness() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Says whether requests can be served: the store answers and the server is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "Requests can be served.", body = Health),
        (status = 503, description = "The store does not answer, or the server is stopping.", body = crate::error::ErrorBody)))]
pub async fn get_readiness(State(app): State<App>) -> ApiResult<Json<Health>> {
    if app.stopping.is_cancelled() {
        return Err(ApiError::from(Error::new(
            Kind::Unavailable,
            "stopping",
            "This server is stopping. Try again; another one will answer.",
        )));
    }
    match tokio::time::timeout(PATIENCE, app.store.check()).await {
        Ok(Ok(())) => Ok(Json(Health { status: "ok" })),
        Ok(Err(error)) => Err(Error::unavailable(error).into()),
        Err(elapsed) => Err(Error::unavailable(elapsed).into()),
    }
}
