//! What a site knows: crawling it, reading its pages, cutting them into chunks, and finding the ones that answer.
//!
//! Owns: robots and sitemaps, the crawl and its budgets, main-content extraction, chunking, the lexical index and its
//! bytes, and the judgement whether a question is answered by the site at all.
//! Never does: opening a socket (every fetch goes through `chatward-egress`), storing anything (the caller stores
//! pages, chunks and segments), or calling a model.

pub mod answer;
pub mod chunk;
pub mod crawl;
pub mod extract;
mod fingerprint;
pub mod index;
pub mod language;
mod sentence;
pub mod words;

pub use chunk::Chunk;
pub use crawl::{CrawlEnd, CrawlEvent, CrawlLimits, CrawlReport, CrawlRequest, CrawledPage, SkipReason, crawl};
pub use index::{Hit, Index, IndexBuilder, IndexError, Query};
pub use language::Language;
