//! What accounts are kept in: users and the way to them, logins, invitations, attempts, the use of a set-up token.

use crate::on_both;
use crate::world::{Tenant, World};
use chatward_store::{Attempt, Changed, InvitationRow, LoginRow, Rotation, UserChange, UserRow, UserState};
use chatward_types::{InvitationId, Kind, LoginId, Role, UserId};

async fn add(world: &World, tenant: &Tenant, email: &str, role: Role) -> UserRow {
    let user = world.user(email, role);
    world.store().insert_user(&tenant.scope, &user, email).await.expect("a user");
    user
}

fn to_state(state: UserState) -> UserChange {
    UserChange { state: Some(state), ..UserChange::default() }
}

fn to_role(role: Role) -> UserChange {
    UserChange { role: Some(role), ..UserChange::default() }
}

fn login(world: &World, user: UserId) -> LoginRow {
    world.login(user)
}

fn invitation(world: &World, by: UserId) -> InvitationRow {
    InvitationRow {
        id: world.id(InvitationId::generate),
        hash: vec![3; 32],
        email: "new@example.test".to_owned(),
        role: Role::Member,
        invited_by: by,
        created_at: world.now(),
        expires_at: world.now() + 100,
    }
}

on_both! {
    async fn an_address_has_one_account_wherever_it_is(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let user = add(world, &world.alice, "ann@example.test", Role::Owner).await;
        assert_eq!(store.find_user("ann@example.test").await.expect("a read"), Some((world.alice.owner, user.id)));
        assert_eq!(store.find_user("nobody").await.expect("a read"), None);
        assert_eq!(store.get_user(scope, user.id).await.expect("a read"), Some(user.clone()));
        assert_eq!(store.get_user(&world.bob.scope, user.id).await.expect("a read"), None);
        let again = world.user("ann@example.test", Role::Viewer);
        let taken = store.insert_user(&world.bob.scope, &again, "ann@example.test").await;
        assert_eq!(taken.expect_err("taken").kind(), Kind::Conflict);
        assert_eq!(store.list_users(&world.bob.scope).await.expect("a list"), [], "and nothing of it stays");
        assert_eq!(store.count_users(scope).await.expect("a count"), 1);
    }

    async fn the_first_user_is_made_once(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        store.replace_setting("setup", "one").await.expect("set");
        store.replace_setting("setup", "two").await.expect("replaced");
        assert_eq!(store.get_setting("setup").await.expect("a read").as_deref(), Some("two"));
        let users: Vec<UserRow> = (0..4).map(|_| world.user("a@example.test", Role::Owner)).collect();
        let wrong = store.insert_first_user(scope, &users[0], "a", "setup", "one").await;
        assert!(!wrong.expect("no error"), "a value that was replaced");
        let tries = users.iter().map(|user| store.insert_first_user(scope, user, "a", "setup", "two"));
        let won = futures_util::future::join_all(tries).await;
        assert_eq!(won.into_iter().filter(|won| *won.as_ref().expect("no error")).count(), 1, "exactly one");
        assert_eq!(store.count_users(scope).await.expect("a count"), 1);
        store.replace_setting("setup", "three").await.expect("set");
        let second = world.user("b@example.test", Role::Owner);
        assert!(!store.insert_first_user(scope, &second, "b", "setup", "three").await.expect("no error"));
        assert_eq!(store.get_setting("setup").await.expect("a read").as_deref(), Some("three"), "rolled back");
    }

    async fn nobody_is_the_last_owner_to_leave(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let one = add(world, &world.alice, "one", Role::Owner).await;
        let two = add(world, &world.alice, "two", Role::Owner).await;
        let now = world.now();
        let (out, down) = (to_state(UserState::Disabled), to_role(Role::Viewer));
        let (first, second) = tokio::join!(
            store.change_user(scope, one.id, &out, None, now),
            store.change_user(scope, two.id, &down, None, now),
        );
        let mut both = [first.expect("no error"), second.expect("no error")];
        both.sort_by_key(|changed| *changed == Changed::LastOwner);
        assert_eq!(both, [Changed::Done, Changed::LastOwner], "of two who leave at once one stays");
        let last = if store.get_user(scope, two.id).await.expect("a read").is_some_and(|two| two.role == Role::Owner) { two.id } else { one.id };
        assert_eq!(store.delete_user(scope, last, None, world.now()).await.expect("no error"), Changed::LastOwner);
        for changed in [
            store.change_user(&world.bob.scope, one.id, &down, None, now).await,
            store.delete_user(&world.bob.scope, one.id, None, world.now()).await,
        ] {
            assert_eq!(changed.expect("no error"), Changed::Missing, "another owner's");
        }
    }

    async fn a_login_is_continued_once_by_each_token(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let user = add(world, &world.alice, "ann", Role::Owner).await;
        let row = login(world, user.id);
        assert!(store.insert_login(scope, &row, "a hash", 5).await.expect("a login"));
        let later = world.now() + 10;
        let turn = |from, to| {
            let spent: &[u8] = to;
            Rotation { from, to, spent, network: "192.0.2.9", now: later, expires_at: later + 100 }
        };
        let (one, two, three) = ([1_u8; 32], [2_u8; 32], [3_u8; 32]);
        let (first, second) = tokio::join!(
            store.rotate_login(scope, row.id, turn(&one, &two)),
            store.rotate_login(scope, row.id, turn(&one, &three)),
        );
        assert!(first.expect("no error") ^ second.expect("no error"), "of two at once one succeeds");
        assert!(!store.rotate_login(scope, row.id, turn(&one, &two)).await.expect("no error"), "a spent one");
        let held = store.get_login(scope, row.id).await.expect("a read").expect("a login");
        assert_eq!((held.last_used_at, held.expires_at, held.network.as_str()), (later, later + 100, "192.0.2.9"));
        assert_eq!(held.spent.as_deref(), Some(held.hash.as_slice()), "what the winner left, not the loser");
        assert!(!store.end_login(&world.bob.scope, row.id, later).await.expect("not his"));
        assert_eq!(store.list_logins(scope, user.id, later).await.expect("a list").len(), 1);
        assert_eq!(store.list_logins(scope, user.id, later + 100).await.expect("a list"), [], "run out");
        assert!(store.end_login(scope, row.id, later).await.expect("ended"));
        assert!(!store.end_login(scope, row.id, later).await.expect("no error"));
        let (from, to) = (held.hash, [9_u8; 32]);
        assert!(!store.rotate_login(scope, row.id, turn(&from, &to)).await.expect("no error"), "an ended one");
    }

    async fn logins_are_few_and_end_with_what_they_stand_on(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let user = add(world, &world.alice, "ann", Role::Member).await;
        add(world, &world.alice, "owner", Role::Owner).await;
        let mut newest = None;
        for _ in 0..5 {
            world.clock.advance(1);
            let row = login(world, user.id);
            assert!(store.insert_login(scope, &row, "a hash", 3).await.expect("a login"));
            newest = Some(row.id);
        }
        let held = store.list_logins(scope, user.id, world.now()).await.expect("a list");
        assert_eq!((held.len(), Some(held[0].id)), (3, newest));
        assert!(store.reset_user_password(scope, user.id, "new hash", world.now()).await.expect("reset"));
        assert_eq!(store.list_logins(scope, user.id, world.now()).await.expect("a list"), []);
        let late = login(world, user.id);
        assert!(!store.insert_login(scope, &late, "a hash", 3).await.expect("no error"), "by the old password");
        assert!(store.insert_login(scope, &late, "new hash", 3).await.expect("a login"));
        let out = to_state(UserState::Disabled);
        let shut = store.change_user(scope, user.id, &out, None, world.now()).await;
        assert_eq!(shut.expect("no error"), Changed::Done);
        assert_eq!(store.list_logins(scope, user.id, world.now()).await.expect("a list"), []);
        assert!(!store.insert_login(scope, &login(world, user.id), "new hash", 3).await.expect("no error"), "shut out");
        let nobody = login(world, world.id(UserId::generate));
        assert!(!store.insert_login(scope, &nobody, "a hash", 3).await.expect("no error"), "nobody's");
        assert_eq!(store.get_login(scope, world.id(LoginId::generate)).await.expect("a read"), None);
    }

    async fn a_proof_of_a_password_is_replaced_only_by_whoever_saw_it(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let user = add(world, &world.alice, "ann", Role::Owner).await;
        let upgrade = async |from: &str, to: &str| {
            store.upgrade_user_password(scope, user.id, from, to, world.now()).await.expect("no error")
        };
        assert!(upgrade("a hash", "better").await);
        assert!(!upgrade("a hash", "late").await, "somebody set another meanwhile");
        assert_eq!(store.get_user(scope, user.id).await.expect("a read").map(|user| user.password).as_deref(), Some("better"));
    }

    async fn an_invitation_is_used_once_and_runs_out(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let admin = add(world, &world.alice, "admin", Role::Owner).await;
        let row = invitation(world, admin.id);
        assert!(store.insert_invitation(scope, &row, 2).await.expect("added"));
        assert_eq!(store.get_invitation(scope, row.id).await.expect("a read"), Some(row.clone()));
        assert_eq!(store.get_invitation(&world.bob.scope, row.id).await.expect("a read"), None);
        let taken = world.user("admin", Role::Member);
        let conflict = store.insert_invited_user(scope, &taken, "admin", row.id, |_, _| true).await;
        let refused = store.insert_invited_user(scope, &world.user("y", Role::Member), "y", row.id, |_, _| false).await;
        assert!(!refused.expect("no error"), "whoever sent it may not any more");
        assert_eq!(conflict.expect_err("taken").kind(), Kind::Conflict);
        let users = [world.user("x", Role::Member), world.user("x", Role::Member)];
        let tries = users.iter().map(|user| store.insert_invited_user(scope, user, "x", row.id, |by, _| by.role == Role::Owner));
        let won = futures_util::future::join_all(tries).await;
        assert_eq!(won.into_iter().filter(|won| matches!(won, Ok(true))).count(), 1, "exactly one");
        assert_eq!(store.get_invitation(scope, row.id).await.expect("a read"), None);
        for _ in 0..2 {
            assert!(store.insert_invitation(scope, &invitation(world, admin.id), 2).await.expect("added"));
        }
        let open = store.list_invitations(scope, world.now()).await.expect("a list");
        assert_eq!((open.len(), store.list_invitations(&world.bob.scope, 0).await.expect("a list").len()), (2, 0));
        assert_eq!(store.list_invitations(scope, world.now() + 100).await.expect("a list"), [], "run out");
        assert!(!store.remove_invitation(&world.bob.scope, open[0].id).await.expect("not his"));
        assert!(store.remove_invitation(scope, open[0].id).await.expect("removed"));
        assert!(!store.remove_invitation(scope, open[0].id).await.expect("no error"), "once");
        assert!(store.insert_invitation(scope, &invitation(world, admin.id), 2).await.expect("added"));
        assert!(!store.insert_invitation(scope, &invitation(world, admin.id), 2).await.expect("full"));
        world.clock.advance(101);
        assert!(store.insert_invitation(scope, &invitation(world, admin.id), 2).await.expect("the old ones are gone"));
    }

    async fn attempts_are_counted_before_they_are_judged(world) {
        let (store, now) = (world.store(), world.now());
        let hold = |number: i64| if number >= 3 { number * 10 } else { 0 };
        let tries = (0..8).map(|_| store.count_login_attempt("ann", now, hold));
        let all = futures_util::future::join_all(tries).await;
        let counted = all.iter().filter(|one| matches!(one, Ok(Attempt::Counted(_)))).count();
        assert_eq!(counted, 3, "the rest is held, however many come at once: {all:?}");
        let held = store.count_login_attempt("ann", now + 29, hold).await.expect("no error");
        assert_eq!(held, Attempt::Held(now + 30));
        let next = store.count_login_attempt("ann", now + 30, hold).await.expect("no error");
        assert_eq!(next, Attempt::Counted(4));
        assert!(store.forget_login_attempts("ann").await.expect("forgotten"));
        assert!(!store.forget_login_attempts("ann").await.expect("no error"));
        for (at, lookup) in (0..4).zip(["a", "b", "c", "d"]) {
            store.count_login_attempt(lookup, now + at, hold).await.expect("counted");
        }
        assert_eq!(store.prune_login_attempts(now + 1, 2).await.expect("pruned"), 2, "one is old, one too many");
        assert!(store.forget_login_attempts("d").await.expect("the newest stays"));
        assert!(!store.forget_login_attempts("b").await.expect("gone"));
    }
}
