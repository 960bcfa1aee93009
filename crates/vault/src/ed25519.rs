//! Ed25519 keys (RFC 8032) made of 32 random bytes, for signatures that others check without a secret.
//!
//! Owns the two forms that a seed is used in: the public key, and PKCS #8 (RFC 8410) for a library that signs. Never signs.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use chatward_types::{Error, Result, Secret};

/// RFC 8410, version 1: everything but the seed, which comes last.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The public key of a seed.
///
/// # Errors
/// When the library refuses the seed, which does not happen for 32 bytes.
pub fn ed25519_public(seed: &Secret<[u8; 32]>) -> Result<[u8; 32]> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(Error::internal)?;
    <[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(Error::internal)
}

/// The private key in the form that libraries read.
pub fn ed25519_pkcs8(seed: &Secret<[u8; 32]>) -> Secret<[u8; 48]> {
    let mut document = [0; 48];
    document[..16].copy_from_slice(&PKCS8_HEAD);
    document[16..].copy_from_slice(seed.expose());
    Secret::new(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_vector_of_the_standard_holds() {
        // RFC 8032, 7.1, TEST 1: a published test vector and nobody's key.
        let half = |text: &str| -> Vec<u8> {
            (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
        };
        let seed = half(&["9d61b19deffd5a60ba844af492ec2cc4", "4449c5697b326919703bac031cae7f60"].concat());
        let public = half(&["d75a980182b10ab7d54bfed3c964073a", "0ee172f3daa62325af021a68f707511a"].concat());
        let seed = Secret::new(<[u8; 32]>::try_from(seed).unwrap());
        assert_eq!(ed25519_public(&seed).unwrap().to_vec(), public);
        let pair = Ed25519KeyPair::from_pkcs8(ed25519_pkcs8(&seed).expose()).unwrap();
        assert_eq!(pair.public_key().as_ref(), public);
    }
}
