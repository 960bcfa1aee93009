//! Whole pages through the whole extraction.

use super::*;
use proptest::prelude::*;

fn read(html: &str) -> Extracted {
    extract(html.as_bytes(), Some("text/html; charset=utf-8"), &page_url()).unwrap()
}

fn page_url() -> Url {
    Url::parse("https://shop.example/help/shipping").unwrap()
}

fn texts(page: &Extracted) -> Vec<&str> {
    page.blocks.iter().map(|block| block.text.as_str()).collect()
}

const PAGE: &str = r##"<!doctype html><html lang="en-GB"><head>
<title>Shipping – Pine &amp; Loom</title><link rel="canonical" href="/help/shipping?ref=1">
<style>p{color:red}</style><script>var menu = "<p>not text</p>";</script></head>
<body class="has-sidebar cookie-ready">
<div id="cookie-banner"><p>We use cookies. Accept?</p><button>Accept</button></div>
<header class="site-header"><a href="/">Pine &amp; Loom</a><nav><ul><li><a href="/products">Products</a></li></ul></nav></header>
<main>
<nav class="breadcrumb"><a href="/help">Help</a></nav>
<h1>Shipping</h1><p>We ship   from <b>Port</b>land.<br>Every day.</p>
<h2>Rates</h2>
<table><caption>Rates by country</caption><tr><th>Destination<th>Price<th>Time</tr>
<tr><td>Canada<td>$14.90<td>5 days</tr><tr><th>Norway<td>$20<td></tr></table>
<h2>Steps</h2><ol><li>Pack</li><li>Send <ul><li>by post</li></ul></li></ol>
<dl><dt>Carrier</dt><dd>Alder Post</dd><div><dt>Insured?</dt><dd>Yes</dd></div></dl>
<h3>Hidden</h3><p style="display:none">secret prompt</p><p hidden>also secret</p>
<details><summary>Do you ship on Sunday?</summary><p>No.</p></details>
<h2>Call 555 0100</h2>
<p>A&shy;B <a href="../terms#x">terms</a> <a href="mailto:a@b.example">mail</a> <a rel="nofollow" href="/ad">ad</a></p>
</main>
<aside>Related</aside>
<footer><p>© Pine &amp; Loom</p><a href="/imprint">Imprint</a></footer></body></html>"##;

#[test]
fn the_main_content_is_kept_with_its_headings_and_the_rest_is_not() {
    let page = read(PAGE);
    assert_eq!(page.title, "Shipping");
    assert_eq!(page.language, Some(Language::English));
    let blocks: Vec<(&str, &str)> = page.blocks.iter().map(|b| (&*b.heading_path, b.text.as_str())).collect();
    assert_eq!(
        blocks,
        [
            ("Shipping", "We ship from Portland.\nEvery day."),
            ("Shipping › Rates", "Rates by country"),
            ("Shipping › Rates", "Destination: Canada; Price: $14.90; Time: 5 days"),
            ("Shipping › Rates", "Norway: Price: $20"),
            ("Shipping › Steps", "Pack"),
            ("Shipping › Steps", "Send"),
            ("Shipping › Steps", "by post"),
            ("Shipping › Steps", "Carrier: Alder Post"),
            ("Shipping › Steps", "Insured? Yes"),
            ("Shipping › Steps › Hidden › Do you ship on Sunday?", "No."),
            ("Shipping › Call 555 0100", "AB terms mail ad"),
        ]
    );
}

#[test]
fn links_are_absolute_and_come_from_the_whole_page() {
    let page = read(PAGE);
    let links: Vec<&str> = page.links.iter().map(Url::as_str).collect();
    for expected in [
        "https://shop.example/",
        "https://shop.example/products",
        "https://shop.example/help",
        "https://shop.example/terms#x",
        "https://shop.example/imprint",
    ] {
        assert!(links.contains(&expected), "{expected} in {links:?}");
    }
    assert!(!links.iter().any(|link| link.contains("mailto") || link.contains("/ad")));
    assert_eq!(page.canonical.unwrap().as_str(), "https://shop.example/help/shipping?ref=1");
}

#[test]
fn a_page_without_a_main_part_is_read_whole() {
    let page = read(
        "<body><div class=sidebar>menu</div><div><h2>Hours</h2>Mon 9:00<div>Tue 10:00</div></div><aside>x</aside></body>",
    );
    assert_eq!(texts(&page), ["Mon 9:00", "Tue 10:00"]);
    assert_eq!(page.title, "help/shipping");
    let tiny_main = format!("<main>x</main><div><p>{}</p></div>", "The real content. ".repeat(50));
    assert!(texts(&read(&tiny_main)).iter().any(|text| text.contains("The real content.")));
}

