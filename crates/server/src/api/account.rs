//! `GET /api/v1/auth/me`, `/api/v1/account` and `/api/v1/account/sessions`: a user's own account and devices.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::account;
use crate::ops::logins::{self, Person};
use crate::path::Path;
use axum::Extension;
use axum::extract::State;
use chatward_types::{LoginId, OwnerId, Role, SECOND, Scope, Secret, UserId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The user of the token.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeView {
    /// The user's id.
    #[schema(value_type = String)]
    pub id: UserId,
    /// Whose user.
    #[schema(value_type = String)]
    pub owner: OwnerId,
    /// The e-mail address.
    pub email: String,
    /// The full name.
    pub full_name: String,
    /// `viewer`, `member`, `admin` or `owner`.
    #[schema(value_type = String)]
    pub role: Role,
    /// Whether the user has a second factor.
    pub has_second_factor: bool,
    /// Whether the user must have a second factor and has none. Until then all but these routes of theirs answer 403
    /// `second_factor_required`: this one, those under `/api/v1/account/totp`, and logout.
    pub must_enrol: bool,
}

/// A device on which the user is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoginView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: LoginId,
    /// Whether it is the one that asks.
    pub current: bool,
    /// What the device called itself when it logged in.
    pub user_agent: String,
    /// The network that it was last seen in.
    pub network: String,
    /// When it logged in, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// When it was last continued, in seconds since 1970 (UTC).
    pub last_used_at: i64,
    /// When it ends unless it is continued, in seconds since 1970 (UTC).
    pub expires_at: i64,
}

/// The devices on which a user is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoginList {
    /// The last used first; at most 50.
    pub sessions: Vec<LoginView>,
}

/// A partial change of one's own account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateAccount {
    /// Another full name; 1 to 200 characters.
    pub full_name: String,
}

/// A password in the place of another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password that holds now; at most 256 bytes.
    #[schema(value_type = String)]
    pub current_password: Secret<String>,
    /// A password of at least 12 characters, unless the server's setting says otherwise.
    #[schema(value_type = String)]
    pub new_password: Secret<String>,
}

/// The password again, and a code where there is a second factor.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaveAccount {
    /// The password; at most 256 bytes.
    #[schema(value_type = String)]
    pub password: Secret<String>,
    /// For an account with a second factor: the program's current six digits, or a recovery code.
    #[schema(value_type = Option<String>)]
    pub code: Option<Secret<String>>,
}

/// Returns the user of the token.
#[utoipa::path(get, path = "/api/v1/auth/me", tag = "accounts", security(("user" = [])),
    responses(
        (status = 200, description = "The user.", body = MeView),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn get_me(Extension(person): Extension<Arc<Person>>) -> axum::Json<MeView> {
    axum::Json(view(&person, person.name.clone()))
}

/// Changes one's own name.
#[utoipa::path(patch, path = "/api/v1/account", tag = "accounts", security(("user" = [])), request_body = UpdateAccount,
    responses(
        (status = 200, description = "The user as they are now.", body = MeView),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn update_account(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<UpdateAccount>,
) -> ApiResult<axum::Json<MeView>> {
    let name = account::rename(&app, &person, &body.full_name, &client).await?;
    Ok(axum::Json(view(&person, name)))
}

/// Leaves: removes one's own account for good, with every login of it. Password and code are checked and counted as at a
/// login. Whoever came by an outside issuer's token logs in here first; one who never had a password here asks an
/// administrator to be removed, or for a recovery link, which sets one.
#[utoipa::path(delete, path = "/api/v1/account", tag = "accounts", security(("user" = [])), request_body = LeaveAccount,
    responses(
        (status = 204, description = "Removed."),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The password is another (`password_wrong`), the second factor is missing \
            (`second_factor_needed`) or wrong (`second_factor_refused`), or another's page sent it.",
            body = crate::error::ErrorBody),
        (status = 409, description = "Nobody who may do everything would be left (`last_owner`), or the token is an outside \
            issuer's (`no_login`).", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address, or too many attempts.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many passwords are checked at the moment.", body = crate::error::ErrorBody)))]
pub async fn delete_account(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<LeaveAccount>,
) -> ApiResult<StatusCode> {
    account::leave(&app, &person, (&body.password, body.code.as_ref()), &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes one's own password and ends every other login. A wrong current one counts as an attempt to log in.
#[utoipa::path(post, path = "/api/v1/account/password", tag = "accounts", security(("user" = [])), request_body = ChangePassword,
    responses(
        (status = 204, description = "Changed; every other login has ended."),
        (status = 400, description = "Not JSON.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The current password is another, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is missing, unknown or refused.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address, or too many attempts.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many passwords are checked at the moment.", body = crate::error::ErrorBody)))]
pub async fn change_password(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Json(body): Json<ChangePassword>,
) -> ApiResult<StatusCode> {
    account::change_password(&app, &person, (&body.current_password, &body.new_password), &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the devices on which the user is logged in.
#[utoipa::path(get, path = "/api/v1/account/sessions", tag = "accounts", security(("user" = [])),
    responses(
        (status = 200, description = "The devices.", body = LoginList),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_sessions(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
) -> ApiResult<axum::Json<LoginList>> {
    let rows = logins::list(&app, &Scope::of(person.owner), person.user).await?;
    let sessions = rows.into_iter().map(|row| LoginView {
        current: Some(row.id) == person.login,
        id: row.id,
        user_agent: row.user_agent,
        network: row.network,
        created_at: row.created_at / SECOND,
        last_used_at: row.last_used_at / SECOND,
        expires_at: row.expires_at / SECOND,
    });
    Ok(axum::Json(LoginList { sessions: sessions.collect() }))
}

/// Ends the user's login on one device, with every token of it, on every node.
#[utoipa::path(delete, path = "/api/v1/account/sessions/{login}", tag = "accounts", security(("user" = [])),
    params(("login" = String, Path, description = "The id from the list.")),
    responses(
        (status = 204, description = "Ended."),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "Another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The user has no such login.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn delete_session(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Path(login): Path<LoginId>,
) -> ApiResult<StatusCode> {
    logins::end_one(&app, &Scope::of(person.owner), person.user, login, Some(&client)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(person: &Person, full_name: String) -> MeView {
    MeView {
        id: person.user,
        owner: person.owner,
        email: person.email.clone(),
        full_name,
        role: person.role,
        has_second_factor: person.has_second_factor,
        must_enrol: person.must_enrol,
    }
}
