//! Digests, message authentication and key derivation, each by its standard algorithm.
//!
//! Owns the choice of SHA-256, HMAC-SHA-256 (RFC 2104) and HKDF-SHA-256 (RFC 5869); HMAC-SHA-1 is there because RFC 6238
//! asks for it. Never compares secrets with `==`: [`equal_constant_time`] is the only comparison whose time says nothing
//! about the contents.

use aws_lc_rs::{constant_time, digest as sha, hmac};
use chatward_types::Secret;

/// SHA-256.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    fixed(sha::digest(&sha::SHA256, bytes).as_ref())
}

/// Whether two byte strings are equal, in a time that depends on their lengths alone.
pub fn equal_constant_time(left: &[u8], right: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(left, right).is_ok()
}

/// HMAC-SHA-256 of a message.
pub fn hmac_sha256(key: &Secret<[u8; 32]>, message: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    fixed(hmac::sign(&key, message).as_ref())
}

/// HMAC-SHA-1 of a message, for the one-time codes that authenticator programs compute (RFC 6238) and for nothing else:
/// SHA-1 collides, which HMAC does not rest on.
pub fn hmac_sha1(key: &Secret<[u8; 20]>, message: &[u8]) -> [u8; 20] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.expose());
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&hmac::sign(&key, message).as_ref()[..20]);
    bytes
}

/// A key of its own for one purpose: HKDF-SHA-256 of a master key, with `label` as the info field.
///
/// Keys of different labels say nothing about one another or about the master key.
pub fn derive(master: &Secret<[u8; 32]>, label: &str) -> Secret<[u8; 32]> {
    // Extract with an empty salt, then one expand block, as RFC 5869 defines them for 32 bytes.
    let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[0; 32]), master.expose());
    let expand = hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref());
    let mut context = hmac::Context::with_key(&expand);
    context.update(label.as_bytes());
    context.update(&[1]);
    Secret::new(fixed(context.sign().as_ref()))
}

/// The first 32 bytes of an output that has exactly 32.
fn fixed(output: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&output[..32]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hkdf;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn sha256_agrees_with_its_published_vector() {
        assert_eq!(hex(&digest(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn hmac_sha1_agrees_with_its_published_vector() {
        // RFC 2202, test case 3.
        let mac = hmac_sha1(&Secret::new([0xaa; 20]), &[0xdd; 50]);
        assert_eq!(hex(&mac), "125d7342b9ac11cd91a39af48aa17b4f63f175d3");
    }

    #[test]
    fn comparison_looks_at_every_byte_and_the_length() {
        let value = digest(b"value");
        assert!(equal_constant_time(&value, &value.clone()));
        for i in 0..32 {
            let mut other = value;
            other[i] ^= 1;
            assert!(!equal_constant_time(&value, &other));
        }
        assert!(!equal_constant_time(&value, &value[..31]));
        assert!(equal_constant_time(b"", b""));
    }

    proptest! {
        #[test]
        fn derivation_is_hkdf_as_the_library_does_it(master: [u8; 32], label in ".{0,40}") {
            let ours = derive(&Secret::new(master), &label);
            let mut theirs = [0_u8; 32];
            hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
                .extract(&master)
                .expand(&[label.as_bytes()], hkdf::HKDF_SHA256)
                .and_then(|okm| okm.fill(&mut theirs))
                .unwrap();
            prop_assert_eq!(ours.expose(), &theirs);
        }

        #[test]
        fn labels_and_masters_separate_keys(master: [u8; 32], other: [u8; 32]) {
            prop_assume!(master != other);
            let key = derive(&Secret::new(master), "one");
            prop_assert!(key.expose() != derive(&Secret::new(master), "two").expose());
            prop_assert!(key.expose() != derive(&Secret::new(other), "one").expose());
            prop_assert!(key.expose() != &master);
        }

        #[test]
        fn a_mac_depends_on_key_and_message(key: [u8; 32], message in prop::collection::vec(any::<u8>(), 0..64)) {
            let tag = hmac_sha256(&Secret::new(key), &message);
            let mut longer = message.clone();
            longer.push(0);
            let mut other = key;
            other[0] ^= 1;
            prop_assert!(tag != hmac_sha256(&Secret::new(key), &longer));
            prop_assert!(tag != hmac_sha256(&Secret::new(other), &message));
        }
    }
}