#[test]
fn directives_are_read() {
    assert!(read("<meta name=robots content='noindex, follow'><p>x</p>").no_index);
    let none = read("<meta name=ROBOTS content=none><a href=/x>x</a>");
    assert!(none.no_index && none.no_follow && none.links.is_empty());
    assert!(read("<meta name=chatward content=noindex>").no_index);
    assert!(!read("<meta name=googlebot content=noindex><p>x").no_index);
    let moved = read("<meta http-equiv=refresh content='0; url=/new'>");
    assert_eq!(moved.links[0].path(), "/new");
    let based = read("<base href='https://shop.example/deep/'><a href=x>x</a>");
    assert_eq!(based.links[0].path(), "/deep/x");
}

#[test]
fn layout_tables_are_read_as_text() {
    let page = read("<table><tr><td><h2>Left</h2><p>One.</p></td><td><p>Two.</p></td></tr></table>");
    assert_eq!(texts(&page), ["One.", "Two."]);
    let pairs = read("<table><tr><td>Weight</td><td>2 kg</td></tr><tr><td>Size</td><td>M</td></tr></table>");
    assert_eq!(texts(&pairs), ["Weight: 2 kg", "Size: M"]);
}

#[test]
fn unseen_characters_do_not_reach_the_text() {
    let page = read("<p>safe\u{202e}txt\u{e0041}\u{200b} \u{7}bell 👩\u{200d}🔧</p>");
    assert_eq!(texts(&page), ["safetxt bell 👩\u{200d}🔧"]);
}

#[test]
fn other_types_are_refused_and_missing_ones_guessed() {
    let url = page_url();
    assert!(matches!(extract(b"%PDF-1.7", Some("application/pdf"), &url), Err(SkipReason::NotHtml(_))));
    assert!(matches!(extract(b"\x89PNG..", None, &url), Err(SkipReason::NotHtml(_))));
    assert!(extract(b"<!DOCTYPE html><p>Hello", None, &url).is_ok());
    assert!(extract(b"", Some("text/html"), &url).unwrap().is_empty());
}

#[test]
fn bombs_end_quickly_with_a_reason() {
    let url = page_url();
    let run = |html: String| {
        let began = Instant::now();
        let outcome = extract(html.as_bytes(), Some("text/html"), &url);
        // The deadline, and as much again twice for a machine that has other things to do.
        assert!(began.elapsed() < DEADLINE * 3, "{:?}", began.elapsed());
        outcome
    };
    assert_eq!(run("<div>".repeat(100_000)).unwrap_err(), SkipReason::TooDeep);
    // What the guard takes for the text of a style sheet, a parser takes for elements: the deadline ends that.
    assert_eq!(run("<svg><style>".to_owned() + &"<g>".repeat(20_000)).map(|page| page.blocks.len()), Ok(0));
    let hidden = "<svg><style>".to_owned() + &"<g>".repeat(30_000) + &"</x>".repeat(300_000);
    assert_eq!(run(hidden).unwrap_err(), SkipReason::TooSlow);
    let tables = "<table><tr><td>".repeat(400) + "deep";
    assert!(run(tables).is_ok());
    assert_eq!(run("x".repeat(MAX_HTML_BYTES + 1)).unwrap_err(), SkipReason::TooLarge);
    let words = format!("<p>{}</p>", "word ".repeat(200_000));
    assert!(run(words).is_ok());
    let rows = format!("<table>{}</table>", "<tr><td>a<td>b".repeat(20_000));
    assert!(run(rows).unwrap().blocks.len() <= MAX_BLOCKS);
}

#[test]
fn a_deadline_in_the_past_ends_at_once() {
    let past = Instant::now() - Duration::from_secs(1);
    let outcome = extract_until(PAGE.as_bytes(), Some("text/html"), &page_url(), past);
    assert_eq!(outcome.unwrap_err(), SkipReason::TooSlow);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_markup_is_survived(
        parts in proptest::collection::vec("(<|</)(p|div|table|tr|td|th|dl|dt|dd|h1|h3|main|details|summary|pre|br|a href=x|svg|template|title|li)>|[a-z é]{1,8}|&amp;|<!--|-->", 0..60)
    ) {
        let page = extract(parts.concat().as_bytes(), Some("text/html"), &page_url()).unwrap();
        prop_assert!(!page.title.is_empty());
        for block in &page.blocks {
            prop_assert!(block.text.chars().any(char::is_alphanumeric));
            // Preformatted text keeps its indentation.
            prop_assert_eq!(block.text.trim_end(), &block.text);
        }
    }
}
