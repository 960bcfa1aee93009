//! What becomes of keys: rotated once, revoked one by one or together, used, and seen for the first time.

use crate::on_both;
use chatward_store::{IssuedKeyChange, IssuedKeyRow, change};
use chatward_types::{DAY, KeyScope, KeyScopes, Kind, MINUTE};

on_both! {
    async fn a_key_is_rotated_once_whoever_is_first(world) {
        let (store, scope, now) = (world.store(), &world.alice.scope, world.now());
        store.insert_issued_key(scope, &world.issued_key("one")).await.expect("inserted");
        let next = |id: String| IssuedKeyRow { lineage: "one".to_owned(), ..world.issued_key(&id) };
        let rows: Vec<_> = (0..6).map(|number| next(format!("next-{number}"))).collect();
        let tries = rows.iter().map(|row| store.rotate_issued_key(scope, "one", row, now + 50, now));
        let won = futures_util::future::join_all(tries).await;
        assert_eq!(won.into_iter().filter(|won| *won.as_ref().expect("no error")).count(), 1, "exactly one");
        let keys = store.list_issued_keys(scope).await.expect("a list");
        assert_eq!(keys.len(), 2, "nothing stays of the others");
        let one = keys.iter().find(|key| key.id == "one").expect("the old one");
        let successor = keys.iter().find(|key| key.id != "one").expect("the new one");
        assert_eq!((one.successor.as_ref(), one.honoured_until), (Some(&successor.id), Some(now + 50)));
        assert_eq!((successor.lineage.as_str(), successor.scopes), ("one", one.scopes));
        assert_eq!(store.count_issued_keys(scope, now).await.expect("a count"), 2);
        assert_eq!(store.count_issued_keys(scope, now + 50).await.expect("a count"), 1, "its overlap is over");
        let told = store.changes_after(0, 100).await.expect("changes");
        let last = told.last().expect("a change");
        assert_eq!((last.kind.as_str(), last.subject.as_str()), (change::ISSUED_KEY_CHANGED, "one"));
    }

    async fn what_has_ended_or_is_anothers_is_not_rotated(world) {
        let (store, scope, now) = (world.store(), &world.alice.scope, world.now());
        for id in ["revoked", "expired", "theirs"] {
            store.insert_issued_key(scope, &world.issued_key(id)).await.expect("inserted");
        }
        assert!(store.revoke_issued_key(scope, "revoked", now).await.expect("revoked"));
        let new = world.issued_key("new");
        assert!(!store.rotate_issued_key(scope, "revoked", &new, now, now).await.expect("no error"));
        assert!(!store.rotate_issued_key(scope, "expired", &new, now, now + 1000).await.expect("no error"));
        assert!(!store.rotate_issued_key(&world.bob.scope, "theirs", &new, now, now).await.expect("no error"));
        assert!(!store.rotate_issued_key(scope, "nobody's", &new, now, now).await.expect("no error"));
        assert_eq!(store.find_key_owner("new").await.expect("a read"), None);
        let taken = store.rotate_issued_key(scope, "theirs", &world.issued_key("expired"), now, now).await;
        assert_eq!(taken.expect_err("the id is taken").kind(), Kind::Conflict);
        let theirs = store.get_issued_key(scope, "theirs").await.expect("a read").expect("a key");
        assert_eq!(theirs.successor, None, "and the old one is as it was");
    }

    async fn a_change_of_a_key_is_partial(world) {
        let (store, scope, now) = (world.store(), &world.alice.scope, world.now());
        let key = world.issued_key("one");
        store.insert_issued_key(scope, &key).await.expect("inserted");
        let change = IssuedKeyChange { per_minute: Some(None), per_hour: Some(Some(7)), ..IssuedKeyChange::default() };
        let changed = store.update_issued_key(scope, "one", &change, now).await.expect("changed").expect("a key");
        let wanted = IssuedKeyRow { per_minute: None, per_hour: Some(7), ..key };
        assert_eq!(changed, wanted);
        let change = IssuedKeyChange { name: Some("two".to_owned()), total_micro_usd: Some(Some(9)), ..IssuedKeyChange::default() };
        let changed = store.update_issued_key(scope, "one", &change, now).await.expect("changed");
        assert_eq!(changed, Some(IssuedKeyRow { name: "two".to_owned(), total_micro_usd: Some(9), ..wanted }));
        assert_eq!(store.update_issued_key(&world.bob.scope, "one", &change, now).await.expect("no error"), None);
    }

    async fn all_keys_of_a_scope_are_revoked_together(world) {
        let (store, now) = (world.store(), world.now());
        let with = |id: &str, scopes: KeyScopes| IssuedKeyRow { scopes, ..world.issued_key(id) };
        let (alice, bob) = (&world.alice.scope, &world.bob.scope);
        for (scope, key) in [
            (alice, with("chats", KeyScope::Chat.into())),
            (alice, with("publishes", KeyScope::FeedPublish.into())),
            (alice, with("both", [KeyScope::Chat, KeyScope::Gateway].into_iter().collect())),
            (bob, with("his", KeyScope::Chat.into())),
        ] {
            store.insert_issued_key(scope, &key).await.expect("inserted");
        }
        let sorted = |mut ids: Vec<String>| { ids.sort(); ids };
        let chats = store.revoke_issued_keys(alice, Some(KeyScope::Chat), now).await.expect("revoked");
        assert_eq!(sorted(chats), ["both", "chats"]);
        let told = store.changes_after(0, 100).await.expect("changes");
        assert_eq!(told.iter().filter(|change| change.kind == change::ISSUED_KEY_CHANGED).count(), 2);
        let rest = store.revoke_issued_keys(alice, None, now).await.expect("revoked");
        assert_eq!(rest, ["publishes"]);
        assert_eq!(store.revoke_issued_keys(alice, None, now).await.expect("no error"), Vec::<String>::new());
        assert_eq!(store.count_issued_keys(bob, now).await.expect("a count"), 1, "his holds");
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.admin_owners(after, 1).await.expect("a page");
            assert!(page.len() <= 1, "no more than asked for");
            let Some(last) = page.last() else { break };
            after = Some(*last);
            seen.extend(page);
        }
        assert!(seen.is_sorted() && seen.contains(&world.alice.owner) && seen.contains(&world.bob.owner), "{seen:?}");
    }

    async fn no_key_is_made_past_the_end_of_all(world) {
        // A rotation that runs beside the revocation of all leaves no successor that holds.
        let (store, scope, now) = (world.store(), &world.alice.scope, world.now());
        for round in 0..8 {
            let (old, new) = (format!("old-{round}"), world.issued_key(&format!("new-{round}")));
            store.insert_issued_key(scope, &world.issued_key(&old)).await.expect("inserted");
            let rotating = store.rotate_issued_key(scope, &old, &new, now + 900, now);
            let revoking = store.revoke_issued_keys(scope, None, now);
            let (rotated, revoked) = tokio::join!(rotating, revoking);
            assert!(!revoked.expect("revoked").is_empty());
            let held = store.count_issued_keys(scope, now).await.expect("a count");
            assert_eq!(held, 0, "rotated: {rotated:?}");
        }
    }

    async fn a_use_is_noted_once_in_a_while(world) {
        let (store, scope, now) = (world.store(), &world.alice.scope, world.now());
        store.insert_issued_key(scope, &world.issued_key("one")).await.expect("inserted");
        for (at, noted) in [(now, now), (now + MINUTE - 1, now), (now - 5, now), (now + MINUTE, now + MINUTE)] {
            store.touch_issued_keys(scope, &[("one".to_owned(), at)], MINUTE).await.expect("noted");
            let key = store.get_issued_key(scope, "one").await.expect("a read").expect("a key");
            assert_eq!(key.last_used_at, Some(noted), "{at}");
        }
        store.touch_issued_keys(&world.bob.scope, &[("one".to_owned(), now + DAY)], MINUTE).await.expect("nothing");
        let key = store.get_issued_key(scope, "one").await.expect("a read").expect("a key");
        assert_eq!(key.last_used_at, Some(now + MINUTE));
    }

    async fn a_sites_key_is_rotated_once_and_ends_with_its_overlap(world) {
        let (store, alice, now) = (world.store(), &world.alice, world.now());
        let (scope, site) = (&alice.scope, alice.site);
        let names: Vec<String> = (0..5).map(|number| format!("new-{number}")).collect();
        let tries = names.iter().map(|new| store.rotate_site_key(scope, site, &alice.key, new, now + 50, now));
        let won = futures_util::future::join_all(tries).await;
        assert_eq!(won.into_iter().filter(|won| *won.as_ref().expect("no error")).count(), 1, "exactly one");
        let row = store.get_site(scope, site).await.expect("a read").expect("a site");
        let keys = store.site_keys(scope, site).await.expect("keys");
        let ends: Vec<_> = keys.iter().map(|key| (key.publishable_key.as_str(), key.honoured_until)).collect();
        assert_eq!(ends, [(alice.key.as_str(), Some(now + 50)), (row.publishable_key.as_str(), None)]);
        for key in &keys {
            assert_eq!(store.find_site_key(&key.publishable_key).await.expect("a read"), Some((alice.owner, site)));
        }
        let taken = store.rotate_site_key(scope, site, &row.publishable_key, &world.bob.key, now, now).await;
        assert_eq!(taken.expect_err("it is his").kind(), Kind::Conflict);
        assert!(!store.rotate_site_key(&world.bob.scope, site, &row.publishable_key, "x", now, now).await.expect("not his"));
        // A month after its end it is forgotten.
        let later = now + 50 + 30 * DAY;
        assert!(store.rotate_site_key(scope, site, &row.publishable_key, "last", later, later).await.expect("rotated"));
        let keys = store.site_keys(scope, site).await.expect("keys");
        assert!(keys.len() == 2 && keys.iter().all(|key| key.publishable_key != alice.key), "{keys:?}");
    }

    async fn publishable_keys_are_revoked_one_by_one_or_together(world) {
        let (store, alice, now) = (world.store(), &world.alice, world.now());
        let (scope, site) = (&alice.scope, alice.site);
        assert!(store.rotate_site_key(scope, site, &alice.key, "second", now + 50, now).await.expect("rotated"));
        assert_eq!(store.revoke_site_keys(&world.bob.scope, Some("second"), now).await.expect("not his"), []);
        assert_eq!(store.revoke_site_keys(scope, Some(&alice.key), now).await.expect("revoked"), [site]);
        assert_eq!(store.revoke_site_keys(scope, Some(&alice.key), now).await.expect("no error"), []);
        let ends = async || {
            let keys = store.site_keys(scope, site).await.expect("keys");
            keys.into_iter().map(|key| key.honoured_until).collect::<Vec<_>>()
        };
        assert_eq!(ends().await, [Some(now), None]);
        assert_eq!(store.revoke_site_keys(scope, None, now + 1).await.expect("revoked"), [site]);
        assert_eq!(ends().await, [Some(now), Some(now + 1)]);
        let his = store.site_keys(&world.bob.scope, world.bob.site).await.expect("keys");
        assert_eq!(his[0].honoured_until, None);
    }

    async fn a_fingerprint_keeps_its_first_sight(world) {
        let store = world.store();
        assert_eq!(store.sight_key("a", 10).await.expect("seen"), 10);
        assert_eq!(store.sight_key("a", 20).await.expect("seen"), 10);
        assert_eq!(store.sight_key("b", 20).await.expect("seen"), 20);
        assert_eq!(store.set_setting_if_absent("x", "1").await.expect("set"), "1");
        assert!(store.swap_setting("x", "1", "2").await.expect("swapped"));
        assert!(!store.swap_setting("x", "1", "3").await.expect("too late"));
        assert!(!store.swap_setting("y", "1", "3").await.expect("not there"));
    }
}
