//! A visitor's judgement on an answer; the reason is sealed like a message.

use crate::app::App;
use crate::ops::data_keys::OwnerKeys;
use crate::ops::sessions::Live;
use crate::ops::{data_keys, sanitize};
use chatward_store::FeedbackRow;
use chatward_types::{Error, FeedbackId, MessageId, Result, Scope};

/// The most characters of a reason.
const MOST_REASON: usize = 500;

/// Stores a judgement on a message of the session's conversation; false when it has no such answer.
///
/// # Errors
/// [`chatward_types::Kind::Invalid`] when the reason is too long; else when the store or the vault fails.
pub async fn give(app: &App, live: &Live, message: MessageId, up: bool, reason: Option<&str>) -> Result<bool> {
    if reason.is_some_and(|text| text.chars().count() > MOST_REASON) {
        return Err(Error::invalid("Field `reason` is too long: 500 characters are the most."));
    }
    let scope = Scope::of(live.row.owner);
    let id = FeedbackId::generate(app.clock.as_ref(), app.entropy.as_ref())?;
    let cleaned = reason.map(|text| sanitize::clean_message(text).trim().to_owned()).filter(|text| !text.is_empty());
    let reason_sealed = match cleaned {
        // Sealed for the message, because a second judgement replaces the row of the first.
        Some(text) => {
            let keys = data_keys::of(app, &scope).await?;
            Some(keys.seal(&label(message), text.as_bytes())?)
        }
        None => None,
    };
    let row = FeedbackRow {
        id,
        message,
        conversation: live.row.conversation,
        rating: if up { 1 } else { -1 },
        reason_sealed,
        at: app.clock.now(),
    };
    app.store.upsert_feedback(&scope, &row).await
}

/// The reason of a stored judgement, opened.
///
/// # Errors
/// When the row was changed or its key is gone.
pub fn open_reason(keys: &OwnerKeys, row: &FeedbackRow) -> Result<Option<String>> {
    let Some(sealed) = &row.reason_sealed else { return Ok(None) };
    let bytes = keys.open(&label(row.message), sealed)?;
    String::from_utf8(bytes).map(Some).map_err(Error::internal)
}

fn label(message: MessageId) -> String {
    format!("feedback:{message}")
}
