//! What an owner's program does with a secret key: reads and changes sites, sees who asked in vain, and lets them in.

use crate::world::{Builder, Reply, SHOP, STRANGER, World};
use chatward::jobs::run_housekeeping;
use chatward::ops::{issued_keys, refusals, sites};
use chatward_types::{KeyScope, SECOND, Scope};
use http::{Method, StatusCode};
use serde_json::{Value, json};

fn roomy() -> Builder {
    World::builder().set("limits.per_minute", 5000).set("limits.per_hour", 50_000).set("limits.api_requests", 1000)
}

async fn send(world: &World, key: &str, method: Method, path: &str, body: &Value) -> Reply {
    let call = world.call(method, path).header("authorization", &format!("Bearer {key}"));
    if body.is_null() { call.send().await } else { call.json(body).send().await }
}

#[tokio::test]
async fn a_change_is_partial_and_reaches_visitors_at_once() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let key = world.key().await;
        let path = format!("/api/v1/sites/{}", world.site.id);
        let change = async |body: Value| {
            let reply = send(&world, &key, Method::PATCH, &path, &body).await;
            assert_eq!(reply.status, StatusCode::OK, "{body}: {}", reply.text());
            reply.json()
        };
        let listed = send(&world, &key, Method::GET, "/api/v1/sites", &Value::Null).await.json();
        assert_eq!(listed["sites"][0]["site"], world.site.publishable_key);
        change(
            json!({ "settings": { "title": "Ask us", "color": "#0F5D58", "starters": ["Why?"], "tone": "friendly" } }),
        )
        .await;
        let site = change(json!({ "name": "Tea", "settings": { "title": null, "corner": 8 } })).await;
        assert_eq!(
            site["settings"],
            json!({ "color": "#0F5D58", "corner": 8, "starters": ["Why?"], "tone": "friendly" })
        );
        let read = send(&world, &key, Method::GET, &path, &Value::Null).await.json();
        assert_eq!(
            (&read["settings"], &read["name"], &read["origins"]),
            (&site["settings"], &json!("Tea"), &site["origins"])
        );
        let look = world.begin(SHOP).await.json()["look"].clone();
        assert_eq!((&look["name"], &look["color"], &look["corner"]), (&json!("Tea"), &json!("#0f5d58"), &json!(8)));
        for absent in ["title", "greeting", "theme", "tone", "consent"] {
            assert!(look.get(absent).is_none(), "{absent} in {look}");
        }
        let site = change(json!({ "origins": ["http://new.test"] })).await;
        assert_eq!(site["origins"], json!(["http://new.test"]));
        assert_eq!(world.begin(SHOP).await.status, StatusCode::FORBIDDEN);
        assert_eq!(change(json!({ "origins": null })).await["origins"], json!([]));
        let told = world.app.events.tail();
        let by_key =
            told.iter().filter(|event| event.detail.as_deref().is_some_and(|text| text.starts_with("with key ")));
        assert_eq!(by_key.count(), 4, "each change is told with the key that made it");
    }
}

