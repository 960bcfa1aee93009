//! The widget's API as a visitor uses it.

use crate::Failure;
use crate::client::{Connection, parts_of, post};
use serde_json::{Value, json};

const QUESTIONS: &[&str] = &[
    "What does shipping to Canada cost?",
    "How long do I have to return an item?",
    "Which payment methods do you take?",
    "How can I contact you?",
    "How long does delivery take?",
    "Can I change my order after placing it?",
];

/// Where the visitors are.
#[derive(Debug, Clone)]
pub struct Widget {
    host: String,
    site: String,
    origin: String,
}

impl Widget {
    /// A site behind a server, visited from `origin`.
    pub fn new(url: &str, site: &str, origin: &str) -> Result<Self, Failure> {
        Ok(Self { host: parts_of(url)?.0.to_owned(), site: site.to_owned(), origin: origin.to_owned() })
    }

    /// A connection to the server.
    pub async fn connect(&self) -> Result<Connection, Failure> {
        Connection::open(&self.host).await
    }

    /// Starts a session and gives a request that asks question number `number` in it.
    pub async fn session(
        &self,
        connection: &mut Connection,
        number: usize,
        streamed: bool,
    ) -> Result<Vec<u8>, Failure> {
        let body = json!({ "site": self.site }).to_string();
        let request = post(&self.host, "/api/v1/widget/sessions", &[("origin", &self.origin)], &body);
        let answer = connection.exchange(&request).await?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("no session: {} {}", answer.status, String::from_utf8_lossy(&answer.body)).into());
        }
        let session: Value = serde_json::from_slice(&answer.body)?;
        let bearer = format!("Bearer {}", session["token"].as_str().ok_or("no token")?);
        let accept = if streamed { "text/event-stream" } else { "application/json" };
        let headers = [("origin", self.origin.as_str()), ("authorization", &bearer), ("accept", accept)];
        let body = json!({ "message": QUESTIONS[number % QUESTIONS.len()] }).to_string();
        Ok(post(&self.host, "/api/v1/widget/messages", &headers, &body))
    }
}
