//! An outside issuer's address of keys on a real socket, which does what a test tells it.
//!
//! Owns: the answers, and the count of who asked. Never makes a key.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// What the issuer answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This document, as JSON.
    Keys(String),
    /// The same, once a permit of [`FakeIssuer::release`] is there.
    Held(String),
    /// This status, these headers and this body.
    Other(u16, Vec<(&'static str, String)>, String),
    /// Nothing, for ever.
    Silent,
}

#[derive(Debug)]
struct Told {
    answer: Mutex<Answer>,
    asked: AtomicUsize,
    permits: Semaphore,
}

/// The issuer.
#[derive(Debug)]
pub struct FakeIssuer {
    address: SocketAddr,
    told: Arc<Told>,
    task: JoinHandle<()>,
}

impl FakeIssuer {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(answer: Answer) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let told =
            Arc::new(Told { answer: Mutex::new(answer), asked: AtomicUsize::new(0), permits: Semaphore::new(0) });
        let router = Router::new().fallback(respond).with_state(Arc::clone(&told));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, told, task })
    }

    /// Where its keys are.
    pub fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// Answers this from now on.
    pub fn set(&self, answer: Answer) {
        *self.told.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// Lets so many held answers go.
    pub fn release(&self, answers: usize) {
        self.told.permits.add_permits(answers);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.told.asked.load(Ordering::SeqCst)
    }

    /// Takes no further connection.
    pub fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn respond(State(told): State<Arc<Told>>) -> Response {
    told.asked.fetch_add(1, Ordering::SeqCst);
    let answer = told.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (status, headers, body) = match answer {
        Answer::Keys(document) => (200, json(), document),
        Answer::Held(document) => {
            if let Ok(permit) = told.permits.acquire().await {
                permit.forget();
            }
            (200, json(), document)
        }
        Answer::Other(status, headers, body) => (status, headers, body),
        Answer::Silent => std::future::pending().await,
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    // Whoever asks again asks anew.
    response.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
    response
}

fn json() -> Vec<(&'static str, String)> {
    vec![("content-type", "application/json".to_owned())]
}
