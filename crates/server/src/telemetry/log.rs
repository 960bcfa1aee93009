//! The server's log: JSON or text on standard error, written by a thread of its own.
//!
//! Owns: the format, the level, and a bounded queue, so that a stalled reader of standard error (a full pipe) costs log
//! lines, which are counted, and never an answer. Never does: read the environment (no RUST_LOG).

use crate::config::{LogFormat, LogLevel, Logging};
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for standard error.
const QUEUE: usize = 8192;
/// Bytes of one line; a longer one is cut.
const LINE: usize = 16 * 1024;
/// Bytes of one write.
const BATCH: usize = 64 * 1024;
/// Libraries whose details are never of use here and may hold what people wrote or asked.
const QUIET: [&str; 9] =
    ["sqlx", "hyper", "hyper_util", "h2", "rustls", "tokio_util", "tower", "html5ever", "dom_query"];

/// The queue of the process's own log, for [`flush`].
static STARTED: OnceLock<Queue> = OnceLock::new();

/// Starts the process's log. The first call counts; further ones (a test's second server) change nothing.
pub fn start(settings: &Logging) {
    let queue = STARTED.get_or_init(|| Queue::to(io::stderr()));
    let subscriber = subscriber(settings, queue.clone());
    // A test or an embedding program may have installed a log of its own.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Waits until everything logged so far is written, but no longer than `deadline`. Call it before the process ends.
pub fn flush(deadline: Duration) -> bool {
    STARTED.get().is_none_or(|queue| queue.flush(deadline))
}

/// What is logged at a level: the libraries' own details never are.
pub fn filter(level: LogLevel) -> EnvFilter {
    let mut directives = level.as_str().to_owned();
    let quiet = if level == LogLevel::Error { "error" } else { "warn" };
    for library in QUIET {
        directives.push_str(&format!(",{library}={quiet}"));
    }
    EnvFilter::new(directives)
}

/// The log in the configured form.
fn subscriber(settings: &Logging, queue: Queue) -> Box<dyn tracing::Subscriber + Send + Sync> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(settings.level)).with_ansi(false).with_writer(queue);
    match settings.format {
        LogFormat::Json => {
            Box::new(builder.json().flatten_event(true).with_current_span(false).with_span_list(false).finish())
        }
        LogFormat::Text => Box::new(builder.finish()),
    }
}

/// The way to the thread that writes.
#[derive(Debug, Clone)]
struct Queue {
    sender: SyncSender<Message>,
    dropped: &'static AtomicU64,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Queue {
    /// Starts the thread.
    fn to(out: impl Write + Send + 'static) -> Self {
        let (sender, receiver) = sync_channel(QUEUE);
        // One queue lives as long as the process.
        let dropped: &'static AtomicU64 = Box::leak(Box::default());
        // Without a thread the receiver is gone, and every line is counted as dropped.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || write_all(out, &receiver, dropped));
        Self { sender, dropped }
    }

    fn flush(&self, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        let (done, waiting) = sync_channel(1);
        let mut message = Message::Flush(done);
        while let Err(refused) = self.sender.try_send(message) {
            message = match refused {
                TrySendError::Full(message) if Instant::now() < until => message,
                TrySendError::Full(_) | TrySendError::Disconnected(_) => return false,
            };
            std::thread::sleep(Duration::from_millis(2));
        }
        waiting.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok()
    }
}

/// Writes line after line, in batches, until every queue is gone.
fn write_all(mut out: impl Write, receiver: &Receiver<Message>, dropped: &AtomicU64) {
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(first) = receiver.recv() {
        let mut next = Some(first);
        let mut waiting = None;
        while let Some(message) = next {
            match message {
                Message::Line(line) => batch.extend_from_slice(&line),
                Message::Flush(done) => {
                    waiting = Some(done);
                    break;
                }
            }
            next = if batch.len() < BATCH { receiver.try_recv().ok() } else { None };
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(batch, "{{\"level\":\"WARN\",\"message\":\"the log lost lines\",\"lines\":{lost}}}");
        }
        // Standard error is the last place to complain to.
        let _ = out.write_all(&batch).and_then(|()| out.flush());
        batch.clear();
        if let Some(done) = waiting {
            let _ = done.send(());
        }
    }
}

