//! One event as one line of JSON.
//!
//! Owns: the fields and their order, and what is cut. Never does: build JSON by hand, so no value can end a line or
//! forge a field.

use super::storms::Gathered;
use super::time::rfc3339;
use chatward_types::{Event, Timestamp};
use serde::Serialize;
use std::borrow::Cow;
use std::net::IpAddr;

/// Bytes of a stranger's text that are kept.
const USER_AGENT: usize = 256;
const REQUEST_ID: usize = 64;
const DETAIL: usize = 1024;
/// Characters of a session id that are kept: enough to tell sessions apart, too few to use one.
const SESSION: usize = 16;

#[derive(Serialize)]
struct Line<'a> {
    category: &'static str,
    time: String,
    event: &'a str,
    severity: &'a str,
    outcome: &'a str,
    request_id: Option<Cow<'a, str>>,
    address: Option<IpAddr>,
    user_agent: Option<Cow<'a, str>>,
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    site: Option<String>,
    session: Option<&'a str>,
    detail: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

/// Appends an event's line.
pub(super) fn write(out: &mut Vec<u8>, event: &Event) {
    append(
        out,
        &Line {
            category: "SECURITY",
            time: rfc3339(event.at),
            event: event.name.as_str(),
            severity: event.severity.as_str(),
            outcome: event.outcome.as_str(),
            request_id: event.request_id.as_deref().map(|text| clean(text, REQUEST_ID)),
            address: event.address,
            user_agent: event.user_agent.as_deref().map(|text| clean(text, USER_AGENT)),
            path: event.path,
            owner: event.owner.map(|owner| owner.to_string()),
            site: event.site.map(|site| site.to_string()),
            session: event.session.as_ref().map(|session| cut(session.as_str(), SESSION)),
            detail: event.detail.as_deref().map(|text| clean(text, DETAIL)),
            count: None,
        },
    );
}

/// An event as JSON in the form of the log, without the line's end.
pub fn text_of(event: &Event) -> String {
    let mut line = Vec::new();
    write(&mut line, event);
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    String::from_utf8_lossy(text).into_owned()
}

/// Appends one line for many events of the same name and address.
pub(super) fn write_gathered(out: &mut Vec<u8>, gathered: &Gathered, at: Timestamp) {
    let first = &gathered.first;
    append(
        out,
        &Line {
            category: "SECURITY",
            time: rfc3339(at),
            event: first.name.as_str(),
            severity: first.severity.as_str(),
            outcome: first.outcome.as_str(),
            request_id: None,
            address: gathered.address,
            user_agent: first.user_agent.as_deref().map(|text| clean(text, USER_AGENT)),
            path: first.path,
            owner: first.owner.map(|owner| owner.to_string()),
            site: first.site.map(|site| site.to_string()),
            session: None,
            detail: Some(Cow::Borrowed("further events like the ones before, counted instead of listed")),
            count: Some(gathered.count),
        },
    );
}

/// Appends the log's own remark about lines that are missing.
pub(super) fn write_gap(out: &mut Vec<u8>, at: Timestamp, dropped: u64, failures: u64) {
    let detail = format!("{dropped} events were dropped and {failures} writes failed before this line");
    append(
        out,
        &Line {
            category: "SECURITY",
            time: rfc3339(at),
            event: "SECURITY_LOG_GAP",
            severity: "error",
            outcome: "failure",
            request_id: None,
            address: None,
            user_agent: None,
            path: None,
            owner: None,
            site: None,
            session: None,
            detail: Some(Cow::Owned(detail)),
            count: Some(dropped),
        },
    );
}

/// The event of the remark that stands first in a file whose addresses were shortened.
pub(super) const SHORTENED: &str = "ADDRESSES_SHORTENED";

/// Appends that remark.
pub(super) fn write_shortened(out: &mut Vec<u8>, at: Timestamp) {
    append(
        out,
        &Line {
            category: "SECURITY",
            time: rfc3339(at),
            event: SHORTENED,
            severity: "info",
            outcome: "success",
            request_id: None,
            address: None,
            user_agent: None,
            path: None,
            owner: None,
            site: None,
            session: None,
            detail: Some(Cow::Borrowed("the addresses in this file were replaced by their networks")),
            count: None,
        },
    );
}

fn append(out: &mut Vec<u8>, line: &Line<'_>) {
    let start = out.len();
    // Writing plain structs into memory cannot fail; should it ever, half a line must not stay.
    match serde_json::to_writer(&mut *out, line) {
        Ok(()) => out.push(b'\n'),
        Err(_) => out.truncate(start),
    }
}

/// At most `most` bytes, without characters that steer a terminal or a viewer.
fn clean(text: &str, most: usize) -> Cow<'_, str> {
    let text = cut(text, most);
    if text.contains(steers) { Cow::Owned(text.replace(steers, "")) } else { Cow::Borrowed(text) }
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text for a terminal: what would steer it stands there as `\u001b`, which inside of JSON means the same.
pub fn neutral(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// The longest beginning of at most `most` bytes that ends between characters.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
