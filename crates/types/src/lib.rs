//! The words that every other crate shares: ids, callers, scopes, errors, events, time and secrets.
//!
//! Owns: the shape of an identifier, the one secret type, the error kinds and the names of security events.
//! Never does: I/O, async, SQL, HTTP. It depends on neither tokio nor axum nor sqlx, and a test holds it to that.

mod caller;
mod clock;
mod error;
mod event;
mod id;
mod key_scope;
mod secret;

pub use caller::{Caller, Environment, Role, Scope};
pub use clock::{Clock, DAY, Entropy, HOUR, MINUTE, SECOND, SystemClock, Timestamp};
pub use error::{BoxedSource, Error, Kind, Result};
pub use event::{Event, EventName, Outcome, Severity};
pub use id::{
    ConversationId, DeviceId, FeedbackId, Id, IdError, IdText, InvitationId, JobId, LoginId, MessageId, NodeId,
    OwnerId, PageId, ReceiptId, RequestId, SessionId, SiteId, UsageId, UserId, generate_three,
};
pub use key_scope::{KeyScope, KeyScopes};
pub use secret::Secret;
