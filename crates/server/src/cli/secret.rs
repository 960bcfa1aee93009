//! `chatward secret`: a strong secret from the system's random source, for whatever needs one.

use super::{Common, Outcome, print};
use chatward_types::{Error, Secret};
use chatward_vault::{SystemEntropy, base62_encode, random_secret};

/// Prints 256 random bits as 44 letters and digits.
pub(super) fn run(common: &Common) -> Outcome {
    let random = random_secret(&SystemEntropy)?;
    let (left, right) = random.expose().split_at(16);
    let half = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).map(base62_encode).map_err(Error::internal);
    let text = Secret::new(format!("{}{}", half(left)?, half(right)?));
    if common.json {
        print::json(&serde_json::json!({ "secret": text.expose() }));
    } else {
        print::line(text.expose());
    }
    Ok(())
}
