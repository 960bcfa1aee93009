//! kill -9 in the middle of writing, fifty times: every message that was acknowledged is there afterwards.
//!
//! The test binary starts itself as the child, which appends and says each id after its acknowledgement; the parent
//! kills it without warning and opens the file again. That the disk was asked to keep each commit is asserted by setting,
//! since a killed process leaves the operating system's cache alive.

#![expect(clippy::expect_used, reason = "a test fails by panicking, also in what its tests share")]

use chatward_store::{HotRow, MessageRow, MessageState, NewSite, Role, SessionRow, Store, StoreConfig};
use chatward_testkit::{FakeClock, FakeEntropy};
use chatward_types::{Clock, ConversationId, MessageId, OwnerId, Scope, SessionId, SiteId, SystemClock};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

const KILLS: i64 = 50;
/// Sessions that write at the same time, so that batches hold several appends when the end comes.
const WRITERS: usize = 8;
const DATABASE: &str = "CHATWARD_CRASH_TEST_DATABASE";
const RUN: &str = "CHATWARD_CRASH_TEST_RUN";

#[tokio::test]
async fn no_acknowledged_message_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("chatward.db");
    let config = StoreConfig::development(format!("sqlite://{}", path.display()));
    let scope = prepare(&config).await;
    let mut acknowledged: BTreeMap<ConversationId, BTreeSet<MessageId>> = BTreeMap::new();
    let mut total = 0;
    for run in 0..KILLS {
        for (conversation, message) in killed_run(config.url.expose(), run) {
            acknowledged.entry(conversation).or_default().insert(message);
            total += 1;
        }
        let store = Store::connect(&config).await.expect("the file opens after the kill");
        assert_eq!(store.durability().await.expect("a word"), "FULL");
        for (conversation, messages) in acknowledged.iter().rev().take(WRITERS) {
            assert_all_there(&store, &scope, *conversation, messages).await;
        }
        // Left without close, as the killed one was: the next run finds a log that nobody folded in.
        drop(store);
    }
    assert!(total > KILLS, "the children wrote something: {total}");
    let store = Store::connect(&config).await.expect("the file");
    for (conversation, messages) in &acknowledged {
        assert_all_there(&store, &scope, *conversation, messages).await;
    }
    store.close().await;
    let mut file = SqliteConnectOptions::new().filename(&path).connect().await.expect("the file");
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut file).await.expect("a check");
    assert_eq!(sound, "ok");
}

async fn prepare(config: &StoreConfig) -> Scope {
    let (clock, entropy) = (FakeClock::default(), FakeEntropy::default());
    let owner = OwnerId::generate(&clock, &entropy).expect("an id");
    let store = Store::connect(config).await.expect("a file");
    store.migrate().await.expect("the schema");
    store.insert_owner(owner, "alice", 1).await.expect("an owner");
    let site = NewSite {
        id: SiteId::generate(&clock, &entropy).expect("an id"),
        publishable_key: "publishable-crash".to_owned(),
        url: String::new(),
        name: String::new(),
        origins: Vec::new(),
        settings: "{}".to_owned(),
        created_at: 1,
    };
    store.insert_site(&Scope::of(owner), &site).await.expect("a site");
    store.close().await;
    Scope::of(owner)
}

async fn assert_all_there(
    store: &Store,
    scope: &Scope,
    conversation: ConversationId,
    acknowledged: &BTreeSet<MessageId>,
) {
    let rows = store.list_messages(scope, conversation, 1_000_000).await.expect("a list");
    for row in &rows {
        assert_eq!(row.sealed, body(row.id), "each with its own body");
    }
    let stored: BTreeSet<MessageId> = rows.into_iter().map(|row| row.id).collect();
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged messages are lost: {lost:?}", lost.len(), acknowledged.len());
}

fn body(id: MessageId) -> Vec<u8> {
    id.to_string().repeat(20).into_bytes()
}

/// Starts a child, kills it some moments after its first acknowledgement, returns what it had said.
#[expect(clippy::disallowed_methods, reason = "the test kills a process, so it starts one")]
fn killed_run(url: &str, run: i64) -> Vec<(ConversationId, MessageId)> {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
        .env(DATABASE, url)
        .env(RUN, run.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut said = String::new();
    // Until the first acknowledgement; a child that ends early would end its output too.
    while !said.contains("ack ") {
        assert!(output.read_line(&mut said).expect("a line") > 0, "the child ended by itself: {said}");
    }
    let moment = SystemClock.now() % 120;
    std::thread::sleep(Duration::from_millis(u64::try_from(moment).expect("small")));
    child.kill().expect("killed");
    output.read_to_string(&mut said).expect("the rest of what it said");
    assert!(!child.wait().expect("its end").success());
    // The last line may be torn; a torn acknowledgement is none.
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    whole
        .lines()
        .filter_map(|line| line.split_once("ack ").map(|(_, ids)| ids))
        .map(|ids| {
            let (conversation, message) = ids.split_once(' ').expect("two ids");
            (conversation.parse().expect("an id"), message.parse().expect("an id"))
        })
        .collect()
}

/// Not a test by itself: without the parent's variables it has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the parent tells its child by environment")]
async fn child_that_writes_until_it_is_killed() {
    let (Ok(url), Ok(run)) = (std::env::var(DATABASE), std::env::var(RUN)) else { return };
    let run: i64 = run.parse().expect("a number");
    let store = Store::connect(&StoreConfig::development(url)).await.expect("the file");
    let site = store.admin_list_sites().await.expect("a list").remove(0);
    let scope = Scope::of(site.owner);
    // Ids of a run lie in its own hour.
    let clock = std::sync::Arc::new(FakeClock::at(1_700_000_000_000_000 + run * chatward_types::HOUR));
    let entropy = std::sync::Arc::new(FakeEntropy::default());
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (store, clock, entropy) = (store.clone(), clock.clone(), entropy.clone());
        let (owner, site) = (site.owner, site.id);
        writers.push(tokio::spawn(async move {
            let conversation = ConversationId::generate(&*clock, &*entropy).expect("an id");
            let session = SessionRow {
                id: SessionId::from_verified(format!("session_{conversation}")),
                owner,
                site,
                conversation,
                origin: String::new(),
                network: String::new(),
                created_at: clock.now(),
                last_activity_at: clock.now(),
            };
            store.append(vec![HotRow::Session(session)]).await.expect("a session");
            loop {
                clock.advance(1000);
                let id = MessageId::generate(&*clock, &*entropy).expect("an id");
                let row = MessageRow {
                    id,
                    conversation,
                    role: Role::User,
                    state: MessageState::Complete,
                    provider: String::new(),
                    sealed: body(id),
                    created_at: clock.now(),
                };
                store.append(vec![HotRow::Message { scope, row }]).await.expect("a message");
                println!("\nack {conversation} {id}");
            }
        }));
    }
    futures_util::future::join_all(writers).await;
}
