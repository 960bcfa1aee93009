//! Owners, data keys, sites and their directory.

use crate::on_both;
use chatward_store::{NewSite, SiteRow, change};
use chatward_types::{Kind, OwnerId, Scope, SiteId};

on_both! {
    async fn owners_have_data_keys_by_version(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        assert_eq!(store.admin_first_owner().await.expect("a read"), Some(world.alice.owner));
        assert!(store.insert_data_key(scope, 2, &[2; 60]).await.expect("inserted"));
        assert!(store.insert_data_key(scope, 1, &[1; 60]).await.expect("inserted"));
        assert!(!store.insert_data_key(scope, 1, &[9; 60]).await.expect("no error"), "the first one stays");
        assert_eq!(store.data_keys(scope).await.expect("keys"), [(1, vec![1; 60]), (2, vec![2; 60])]);
        let nobody = Scope::of(world.id(OwnerId::generate));
        assert_eq!(store.insert_data_key(&nobody, 1, &[1]).await.expect_err("no owner").kind(), Kind::NotFound);
        let taken = store.insert_owner(world.alice.owner, "again", world.now()).await.expect_err("taken");
        assert_eq!(taken.kind(), Kind::Conflict);
    }

    async fn a_site_is_found_by_its_key(world) {
        let store = world.store();
        assert_eq!(store.find_site_key(&world.alice.key).await.expect("a read"), Some((world.alice.owner, world.alice.site)));
        assert_eq!(store.find_site_key("publishable-nobody").await.expect("a read"), None);
        let site = store.get_site(&world.alice.scope, world.alice.site).await.expect("a read").expect("a site");
        assert_eq!((site.owner, site.publishable_key.as_str(), site.index_generation), (world.alice.owner, world.alice.key.as_str(), 0));
        assert_eq!(site.origins, ["https://shop.example"]);
        let twin = NewSite {
            id: world.id(SiteId::generate), publishable_key: world.alice.key.clone(), url: site.url.clone(),
            name: String::new(), origins: Vec::new(), settings: "{}".to_owned(), created_at: world.now(),
        };
        assert_eq!(store.insert_site(&world.bob.scope, &twin).await.expect_err("taken").kind(), Kind::Conflict);
        assert_eq!(store.list_sites(&world.bob.scope).await.expect("a list").len(), 1, "and nothing of it stays");
        assert_eq!(store.admin_list_sites().await.expect("a list").len(), 2);
    }

    async fn two_editors_do_not_overwrite_each_other(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let read = store.get_site(scope, world.alice.site).await.expect("a read").expect("a site");
        let seq = store.latest_change().await.expect("a number");
        let mine = SiteRow {
            name: "mine".to_owned(), origins: vec!["https://a.example".to_owned(), "https://b.example".to_owned()],
            publishable_key: "ignored".to_owned(), ..read.clone()
        };
        let stored = store.update_site(scope, &mine, world.now()).await.expect("stored");
        assert!(stored.updated_at > read.updated_at);
        assert_eq!(stored, SiteRow { updated_at: stored.updated_at, publishable_key: read.publishable_key.clone(), ..mine });
        let late = SiteRow { name: "late".to_owned(), ..read };
        assert_eq!(store.update_site(scope, &late, world.now()).await.expect_err("changed meanwhile").kind(), Kind::Conflict);
        assert_eq!(store.get_site(scope, world.alice.site).await.expect("a read").expect("a site").name, "mine");
        let changes = store.changes_after(seq, 10).await.expect("changes");
        assert_eq!(changes.iter().map(|change| change.kind.as_str()).collect::<Vec<_>>(), [change::SITE_CHANGED]);
        let gone = SiteRow { id: world.id(SiteId::generate), ..stored };
        assert_eq!(store.update_site(scope, &gone, world.now()).await.expect_err("gone").kind(), Kind::NotFound);
    }

    async fn a_removed_site_leaves_nothing_behind(world) {
        let (store, scope, site) = (world.store(), &world.alice.scope, world.alice.site);
        let generation = world.learn(&world.alice, "gone soon").await;
        let session = world.open(&world.alice).await;
        world.say(&world.alice, &session, "hello").await;
        let usage = chatward_store::HotRow::Usage { scope: *scope, row: world.usage(&world.alice) };
        store.append(vec![usage]).await.expect("usage");
        let kept = world.open(&world.bob).await;
        let seq = store.latest_change().await.expect("a number");

        assert!(store.remove_site(scope, site, world.now()).await.expect("removed"));
        assert_eq!(store.get_site(scope, site).await.expect("a read"), None);
        assert_eq!(store.list_sites(scope).await.expect("a list"), []);
        assert_eq!(store.find_site_key(&world.alice.key).await.expect("a read"), None);
        assert_eq!(store.load_session(scope, &session.id).await.expect("a read"), None);
        assert_eq!(store.count_messages(scope, session.conversation).await.expect("a count"), 0);
        assert_eq!(store.usage_since(scope, site, 0).await.expect("totals"), []);
        assert_eq!(store.list_pages(scope, site).await.expect("pages"), []);
        assert_eq!(store.load_segments(scope, site, generation).await.expect("segments"), Vec::<Vec<u8>>::new());
        assert_eq!(store.changes_after(seq, 10).await.expect("changes")[0].kind, change::SITE_REMOVED);
        assert!(!store.remove_site(scope, site, world.now()).await.expect("no error"));
        assert!(store.load_session(&world.bob.scope, &kept.id).await.expect("a read").is_some());
    }
}
