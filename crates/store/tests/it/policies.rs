//! Row-level security by itself, asked past the store's queries: raw SQL in the application's role on the real server.
//!
//! It walks the catalogue, so a table that a later migration adds is held to the same rules the day it appears.

use crate::world::World;
use chatward_store::{Changed, DeviceRow, Engine, FeedbackRow, HotRow, InvitationRow, RecoveryRow};
use chatward_types::{DeviceId, FeedbackId, InvitationId, OwnerId, Role};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

/// Tables without an owner's policy, and why that is right.
const GLOBAL: &[(&str, &str)] = &[
    ("schema_migrations", "which migrations ran; written by the owner role alone"),
    ("settings", "values of the installation; no tenant's"),
    ("signing_keys", "the installation's keys, sealed"),
    ("site_directory", "asked before an owner is known: public key to owner and site, no content"),
    ("changes", "every node reads every owner's changes: kinds and ids"),
    ("nodes", "running servers"),
    ("jobs", "any node works for any owner: ids and numbers"),
    ("spent_tickets", "asked whoever's ticket it is: random ids and ends, no owner and no content"),
    ("issued_key_directory", "asked before an owner is known: public id to owner, no hash and no content"),
    ("key_sightings", "keys that the configuration brings: keyed hashes and times, no owner"),
    ("login_attempts", "counted before an owner is known: keyed hashes of addresses, numbers and times"),
    ("user_directory", "asked before an owner is known: keyed hash of an address to owner and user, no address"),
    ("registrations", "counted before an owner is there: numbers of days"),
    (
        "user_link_directory",
        "asked before an owner is known: keyed hash of an issuer's subject to owner and user, no subject",
    ),
    ("budget_days", "sums by name, the installation's among them"),
    ("audit_trail", "the installation's own record; one chain over all owners, no content"),
    ("blocks", "networks that nobody is served from"),
    ("lockdown", "one switch of the installation"),
];

async fn tables(connection: &mut PgConnection) -> Vec<(String, bool, bool, i64)> {
    sqlx::query_as(
        "SELECT c.relname::text, c.relrowsecurity, c.relforcerowsecurity,
                (SELECT COUNT(*) FROM pg_policy p JOIN pg_roles r ON r.oid = ANY (p.polroles)
                 WHERE p.polrelid = c.oid AND r.rolname = 'chatward_app' AND p.polcmd = '*'
                   AND pg_get_expr(p.polqual, c.oid) LIKE '%owner_id%NULLIF(current_setting(''chatward.owner''%'
                   AND pg_get_expr(p.polqual, c.oid) = pg_get_expr(p.polwithcheck, c.oid))
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'chatward' AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1",
    )
    .fetch_all(connection)
    .await
    .expect("the catalogue")
}

#[tokio::test]
async fn every_table_is_fenced_or_global_for_a_reason() {
    let world = World::new(Engine::Postgres).await;
    let mut superuser = world.db.superuser().await;
    let mut fenced = 0;
    for (table, enabled, forced, policies) in tables(&mut superuser).await {
        if let Some((_, reason)) = GLOBAL.iter().find(|(name, _)| *name == table) {
            assert!(!reason.is_empty() && !enabled, "{table}");
        } else {
            assert!(enabled && forced, "{table} has no forced row-level security");
            assert_eq!(policies, 1, "{table} has one policy by owner, in USING and WITH CHECK alike");
            fenced += 1;
        }
    }
    assert_eq!(fenced, 21);
    // One policy that is wider than the owner's would undo it: policies are joined by OR.
    let others: Vec<(String, String)> = sqlx::query_as(
        "SELECT tablename::text, policyname::text FROM pg_policies
         WHERE schemaname = 'chatward' AND NOT (roles = '{chatward_app}' AND policyname = tablename || '_of_owner')
           AND NOT (roles = '{chatward_admin}' AND cmd = 'SELECT')",
    )
    .fetch_all(&mut superuser)
    .await
    .expect("the policies");
    assert_eq!(others, []);
}

