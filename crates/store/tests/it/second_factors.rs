//! Second factors: a code is taken once, a factor begins and ends under the lock of the logins, and owners stay apart.

use crate::on_both;
use crate::world::{Tenant, World};
use chatward_store::{Activation, LoginRow, SecondFactorRow, UserRow};
use chatward_types::{LoginId, Role, UserId};

async fn add(world: &World, tenant: &Tenant, email: &str) -> UserRow {
    let user = world.user(email, Role::Owner);
    world.store().insert_user(&tenant.scope, &user, email).await.expect("a user");
    user
}

async fn begin(world: &World, tenant: &Tenant, user: UserId) -> LoginId {
    let row = world.login(user);
    assert!(world.store().insert_login(&tenant.scope, &row, "a hash", 50).await.expect("a login"));
    row.id
}

async fn holds(world: &World, tenant: &Tenant, id: LoginId) -> bool {
    let row = world.store().get_login(&tenant.scope, id).await.expect("a read").expect("a login");
    row.ended_at.is_none()
}

on_both! {
    async fn a_factor_is_confirmed_once_by_the_login_that_began_it(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let user = add(world, &world.alice, "ann").await;
        let other = add(world, &world.alice, "bob").await;
        let (login, device, bobs) = (
            begin(world, &world.alice, user.id).await,
            begin(world, &world.alice, user.id).await,
            begin(world, &world.alice, other.id).await,
        );
        let first = SecondFactorRow { sealed: vec![9; 4], ..world.factor(user.id, login) };
        assert!(store.begin_second_factor(scope, &first).await.expect("begun"));
        let factor = world.factor(user.id, login);
        assert!(store.begin_second_factor(scope, &factor).await.expect("begun anew"));
        assert_eq!(store.get_second_factor(scope, user.id).await.expect("a read"), Some(factor.clone()));
        assert_eq!(store.get_second_factor(&world.bob.scope, user.id).await.expect("a read"), None);
        assert_eq!(store.list_second_factors(scope).await.expect("a list"), [], "it is only begun");
        let codes = [[1; 32], [2; 32]];
        let turn = |login, sealed| Activation { login, sealed, step: 10, codes: &codes, now: world.now() };
        let activate = async |activation| store.activate_second_factor(scope, user.id, activation).await.expect("no error");
        assert!(!activate(turn(login, &first.sealed)).await, "the code of a secret that was replaced");
        assert!(!activate(turn(device, &factor.sealed)).await, "another login");
        let theirs = store.activate_second_factor(&world.bob.scope, user.id, turn(login, &factor.sealed)).await;
        assert!(!theirs.expect("no error"));
        assert!(holds(world, &world.alice, device).await);
        let (one, two) = tokio::join!(activate(turn(login, &factor.sealed)), activate(turn(login, &factor.sealed)));
        assert!(one ^ two, "of two at once one confirms");
        let row = store.get_login(scope, login).await.expect("a read").expect("a login");
        assert_eq!((row.proven_at, row.factor_since), (Some(world.now()), Some(world.now())));
        assert!(!holds(world, &world.alice, device).await, "the user's other logins end");
        assert!(holds(world, &world.alice, bobs).await, "another user's do not");
        assert_eq!(store.list_logins(scope, user.id, world.now()).await.expect("a list"), [row]);
        assert_eq!(store.list_second_factors(scope).await.expect("a list").len(), 1);
        assert_eq!(store.list_second_factors(&world.bob.scope).await.expect("a list"), []);
        assert!(!store.begin_second_factor(scope, &factor).await.expect("no error"), "an active one is not replaced");
    }

    async fn a_login_that_has_ended_confirms_nothing(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let user = add(world, &world.alice, "ann").await;
        let login = begin(world, &world.alice, user.id).await;
        let factor = world.factor(user.id, login);
        assert!(store.begin_second_factor(scope, &factor).await.expect("begun"));
        assert!(store.end_login(scope, login, world.now()).await.expect("ended"));
        let activation = Activation { login, sealed: &factor.sealed, step: 10, codes: &[], now: world.now() };
        assert!(!store.activate_second_factor(scope, user.id, activation).await.expect("no error"));
        let kept = store.get_second_factor(scope, user.id).await.expect("a read").expect("a factor");
        assert_eq!(kept.confirmed_at, None, "and nothing of it stays");
    }

    async fn a_step_is_taken_once_and_never_after_a_later_one(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let user = add(world, &world.alice, "ann").await;
        let login = begin(world, &world.alice, user.id).await;
        let since = world.enrol(&world.alice, user.id, login, &[]).await;
        let take = async |step| store.take_second_factor_step(scope, user.id, since, step).await.expect("no error");
        assert!(!take(10).await, "the one that confirmed it");
        let many = futures_util::future::join_all((0..8).map(|_| take(11))).await;
        assert_eq!(many.into_iter().filter(|taken| *taken).count(), 1, "of eight at once one");
        assert!(take(13).await);
        assert!(!take(12).await, "an earlier one");
        assert!(!store.take_second_factor_step(&world.bob.scope, user.id, since, 14).await.expect("not his"));
        assert!(!store.take_second_factor_step(scope, user.id, since + 1, 14).await.expect("no error"), "another factor's");
    }

    async fn a_recovery_code_is_taken_once_and_replaced_with_all(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let user = add(world, &world.alice, "ann").await;
        let login = begin(world, &world.alice, user.id).await;
        let since = world.enrol(&world.alice, user.id, login, &[[1; 32], [2; 32]]).await;
        let take = async |hash| store.take_recovery_code(scope, user.id, &hash).await.expect("no error");
        assert!(!store.take_recovery_code(&world.bob.scope, user.id, &[1; 32]).await.expect("not his"));
        let many = futures_util::future::join_all((0..8).map(|_| take([1; 32]))).await;
        assert_eq!(many.into_iter().filter(|taken| *taken).count(), 1, "of eight at once one");
        assert!(!take([1; 32]).await && !take([9; 32]).await);
        assert_eq!(store.count_recovery_codes(scope, user.id).await.expect("a count"), 1);
        let replace = async |since| store.replace_recovery_codes(scope, user.id, since, &[[3; 32]]).await.expect("no error");
        assert!(!replace(since + 1).await, "another factor's");
        assert!(!store.replace_recovery_codes(&world.bob.scope, user.id, since, &[]).await.expect("not his"));
        assert!(replace(since).await);
        assert!(!take([2; 32]).await && take([3; 32]).await);
    }

    async fn no_login_is_made_past_a_factor(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let user = add(world, &world.alice, "ann").await;
        let login = begin(world, &world.alice, user.id).await;
        let since = world.enrol(&world.alice, user.id, login, &[[1; 32]]).await;
        let insert = async |row: LoginRow| store.insert_login(scope, &row, "a hash", 50).await.expect("no error");
        assert!(!insert(world.login(user.id)).await, "a password alone");
        let proven = |factor_since| LoginRow { proven_at: Some(world.now()), factor_since, ..world.login(user.id) };
        assert!(!insert(proven(Some(since - 1))).await, "the factor before");
        let second = proven(Some(since));
        assert!(insert(second.clone()).await);
        assert!(!store.remove_second_factor(&world.bob.scope, user.id, since).await.expect("not his"));
        assert!(!store.remove_second_factor(scope, user.id, since + 1).await.expect("no error"), "another factor's");
        assert!(store.remove_second_factor(scope, user.id, since).await.expect("removed"));
        let kept = store.get_login(scope, second.id).await.expect("a read").expect("a login");
        assert_eq!((kept.ended_at, kept.proven_at, kept.factor_since), (None, None, None), "nothing counts as proven");
        assert!(!store.take_recovery_code(scope, user.id, &[1; 32]).await.expect("no error"), "its codes went with it");
        assert!(!insert(proven(Some(since))).await, "it is gone");
        assert!(insert(world.login(user.id)).await);
    }

    async fn a_reset_takes_factor_codes_and_logins(world) {
        let (store, scope) = (world.store(), &world.alice.scope);
        let user = add(world, &world.alice, "ann").await;
        assert!(!store.reset_second_factor(scope, user.id, world.now()).await.expect("none yet"));
        let login = begin(world, &world.alice, user.id).await;
        world.enrol(&world.alice, user.id, login, &[[1; 32]]).await;
        assert!(!store.reset_second_factor(&world.bob.scope, user.id, world.now()).await.expect("not his"));
        assert!(holds(world, &world.alice, login).await);
        assert!(store.reset_second_factor(scope, user.id, world.now()).await.expect("reset"));
        assert_eq!(store.get_second_factor(scope, user.id).await.expect("a read"), None);
        assert_eq!(store.count_recovery_codes(scope, user.id).await.expect("a count"), 0);
        assert!(!holds(world, &world.alice, login).await);
    }
}
