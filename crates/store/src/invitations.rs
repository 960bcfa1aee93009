//! Invitations: who may become a user of an owner.
//!
//! Owns: the table `invitations`. A row is there as long as its link holds; whoever claims it removes it, so that of two
//! who try at once one succeeds. Never sees a link's secret, only its hash.

use crate::statement::{Statement, execute, first, row, rows, value};
use crate::store::Store;
use crate::tx::Tx;
use chatward_types::{InvitationId, OwnerId, Result, Role, Scope, Timestamp, UserId};

const INSERT_INVITATION: Statement = Statement::both(
    "INSERT INTO invitations (owner_id, id, hash, email, role, invited_by, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
const GET_INVITATION: Statement = Statement::both(
    "SELECT id, hash, email, role, invited_by, created_at, expires_at FROM invitations WHERE owner_id = $1 AND id = $2",
);
const LIST_INVITATIONS: Statement = Statement::both(
    "SELECT id, hash, email, role, invited_by, created_at, expires_at FROM invitations
     WHERE owner_id = $1 AND expires_at > $2 ORDER BY id LIMIT 1000",
);
const COUNT_INVITATIONS: Statement =
    Statement::both("SELECT CAST(COUNT(*) AS BIGINT) FROM invitations WHERE owner_id = $1");
const DELETE_EXPIRED: Statement = Statement::both("DELETE FROM invitations WHERE owner_id = $1 AND expires_at <= $2");
const CLAIM_INVITATION: Statement = Statement::both("DELETE FROM invitations WHERE owner_id = $1 AND id = $2");
const END_INVITATIONS: Statement = Statement::both("DELETE FROM invitations WHERE owner_id = $1");

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRow {
    /// The id.
    pub id: InvitationId,
    /// SHA-256 of the link's token.
    pub hash: Vec<u8>,
    /// Whom it is for.
    pub email: String,
    /// What they will be.
    pub role: Role,
    /// Who invited them.
    pub invited_by: UserId,
    /// When, in microseconds.
    pub created_at: Timestamp,
    /// When it ends, in microseconds.
    pub expires_at: Timestamp,
}
row!(InvitationRow { id, hash, email, role, invited_by, created_at, expires_at });

impl Store {
    /// Adds an invitation and removes those that have run out. `false` when `most` are open already.
    ///
    /// # Errors
    /// [`chatward_types::Kind::NotFound`] when the owner has no such inviting user.
    pub async fn insert_invitation(&self, scope: &Scope, invitation: &InvitationRow, most: u32) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        execute!(tx, DELETE_EXPIRED, scope.owner(), invitation.created_at)?;
        if value!(i64, tx, COUNT_INVITATIONS, scope.owner())?.unwrap_or(0) >= i64::from(most) {
            return Ok(false);
        }
        execute!(
            tx,
            INSERT_INVITATION,
            scope.owner(),
            invitation.id,
            invitation.hash.as_slice(),
            &invitation.email,
            invitation.role,
            invitation.invited_by,
            invitation.created_at,
            invitation.expires_at,
        )?;
        tx.commit().await?;
        Ok(true)
    }

    /// One invitation of the owner.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_invitation(&self, scope: &Scope, id: InvitationId) -> Result<Option<InvitationRow>> {
        let mut tx = self.read(scope).await?;
        let invitation = get(&mut tx, scope, id).await?;
        tx.commit().await?;
        Ok(invitation)
    }

    /// The owner's invitations that hold, oldest first; at most 1000.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_invitations(&self, scope: &Scope, now: Timestamp) -> Result<Vec<InvitationRow>> {
        let mut tx = self.read(scope).await?;
        let invitations = rows!(InvitationRow, tx, LIST_INVITATIONS, scope.owner(), now)?;
        tx.commit().await?;
        Ok(invitations)
    }

    /// Takes an invitation back. `false` when it is not there any more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn remove_invitation(&self, scope: &Scope, id: InvitationId) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        if !claim(&mut tx, scope, id).await? {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// One invitation, in a transaction that goes on.
pub(crate) async fn get(tx: &mut Tx, scope: &Scope, id: InvitationId) -> Result<Option<InvitationRow>> {
    first!(InvitationRow, tx, GET_INVITATION, scope.owner(), id)
}

/// Uses an invitation up, in the transaction that makes the user. `false` when it is not there any more.
pub(crate) async fn claim(tx: &mut Tx, scope: &Scope, id: InvitationId) -> Result<bool> {
    Ok(execute!(tx, CLAIM_INVITATION, scope.owner(), id)? == 1)
}

/// Ends every open invitation of an owner, in the transaction that is the reason.
pub(crate) async fn end_every(tx: &mut Tx, owner: OwnerId) -> Result<()> {
    execute!(tx, END_INVITATIONS, owner)?;
    Ok(())
}
