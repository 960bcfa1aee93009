//! Invitations: how somebody becomes a user while registration is closed, which it is.
//!
//! A token for one address and one role, with an end, used once. Nobody invites above their own role, and an invitation
//! holds only as long as whoever sent it may still send it. Every fault of a token is refused alike.

use crate::app::App;
use crate::client::Client;
use crate::ops::logins::{self, Issued, Person};
use crate::ops::opaque;
use crate::ops::users::{self, NewUser};
use chatward_store::{InvitationRow, UserState};
use chatward_types::{
    Error, EventName, HOUR, InvitationId, Kind, Outcome, Result, Role, Scope, Secret, Severity, Timestamp,
};

/// Invitations of an owner that are open at once.
const MOST: u32 = 200;

/// A new invitation; the token is told this once.
#[derive(Debug)]
pub struct Invited {
    /// Its id.
    pub id: InvitationId,
    /// The token.
    pub token: Secret<String>,
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
    if !app.store.insert_invitation(&Scope::of(by.owner), &row, MOST).await? {
        return Err(Error::invalid(
            "There are 200 open invitations already. Wait until some are used or have run out.",
        ));
    }
    app.event(EventName::UserChanged, Severity::Info, Outcome::Success)
        .of(client)
        .owner(by.owner)
        .detail(format!("user {} invited somebody as {}", by.user, role.as_str()))
        .emit();
    Ok(Invited { id, token, expires_at })
}

/// Makes the invited user and logs them in. The address is the invitation's.
///
/// # Errors
/// [`Kind::Unauthenticated`], alike for every fault of the token, and where the address has an account already;
/// [`Kind::Invalid`] for a name or a password that is refused.
pub async fn accept(app: &App, token: &str, name: String, password: Secret<String>, client: &Client) -> Result<Issued> {
    let Some((scope, invitation)) = open(app, token).await? else { return Err(refuse(app, client)) };
    let new = NewUser { email: invitation.email, name, role: invitation.role, password };
    let row = users::prepare(app, &new).await?;
    let lookup = app.account_keys.lookup(&row.email);
    match app.store.insert_invited_user(&scope, &row, &lookup, invitation.id).await {
        Ok(true) => {}
        Ok(false) => return Err(refuse(app, client)),
        Err(error) if error.kind() == Kind::Conflict => return Err(refuse(app, client)),
        Err(error) => return Err(error),
    }
    app.event(EventName::UserChanged, Severity::Info, Outcome::Success)
        .of(client)
        .owner(scope.owner())
        .detail(format!("user {} accepted an invitation as {}", row.id, row.role.as_str()))
        .emit();
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
    let stands = sender.is_some_and(|user| user.state == UserState::Active && user.role >= row.role.max(Role::Admin));
    let holds = chatward_vault::equal_constant_time(&token.hash, &row.hash) && row.expires_at > app.clock.now();
    Ok((stands && holds).then_some((scope, row)))
}

fn refuse(app: &App, client: &Client) -> Error {
    let event = app.event(EventName::TokenRefused, Severity::Warning, Outcome::Refused);
    event.of(client).detail("an invitation that does not hold").emit();
    Error::new(
        Kind::Unauthenticated,
        "invitation_invalid",
        "This invitation does not hold. It is used once and ends; ask whoever sent it for another.",
    )
}
