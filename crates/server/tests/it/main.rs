//! The server as a whole, over real sockets and real databases.

mod budgets;
mod chat;
mod failover;
mod listen;
mod process;
mod world;
