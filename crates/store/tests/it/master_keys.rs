//! The master key that wraps: the fence around what is sealed, and the exchange of wrapped bytes.

use crate::on_both;
use chatward_store::{MASTER_KEY_CURRENT, MASTER_KEY_MOVED, SigningKeyRow, WrappedRow, change};
use chatward_types::{Kind, NodeId};

on_both! {
    async fn nothing_is_written_under_a_key_that_wraps_no_more(world) {
        let store = world.store();
        let scope = &world.alice.scope;
        assert!(store.sealed_under("a").insert_data_key(scope, 1, &[1]).await.expect("no key is named yet"));
        store.set_setting_if_absent(MASTER_KEY_CURRENT, "a").await.expect("named");
        assert!(store.sealed_under("a").insert_data_key(scope, 2, &[1]).await.expect("the right one"));
        let refused = store.sealed_under("b").insert_data_key(scope, 3, &[1]).await.expect_err("another one");
        assert_eq!((refused.kind(), refused.code()), (Kind::Conflict, MASTER_KEY_MOVED));
        assert_eq!(store.data_keys(scope).await.expect("keys").len(), 2);

        assert!(!store.begin_master_key_rotation("1", "b").await.expect("no error"), "b does not wrap");
        assert!(store.begin_master_key_rotation("1", "a").await.expect("begun"));
        assert!(!store.begin_master_key_rotation("x", "a").await.expect("no error"), "there is one");
        assert!(!store.advance_master_key_rotation("x", "2", 5).await.expect("no error"));
        assert!(store.advance_master_key_rotation("1", "2", 5).await.expect("advanced"));
        assert!(!store.replace_master_key(("1", "3"), ("a", "b"), "since", 6).await.expect("no error"));
        assert_eq!(store.get_setting(MASTER_KEY_CURRENT).await.expect("a name").as_deref(), Some("a"), "all or nothing");
        assert!(store.replace_master_key(("2", "3"), ("a", "b"), "since", 6).await.expect("replaced"));
        assert_eq!(store.get_setting("since").await.expect("a time").as_deref(), Some("6"));
        assert_eq!(store.master_key_rotation().await.expect("a state").as_deref(), Some("3"));
        let refused = store.sealed_under("a").insert_data_key(scope, 3, &[1]).await.expect_err("it wraps no more");
        assert_eq!(refused.code(), MASTER_KEY_MOVED);
        assert!(store.sealed_under("b").insert_data_key(scope, 3, &[1]).await.expect("the new one"));
        assert!(!store.end_master_key_rotation("2", "retired.a", 7).await.expect("no error"));
        assert!(store.end_master_key_rotation("3", "retired.a", 7).await.expect("ended"));
        assert_eq!(store.master_key_rotation().await.expect("a state"), None);
        assert_eq!(store.get_setting("retired.a").await.expect("a time").as_deref(), Some("7"));
        let kinds: Vec<String> =
            store.changes_after(0, 100).await.expect("changes").into_iter().map(|change| change.kind).collect();
        assert_eq!(kinds.iter().filter(|kind| *kind == change::MASTER_KEYS_CHANGED).count(), 3);
    }

    async fn a_key_is_replaced_after_whoever_writes_under_the_old_one(world) {
        let store = world.store();
        store.set_setting_if_absent(MASTER_KEY_CURRENT, "a").await.expect("named");
        assert!(store.begin_master_key_rotation("1", "a").await.expect("begun"));
        // Many writers and the replacement at once: what is written under the old key is there when the new one wraps.
        let fenced = store.sealed_under("a");
        let writers = (1..=20).map(|version| {
            let (fenced, scope) = (fenced.clone(), world.alice.scope);
            async move { fenced.insert_data_key(&scope, version, &[9, 1]).await.is_ok() }
        });
        let replacing = async {
            assert!(store.replace_master_key(("1", "2"), ("a", "b"), "since", 6).await.expect("replaced"));
            store.admin_data_keys_under(&[9], 100).await.expect("keys").len()
        };
        let (written, seen) = tokio::join!(futures_join(writers), replacing);
        let committed = written.into_iter().filter(|done| *done).count();
        let after = store.admin_data_keys_under(&[9], 100).await.expect("keys").len();
        assert_eq!((after, committed), (seen, seen), "none came later");
    }

    async fn wrapped_bytes_are_found_by_their_mark_and_exchanged_once(world) {
        let store = world.store();
        let (alice, bob) = (&world.alice, &world.bob);
        for (tenant, version, wrapped) in [(alice, 1, [1, 7, 0]), (alice, 2, [2, 7, 0]), (bob, 1, [1, 7, 9])] {
            store.insert_data_key(&tenant.scope, version, &wrapped).await.expect("a key");
        }
        let under = store.admin_data_keys_under(&[1, 7], 10).await.expect("keys");
        assert_eq!(under.len(), 2, "of every owner");
        assert_eq!(store.admin_data_keys_under(&[1, 7], 1).await.expect("keys").len(), 1);
        assert!(store.admin_data_keys_under(&[7], 10).await.expect("keys").is_empty(), "only where they begin so");
        let exchanged: Vec<(WrappedRow, Vec<u8>)> = under.into_iter().map(|row| (row, vec![5, 5])).collect();
        assert_eq!(store.replace_wrapped(&exchanged).await.expect("replaced"), 2);
        assert_eq!(store.replace_wrapped(&exchanged).await.expect("no error"), 0, "what was changed is left alone");
        assert!(store.admin_data_keys_under(&[1, 7], 10).await.expect("keys").is_empty());
        let keys = store.data_keys(&alice.scope).await.expect("keys");
        assert_eq!(keys, [(1, vec![5, 5]), (2, vec![2, 7, 0])]);
        assert_eq!(store.data_keys(&bob.scope).await.expect("keys"), [(1, vec![5, 5])]);

        let row = SigningKeyRow {
            kid: "k".to_owned(),
            purpose: "visitor".to_owned(),
            algorithm: "HS256".to_owned(),
            state: "active".to_owned(),
            sealed: vec![1],
            created_at: 1,
            until_at: None,
        };
        store.insert_signing_key(&row).await.expect("inserted");
        let exchange = [("k".to_owned(), vec![1], vec![2])];
        assert_eq!(store.replace_sealed(&exchange).await.expect("replaced"), 1);
        assert_eq!(store.replace_sealed(&exchange).await.expect("no error"), 0);
        assert_eq!(store.signing_keys("visitor").await.expect("keys")[0].sealed, [2]);
    }

    async fn nodes_say_which_master_keys_they_hold(world) {
        let store = world.store();
        let (one, other) = (world.id(NodeId::generate), world.id(NodeId::generate));
        for node in [one, other] {
            store.register_node(node, world.now()).await.expect("registered");
        }
        assert_eq!(store.live_nodes_without("local-a", world.now()).await.expect("a list").len(), 2);
        store.set_node_master_keys(one, &["local-b", "local-a"]).await.expect("said");
        store.set_node_master_keys(other, &["local-ab"]).await.expect("said");
        assert_eq!(store.live_nodes_without("local-a", world.now()).await.expect("a list"), [other]);
        assert_eq!(store.live_nodes_without("local-b", world.now()).await.expect("a list"), [other]);
        assert_eq!(store.live_nodes_without("local-ab", world.now()).await.expect("a list"), [one]);
        store.heartbeat_node(one, world.now()).await.expect("a beat");
        assert_eq!(store.live_nodes_without("local-b", world.now()).await.expect("a list"), [other], "a beat keeps them");
        let later = world.now() + 60_000_000;
        assert!(store.live_nodes_without("local-c", later).await.expect("a list").is_empty(), "the dead are not asked");
    }

    async fn a_providers_key_is_set_and_removed_with_the_news_of_it(world) {
        let store = world.store();
        let before = store.latest_change().await.expect("a number");
        assert!(!store.put_provider_key("p.a", None, 1).await.expect("no error"));
        assert_eq!(store.latest_change().await.expect("a number"), before);
        for value in ["one", "two"] {
            assert!(store.put_provider_key("p.a", Some(value), 1).await.expect("set"));
            assert_eq!(store.settings_of("p.").await.expect("settings"), [("p.a".to_owned(), value.to_owned())]);
        }
        assert!(store.put_provider_key("p.a", None, 1).await.expect("removed"));
        assert!(store.settings_of("p.").await.expect("settings").is_empty());
        let changes = store.changes_after(before, 10).await.expect("changes");
        assert!(changes.len() == 3 && changes.iter().all(|row| row.kind == change::PROVIDER_KEYS_CHANGED));
    }
}

async fn futures_join<F: Future<Output = bool> + Send + 'static>(all: impl Iterator<Item = F>) -> Vec<bool> {
    let tasks: Vec<_> = all.map(tokio::spawn).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.expect("a task"));
    }
    done
}
