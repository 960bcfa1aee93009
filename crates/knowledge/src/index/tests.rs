//! The index as a whole: what is found, in which order, and from which bytes.

use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn build(language: Language, units: &[(i64, &str, &str, &str)]) -> Vec<Vec<u8>> {
    let mut builder = IndexBuilder::new(language);
    for (ordinal, title, heading, text) in units {
        builder.add(*ordinal, title, heading, text).unwrap();
    }
    assert_eq!(builder.len(), units.len());
    builder.finish()
}

fn found(index: &Index, question: &str) -> Vec<i64> {
    index.search(question, 10).iter().map(|hit| hit.ordinal).collect()
}

#[test]
fn an_index_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Index>();
    shared::<Query>();
}

#[test]
fn titles_and_headings_count_more_than_text() {
    let filler = "We make things by hand and send them around the world with care and patience.";
    let index = Index::open(&build(
        Language::English,
        &[
            (1, "About", "", &format!("{filler} Returns happen.")),
            (2, "Returns", "", filler),
            (3, "Help", "Returns", filler),
            (7, "Other", "", filler),
        ],
    ))
    .unwrap();
    let order = found(&index, "returns");
    assert_eq!(order.len(), 3);
    assert_eq!(order[2], 1, "{order:?}");
    assert!(found(&index, "zebra").is_empty());
    assert_eq!(index.len(), 4);
    assert!(index.memory_bytes() > 0);
}

#[test]
fn coverage_tells_how_much_of_a_question_is_there() {
    let index = Index::open(&build(
        Language::English,
        &[
            (0, "", "", "Ship to Canada"),
            (1, "", "", "Wash the wool"),
            (2, "", "", "Oil the oak"),
            (3, "", "", "Ship it"),
        ],
    ))
    .unwrap();
    let hits = index.search("ship to Canada", 5);
    assert_eq!(hits[0].ordinal, 0);
    assert!((hits[0].coverage - 1.0).abs() < 1e-5);
    assert!(hits[1].coverage > 0.0 && hits[1].coverage < 0.6);
    let unknown = index.search("ship motorcycles", 5);
    assert!(unknown.iter().all(|hit| hit.coverage < 0.5), "{unknown:?}");
    let query = index.analyse("do you ship motorcycles");
    assert_eq!((query.meaning_words(), query.unknown_words()), (2, 1));
}

#[test]
fn an_index_in_several_segments_finds_the_same() {
    let texts: Vec<String> = (0..9_000).map(|at| format!("word{} and number{} of many", at % 700, at % 31)).collect();
    let units: Vec<(i64, &str, &str, &str)> =
        texts.iter().enumerate().map(|(at, text)| (at as i64 * 3, "", "", text.as_str())).collect();
    let mut segments = build(Language::English, &units);
    assert!(segments.len() > 1, "{}", segments.len());
    assert!(segments.iter().all(|segment| segment.len() < 2 << 20));
    let index = Index::open(&segments).unwrap();
    assert_eq!(index.len(), 9_000);
    let order = found(&index, "word5 number5");
    assert_eq!(order.len(), 10);
    assert!(order.iter().all(|ordinal| texts[*ordinal as usize / 3].contains("word5 ")));
    segments.reverse();
    assert_eq!(order, found(&Index::open(&segments).unwrap(), "word5 number5"));
    segments.push(segments[0].clone());
    assert!(matches!(Index::open(&segments), Err(IndexError::Corrupt(_))));
}

#[test]
fn what_cannot_be_opened_is_told_and_what_is_out_of_order_refused() {
    let good = build(Language::English, &[(0, "a", "b", "c")]);
    let other = build(Language::German, &[(1, "a", "b", "c")]);
    let mixed = [good[0].clone(), other[0].clone()];
    assert!(matches!(Index::open(&mixed), Err(IndexError::Corrupt(_))));
    assert_eq!(Index::open(&[vec![0; MAX_INDEX_BYTES + 1]]).unwrap_err(), IndexError::TooLarge);
    let mut damaged = good[0].clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(Index::open(&[damaged]).unwrap_err(), IndexError::Checksum);
    let none: [&[u8]; 0] = [];
    assert!(Index::open(&none).unwrap().is_empty());
    assert!(Index::open(&IndexBuilder::new(Language::English).finish()).unwrap().is_empty());
    let mut builder = IndexBuilder::new(Language::English);
    builder.add(5, "", "", "x").unwrap();
    assert!(builder.add(5, "", "", "x").is_err());
    assert!(builder.add(-1, "", "", "x").is_err());
    assert!(builder.add(i64::MAX, "", "", "x").is_err());
}

#[test]
fn a_search_does_not_slow_down_with_a_strange_question() {
    let texts: Vec<String> =
        (0..400).map(|at| format!("Product {at} costs ${at}.00 and ships within {at} days, article{at}")).collect();
    let units: Vec<(i64, &str, &str, &str)> =
        texts.iter().enumerate().map(|(at, text)| (at as i64, "Shop", "Products", text.as_str())).collect();
    let index = Index::open(&build(Language::English, &units)).unwrap();
    let endless = "article ".repeat(5_000)
        + &"x".repeat(100_000)
        + &(0..2_000).map(|at| format!(" artikle{at}")).collect::<String>();
    let began = Instant::now();
    let hits = index.search(&endless, 1_000);
    assert!(hits.len() <= 64);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(segments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..3)) {
        let _ = Index::open(&segments);
    }

    #[test]
    fn every_text_is_found_by_its_own_words(texts in proptest::collection::vec("[b-z]{4,9} [b-z]{4,9} [b-z]{4,9}", 1..20)) {
        let units: Vec<(i64, &str, &str, &str)> = texts.iter().enumerate().map(|(at, text)| (at as i64, "", "", text.as_str())).collect();
        let index = Index::open(&build(Language::Other, &units)).unwrap();
        for (at, text) in texts.iter().enumerate() {
            let hits = index.search(text, 20);
            let own = hits.iter().find(|hit| hit.ordinal == at as i64);
            prop_assert!(own.is_some_and(|hit| hit.coverage > 0.99), "{text} in {hits:?}");
        }
    }
}
