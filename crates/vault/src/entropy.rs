//! The system's source of randomness.
//!
//! Owns the only implementation of [`Entropy`] that a running installation uses. Never keeps state, never seeds a
//! generator of its own: every byte comes from the cryptographic library's generator, which the kernel feeds.

use chatward_types::{Entropy, Error, Result, Secret};

/// The cryptographic library's generator, seeded by the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<()> {
        aws_lc_rs::rand::fill(buffer).map_err(|_| Error::internal("the system's source of randomness failed"))
    }
}

/// A fresh 256-bit secret.
///
/// # Errors
/// When the entropy source fails.
pub fn random_secret(entropy: &dyn Entropy) -> Result<Secret<[u8; 32]>> {
    let mut bytes = [0_u8; 32];
    let filled = entropy.fill(&mut bytes);
    let secret = Secret::new(bytes);
    // The copy on the stack goes, whether or not the source answered.
    zeroize::Zeroize::zeroize(&mut bytes);
    filled.map(|()| secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ten_thousand_secrets_are_distinct() {
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            let secret = random_secret(&SystemEntropy).unwrap();
            assert!(seen.insert(*secret.expose()), "a secret came twice");
        }
    }

    #[test]
    fn every_bit_is_used() {
        let (mut ones, mut zeros) = ([0_u8; 32], [0_u8; 32]);
        for _ in 0..200 {
            let secret = random_secret(&SystemEntropy).unwrap();
            for (i, byte) in secret.expose().iter().enumerate() {
                ones[i] |= byte;
                zeros[i] |= !byte;
            }
        }
        assert_eq!((ones, zeros), ([0xff; 32], [0xff; 32]));
    }

    #[derive(Debug)]
    struct Broken;
    impl Entropy for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<()> {
            Err(Error::internal("no randomness"))
        }
    }

    #[test]
    fn a_failing_source_is_an_error_and_not_a_secret_of_zeros() {
        assert!(random_secret(&Broken).is_err());
    }
}
