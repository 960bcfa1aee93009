//! The audit trail beneath its keys: one transaction with what it records, numbers without gaps, blocks and lockdown.

use crate::on_both;
use crate::world::World;
use chatward_store::{BlockRow, LockdownRow, TRAIL_GENESIS, TrailEntry, change};
use chatward_types::Kind;
use std::sync::Arc;

fn entry(world: &World, subject: &str) -> Arc<TrailEntry> {
    Arc::new(TrailEntry {
        name: "CONFIGURATION_CHANGED",
        at: world.now(),
        owner: Some(world.alice.owner),
        actor: "operator".to_owned(),
        subject: subject.to_owned(),
        detail: "{}".to_owned(),
        key_id: "a".to_owned(),
        sign: Arc::new(|text| format!("signed:{}", text.len())),
    })
}

fn block(world: &World, network: &str, until: Option<i64>) -> BlockRow {
    BlockRow {
        network: network.to_owned(),
        until,
        reason: "a test".to_owned(),
        created_by: "operator".to_owned(),
        created_at: world.now(),
        strikes: 0,
        forced: false,
    }
}

on_both! {
    async fn a_change_and_its_record_are_one_transaction(world) {
        let (store, alice) = (world.store(), &world.alice);
        let mut row = store.get_site(&alice.scope, alice.site).await.expect("a read").expect("a site");
        row.name = "Renamed".to_owned();
        store.audited(entry(world, "one")).update_site(&alice.scope, &row, world.now()).await.expect("a change");
        // Conflicts with the change before: not made, and not recorded.
        let refused = store.audited(entry(world, "two")).update_site(&alice.scope, &row, world.now()).await;
        assert_eq!(refused.expect_err("an old version").kind(), Kind::Conflict);
        assert!(!store.audited(entry(world, "three")).revoke_issued_key(&alice.scope, "none", 1).await.expect("a try"));
        let rows = store.trail_after(0, 0, 10).await.expect("the trail");
        assert_eq!(rows.iter().map(|row| row.subject.as_str()).collect::<Vec<_>>(), ["one"]);
        assert_eq!((rows[0].seq, rows[0].previous.as_str()), (1, TRAIL_GENESIS));
        assert_eq!(rows[0].owner, Some(alice.owner.to_string()));
        assert_eq!(rows[0].hash, format!("signed:{}", rows[0].signed_text().expect("a text").len()));
    }

    async fn without_its_record_a_change_is_not_made(world) {
        let (store, alice) = (world.store(), &world.alice);
        world.db.tamper("ALTER TABLE audit_trail RENAME TO gone").await;
        let key = world.issued_key("key");
        store.audited(entry(world, "key")).insert_issued_key(&alice.scope, &key).await.expect_err("no trail");
        assert!(store.get_issued_key(&alice.scope, "key").await.expect("a read").is_none());
        assert!(store.audited(entry(world, "site")).remove_site(&alice.scope, alice.site, 1).await.is_err());
        assert!(store.get_site(&alice.scope, alice.site).await.expect("a read").is_some());
    }

    async fn writers_at_once_leave_no_gap_and_no_fork(world) {
        let writers = (0..20).map(|number| world.store().append_trail(entry(world, &number.to_string())));
        for outcome in futures_util::future::join_all(writers).await {
            outcome.expect("a record");
        }
        let rows = world.store().trail_after(0, 0, 100).await.expect("the trail");
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
        assert!(rows.windows(2).all(|pair| pair[1].previous == pair[0].hash));
        assert_eq!(world.store().trail_head().await.expect("the head"), rows.last().cloned());
    }

    async fn a_pruning_takes_the_beginning_and_leaves_its_record(world) {
        let store = world.store();
        for subject in ["a", "b", "c"] {
            world.clock.advance(100);
            store.append_trail(entry(world, subject)).await.expect("a record");
        }
        let third = store.trail_record(3).await.expect("a read").expect("the third").at;
        assert_eq!(store.trail_boundary(third).await.expect("a boundary"), 2);
        assert_eq!(store.trail_boundary(0).await.expect("a boundary"), 0);
        assert!(store.prune_trail(2).await.is_err(), "never without a record");
        assert_eq!(store.audited(entry(world, "pruning")).prune_trail(2).await.expect("a pruning"), 2);
        let left: Vec<_> = store.trail_after(0, 0, 10).await.expect("the trail").into_iter().map(|row| row.seq).collect();
        assert_eq!(left, [3, 4]);
        assert_eq!(store.trail_after(0, third + 1, 10).await.expect("the trail").len(), 0);
    }

    async fn an_owner_reads_its_own_records_and_the_installation_its_own_too(world) {
        let store = world.store();
        for (subject, owner) in [("hers", Some(world.alice.owner)), ("his", Some(world.bob.owner)), ("global", None)] {
            let record = TrailEntry { owner, ..(*entry(world, subject)).clone() };
            store.append_trail(Arc::new(record)).await.expect("a record");
        }
        let read = async |global, seq, limit| {
            let rows = store.trail_of_owner(&world.alice.scope, global, seq, (0, i64::MAX), limit).await.expect("records");
            rows.into_iter().map(|row| row.subject).collect::<Vec<_>>()
        };
        assert_eq!(read(false, i64::MAX, 10).await, ["hers"]);
        assert_eq!(read(true, i64::MAX, 10).await, ["global", "hers"]);
        assert_eq!(read(true, i64::MAX, 1).await, ["global"]);
        assert_eq!(read(true, 3, 10).await, ["hers"]);
        assert_eq!(store.trail_of_owner(&world.alice.scope, true, i64::MAX, (i64::MAX, i64::MAX), 10).await.expect("none"), []);
        assert_eq!(store.trail_of_owner(&world.alice.scope, true, i64::MAX, (0, 1), 10).await.expect("none"), []);
    }

    async fn nothing_of_what_was_erased_stays_in_the_files(world) {
        let store = world.store();
        store.put_block(&block(world, "203.0.113.77/32", Some(world.now()))).await.expect("a block");
        assert_eq!(store.prune_blocks(world.now() + 1).await.expect("pruned"), 1);
        store.prune_changes(world.now() + 1).await.expect("pruned");
        store.empty_log().await.expect("emptied");
        let kept = world.db.everything().await;
        assert!(!kept.windows(12).any(|window| window == b"203.0.113.77"), "it is still there");
        store.empty_log().await.expect("again, with nothing to do");
    }

    async fn blocks_are_kept_listed_and_lifted_and_every_node_hears_of_it(world) {
        let (store, now) = (world.store(), world.now());
        let since = store.latest_change().await.expect("a number");
        store.put_block(&block(world, "192.0.2.0/24", None)).await.expect("a block");
        store.put_block(&block(world, "198.51.100.7/32", Some(now + 50))).await.expect("a block");
        store.put_block(&block(world, "198.51.100.7/32", Some(now + 90))).await.expect("a longer one");
        assert_eq!(store.list_blocks(now + 60).await.expect("a list").len(), 2);
        let listed = store.list_blocks(now + 90).await.expect("a list");
        assert_eq!(store.list_blocks_after("", now, 1).await.expect("a page"), [block(world, "192.0.2.0/24", None)]);
        let rest = store.list_blocks_after("192.0.2.0/24", now, 9).await.expect("a page");
        assert_eq!(rest, [block(world, "198.51.100.7/32", Some(now + 90))]);
        assert_eq!(listed, [block(world, "192.0.2.0/24", None)]);
        assert!(store.get_block("198.51.100.7/32").await.expect("a read").is_some(), "it has ended and is remembered");
        assert_eq!(store.prune_blocks(now + 91).await.expect("a pruning"), 1);
        assert!(store.remove_block("192.0.2.0/24", now).await.expect("lifted"));
        assert!(!store.remove_block("192.0.2.0/24", now).await.expect("not there"));
        let changes = store.changes_after(since, 10).await.expect("changes");
        assert_eq!(changes.len(), 4);
        assert!(changes.iter().all(|change| change.kind == change::BLOCKS_CHANGED && change.owner.is_none()));
    }

    async fn the_lockdown_is_one_switch(world) {
        let (store, now) = (world.store(), world.now());
        let row = LockdownRow {
            reason: "a test".to_owned(),
            created_by: "operator".to_owned(),
            created_at: now,
            allow_sign_in: false,
        };
        assert_eq!(store.get_lockdown().await.expect("a read"), None);
        assert!(store.set_lockdown(&row).await.expect("on"));
        let again = LockdownRow { reason: "another".to_owned(), ..row.clone() };
        assert!(!store.set_lockdown(&again).await.expect("on already"));
        assert_eq!(store.get_lockdown().await.expect("a read"), Some(row));
        let with_sign_in = LockdownRow { allow_sign_in: true, ..again };
        assert!(store.set_lockdown(&with_sign_in).await.expect("changed"));
        assert!(!store.set_lockdown(&with_sign_in).await.expect("so already"));
        assert_eq!(store.get_lockdown().await.expect("a read"), Some(with_sign_in));
        assert!(store.lift_lockdown(now).await.expect("off"));
        assert!(!store.lift_lockdown(now).await.expect("off already"));
        let last = store.changes_after(0, 100).await.expect("changes").pop().expect("a change");
        assert_eq!((last.kind.as_str(), last.subject.as_str()), (change::LOCKDOWN_CHANGED, "off"));
    }
}
