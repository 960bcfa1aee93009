//! Asks a server for answers as fast as it gives them, and says what that cost it.
//!
//! Usage: load KIND --option value …, where KIND is
//!   answers  provider-backed answers through Chatward: --url --site --origin, [--sessions 2000]
//!   direct   the same body to a provider or a proxy before one: --url
//!   idle     answers that wait on a silent provider: --url --site --origin --provider --count 1000 --pid, [--whole yes]
//!   logins   attempts to log in, each with an address of its own, from a network of its own: --url
//! and for all but `idle` [--concurrency 32] [--warm-up 2] [--seconds 8] [--stream yes] [--pid PID] [--expect TEXT].
//! It prints one line of `name=value` pairs separated by tabs, and exits with 1 if any answer was not as it should be.

use chatward_bench::Failure;
use chatward_bench::client::{Connection, parts_of, post};
use chatward_bench::options::Options;
use chatward_bench::process::{cpu_microseconds, resident_kib};
use chatward_bench::statistics::Times;
use chatward_bench::widget::Widget;
use serde_json::json;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::{JoinSet, LocalSet};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measuring,
    Over,
}

struct Run {
    phase: Cell<Phase>,
    failures: Cell<usize>,
    status: u16,
    /// Besides `status`, and counted: what a server says that protects itself.
    busy: Option<u16>,
    turned_away: Cell<usize>,
    expect: Vec<u8>,
    /// From one request of a connection to its next, at least.
    pace: Duration,
}

#[derive(Default)]
struct Measured {
    whole: Times,
    first: Times,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().ok_or("which kind? answers, direct, logins or idle")?;
    let options = Options::read(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        match kind.as_str() {
            "answers" => {
                let widget = Widget::new(options.text("url")?, options.text("site")?, options.text("origin")?)?;
                let connections = answers(&widget, &options).await?;
                load(&options, connections).await
            }
            "direct" => {
                let connections = direct(&options).await?;
                load(&options, connections).await
            }
            "logins" => {
                let attempts = logins(&options).await?;
                load(&options, attempts).await
            }
            "idle" => idle(&options).await,
            other => Err(format!("there is no kind `{other}`").into()),
        }
    })
}

/// Connections with the requests that each sends in turn. No two connections share a session.
type Prepared = Vec<(Connection, Vec<Vec<u8>>)>;

async fn answers(widget: &Widget, options: &Options) -> Result<Prepared, Failure> {
    let concurrency: usize = options.number("concurrency", 32)?;
    let sessions: usize = options.number("sessions", 2000)?;
    let mut prepared = Vec::new();
    for number in 0..concurrency {
        let mut connection = widget.connect().await?;
        let mut requests = Vec::new();
        for session in 0..(sessions / concurrency).max(1) {
            requests.push(widget.session(&mut connection, number + session, options.is_yes("stream")).await?);
        }
        prepared.push((connection, requests));
    }
    Ok(prepared)
}

/// The body that Chatward sends for the sample shop, in size and shape.
async fn direct(options: &Options) -> Result<Prepared, Failure> {
    let (host, path) = parts_of(options.text("url")?)?;
    let passage = "Shipping to Canada costs 12 dollars and takes five to eight working days. ".repeat(10);
    let system = format!("Answer from the passages.\n\n{}", format!("[1] Shipping\n{passage}\n\n").repeat(5));
    let body = json!({
        "model": "bench",
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": "What does shipping to Canada cost?"}],
        "max_tokens": 500, "temperature": 0.2, "stream": options.is_yes("stream"),
    });
    let request = post(host, path, &[], &body.to_string());
    let mut prepared = Vec::new();
    for _ in 0..options.number("concurrency", 32)? {
        prepared.push((Connection::open(host).await?, vec![request.clone()]));
    }
    Ok(prepared)
}

/// Attempts that get as far as a password: no account and no network is held, since each comes once in a long while.
async fn logins(options: &Options) -> Result<Prepared, Failure> {
    let (host, _) = parts_of(options.text("url")?)?;
    let concurrency: usize = options.number("concurrency", 32)?;
    let mut prepared = Vec::new();
    for number in 0..concurrency {
        let attempts = (0..2000_usize).map(|attempt| {
            let from = format!("10.{}.{}.{}", number % 250, attempt / 250, attempt % 250);
            let body = json!({ "email": format!("{number}-{attempt}@example.test"), "password": "wrong ".repeat(4) });
            post(host, "/api/v1/auth/login", &[("x-forwarded-for", &from)], &body.to_string())
        });
        prepared.push((Connection::open(host).await?, attempts.collect()));
    }
    Ok(prepared)
}

