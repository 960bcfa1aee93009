//! `/api/v1/invitations` and `POST /api/v1/auth/accept`: one user invites another.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::middleware::cookies::{self, LoginTokens, Mode};
use crate::ops::invitations;
use crate::ops::logins::Person;
use crate::path::Path;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use chatward_types::{InvitationId, Role, SECOND, Scope, Secret, UserId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Whom to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateInvitation {
    /// The e-mail address of whoever may accept.
    pub email: String,
    /// What they will be: `viewer`, `member`, `admin` or `owner`, not above the inviting user's own role.
    #[schema(value_type = String)]
    pub role: Role,
}

/// An invitation, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: InvitationId,
    /// What whoever is invited sends to `POST /api/v1/auth/accept`, once.
    pub token: String,
    /// The page that takes it, with the token behind the `#`. Nothing is mailed: hand it on.
    pub url: String,
    /// When it ends, in seconds since 1970 (UTC).
    pub expires_at: i64,
}

/// An invitation that holds; its token is known to whoever got it alone.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenInvitation {
    /// Its id.
    #[schema(value_type = String)]
    pub id: InvitationId,
    /// Whom it is for.
    pub email: String,
    /// What they will be.
    #[schema(value_type = String)]
    pub role: Role,
    /// Who sent it.
    #[schema(value_type = String)]
    pub invited_by: UserId,
    /// When it was made, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// When it ends, in seconds since 1970 (UTC).
    pub expires_at: i64,
}

/// The owner's invitations.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvitationList {
    /// Oldest first; at most 200.
    pub invitations: Vec<OpenInvitation>,
}

/// How an invitation is accepted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// The invitation's token.
    #[schema(value_type = String)]
    pub token: Secret<String>,
    /// A password of at least 12 characters, unless the server's setting says otherwise.
    #[schema(value_type = String)]
    pub password: Secret<String>,
    /// The full name; 1 to 200 characters.
    pub full_name: String,
    /// Where the tokens go; into the body unless it says `cookie`.
    #[serde(default)]
    pub mode: Mode,
}

/// Invites somebody to become a user of the owner.
#[utoipa::path(post, path = "/api/v1/invitations", tag = "accounts", security(("user" = [])), request_body = CreateInvitation,
    responses(
        (status = 201, description = "Invited.", body = InvitationView),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_invitation(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<CreateInvitation>,
) -> ApiResult<(StatusCode, axum::Json<InvitationView>)> {
    let invited = invitations::create(&app, &person, &body.email, body.role, &client).await?;
    let view = InvitationView {
        id: invited.id,
        token: invited.token.expose().clone(),
        url: invited.url.expose().clone(),
        expires_at: invited.expires_at / SECOND,
    };
    Ok((StatusCode::CREATED, axum::Json(view)))
}

/// Lists the invitations that hold.
#[utoipa::path(get, path = "/api/v1/invitations", tag = "accounts", security(("user" = [])),
    responses(
        (status = 200, description = "The invitations.", body = InvitationList),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_invitations(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
) -> ApiResult<axum::Json<InvitationList>> {
    let rows = invitations::list(&app, &Scope::of(person.owner)).await?;
    let views = rows.into_iter().map(|row| OpenInvitation {
        id: row.id,
        email: row.email,
        role: row.role,
        invited_by: row.invited_by,
        created_at: row.created_at / SECOND,
        expires_at: row.expires_at / SECOND,
    });
    Ok(axum::Json(InvitationList { invitations: views.collect() }))
}

/// Takes an invitation back; its token does not hold any more.
#[utoipa::path(delete, path = "/api/v1/invitations/{invitation}", tag = "accounts", security(("user" = [])),
    params(("invitation" = String, Path, description = "The id from the list.")),
    responses(
        (status = 204, description = "Taken back."),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such invitation.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn delete_invitation(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Path(id): Path<InvitationId>,
) -> ApiResult<StatusCode> {
    invitations::revoke(&app, &person, id, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accepts an invitation: makes the user and logs them in.
#[utoipa::path(post, path = "/api/v1/auth/accept", tag = "accounts", request_body = AcceptInvitation,
    responses(
        (status = 201, description = "Made and logged in.", body = LoginTokens),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "The invitation does not hold.", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or refused.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many passwords are hashed at the moment.", body = crate::error::ErrorBody)))]
pub async fn accept_invitation(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Json(body): Json<AcceptInvitation>,
) -> ApiResult<Response> {
    let mode = body.mode;
    let issued = invitations::accept(&app, body.token.expose(), body.full_name, body.password, &client).await?;
    Ok(cookies::deliver(&app, StatusCode::CREATED, issued, mode))
}
