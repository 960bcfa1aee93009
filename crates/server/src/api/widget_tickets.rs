//! `POST /api/v1/widget/tickets`: a page of a site asks for what lets its frame in.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::middleware::cors::{self, Origin};
use crate::middleware::guard::FromOrigin;
use crate::ops::{refusals, sites, tickets};
use axum::Extension;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which site's chat the page wants to show.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTicket {
    /// The site's publishable key.
    #[schema(example = "cw_pk_live_…")]
    pub site: String,
}

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketCreated {
    /// The ticket: good for one session, for 30 seconds, in a call from our own origin.
    pub ticket: String,
    /// When it ends, in seconds since 1970 (UTC).
    pub expires_at: i64,
    /// The origin that it was minted for.
    pub origin: String,
}

/// Hands a ticket to a page whose `Origin` is exactly one of the site's, or ours. The page gives it to the frame.
#[utoipa::path(post, path = "/api/v1/widget/tickets", tag = "widget", request_body = CreateTicket,
    responses(
        (status = 201, description = "The ticket.", body = TicketCreated),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 403, description = "The page's origin is not allowed; the page may read this answer.", body = crate::error::ErrorBody),
        (status = 404, description = "No such site, or a key of another environment.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or wrong.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_ticket(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(FromOrigin(origin)): Extension<FromOrigin>,
    Json(body): Json<CreateTicket>,
) -> ApiResult<(StatusCode, axum::Json<TicketCreated>)> {
    let site = sites::named(&app, &body.site, &client).await?;
    let origin = match origin {
        Origin::Named(origin) if site.has_origin(&origin) || app.origins.is_ours(&origin) => origin,
        Origin::Named(origin) => {
            refusals::note(&app, &site, &origin);
            return Err(cors::refuse_at(&app, &client, site.owner, site.id).into());
        }
        _ => return Err(cors::refuse_at(&app, &client, site.owner, site.id).into()),
    };
    let minted = tickets::mint(&app, &site, &origin)?;
    Ok((
        StatusCode::CREATED,
        axum::Json(TicketCreated {
            ticket: minted.ticket,
            expires_at: minted.expires_at,
            origin: origin.into_string(),
        }),
    ))
}
