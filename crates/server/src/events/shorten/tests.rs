//! Files as a log leaves them, shortened at times of the test's own.

use super::*;
use crate::config::{Config, Overrides};
use crate::events::Follower;
use crate::events::time::parse;
use chatward_types::{HOUR, MINUTE};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

const WROTE: &str = "2026-09-21T10:00:00.000000Z";
const ROTATED: &str = "security-2026-09-21T120000.000000Z.log";

struct Bench {
    folder: tempfile::TempDir,
    settings: Logging,
}

impl Bench {
    fn new() -> Self {
        let config = Config::load(None, &BTreeMap::new(), &Overrides::default()).expect("a configuration");
        Self { folder: tempfile::tempdir().expect("a folder"), settings: config.logging.clone() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("security.log")
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    /// A turn so long after the first line was written.
    fn turn(&self, after: Timestamp) -> usize {
        let now = parse(WROTE).expect("a time") + after;
        shorten_old(&self.path(), &self.settings, now, || false).expect("a turn")
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn line(address: &str, detail: &str) -> String {
    format!(
        r#"{{"category":"SECURITY","time":"{WROTE}","event":"BLOCK_CHANGED","address":"{address}","user_agent":"Probe/1.0","site":null,"detail":"{detail}","count":3}}"#
    ) + "\n"
}

#[test]
fn an_old_files_addresses_become_networks_and_nothing_else_changes() {
    let bench = Bench::new();
    let before = [
        line("192.0.2.77", "192.0.2.77/32 was blocked by operator"),
        line("2001:db8:1:2:3:4:5:6", "seen at [2001:db8:1:2::9]:443, then at 198.51.100.4:8080."),
        line("null", "no address, but a time 10:20:30 and a version 5.0"),
        "half a line of 203.0.113.9 that a crash left".to_owned(),
    ];
    let rotated = bench.write(ROTATED, &before.concat());
    let current = bench.write("security.log", &line("192.0.2.78", "x"));
    let foreign = bench.write("security-notes.log", "192.0.2.79");
    assert_eq!(bench.turn(7 * DAY - 1), 0, "not yet");
    assert_eq!(std::fs::read_to_string(&rotated).expect("a file"), before.concat());
    assert_eq!(bench.turn(7 * DAY), 1);
    let text = std::fs::read_to_string(&rotated).expect("a file");
    let (marker, rest) = text.split_once('\n').expect("a marker");
    assert!(marker.contains(r#""event":"ADDRESSES_SHORTENED""#) && marker.contains(WROTE), "{marker}");
    let after = [
        line("192.0.2.0/24", "192.0.2.0/24 was blocked by operator"),
        line("2001:db8:1::/48", "seen at 2001:db8:1::/48, then at 198.51.100.0/24."),
        before[2].clone(),
        "half a line of 203.0.113.0/24 that a crash left".to_owned(),
    ];
    assert_eq!(rest, after.concat());
    assert_eq!(std::fs::metadata(&rotated).expect("a file").permissions().mode() & 0o777, 0o600);
    // Who looks for the events of that time still finds them there.
    let wrote = parse(WROTE).expect("a time");
    let found =
        crate::events::newest(&bench.path(), wrote, wrote + HOUR, 10, |event| event["address"] == "192.0.2.0/24");
    assert_eq!(found.expect("a page").events.len(), 1);
    // The file that is written, and others', are left alone.
    assert!(std::fs::read_to_string(current).expect("a file").contains("192.0.2.78"));
    assert_eq!(std::fs::read_to_string(foreign).expect("a file"), "192.0.2.79");
    // Once is enough.
    let inode = std::fs::metadata(&rotated).expect("a file").ino();
    assert_eq!(bench.turn(30 * DAY), 0);
    assert_eq!(std::fs::metadata(&rotated).expect("a file").ino(), inode);
    assert_eq!(bench.names(), [ROTATED, "security-notes.log", "security.log"]);
}

#[test]
fn a_file_that_was_just_rotated_waits_until_nobody_writes_it_any_more() {
    let bench = Bench::new();
    bench.write(ROTATED, &line("192.0.2.77", "x").replace("2026-09-21", "2026-08-01"));
    assert_eq!(bench.turn(2 * HOUR), 0);
    assert_eq!(bench.turn(2 * HOUR + MINUTE - 1), 0);
    assert_eq!(bench.turn(2 * HOUR + MINUTE), 1);
}

#[test]
fn what_a_crash_leaves_behind_is_begun_anew_or_removed() {
    let bench = Bench::new();
    let rotated = bench.write(ROTATED, &line("192.0.2.77", "x"));
    bench.write(
        &format!("{ROTATED}{PART}"),
        "half of a copy, longer than what it becomes, with 192.0.2.77 in it, and more",
    );
    let orphan = "security-2026-09-20T120000.000000Z.log.part";
    bench.write(orphan, "192.0.2.77");
    bench.write("security-notes.log.part", "mine");
    assert_eq!(bench.turn(7 * DAY), 1);
    assert_eq!(bench.names(), [ROTATED, "security-notes.log.part"]);
    let text = std::fs::read_to_string(rotated).expect("a file");
    assert!(text.ends_with(&line("192.0.2.0/24", "x")) && text.lines().count() == 2, "{text}");
}

#[test]
fn a_copy_that_another_process_is_making_is_left_to_it() {
    let bench = Bench::new();
    let rotated = bench.write(ROTATED, &line("192.0.2.77", "x"));
    let part = bench.folder.path().join(format!("{ROTATED}{PART}"));
    let theirs = claim(&part).expect("a claim").expect("free");
    (&theirs).write_all(b"theirs").expect("written");
    assert_eq!(bench.turn(7 * DAY), 0);
    assert_eq!(std::fs::read_to_string(&part).expect("a file"), "theirs");
    // It is put in place, and the name is free again: what was opened meanwhile is not taken for one's own.
    std::fs::rename(&part, &rotated).expect("renamed");
    assert_eq!(std::fs::read_to_string(&rotated).expect("a file"), "theirs");
    assert!(!is_still_there(&theirs, &part));
}

#[test]
fn who_reads_or_follows_meanwhile_sees_each_line_once() {
    let bench = Bench::new();
    let old: Vec<String> = (0..3).map(|number| line("192.0.2.77", &number.to_string())).collect();
    // One has followed the file since before its rotation, the other has opened the rotated one; both have read a line.
    let current = bench.write("security.log", &old.concat());
    let mut follower = Follower::new(&current);
    assert!(follower.next_line().expect("a file").is_some());
    let rotated = bench.folder.path().join(ROTATED);
    std::fs::rename(&current, &rotated).expect("rotated");
    let mut reader = Follower::of_rotated(&rotated);
    assert!(reader.next_line().expect("a file").is_some());
    bench.write("security.log", &line("192.0.2.78", "3"));
    assert_eq!(bench.turn(7 * DAY), 1);
    let rest = |follower: &mut Follower| {
        let mut found = Vec::new();
        while let Some(line) = follower.next_line().expect("a file") {
            let value: Value = serde_json::from_str(&line).expect("a line of ours");
            found.push(value["detail"].as_str().expect("a detail").to_owned());
        }
        found
    };
    assert_eq!(rest(&mut follower), ["1", "2", "3"], "on with the file that is written now");
    assert_eq!(rest(&mut reader), ["1", "2"]);
    // Who comes later reads the copy.
    assert_eq!(rest(&mut Follower::of_rotated(&rotated)).len(), 4, "the remark and three lines");
}

#[test]
fn a_line_longer_than_any_of_ours_passes_in_pieces() {
    let bench = Bench::new();
    let long = "x".repeat(300 * 1024);
    let rotated = bench.write(ROTATED, &(line("192.0.2.77", &long) + &line("192.0.2.77", "after")));
    assert_eq!(bench.turn(7 * DAY), 1);
    let text = std::fs::read_to_string(rotated).expect("a file");
    assert!(!text.contains("192.0.2.77") && text.contains(&long) && text.ends_with(&line("192.0.2.0/24", "after")));
}

#[test]
fn words_that_only_look_like_addresses_stay() {
    for text in ["", "a", ":", "12:30", "1.2.3", "300.1.2.3", "cafe", "Chrome/120.0", "10.0.0.0/8", "2001:db8::/32"] {
        assert_eq!(shortened(text), None, "{text}");
    }
    assert_eq!(
        shortened("from ::ffff:192.0.2.7, at 2001:db8::"),
        Some("from 192.0.2.0/24, at 2001:db8::/48".to_owned())
    );
    assert_eq!(shortened("é192.0.2.7é"), Some("é192.0.2.0/24é".to_owned()));
}
