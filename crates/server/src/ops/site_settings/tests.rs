//! The bounds of settings, partial changes, and what older versions stored.

use super::*;
use serde_json::{Value, json};

fn with(change: Value) -> Result<Settings> {
    let change: SettingsChange = serde_json::from_value(change).expect("the form of a change");
    let mut settings = Settings::default();
    change.apply(&mut settings);
    settings.check().map(|()| settings)
}

#[test]
fn each_bound_is_told_by_the_name_of_its_setting() {
    for (name, good, bad) in [
        ("title", json!("Ask us"), vec![json!("x".repeat(81)), json!(" "), json!("a\u{0}b")]),
        ("greeting", json!("Hello\nthere"), vec![json!("x".repeat(501)), json!("\u{1b}[1m")]),
        ("contact", json!("hi@shop.example"), vec![json!("x".repeat(301))]),
        ("avatar", json!("ÄB"), vec![json!("ABC"), json!("")]),
        ("starters", json!(["Why?"]), vec![json!(vec!["q"; 7]), json!(["x".repeat(121)]), json!([""])]),
        ("language", json!("pt-BR"), vec![json!("english"), json!("e"), json!("en_US"), json!("en-")]),
        ("languages", json!(["en", "de"]), vec![json!(["xx"]), json!(vec!["en"; 14])]),
        ("link_origins", json!(["https://a.example"]), vec![json!(["*"]), json!(["https://a.example/x"])]),
        ("color", json!("#0f5D58"), vec![json!("red"), json!("#fff"), json!("#0f5d5g"), json!("#00000é")]),
        ("corner", json!(24), vec![json!(25)]),
        (
            "privacy_url",
            json!("https://shop.example/privacy"),
            vec![json!("http://shop.example"), json!("javascript:x"), json!("https://u@shop.example")],
        ),
        (
            "quiet_hours",
            json!({"from": "22:00", "to": "07:00", "zone": "America/Argentina/Ushuaia"}),
            vec![
                json!({"from": "24:00", "to": "07:00", "zone": "UTC"}),
                json!({"from": "7:00", "to": "08:00", "zone": "UTC"}),
                json!({"from": "07:00", "to": "07:00", "zone": "UTC"}),
                json!({"from": "07:00", "to": "08:00", "zone": "../etc"}),
                json!({"from": "07:00", "to": "08:00", "zone": ""}),
            ],
        ),
    ] {
        with(json!({ name: good })).unwrap_or_else(|error| panic!("{name}: {error}"));
        for value in bad {
            let error = with(json!({ name: value.clone() })).expect_err(&format!("{name}: {value}"));
            assert!(error.public().contains(name.split('_').next().expect("a word")), "{name}: {error}");
        }
    }
}

#[test]
fn absent_stays_and_null_clears() {
    let mut settings =
        with(json!({ "title": "One", "starters": ["Why?"], "corner": 3, "tone": "formal" })).expect("fine");
    let change: SettingsChange = serde_json::from_value(json!({ "title": null, "corner": 4 })).expect("a change");
    change.apply(&mut settings);
    assert_eq!((settings.title.as_deref(), settings.corner, settings.tone), (None, Some(4), Some(Tone::Formal)));
    assert_eq!(settings.starters, ["Why?"]);
    let change: SettingsChange = serde_json::from_value(json!({ "starters": null })).expect("a change");
    change.apply(&mut settings);
    assert!(settings.starters.is_empty());
    for unknown in [json!({ "prompt": "x" }), json!({ "temperature": 2 }), json!({ "theme": "pink" })] {
        assert!(serde_json::from_value::<SettingsChange>(unknown).is_err());
    }
}

#[test]
fn what_a_newer_version_stored_is_passed_over_and_never_written_over() {
    let newer = r#"{"greeting":"Hi","consent":true,"hologram":{"depth":3}}"#;
    let known = Settings::read_known(newer).expect("settings");
    assert_eq!((known.greeting.as_deref(), known.consent), (Some("Hi"), Some(true)));
    assert_eq!(Settings::read(newer).expect_err("a conflict").code(), "settings_of_another_version");
    assert!(Settings::read_known("7").is_err() && Settings::read_known(r#"{"corner":"x"}"#).is_err());
}

#[test]
fn what_an_older_version_stored_is_read() {
    let old = r#"{"title":null,"greeting":"Hi","starters":[],"language":null,"contact":null,"link_origins":[]}"#;
    assert_eq!(Settings::read(old).expect("settings").greeting.as_deref(), Some("Hi"));
    assert_eq!(serde_json::to_string(&Settings::default()).expect("JSON"), "{}");
}
