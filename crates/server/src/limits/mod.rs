//! Who may ask how often, how many may be connected, and how busy the server is.
//!
//! Owns the fixed windows per address (`window`), those per issued key (`issued`), the count of open connections (`connections`), the blocked networks (`blocks`) and the gauge of
//! running requests (`load`). All of it is bounded memory in this process; a flood of addresses makes the windows
//! coarser, never more numerous (RATE-06). Never reads a header, a clock or the configuration, and never decides
//! what a refusal looks like: middleware does.

mod blocks;
mod connections;
mod issued;
mod key;
mod load;
mod shard;
mod window;

pub use blocks::{Blocked, Gate, Shut, parse_network};
pub use connections::{ConnectionCaps, ConnectionCounter, ConnectionGuard, RestGuard};
pub use issued::{KeyRules, KeyWindows};
pub use key::{network_around, network_of, widened};
pub use load::{LoadGauge, LoadGuard};
pub use window::{Decision, MAX_RULES, Rule, WindowLimiter};
