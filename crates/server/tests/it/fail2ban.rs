//! The supplied fail2ban filter (RATE-09), run over lines that a server has really written.
//!
//! Its expression is read from the file and run here, with fail2ban's `<ADDR>` as a group for the characters of an address
//! and with the date cut out, as fail2ban does it. Where `fail2ban-regex` is installed, it must find the same addresses.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]
#![expect(clippy::disallowed_methods, reason = "a test runs the program that the filter is for")]

use crate::people::PASSWORD;
use crate::security_log::{path_of, text_of};
use crate::world::{SHOP, STRANGER, World};
use chatward_types::Role;
use http::{Method, StatusCode};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/fail2ban")
}

/// The value of a setting of an ini file, on one line.
fn value(file: &str, name: &str) -> String {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
    line.unwrap_or_else(|| panic!("{file} has no {name}")).trim().to_owned()
}

/// What the expression finds: addresses, with how often.
fn found(log: &str) -> BTreeMap<String, usize> {
    let expression = value("filter.d/chatward.conf", "failregex").replace("<ADDR>", "(?P<address>[0-9A-Fa-f:.]+)");
    let machine = PikeVM::new(&expression).unwrap();
    let mut cache = machine.create_cache();
    let mut addresses = BTreeMap::new();
    for line in log.lines() {
        let from = line.find("\"time\":\"").unwrap();
        let to = from + line[from..].find("Z\"").unwrap() + 2;
        let line = format!("{}{}", &line[..from], &line[to..]);
        let mut captures = machine.create_captures();
        machine.captures(&mut cache, &line, &mut captures);
        if let Some(span) = captures.get_group_by_name("address") {
            *addresses.entry(line[span.range()].to_owned()).or_default() += 1;
        }
    }
    addresses
}

#[tokio::test]
async fn the_supplied_filter_finds_who_was_refused_and_nobody_else() {
    let world = World::builder()
        .set("server.trusted_proxies", "127.0.0.1/32")
        .set("server.client_address_header", "x-forwarded-for")
        .set("limits.per_minute", 3)
        .start()
        .await;
    world.user("ann@example.test", Role::Owner).await;
    let send = async |address: &str, path: &str, origin: &str, body: Value| {
        let forged = "x\",\"event\":\"LOGIN_FAILED\",\"outcome\":\"refused\",\"address\":\"198.51.100.66";
        let call = world.call(Method::POST, path).header("x-forwarded-for", address).header("user-agent", forged);
        let call = if origin.is_empty() { call } else { call.header("origin", origin) };
        call.json(&body).send().await.status
    };
    let sessions = "/api/v1/widget/sessions";
    let site = json!({ "site": world.site.publishable_key });
    for _ in 0..5 {
        send("203.0.113.1", sessions, SHOP, site.clone()).await;
    }
    let login = |password: &str| json!({ "email": "ann@example.test", "password": password });
    assert_eq!(send("2001:db8::2", "/api/v1/auth/login", "", login("wrong")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send("203.0.113.3", "/api/v1/sites", "", json!({})).await, StatusCode::UNAUTHORIZED);
    assert_eq!(send("203.0.113.4", "/api/v1/widget/messages", SHOP, json!({})).await, StatusCode::UNAUTHORIZED);
    // Whoever does what is right, and a visitor of a page that is not set up.
    assert_eq!(send("203.0.113.8", sessions, SHOP, site.clone()).await, StatusCode::CREATED);
    assert_eq!(send("203.0.113.8", "/api/v1/auth/login", "", login(PASSWORD)).await, StatusCode::CREATED);
    assert_eq!(send("203.0.113.9", sessions, STRANGER, site).await, StatusCode::FORBIDDEN);

    let log = text_of(&world).await;
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for (address, count) in [("203.0.113.1", 2), ("2001:db8::2", 1), ("203.0.113.3", 1), ("203.0.113.4", 1)] {
        wanted.insert(address.to_owned(), count);
    }
    assert_eq!(found(&log), wanted, "{log}");

    // By itself where it is there.
    let run = Command::new("fail2ban-regex")
        .args(["--out", "ip"])
        .arg(path_of(&world))
        .arg(folder().join("filter.d/chatward.conf"))
        .output();
    if let Ok(output) = run {
        let mut addresses: BTreeMap<String, usize> = BTreeMap::new();
        for address in String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.trim().is_empty()) {
            *addresses.entry(address.trim().to_owned()).or_default() += 1;
        }
        assert_eq!(addresses, wanted, "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn the_supplied_jail_names_the_log_that_is_written_and_a_count_that_a_storm_reaches() {
    assert_eq!(value("jail.d/chatward.conf", "filter"), "chatward");
    assert!(value("jail.d/chatward.conf", "logpath").ends_with("/logs/security.log"));
    let world = World::start().await;
    assert!(path_of(&world).ends_with("logs/security.log"));
    // Ten lines a minute and address are listed, over the ten minutes that count.
    assert_eq!(value("jail.d/chatward.conf", "findtime"), "10m");
    assert!(value("jail.d/chatward.conf", "maxretry").parse::<u32>().unwrap() <= 100);
}
