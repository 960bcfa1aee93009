//! The store on both engines: every function, the fence between tenants, the schema, the batches.
//!
//! Owns: `World`, two owners with a site each, and `on_both!`, which makes one test per engine of one body.
//! PostgreSQL is real, as everywhere; without CHATWARD_TEST_POSTGRES_URL its tests fail and say so.

#![expect(clippy::expect_used, reason = "a test fails by panicking, also in what its tests share")]

mod accounts;
mod append;
mod devices;
mod erasure;
mod fence;
mod installation;
mod jobs;
mod keys;
mod knowledge;
mod master_keys;
mod migrations;
mod owners;
mod policies;
mod production;
mod records;
mod resilience;
mod schema;
mod second_factors;
mod tenancy;
mod trail;
mod user_changes;
mod user_links;
mod widget;
mod world;

/// One test per engine: `on_both! { async fn name(world) { … } }`.
macro_rules! on_both {
    ($(async fn $name:ident($world:ident) $body:block)*) => {$(
        async fn $name($world: &$crate::world::World) $body

        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name(&$crate::world::World::new(chatward_store::Engine::Sqlite).await).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name(&$crate::world::World::new(chatward_store::Engine::Postgres).await).await;
            }
        }
    )*};
}
pub(crate) use on_both;
