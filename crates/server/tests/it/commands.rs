//! The commands for an owner, as the real program: settings, origins, the snippet, keys, identities, receipts.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::process::{Server, add_site, command, run};
use crate::world::request;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

fn good(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(folder: &Path, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&good(folder, &arguments)).unwrap()
}

fn refused(output: &Output, status: i32, named: &str) {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{error}");
    assert!(error.contains(named), "{error}");
}

#[test]
fn every_setting_is_set_shown_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = add_site(folder);
    good(
        folder,
        &[
            "site",
            "set",
            "shop.example",
            "--title",
            "Ask us",
            "--greeting",
            "Hello",
            "--starter",
            "Why?",
            "--starter",
            "How?",
            "--contact",
            "hi@shop.example",
            "--language",
            "pt-BR",
            "--languages",
            "en,de",
            "--tone",
            "formal",
            "--theme",
            "dark",
            "--color",
            "#0f5d58",
            "--position",
            "top-left",
            "--avatar",
            "TS",
            "--corner",
            "8",
            "--consent",
            "true",
            "--quiet-hours",
            "22:00-07:00 Europe/Berlin",
            "--privacy-url",
            "https://shop.example/privacy",
            "--link-origin",
            "https://docs.shop.example",
        ],
    );
    let shown = json_of(folder, &["site", "show", &key]);
    assert_eq!(
        shown["settings"],
        json!({
            "title": "Ask us", "greeting": "Hello", "starters": ["Why?", "How?"], "contact": "hi@shop.example",
            "language": "pt-BR", "languages": ["en", "de"], "tone": "formal", "theme": "dark", "color": "#0f5d58",
            "position": "top-left", "avatar": "TS", "corner": 8, "consent": true,
            "quiet_hours": { "from": "22:00", "to": "07:00", "zone": "Europe/Berlin" },
            "privacy_url": "https://shop.example/privacy", "link_origins": ["https://docs.shop.example"],
        })
    );
    assert!(good(folder, &["site", "show", "shop.example"]).contains("color        #0f5d58"));
    good(folder, &["site", "set", &key, "--clear", "color", "--clear", "starters", "--title", "Ask"]);
    let settings = json_of(folder, &["site", "show", &key])["settings"].clone();
    assert_eq!((settings.get("color"), settings.get("starters"), &settings["title"]), (None, None, &json!("Ask")));
    for (arguments, named) in [
        (&["--color", "red"][..], "color takes the form"),
        (&["--quiet-hours", "late"], "--quiet-hours takes"),
        (&["--tone", "rude"], "possible values"),
        (&["--clear", "prompt"], "possible values"),
        (&["--title", "a", "--clear", "title"], "set and cleared"),
        (&["--privacy-url", "http://shop.example"], "privacy_url"),
        (&["--languages", "xx"], "possible values"),
    ] {
        let arguments: Vec<&str> = ["site", "set", &key].into_iter().chain(arguments.iter().copied()).collect();
        refused(&run(folder, &arguments), 2, named);
    }
}

#[test]
fn the_snippet_is_printed_for_each_platform_with_the_three_directives() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = add_site(folder);
    for (platform, place) in [
        ("html", "</body>"),
        ("wordpress", "footer.php"),
        ("shopify", "theme.liquid"),
        ("squarespace", "Code Injection"),
        ("webflow", "Custom code"),
        ("gtm", "Custom HTML"),
    ] {
        let text = good(folder, &["site", "embed", "shop.example", "--platform", platform]);
        for needed in
            [place, key.as_str(), "/widget.js", "script-src http", "frame-src http", "connect-src http", "/preview/"]
        {
            assert!(text.contains(needed), "{platform} lacks {needed}: {text}");
        }
    }
    let pinned = json_of(folder, &["site", "embed", &key, "--pinned"]);
    assert!(pinned["snippet"].as_str().unwrap().contains("integrity=\"sha256-"), "{pinned}");
    assert_eq!(pinned["csp"].as_array().unwrap().len(), 3);
    refused(&run(folder, &["site", "check", "http://127.0.0.1:9/"]), 2, "cannot be fetched");
}

