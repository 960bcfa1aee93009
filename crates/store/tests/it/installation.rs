//! The global tables: settings, signing keys, budgets, nodes, changes.

use crate::on_both;
use crate::world::World;
use chatward_store::{Engine, KeyEnd, NODE_SILENCE, SigningKeyRow, change, signer_setting};
use chatward_types::{Kind, NodeId};
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

on_both! {
    async fn the_first_to_set_a_setting_wins(world) {
        let store = world.store();
        assert_eq!(store.get_setting("installation").await.expect("a read"), None);
        assert_eq!(store.set_setting_if_absent("installation", "one").await.expect("set"), "one");
        assert_eq!(store.set_setting_if_absent("installation", "two").await.expect("kept"), "one");
        assert_eq!(store.get_setting("installation").await.expect("a read").as_deref(), Some("one"));
        let racing = (0..20).map(|number| {
            let store = store.clone();
            async move { store.set_setting_if_absent("race", &number.to_string()).await.expect("a winner") }
        });
        let winners = futures_util::future::join_all(racing).await;
        assert!(winners.iter().all(|winner| winner == &winners[0]), "{winners:?}");
    }

    async fn a_caller_that_leaves_while_a_transaction_begins_spoils_no_connection(world) {
        let store = world.store();
        for polls in (1..=4).cycle().take(80) {
            let mut reading = Box::pin(store.get_setting("installation"));
            for _ in 0..polls {
                if poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await.is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(reading);
            store.replace_setting("left", "x").await.expect("the next one may write");
        }
    }

    async fn signing_keys_are_a_ring_by_purpose(world) {
        let store = world.store();
        let key = |kid: &str, purpose: &str, created_at| SigningKeyRow {
            kid: kid.to_owned(), purpose: purpose.to_owned(), algorithm: "HS256".to_owned(), state: "active".to_owned(),
            sealed: vec![0, 255, 7], created_at, until_at: (created_at == 1).then_some(99),
        };
        assert!(store.insert_signing_key(&key("b", "visitor", 2)).await.expect("inserted"));
        assert!(store.insert_signing_key(&key("a", "visitor", 1)).await.expect("inserted"));
        assert!(store.insert_signing_key(&key("c", "device", 3)).await.expect("inserted"));
        assert!(!store.insert_signing_key(&key("a", "visitor", 9)).await.expect("no error"), "the first one stays");
        assert_eq!(
            store.signing_keys("visitor").await.expect("keys"),
            [key("a", "visitor", 1), key("b", "visitor", 2)], "oldest first"
        );
        assert_eq!(store.signing_keys("user").await.expect("keys"), []);
        store.set_setting_if_absent(&signer_setting("visitor"), "b").await.expect("set");
        let first = store.signing_keys("visitor").await.expect("keys").remove(0);
        assert_eq!(first.kid, "b", "the one that signs comes first");
        assert_eq!(store.all_signing_keys().await.expect("keys").len(), 3);
        assert_eq!(store.prune_signing_keys(98).await.expect("pruned"), 0);
        assert_eq!(store.prune_signing_keys(99).await.expect("pruned"), 1);
    }

    async fn a_rotation_retires_or_cuts_and_ends_logins_of_every_owner(world) {
        let store = world.store();
        let key = |kid: &str| SigningKeyRow {
            kid: kid.to_owned(), purpose: "user".to_owned(), algorithm: "EdDSA".to_owned(), state: "active".to_owned(),
            sealed: vec![7], created_at: 5, until_at: None,
        };
        let mut logins = Vec::new();
        for tenant in [&world.alice, &world.bob] {
            let user = world.user(&tenant.key, chatward_types::Role::Owner);
            store.insert_user(&tenant.scope, &user, &tenant.key).await.expect("a user");
            let login = world.login(user.id);
            assert!(store.insert_login(&tenant.scope, &login, "a hash", 5).await.expect("a login"));
            logins.push((tenant.scope, login.id));
        }
        assert!(store.insert_signing_key(&key("a")).await.expect("inserted"));
        let seq = store.latest_change().await.expect("a number");
        assert_eq!(store.rotate_signing_key(&key("b"), KeyEnd::Checks(Some(50)), 10).await.expect("rotated"), 0);
        assert_eq!(store.rotate_signing_key(&key("c"), KeyEnd::Checks(None), 11).await.expect("rotated"), 0);
        let rows = store.signing_keys("user").await.expect("keys");
        let seen: Vec<_> = rows.iter().map(|row| (row.kid.as_str(), row.state.as_str(), row.until_at)).collect();
        assert_eq!(seen, [("c", "active", None), ("a", "checking", Some(50)), ("b", "checking", None)]);
        let changes = store.changes_after(seq, 10).await.expect("changes");
        assert!(changes.len() == 2 && changes.iter().all(|it| it.kind == change::SIGNING_CHANGED && it.subject == "user"));
        // More owners than are looked at together, and all of them come before these two.
        let many = "INSERT INTO owners (owner_id, name, created_at)
            WITH RECURSIVE n (i) AS (SELECT 1001 UNION ALL SELECT i + 1 FROM n WHERE i < 1600)
            SELECT 'own_' || '0000000000000000000000000000' || i, 'one of many', 1 FROM n";
        assert_eq!(world.db.tamper(many).await, 600);
        let cut = store.rotate_signing_key(&key("d"), KeyEnd::Cut { people: false }, 12).await;
        assert_eq!(cut.expect("cut"), 0, "of other rings nobody's login ends");
        assert_eq!(store.rotate_signing_key(&key("d2"), KeyEnd::Cut { people: true }, 12).await.expect("cut"), 2);
        let rows = store.signing_keys("user").await.expect("keys");
        assert_eq!(rows, [key("d2")], "the others are gone");
        for (scope, id) in logins {
            assert_eq!(store.get_login(&scope, id).await.expect("read").expect("a login").ended_at, Some(12));
        }
        assert!(store.advance_setting("day", "1").await.expect("set"));
        assert!(!store.advance_setting("day", "1").await.expect("kept"));
        assert!(store.advance_setting("day", "2").await.expect("set"));
    }

    async fn a_budget_is_never_passed(world) {
        let store = world.store();
        assert_eq!(store.take_budget("site:a", 10, 60, 100).await.expect("asked"), 60);
        assert_eq!(store.take_budget("site:a", 10, 60, 100).await.expect("asked"), 0, "all or nothing");
        assert_eq!(store.take_budget("site:a", 10, 40, 100).await.expect("asked"), 40, "up to the cap exactly");
        assert_eq!(store.take_budget("site:a", 10, 1, 100).await.expect("asked"), 0);
        assert_eq!(store.take_budget("site:a", 11, 101, 100).await.expect("asked"), 0, "not even as the first of a day");
        assert_eq!(store.budget_taken("site:a", 11).await.expect("a read"), 0);
        assert_eq!(store.take_budget("site:b", 10, 100, 100).await.expect("asked"), 100, "budgets are apart");
        store.return_budget("site:a", 10, 30).await.expect("returned");
        assert_eq!(store.budget_taken("site:a", 10).await.expect("a read"), 70);
        store.return_budget("site:a", 10, 1000).await.expect("returned");
        assert_eq!(store.budget_taken("site:a", 10).await.expect("a read"), 0, "never below nothing");
        store.return_budget("unknown", 1, 5).await.expect("nothing to return to");
        assert_eq!(store.take_budget("site:a", 10, -1, 100).await.expect_err("negative").kind(), Kind::Invalid);
        assert_eq!(store.return_budget("site:a", 10, -1).await.expect_err("negative").kind(), Kind::Invalid);
        assert_eq!(store.prune_budgets(11).await.expect("pruned"), 2);
    }

    async fn a_crowd_cannot_pass_a_budget_either(world) {
        let crowd = (0..60).map(|_| {
            let store = world.store().clone();
            async move { store.take_budget("installation", 1, 7, 100).await.expect("asked") }
        });
        let granted: i64 = futures_util::future::join_all(crowd).await.into_iter().sum();
        assert_eq!(granted, 98);
        assert_eq!(world.store().budget_taken("installation", 1).await.expect("a read"), 98);
    }

    async fn a_node_lives_as_long_as_it_is_heard_of(world) {
        let store = world.store();
        let (first, second) = (world.id(NodeId::generate), world.id(NodeId::generate));
        assert!(!store.heartbeat_node(first, world.now()).await.expect("a beat"), "unknown");
        store.register_node(first, world.now()).await.expect("registered");
        world.clock.advance(1);
        store.register_node(second, world.now()).await.expect("registered");
        assert_eq!(store.live_nodes(world.now()).await.expect("a list"), [first, second]);
        world.clock.advance(NODE_SILENCE);
        assert!(store.heartbeat_node(first, world.now()).await.expect("a beat"));
        world.clock.advance(1);
        assert_eq!(store.live_nodes(world.now()).await.expect("a list"), [first]);
        assert_eq!(store.prune_nodes(world.now() - NODE_SILENCE).await.expect("pruned"), 1);
        store.register_node(first, world.now()).await.expect("again is no error");
        store.remove_node(first).await.expect("removed");
        assert_eq!(store.live_nodes(world.now()).await.expect("a list"), []);
    }

    async fn changes_are_read_in_order_and_once(world) {
        let store = world.store();
        let start = store.latest_change().await.expect("a number");
        let crowd = (0..40).map(|number| {
            let (store, at) = (store.clone(), world.now());
            async move { store.announce_change("test", None, &number.to_string(), at).await.expect("announced") }
        });
        // A reader beside the writers: what it has passed never fills up behind it.
        let reader = async {
            let (mut seen, mut last) = (Vec::new(), start);
            while seen.len() < 40 {
                for change in store.changes_after(last, 7).await.expect("changes") {
                    assert!(change.seq > last);
                    last = change.seq;
                    seen.push(change.subject);
                }
                tokio::task::yield_now().await;
            }
            seen
        };
        let deadline = Duration::from_secs(30);
        let (_, mut seen) = tokio::time::timeout(deadline, async {
            tokio::join!(futures_util::future::join_all(crowd), reader)
        }).await.expect("the reader sees all forty; a number that appeared behind it would be missing");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 40);
        assert_eq!(store.prune_changes(world.now() + 1).await.expect("pruned"), 40 + 2, "and those of the two sites");
        let latest = store.latest_change().await.expect("a number");
        store.announce_change("test", None, "after", world.now()).await.expect("announced");
        assert!(store.latest_change().await.expect("a number") > start + 40 && latest == 0, "numbers are not used again");
    }
}

/// A number is given out before its row can be seen. Were two writers to overlap, a reader could pass the lower number
/// by; so each holds a lock until its commit, here taken by hand.
#[tokio::test]
async fn writers_of_changes_wait_for_each_other() {
    let world = World::new(Engine::Postgres).await;
    let (mut slow, mut observer) = (world.db.superuser().await, world.db.superuser().await);
    sqlx::query("BEGIN").execute(&mut slow).await.expect("a transaction");
    sqlx::query("SELECT pg_advisory_xact_lock(7233021894460911)")
        .execute(&mut slow)
        .await
        .expect("the lock of changes");
    let store = world.store().clone();
    let quick = tokio::spawn(async move { store.announce_change("quick", None, "x", 1).await });
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let waiting: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
            .fetch_one(&mut observer)
            .await
            .expect("the locks");
        if waiting == 1 {
            break;
        }
        assert!(!quick.is_finished() && tokio::time::Instant::now() < deadline, "it does not wait");
    }
    sqlx::query("COMMIT").execute(&mut slow).await.expect("the slow one is done");
    quick.await.expect("no panic").expect("announced");
}
