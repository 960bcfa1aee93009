//! All records of Chatward and all of its SQL, on SQLite and on PostgreSQL.
//!
//! Owns: the connections, the schema and its migrations, the tenant fence (a `Scope` on every query, forced row-level
//! security under it in PostgreSQL) and the durable batches of `append`. One file per group of tables.
//! Never does: HTTP, cryptography (bodies and keys come in sealed), or a query across owners outside `admin_*`.

mod append;
mod blocks;
mod budgets;
mod changes;
mod config;
mod conversations;
mod engine_sql;
mod error;
mod feedback;
mod identities;
mod invitations;
mod issued_keys;
mod jobs;
mod keys;
mod knowledge;
mod login_attempts;
mod logins;
mod messages;
mod migrate;
mod nodes;
mod owners;
mod passages;
mod postgres;
mod recoveries;
mod refused_origins;
mod registrations;
mod second_factors;
mod sessions;
mod settings;
mod sites;
mod sqlite;
mod statement;
mod store;
mod tickets;
mod trail;
mod tx;
mod usage;
mod user_changes;
mod users;

pub use append::HotRow;
pub use blocks::{BlockRow, LockdownRow, MOST_BLOCKS};
pub use changes::{Change, change};
pub use config::{Engine, StoreConfig};
pub use conversations::{ConversationRow, MessageCursor};
pub use feedback::FeedbackRow;
pub use invitations::InvitationRow;
pub use issued_keys::IssuedKeyRow;
pub use jobs::{JOB_ATTEMPTS, JobRow, JobState};
pub use keys::SigningKeyRow;
pub use knowledge::{ChunkRow, PageRow};
pub use login_attempts::Attempt;
pub use logins::{LoginRow, Rotation};
pub use messages::{MessageRow, MessageState, Role};
pub use migrate::{MigrationReport, schema_fingerprint};
pub use nodes::NODE_SILENCE;
pub use passages::PassageRow;
pub use recoveries::RecoveryRow;
pub use refused_origins::RefusedOrigin;
pub use second_factors::{Activation, SecondFactorRow};
pub use sessions::{Erased, ErasedSessions, SessionRow};
pub use sites::{NewSite, SiteRow};
pub use store::Store;
pub use trail::{TRAIL_GENESIS, TrailEntry, TrailRow, TrailSigner};
pub use usage::{UsageDay, UsageQuery, UsageRow, UsageTotal};
pub use user_changes::{Changed, Judge, UserChange};
pub use users::{UserRow, UserState};
