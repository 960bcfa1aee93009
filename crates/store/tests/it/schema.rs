//! The two schemas are one: tables, columns, nullability, classes of types, keys, indexes.

use crate::world::World;
use chatward_store::Engine;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::collections::BTreeSet;

type Lines = BTreeSet<String>;

async fn sqlite_lines(connection: &mut SqliteConnection, text: &'static str) -> Lines {
    let rows: Vec<(String,)> = sqlx::query_as(text).fetch_all(connection).await.expect("the schema");
    rows.into_iter().map(|row| row.0).collect()
}

async fn postgres_lines(connection: &mut sqlx::PgConnection, text: &'static str) -> Lines {
    let rows: Vec<(String,)> = sqlx::query_as(text).fetch_all(connection).await.expect("the schema");
    rows.into_iter().map(|row| row.0).collect()
}

async fn sqlite_file(world: &World) -> SqliteConnection {
    SqliteConnectOptions::new().filename(world.db.path().expect("a file")).connect().await.expect("the file")
}

fn assert_same(what: &str, sqlite: &Lines, postgres: &Lines) {
    assert!(sqlite.len() > 5, "{what}: {sqlite:?}");
    let only = |one: &Lines, other: &Lines| one.difference(other).cloned().collect::<Vec<_>>();
    assert_eq!(
        (only(sqlite, postgres), only(postgres, sqlite)),
        (Vec::new(), Vec::new()),
        "{what}: only in SQLite, only in PostgreSQL"
    );
}

#[tokio::test]
async fn both_engines_have_the_same_schema() {
    let (one, other) = (World::new(Engine::Sqlite).await, World::new(Engine::Postgres).await);
    let (mut sqlite, mut postgres) = (sqlite_file(&one).await, other.db.superuser().await);

    // "table.column class nullability place-in-primary-key"
    let columns = sqlite_lines(
        &mut sqlite,
        "SELECT t.name || '.' || c.name || ' ' ||
           CASE c.type WHEN 'INTEGER' THEN 'integer' WHEN 'BIGINT' THEN 'integer' WHEN 'TEXT' THEN 'text'
                       WHEN 'BLOB' THEN 'bytes' WHEN 'REAL' THEN 'double' ELSE c.type END || ' ' ||
           CASE c.\"notnull\" WHEN 1 THEN 'required' ELSE 'optional' END || ' key ' || c.pk
         FROM sqlite_schema t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
    )
    .await;
    let twins = postgres_lines(
        &mut postgres,
        "SELECT t.relname || '.' || a.attname || ' ' ||
           CASE format_type(a.atttypid, a.atttypmod) WHEN 'bigint' THEN 'integer' WHEN 'text' THEN 'text'
                WHEN 'bytea' THEN 'bytes' WHEN 'double precision' THEN 'double'
                ELSE format_type(a.atttypid, a.atttypmod) END || ' ' ||
           CASE WHEN a.attnotnull THEN 'required' ELSE 'optional' END || ' key ' ||
           COALESCE(array_position(k.conkey, a.attnum), 0)
         FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
         LEFT JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'p'
         WHERE t.relkind = 'r' AND t.relnamespace = 'chatward'::regnamespace",
    )
    .await;
    assert_same("columns", &columns, &twins);

    // "table(columns) -> table(columns) action"
    let keys = sqlite_lines(
        &mut sqlite,
        "SELECT t.name || '(' || group_concat(f.\"from\", ',') || ') -> ' || f.\"table\" || '(' ||
                group_concat(f.\"to\", ',') || ') ' || f.on_delete
         FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name) f WHERE t.type = 'table' GROUP BY t.name, f.id",
    )
    .await;
    let twins = postgres_lines(
        &mut postgres,
        "SELECT conrelid::regclass || '(' ||
           (SELECT string_agg(a.attname, ',' ORDER BY i) FROM unnest(conkey) WITH ORDINALITY u(n, i)
            JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = n) || ') -> ' || confrelid::regclass || '(' ||
           (SELECT string_agg(a.attname, ',' ORDER BY i) FROM unnest(confkey) WITH ORDINALITY u(n, i)
            JOIN pg_attribute a ON a.attrelid = confrelid AND a.attnum = n) || ') ' ||
           CASE confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'a' THEN 'NO ACTION' ELSE confdeltype::text END
         FROM pg_constraint WHERE contype = 'f' AND connamespace = 'chatward'::regnamespace",
    )
    .await;
    let twins = twins.into_iter().map(|line| line.replace("chatward.", "")).collect();
    assert_same("foreign keys", &keys, &twins);

    // "table(columns) unique|plain", primary keys aside
    let indexes = sqlite_lines(
        &mut sqlite,
        "SELECT t.name || '(' || (SELECT group_concat(c.name, ',') FROM pragma_index_info(i.name) c) || ') ' ||
                CASE i.\"unique\" WHEN 1 THEN 'unique' ELSE 'plain' END
         FROM sqlite_schema t JOIN pragma_index_list(t.name) i WHERE t.type = 'table' AND i.origin <> 'pk'",
    )
    .await;
    let twins = postgres_lines(
        &mut postgres,
        "SELECT t.relname || '(' ||
           (SELECT string_agg(a.attname, ',' ORDER BY k) FROM unnest(i.indkey::int[]) WITH ORDINALITY u(n, k)
            JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = n) || ') ' ||
           CASE WHEN i.indisunique THEN 'unique' ELSE 'plain' END
         FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
         WHERE t.relnamespace = 'chatward'::regnamespace AND t.relkind = 'r' AND NOT i.indisprimary",
    )
    .await;
    assert_same("indexes", &indexes, &twins);
}
