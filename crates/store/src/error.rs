//! What a database error means for the caller.
//!
//! Owns: the mapping from sqlx's errors to `types::Error`. The public text is always one of our constants; the database's
//! own words go to the log as the source. Never shows SQL, values or names of tables to a client.

use chatward_types::{Error, Kind};
use sqlx::error::ErrorKind;

/// Maps an error of either engine.
pub(crate) fn from_database(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_) => Error::unavailable(error),
        sqlx::Error::Database(refusal) => match refusal.kind() {
            ErrorKind::UniqueViolation => {
                Error::new(Kind::Conflict, "conflict", "It exists already or was changed meanwhile.").with_source(error)
            }
            ErrorKind::ForeignKeyViolation => Error::not_found().with_source(error),
            _ if refusal.code().is_some_and(|code| passes_by_itself(&code)) => Error::unavailable(error),
            _ => Error::internal(error),
        },
        _ => Error::internal(error),
    }
}

/// Whether the database names a condition that may be over in a while: busy, full, stopping, out of connections.
pub(crate) fn passes_by_itself(code: &str) -> bool {
    if code.len() == 5 {
        // https://www.postgresql.org/docs/current/errcodes-appendix.html
        return matches!(code.get(..2), Some("08" | "53" | "58"))
            || matches!(code, "40001" | "40P01" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "25P03");
    }
    // https://www.sqlite.org/rescode.html: BUSY, LOCKED, IOERR, FULL, CANTOPEN, PROTOCOL; the low byte is the primary code.
    code.parse::<i32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14 | 15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_or_exhausted_pool_is_a_matter_of_time() {
        for error in [
            sqlx::Error::PoolTimedOut,
            sqlx::Error::PoolClosed,
            sqlx::Error::WorkerCrashed,
            sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into()),
        ] {
            let error = from_database(error);
            assert_eq!(error.kind(), Kind::Unavailable);
            assert!(error.source_line().is_some(), "the log gets the cause");
        }
    }

    #[test]
    fn a_mistake_of_ours_says_nothing_of_the_inside() {
        let error = from_database(sqlx::Error::ColumnNotFound("sealed".to_owned()));
        assert_eq!(error.kind(), Kind::Internal);
        assert!(!error.public().contains("sealed"));
    }

    #[test]
    fn codes_that_pass_by_themselves() {
        for code in ["5", "517", "13", "778", "53100", "53300", "57P03", "57014", "40P01", "08006"] {
            assert!(passes_by_itself(code), "{code}");
        }
        for code in ["1", "11", "26", "42601", "42501", "22021", "28P01"] {
            assert!(!passes_by_itself(code), "{code}");
        }
    }
}
