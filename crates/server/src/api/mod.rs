//! The HTTP API: one endpoint reads in one file, its types, its handler and its documentation together.
//!
//! A handler parses into validated types and calls one function of `ops`. It holds no rule of its own, and one
//! file here never imports another.

pub mod account;
pub mod account_factor;
pub mod auth_login;
pub mod auth_recover;
pub mod auth_register;
pub mod auth_setup;
pub mod blocks;
pub mod conversations;
pub mod device_socket;
pub mod device_token;
pub mod devices;
pub mod documents;
pub mod event_stream;
pub mod events;
pub mod health;
pub mod invitations;
pub mod jwks;
pub mod keys;
pub mod lockdown;
pub mod privacy_notice;
pub mod site_origins;
pub mod site_sources;
pub mod sites;
pub mod usage;
pub mod users;
pub mod widget_export;
pub mod widget_feedback;
pub mod widget_identity;
pub mod widget_messages;
pub mod widget_sessions;
pub mod widget_tickets;
