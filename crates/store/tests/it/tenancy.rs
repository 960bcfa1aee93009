//! The fence between tenants through the store's own functions: Bob's scope with Alice's ids finds nothing, changes
//! nothing and removes nothing, on SQLite (where only the queries hold it) as on PostgreSQL (where row-level security
//! stands behind them).

use crate::on_both;
use chatward_store::{ErasedSessions, FeedbackRow, HotRow, SiteRow};
use chatward_types::{FeedbackId, Kind};

on_both! {
    async fn another_owners_scope_reads_nothing(world) {
        let (store, bob, site) = (world.store(), &world.bob.scope, world.alice.site);
        let generation = world.learn(&world.alice, "alice's knowledge").await;
        let session = world.open(&world.alice).await;
        let message = world.say(&world.alice, &session, "alice's question").await;
        store.insert_data_key(&world.alice.scope, 1, &[1]).await.expect("a key");
        let usage = HotRow::Usage { scope: world.alice.scope, row: world.usage(&world.alice) };
        store.append(vec![usage]).await.expect("usage");
        let feedback = FeedbackRow {
            id: world.id(FeedbackId::generate), message: message.id, conversation: session.conversation,
            rating: 1, reason_sealed: None, at: world.now(),
        };
        store.upsert_feedback(&world.alice.scope, &feedback).await.expect("feedback");

        assert_eq!(store.get_site(bob, site).await.expect("a read"), None);
        assert!(store.list_sites(bob).await.expect("a list").iter().all(|row| row.owner == world.bob.owner));
        assert_eq!(store.data_keys(bob).await.expect("keys"), []);
        assert_eq!(store.load_session(bob, &session.id).await.expect("a read"), None);
        assert_eq!(store.list_messages(bob, session.conversation, 10).await.expect("a list"), []);
        assert_eq!(store.count_messages(bob, session.conversation).await.expect("a count"), 0);
        assert_eq!(store.list_feedback(bob, session.conversation).await.expect("a list"), []);
        assert_eq!(store.usage_since(bob, site, 0).await.expect("totals"), []);
        assert_eq!(store.list_pages(bob, site).await.expect("pages"), []);
        assert_eq!(store.load_segments(bob, site, generation).await.expect("segments"), Vec::<Vec<u8>>::new());
        assert_eq!(store.chunks_by_ordinal(bob, site, generation, &[0]).await.expect("passages"), []);
        assert_eq!(store.all_chunks(bob, site, generation, -1, 10).await.expect("passages"), []);
    }

    async fn another_owners_scope_changes_nothing(world) {
        let (store, bob, site) = (world.store(), &world.bob.scope, world.alice.site);
        let generation = world.learn(&world.alice, "alice's knowledge").await;
        let next = world.prepare(&world.alice, "her next").await;
        let session = world.open(&world.alice).await;
        let message = world.say(&world.alice, &session, "alice's question").await;
        let before = store.get_site(&world.alice.scope, site).await.expect("a read").expect("a site");

        let theirs = SiteRow { name: "bob was here".to_owned(), ..before.clone() };
        assert_eq!(store.update_site(bob, &theirs, world.now()).await.expect_err("not his").kind(), Kind::NotFound);
        assert!(!store.remove_site(bob, site, world.now()).await.expect("no error"));
        assert_eq!(store.next_generation(bob, site).await.expect_err("not his").kind(), Kind::NotFound);
        assert_eq!(store.swap_generation(bob, site, next, world.now()).await.expect_err("not his").kind(), Kind::NotFound);
        store.drop_generation(bob, site, next).await.expect("nothing to drop");
        let page = world.page("https://bob.example/");
        assert!(store.put_pages(bob, site, next, &[page]).await.is_err());
        assert!(store.put_segment(bob, site, next, 7, vec![7]).await.is_err());
        assert_eq!(store.delete_session(bob, &session.id, world.now()).await.expect("no error"), None);
        let swept = store.delete_idle_sessions(bob, std::slice::from_ref(&session.id), i64::MAX, world.now()).await.expect("no error");
        assert_eq!(swept, ErasedSessions::default());
        let feedback = FeedbackRow {
            id: world.id(FeedbackId::generate), message: message.id, conversation: session.conversation,
            rating: -1, reason_sealed: None, at: world.now(),
        };
        assert!(!store.upsert_feedback(bob, &feedback).await.expect("no error"));
        let intruder = world.message(&session, "bob's");
        let refused = store.append(vec![HotRow::Message { scope: *bob, row: intruder }]).await.expect_err("not his");
        assert_eq!(refused.kind(), Kind::NotFound);
        store.append(vec![HotRow::Touch { scope: *bob, session: session.id.clone(), at: i64::MAX }]).await.expect("no error");
        let usage = HotRow::Usage { scope: *bob, row: world.usage(&world.alice) };
        assert_eq!(store.append(vec![usage]).await.expect_err("not his site").kind(), Kind::NotFound);
        let mut misplaced = world.session(&world.alice);
        misplaced.owner = world.bob.owner;
        assert_eq!(store.append(vec![HotRow::Session(misplaced)]).await.expect_err("not his site").kind(), Kind::NotFound);

        let alice = &world.alice.scope;
        assert_eq!(store.get_site(alice, site).await.expect("a read"), Some(before));
        assert_eq!(store.load_session(alice, &session.id).await.expect("a read"), Some(session.clone()));
        assert_eq!(store.list_messages(alice, session.conversation, 10).await.expect("a list"), [message]);
        assert_eq!(store.list_feedback(alice, session.conversation).await.expect("a list"), []);
        assert_eq!(store.load_segments(alice, site, generation).await.expect("segments").len(), 1);
        assert_eq!(store.load_segments(alice, site, next).await.expect("segments").len(), 1);
        store.swap_generation(alice, site, next, world.now()).await.expect("hers to swap");
    }
}