#[test]
fn the_privacy_notice_is_printed_in_three_forms() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = add_site(folder);
    let text = good(folder, &["site", "privacy", "shop.example"]);
    assert!(text.starts_with("Privacy notice") && text.contains("24 hours") && text.contains("  - "), "{text}");
    let markdown = good(folder, &["site", "privacy", &key, "--format", "markdown", "--language", "fr"]);
    assert!(markdown.starts_with("# Informations") && markdown.contains("24 heures"), "{markdown}");
    let html = json_of(folder, &["site", "privacy", &key, "--format", "html"]);
    assert!(html["notice"].as_str().unwrap().starts_with("<main lang=\"en\""), "{html}");
    assert!(html["page"].as_str().unwrap().ends_with(&format!("/privacy/{key}")), "{html}");
    refused(&run(folder, &["site", "privacy", &key, "--format", "pdf"]), 2, "possible values");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_origins_identities_and_receipts_work_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = add_site(folder);
    let server = Server::start(folder, &[]);
    let made = json_of(folder, &["key", "create", "--scope", "manage", "--name", "deployment", "--expires-days", "30"]);
    let (secret, id) = (made["key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned());
    let list_sites = || {
        request(server.address, Method::GET, "/api/v1/sites")
            .header("authorization", &format!("Bearer {secret}"))
            .send()
    };
    assert_eq!(list_sites().await.status, StatusCode::OK);
    let listed = good(folder, &["key", "list"]);
    assert!(listed.contains(&id) && listed.contains("holds") && !listed.contains(&secret[40..]), "{listed}");
    good(folder, &["key", "revoke", &id]);
    // The server reads of it in the table of changes, which takes a quarter of a second.
    let began = std::time::Instant::now();
    while list_sites().await.status != StatusCode::UNAUTHORIZED {
        assert!(began.elapsed() < std::time::Duration::from_secs(4), "a revoked key ends");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    refused(&run(folder, &["key", "revoke", &id]), 1, "no such key");
    refused(&run(folder, &["key", "create", "--scope", "everything"]), 2, "expected chat, gateway");

    let asked =
        request(server.address, Method::POST, "/api/v1/widget/tickets").header("origin", "https://other.example");
    assert_eq!(asked.json(&json!({ "site": key })).send().await.status, StatusCode::FORBIDDEN);
    let line = format!("chatward site set {key} --add-origin 'https://other.example'");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !good(folder, &["site", "origins", &key]).contains(&line) {
        assert!(std::time::Instant::now() < deadline, "the refused origin is listed within seconds");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    good(folder, &["site", "set", &key, "--add-origin", "https://other.example"]);
    assert_eq!(json_of(folder, &["site", "origins", &key])["refused"], json!([]));

    assert_eq!(json_of(folder, &["site", "identity", &key])["identity_secret"], json!(false));
    let first = json_of(folder, &["site", "identity", &key, "--rotate"])["identity_secret"].clone();
    assert_eq!(first.as_str().unwrap().len(), 44);
    assert_ne!(json_of(folder, &["site", "identity", &key, "--rotate"])["identity_secret"], first);

    let token = server.visitor(&key).await;
    let origin = format!("http://{}", server.address);
    let erased = request(server.address, Method::DELETE, "/api/v1/widget/session").header("origin", &origin);
    let erased = erased.header("authorization", &format!("Bearer {token}")).send().await;
    assert_eq!(erased.status, StatusCode::OK, "{}", erased.text());
    let file = folder.join("receipt.json");
    std::fs::write(&file, &erased.body).unwrap();
    assert!(
        good(folder, &["receipt", "verify", file.to_str().unwrap()]).starts_with("Genuine: 0 messages were erased")
    );
    let forged = erased.text().replace("\"messages\":0", "\"messages\":9");
    let mut child = command(folder);
    let child = child.args(["receipt", "verify", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(forged.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("Not genuine"));
    std::fs::write(&file, "{}").unwrap();
    refused(&run(folder, &["receipt", "verify", file.to_str().unwrap()]), 2, "no receipt");
}
