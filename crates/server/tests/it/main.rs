//! The server as a whole, over real sockets and real databases.

mod address;
mod bodies;
mod budgets;
mod chat;
mod error_bodies;
mod failover;
mod forged_tokens;
mod headers;
mod hosts;
mod limits;
mod listen;
mod origins;
mod plain_text;
mod policies;
mod process;
mod secrets;
mod security_log;
mod sessions;
mod startup;
mod wire;
mod world;
