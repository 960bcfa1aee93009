//! Every way to forge a visitor's token, tried over HTTP. The forger here even holds the signing key where that makes
//! the case sharper, so that only the one thing that is wrong can be what is refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::{Reply, SHOP, World};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chatward::ops::sites;
use chatward_types::{Clock, OwnerId, SECOND, Scope, Secret};
use chatward_vault::{SystemEntropy, hmac_sha256};
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// The installation's own key for visitor tokens.
struct Key {
    id: String,
    secret: Secret<[u8; 32]>,
}

impl Key {
    async fn of(world: &World) -> Self {
        let row = world.app.store.signing_keys("visitor").await.unwrap().remove(0);
        let bytes = world.app.vault.open(&format!("signing:visitor:{}", row.kid), &row.sealed).unwrap();
        Self { id: row.kid, secret: Secret::new(bytes.try_into().unwrap()) }
    }

    fn header(&self) -> Value {
        json!({ "alg": "HS256", "typ": "visitor+jwt", "kid": self.id })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(hmac_sha256(&self.secret, message.as_bytes()));
        format!("{message}.{signature}")
    }
}

/// The object with one member replaced, or taken out by `null`.
fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    let members = object.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    object
}

async fn get(world: &World, authorization: &str) -> Reply {
    world
        .call(Method::GET, "/api/v1/widget/session")
        .header("origin", SHOP)
        .header("authorization", authorization)
        .send()
        .await
}

#[tokio::test]
async fn no_forged_token_is_accepted() {
    let world = World::builder().set("limits.per_minute", 1000).start().await;
    let elsewhere = World::start().await;
    let scope = Scope::of(world.app.owner);
    let other_site = sites::add(&world.app, &scope, "http://other.test/", None, &[]).await.unwrap();
    let visitor = world.visitor().await;
    let stranger = elsewhere.visitor().await;
    let key = Key::of(&world).await;
    let their_key = Key { id: key.id.clone(), ..Key::of(&elsewhere).await };
    let now = world.clock.now() / SECOND;
    let owner = |id: OwnerId| json!(id.to_string());
    let claims = json!({
        "iss": "chatward", "aud": "chatward:visitor", "sub": visitor.session, "own": owner(world.app.owner),
        "site": world.site.id.to_string(), "org": SHOP, "iat": now, "exp": now + 3600,
    });
    let header = key.header();
    let real = get(&world, &format!("Bearer {}", key.sign(&header, &claims))).await;
    assert_eq!(real.status, StatusCode::OK, "the forger's own form is right: {}", real.text());

    let good = key.sign(&header, &claims);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = message.split_once('.').unwrap();
    let none = json!({ "alg": "none", "typ": "visitor+jwt", "kid": key.id });
    let header_with = |name: &str, value: Value| key.sign(&with(&header, name, value), &claims);
    let claims_with = |name: &str, value: Value| key.sign(&header, &with(&claims, name, value));
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let another = OwnerId::generate(world.clock.as_ref(), &SystemEntropy).unwrap();
    let cases = [
        ("expired", claims_with("exp", json!(now))),
        ("long expired", claims_with("exp", json!(now - 100_000))),
        ("never expiring", claims_with("exp", Value::Null)),
        ("expiring beyond the numbers", claims_with("exp", json!(i64::MAX))),
        ("from the future", claims_with("iat", json!(now + 3600))),
        ("another key", their_key.sign(&header, &claims)),
        ("an unknown key's name", header_with("kid", json!("0000000000000000"))),
        ("no key's name", header_with("kid", Value::Null)),
        ("a key's name that climbs", header_with("kid", json!("../../dev/null"))),
        ("another type", header_with("typ", json!("device+jwt"))),
        ("the common type", header_with("typ", json!("JWT"))),
        ("no type", header_with("typ", Value::Null)),
        ("no algorithm and no signature", format!("{}.{body}.", encode(&none))),
        ("no algorithm, signed", key.sign(&none, &claims)),
        ("no algorithm in capitals", format!("{}.{body}.", encode(&with(&none, "alg", json!("NONE"))))),
        ("another algorithm", header_with("alg", json!("HS512"))),
        ("an algorithm of public keys", header_with("alg", json!("RS256"))),
        ("a key in its header", header_with("jwk", json!({ "kty": "oct", "k": "AAAA" }))),
        ("a key's address", header_with("jku", json!("http://stranger.test/keys"))),
        ("a certificate's address", header_with("x5u", json!("http://stranger.test/certificate"))),
        ("a critical extension", header_with("crit", json!(["exp"]))),
        ("another site", claims_with("site", json!(other_site.id.to_string()))),
        ("another owner", claims_with("own", owner(another))),
        ("another issuer", claims_with("iss", json!("stranger"))),
        ("another audience", claims_with("aud", json!("chatward:device"))),
        ("a list of audiences", claims_with("aud", json!(["chatward:device"]))),
        ("no audience", claims_with("aud", Value::Null)),
        ("another installation's session", claims_with("sub", json!(stranger.session))),
        ("no session", claims_with("sub", Value::Null)),
        ("SQL for a session", claims_with("sub", json!("' OR '1'='1"))),
        ("a claim too many", claims_with("role", json!("admin"))),
        ("oversized", claims_with("org", json!("x".repeat(9000)))),
        ("a claim twice", key.sign_text(&header.to_string(), &claims.to_string().replacen('{', "{\"exp\":1,", 1))),
        ("no signature", format!("{message}.")),
        ("a part too few", message.to_owned()),
        ("a part too many", format!("{good}.{signature}")),
        ("padding", format!("{good}=")),
        ("the claims of another", format!("{head}.{}.{signature}", encode(&with(&claims, "exp", json!(now + 9999))))),
        ("another installation's", stranger.token.clone()),
        ("not a token", "a.b.c".to_owned()),
        ("a session's id", visitor.session.clone()),
        ("the site's key", world.site.publishable_key.clone()),
    ];
    for (name, token) in cases {
        let reply = get(&world, &format!("Bearer {token}")).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{name}: {}", reply.text());
        assert_eq!(reply.code(), "session_invalid", "{name}");
    }
    let twice = world.by(&visitor, Method::GET, "/api/v1/widget/session");
    let twice = twice.another_header("authorization", &format!("Bearer {good}")).send().await;
    assert_eq!(twice.status, StatusCode::UNAUTHORIZED, "two credentials are none");
    let origin = claims_with("org", json!("http://other.test"));
    let reply = get(&world, &format!("Bearer {origin}")).await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "origin_not_allowed"));
}
