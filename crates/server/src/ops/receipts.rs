//! Receipts: our signed word that a conversation was erased, or handed out, and when.
//!
//! A receipt holds no content. Its signature is a token of its own ring, so that it says who signed and cannot be used
//! for anything else; the members beside it are there to be read and must agree with it. A receipt of an export also
//! holds a digest of the whole export but itself, in one canonical form. Owns that form, the signing and the checking.

use crate::app::App;
use crate::ops::signing::ISSUER;
use crate::ops::strict_json;
use chatward_types::{Error, ReceiptId, Result, SECOND, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Our signed word; exactly one of the two times is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ReceiptId,
    /// The session.
    pub session: String,
    /// When everything of the session was erased, in seconds since 1970 (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<i64>,
    /// When everything of the session was handed out, in seconds since 1970 (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported_at: Option<i64>,
    /// How many messages.
    pub messages: u64,
    /// SHA-256 of the export without this receipt, as JSON with sorted members and without spaces, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The signature over all of it; `chatward receipt verify` checks it.
    pub signature: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    jti: ReceiptId,
    sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exported: Option<i64>,
    messages: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// The receipt of an erasure that is done.
///
/// # Errors
/// When signing or the entropy source fails.
pub fn of_erasure(app: &App, session: &SessionId, messages: u64) -> Result<Receipt> {
    let erased_at = Some(app.clock.now() / SECOND);
    sign(app, Receipt { erased_at, ..unsigned(app, session, messages)? })
}

/// The receipt of an export of so many messages; `export` is all of it but the receipt.
///
/// # Errors
/// When signing or the entropy source fails.
pub fn of_export(app: &App, session: &SessionId, messages: usize, export: &Value) -> Result<Receipt> {
    let exported_at = Some(app.clock.now() / SECOND);
    let digest = Some(digest_of(export));
    let unsigned = unsigned(app, session, u64::try_from(messages).unwrap_or(u64::MAX))?;
    sign(app, Receipt { exported_at, digest, ..unsigned })
}

/// Whether a receipt is ours and says what we signed. `export` is what stands beside it in an exported file.
pub fn is_genuine(app: &App, receipt: &Receipt, export: Option<&Value>) -> bool {
    let Some(claims) = app.tokens.receipts.verify::<Claims>(&receipt.signature, app.clock.now()) else {
        return false;
    };
    let signed = Receipt {
        id: claims.jti,
        session: claims.sub,
        erased_at: claims.erased,
        exported_at: claims.exported,
        messages: claims.messages,
        digest: claims.digest,
        signature: receipt.signature.clone(),
    };
    let untouched = export.is_none_or(|export| signed.digest.as_deref() == Some(&digest_of(export)));
    signed == *receipt && untouched
}

fn unsigned(app: &App, session: &SessionId, messages: u64) -> Result<Receipt> {
    Ok(Receipt {
        id: ReceiptId::generate(app.clock.as_ref(), app.entropy.as_ref())?,
        session: session.as_str().to_owned(),
        erased_at: None,
        exported_at: None,
        messages,
        digest: None,
        signature: String::new(),
    })
}

fn sign(app: &App, receipt: Receipt) -> Result<Receipt> {
    let ring = &app.tokens.receipts;
    let signature = ring.sign(&Claims {
        iss: ISSUER.to_owned(),
        aud: ring.audience(),
        jti: receipt.id,
        sub: receipt.session.clone(),
        erased: receipt.erased_at,
        exported: receipt.exported_at,
        messages: receipt.messages,
        digest: receipt.digest.clone(),
    })?;
    Ok(Receipt { signature, ..receipt })
}

fn digest_of(messages: &Value) -> String {
    let mut text = String::new();
    write_canonical(messages, &mut text);
    chatward_vault::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Members sorted, no spaces: one text for one value, whatever tool has written the file meanwhile.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            for (at, name) in names.into_iter().enumerate() {
                out.push(if at == 0 { '{' } else { ',' });
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write_canonical(&members[name.as_str()], out);
            }
            out.push_str(if members.is_empty() { "{}" } else { "}" });
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                out.push(if at == 0 { '[' } else { ',' });
                write_canonical(item, out);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// Reads a receipt out of a file's text: the answer to an erasure, an export, or the receipt alone. With it comes the rest
/// of an export.
///
/// # Errors
/// [`chatward_types::Kind::Invalid`] when there is none in it, or a member stands twice: of two, a person reads one and a
/// program the other.
pub fn read(text: &str) -> Result<(Receipt, Option<Value>)> {
    let none =
        || Error::invalid("There is no receipt in it. Give the whole answer of an erasure, or an exported file.");
    let _: Value = serde_json::from_str(text).map_err(|_| none())?;
    let Some(mut value) = strict_json::read::<Value>(text.as_bytes()) else {
        return Err(Error::invalid("A member stands twice in it; this is not as we wrote it."));
    };
    let (receipt, rest) = match value.as_object_mut().and_then(|members| members.remove("receipt")) {
        Some(receipt) => (receipt, value.as_object().is_some_and(|rest| !rest.is_empty()).then_some(value)),
        None => (value, None),
    };
    let receipt: Receipt = serde_json::from_value(receipt).map_err(|_| none())?;
    Ok((receipt, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_canonical_form_knows_neither_order_nor_spaces() {
        let canonical = |text: &str| {
            let mut out = String::new();
            write_canonical(&serde_json::from_str(text).expect("JSON"), &mut out);
            out
        };
        assert_eq!(
            canonical(r#"[ { "b" : 1, "a\"": [ ], "c": {} , "d": "ü\n" } ]"#),
            r#"[{"a\"":[],"b":1,"c":{},"d":"ü\n"}]"#
        );
        assert_eq!(canonical("[]"), "[]");
        assert_ne!(digest_of(&json!([1])), digest_of(&json!([1, 2])));
    }
}
