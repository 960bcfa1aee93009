//! How a statement is written once and run on two engines.
//!
//! Owns: `Statement` (a constant text per engine), the macros `execute!`, `rows!`, `first!` and `value!` that bind and
//! run one, `Bind` and `Stored` (our types to and from what both engines know) and `row!` (a row struct from a result).
//! The number of bound values is compared with the placeholders when the program is compiled, because SQLite silently
//! takes a missing value as NULL. Never builds a text at run time, never opens a transaction.

use chatward_types::{
    ConversationId, DeviceId, Environment, FeedbackId, InvitationId, JobId, KeyScopes, LoginId, MessageId, NodeId,
    OwnerId, PageId, Role, SessionId, SiteId, UsageId, UserId,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Encode, Postgres, Row, Sqlite, Type, postgres::PgRow};
use std::time::Duration;

/// Longest wait for one statement; PostgreSQL's own `statement_timeout` is shorter, so this one is for a dead network.
pub(crate) const STATEMENT_DEADLINE: Duration = Duration::from_secs(20);

/// One statement, as each engine understands it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
    placeholders: usize,
}

impl Statement {
    /// The usual case: one text for both engines.
    pub(crate) const fn both(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text, placeholders: placeholders(text) }
    }

    /// Two texts that do the same; they stand in `engine_sql.rs` and nowhere else.
    pub(crate) const fn pair(sqlite: &'static str, postgres: &'static str) -> Self {
        let count = placeholders(sqlite);
        assert!(count == placeholders(postgres), "both texts of a pair take the same values");
        Self { sqlite, postgres, placeholders: count }
    }

    /// Whether exactly `values` values fill this statement.
    pub(crate) const fn takes(&self, values: usize) -> bool {
        self.placeholders == values
    }
}

/// The highest `$N` of a text; every lower one must occur too.
const fn placeholders(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut position, mut highest, mut seen) = (0, 0, 0_u64);
    while position < bytes.len() {
        if bytes[position] == b'$' {
            let mut number = 0;
            while position + 1 < bytes.len() && bytes[position + 1].is_ascii_digit() {
                position += 1;
                number = number * 10 + (bytes[position] - b'0') as usize;
            }
            assert!(number < 64, "a statement takes at most 63 values");
            seen |= 1 << number;
            if number > highest {
                highest = number;
            }
        }
        position += 1;
    }
    let mut number = 1;
    while number < highest {
        assert!(seen & (1 << number) != 0, "a placeholder is skipped");
        number += 1;
    }
    highest
}

/// Our types as both engines can bind them.
pub(crate) trait Bind {
    type Raw: for<'q> Encode<'q, Sqlite> + Type<Sqlite> + for<'q> Encode<'q, Postgres> + Type<Postgres> + Send;
    fn raw(self) -> Self::Raw;
}

/// Our types as both engines can return them.
pub(crate) trait Stored: Sized {
    type Raw: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>;
    fn from_raw(raw: Self::Raw) -> Result<Self, sqlx::error::BoxDynError>;
}

macro_rules! bind_as {
    ($($kind:ty => $raw:ty: |$value:ident| $expression:expr;)*) => {$(
        impl Bind for $kind {
            type Raw = $raw;
            fn raw(self) -> $raw { let $value = self; $expression }
        }
    )*};
}

bind_as! {
    i64 => i64: |value| value;
    i16 => i64: |value| i64::from(value);
    u32 => i64: |value| i64::from(value);
    bool => i64: |value| i64::from(value);
    Option<i64> => Option<i64>: |value| value;
    String => String: |value| value;
    &String => String: |value| value.clone();
    &str => String: |value| value.to_owned();
    Vec<u8> => Vec<u8>: |value| value;
    &[u8] => Vec<u8>: |value| value.to_vec();
    Option<&[u8]> => Option<Vec<u8>>: |value| value.map(<[u8]>::to_vec);
    &SessionId => String: |value| value.as_str().to_owned();
    KeyScopes => String: |value| value.stored();
    Option<Environment> => Option<String>: |value| value.map(|environment| environment.to_string());
    Role => String: |value| value.as_str().to_owned();
}

