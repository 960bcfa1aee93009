//! What recognising an issued key costs by itself: cold (the store is asked), then warm (it is remembered).
//!
//!     cargo run --release -p chatward-server --example key_check -- [CHECKS]
//!
//! Makes an installation of its own in a temporary folder, on SQLite, and prints the CPU time of this process for each
//! check. The count of warm checks is 1,000,000 where none is given; of cold ones it is a five-hundredth.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a measurement for people to read")]

use chatward::app::{App, Options};
use chatward::config::{Config, Overrides};
use chatward::ops::{issued_keys, key_lookup};
use chatward_types::{KeyScope, Scope};
use std::collections::BTreeMap;
use std::hint::black_box;

#[tokio::main]
async fn main() {
    let checks: u32 = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().expect("a number of checks"));
    let folder = tempfile::tempdir().expect("a folder");
    let overrides = Overrides { data_dir: Some(folder.path().to_owned()), ..Overrides::default() };
    let config = Config::load(None, &BTreeMap::new(), &overrides).expect("a configuration");
    let options = Options { write_events: false, ..Options::default() };
    let app = App::start(config, options).await.expect("an installation");
    let scope = Scope::of(app.owner);
    let made = issued_keys::create(&app, &scope, KeyScope::Manage, "measured", None).await.expect("a key");
    for (name, count, forget) in [("cold", checks / 500, true), ("warm", checks, false)] {
        let before = cpu_microseconds();
        for _ in 0..count {
            if forget {
                app.issued.end(&made.row.id);
            }
            let held = key_lookup::recognise(&app, black_box(made.text.expose())).await.expect("the store answers");
            assert!(held.is_some(), "the key holds");
        }
        println!("{name}: {:.2} µs CPU a check", (cpu_microseconds() - before) / f64::from(count.max(1)));
    }
    app.stop().await;
}

/// User and system time of this process, in steps of 10,000.
fn cpu_microseconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    // The second field is the program's name in parentheses and may hold spaces.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks: f64 = fields.split_ascii_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok()).sum();
    ticks * 10_000.0
}
