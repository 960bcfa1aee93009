//! The settings of WebSockets: how many, how large, how long.
//!
//! Owns: their names, defaults, bounds and explanations, each written once.

use super::error::ConfigError;
use super::kinds::span;
use super::layers::Fallback::Text;
use super::layers::Layers;
use super::section::{Section, key, section, setting};
use super::shape::{Shape, whole};
use std::time::Duration;

section! {
    /// WebSockets: a device's connection, the live view of security events.
    Sockets "sockets" {
        /// Open WebSockets in all; the next gets 503. Those that have not proved themselves yet hold at most half of them.
        max: usize = Text("2000"), whole(2, 1_000_000), [];
        /// Open WebSockets an address (IPv6: a /64); the next gets 429.
        max_per_address: usize = Text("50"), whole(1, 1_000_000), [];
        /// Open WebSockets of one device or one login; the next is closed with 1013.
        max_per_credential: usize = Text("8"), whole(1, 1000), [];
        /// How long a client that sent no Authorization field has for its first frame, which must prove it; a later one is
        /// closed with 1008.
        first_frame_timeout: Duration = Text("10s"), span("50ms", "1m"), [];
        /// How often a client that says nothing is asked whether it is there (ping). One that says nothing for as long again
        /// is closed. As often it is read anew whether its credential holds, beside the news of a change.
        ping_every: Duration = Text("30s"), span("50ms", "10m"), [];
        /// How long a client may take to read what it is sent; a slower one is closed.
        write_timeout: Duration = Text("10s"), span("50ms", "1m"), [];
        /// Bytes of a message, and of a frame, from a client; a larger one is closed with 1009 before it is read. Sixteen
        /// times as many are read a minute.
        max_message_bytes: usize = Text("16384"), whole(1024, 1_048_576), [];
        /// Frames that a client may send a minute, pings and pongs among them; one that sends more is closed with 1008.
        messages_per_minute: u32 = Text("120"), whole(10, 100_000), [];
    }
}