macro_rules! stored_as {
    ($($kind:ty => $raw:ty: |$value:ident| $expression:expr;)*) => {$(
        impl Stored for $kind {
            type Raw = $raw;
            fn from_raw($value: $raw) -> Result<Self, sqlx::error::BoxDynError> { $expression }
        }
    )*};
}

stored_as! {
    i64 => i64: |value| Ok(value);
    i32 => i64: |value| Ok(i32::try_from(value)?);
    i16 => i64: |value| Ok(i16::try_from(value)?);
    u32 => i64: |value| Ok(u32::try_from(value)?);
    bool => i64: |value| Ok(value != 0);
    Option<i64> => Option<i64>: |value| Ok(value);
    String => String: |value| Ok(value);
    Option<String> => Option<String>: |value| Ok(value);
    Vec<u8> => Vec<u8>: |value| Ok(value);
    Option<Vec<u8>> => Option<Vec<u8>>: |value| Ok(value);
    SessionId => String: |value| Ok(SessionId::from_verified(value));
    KeyScopes => String: |value| Ok(KeyScopes::from_stored(&value)?);
    Option<Environment> => Option<String>: |value| Ok(value.map(|word| word.parse()).transpose()?);
    Vec<SiteId> => String: |value| Ok(serde_json::from_str(&value)?);
    Role => String: |value| Ok(value.parse()?);
    Vec<String> => String: |value| Ok(serde_json::from_str(&value)?);
}

macro_rules! ids {
    ($($id:ty),*) => {
        bind_as! {$(
            $id => String: |id| id.to_string();
            Option<$id> => Option<String>: |id| id.map(|id| id.to_string());
        )*}
        stored_as! {$(
            $id => String: |text| Ok(text.parse()?);
            Option<$id> => Option<String>: |text| Ok(text.map(|text| text.parse()).transpose()?);
        )*}
    };
}

ids!(
    OwnerId,
    SiteId,
    ConversationId,
    MessageId,
    PageId,
    FeedbackId,
    UsageId,
    JobId,
    NodeId,
    UserId,
    LoginId,
    InvitationId,
    DeviceId
);

