//! Users who change users: judged in the transaction; recoveries, passwords, the end of an account, registrations.

use crate::on_both;
use crate::world::{Tenant, World};
use chatward_store::{Changed, Judge, RecoveryRow, UserChange, UserRow, UserState};
use chatward_types::{Kind, OwnerId, Role, Scope, UserId};

async fn add(world: &World, tenant: &Tenant, email: &str, role: Role) -> UserRow {
    let user = world.user(email, role);
    world.store().insert_user(&tenant.scope, &user, email).await.expect("a user");
    user
}

/// The rule in these tests: nobody acts on a user above themselves, or makes one.
fn may(acting: &UserRow, target: &UserRow, role: Role) -> bool {
    acting.role >= target.role && acting.role >= role
}

fn by(user: &UserRow) -> Option<Judge> {
    Some(Judge { by: user.id, may })
}

fn role(role: Role) -> UserChange {
    UserChange { role: Some(role), ..UserChange::default() }
}

fn state(state: UserState) -> UserChange {
    UserChange { state: Some(state), ..UserChange::default() }
}

fn recovery(world: &World, user: UserId, made_by: Option<UserId>, seed: u8) -> RecoveryRow {
    RecoveryRow { user, hash: vec![seed; 32], made_by, created_at: world.now(), expires_at: world.now() + 100 }
}

