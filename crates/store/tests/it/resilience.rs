//! What the store does when the database is gone, busy, lied to or left in the middle.

use crate::on_both;
use crate::world::World;
use chatward_store::{Engine, HotRow, Store, StoreConfig};
use chatward_types::{Kind, OwnerId};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

on_both! {
    async fn commits_are_durable_by_setting(world) {
        let expected = match world.store().engine() { Engine::Sqlite => "FULL", Engine::Postgres => "on" };
        assert_eq!(world.store().durability().await.expect("a word"), expected);
        world.store().check().await.expect("ready");
    }

    async fn a_closed_store_is_unavailable_and_says_no_more(world) {
        let session = world.open(&world.alice).await;
        let (store, scope) = (world.store(), &world.alice.scope);
        store.close().await;
        let touch = HotRow::Touch { scope: *scope, session: session.id.clone(), at: 1 };
        for error in [
            store.check().await.expect_err("closed"),
            store.get_site(scope, world.alice.site).await.expect_err("closed"),
            store.delete_session(scope, &session.id, 1).await.expect_err("closed"),
            store.find_site_key("x").await.expect_err("closed"),
            store.take_budget("x", 1, 1, 1).await.expect_err("closed"),
            store.admin_list_sites().await.expect_err("closed"),
            store.append(vec![touch]).await.expect_err("closed"),
        ] {
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
            assert_eq!(error.public(), chatward_types::Error::unavailable("").public(), "one constant text");
            assert!(error.source_line().is_some(), "the log gets the cause");
        }
    }

    async fn a_caller_that_leaves_in_the_middle_harms_nobody(world) {
        let store = world.store();
        let seq = store.latest_change().await.expect("a number");
        for step in 0..60_u64 {
            // Dropped at some point of the transaction, from before its begin to after its commit.
            let removing = store.announce_change("left", None, "x", world.now());
            let _ = tokio::time::timeout(Duration::from_micros(step * 40), removing).await;
        }
        store.announce_change("stayed", None, "x", world.now()).await.expect("the writer is free");
        let changes = store.changes_after(seq, 1000).await.expect("changes");
        assert_eq!(changes.last().map(|change| change.kind.as_str()), Some("stayed"));
        world.open(&world.alice).await;
    }

    async fn a_statement_that_fails_leaves_no_half(world) {
        let store = world.store();
        let seq = store.latest_change().await.expect("a number");
        for _ in 0..10 {
            // The owner is taken: the transaction ends by an error, and its connection goes back clean.
            assert!(store.insert_owner(world.alice.owner, "again", 1).await.is_err());
        }
        let fresh = world.id(OwnerId::generate);
        store.insert_owner(fresh, "new", 1).await.expect("the connection is usable");
        assert_eq!(store.latest_change().await.expect("a number"), seq);
    }
}

#[tokio::test]
async fn the_database_files_are_for_their_owner_alone() {
    let world = World::new(Engine::Sqlite).await;
    world.open(&world.alice).await;
    let path = world.db.path().expect("a file");
    let mode = |suffix: &str| {
        let mut name = path.clone().into_os_string();
        name.push(suffix);
        std::fs::metadata(name).expect("a file").permissions().mode() & 0o777
    };
    assert_eq!([mode(""), mode("-wal"), mode("-shm")], [0o600; 3]);
    world.store().close().await;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("loosened");
    let again = Store::connect(world.db.config()).await.expect("opened");
    assert_eq!(mode(""), 0o600, "tightened when it is opened");
    again.close().await;
}

#[tokio::test]
async fn the_write_ahead_log_is_folded_in_by_a_close() {
    let world = World::new(Engine::Sqlite).await;
    world.open(&world.alice).await;
    world.store().close().await;
    let mut log = world.db.path().expect("a file").into_os_string();
    log.push("-wal");
    assert!(!std::path::Path::new(&log).exists());
}

