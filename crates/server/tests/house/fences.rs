//! What only one place may do: read the environment, open outbound sockets, write SQL, answer with an error.
//!
//! Owns: the words by which each is recognised in a source.
//! Never does: look at test code, which may do all of it.

use crate::code::{Code, line_at, words};
use crate::demand_none;
use crate::layering::{judge_all, judge_sample};
use crate::paths::{module_of, named_paths, under};
use crate::tree::File;

/// Ways to open a socket or resolve a name.
const OUTBOUND: &[&str] = &[
    "hyper_util::client",
    "hyper::client",
    "hyper_rustls",
    "reqwest",
    "tokio::net::lookup_host",
    "tokio::net::TcpSocket",
    "tokio::net::UdpSocket",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
];

const ENVIRONMENT: &[&str] = &["var", "var_os", "vars", "vars_os", "set_var", "remove_var"];

fn judge_environment(file: &File, code: &Code) -> Vec<String> {
    if file.path.starts_with("crates/server/src/config") {
        return Vec::new();
    }
    named_paths(&code.plain, &module_of(&file.path))
        .into_iter()
        .filter(|(_, path)| {
            path.rsplit_once("::")
                .is_some_and(|(start, last)| (start == "env" || start == "std::env") && ENVIRONMENT.contains(&last))
        })
        .map(|(line, path)| format!("{}:{line}: {path}", file.path))
        .collect()
}

#[test]
fn only_the_configuration_reads_the_environment() {
    demand_none(&judge_all(judge_environment), "Read it in server/src/config and pass the value.");
    let path = "crates/store/src/pool.rs";
    assert_eq!(judge_sample(judge_environment, path, "fn f() { std::env::var(\"X\"); }"), 1);
    assert_eq!(judge_sample(judge_environment, path, "use std::env::{self, var_os};"), 1);
    assert_eq!(judge_sample(judge_environment, path, "const V: &str = env!(\"CARGO_PKG_VERSION\");"), 0);
    assert_eq!(judge_sample(judge_environment, "crates/server/src/config/load.rs", "use std::env::var;"), 0);
}

fn judge_outbound(file: &File, code: &Code) -> Vec<String> {
    if file.krate() == Some("egress") {
        return Vec::new();
    }
    named_paths(&code.plain, &module_of(&file.path))
        .into_iter()
        .filter(|(_, path)| {
            OUTBOUND.iter().any(|start| under(path, start))
                || ["TcpStream::connect", "TcpStream::connect_timeout", "UnixStream::connect"]
                    .iter()
                    .any(|end| path.ends_with(end))
        })
        .map(|(line, path)| format!("{}:{line}: {path}", file.path))
        .collect()
}

#[test]
fn only_egress_opens_outbound_sockets() {
    demand_none(&judge_all(judge_outbound), "Call chatward_egress; its guard is what keeps strangers' URLs out.");
    let path = "crates/knowledge/src/crawl.rs";
    assert_eq!(judge_sample(judge_outbound, path, "use hyper_util::client::legacy::Client;"), 1);
    assert_eq!(judge_sample(judge_outbound, path, "async fn f() { TcpStream::connect(a).await; }"), 1);
    assert_eq!(judge_sample(judge_outbound, path, "async fn f() { tokio::net::lookup_host(a).await; }"), 1);
    assert_eq!(judge_sample(judge_outbound, path, "use tokio::net::TcpListener;"), 0);
}

/// Starts of SQL statements, in the capitals that the store writes them in.
const SQL: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "ALTER TABLE ",
    "DROP TABLE ",
    "PRAGMA ",
    "BEGIN IMMEDIATE",
];

fn judge_sql(file: &File, code: &Code) -> Vec<String> {
    if file.krate() == Some("store") {
        return Vec::new();
    }
    code.strings
        .iter()
        .filter(|(_, text)| {
            let text = text.trim_start();
            SQL.iter().any(|start| text.starts_with(start)) || (text.starts_with("UPDATE ") && text.contains(" SET "))
        })
        .map(|(line, text)| format!("{}:{line}: {}", file.path, text.lines().next().unwrap_or_default()))
        .collect()
}

#[test]
fn only_the_store_writes_sql() {
    demand_none(&judge_all(judge_sql), "Add a function to the store crate, with a test on both engines.");
    let path = "crates/server/src/ops/chat.rs";
    assert_eq!(judge_sample(judge_sql, path, "const Q: &str = \"SELECT id FROM sites\";"), 1);
    assert_eq!(judge_sample(judge_sql, path, "const Q: &str = r#\"\n  UPDATE sites SET a = $1\"#;"), 1);
    assert_eq!(judge_sample(judge_sql, path, "const Q: &str = \"Select a site\"; // SELECT 1"), 0);
}

/// Ways to hand the driver a text that was made at run time; without one of them it takes constants alone.
const MADE_SQL: &[&str] = &["AssertSqlSafe", "QueryBuilder", "SqlStr", "leak"];