async fn load(options: &Options, prepared: Prepared) -> Result<(), Failure> {
    let run = Rc::new(Run {
        phase: Cell::new(Phase::WarmUp),
        failures: Cell::new(0),
        status: options.number("status", 200)?,
        busy: options.number("busy", 0).map(|status| (status > 0).then_some(status))?,
        turned_away: Cell::new(0),
        pace: pace(options, prepared.len())?,
        expect: options.text("expect").unwrap_or("mock provider").as_bytes().to_vec(),
    });
    let pid: u32 = options.number("pid", 0)?;
    let cpu = || if pid == 0 { Ok(0) } else { cpu_microseconds(pid) };
    let mut visitors = JoinSet::new();
    for (connection, requests) in prepared {
        let run = Rc::clone(&run);
        visitors.spawn_local(async move { visit(connection, requests, &run).await.map_err(|error| error.to_string()) });
    }
    tokio::time::sleep(Duration::from_secs_f64(options.number("warm-up", 2.0)?)).await;
    run.phase.set(Phase::Measuring);
    let (began, cpu_before) = (Instant::now(), cpu()?);
    tokio::time::sleep(Duration::from_secs_f64(options.number("seconds", 8.0)?)).await;
    let (cpu_after, elapsed) = (cpu()?, began.elapsed());
    run.phase.set(Phase::Over);
    let mut all = Measured::default();
    while let Some(measured) = visitors.join_next().await {
        let measured = measured?.map_err(Failure::from)?;
        all.whole.merge(measured.whole);
        all.first.merge(measured.first);
    }
    let count = all.whole.count();
    let per_request = if count == 0 { 0.0 } else { (cpu_after - cpu_before) as f64 / count as f64 };
    println!(
        "requests={count}\tper_second={:.0}\tp50_us={}\tp99_us={}\tfirst_p50_us={}\tfirst_p99_us={}\tcpu_us={per_request:.1}\tcpu_share={:.2}\trss_kib={}\tturned_away={}\tfailures={}",
        count as f64 / elapsed.as_secs_f64(),
        all.whole.percentile(0.50),
        all.whole.percentile(0.99),
        all.first.percentile(0.50),
        all.first.percentile(0.99),
        (cpu_after - cpu_before) as f64 / elapsed.as_micros() as f64,
        if pid == 0 { 0 } else { resident_kib(pid)? },
        run.turned_away.get(),
        run.failures.get(),
    );
    if run.failures.get() > 0 || count == 0 {
        return Err("some answers were not as they should be, so the numbers mean nothing".into());
    }
    Ok(())
}

/// How long a connection waits between two requests, so that all of them together send `--rate` a second; without it, none.
fn pace(options: &Options, connections: usize) -> Result<Duration, Failure> {
    let rate: f64 = options.number("rate", 0.0)?;
    Ok(if rate > 0.0 { Duration::from_secs_f64(connections as f64 / rate) } else { Duration::ZERO })
}

async fn visit(mut connection: Connection, requests: Vec<Vec<u8>>, run: &Run) -> Result<Measured, Failure> {
    let mut measured = Measured::default();
    let mut next = Instant::now();
    for request in requests.iter().cycle() {
        if !run.pace.is_zero() {
            // One that comes late does not hurry the ones after it: that would measure the queue of this program.
            next = (next + run.pace).max(Instant::now());
            tokio::time::sleep_until(next.into()).await;
        }
        let sent = Instant::now();
        let answer = connection.exchange(request).await?;
        match run.phase.get() {
            Phase::WarmUp => {}
            Phase::Measuring => {
                measured.whole.add(sent.elapsed());
                measured.first.add(answer.first_byte - sent);
            }
            Phase::Over => break,
        }
        if run.busy == Some(answer.status) {
            run.turned_away.set(run.turned_away.get() + 1);
            continue;
        }
        if answer.status != run.status || !answer.body.windows(run.expect.len()).any(|window| window == run.expect) {
            if run.failures.get() == 0 {
                eprintln!("{} {}", answer.status, String::from_utf8_lossy(&answer.body[..answer.body.len().min(600)]));
            }
            run.failures.set(run.failures.get() + 1);
        }
    }
    Ok(measured)
}

/// How long the answers have waited when the memory is read a second time.
const SILENCE: Duration = Duration::from_secs(4);

async fn idle(options: &Options) -> Result<(), Failure> {
    let widget = Widget::new(options.text("url")?, options.text("site")?, options.text("origin")?)?;
    let (provider, _) = parts_of(options.text("provider")?)?;
    let pid: u32 = options.number("pid", 0)?;
    let count: usize = options.number("count", 1000)?;
    let streamed = !options.is_yes("whole");
    let before = resident_kib(pid)?;
    let mut waiting = Vec::new();
    for number in 0..count {
        let mut connection = widget.connect().await?;
        let request = widget.session(&mut connection, number, streamed).await?;
        connection.send(&request).await?;
        waiting.push(connection);
    }
    let mut asking = Connection::open(provider).await?;
    let question = format!("GET /count HTTP/1.1\r\nhost: {provider}\r\n\r\n").into_bytes();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let open: usize = String::from_utf8(asking.exchange(&question).await?.body)?.trim().parse()?;
        if open >= count {
            break;
        }
        if Instant::now() > deadline {
            return Err(format!("only {open} of {count} answers wait on the provider").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let at_once = resident_kib(pid)?;
    // A connection whose answer is silent gives its buffers back after a tenth of a second.
    tokio::time::sleep(SILENCE).await;
    println!("waiting={count}\trss_before_kib={before}\trss_at_once_kib={at_once}\trss_kib={}", resident_kib(pid)?);
    Ok(())
}