#[tokio::test]
async fn the_roles_own_nothing_and_bypass_nothing() {
    let world = World::new(Engine::Postgres).await;
    let mut superuser = world.db.superuser().await;
    let roles: Vec<(String, bool, bool, bool)> = sqlx::query_as(
        "SELECT rolname::text, rolsuper, rolbypassrls, rolcanlogin FROM pg_roles
         WHERE rolname IN ('chatward_owner', 'chatward_app', 'chatward_admin') ORDER BY 1",
    )
    .fetch_all(&mut superuser)
    .await
    .expect("the roles");
    assert_eq!(roles.len(), 3);
    assert!(roles.iter().all(|(_, superuser, bypasses, login)| !superuser && !bypasses && !login), "{roles:?}");
    let owners: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'chatward'")
            .fetch_all(&mut superuser)
            .await
            .expect("the owners");
    assert_eq!(owners, ["chatward_owner"]);
    let members: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
         WHERE r.rolname IN ('chatward_app', 'chatward_admin')",
    )
    .fetch_one(&mut superuser)
    .await
    .expect("the memberships");
    assert_eq!(members, 0, "neither role is a member of another");
    let writes: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM information_schema.role_table_grants
         WHERE grantee = 'chatward_admin' AND table_schema = 'chatward' AND privilege_type <> 'SELECT'",
    )
    .fetch_one(&mut superuser)
    .await
    .expect("the grants");
    assert_eq!(writes, 0, "the administrative role reads only");
    let keys: Vec<String> = sqlx::query_scalar(
        "SELECT conrelid::regclass::text FROM pg_constraint c
         WHERE contype = 'f' AND connamespace = 'chatward'::regnamespace AND NOT EXISTS (
           SELECT 1 FROM unnest(c.conkey) k JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k
           WHERE a.attname = 'owner_id')",
    )
    .fetch_all(&mut superuser)
    .await
    .expect("the foreign keys");
    assert_eq!(keys, Vec::<String>::new(), "every foreign key includes the owner");
}

/// At least one row of Alice's and one of Bob's in every tenant table.
async fn filled() -> World {
    let world = World::new(Engine::Postgres).await;
    for tenant in [&world.alice, &world.bob] {
        world.store().insert_data_key(&tenant.scope, 1, &[1]).await.expect("a key");
        world.learn(tenant, "knowledge").await;
        let session = world.open(tenant).await;
        let message = world.say(tenant, &session, "hello").await;
        let usage = HotRow::Usage { scope: tenant.scope, row: world.usage(tenant) };
        world.store().append(vec![usage]).await.expect("usage");
        let feedback = FeedbackRow {
            id: world.id(FeedbackId::generate),
            message: message.id,
            conversation: session.conversation,
            rating: 1,
            reason_sealed: None,
            at: world.now(),
        };
        assert!(world.store().upsert_feedback(&tenant.scope, &feedback).await.expect("feedback"));
        world.store().insert_issued_key(&tenant.scope, &world.issued_key(&tenant.key)).await.expect("a key");
        let user = world.user(&tenant.key, Role::Owner);
        world.store().insert_user(&tenant.scope, &user, &tenant.key).await.expect("a user");
        let login = world.login(user.id);
        world.store().insert_login(&tenant.scope, &login, "a hash", 5).await.expect("a login");
        world.enrol(tenant, user.id, login.id, &[[1; 32]]).await;
        let invitation = InvitationRow {
            id: world.id(InvitationId::generate),
            hash: vec![1; 32],
            email: "new@example.test".to_owned(),
            role: Role::Member,
            invited_by: user.id,
            created_at: world.now(),
            expires_at: world.now() + 1000,
        };
        assert!(world.store().insert_invitation(&tenant.scope, &invitation, 5).await.expect("an invitation"));
        let recovery = RecoveryRow {
            user: user.id,
            hash: vec![2; 32],
            made_by: Some(user.id),
            created_at: world.now(),
            expires_at: world.now() + 1000,
        };
        let made = world.store().insert_recovery(&tenant.scope, &recovery, None).await;
        assert_eq!(made.expect("a recovery"), Changed::Done);
        let device = DeviceRow {
            id: world.id(DeviceId::generate),
            name: "terminal".to_owned(),
            feeds: Vec::new(),
            created_at: world.now(),
            seen_at: None,
            expires_at: None,
            revoked_at: None,
        };
        assert!(world.store().insert_device(&tenant.scope, &device, 0, 5).await.expect("a device"));
        let link = world.user_link(user.id, &tenant.key);
        assert!(world.store().insert_user_link(&tenant.scope, &link).await.expect("a link"));
        let refused = [world.refused("https://other.example", 1)];
        world.store().add_refused_origins(&tenant.scope, tenant.site, &refused, 50).await.expect("an origin");
    }
    world
}

