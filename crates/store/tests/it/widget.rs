//! What the widget keeps: spent tickets, issued keys, refused origins, identity secrets and visitors' identities.

use crate::on_both;
use chatward_store::RefusedOrigin;
use chatward_types::{Kind, OwnerId, Scope, SessionId, SiteId};

on_both! {
    async fn a_ticket_is_spent_once_whoever_is_first(world) {
        let store = world.store();
        assert!(store.spend_ticket("one", world.now() + 30).await.expect("spent"));
        assert!(!store.spend_ticket("one", world.now() + 30).await.expect("no error"), "a second time");
        assert!(!store.spend_ticket("one", world.now() + 9999).await.expect("no error"), "with another end");
        let tries = (0..8).map(|_| store.spend_ticket("two", world.now()));
        let won = futures_util::future::join_all(tries).await;
        assert_eq!(won.into_iter().filter(|won| *won.as_ref().expect("no error")).count(), 1, "exactly one");
    }

    async fn spent_tickets_are_kept_until_their_end(world) {
        let store = world.store();
        for (id, end) in [("early", 10), ("late", 20)] {
            assert!(store.spend_ticket(id, end).await.expect("spent"));
        }
        assert_eq!(store.prune_tickets(20).await.expect("pruned"), 1);
        assert!(store.spend_ticket("early", 10).await.expect("forgotten"));
        assert!(!store.spend_ticket("late", 20).await.expect("no error"), "still known");
    }

    async fn an_issued_key_is_found_by_its_public_id_and_ends_for_good(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let key = world.issued_key("public");
        store.insert_issued_key(scope, &key).await.expect("inserted");
        assert_eq!(store.insert_issued_key(&world.bob.scope, &key).await.expect_err("taken").kind(), Kind::Conflict);
        assert_eq!(store.list_issued_keys(&world.bob.scope).await.expect("a list"), [], "and nothing of it stays");
        assert_eq!(store.find_key_owner("public").await.expect("a read"), Some(world.alice.owner));
        assert_eq!(store.find_key_owner("nobody's").await.expect("a read"), None);
        assert_eq!(store.get_issued_key(scope, "public").await.expect("a read"), Some(key.clone()));
        assert_eq!(store.get_issued_key(&world.bob.scope, "public").await.expect("a read"), None);
        assert_eq!(store.count_issued_keys(scope, world.now()).await.expect("a count"), 1);
        assert!(!store.revoke_issued_key(&world.bob.scope, "public", world.now()).await.expect("not his"));
        assert!(store.revoke_issued_key(scope, "public", world.now()).await.expect("revoked"));
        assert!(!store.revoke_issued_key(scope, "public", world.now() + 1).await.expect("no error"));
        let revoked = store.list_issued_keys(scope).await.expect("a list");
        assert_eq!(revoked[0].revoked_at, Some(world.now()), "the first time counts");
        let nobody = Scope::of(world.id(OwnerId::generate));
        let other = world.issued_key("another");
        assert_eq!(store.insert_issued_key(&nobody, &other).await.expect_err("no owner").kind(), Kind::NotFound);
    }

    async fn refused_origins_add_up_and_the_least_recent_goes(world) {
        let (store, scope, site) = (world.store(), &world.alice.scope, world.alice.site);
        let first = world.refused("https://a.example", 3);
        store.add_refused_origins(scope, site, std::slice::from_ref(&first), 3).await.expect("added");
        let again = world.refused("https://a.example", 4);
        store.add_refused_origins(scope, site, std::slice::from_ref(&again), 3).await.expect("added");
        let listed = store.list_refused_origins(scope, site).await.expect("a list");
        assert_eq!(listed, [RefusedOrigin { count: 7, first_at: first.first_at, ..again }]);
        let more: Vec<_> = ["b", "c", "d"].iter().map(|name| world.refused(&format!("https://{name}.example"), 1)).collect();
        store.add_refused_origins(scope, site, &more, 3).await.expect("added");
        let listed = store.list_refused_origins(scope, site).await.expect("a list");
        let names: Vec<&str> = listed.iter().map(|refused| refused.origin.as_str()).collect();
        assert_eq!(names, ["https://d.example", "https://c.example", "https://b.example"]);
        assert_eq!(store.list_refused_origins(&world.bob.scope, site).await.expect("a list"), []);
        let stolen = store.add_refused_origins(&world.bob.scope, site, &more, 3).await;
        assert_eq!(stolen.expect_err("not his site").kind(), Kind::NotFound);
        assert!(store.remove_site(scope, site, world.now()).await.expect("removed"));
        assert_eq!(store.list_refused_origins(scope, site).await.expect("a list"), []);
    }

    async fn identities_belong_to_their_site_and_session(world) {
        let (store, scope, site) = (world.store(), &world.alice.scope, world.alice.site);
        assert_eq!(store.identity_secret(scope, site).await.expect("a read"), None);
        assert!(store.set_identity_secret(scope, site, b"sealed one").await.expect("set"));
        assert!(store.set_identity_secret(scope, site, b"sealed two").await.expect("set"));
        assert_eq!(store.identity_secret(scope, site).await.expect("a read"), Some(b"sealed two".to_vec()));
        assert!(!store.set_identity_secret(&world.bob.scope, site, b"x").await.expect("not his"));
        assert_eq!(store.identity_secret(&world.bob.scope, site).await.expect("a read"), None);
        assert!(!store.set_identity_secret(scope, world.id(SiteId::generate), b"x").await.expect("no site"));

        let session = world.open(&world.alice).await;
        assert_eq!(store.session_identity(scope, &session.id).await.expect("a read"), None);
        assert!(store.set_session_identity(scope, &session.id, b"sealed").await.expect("set"));
        assert_eq!(store.session_identity(scope, &session.id).await.expect("a read"), Some(b"sealed".to_vec()));
        assert!(!store.set_session_identity(&world.bob.scope, &session.id, b"x").await.expect("not his"));
        assert_eq!(store.session_identity(&world.bob.scope, &session.id).await.expect("a read"), None);
        let nobody = SessionId::from_verified("session_nobody");
        assert!(!store.set_session_identity(scope, &nobody, b"x").await.expect("no session"));
        store.delete_session(scope, &session.id, world.now()).await.expect("erased");
        assert_eq!(store.session_identity(scope, &session.id).await.expect("a read"), None);
    }
}
