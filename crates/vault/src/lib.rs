//! Everything that keeps a secret secret, small enough to audit alone.
//!
//! Owns: the system's entropy, the master keys (from a file or the environment) and their rotation, envelope encryption of rows and of
//! the installation's own secrets, session ids that cannot be forged, the formats of issued keys, Ed25519 keys, and hashing.
//! Never does: network, SQL, async, or reading the environment; it returns no secret except inside a
//! [`chatward_types::Secret`], and no error of it repeats what it was given.

mod base62;
mod ed25519;
mod entropy;
mod envelope;
mod hashing;
mod key_check;
mod key_ring;
mod master_key;
mod master_key_change;
mod master_key_file;
mod publishable_key;
mod sealing;
mod secret_key;
mod session_ids;

pub use base62::{base62_decode, base62_encode};
pub use ed25519::{ed25519_pkcs8, ed25519_public};
pub use entropy::{SystemEntropy, random_secret};
pub use envelope::{DataKey, Vault, WrappedKey, sealed_key_version};
pub use hashing::{derive, digest, equal_constant_time, hmac_sha1, hmac_sha256};
pub use key_ring::KeyRing;
pub use master_key::{LocalMasterKey, MasterKey};
pub use master_key_change::{Draft, FileChange};
pub use master_key_file::MasterKeyFile;
pub use publishable_key::{KeyShapeError, PublishableKey};
pub use secret_key::SecretKey;
pub use session_ids::SessionIds;