async fn tenant_tables(world: &World) -> Vec<String> {
    let mut superuser = world.db.superuser().await;
    let tables: Vec<String> =
        tables(&mut superuser).await.into_iter().filter(|table| table.1).map(|table| table.0).collect();
    assert_eq!(tables.len(), 21, "{tables:?}");
    for table in &tables {
        let owners: i64 =
            count(&mut superuser, &format!("SELECT COUNT(DISTINCT owner_id) FROM chatward.{table}")).await;
        assert_eq!(owners, 2, "{table} has rows of both, or the test proves nothing");
    }
    tables
}

/// A connection as the application has it, in a transaction of `owner`.
async fn as_application(world: &World, owner: Option<OwnerId>) -> PgConnection {
    let mut connection = world.db.superuser().await;
    for text in ["SET search_path = chatward", "SET ROLE chatward_app", "BEGIN"] {
        sqlx::query(text).execute(&mut connection).await.expect("the application's role");
    }
    if let Some(owner) = owner {
        sqlx::query("SELECT set_config('chatward.owner', $1, true)")
            .bind(owner.to_string())
            .execute(&mut connection)
            .await
            .expect("an owner");
    }
    connection
}

async fn count(connection: &mut PgConnection, text: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(text)).fetch_one(connection).await.expect("a count")
}

async fn privileged(connection: &mut PgConnection, table: &str, privilege: &str) -> bool {
    sqlx::query_scalar("SELECT has_table_privilege($1, $2)")
        .bind(format!("chatward.{table}"))
        .bind(privilege)
        .fetch_one(connection)
        .await
        .expect("a privilege")
}

/// Runs a text that must fail, inside a savepoint, and returns the server's message.
async fn refused(connection: &mut PgConnection, text: String) -> String {
    sqlx::query("SAVEPOINT attempt").execute(&mut *connection).await.expect("a savepoint");
    let error = sqlx::query(AssertSqlSafe(text.clone())).execute(&mut *connection).await.expect_err(&text);
    sqlx::query("ROLLBACK TO SAVEPOINT attempt").execute(&mut *connection).await.expect("back");
    error.to_string()
}

