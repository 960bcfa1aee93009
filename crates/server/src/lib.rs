//! Chatward: AI chat on the open internet without giving away the keys.
//!
//! One program between untrusted people (visitors, browsers, devices) and what must be protected (provider keys,
//! money, data). This crate is the server, its jobs and its command line; the ward behind every front is in
//! `middleware`, `limits` and `ops`. It contains no SQL (that is `chatward-store`) and opens no outbound socket
//! (that is `chatward-egress`).

pub mod admin;
pub mod api;
pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod error;
pub mod events;
pub mod jobs;
pub mod json;
pub mod limits;
pub mod listen;
pub mod middleware;
pub mod openapi;
pub mod ops;
pub mod paging;
pub mod path;
pub mod query;
pub mod realtime;
pub mod routes;
pub mod telemetry;
pub mod ui;