on_both! {
    async fn whoever_acts_is_judged_as_they_are_in_that_moment(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        add(world, &world.alice, "owner", Role::Owner).await;
        let (one, two) = (
            add(world, &world.alice, "one", Role::Admin).await,
            add(world, &world.alice, "two", Role::Admin).await,
        );
        let now = world.now();
        let (down, out) = (role(Role::Viewer), state(UserState::Disabled));
        let (first, second) = tokio::join!(
            store.change_user(scope, two.id, &down, by(&one), now),
            store.change_user(scope, one.id, &down, by(&two), now),
        );
        let mut both = [first.expect("no error"), second.expect("no error")];
        both.sort_by_key(|changed| *changed == Changed::Forbidden);
        assert_eq!(both, [Changed::Done, Changed::Forbidden], "whoever came second was no admin any more");
        let three = add(world, &world.alice, "three", Role::Admin).await;
        assert_eq!(store.change_user(scope, three.id, &out, None, now).await.expect("no error"), Changed::Done);
        let changed = store.change_user(scope, one.id, &down, by(&three), now).await;
        assert_eq!(changed.expect("no error"), Changed::Forbidden, "whoever is shut out acts no more");
        let stranger = add(world, &world.bob, "stranger", Role::Owner).await;
        let changed = store.change_user(scope, one.id, &down, by(&stranger), now).await;
        assert_eq!(changed.expect("no error"), Changed::Forbidden, "another owner's user is nobody here");
        assert_eq!(store.delete_user(scope, one.id, by(&stranger), world.now()).await.expect("no error"), Changed::Forbidden);
    }

    async fn a_change_touches_what_it_names_alone(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let owner = add(world, &world.alice, "owner", Role::Owner).await;
        let user = add(world, &world.alice, "ann", Role::Member).await;
        assert!(store.insert_login(scope, &world.login(user.id), "a hash", 5).await.expect("a login"));
        let name = UserChange { name: Some("Another".to_owned()), ..UserChange::default() };
        world.clock.advance(1);
        assert_eq!(store.change_user(scope, user.id, &name, by(&owner), world.now()).await.expect("no error"), Changed::Done);
        let row = store.get_user(scope, user.id).await.expect("a read").expect("a user");
        let expected = UserRow { name: "Another".to_owned(), updated_at: world.now(), ..user.clone() };
        assert_eq!(row, expected);
        assert_eq!(store.list_logins(scope, user.id, world.now()).await.expect("a list").len(), 1);
        let page = store.page_users(scope, None, 1).await.expect("a page");
        let rest = store.page_users(scope, Some(page[0].id), 5).await.expect("a page");
        assert_eq!((page.len(), rest.len()), (1, 1));
        assert!(page[0].id < rest[0].id);
        assert_eq!(store.page_users(&world.bob.scope, None, 5).await.expect("a page"), []);
    }

    async fn an_account_ends_with_everything_that_leads_to_it(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let owner = add(world, &world.alice, "owner", Role::Owner).await;
        let user = add(world, &world.alice, "ann", Role::Member).await;
        assert!(store.insert_login(scope, &world.login(user.id), "a hash", 5).await.expect("a login"));
        let made = store.insert_recovery(scope, &recovery(world, owner.id, Some(user.id), 1), None).await;
        assert_eq!(made.expect("no error"), Changed::Done);
        assert_eq!(store.delete_user(scope, user.id, by(&owner), world.now()).await.expect("no error"), Changed::Done);
        assert_eq!(store.delete_user(scope, user.id, by(&owner), world.now()).await.expect("no error"), Changed::Missing);
        assert_eq!(store.find_user("ann").await.expect("a read"), None);
        assert_eq!(store.list_logins(scope, user.id, world.now()).await.expect("a list"), []);
        assert_eq!(store.get_recovery(scope, owner.id).await.expect("a read"), None, "made by them");
        add(world, &world.bob, "ann", Role::Member).await;
    }

    async fn an_account_is_left_by_whoever_proved_what_it_asks_for_now(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let owner = add(world, &world.alice, "owner", Role::Owner).await;
        let user = add(world, &world.alice, "ann", Role::Member).await;
        let leave = async |scope: &Scope, id, proof: &str, factor| {
            store.delete_own_user(scope, id, (proof, factor), world.now()).await.expect("no error")
        };
        assert_eq!(leave(scope, owner.id, "a hash", None).await, Changed::LastOwner);
        assert_eq!(leave(scope, user.id, "an old hash", None).await, Changed::Forbidden, "another password by now");
        assert_eq!(leave(scope, user.id, "a hash", Some(7)).await, Changed::Forbidden, "another factor by now");
        assert_eq!(leave(&world.bob.scope, user.id, "a hash", None).await, Changed::Missing, "another owner's");
        assert!(store.get_user(scope, user.id).await.expect("a read").is_some());
        let (one, two) = tokio::join!(leave(scope, user.id, "a hash", None), leave(scope, user.id, "a hash", None));
        let mut both = [one, two];
        both.sort_by_key(|changed| *changed == Changed::Missing);
        assert_eq!(both, [Changed::Done, Changed::Missing]);
        assert_eq!(store.find_user("ann").await.expect("a read"), None);
    }

    async fn a_recovery_is_used_once_by_whoever_is_first(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        add(world, &world.alice, "owner", Role::Owner).await;
        let user = add(world, &world.alice, "ann", Role::Member).await;
        let old = recovery(world, user.id, None, 1);
        let row = recovery(world, user.id, None, 2);
        for row in [&old, &row] {
            assert_eq!(store.insert_recovery(scope, row, None).await.expect("made"), Changed::Done);
        }
        assert_eq!(store.get_recovery(scope, user.id).await.expect("a read"), Some(row.clone()), "one a user");
        assert_eq!(store.get_recovery(&world.bob.scope, user.id).await.expect("a read"), None);
        assert!(store.insert_login(scope, &world.login(user.id), "a hash", 5).await.expect("a login"));
        let now = world.now();
        let recover = async |hash: u8, proof: &str, now| {
            store.recover_user(scope, (user.id, &[hash; 32]), proof, may, now).await.expect("no error")
        };
        assert!(!recover(1, "old", now).await, "one that was replaced");
        assert!(!recover(2, "late", now + 100).await, "one that ran out");
        assert!(!store.recover_user(&world.bob.scope, (user.id, &[2; 32]), "x", may, now).await.expect("no error"));
        let (one, two) = tokio::join!(recover(2, "one", now), recover(2, "two", now));
        assert!(one ^ two, "of two at once one succeeds");
        let proof = store.get_user(scope, user.id).await.expect("a read").map(|user| user.password);
        assert_eq!(proof.as_deref(), Some(if one { "one" } else { "two" }));
        assert_eq!(store.list_logins(scope, user.id, now).await.expect("a list"), []);
        assert!(!recover(2, "again", now).await);
    }

    async fn a_recovery_holds_no_longer_than_what_it_stands_on(world) {
        let (store, scope, now) = (world.store(), &world.alice.scope, world.now());
        let owner = add(world, &world.alice, "owner", Role::Owner).await;
        let admin = add(world, &world.alice, "admin", Role::Admin).await;
        let user = add(world, &world.alice, "ann", Role::Member).await;
        let refused = store.insert_recovery(scope, &recovery(world, owner.id, Some(admin.id), 1), by(&admin)).await;
        assert_eq!(refused.expect("no error"), Changed::Forbidden);
        let nobody = recovery(world, world.id(UserId::generate), None, 1);
        assert_eq!(store.insert_recovery(scope, &nobody, None).await.expect("no error"), Changed::Missing);
        let make = async || {
            let row = recovery(world, user.id, Some(admin.id), 1);
            assert_eq!(store.insert_recovery(scope, &row, by(&admin)).await.expect("made"), Changed::Done);
        };
        let recover = async || store.recover_user(scope, (user.id, &[1; 32]), "new", may, now).await.expect("no error");
        for change in [role(Role::Owner), role(Role::Member), state(UserState::Disabled), state(UserState::Active)] {
            make().await;
            assert_eq!(store.change_user(scope, user.id, &change, None, now).await.expect("no error"), Changed::Done);
            // The second of these made the role what it was; each takes the link along.
            assert!(!recover().await, "{change:?}");
            if change.role == Some(Role::Owner) {
                let row = recovery(world, user.id, Some(admin.id), 1);
                assert_eq!(store.insert_recovery(scope, &row, by(&admin)).await.expect("no error"), Changed::Forbidden);
                assert_eq!(store.change_user(scope, user.id, &role(Role::Viewer), None, now).await.expect("no error"), Changed::Done);
            }
        }
        make().await;
        assert!(store.reset_user_password(scope, user.id, "set", now).await.expect("set"));
        assert!(!recover().await, "another password was set");
        make().await;
        let login = world.login(user.id);
        assert!(store.change_user_password(scope, user.id, ("set", "own"), login.id, now).await.expect("changed"));
        assert!(!recover().await, "another password was chosen");
        make().await;
        assert_eq!(store.change_user(scope, admin.id, &role(Role::Viewer), None, now).await.expect("no error"), Changed::Done);
        assert!(!recover().await, "whoever made it may not any more");
        assert_eq!(store.get_recovery(scope, user.id).await.expect("a read").map(|row| row.user), Some(user.id));
    }

    async fn a_password_is_changed_once_and_one_login_stays(world) {
        let (store, scope, now) = (world.store(), &world.alice.scope, world.now());
        let user = add(world, &world.alice, "ann", Role::Owner).await;
        let (kept, other) = (world.login(user.id), world.login(user.id));
        for row in [&kept, &other] {
            assert!(store.insert_login(scope, row, "a hash", 5).await.expect("a login"));
        }
        let (one, two) = tokio::join!(
            store.change_user_password(scope, user.id, ("a hash", "one"), kept.id, now),
            store.change_user_password(scope, user.id, ("a hash", "two"), other.id, now),
        );
        let (one, two) = (one.expect("no error"), two.expect("no error"));
        assert!(one ^ two, "of two at once one succeeds");
        let left = store.list_logins(scope, user.id, now).await.expect("a list");
        let stays = if one { kept.id } else { other.id };
        assert_eq!(left.iter().map(|row| row.id).collect::<Vec<_>>(), [stays]);
        let other_owners = store.change_user_password(&world.bob.scope, user.id, ("one", "x"), kept.id, now).await;
        assert!(!other_owners.expect("no error"));
    }

    async fn a_registration_makes_an_owner_of_its_own_or_nothing(world) {
        let store = world.store();
        add(world, &world.alice, "taken", Role::Owner).await;
        let owner = world.id(OwnerId::generate);
        let user = world.user("new@example.test", Role::Owner);
        let taken = store.register_owner(owner, "New", &user, "taken", world.now()).await;
        assert_eq!(taken.expect_err("taken").kind(), Kind::Conflict);
        // The same owner can still be made: nothing of the first attempt stayed.
        store.register_owner(owner, "New", &user, "new", world.now()).await.expect("an owner");
        assert_eq!(store.find_user("new").await.expect("a read"), Some((owner, user.id)));
        assert_eq!(store.list_users(&Scope::of(owner)).await.expect("a list").len(), 1);
        assert_eq!(store.list_sites(&Scope::of(owner)).await.expect("a list"), []);
        let places = (0..5).map(|_| store.claim_registration(20_000, 3));
        let claimed = futures_util::future::join_all(places).await;
        assert_eq!(claimed.into_iter().filter(|claimed| matches!(claimed, Ok(true))).count(), 3);
        assert!(store.claim_registration(20_001, 3).await.expect("another day"));
        assert!(!store.claim_registration(20_000, 3).await.expect("still full"));
    }
}