fn judge_made_sql(file: &File, code: &Code) -> Vec<String> {
    // testkit is linked by tests alone; its databases have names made by itself.
    if file.krate() == Some("testkit") {
        return Vec::new();
    }
    let in_store = file.krate() == Some("store");
    let mut findings = Vec::new();
    for word in MADE_SQL.iter().filter(|word| in_store || **word != "leak") {
        for at in words(&code.plain, word) {
            findings.push(format!("{}:{}: {word}", file.path, line_at(&code.plain, at)));
        }
    }
    findings
}

#[test]
fn sql_is_constant_text_and_values_are_bound() {
    demand_none(&judge_all(judge_made_sql), "Write the statement as a constant with $N, and bind what varies.");
    let path = "crates/store/src/sites.rs";
    assert_eq!(judge_sample(judge_made_sql, path, "fn f() { sqlx::query(sqlx::AssertSqlSafe(format!(\"\"))); }"), 1);
    assert_eq!(judge_sample(judge_made_sql, path, "use sqlx::{QueryBuilder, Row};"), 1);
    assert_eq!(judge_sample(judge_made_sql, path, "fn f(text: String) { sqlx::query(text.leak()); }"), 1);
    assert_eq!(judge_sample(judge_made_sql, path, "const Q: &str = \"SELECT 1\"; // AssertSqlSafe"), 0);
    assert_eq!(judge_sample(judge_made_sql, "crates/testkit/src/db.rs", "use sqlx::AssertSqlSafe;"), 0);
}

/// The client and server error codes of the `http` crate, by name.
const ERROR_STATUSES: &[&str] = &[
    "BAD_REQUEST",
    "UNAUTHORIZED",
    "FORBIDDEN",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "NOT_ACCEPTABLE",
    "REQUEST_TIMEOUT",
    "CONFLICT",
    "GONE",
    "PAYLOAD_TOO_LARGE",
    "URI_TOO_LONG",
    "UNSUPPORTED_MEDIA_TYPE",
    "MISDIRECTED_REQUEST",
    "UNPROCESSABLE_ENTITY",
    "TOO_MANY_REQUESTS",
    "REQUEST_HEADER_FIELDS_TOO_LARGE",
    "INTERNAL_SERVER_ERROR",
    "NOT_IMPLEMENTED",
    "BAD_GATEWAY",
    "SERVICE_UNAVAILABLE",
    "GATEWAY_TIMEOUT",
];

/// What the router refuses by itself, as bare statuses to which error.rs gives the one shape.
const ROUTER_REFUSALS: &[&str] = &["NOT_FOUND", "METHOD_NOT_ALLOWED"];

fn judge_error_responses(file: &File, code: &Code) -> Vec<String> {
    // The demo's sample shop is a website of its own, not the API.
    let exempt = ["crates/server/src/error.rs", "crates/server/src/error/", "crates/server/src/cli/sample"];
    if file.krate() != Some("server") || exempt.iter().any(|start| file.path.starts_with(start)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for at in words(&code.plain, "IntoResponse") {
        let rest = code.plain[at + "IntoResponse".len()..].trim_start();
        let name = rest.strip_prefix("for ").map(|after| after.trim_start().split([' ', '{', '<']).next());
        if let Some(Some(name)) = name
            && ["Error", "Refusal", "Rejection", "Failure"].iter().any(|word| name.ends_with(word))
        {
            findings.push(format!("{}:{}: {name} answers for itself", file.path, line_at(&code.plain, at)));
        }
    }
    for (line, path) in named_paths(&code.plain, &module_of(&file.path)) {
        if let Some((start, status)) = path.rsplit_once("::")
            && start.ends_with("StatusCode")
            && ERROR_STATUSES.contains(&status)
            && !(file.path == "crates/server/src/routes.rs" && ROUTER_REFUSALS.contains(&status))
        {
            findings.push(format!("{}:{line}: {path}", file.path));
        }
    }
    findings
}

#[test]
fn only_the_error_module_turns_an_error_into_a_response() {
    demand_none(
        &judge_all(judge_error_responses),
        "Return chatward_types::Error; crates/server/src/error.rs alone chooses status and shape.",
    );
    let path = "crates/server/src/api/sites.rs";
    assert_eq!(judge_sample(judge_error_responses, path, "impl IntoResponse for SiteError { }"), 1);
    assert_eq!(judge_sample(judge_error_responses, path, "fn f() { (StatusCode::NOT_FOUND, body) }"), 1);
    assert_eq!(
        judge_sample(judge_error_responses, path, "fn f() { StatusCode::CREATED } impl IntoResponse for Page {}"),
        0
    );
    let routes = "crates/server/src/routes.rs";
    assert_eq!(
        judge_sample(judge_error_responses, routes, "fn f() { (StatusCode::NOT_FOUND, StatusCode::FORBIDDEN) }"),
        1
    );
    assert_eq!(
        judge_sample(judge_error_responses, "crates/server/src/error.rs", "impl IntoResponse for ApiError {}"),
        0
    );
}
