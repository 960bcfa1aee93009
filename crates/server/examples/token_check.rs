//! What the check of one token costs, in microseconds of this process's CPU time:
//!
//! cargo run --release -p chatward-server --example token_check -- [checks, 100000 by default]
//!
//! Rows that say "with the store" read the login, link and user from SQLite as a request does; the others are the check
//! alone. The target of a check is 15 µs, remembered or not. Compare the rows of one run with each other.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers that prints its measurements")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, RSA_PKCS1_SHA256};
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chatward::app::{App, Options};
use chatward::client::Client;
use chatward::config::{Config, Overrides, TokenAlgorithm};
use chatward::ops::issuers::{self, links};
use chatward::ops::signing::{self, Key, Ring};
use chatward::ops::tokens::Visitor;
use chatward::ops::trail::Actor;
use chatward::ops::users::{self, NewUser};
use chatward::ops::{logins, verified};
use chatward_testkit::issuer::{Answer, FakeIssuer};
use chatward_types::{HOUR, Role, SECOND, Scope, Secret, SiteId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

const ISSUER: &str = "https://idp.example/";

fn main() {
    let checks: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(run(checks));
}

async fn run(checks: u32) {
    let (ec, rsa) = (ec_pair(), RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
    let der = rsa.public_key().as_ref();
    let point = ec.public_key().as_ref();
    let keys = json!({ "keys": [
        { "kty": "RSA", "kid": "rsa", "n": encode(&der[9..265]), "e": "AQAB" },
        { "kty": "EC", "crv": "P-256", "kid": "ec", "x": encode(&point[1..33]), "y": encode(&point[33..]) },
    ] });
    let server = FakeIssuer::start(Answer::Keys(keys.to_string())).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let app = start(folder.path(), &server.url()).await;
    let now = app.clock.now();
    let client =
        Client { request_id: "bench".into(), address: IpAddr::V4(Ipv4Addr::LOCALHOST), user_agent: None, path: None };

    let visitor = Visitor {
        owner: app.owner,
        site: SiteId::generate(app.clock.as_ref(), app.entropy.as_ref()).unwrap(),
        session: app.tokens.new_session_id(app.entropy.as_ref()).unwrap(),
        origin: "https://shop.example".into(),
        expires_at: now + HOUR,
    };
    let token = app.tokens.mint_visitor(&visitor, now).unwrap();
    measure("a visitor's token, remembered", checks, || verified::visitor(&app, black_box(&token)).is_some());
    measure("a visitor's token, HS256", checks, || app.tokens.verify_visitor(black_box(&token), now).is_some());
    for (name, algorithm) in [("HS256", TokenAlgorithm::Hs256), ("EdDSA", TokenAlgorithm::EdDsa)] {
        let secret = Secret::new([7; 32]);
        let key = Key::new(signing::USER, "k".to_owned(), algorithm, &secret, None).unwrap();
        let ring = Ring::of(signing::USER, vec![key]).unwrap();
        let claims =
            json!({ "iss": signing::ISSUER, "aud": ring.audience(), "iat": now / SECOND, "exp": now / SECOND + 600 });
        let token = ring.sign(&claims).unwrap();
        measure(&format!("a user's token, {name}"), checks, || ring.verify::<Value>(black_box(&token), now).is_some());
    }

    let scope = Scope::of(app.owner);
    let password = Secret::new("seven lamps under glass".to_owned());
    let (email, name) = ("ann@example.test".to_owned(), "Ann Example".to_owned());
    let user = users::add(&app, &scope, &NewUser { email, name, role: Role::Member, password }).await.unwrap();
    links::link(&app, &scope, &user, "idp", "s", &Actor::Operator).await.unwrap();
    let ours = logins::begin(&app, &scope, &user, &client).await.unwrap().access_token;
    measure("a user's token, remembered", checks, || verified::user(&app, black_box(&ours)).is_some());
    let stored = (checks / 10).max(1);
    measure_async("a user's token with the store", stored, async || {
        logins::recognise(&app, black_box(&ours)).await.unwrap().is_ok()
    })
    .await;
    let seconds = now / SECOND;
    let claims =
        json!({ "iss": ISSUER, "aud": "bench", "sub": "s", "iat": seconds, "exp": seconds + 3600 }).to_string();
    let random = SystemRandom::new();
    for (algorithm, kid) in [("ES256", "ec"), ("RS256", "rsa")] {
        let header = json!({ "alg": algorithm, "typ": "JWT", "kid": kid }).to_string();
        let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let mut signature = vec![0; rsa.public_modulus_len()];
        if kid == "ec" {
            signature = ec.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec();
        } else {
            rsa.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
        }
        let token = format!("{message}.{}", encode(&signature));
        measure_async(&format!("an outside issuer's token with the store, {algorithm}"), stored, async || {
            issuers::recognise(&app, black_box(&token), &client).await.unwrap().is_ok()
        })
        .await;
        let other = format!("{message}.{}", encode(&vec![1; signature.len()]));
        measure_async(&format!("a wrong signature, {algorithm}"), stored, async || {
            issuers::recognise(&app, black_box(&other), &client).await.unwrap().is_err()
        })
        .await;
    }
    app.stop().await;
}

fn ec_pair() -> EcdsaKeyPair {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap()
}

async fn start(folder: &std::path::Path, keys: &str) -> App {
    let file = folder.join("chatward.toml");
    let table = format!(
        "[[issuer]]\nname = \"idp\"\nkind = \"oidc\"\nissuer = \"{ISSUER}\"\naudience = \"bench\"\njwks_url = \"{keys}\"\n"
    );
    std::fs::write(&file, table).unwrap();
    let overrides = Overrides { data_dir: Some(folder.join("data")), ..Overrides::default() };
    let config = Config::load(Some(&file), &BTreeMap::new(), &overrides).unwrap();
    App::start(config, Options { write_events: false, ..Options::default() }).await.unwrap()
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn measure(name: &str, checks: u32, check: impl Fn() -> bool) {
    assert!((0..checks / 10).all(|_| check()), "{name}");
    let before = cpu_microseconds();
    assert!((0..checks).all(|_| check()), "{name}");
    tell(name, checks, before);
}

async fn measure_async(name: &str, checks: u32, check: impl AsyncFn() -> bool) {
    assert!(check().await, "{name}");
    let before = cpu_microseconds();
    for _ in 0..checks {
        assert!(check().await, "{name}");
    }
    tell(name, checks, before);
}

fn tell(name: &str, checks: u32, before: f64) {
    println!("{name:<55} {:>7.2} µs", (cpu_microseconds() - before) / f64::from(checks));
}

/// The CPU time of this process so far, from /proc; its grain is ten milliseconds.
fn cpu_microseconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks * 10_000.0
}
