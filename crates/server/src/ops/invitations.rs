//! Invitations: how somebody becomes a user of an owner that is there already.
//!
//! A token for one address and one role, with an end, used once. Nobody invites above their own role, and an invitation
//! holds only as long as whoever sent it may still send it. Every fault of a token is refused alike.

use crate::app::App;
use crate::client::Client;
use crate::ops::logins::{self, Issued, Person};
use crate::ops::trail::{self, Actor};
use crate::ops::users::{self, NewUser};
use crate::ops::{links, opaque};
use chatward_store::{Changed, InvitationRow, Store, TrailEntry, UserRow, UserState};
use chatward_types::{
    Error, EventName, HOUR, InvitationId, Kind, Outcome, OwnerId, Result, Role, Scope, Secret, Severity, Timestamp,
};
use serde_json::json;
use std::sync::Arc;

/// Invitations of an owner that are open at once.
const MOST: u32 = 200;

/// A new invitation; the token is told this once.
#[derive(Debug)]
pub struct Invited {
    /// Its id.
    pub id: InvitationId,
    /// The token.
    pub token: Secret<String>,
    /// The page that takes it, with the token behind the `#`.
    pub url: Secret<String>,
    /// When it ends, in microseconds.
    pub expires_at: Timestamp,
}

/// Invites somebody.
///
/// # Errors
/// [`Kind::Forbidden`] for a role above one's own; [`Kind::Invalid`] for what is no address or too many invitations.
pub async fn create(app: &App, by: &Person, email: &str, role: Role, client: &Client) -> Result<Invited> {
    if role > by.role {
        return Err(Error::new(Kind::Forbidden, "role_too_high", "Nobody invites above their own role."));
    }
    let email = users::normal_email(email)?;
    let id = InvitationId::generate(app.clock.as_ref(), app.entropy.as_ref())?;
    let kind = opaque::Kind::Invitation;
    let (token, hash) = app.account_keys.mint(kind, by.owner, id.as_bytes(), app.entropy.as_ref())?;
    let now = app.clock.now();
    let expires_at = now + i64::from(app.config.accounts.invitation_hours) * HOUR;
    let row = InvitationRow { id, hash: hash.to_vec(), email, role, invited_by: by.user, created_at: now, expires_at };
    let (scope, what) = (Scope::of(by.owner), "invitation made");
    if !trail::audited(app, record(app, &scope, by, id, what, role)?).insert_invitation(&scope, &row, MOST).await? {
        return Err(Error::invalid(
            "There are 200 open invitations already. Wait until some are used or have run out.",
        ));
    }
    users::tell(app, &scope, Some(client), format!("user {} invited somebody as {}", by.user, role.as_str()));
    let url = links::with_token(app, links::ACCEPT, &token)?;
    Ok(Invited { id, token, url, expires_at })
}

/// Invitations of an owner that hold, oldest first; at most 200.
///
/// # Errors
/// When the store fails.
pub async fn list(app: &App, scope: &Scope) -> Result<Vec<InvitationRow>> {
    app.store.list_invitations(scope, app.clock.now()).await
}

/// Takes an invitation back, whether or not that can be recorded now.
///
/// # Errors
/// [`Kind::NotFound`] when the owner has none of this id that holds; [`Kind::Forbidden`] for a role above one's own.
pub async fn revoke(app: &App, by: &Person, id: InvitationId, client: &Client) -> Result<()> {
    let scope = Scope::of(by.owner);
    let Some(row) = app.store.get_invitation(&scope, id).await? else { return Err(Error::not_found()) };
    if row.role > by.role {
        return users::settle(Changed::Forbidden);
    }
    let entry = record(app, &scope, by, id, "invitation revoked", row.role)?;
    let act = |store: Store| async move { store.remove_invitation(&scope, id).await };
    if !trail::always(app, entry, act).await? {
        return Err(Error::not_found());
    }
    users::tell(app, &scope, Some(client), format!("user {} revoked invitation {id}", by.user));
    Ok(())
}

/// Makes the invited user and logs them in. The address is the invitation's.
///
/// # Errors
/// [`Kind::Unauthenticated`], alike for every fault of the token, and where the address has an account already;
/// [`Kind::Invalid`] for a name or a password that is refused.
pub async fn accept(app: &App, token: &str, name: String, password: Secret<String>, client: &Client) -> Result<Issued> {
    let whose = app.account_keys.parse(opaque::Kind::Invitation, token).map(|token| token.owner);
    let Some((scope, invitation)) = open(app, token).await? else { return Err(refuse(app, whose, client)) };
    let new = NewUser { email: invitation.email, name, role: invitation.role, password };
    let row = users::prepare(app, &new).await?;
    let lookup = app.account_keys.lookup(&row.email);
    let detail = json!({ "what": "user added", "with": invitation.id, "role": row.role.as_str() });
    let store = users::audited(app, &scope, &Actor::User(row.id), row.id, &detail)?;
    match store.insert_invited_user(&scope, &row, &lookup, invitation.id, stands).await {
        Ok(true) => {}
        Ok(false) => return Err(refuse(app, whose, client)),
        Err(error) if error.kind() == Kind::Conflict => return Err(refuse(app, whose, client)),
        Err(error) => return Err(error),
    }
    users::tell(app, &scope, Some(client), format!("user {} accepted an invitation as {}", row.id, row.role.as_str()));
    logins::begin(app, &scope, &row, client).await
}

/// The invitation that a token stands for, if it holds.
async fn open(app: &App, token: &str) -> Result<Option<(Scope, InvitationRow)>> {
    let Some(token) = app.account_keys.parse(opaque::Kind::Invitation, token) else { return Ok(None) };
    let scope = Scope::of(token.owner);
    let Some(row) = app.store.get_invitation(&scope, InvitationId::from_bytes(token.id)).await? else {
        return Ok(None);
    };
    let sender = app.store.get_user(&scope, row.invited_by).await?;
    let stands = sender.is_some_and(|sender| stands(&sender, &row));
    let holds = chatward_vault::equal_constant_time(&token.hash, &row.hash) && row.expires_at > app.clock.now();
    Ok((stands && holds).then_some((scope, row)))
}

/// Whether whoever sent an invitation may still send it.
fn stands(sender: &UserRow, invitation: &InvitationRow) -> bool {
    sender.state == UserState::Active && sender.role >= invitation.role.max(Role::Admin)
}

fn record(app: &App, scope: &Scope, by: &Person, id: InvitationId, what: &str, role: Role) -> Result<Arc<TrailEntry>> {
    let (actor, detail) = (Actor::User(by.user), json!({ "what": what, "role": role.as_str() }));
    trail::entry(app, EventName::UserChanged, &actor, Some(scope.owner()), &id.to_string(), &detail)
}

fn refuse(app: &App, whose: Option<OwnerId>, client: &Client) -> Error {
    let event = app.event(EventName::TokenRefused, Severity::Warning, Outcome::Refused);
    event.of(client).owner_if_known(whose).detail("an invitation that does not hold").emit();
    Error::new(
        Kind::Unauthenticated,
        "invitation_invalid",
        "This invitation does not hold. It is used once and ends; ask whoever sent it for another.",
    )
}
