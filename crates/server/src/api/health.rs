//! `GET /healthz` and `GET /readyz`: whether the process lives, and whether it can serve.

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use axum::Json;
use axum::extract::State;
use chatward_types::{BoxedSource, Error, Kind, SECOND};
use serde::Serialize;
use std::sync::atomic::Ordering;
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
    if is_ready(&app).await? {
        Ok(Json(Health { status: "ok" }))
    } else {
        Err(unready("another probe is asking").into())
    }
}

/// Asks the store at most once a second, and one probe at a time: anybody may call this, and it must cost nothing.
async fn is_ready(app: &App) -> Result<bool, Error> {
    let fresh = || app.clock.now().saturating_sub(app.ready_at.load(Ordering::Relaxed)) < SECOND;
    if fresh() {
        return Ok(true);
    }
    let asking = tokio::time::timeout(PATIENCE, app.probing.acquire()).await;
    let Ok(Ok(_place)) = asking else { return Ok(false) };
    if fresh() {
        return Ok(true);
    }
    match tokio::time::timeout(PATIENCE, app.store.check()).await {
        Ok(Ok(())) => {
            app.ready_at.store(app.clock.now(), Ordering::Relaxed);
            Ok(true)
        }
        Ok(Err(error)) => Err(unready(error)),
        Err(elapsed) => Err(unready(elapsed)),
    }
}

fn unready(source: impl Into<BoxedSource>) -> Error {
    Error::unavailable(source)
}