/// A closed set of words stored as text.
macro_rules! words {
    ($kind:ty { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $kind {
            /// The word in the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
        impl $crate::statement::Bind for $kind {
            type Raw = String;
            fn raw(self) -> String { self.as_str().to_owned() }
        }
        impl $crate::statement::Stored for $kind {
            type Raw = String;
            fn from_raw(raw: String) -> Result<Self, sqlx::error::BoxDynError> {
                match raw.as_str() {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(concat!("not a ", stringify!($kind)).into()),
                }
            }
        }
    };
}
pub(crate) use words;

pub(crate) fn sqlite_column<T: Stored>(row: &SqliteRow, name: &str) -> sqlx::Result<T> {
    decoded(name, T::from_raw(row.try_get::<T::Raw, _>(name)?))
}

pub(crate) fn postgres_column<T: Stored>(row: &PgRow, name: &str) -> sqlx::Result<T> {
    decoded(name, T::from_raw(row.try_get::<T::Raw, _>(name)?))
}

fn decoded<T>(name: &str, value: Result<T, sqlx::error::BoxDynError>) -> sqlx::Result<T> {
    value.map_err(|source| sqlx::Error::ColumnDecode { index: name.to_owned(), source })
}

/// `row!(SiteRow { id, owner = "owner_id", … })`: reads the struct's fields from columns of the same or the given name.
macro_rules! row {
    ($kind:ty { $($field:ident $(= $column:literal)?),* $(,)? }) => {
        impl<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> for $kind {
            fn from_row(row: &'r sqlx::sqlite::SqliteRow) -> sqlx::Result<Self> {
                Ok(Self { $($field: $crate::statement::sqlite_column(
                    row, $crate::statement::column!($field $(= $column)?))?),* })
            }
        }
        impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for $kind {
            fn from_row(row: &'r sqlx::postgres::PgRow) -> sqlx::Result<Self> {
                Ok(Self { $($field: $crate::statement::postgres_column(
                    row, $crate::statement::column!($field $(= $column)?))?),* })
            }
        }
    };
}
pub(crate) use row;

macro_rules! column {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident = $column:literal) => {
        $column
    };
}
pub(crate) use column;

/// The one place where a statement meets an engine: `$run` is a method of sqlx's query, expanded for both.
macro_rules! on_engine {
    ($tx:expr, $statement:expr, [$($query:tt)*], $run:ident, $done:expr, $($value:expr),*) => {{
        const { assert!(
            $statement.takes(<[&str]>::len(&[$(stringify!($value)),*])),
            "the bound values and the placeholders differ in number",
        ) };
        let outcome = match $tx.connection()? {
            $crate::tx::Connection::Sqlite(connection) => $crate::tx::within_deadline(
                sqlx::$($query)*($statement.sqlite)
                    $(.bind($crate::statement::Bind::raw($value)))*
                    .$run(connection),
            ).await.map($done),
            $crate::tx::Connection::Postgres(connection) => $crate::tx::within_deadline(
                sqlx::$($query)*($statement.postgres)
                    $(.bind($crate::statement::Bind::raw($value)))*
                    .$run(connection),
            ).await.map($done),
        };
        $tx.watched(outcome)
    }};
}
pub(crate) use on_engine;

/// Runs a statement; the number of rows it touched.
macro_rules! execute {
    ($tx:expr, $statement:expr $(, $value:expr)* $(,)?) => {
        $crate::statement::on_engine!(
            $tx, $statement, [query], execute, |done| done.rows_affected(), $($value),*
        )
    };
}
pub(crate) use execute;

/// All rows of a result as `$kind`. The statement or its table bounds their number.
macro_rules! rows {
    ($kind:ty, $tx:expr, $statement:expr $(, $value:expr)* $(,)?) => {
        $crate::statement::on_engine!(
            $tx, $statement, [query_as::<_, $kind>], fetch_all, |rows| rows, $($value),*
        )
    };
}
pub(crate) use rows;

/// The first row of a result as `$kind`, if there is one.
macro_rules! first {
    ($kind:ty, $tx:expr, $statement:expr $(, $value:expr)* $(,)?) => {
        $crate::statement::on_engine!(
            $tx, $statement, [query_as::<_, $kind>], fetch_optional, |row| row, $($value),*
        )
    };
}
pub(crate) use first;

/// The first column of the first row, of a type that both engines know by themselves.
macro_rules! value {
    ($kind:ty, $tx:expr, $statement:expr $(, $value:expr)* $(,)?) => {
        $crate::statement::on_engine!(
            $tx, $statement, [query_scalar::<_, $kind>], fetch_optional, |value| value, $($value),*
        )
    };
}
pub(crate) use value;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_counted_by_their_highest_number() {
        assert_eq!(placeholders("SELECT 1"), 0);
        assert_eq!(placeholders("SELECT $1, $2, $1"), 2);
        assert_eq!(placeholders("SELECT $10, $1, $2, $3, $4, $5, $6, $7, $8, $9"), 10);
        assert_eq!(placeholders("SELECT x ->> '$[0]'"), 0);
        assert!(Statement::both("SELECT $1").takes(1));
        assert!(!Statement::both("SELECT $1").takes(2));
    }

    #[test]
    #[should_panic(expected = "skipped")]
    fn a_skipped_placeholder_is_refused() {
        placeholders("SELECT $2");
    }

    #[test]
    #[should_panic(expected = "same values")]
    fn a_lopsided_pair_is_refused() {
        let _ = Statement::pair("SELECT $1", "SELECT 1");
    }
}
