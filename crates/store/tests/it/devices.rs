//! The list of devices, and that what takes a right away is told to every node.

use crate::on_both;
use crate::world::{Tenant, World};
use chatward_store::{Changed, DeviceRow, UserChange, UserState, change};
use chatward_types::{DeviceId, Kind, Role};

fn device(world: &World, name: &str) -> DeviceRow {
    DeviceRow {
        id: world.id(DeviceId::generate),
        name: name.to_owned(),
        feeds: vec!["art".to_owned()],
        created_at: world.now(),
        seen_at: None,
        expires_at: Some(world.now() + 1000),
        revoked_at: None,
    }
}

async fn added(world: &World, tenant: &Tenant, name: &str) -> DeviceRow {
    let row = device(world, name);
    assert!(world.store().insert_device(&tenant.scope, &row, 0, 10).await.expect("added"));
    row
}

on_both! {
    async fn a_name_is_one_devices_at_a_time_and_another_owner_finds_nothing(world) {
        let (store, alice, bob) = (world.store(), &world.alice.scope, &world.bob.scope);
        let row = added(world, &world.alice, "terminal").await;
        let taken = store.insert_device(alice, &device(world, "terminal"), 0, 10).await;
        assert_eq!(taken.expect_err("taken").kind(), Kind::Conflict);
        let theirs = added(world, &world.bob, "terminal").await;
        assert_eq!(store.get_device(alice, row.id).await.expect("a read"), Some(row.clone()));
        assert_eq!(store.get_device(bob, row.id).await.expect("a read"), None);
        assert_eq!(store.find_device(bob, "terminal").await.expect("a read"), Some(theirs.clone()));
        assert_eq!(store.list_devices(bob).await.expect("a list"), [theirs]);
        assert!(!store.revoke_device(bob, row.id, world.now()).await.expect("not his"));
        assert!(!store.see_device(bob, row.id, 5, 5).await.expect("not his"));
        let tries = [(); 4].map(|()| store.revoke_device(alice, row.id, 77));
        let won = futures_util::future::join_all(tries).await;
        assert_eq!(won.into_iter().filter(|won| matches!(won, Ok(true))).count(), 1, "once");
        assert_eq!(store.find_device(alice, "terminal").await.expect("a read"), None);
        assert_eq!(store.get_device(alice, row.id).await.expect("a read").and_then(|row| row.revoked_at), Some(77));
        added(world, &world.alice, "terminal").await;
        assert_eq!(store.list_devices(alice).await.expect("a list").len(), 2);
    }

    async fn devices_are_so_many_and_a_revoked_one_makes_room_later(world) {
        let (store, alice) = (world.store(), &world.alice.scope);
        let first = added(world, &world.alice, "first").await;
        added(world, &world.alice, "second").await;
        assert!(store.revoke_device(alice, first.id, 50).await.expect("revoked"));
        assert!(!store.insert_device(alice, &device(world, "third"), 50, 2).await.expect("full"));
        assert!(store.insert_device(alice, &device(world, "third"), 51, 2).await.expect("room"));
        assert_eq!(store.get_device(alice, first.id).await.expect("a read"), None);
    }

    async fn a_device_is_seen_once_in_a_while(world) {
        let (store, alice) = (world.store(), &world.alice.scope);
        let row = added(world, &world.alice, "terminal").await;
        let see = async |now| store.see_device(alice, row.id, now, now - 60).await.expect("no error");
        assert_eq!((see(100).await, see(159).await, see(160).await, see(161).await), (true, false, false, true));
        assert_eq!(store.get_device(alice, row.id).await.expect("a read").and_then(|row| row.seen_at), Some(161));
    }

    async fn what_takes_a_right_away_is_a_change_that_every_node_reads(world) {
        let (store, alice) = (world.store(), &world.alice.scope);
        let row = added(world, &world.alice, "terminal").await;
        let (one, two) = (world.user("one", Role::Owner), world.user("two", Role::Owner));
        for user in [&one, &two] {
            store.insert_user(alice, user, &user.email).await.expect("a user");
        }
        let login = world.login(two.id);
        assert!(store.insert_login(alice, &login, "a hash", 5).await.expect("a login"));
        let before = store.latest_change().await.expect("a number");
        assert!(store.revoke_device(alice, row.id, world.now()).await.expect("revoked"));
        assert!(!store.revoke_device(alice, row.id, world.now()).await.expect("no error"), "and told once");
        assert!(store.end_login(alice, login.id, world.now()).await.expect("ended"));
        let viewer = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
        let set = async |id, wish: &UserChange| store.change_user(alice, id, wish, None, world.now()).await.expect("no error");
        assert_eq!(set(two.id, &viewer).await, Changed::Done);
        assert_eq!(set(one.id, &viewer).await, Changed::LastOwner, "what did not happen is not told");
        let shut = UserChange { state: Some(UserState::Disabled), ..UserChange::default() };
        assert_eq!(set(two.id, &shut).await, Changed::Done);
        assert!(store.reset_user_password(alice, two.id, "new", world.now()).await.expect("done"));
        assert_eq!(store.delete_user(alice, two.id, None, world.now()).await.expect("no error"), Changed::Done);
        let told: Vec<_> = store.changes_after(before, 10).await.expect("changes").into_iter()
            .map(|change| (change.kind, change.subject, change.owner)).collect();
        let owner = Some(world.alice.owner);
        assert_eq!(told, [
            (change::DEVICE_REVOKED.to_owned(), row.id.to_string(), owner),
            (change::LOGIN_ENDED.to_owned(), login.id.to_string(), owner),
            (change::USER_CHANGED.to_owned(), two.id.to_string(), owner),
            (change::USER_CHANGED.to_owned(), two.id.to_string(), owner),
            (change::USER_CHANGED.to_owned(), two.id.to_string(), owner),
            (change::USER_CHANGED.to_owned(), two.id.to_string(), owner),
        ]);
    }
}
