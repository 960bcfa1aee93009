//! A 64-bit fingerprint of bytes (FNV-1a), for duplicates, seen addresses and damage.
//!
//! Never does: anything that an attacker must not be able to forge. Two pages of one site that collide on purpose
//! only hide each other.

use std::hash::{BuildHasherDefault, Hasher};

/// The fingerprint of `bytes`.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    Fingerprint::default().add(bytes).value()
}

/// A fingerprint of several parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    pub(crate) fn add(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// For maps whose keys are ours, such as word lists: short words hash in a few nanoseconds. Never for a map that
/// strangers fill.
pub(crate) type WordHash = BuildHasherDefault<WordHasher>;

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct WordHasher(Fingerprint);

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.add(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fnv_1a() {
        assert_eq!(of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Fingerprint::default().add(b"fo").add(b"o").value(), of(b"foo"));
    }
}
