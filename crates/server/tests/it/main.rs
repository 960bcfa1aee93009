//! The server as a whole, over real sockets and real databases.

mod chat;
mod listen;
mod world;
