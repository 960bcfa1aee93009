//! The pages and files of the widget: the preview, the frame of a preview, the pinned loader, compression.

use crate::world::World;
use chatward::ops::sites;
use chatward_types::Scope;
use http::{Method, StatusCode};
use std::io::Read as _;

#[tokio::test]
async fn the_preview_carries_the_sites_key_and_frames_our_own_pages_alone() {
    let world = World::start().await;
    let key = &world.site.publishable_key;
    let reply = world.get(&format!("/preview/{key}")).await;
    assert_eq!(reply.status, StatusCode::OK);
    let text = reply.text();
    assert!(text.contains(&format!("data-site-id=\"{key}\"")) && !text.contains("__SITE_KEY__"), "{text}");
    let policy = reply.header("content-security-policy");
    for directive in ["script-src 'self'", "frame-src 'self'", "frame-ancestors 'none'", "default-src 'none'"] {
        assert!(policy.split("; ").any(|part| part == directive), "{directive}: {policy}");
    }
    assert_eq!(reply.header("x-frame-options"), "DENY");
    for bad in ["cw_pk_dev_x", "x\"><script>", "%22%3E%3Cscript%3E"] {
        let reply = world.call(Method::GET, &format!("/preview/{}", bad.replace(['"', '<', '>'], "_"))).send().await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{bad}");
    }
}

#[tokio::test]
async fn the_frame_of_a_preview_is_embedded_by_us_alone() {
    let world = World::start().await;
    let embed = format!("/embed/{}", world.site.publishable_key);
    let ancestors = async |path: &str| {
        let reply = world.get(path).await;
        assert_eq!(reply.header("cross-origin-embedder-policy"), "require-corp");
        assert_eq!(reply.header("cross-origin-resource-policy"), "cross-origin");
        let policy = reply.header("content-security-policy").to_owned();
        policy.split("frame-ancestors ").nth(1).unwrap().to_owned()
    };
    assert_eq!(ancestors(&embed).await, "http://shop.test http://www.shop.test");
    for query in ["?preview", "?preview=1", "?x=1&preview"] {
        assert_eq!(ancestors(&format!("{embed}{query}")).await, "'self'");
    }
    for query in ["?previews", "?x=preview", "?"] {
        assert_eq!(ancestors(&format!("{embed}{query}")).await, "http://shop.test http://www.shop.test", "{query}");
    }
    let scope = Scope::of(world.app.owner);
    let mut row = world.app.store.get_site(&scope, world.site.id).await.unwrap().unwrap();
    row.origins = Vec::new();
    sites::update(&world.app, &scope, &row).await.unwrap();
    assert_eq!(ancestors(&embed).await, "'none'");
}

#[tokio::test]
async fn the_loader_has_an_address_that_never_changes() {
    let world = World::start().await;
    let newest = world.get("/widget.js").await;
    assert_eq!((newest.header("cache-control"), newest.header("access-control-allow-origin")), ("no-cache", "*"));
    let digest: String =
        chatward_vault::digest(&newest.body).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let pinned = world.get(&format!("/widget/{digest}/widget.js")).await;
    assert_eq!((pinned.status, &pinned.body), (StatusCode::OK, &newest.body));
    assert_eq!(pinned.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(
        (pinned.header("access-control-allow-origin"), pinned.header("cross-origin-resource-policy")),
        ("*", "cross-origin")
    );
    for other in
        ["0000000000000000", "", "x", &digest[..15], &digest.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A")]
    {
        let reply = world.get(&format!("/widget/{other}/widget.js")).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{other}");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    assert_eq!(chatward::ui::loader_pin().0, digest);
}

#[tokio::test]
async fn files_are_sent_compressed_to_whom_takes_it() {
    let world = World::start().await;
    for path in ["/widget.js", "/assets/embed/app.js", "/docs"] {
        let plain = world.get(path).await;
        assert_eq!(plain.header("content-encoding"), "");
        let ask = |accepts: &str| world.call(Method::GET, path).header("accept-encoding", accepts).send();
        let packed = ask("br, gzip;q=0.5").await;
        assert_eq!(
            (packed.header("content-encoding"), packed.header("content-type")),
            ("gzip", plain.header("content-type"))
        );
        assert!(packed.body.len() < plain.body.len());
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut text).unwrap();
        assert_eq!(text, plain.body, "{path}");
        for vary in [&plain, &packed] {
            let fields: Vec<_> = vary.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
            assert_eq!(fields, ["Accept-Encoding", "Origin"], "{path}");
        }
        assert_ne!(packed.header("etag"), plain.header("etag"), "two representations have two names");
        let known = world.call(Method::GET, path).header("accept-encoding", "gzip");
        assert_eq!(known.header("if-none-match", packed.header("etag")).send().await.status, StatusCode::NOT_MODIFIED);
        for refusing in ["identity", "gzip;q=0", "br", "xgzip"] {
            assert_eq!(ask(refusing).await.header("content-encoding"), "", "{refusing}");
        }
    }
}
