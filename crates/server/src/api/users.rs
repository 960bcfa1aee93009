//! `/api/v1/users`: who may do what for an owner, changed by whoever stands high enough.

use crate::app::App;
use crate::client::Client;
use crate::error::ApiResult;
use crate::json::Json;
use crate::ops::logins::Person;
use crate::ops::{members, recoveries};
use crate::path::Path;
use crate::query::Query;
use axum::Extension;
use axum::extract::State;
use chatward_store::{UserChange, UserRow, UserState};
use chatward_types::{Role, SECOND, Scope, UserId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Whether a user may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserStanding {
    /// May.
    Active,
    /// May not, and no token of theirs holds.
    Disabled,
}

/// A user of the owner.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserView {
    /// The user's id.
    #[schema(value_type = String)]
    pub id: UserId,
    /// The e-mail address.
    pub email: String,
    /// The full name.
    pub full_name: String,
    /// `viewer`, `member`, `admin` or `owner`.
    #[schema(value_type = String)]
    pub role: Role,
    /// Whether they may log in.
    pub state: UserStanding,
    /// When the account was made, in seconds since 1970 (UTC).
    pub created_at: i64,
    /// When it was last changed, in seconds since 1970 (UTC).
    pub updated_at: i64,
}

/// A page of users.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserList {
    /// In the order of their making.
    pub users: Vec<UserView>,
    /// What `after` takes for the next page; null on the last.
    #[schema(value_type = Option<String>)]
    pub next: Option<UserId>,
}

/// Which page of users.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserPage {
    /// The id behind which the page begins; `next` of the page before.
    #[param(value_type = Option<String>)]
    pub after: Option<UserId>,
    /// How many at most: 1 to 100; 50 without it.
    pub limit: Option<u32>,
}

/// A partial change of a user; what is absent stays. A disabling stands alone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateUser {
    /// Another full name; 1 to 200 characters.
    pub full_name: Option<String>,
    /// Another role: `viewer`, `member`, `admin` or `owner`, not above one's own.
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
    /// Whether they may log in; a change ends every login of theirs.
    pub state: Option<UserStanding>,
}

/// A link by which a user sets another password, shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecoveryView {
    /// The page that takes it, with the token behind the `#`. Nothing is mailed: hand it on, to nobody but the user.
    pub url: String,
    /// The token alone, for `POST /api/v1/auth/recover`, once.
    pub token: String,
    /// When it ends, in seconds since 1970 (UTC): an hour from now.
    pub expires_at: i64,
}

/// Lists the owner's users, page by page.
#[utoipa::path(get, path = "/api/v1/users", tag = "accounts", security(("user" = [])), params(UserPage),
    responses(
        (status = 200, description = "A page of users.", body = UserList),
        (status = 400, description = "A parameter of the address is unknown or of the wrong form.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 422, description = "`limit` is out of bounds.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn list_users(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Query(page): Query<UserPage>,
) -> ApiResult<axum::Json<UserList>> {
    let page = members::list(&app, &Scope::of(person.owner), page.after, page.limit.unwrap_or(50)).await?;
    Ok(axum::Json(UserList { users: page.users.into_iter().map(view).collect(), next: page.next }))
}

/// Returns one user of the owner.
#[utoipa::path(get, path = "/api/v1/users/{user}", tag = "accounts", security(("user" = [])),
    params(("user" = String, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "The user.", body = UserView),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such user.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn get_user(
    State(app): State<App>,
    Extension(person): Extension<Arc<Person>>,
    Path(id): Path<UserId>,
) -> ApiResult<axum::Json<UserView>> {
    Ok(axum::Json(view(members::get(&app, &Scope::of(person.owner), id).await?)))
}

/// Changes a user's name, role or state. Nobody changes a user above their own role, or gives a role above it.
#[utoipa::path(patch, path = "/api/v1/users/{user}", tag = "accounts", security(("user" = [])), request_body = UpdateUser,
    params(("user" = String, Path, description = "The user's id.")),
    responses(
        (status = 200, description = "The user as they are now.", body = UserView),
        (status = 400, description = "Not JSON, or not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such user.", body = crate::error::ErrorBody),
        (status = 409, description = "Nobody who may do everything would be left.", body = crate::error::ErrorBody),
        (status = 422, description = "A field is unknown or out of bounds, or there is none.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn update_user(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Path(id): Path<UserId>,
    Json(body): Json<UpdateUser>,
) -> ApiResult<axum::Json<UserView>> {
    let state = body.state.map(|state| match state {
        UserStanding::Active => UserState::Active,
        UserStanding::Disabled => UserState::Disabled,
    });
    let change = UserChange { name: body.full_name, role: body.role, state };
    Ok(axum::Json(view(members::change(&app, &person, id, change, &client).await?)))
}

/// Removes a user for good, with their logins and open invitations; the address is free again.
#[utoipa::path(delete, path = "/api/v1/users/{user}", tag = "accounts", security(("user" = [])),
    params(("user" = String, Path, description = "The user's id.")),
    responses(
        (status = 204, description = "Removed."),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such user.", body = crate::error::ErrorBody),
        (status = 409, description = "Nobody who may do everything would be left.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn delete_user(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Path(id): Path<UserId>,
) -> ApiResult<StatusCode> {
    members::remove(&app, &person, id, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a user try again who must wait after failed attempts.
#[utoipa::path(post, path = "/api/v1/users/{user}/unlock", tag = "accounts", security(("user" = [])),
    params(("user" = String, Path, description = "The user's id.")),
    responses(
        (status = 204, description = "They may try again."),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such user.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn unlock_user(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Path(id): Path<UserId>,
) -> ApiResult<StatusCode> {
    members::unlock(&app, &person, id, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a link by which a user sets another password. Recovery is by link because no mail is sent yet: hand it on
/// yourself. It holds once and for an hour, in the place of the one before.
#[utoipa::path(post, path = "/api/v1/users/{user}/recovery", tag = "accounts", security(("user" = [])),
    params(("user" = String, Path, description = "The user's id.")),
    responses(
        (status = 201, description = "Made.", body = RecoveryView),
        (status = 400, description = "Not an id.", body = crate::error::ErrorBody),
        (status = 401, description = "No access token that holds.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, or another's page sent it.", body = crate::error::ErrorBody),
        (status = 404, description = "The owner has no such user.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many requests from this address.", body = crate::error::ErrorBody)))]
pub async fn create_recovery(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(person): Extension<Arc<Person>>,
    Path(id): Path<UserId>,
) -> ApiResult<(StatusCode, axum::Json<RecoveryView>)> {
    let made = recoveries::make_for(&app, &person, id, &client).await?;
    let view = RecoveryView {
        url: made.url.expose().clone(),
        token: made.token.expose().clone(),
        expires_at: made.expires_at / SECOND,
    };
    Ok((StatusCode::CREATED, axum::Json(view)))
}

fn view(row: UserRow) -> UserView {
    UserView {
        id: row.id,
        email: row.email,
        full_name: row.name,
        role: row.role,
        state: match row.state {
            UserState::Active => UserStanding::Active,
            UserState::Disabled => UserStanding::Disabled,
        },
        created_at: row.created_at / SECOND,
        updated_at: row.updated_at / SECOND,
    }
}