#[tokio::test]
async fn a_writer_in_another_process_is_waited_for() {
    let world = World::new(Engine::Sqlite).await;
    let mut other =
        SqliteConnectOptions::new().filename(world.db.path().expect("a file")).connect().await.expect("the file");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock");
    sqlx::query("INSERT INTO settings (name, value) VALUES ('theirs', '1')").execute(&mut other).await.expect("a row");
    let (ours, _) = tokio::join!(world.store().set_setting_if_absent("ours", "1"), async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        sqlx::query("COMMIT").execute(&mut other).await.expect("the lock is free")
    });
    assert_eq!(ours.expect("after them"), "1");
    assert_eq!(world.store().get_setting("theirs").await.expect("a read").as_deref(), Some("1"));
}

#[tokio::test]
async fn whoever_waits_for_the_writer_waits_no_longer_than_agreed() {
    let world = World::new(Engine::Sqlite).await;
    let session = world.open(&world.alice).await;
    let config = StoreConfig { acquire_deadline: Duration::from_millis(200), ..world.db.config().clone() };
    let store = Store::connect(&config).await.expect("a second store on the file");
    let mut other =
        SqliteConnectOptions::new().filename(world.db.path().expect("a file")).connect().await.expect("the file");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock");

    // The first append takes the writer and waits for the file's lock; seven more fill the queue's 32 MiB.
    let large = |number: u8| {
        let mut row = world.message(&session, "");
        row.sealed = vec![number; (4 << 20) - 1024];
        let (store, scope) = (store.clone(), world.alice.scope);
        tokio::spawn(async move { store.append(vec![HotRow::Message { scope, row }]).await })
    };
    let waiting: Vec<_> = (0..8).map(large).collect();
    // One thread runs this test: after this all eight are in the queue.
    tokio::task::yield_now().await;
    let late = large(9).await.expect("no panic").expect_err("there is no room");
    assert_eq!(late.kind(), Kind::Unavailable);
    let refused = store.announce_change("x", None, "x", 1).await.expect_err("the writer is taken");
    assert_eq!(refused.kind(), Kind::Unavailable);
    store.list_messages(&world.alice.scope, session.conversation, 10).await.expect("readers wait for nobody");

    sqlx::query("ROLLBACK").execute(&mut other).await.expect("the lock is free");
    for append in waiting {
        append.await.expect("no panic").expect("in time after all");
    }
    store.close().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let url = ["postgres://chatward:", "canary-pass", "@127.0.0.1:1/chatward"].concat();
    let refused = Store::connect(&StoreConfig::development(url)).await.expect_err("nobody listens on port 1");
    assert_eq!(refused.kind(), Kind::Unavailable);
    assert!(!format!("{refused:?} {refused}").contains("canary"), "no part of the address in any text");
    let garbled = ["postgres://chatward:", "canary-pass", "@[::bad/x"].concat();
    let refused = Store::connect(&StoreConfig::development(garbled)).await.expect_err("no address");
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(!format!("{refused:?} {refused}").contains("canary"));
}

#[tokio::test]
async fn connections_that_the_server_ends_are_replaced() {
    let world = World::new(Engine::Postgres).await;
    for _ in 0..3 {
        world.store().list_sites(&world.alice.scope).await.expect("a list");
    }
    let mut superuser = world.db.superuser().await;
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .execute(&mut superuser)
        .await
        .expect("ended");
    let mut failures = 0;
    while let Err(error) = world.store().list_sites(&world.alice.scope).await {
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        failures += 1;
        assert!(failures <= 4, "as many as there were connections, no more");
    }
    world.open(&world.alice).await;
}

#[tokio::test]
async fn a_folder_instead_of_a_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = StoreConfig::development(format!("sqlite://{}", folder.path().display()));
    assert_eq!(Store::connect(&config).await.expect_err("a folder").kind(), Kind::Unavailable);
    let config = StoreConfig::development("mysql://localhost/chatward");
    assert_eq!(Store::connect(&config).await.expect_err("another engine").kind(), Kind::Invalid);
}
