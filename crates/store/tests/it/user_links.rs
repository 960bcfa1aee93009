//! Links of users to outside issuers: one subject is one user, wherever, and goes with its link.

use crate::on_both;
use chatward_store::MOST_LINKS;
use chatward_types::{Kind, Role};

on_both! {
    async fn a_subject_is_one_user_wherever_and_is_found_until_it_is_unlinked(world) {
        let (store, alice, bob) = (world.store(), &world.alice, &world.bob);
        let ann = world.user("ann@example.test", Role::Owner);
        let ben = world.user("ben@example.test", Role::Owner);
        store.insert_user(&alice.scope, &ann, "ann").await.expect("a user");
        store.insert_user(&bob.scope, &ben, "ben").await.expect("a user");
        let link = world.user_link(ann.id, "s");
        assert!(store.insert_user_link(&alice.scope, &link).await.expect("a link"));
        assert_eq!(store.find_user_link(&link.lookup).await.expect("a read"), Some((alice.owner, ann.id)));
        assert_eq!(store.find_user_link("nobody").await.expect("a read"), None);
        assert_eq!(store.list_user_links(&alice.scope, ann.id).await.expect("a list"), std::slice::from_ref(&link));
        assert_eq!(store.list_user_links(&bob.scope, ann.id).await.expect("a list"), []);
        let taken = store.insert_user_link(&bob.scope, &world.user_link(ben.id, "s")).await;
        assert_eq!(taken.expect_err("somebody's").kind(), Kind::Conflict);
        assert_eq!(store.list_user_links(&bob.scope, ben.id).await.expect("a list"), [], "nothing is left of it");
        let foreign = store.insert_user_link(&bob.scope, &world.user_link(ann.id, "t")).await;
        assert_eq!(foreign.expect_err("another owner's user").kind(), Kind::NotFound);
        assert!(!store.delete_user_link(&bob.scope, ann.id, &link.lookup).await.expect("asked"), "another owner's link");
        assert!(!store.delete_user_link(&alice.scope, ben.id, &link.lookup).await.expect("asked"), "another user's link");
        assert!(store.delete_user_link(&alice.scope, ann.id, &link.lookup).await.expect("deleted"));
        assert_eq!(store.find_user_link(&link.lookup).await.expect("a read"), None, "the way goes with it");
        assert!(store.insert_user_link(&bob.scope, &world.user_link(ben.id, "s")).await.expect("free again"));
        for number in 0..MOST_LINKS {
            let link = world.user_link(ann.id, &number.to_string());
            assert!(store.insert_user_link(&alice.scope, &link).await.expect("a link"));
        }
        assert!(!store.insert_user_link(&alice.scope, &world.user_link(ann.id, "one more")).await.expect("asked"));
    }

    async fn a_user_and_their_link_are_made_together_or_not_at_all(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let ann = world.user("ann@example.test", Role::Viewer);
        let link = world.user_link(ann.id, "s");
        assert!(!store.insert_linked_user(scope, &ann, "ann", &link, 0).await.expect("asked"), "too many users");
        assert!(store.insert_linked_user(scope, &ann, "ann", &link, 1).await.expect("made"));
        assert_eq!(store.find_user("ann").await.expect("a read"), Some((world.alice.owner, ann.id)));
        assert_eq!(store.find_user_link(&link.lookup).await.expect("a read"), Some((world.alice.owner, ann.id)));
        let again = world.user("ann@example.test", Role::Viewer);
        for (lookup, subject) in [("ann", "t"), ("other", "s")] {
            let made = store.insert_linked_user(scope, &again, lookup, &world.user_link(again.id, subject), 9).await;
            assert_eq!(made.expect_err("taken").kind(), Kind::Conflict, "{lookup} {subject}");
        }
        assert_eq!(store.get_user(scope, again.id).await.expect("a read"), None);
        assert_eq!(store.find_user("other").await.expect("a read"), None);
        assert_eq!(store.count_users(scope).await.expect("a count"), 1);
    }
}
