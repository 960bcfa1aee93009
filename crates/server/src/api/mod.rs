//! The HTTP API: one endpoint reads in one file, its types, its handler and its documentation together.
//!
//! A handler parses into validated types and calls one function of `ops`. It holds no rule of its own, and one
//! file here never imports another.

pub mod account;
pub mod auth_login;
pub mod auth_setup;
pub mod documents;
pub mod health;
pub mod invitations;
pub mod privacy_notice;
pub mod site_origins;
pub mod sites;
pub mod widget_export;
pub mod widget_feedback;
pub mod widget_identity;
pub mod widget_messages;
pub mod widget_sessions;
pub mod widget_tickets;
