//! The privacy notice says what the settings say, in the site's language, and changes with them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::world::{Builder, World, fake_key};
use chatward::ops::notice;
use chatward::ops::sites::{self, Site};
use chatward_types::{DAY, Scope};
use http::StatusCode;
use serde_json::json;

async fn page(world: &World, query: &str) -> String {
    let reply = world.get(&format!("/privacy/{}{query}", world.site.publishable_key)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    reply.text()
}

async fn set(world: &World, settings: serde_json::Value) {
    let scope = Scope::of(world.app.owner);
    let mut row = world.app.store.get_site(&scope, world.site.id).await.unwrap().unwrap();
    row.settings = settings.to_string();
    sites::update(&world.app, &scope, &row).await.unwrap();
}

async fn shown(builder: Builder) -> String {
    let world = builder.start().await;
    let text = page(&world, "").await;
    world.app.stop().await;
    text
}

fn ordinary() -> Builder {
    World::builder()
}

#[tokio::test]
async fn the_notice_follows_the_settings_of_the_server() {
    let without = shown(ordinary()).await;
    for said in [
        "Privacy notice for the chat of Test Shop",
        "It is kept for 24 hours after your last question, then erased.",
        "Nobody. The answers are put together on this server",
        "The last part of each address is removed after 7 days at the latest.",
        "The entries are deleted after 32 days at the latest.",
        "You are not asked for consent.",
        "forgotten 2 days after its end",
        "(such as 192.0.2.0/24)",
    ] {
        assert!(without.contains(said), "{said}: {without}");
    }
    let with = shown(
        ordinary()
            .openai("https://llm.example.com/v1", &fake_key())
            .set("sessions.idle_hours", 1)
            .set("logging.address_days", 1)
            .set("logging.keep_days", 10)
            .set("logging.rotate_hours", 72),
    )
    .await;
    for said in [
        "It is kept for 1 hour after your last question, then erased.",
        "<li>openai (llm.example.com), to write the answers.</li>",
        "Passed on are your question, the last messages of the conversation",
        "is removed after 1 day at the latest.",
        "The entries are deleted after 11 days at the latest.",
        "forgotten 1 day after its end",
    ] {
        assert!(with.contains(said), "{said}: {with}");
    }
    assert!(!with.contains("Nobody.") && !with.contains("24 hours"), "{with}");
    // A machine in the operator's own network is not named.
    let own = shown(ordinary().variable("OLLAMA_BASE_URL", "http://gpu.internal:11434")).await;
    assert!(own.contains("<li>ollama, in the operator’s own network, to write the answers.</li>"), "{own}");
    assert!(!own.contains("gpu.internal"));
    let silent = shown(ordinary().set("logging.security_file", "off")).await;
    assert!(silent.contains("There is no security log.") && !silent.contains("The entries are deleted"), "{silent}");
}

#[tokio::test]
async fn the_notice_follows_what_the_owner_sets_at_once() {
    let world = World::start().await;
    let before = page(&world, "").await;
    assert!(before.contains("The chat names nobody to write to.") && !before.contains("Privacy policy of the website"));
    set(
        &world,
        json!({
            "contact": "Write to <b>help@shop.test</b> & \"us\"",
            "consent": true,
            "privacy_url": "https://shop.test/privacy?a=1&b='2'",
        }),
    )
    .await;
    let after = page(&world, "").await;
    for said in [
        "Write to &lt;b&gt;help@shop.test&lt;/b&gt; &amp; &quot;us&quot;",
        "You are asked first.",
        "<a dir=\"ltr\" href=\"https://shop.test/privacy?a=1&amp;b=&#39;2&#39;\" rel=\"noopener noreferrer\">",
        "<a dir=\"ltr\" href=\"http://shop.test/\"",
    ] {
        assert!(after.contains(said), "{said}: {after}");
    }
    assert!(!after.contains("You are not asked for consent.") && !after.contains("<b>"), "{after}");
    let date = "2027-01-15";
    assert!(before.contains(&format!("in force on {date}.")), "{before}");
    world.clock.advance(DAY);
    assert!(page(&world, "").await.contains("in force on 2027-01-16."));
}

#[tokio::test]
async fn the_notice_speaks_the_sites_language_or_the_one_that_is_asked_for() {
    let world = World::start().await;
    set(&world, json!({ "language": "de-AT" })).await;
    let german = page(&world, "").await;
    assert!(german.contains("<html lang=\"de\" dir=\"ltr\">") && german.contains("Was gespeichert wird"), "{german}");
    assert!(german.contains("bis 24 Stunden nach Ihrer letzten Frage") && german.contains("nach 7 Tagen"), "{german}");
    let hebrew = page(&world, "?language=he-IL").await;
    assert!(hebrew.contains("<html lang=\"he\" dir=\"rtl\">"), "{hebrew}");
    for unknown in ["?language=xx", "?language=%22%3E%3Cscript%3E", "?language", "?x=fr"] {
        assert_eq!(page(&world, unknown).await, german, "{unknown}");
    }
    set(&world, json!({ "language": "sv", "languages": ["fr"] })).await;
    assert!(page(&world, "?language=de").await.contains("<html lang=\"fr\""));
    set(&world, json!({ "language": "sv" })).await;
    assert!(page(&world, "").await.contains("<html lang=\"en\""));
    // Every language fills every gap.
    let scope = Scope::of(world.app.owner);
    let row = world.app.store.get_site(&scope, world.site.id).await.unwrap().unwrap();
    let site = Site::of(row, Vec::new());
    for language in chatward::ops::site_settings::INTERFACE_LANGUAGES {
        let text = notice::of(&world.app, &site, Some(language)).text();
        assert!(!text.contains(['{', '}']) && text.lines().count() > 25, "{text}");
    }
}

#[tokio::test]
async fn the_notice_is_a_page_that_runs_nothing_and_that_nobody_frames() {
    let world = World::start().await;
    let reply = world.get(&format!("/privacy/{}", world.site.publishable_key)).await;
    let policy = reply.header("content-security-policy");
    assert_eq!(
        policy,
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let text = reply.text();
    assert!(!text.contains("<script") && !text.contains(" style=") && !text.contains("javascript:"), "{text}");
    let styles = world.get("/assets/notice/notice.css").await;
    assert_eq!((styles.status, styles.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
    for key in ["cw_pk_dev_x", "x%22%3E", "..%2f..%2fetc"] {
        assert_eq!(world.get(&format!("/privacy/{key}")).await.status, StatusCode::NOT_FOUND, "{key}");
    }
    let forms = |language: &str| {
        let site = Site::of(world.site.clone(), Vec::new());
        let notice = notice::of(&world.app, &site, Some(language));
        [notice.text(), notice.markdown(), notice.html()]
    };
    let [plain, markdown, html] = forms("en");
    assert!(plain.starts_with("Privacy notice for the chat of Test Shop\n") && !plain.contains(['<', '#']), "{plain}");
    assert!(markdown.starts_with("# Privacy notice") && markdown.contains("\n## Who is responsible\n"), "{markdown}");
    assert!(markdown.contains("Test Shop\n\n<http://shop.test/>"), "{markdown}");
    assert!(html.starts_with("<main lang=\"en\"") && html.ends_with("</main>\n"), "{html}");
}
