//! The log as a whole: real files, a real thread, a clock of the test's own.

use super::*;
use crate::config::{Config, Overrides};
use chatward_types::{HOUR, Outcome, SECOND, SessionId, Severity, Timestamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::time::Instant;

const START: Timestamp = 1_790_000_000_000_000;
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.0.load(Ordering::SeqCst)
    }
}

struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<TestClock>,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            clock: Arc::new(TestClock(AtomicI64::new(START))),
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("logs/security.log")
    }

    fn start(&self, settings: &[(&'static str, &str)]) -> EventLog {
        let mut all = BTreeMap::from([("logging.security_file", self.path().to_string_lossy().into_owned())]);
        all.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let overrides = Overrides { settings: all, ..Overrides::default() };
        let config = Config::load(None, &BTreeMap::new(), &overrides).expect("a configuration");
        EventLog::start(&config.logging, Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    fn event(&self, name: EventName) -> Event {
        Event::new(self.clock.now(), name, Severity::Info, Outcome::Success)
    }

    fn flush(&self, log: &EventLog) -> bool {
        self.runtime.block_on(log.flush(DEADLINE))
    }

    fn advance(&self, by: Timestamp) {
        self.clock.0.fetch_add(by, Ordering::SeqCst);
    }

    fn rotated(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.path().join("logs"))
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| *path != self.path())
            .collect();
        files.sort();
        files
    }
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(path)
        .expect("the file")
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .collect()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_event_is_one_line_with_every_field_and_no_whole_session() {
    let bench = Bench::new();
    let log = bench.start(&[]);
    let session = ["session", "_", "4fJk2LmN8pQrS6tUvW1xYz", "0123456789abcdefABCDEF"].concat();
    log.emit(Event {
        request_id: Some("req_1".into()),
        address: Some("192.0.2.7".parse().expect("an address")),
        user_agent: Some(format!("Mozilla\r\n{{\"event\":\"FORGED\"}}\u{1b}[31m\u{202e}{}", "é".repeat(300)).into()),
        path: Some("/api/v1/widget/messages"),
        session: Some(SessionId::from_verified(session.clone())),
        detail: Some("two words".into()),
        ..bench.event(EventName::ChatMessageProcessed)
    });
    assert!(bench.flush(&log));
    let text = std::fs::read_to_string(bench.path()).expect("the file");
    assert_eq!(text.matches('\n').count(), 1);
    assert!(text.starts_with("{\"category\":\"SECURITY\",\"time\":\"2026-09-21T"), "{text}");
    assert!(!text.contains(&session) && !text.contains('\u{1b}') && !text.contains('\u{202e}'));
    let line = &lines(&bench.path())[0];
    assert_eq!(line["event"], "CHAT_MESSAGE_PROCESSED");
    assert_eq!((&line["severity"], &line["outcome"]), (&"info".into(), &"success".into()));
    assert_eq!((&line["request_id"], &line["address"]), (&"req_1".into(), &"192.0.2.7".into()));
    assert_eq!((&line["path"], &line["detail"]), (&"/api/v1/widget/messages".into(), &"two words".into()));
    assert_eq!(line["session"], session[..16]);
    assert_eq!(line["site"], serde_json::Value::Null);
    let agent = line["user_agent"].as_str().expect("a text");
    assert!(agent.starts_with("Mozilla{\"event\":\"FORGED\"}[31m") && agent.len() <= 256, "{agent}");
}

#[cfg(unix)]
#[test]
fn the_file_and_its_folder_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    let bench = Bench::new();
    let log = bench.start(&[]);
    log.emit(bench.event(EventName::ServerLifecycle));
    assert!(bench.flush(&log));
    assert_eq!((mode(&bench.path()), mode(&bench.folder.path().join("logs"))), (0o600, 0o700));
    drop(log);
    // A file that is there already, loosely, is tightened.
    std::fs::set_permissions(bench.path(), std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let log = bench.start(&[]);
    log.emit(bench.event(EventName::ServerLifecycle));
    assert!(bench.flush(&log));
    assert_eq!(mode(&bench.path()), 0o600);
    assert_eq!(lines(&bench.path()).len(), 2, "and appended to");
}

#[test]
fn a_storm_becomes_ten_lines_and_a_count() {
    let bench = Bench::new();
    let log = bench.start(&[]);
    for _ in 0..500 {
        log.emit(Event {
            address: Some("192.0.2.9".parse().expect("an address")),
            ..bench.event(EventName::RateLimitExceeded)
        });
    }
    for _ in 0..100 {
        log.emit(bench.event(EventName::ChatMessageProcessed));
    }
    assert!(bench.flush(&log));
    let written = lines(&bench.path());
    let ordinary = written.iter().filter(|line| line["event"] == "CHAT_MESSAGE_PROCESSED").count();
    assert_eq!(ordinary, 100, "what is no storm is always listed");
    let storm: Vec<_> = written.iter().filter(|line| line["event"] == "RATE_LIMIT_EXCEEDED").collect();
    assert_eq!(storm.len(), 11);
    assert_eq!(storm[10]["count"], 490);
    assert_eq!(storm[10]["address"], "192.0.2.9");
    assert!(storm[..10].iter().all(|line| line.get("count").is_none()));
    let counts: BTreeMap<&str, u64> = log.counts().into_iter().collect();
    assert_eq!(counts, BTreeMap::from([("RATE_LIMIT_EXCEEDED", 500), ("CHAT_MESSAGE_PROCESSED", 100)]));
}

#[test]
fn a_storms_count_is_written_when_its_minute_ends_without_being_asked() {
    let bench = Bench::new();
    let log = bench.start(&[]);
    for _ in 0..30 {
        log.emit(bench.event(EventName::HostRefused));
    }
    bench.advance(60 * SECOND);
    eventually("the count is written", || {
        bench.path().exists() && lines(&bench.path()).iter().any(|line| line["count"] == 20)
    });
}

#[test]
fn the_file_rotates_by_size_and_no_line_is_lost() {
    let bench = Bench::new();
    let log = bench.start(&[("logging.rotate_bytes", "65536")]);
    for number in 0..600 {
        log.emit(Event {
            detail: Some(format!("{number} {}", "x".repeat(300)).into()),
            ..bench.event(EventName::ChatMessageProcessed)
        });
        bench.advance(1);
        if number % 50 == 0 {
            assert!(bench.flush(&log));
        }
    }
    assert!(bench.flush(&log));
    let mut files = bench.rotated();
    assert!(files.len() >= 3, "{files:?}");
    files.push(bench.path());
    let mut numbers = Vec::new();
    for file in &files {
        assert!(std::fs::metadata(file).expect("it exists").len() <= 65_536);
        numbers.extend(lines(file).iter().map(|line| {
            line["detail"].as_str().and_then(|text| text.split(' ').next()?.parse::<u32>().ok()).expect("a number")
        }));
    }
    assert_eq!(numbers, (0..600).collect::<Vec<u32>>());
}

#[test]
fn the_file_rotates_by_age_also_across_a_restart_and_old_ones_are_deleted() {
    let bench = Bench::new();
    let settings = [("logging.rotate_hours", "24"), ("logging.keep_days", "2")];
    let log = bench.start(&settings);
    log.emit(bench.event(EventName::ServerLifecycle));
    assert!(bench.flush(&log));
    drop(log);
    std::fs::write(bench.folder.path().join("logs/security-notes.log"), "mine").expect("written");
    bench.advance(24 * HOUR);
    let log = bench.start(&settings);
    log.emit(bench.event(EventName::ServerLifecycle));
    assert!(bench.flush(&log));
    log.emit(bench.event(EventName::ServerLifecycle));
    assert!(bench.flush(&log));
    eventually("the first file is rotated", || bench.rotated().len() == 2);
    assert!(!lines(&bench.path()).is_empty());
    bench.advance(48 * HOUR);
    eventually("the rotated ones are deleted, or are young", || {
        log.emit(bench.event(EventName::ServerLifecycle));
        bench.flush(&log);
        let rotated = bench.rotated();
        rotated.len() == 2 && rotated.iter().any(|path| path.ends_with("security-notes.log"))
    });
}

#[test]
fn an_unwritable_file_never_blocks_and_is_caught_up_later() {
    let bench = Bench::new();
    // A file stands where the folder should be.
    let blocked = bench.folder.path().join("logs");
    std::fs::write(&blocked, "in the way").expect("written");
    let log = bench.start(&[]);
    for _ in 0..100 {
        log.emit(bench.event(EventName::ChatMessageProcessed));
    }
    eventually("attempts fail", || log.write_failures() >= 2);
    let asked = Instant::now();
    assert!(!bench.runtime.block_on(log.flush(Duration::from_millis(500))), "it is not on the disk");
    assert!(asked.elapsed() < Duration::from_secs(5));
    std::fs::remove_file(&blocked).expect("removed");
    eventually("it is written", || bench.flush(&log));
    let written = lines(&bench.path());
    assert_eq!(written.iter().filter(|line| line["event"] == "CHAT_MESSAGE_PROCESSED").count(), 100);
    let gap = written.iter().find(|line| line["event"] == "SECURITY_LOG_GAP").expect("the gap is told");
    assert_eq!(gap["count"], 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_counted_lines_and_nothing_else() {
    let bench = Bench::new();
    std::fs::create_dir(bench.folder.path().join("logs")).expect("a folder");
    std::os::unix::fs::symlink("/dev/full", bench.path()).expect("a link");
    let log = bench.start(&[]);
    let emitted: u64 = 20_000;
    let began = Instant::now();
    for _ in 0..emitted {
        log.emit(Event { detail: Some("x".repeat(200).into()), ..bench.event(EventName::ChatMessageProcessed) });
    }
    assert!(began.elapsed() < Duration::from_secs(5), "no event waits for the disk");
    eventually("the disk is full", || log.write_failures() > 0);
    assert!(!bench.runtime.block_on(log.flush(Duration::from_secs(2))));
    std::fs::remove_file(bench.path()).expect("room again");
    eventually("it is written", || bench.flush(&log));
    let written = lines(&bench.path());
    let chats = written.iter().filter(|line| line["event"] == "CHAT_MESSAGE_PROCESSED").count() as u64;
    let gaps: u64 = written
        .iter()
        .filter(|line| line["event"] == "SECURITY_LOG_GAP")
        .filter_map(|line| line["count"].as_u64())
        .sum();
    assert!(log.dropped() > 0, "more than is held");
    assert_eq!(gaps, log.dropped());
    assert_eq!(chats + gaps, emitted);
}

#[test]
fn a_file_moved_away_by_others_is_opened_anew() {
    let bench = Bench::new();
    let log = bench.start(&[]);
    log.emit(bench.event(EventName::SessionCreated));
    assert!(bench.flush(&log));
    std::fs::rename(bench.path(), bench.folder.path().join("moved.log")).expect("moved");
    eventually("a new file has lines", || {
        log.emit(bench.event(EventName::SessionDeleted));
        bench.flush(&log);
        bench.path().exists() && !lines(&bench.path()).is_empty()
    });
}

#[test]
fn dropping_the_last_handle_writes_what_is_left() {
    let bench = Bench::new();
    let log = bench.start(&[]);
    let other = log.clone();
    other.emit(bench.event(EventName::SessionCreated));
    drop(log);
    drop(other);
    eventually("the line is there", || bench.path().exists() && lines(&bench.path()).len() == 1);
}

#[test]
fn a_log_that_discards_still_counts_and_its_tail_is_bounded() {
    let bench = Bench::new();
    let log = EventLog::discarding(Arc::clone(&bench.clock) as Arc<dyn Clock>);
    for number in 0..1000 {
        log.emit(Event { detail: Some(number.to_string().into()), ..bench.event(EventName::ChatError) });
    }
    assert_eq!(log.counts(), [("CHAT_ERROR", 1000)]);
    let tail = log.tail();
    assert_eq!((tail.len(), tail[255].detail.as_deref()), (256, Some("999")));
    assert!(bench.flush(&log));
}
