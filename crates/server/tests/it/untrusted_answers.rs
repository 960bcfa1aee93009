//! What the server does so that an answer can be distrusted (IN-05): the pages that show one load nothing from
//! elsewhere, sources are the passages that were found and never the model's word, and the list of origins to which a
//! link may be live holds the site's and its owner's alone. The browser tests show the page's side.

use crate::world::{QUESTION, SHOP, World, fake_key};
use chatward::ops::sites;
use chatward_testkit::provider::{FakeProvider, Reply as Script};
use chatward_types::Scope;

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_look_up_no_name() {
    let world = World::start().await;
    for path in ["/docs".to_owned(), format!("/embed/{}", world.site.publishable_key)] {
        let reply = world.get(&path).await;
        assert_eq!(reply.header("x-dns-prefetch-control"), "off", "{path}");
        let policy = reply.header("content-security-policy");
        // A directive that is absent falls back to default-src, so each that loads something is our own or nothing.
        for directive in policy.split("; ") {
            let mut words = directive.split(' ');
            let name = words.next().unwrap_or_default();
            if name.ends_with("-src") {
                assert!(words.all(|source| source == "'self'" || source == "'none'"), "{path}: {directive}");
            }
        }
        assert!(policy.contains("default-src 'none'") && policy.contains("img-src 'self'"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn sources_are_passages_of_the_site_whatever_the_model_writes() {
    let answer = "See [1] and [99], https://evil.example/ and [this](https://evil.example/?q=secret). \
                  {\"citations\":[{\"id\":1,\"url\":\"https://evil.example/\"}]}";
    let provider = FakeProvider::start(vec![Script::text([answer])]).await.unwrap();
    let world = World::builder().openai(&provider.openai_url(), &fake_key()).start().await;
    let visitor = world.visitor().await;
    let reply = world.ask(&visitor, QUESTION).await.json();
    let citations = reply["citations"].as_array().unwrap();
    assert_eq!(citations.len(), 1, "{reply}");
    assert_eq!(citations[0]["url"], format!("{SHOP}/shipping"));
    let streamed = world.ask_streamed(&visitor, QUESTION).await;
    for (name, data) in streamed.stream() {
        for citation in data["citations"].as_array().into_iter().flatten() {
            assert!(citation["url"].as_str().unwrap().starts_with(SHOP), "{name}: {citation}");
        }
    }
}

#[tokio::test]
async fn links_may_be_live_to_the_sites_origins_and_its_owners_list_alone() {
    let world = World::start().await;
    let listed = |reply: &serde_json::Value| -> Vec<String> {
        let origins = reply["look"]["link_origins"].as_array().unwrap();
        origins.iter().map(|origin| origin.as_str().unwrap().to_owned()).collect()
    };
    let before = listed(&world.begin(SHOP).await.json());
    assert!(
        before.contains(&SHOP.to_owned()) && before.iter().all(|origin| origin.ends_with("shop.test")),
        "{before:?}"
    );

    let scope = Scope::of(world.app.owner);
    let mut row = world.app.store.get_site(&scope, world.site.id).await.unwrap().unwrap();
    for refused in ["javascript:alert(1)", "https://docs.example/path", "*", "https://*.example", "data:text/html,x"] {
        row.settings = serde_json::json!({ "link_origins": [refused] }).to_string();
        assert!(sites::update(&world.app, &scope, &row).await.is_err(), "{refused}");
    }
    row.settings = serde_json::json!({ "link_origins": ["https://docs.example"] }).to_string();
    sites::update(&world.app, &scope, &row).await.unwrap();
    let after = listed(&world.begin(SHOP).await.json());
    assert_eq!(after.iter().filter(|origin| !before.contains(origin)).collect::<Vec<_>>(), ["https://docs.example"]);
}