#[tokio::test]
async fn one_owner_cannot_cross_to_another_in_any_table() {
    let world = filled().await;
    let (alice, bob) = (world.alice.owner, world.bob.owner);
    for table in tenant_tables(&world).await {
        let mut bobs = as_application(&world, Some(bob)).await;
        let all = count(&mut bobs, &format!("SELECT COUNT(*) FROM {table}")).await;
        let own = count(&mut bobs, &format!("SELECT COUNT(*) FROM {table} WHERE owner_id = '{bob}'")).await;
        assert!(own > 0 && all == own, "{table}: Bob sees his own rows and no others");

        if privileged(&mut bobs, &table, "UPDATE").await {
            let text = format!("UPDATE {table} SET owner_id = owner_id WHERE owner_id = '{alice}'");
            let touched = sqlx::query(AssertSqlSafe(text)).execute(&mut bobs).await.expect("no error");
            assert_eq!(touched.rows_affected(), 0, "{table}: Bob updates none of Alice's rows");
            let given = refused(&mut bobs, format!("UPDATE {table} SET owner_id = '{alice}'")).await;
            assert!(given.contains("row-level security"), "{table}: Bob cannot give Alice a row: {given}");
        }
        if privileged(&mut bobs, &table, "DELETE").await {
            let text = format!("DELETE FROM {table} WHERE owner_id = '{alice}'");
            let touched = sqlx::query(AssertSqlSafe(text)).execute(&mut bobs).await.expect("no error");
            assert_eq!(touched.rows_affected(), 0, "{table}: Bob deletes none of Alice's rows");
        }
        let forged = refused(
            &mut bobs,
            format!(
                "INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object('owner_id', '{alice}'))).*
                 FROM {table} t LIMIT 1"
            ),
        )
        .await;
        assert!(forged.contains("row-level security"), "{table}: Bob inserts nothing as Alice: {forged}");
        bobs.close().await.expect("closed");

        let mut superuser = world.db.superuser().await;
        let kept =
            count(&mut superuser, &format!("SELECT COUNT(*) FROM chatward.{table} WHERE owner_id = '{alice}'")).await;
        assert!(kept > 0, "{table}: Alice's rows are there");
    }
}

#[tokio::test]
async fn without_an_owner_nothing_is_seen_and_nothing_written() {
    let world = filled().await;
    let tables = tenant_tables(&world).await;
    for empty in [false, true] {
        let mut nobody = as_application(&world, None).await;
        if empty {
            // What a transaction leaves behind on its connection: not unset, but empty.
            sqlx::query("SET LOCAL chatward.owner = ''").execute(&mut nobody).await.expect("an empty owner");
        }
        for table in &tables {
            assert_eq!(count(&mut nobody, &format!("SELECT COUNT(*) FROM {table}")).await, 0, "{table}");
        }
        let forged =
            refused(&mut nobody, "INSERT INTO owners (owner_id, name, created_at) VALUES ('', 'x', 0)".to_owned())
                .await;
        assert!(forged.contains("row-level security"), "{forged}");
    }
}

#[tokio::test]
async fn the_owner_role_itself_is_fenced() {
    let world = filled().await;
    let mut owner = world.db.superuser().await;
    sqlx::query("SET ROLE chatward_owner").execute(&mut owner).await.expect("the role");
    for table in tenant_tables(&world).await {
        assert_eq!(count(&mut owner, &format!("SELECT COUNT(*) FROM chatward.{table}")).await, 0, "{table}");
    }
}

#[tokio::test]
async fn the_administrator_reads_across_and_writes_nothing() {
    let world = filled().await;
    let mut admin = world.db.superuser().await;
    for text in ["SET search_path = chatward", "SET ROLE chatward_admin", "BEGIN"] {
        sqlx::query(text).execute(&mut admin).await.expect("the role");
    }
    for table in tenant_tables(&world).await {
        assert_eq!(count(&mut admin, &format!("SELECT COUNT(DISTINCT owner_id) FROM {table}")).await, 2, "{table}");
        for text in [
            format!("DELETE FROM {table}"),
            format!("UPDATE {table} SET owner_id = owner_id"),
            format!("INSERT INTO {table} SELECT * FROM {table}"),
        ] {
            let message = refused(&mut admin, text).await;
            assert!(message.contains("permission denied"), "{table}: {message}");
        }
    }
}

#[tokio::test]
async fn an_owner_does_not_outlive_its_transaction() {
    let world = filled().await;
    // The store's own connections, used for Alice a moment ago: a global transaction on them sees no tenant.
    for _ in 0..8 {
        world.store().list_sites(&world.alice.scope).await.expect("a list");
    }
    let mut connection = as_application(&world, Some(world.alice.owner)).await;
    assert!(count(&mut connection, "SELECT COUNT(*) FROM sites").await > 0);
    for text in ["COMMIT", "BEGIN"] {
        sqlx::query(text).execute(&mut connection).await.expect("a new transaction");
    }
    assert_eq!(count(&mut connection, "SELECT COUNT(*) FROM sites").await, 0);
}
