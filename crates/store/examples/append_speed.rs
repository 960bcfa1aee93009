//! How fast `append` is: callers that each write two messages and a usage row, as an answer does, one after another.
//!
//!     cargo run --release -p chatward-store --example append_speed -- [CALLERS] [SECONDS] [URL]
//!
//! Defaults: 256 callers, 5 seconds, a new SQLite file in the temporary folder. Prints one append of one message and one
//! append of an answer's three rows and touch, as appends per second, CPU time per append and the waits at p50 and p99.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a measurement for people to read")]

use chatward_store::{HotRow, MessageRow, MessageState, NewSite, Role, SessionRow, Store, StoreConfig, UsageRow};
use chatward_testkit::{FakeClock, FakeEntropy};
use chatward_types::{Clock, ConversationId, MessageId, OwnerId, Scope, SessionId, SiteId, SystemClock, UsageId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a sealed message of ordinary length takes.
const BODY: usize = 400;

#[derive(Clone)]
struct Bench {
    store: Store,
    scope: Scope,
    site: SiteId,
    clock: Arc<FakeClock>,
    entropy: Arc<FakeEntropy>,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let callers: usize = arguments.next().map_or(256, |text| text.parse().expect("a number of callers"));
    let seconds: u64 = arguments.next().map_or(5, |text| text.parse().expect("a number of seconds"));
    let folder = tempfile::tempdir().expect("a folder");
    let url = arguments.next().unwrap_or_else(|| format!("sqlite://{}", folder.path().join("speed.db").display()));
    let bench = Bench::new(&url).await;
    println!("{} at {callers} callers, {seconds} s each", bench.store.durability().await.expect("a word"));
    for (name, whole) in [("one message", false), ("an answer", true)] {
        bench.measure(name, whole, callers, Duration::from_secs(seconds)).await;
    }
    bench.store.close().await;
}

impl Bench {
    async fn new(url: &str) -> Self {
        let store = Store::connect(&StoreConfig::development(url)).await.expect("a database");
        store.migrate().await.expect("the schema");
        // Each run has ids of its own, so that a database can be used again.
        let clock = Arc::new(FakeClock::at(SystemClock.now()));
        let entropy = Arc::new(FakeEntropy::default());
        let owner = OwnerId::generate(&*clock, &*entropy).expect("an id");
        let site = SiteId::generate(&*clock, &*entropy).expect("an id");
        let scope = Scope::of(owner);
        store.insert_owner(owner, "speed", clock.now()).await.expect("an owner");
        let new = NewSite {
            id: site,
            publishable_key: format!("publishable-{site}"),
            url: String::new(),
            name: String::new(),
            origins: Vec::new(),
            settings: "{}".to_owned(),
            created_at: clock.now(),
        };
        store.insert_site(&scope, &new).await.expect("a site");
        Self { store, scope, site, clock, entropy }
    }

    async fn measure(&self, name: &str, whole: bool, callers: usize, span: Duration) {
        let (cpu, started) = (cpu_seconds(), Instant::now());
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let bench = self.clone();
                tokio::spawn(async move { bench.call(whole, started + span).await })
            })
            .collect();
        let mut waits = Vec::new();
        for task in tasks {
            waits.extend(task.await.expect("a caller"));
        }
        let (elapsed, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        waits.sort_unstable();
        let appends = waits.len();
        let at = |share: usize| waits[(appends - 1) * share / 100].as_secs_f64() * 1000.0;
        println!(
            "{name:12} {:8.0} appends/s  {:6.1} µs CPU an append  p50 {:6.2} ms  p99 {:6.2} ms",
            appends as f64 / elapsed,
            cpu * 1e6 / appends as f64,
            at(50),
            at(99),
        );
    }

    async fn call(&self, whole: bool, end: Instant) -> Vec<Duration> {
        let conversation = ConversationId::generate(&*self.clock, &*self.entropy).expect("an id");
        let session = SessionRow {
            id: SessionId::from_verified(format!("session_{conversation}")),
            owner: self.scope.owner(),
            site: self.site,
            conversation,
            origin: String::new(),
            network: String::new(),
            created_at: self.clock.now(),
            last_activity_at: self.clock.now(),
        };
        let name = session.id.clone();
        self.store.append(vec![HotRow::Session(session)]).await.expect("a session");
        let mut waits = Vec::new();
        while Instant::now() < end {
            self.clock.advance(7);
            let mut rows = vec![self.message(conversation, Role::User)];
            if whole {
                rows.push(self.message(conversation, Role::Assistant));
                rows.push(self.usage());
                rows.push(HotRow::Touch { scope: self.scope, session: name.clone(), at: self.clock.now() });
            }
            let asked = Instant::now();
            self.store.append(rows).await.expect("an append");
            waits.push(asked.elapsed());
        }
        waits
    }

    fn message(&self, conversation: ConversationId, role: Role) -> HotRow {
        let row = MessageRow {
            id: MessageId::generate(&*self.clock, &*self.entropy).expect("an id"),
            conversation,
            role,
            state: MessageState::Complete,
            provider: "extractive".to_owned(),
            sealed: vec![0xa5; BODY],
            created_at: self.clock.now(),
        };
        HotRow::Message { scope: self.scope, row }
    }

    fn usage(&self) -> HotRow {
        let row = UsageRow {
            id: UsageId::generate(&*self.clock, &*self.entropy).expect("an id"),
            site: self.site,
            provider: "extractive".to_owned(),
            model: String::new(),
            input_tokens: 900,
            output_tokens: 120,
            micro_usd: 200,
            at: self.clock.now(),
        };
        HotRow::Usage { scope: self.scope, row }
    }
}

/// User and system time of this process, from /proc, in seconds (hundredths of a second are its grain).
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("a Linux machine");
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect::<Vec<_>>());
    let ticks = |place: usize| fields.as_ref().and_then(|fields| fields.get(place)?.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
