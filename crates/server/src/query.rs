//! Reading the query of an address: typed, strict, and refused in the one error shape.
//!
//! Unknown and repeated parameters are refused by the types (`deny_unknown_fields` and serde's derive). A refusal never
//! repeats what the client sent.

use crate::error::ApiError;
use axum::extract::FromRequestParts;
use chatward_types::{Error, Kind};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// The query parsed into `T`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(_) => Err(Error::new(
                Kind::Malformed,
                "malformed_query",
                "A parameter of the query is unknown, stands twice, or does not have the right form.",
            )
            .into()),
        }
    }
}
