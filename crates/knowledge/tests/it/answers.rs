//! From a served site to an answer with its source: crawl, index, search, quote.

use crate::site::{Reply, Site, page};
use chatward_egress::{Egress, Reach};
use chatward_knowledge::answer::{ExtractiveAnswer, Passage, extractive_answer};
use chatward_knowledge::{Chunk, CrawlEvent, CrawlLimits, CrawlRequest, Index, IndexBuilder, crawl};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

struct Shop {
    index: Index,
    chunks: Vec<(String, Chunk)>,
}

impl Shop {
    async fn open() -> Self {
        let site = Site::serve(|path| {
            let (title, body) = match path {
                "/" => ("Pine & Loom", "<p>Things for the table, made by hand in Portland.</p>"),
                "/shipping" => (
                    "Shipping",
                    "<p>We ship from Portland.</p><h2>Rates</h2><table><tr><th>Destination</th><th>Price</th><th>Time</th></tr>\
                     <tr><td>United States</td><td>$6.90</td><td>3–5 business days</td></tr>\
                     <tr><td>Canada</td><td>$14.90</td><td>5–8 business days</td></tr></table>",
                ),
                "/returns" => ("Returns", "<p>Return any unused item within 30 days. We refund you within five days.</p>"),
                "/help" => (
                    "Help",
                    "<details><summary>Can I collect my order?</summary><p>Yes, at the workshop, Monday to Friday.</p></details>\
                     <dl><dt>Phone</dt><dd>+1 503 555 0142</dd><dt>Email</dt><dd>hello@pineandloom.example</dd></dl>",
                ),
                _ => return Reply::status(404),
            };
            let links = "<nav><a href=/shipping>Shipping</a> <a href=/returns>Returns</a> <a href=/help>Help</a></nav>";
            Reply::html(page(title, body).replace("<main>", &format!("{links}<main>")))
        })
        .await;
        let egress = Egress::builder().exact_socket(site.address).build().unwrap();
        let request = CrawlRequest {
            start: site.url("/"),
            reach: Reach::Exact(site.address),
            limits: CrawlLimits { delay: Duration::ZERO, ..CrawlLimits::default() },
            user_agent: chatward_knowledge::crawl::USER_AGENT.to_owned(),
        };
        let (sender, mut receiver) = mpsc::channel(8);
        let collecting = async {
            let mut chunks = Vec::new();
            while let Some(event) = receiver.recv().await {
                if let CrawlEvent::Page(page) = event {
                    chunks.extend(page.chunks.into_iter().map(|chunk| (page.title.clone(), chunk)));
                }
            }
            chunks
        };
        let (report, chunks) = tokio::join!(crawl(&egress, request, sender, CancellationToken::new()), collecting);
        assert!(report.is_usable());
        assert_eq!(report.pages, 4);
        let mut builder = IndexBuilder::new(report.language);
        for (at, (title, chunk)) in chunks.iter().enumerate() {
            builder.add(at as i64, title, &chunk.heading, &chunk.text).unwrap();
        }
        Self { index: Index::open(&builder.finish()).unwrap(), chunks }
    }

    /// The answer and the titles of the pages that it cites.
    fn ask(&self, question: &str) -> (String, Vec<&str>) {
        let query = self.index.analyse(question);
        let hits = self.index.search_query(&query, 6);
        let passages: Vec<Passage<'_>> = (1..)
            .zip(&hits)
            .map(|(number, hit)| {
                let (_, chunk) = &self.chunks[hit.ordinal as usize];
                Passage { number, heading: &chunk.heading, text: &chunk.text, read: None }
            })
            .collect();
        let answer = extractive_answer(&query, &hits, &passages);
        let cited =
            answer.used().iter().map(|number| self.chunks[hits[*number as usize - 1].ordinal as usize].0.as_str());
        let cited = cited.collect();
        match answer {
            ExtractiveAnswer::Found { text, .. } => (text, cited),
            ExtractiveAnswer::NotOnThisSite { text } => (text.to_owned(), cited),
        }
    }
}

#[tokio::test]
async fn a_served_shop_answers_with_its_own_sentences_or_not_at_all() {
    let shop = Shop::open().await;
    for (question, expected, source) in [
        (
            "What does shipping to Canada cost?",
            "Destination: Canada; Price: $14.90; Time: 5–8 business days",
            "Shipping",
        ),
        ("How long do I have to return an item?", "Return any unused item within 30 days.", "Returns"),
        ("Can I collect my order?", "Yes, at the workshop, Monday to Friday.", "Help"),
        ("What is your phone number?", "Phone: +1 503 555 0142", "Help"),
    ] {
        let (answer, cited) = shop.ask(question);
        assert!(answer.contains(expected), "{question} -> {answer}");
        assert!(answer.contains("[1]") || answer.contains("[2]"), "{answer}");
        assert_eq!(cited.first(), Some(&source), "{question} -> {answer} {cited:?}");
    }
    for question in ["Do you sell motorcycles?", "Who won the world cup?", "What is the meaning of life?"] {
        assert_eq!(shop.ask(question), ("That is not on this site.".to_owned(), vec![]), "{question}");
    }
}
