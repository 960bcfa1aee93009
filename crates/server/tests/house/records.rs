//! Changes that are made with their record of the audit trail, or not at all.
//!
//! Owns: the store's functions that change users, invitations, recoveries and logins' ends, and how a store that records is
//! recognised in a source: it comes from `audited(…)`, or is the parameter that `trail::always` hands over.
//! Never does: judge what a record says; the tests of the trail do.

use crate::code::{Code, line_at};
use crate::demand_none;
use crate::layering::{judge_all, judge_sample};
use crate::tree::File;

/// What changes people and what lets them in, by the store's names.
const RECORDED: &[&str] = &[
    "insert_user",
    "insert_first_user",
    "insert_invited_user",
    "register_owner",
    "change_user",
    "delete_user",
    "reset_user_password",
    "change_user_password",
    "upgrade_user_password",
    "insert_invitation",
    "remove_invitation",
    "insert_recovery",
    "recover_user",
    "end_login",
];

fn judge_records(file: &File, code: &Code) -> Vec<String> {
    if file.krate() != Some("server") || !file.path.contains("/src/") {
        return Vec::new();
    }
    let plain = &code.plain;
    let mut findings = Vec::new();
    for name in RECORDED {
        let call = format!(".{name}(");
        for (at, _) in plain.match_indices(&call) {
            if !records(plain, receiver(&plain[..at])) {
                findings.push(format!("{}:{}: {name} on a store that leaves no record", file.path, line_at(plain, at)));
            }
        }
        // Handed on as a function it could be called on any store.
        findings.extend(
            plain
                .match_indices(&format!("Store::{name}"))
                .map(|(at, _)| format!("{}:{}: {name} without a store", file.path, line_at(plain, at))),
        );
    }
    findings
}

/// The expression in front of a method call: names, dots, question marks and what stands in parentheses.
fn receiver(before: &str) -> &str {
    let bytes = before.as_bytes();
    let (mut start, mut depth) = (bytes.len(), 0_usize);
    while start > 0 {
        let byte = bytes[start - 1];
        match byte {
            b')' => depth += 1,
            b'(' if depth == 0 => break,
            b'(' => depth -= 1,
            _ if depth > 0 => {}
            _ if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.' | b'?') => {}
            // A chain goes on over the end of a line, in front of its dot.
            _ if byte.is_ascii_whitespace() && before[start..].trim_start().starts_with('.') => {}
            _ if byte.is_ascii_whitespace() && before[start..].trim().is_empty() => {}
            _ => break,
        }
        start -= 1;
    }
    before[start..].trim()
}

/// Whether this expression is a store that records.
fn records(plain: &str, receiver: &str) -> bool {
    if receiver.starts_with("audited(") || receiver.contains("::audited(") {
        return true;
    }
    if receiver != "store" {
        return false;
    }
    // A name that is bound in this file in one of the two ways, and in no other.
    let bound = |text: &str| plain.match_indices(text).count();
    let (by_let, by_always) = (bound("let store ="), bound("|store: Store|"));
    let recording = bound("let store = audited(") + bound("let store = users::audited(");
    by_let == recording
        && by_let + by_always > 0
        && (by_always == 0 || plain.contains("trail::always"))
        && bound("store: &Store") == 0
}

#[test]
fn people_are_changed_only_with_a_record() {
    demand_none(
        &judge_all(judge_records),
        "Make the change through `users::audited` or `trail::audited`; what shuts somebody out through `trail::always`.",
    );
    let found = |text: &str| judge_sample(judge_records, "crates/server/src/ops/sample.rs", text);
    assert_eq!(found("async fn f() { app.store.insert_user(scope, &row, &lookup).await }"), 1);
    assert_eq!(found("async fn f() { app.store\n    .delete_user(scope, id, None)\n    .await }"), 1);
    assert_eq!(found("async fn f() { let store = app.store.clone(); store.change_user(scope, id).await }"), 1);
    assert_eq!(found("async fn f(store: &Store) { store.end_login(scope, id, now).await }"), 1);
    assert_eq!(found("fn f() { run(Store::recover_user) }"), 1);
    assert_eq!(
        found(
            "async fn f() { let store = audited(app)?; g(); } async fn g() { let store = app.store; store.insert_recovery(a).await }"
        ),
        1
    );
    assert_eq!(found("async fn f() { app.store.get_user(scope, id).await }"), 0);
    assert_eq!(found("async fn f() { trail::audited(app, record(app, g(x))?).insert_invitation(a, b).await }"), 0);
    assert_eq!(found("async fn f() { let store = audited(app, a)?; if !store.recover_user(a).await? {} }"), 0);
    assert_eq!(
        found("async fn f() { trail::always(app, e, |store: Store| async move { store.end_login(a).await }) }"),
        0
    );
}
