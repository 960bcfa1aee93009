//! Signed heads of the audit trail: how many records there were, and the hash of the last one, at a time.
//!
//! A head that was kept where the database's attacker cannot write proves later that nothing was cut off or put back.
//! Owns: the form of a head, its signature and the file. It is signed with the trail's own HMAC key: the chain can be
//! walked only with that key, so a public-key signature would prove nothing to those who cannot check it anyway.
//! Never writes a head twice, and never reads more of a file than a bounded number of heads.

use crate::app::App;
use crate::ops::trail::Trail;
use chatward_types::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

/// The most heads that are read of a file; the newest count.
const MOST: usize = 100_000;
/// Bytes of a line.
const LONGEST: u64 = 4096;

/// One head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The number of the last record, and so how many were ever written.
    pub count: i64,
    /// Its hash.
    pub hash: String,
    /// When the head was signed, in microseconds.
    pub at: Timestamp,
    /// The key that signed it.
    pub key_id: String,
    /// The signature: HMAC-SHA-256 in hexadecimal digits.
    pub signature: String,
}

impl Head {
    fn text(count: i64, hash: &str, at: Timestamp) -> String {
        format!("chatward-trail-head-1 {count} {hash} {at}")
    }

    /// Whether a key of the trail signed it.
    pub fn holds(&self, trail: &Trail) -> bool {
        trail.signed(&self.key_id, &Self::text(self.count, &self.hash, self.at), &self.signature)
    }
}

/// The head of now; `None` while the trail is empty.
///
/// # Errors
/// When the store fails.
pub async fn current(app: &App) -> Result<Option<Head>> {
    let Some(last) = app.store.trail_head().await? else { return Ok(None) };
    let at = app.clock.now();
    let (key_id, signature) = app.trail.sign(&Head::text(last.seq, &last.hash, at))?;
    Ok(Some(Head { count: last.seq, hash: last.hash, at, key_id, signature }))
}

/// Adds a head to the configured file if the trail has grown since the last one in it.
///
/// # Errors
/// When the store fails or the file cannot be written.
pub async fn write(app: &App) -> Result<()> {
    let Some(path) = &app.config.audit.head_file else { return Ok(()) };
    let Some(head) = current(app).await? else { return Ok(()) };
    let known = if path.exists() { read(path)?.heads.into_keys().next_back() } else { None };
    if known.is_some_and(|count| count >= head.count) {
        return Ok(());
    }
    let mut line = serde_json::to_vec(&head).map_err(Error::internal)?;
    line.push(b'\n');
    append(path, &line).map_err(Error::internal)
}

/// What a file of heads holds.
#[derive(Debug, Default)]
pub struct Heads {
    /// By count.
    pub heads: BTreeMap<i64, Head>,
    /// Lines that are no head, by number.
    pub unreadable: Vec<usize>,
}

/// Reads a file of heads.
///
/// # Errors
/// [`chatward_types::Kind::Invalid`] when it cannot be read.
pub fn read(path: &Path) -> Result<Heads> {
    let failed = |error: std::io::Error| {
        Error::invalid("The file of heads cannot be read. Name one that `chatward audit head` has written to.")
            .with_source(error)
    };
    let mut found = Heads::default();
    let mut lines = BufReader::new(File::open(path).map_err(failed)?);
    for number in 1.. {
        let mut line = String::new();
        if (&mut lines).take(LONGEST).read_line(&mut line).map_err(failed)? == 0 {
            break;
        }
        match serde_json::from_str::<Head>(&line) {
            Ok(head) => {
                found.heads.insert(head.count, head);
                if found.heads.len() > MOST {
                    found.heads.pop_first();
                }
            }
            Err(_) if found.unreadable.len() < 10 => found.unreadable.push(number),
            Err(_) => {}
        }
    }
    Ok(found)
}

fn append(path: &Path, line: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(line)?;
    file.sync_data()
}