/// One line on its way.
#[derive(Debug)]
struct LineWriter {
    line: Vec<u8>,
    queue: Queue,
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = LINE.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return;
        }
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        if self.queue.sender.try_send(Message::Line(line)).is_err() {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter { line: Vec::with_capacity(256), queue: self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Overrides};
    use std::collections::BTreeMap;
    use std::sync::{Arc, Condvar, Mutex, PoisonError};

    /// An output that blocks while it is shut.
    #[derive(Debug, Clone, Default)]
    struct Gate(Arc<(Mutex<State>, Condvar)>);

    /// Whether it is shut, and what came through.
    type State = (bool, Vec<u8>);

    impl Gate {
        fn set(&self, shut: bool) {
            self.0.0.lock().unwrap_or_else(PoisonError::into_inner).0 = shut;
            self.0.1.notify_all();
        }
        fn text(&self) -> String {
            let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8(state.1.clone()).expect("text")
        }
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut state = self.0.1.wait_while(state, |(shut, _)| *shut).unwrap_or_else(PoisonError::into_inner);
            state.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn settings(pairs: &[(&'static str, &str)]) -> Logging {
        let settings: BTreeMap<_, _> = pairs.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        let overrides = Overrides { settings, ..Overrides::default() };
        Config::load(None, &BTreeMap::new(), &overrides).expect("a configuration").logging
    }

    #[test]
    fn json_is_one_object_a_line_whatever_a_field_holds() {
        let gate = Gate::default();
        let queue = Queue::to(gate.clone());
        let log = subscriber(&settings(&[("logging.format", "json")]), queue.clone());
        tracing::subscriber::with_default(log, || {
            tracing::info!(path = "/api\n{\"level\":\"ERROR\"}", status = 200, "request");
            tracing::debug!("not at this level");
            tracing::info!(target: "sqlx::query", "a library's details");
            tracing::info!("x{}", "y".repeat(100_000));
        });
        assert!(queue.flush(Duration::from_secs(10)));
        let text = gate.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        let first: serde_json::Value = serde_json::from_str(lines[0]).expect("JSON");
        assert_eq!((&first["message"], &first["status"]), (&"request".into(), &200.into()));
        assert_eq!(first["path"], "/api\n{\"level\":\"ERROR\"}");
        assert!(first["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
        assert!(lines[1].len() <= LINE);
    }

    #[test]
    fn text_is_plain_and_on_one_line() {
        let gate = Gate::default();
        let queue = Queue::to(gate.clone());
        let log = subscriber(&settings(&[("logging.level", "warn")]), queue.clone());
        tracing::subscriber::with_default(log, || {
            tracing::warn!(detail = "a\u{1b}[31mb", "look");
            tracing::info!("not at this level");
        });
        assert!(queue.flush(Duration::from_secs(10)));
        let text = gate.text();
        assert!(text.contains("WARN") && text.contains("look"), "{text}");
        assert_eq!((text.lines().count(), text.contains('\u{1b}')), (1, false));
    }

    #[test]
    fn a_stalled_reader_costs_lines_and_never_the_caller() {
        let gate = Gate::default();
        gate.set(true);
        let queue = Queue::to(gate.clone());
        let log = subscriber(&settings(&[]), queue.clone());
        let began = Instant::now();
        tracing::subscriber::with_default(log, || {
            for number in 0..30_000 {
                tracing::info!(number, "line");
            }
        });
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(!queue.flush(Duration::from_millis(50)), "nothing is written yet");
        gate.set(false);
        assert!(queue.flush(Duration::from_secs(10)));
        let text = gate.text();
        let written = text.lines().filter(|line| line.contains("number=")).count();
        let lost: usize = text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|line| line["lines"].as_u64())
            .sum::<u64>() as usize;
        assert!(lost > 0 && written >= QUEUE);
        assert_eq!(written + lost, 30_000);
    }
}
