//! The public interface against real servers on loopback that misbehave in every way we know of.

#![expect(clippy::unwrap_used, reason = "in a test, and in what it is made of, a panic is the report")]

mod bodies;
mod call;
mod deadlines;
mod fetch;
mod raw;
mod support;
mod tls;
