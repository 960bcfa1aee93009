//! Measures retrieval on a collection in BEIR layout (corpus.jsonl, queries.jsonl, qrels.tsv).
//!
//!     cargo run -p chatward-knowledge --example evaluate -- --dataset DIR [--language de]
//!
//! Prints nDCG@10, hit@5, the time of a search, and how well answerable questions are told from others: the corpus is
//! halved by title, so that the questions on one half cannot be answered from the other.

#![expect(clippy::print_stdout, reason = "a command-line program speaks on its standard output")]

use chatward_knowledge::answer::{best_quote, is_answerable};
use chatward_knowledge::{Index, IndexBuilder, Language};
use serde_json::Value;
use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Collection {
    documents: Vec<(String, String, String)>,
    queries: Vec<(String, String)>,
    relevant: HashMap<String, HashMap<String, f64>>,
}

fn main() -> Outcome<()> {
    let mut dataset = None;
    let mut language = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--dataset" => dataset = arguments.next(),
            "--language" => language = arguments.next().and_then(|tag| Language::from_tag(&tag)),
            other => return Err(format!("unknown argument {other}; use --dataset DIR").into()),
        }
    }
    let dataset = dataset.ok_or("which collection? Use --dataset DIR")?;
    let collection = read(Path::new(&dataset))?;
    let language = language.unwrap_or_else(|| {
        Language::of_site(collection.documents.iter().take(100).filter_map(|(_, _, text)| Language::of_text(text)))
    });
    println!(
        "{dataset}: {} documents, {} queries, {}",
        collection.documents.len(),
        collection.queries.len(),
        language.tag()
    );
    retrieval(&collection, language)?;
    answerability(&collection, language)?;
    Ok(())
}

fn retrieval(collection: &Collection, language: Language) -> Outcome<()> {
    let all: Vec<usize> = (0..collection.documents.len()).collect();
    let began = Instant::now();
    let index = build(collection, &all, language)?;
    println!("  built and opened in {:?}, {} bytes of memory", began.elapsed(), index.memory_bytes());
    let (mut gain, mut hits, mut judged) = (0.0, 0_usize, 0_usize);
    let began = Instant::now();
    let found: Vec<_> = collection.queries.iter().map(|(_, text)| index.search(text, 10)).collect();
    let took = began.elapsed() / collection.queries.len().max(1) as u32;
    let began = Instant::now();
    for ((_, text), found) in collection.queries.iter().zip(&found) {
        let query = index.analyse(text);
        for hit in found.iter().take(3) {
            std::hint::black_box(best_quote(&query, &collection.documents[hit.ordinal as usize].2));
        }
    }
    let quoting = began.elapsed() / collection.queries.len().max(1) as u32;
    for ((id, _), found) in collection.queries.iter().zip(&found) {
        let Some(relevant) = collection.relevant.get(id) else {
            continue;
        };
        judged += 1;
        let grade = |ordinal: i64| relevant.get(&collection.documents[ordinal as usize].0).copied().unwrap_or(0.0);
        let discount = |at: usize| 1.0 / (at as f64 + 2.0).log2();
        let dcg: f64 = found.iter().enumerate().map(|(at, hit)| grade(hit.ordinal) * discount(at)).sum();
        let mut best: Vec<f64> = relevant.values().copied().collect();
        best.sort_by(|one, other| other.total_cmp(one));
        let ideal: f64 = best.iter().take(10).enumerate().map(|(at, grade)| grade * discount(at)).sum();
        gain += if ideal > 0.0 { dcg / ideal } else { 0.0 };
        hits += usize::from(found.iter().take(5).any(|hit| grade(hit.ordinal) > 0.0));
    }
    let judged = judged.max(1) as f64;
    println!(
        "  nDCG@10 {:.4}   hit@5 {:.4}   search {took:?}   three quotes {quoting:?}",
        gain / judged,
        hits as f64 / judged
    );
    Ok(())
}

fn answerability(collection: &Collection, language: Language) -> Outcome<()> {
    let mut titles: Vec<&str> = collection.documents.iter().map(|(_, title, _)| title.as_str()).collect();
    titles.sort_unstable();
    titles.dedup();
    if titles.len() < 10 {
        return Ok(());
    }
    let half: Vec<usize> = (0..collection.documents.len())
        .filter(|&at| titles.binary_search(&collection.documents[at].1.as_str()).is_ok_and(|title| title % 2 == 0))
        .collect();
    let kept: std::collections::HashSet<&str> = half.iter().map(|&at| collection.documents[at].0.as_str()).collect();
    let index = build(collection, &half, language)?;
    let (mut yes, mut answerable, mut false_yes, mut unanswerable) = (0, 0, 0, 0);
    for (id, text) in &collection.queries {
        let Some(relevant) = collection.relevant.get(id) else {
            continue;
        };
        let query = index.analyse(text);
        let said = usize::from(is_answerable(&query, &index.search_query(&query, 8)));
        if relevant.keys().any(|document| kept.contains(document.as_str())) {
            answerable += 1;
            yes += said;
        } else {
            unanswerable += 1;
            false_yes += said;
        }
    }
    println!(
        "  half the corpus: answers {yes} of {answerable} answerable, {false_yes} of {unanswerable} unanswerable questions"
    );
    Ok(())
}

fn build(collection: &Collection, documents: &[usize], language: Language) -> Outcome<Index> {
    let mut builder = IndexBuilder::new(language);
    for &at in documents {
        let (_, title, text) = &collection.documents[at];
        builder.add(at as i64, title, "", text)?;
    }
    Ok(Index::open(&builder.finish())?)
}

fn read(folder: &Path) -> Outcome<Collection> {
    let text_of = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let lines = |name: &str| -> Outcome<Vec<Value>> {
        let text = std::fs::read_to_string(folder.join(name))?;
        Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    };
    let documents = lines("corpus.jsonl")?
        .iter()
        .map(|line| (text_of(line, "_id"), text_of(line, "title"), text_of(line, "text")))
        .collect();
    let queries = lines("queries.jsonl")?.iter().map(|line| (text_of(line, "_id"), text_of(line, "text"))).collect();
    let mut relevant: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for line in std::fs::read_to_string(folder.join("qrels.tsv"))?.lines().skip(1) {
        let mut parts = line.split('\t');
        if let (Some(query), Some(document), Some(grade)) = (parts.next(), parts.next(), parts.next()) {
            let grade: f64 = grade.trim().parse()?;
            if grade > 0.0 {
                relevant.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
            }
        }
    }
    Ok(Collection { documents, queries, relevant })
}
