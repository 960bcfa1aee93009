//! Three logins, as production demands them, and what is refused of fewer.

use chatward_store::{Store, StoreConfig};
use chatward_testkit::TestDb;
use chatward_types::{Kind, OwnerId, Scope, Secret};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

const LOGINS: [&str; 3] = ["app", "owner", "admin"];

/// Logins of this test's own, named after its database.
struct Logins {
    prefix: String,
    superuser: PgConnection,
    url: String,
}

impl Logins {
    async fn new(db: &TestDb) -> Self {
        let url = db.config().url.expose().clone();
        let (_, prefix) = url.rsplit_once('/').expect("a database");
        let (prefix, mut superuser) = (prefix.to_owned(), db.superuser().await);
        for login in LOGINS {
            let text = format!("CREATE ROLE {prefix}_{login} LOGIN");
            sqlx::query(AssertSqlSafe(text)).execute(&mut superuser).await.expect("a login");
        }
        Self { prefix, superuser, url }
    }

    /// What an administrator of the database runs once for a production installation.
    async fn grant(&mut self) {
        let (prefix, database) = (self.prefix.clone(), self.prefix.clone());
        for text in [
            format!("GRANT chatward_app TO {prefix}_app"),
            format!("GRANT chatward_owner TO {prefix}_owner"),
            format!("GRANT chatward_admin TO {prefix}_admin"),
            format!("GRANT CREATE ON DATABASE {database} TO {prefix}_owner"),
        ] {
            self.run(text).await;
        }
    }

    async fn run(&mut self, text: String) {
        sqlx::query(AssertSqlSafe(text)).execute(&mut self.superuser).await.expect("granted");
    }

    fn url(&self, login: &str) -> Secret<String> {
        let (_, rest) = self.url.split_once('@').expect("a user");
        Secret::new(format!("postgres://{}_{login}@{rest}", self.prefix))
    }

    fn config(&self) -> StoreConfig {
        StoreConfig {
            migrate_url: Some(self.url("owner")),
            admin_url: Some(self.url("admin")),
            allow_set_role: false,
            pool_size: 2,
            ..StoreConfig::development(self.url("app").expose().clone())
        }
    }

    async fn remove(mut self) {
        let database = self.prefix.clone();
        self.run(format!("REVOKE CREATE ON DATABASE {database} FROM {database}_owner")).await;
        for login in LOGINS {
            self.run(format!("DROP ROLE {database}_{login}")).await;
        }
    }
}

fn owner() -> OwnerId {
    let (clock, entropy) = (chatward_testkit::FakeClock::default(), chatward_testkit::FakeEntropy::default());
    OwnerId::generate(&clock, &entropy).expect("an id")
}

#[tokio::test]
async fn three_logins_share_the_work() {
    // Migrated elsewhere first, so that the roles exist as an administrator would have made them.
    let _roles = TestDb::postgres().await;
    let db = TestDb::empty_postgres().await;
    let mut logins = Logins::new(&db).await;
    logins.grant().await;
    let store = Store::connect(&logins.config()).await.expect("three logins");
    store.migrate().await.expect("the owner's login migrates");
    store.check().await.expect("the application's login works");
    assert_eq!(store.durability().await.expect("a word"), "on");
    let id = owner();
    store.insert_owner(id, "alice", 1).await.expect("an owner");
    assert_eq!(store.data_keys(&Scope::of(id)).await.expect("keys"), []);
    assert_eq!(store.admin_first_owner().await.expect("the administrator's login reads across"), Some(id));
    store.close().await;
    logins.remove().await;
}

#[tokio::test]
async fn a_login_that_could_be_more_is_refused() {
    let db = TestDb::postgres().await;
    let mut logins = Logins::new(&db).await;
    logins.grant().await;
    let prefix = logins.prefix.clone();
    let strict = StoreConfig { allow_set_role: false, ..db.config().clone() };
    let refused = Store::connect(&strict).await.expect_err("a superuser");
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.public().contains("database.url"), "it names the setting: {refused}");
    assert!(!refused.to_string().contains("127.0.0.1"), "and not the value: {refused}");

    for (grant, revoke) in [
        (format!("GRANT chatward_admin TO {prefix}_app"), format!("REVOKE chatward_admin FROM {prefix}_app")),
        (format!("GRANT chatward_owner TO {prefix}_app"), format!("REVOKE chatward_owner FROM {prefix}_app")),
        (format!("ALTER ROLE {prefix}_app BYPASSRLS"), format!("ALTER ROLE {prefix}_app NOBYPASSRLS")),
    ] {
        logins.run(grant.clone()).await;
        let refused = Store::connect(&logins.config()).await.expect_err(&grant);
        assert_eq!(refused.kind(), Kind::Invalid, "{grant}");
        logins.run(revoke).await;
    }
    let store = Store::connect(&logins.config()).await.expect("a member of chatward_app alone");
    store.check().await.expect("works");
    store.close().await;
    logins.remove().await;
}

#[tokio::test]
async fn a_migrating_login_without_rights_gets_one_clear_line() {
    let db = TestDb::empty_postgres().await;
    let logins = Logins::new(&db).await;
    let store = Store::connect(&logins.config()).await.expect("a connection");
    let refused = store.migrate().await.expect_err("no right to make or use the roles");
    assert_eq!(refused.kind(), Kind::Invalid);
    assert!(refused.public().contains("database.migrate_url"), "{refused}");
    store.close().await;
    let mut logins = logins;
    let prefix = logins.prefix.clone();
    // For the common clean-up below.
    logins.run(format!("GRANT CREATE ON DATABASE {prefix} TO {prefix}_owner")).await;
    logins.remove().await;
}