#[tokio::test]
async fn a_change_out_of_bounds_is_told_and_changes_nothing() {
    let world = roomy().start().await;
    let key = world.key().await;
    let path = format!("/api/v1/sites/{}", world.site.id);
    let before = send(&world, &key, Method::GET, &path, &Value::Null).await.json();
    for (body, named) in [
        (json!({ "settings": { "color": "red" } }), "color"),
        (json!({ "settings": { "theme": "pink" } }), "settings.theme"),
        (json!({ "settings": { "corner": 300 } }), "settings.corner"),
        (json!({ "settings": { "corner": 25 } }), "corner"),
        (json!({ "settings": { "prompt": "obey" } }), "too many"),
        (json!({ "settings": { "quiet_hours": { "from": "1", "to": "2", "zone": "UTC" } } }), "quiet_hours"),
        (json!({ "settings": { "privacy_url": "javascript:alert(1)" } }), "privacy_url"),
        (json!({ "owner": "x" }), "too many"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x".repeat(121) }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "origins": ["*"] }), "origin"),
        (json!({ "origins": ["http://shop.test/path"] }), "origin"),
        (json!({ "settings": { "title": "one", "tone": "rude" } }), "settings.tone"),
    ] {
        let reply = send(&world, &key, Method::PATCH, &path, &body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", reply.text());
        let text = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(text.contains(named), "{body}: {text}");
    }
    let twice = world.call(Method::PATCH, &path).header("authorization", &format!("Bearer {key}"));
    let twice = twice.raw_json(r#"{"name":"a","name":"b"}"#).send().await;
    assert!(twice.text().contains("stands twice"), "{}", twice.text());
    let after = send(&world, &key, Method::GET, &path, &Value::Null).await.json();
    assert_eq!(before, after);
    let strange = send(&world, &key, Method::GET, "/api/v1/sites/nonsense", &Value::Null).await;
    assert_eq!((strange.status, strange.code().as_str()), (StatusCode::BAD_REQUEST, "malformed_address"));
}

#[tokio::test]
async fn a_key_is_stored_as_a_hash_and_ends_when_it_is_revoked() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let scope = Scope::of(world.app.owner);
        let made = issued_keys::create(&world.app, &scope, KeyScope::Manage, "deploy", None).await.unwrap();
        let key = made.text.expose();
        let secret = key.rsplit('_').next().unwrap();
        let stored = world.database.everything().await;
        for plain in [key.as_str(), secret, &secret[..44]] {
            assert!(
                !stored.windows(plain.len()).any(|window| window == plain.as_bytes()),
                "the key is in the database"
            );
        }
        let listed = async || send(&world, key, Method::GET, "/api/v1/sites", &Value::Null).await;
        assert_eq!(listed().await.status, StatusCode::OK);
        assert_eq!(issued_keys::revoke(&world.app, &scope, key).await.unwrap(), made.row.id);
        let refused = listed().await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNAUTHORIZED, "key_invalid"));
        assert!(!refused.text().contains(secret));
        assert_eq!(world.events().iter().filter(|name| **name == "ISSUED_KEY_CHANGED").count(), 2);
    }
}

#[tokio::test]
async fn a_key_of_one_environment_is_none_of_another_even_on_its_own_database() {
    let world = roomy().start().await;
    let key = world.key().await;
    let listed = async |world: &World, key: &str| send(world, key, Method::GET, "/api/v1/sites", &Value::Null).await;
    assert_eq!(listed(&world, &key).await.status, StatusCode::OK);
    // A copy of the development installation becomes the rehearsal: everything is there, its keys too.
    let (database, folder) = world.stop().await;
    let world = roomy().again(database, folder).set("environment", "staging").start().await;
    let refused = listed(&world, &key).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNAUTHORIZED, "key_invalid"));
    let own = world.key().await;
    assert!(key.starts_with("cw_sk_dev_") && own.starts_with("cw_sk_test_"));
    assert_eq!(listed(&world, &own).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_secret_key_from_a_browser_is_refused_everywhere_and_told() {
    let world = roomy().start().await;
    let key = world.key().await;
    let id = key.split('_').nth(3).unwrap();
    for (method, path) in [(Method::GET, "/api/v1/sites"), (Method::GET, "/api/v1/widget/session")] {
        for (name, value) in
            [("origin", SHOP), ("origin", "null"), ("sec-fetch-site", "none"), ("sec-fetch-dest", "empty")]
        {
            let call = world.call(method.clone(), path).header("authorization", &format!("Bearer {key}"));
            let reply = call.header(name, value).send().await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (StatusCode::FORBIDDEN, "secret_key_exposed"),
                "{path} {name}"
            );
        }
    }
    let tail = world.app.events.tail();
    let told: Vec<_> = tail.iter().filter(|event| event.name.as_str() == "SECRET_KEY_EXPOSED").collect();
    assert_eq!(told.len(), 8);
    assert!(told.iter().all(|event| event.detail.as_deref().is_some_and(|text| text.contains(id))));
    let secret = key.rsplit('_').next().unwrap();
    assert!(told.iter().all(|event| !event.detail.as_deref().unwrap_or_default().contains(secret)));
}

#[tokio::test]
async fn a_refused_origin_is_listed_with_its_number_and_let_in_by_one_call() {
    for engine in World::ENGINES {
        let world = roomy().engine(engine).start().await;
        let key = world.key().await;
        sites::add(&world.app, &Scope::of(world.app.owner), "http://cafe.test", None, &[]).await.unwrap();
        let path = format!("/api/v1/sites/{}", world.site.id);
        let list =
            async || send(&world, &key, Method::GET, &format!("{path}/refused-origins"), &Value::Null).await.json();
        for _ in 0..3 {
            assert_eq!(world.ticket_from(STRANGER).await.status, StatusCode::FORBIDDEN);
        }
        world.clock.advance(5 * SECOND);
        assert_eq!(world.ticket_from(STRANGER).await.status, StatusCode::FORBIDDEN);
        // Another site's page, also at the old door.
        assert_eq!(world.begin("http://cafe.test").await.status, StatusCode::FORBIDDEN);
        // What could not be allowed either is not listed.
        for origin in ["null", "http://shop.test/", "*"] {
            world.ticket_from(origin).await;
        }
        assert_eq!(list().await, json!({ "refused": [] }), "a refusal is no write");
        refusals::flush(&world.app).await.unwrap();
        let refused = list().await["refused"].clone();
        assert_eq!(refused.as_array().unwrap().len(), 2, "{refused}");
        let stranger = refused.as_array().unwrap().iter().find(|refused| refused["origin"] == STRANGER).unwrap();
        assert_eq!(stranger["count"], 4);
        assert_eq!(stranger["last_at"].as_i64().unwrap() - stranger["first_at"].as_i64().unwrap(), 5);
        let allowed =
            send(&world, &key, Method::POST, &format!("{path}/origins"), &json!({ "origin": STRANGER })).await;
        assert_eq!(allowed.status, StatusCode::OK, "{}", allowed.text());
        assert!(allowed.json()["origins"].as_array().unwrap().contains(&json!(STRANGER)));
        assert_eq!(world.ticket_from(STRANGER).await.status, StatusCode::CREATED);
        assert_eq!(list().await["refused"].as_array().unwrap().len(), 1, "it needs no more attention");
        let bad = send(&world, &key, Method::POST, &format!("{path}/origins"), &json!({ "origin": "*" })).await;
        assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn a_flood_of_refused_origins_costs_no_write_and_keeps_fifty() {
    let world = roomy().start().await;
    let key = world.key().await;
    for number in 0..120 {
        world.clock.advance(1);
        assert_eq!(world.ticket_from(&format!("http://o{number}.test")).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(world.app.refusals.waiting(), 50);
    run_housekeeping(&world.app).await.unwrap();
    refusals::flush(&world.app).await.unwrap();
    for number in 120..130 {
        world.clock.advance(1);
        world.ticket_from(&format!("http://o{number}.test")).await;
    }
    refusals::flush(&world.app).await.unwrap();
    let path = format!("/api/v1/sites/{}/refused-origins", world.site.id);
    let refused = send(&world, &key, Method::GET, &path, &Value::Null).await.json()["refused"].clone();
    let origins: Vec<_> =
        refused.as_array().unwrap().iter().map(|refused| refused["origin"].as_str().unwrap()).collect();
    assert_eq!(origins.len(), 50);
    assert_eq!((origins[0], origins[49]), ("http://o129.test", "http://o80.test"), "the least recently seen went");
}
