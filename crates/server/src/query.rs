//! Reading what stands behind the `?` of an address: typed, and refused in the one error shape.
//!
//! A refusal never repeats what the client sent. Never used for anything secret: addresses are logged elsewhere.

use crate::error::ApiError;
use axum::extract::FromRequestParts;
use chatward_types::{Error, Kind};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// The parameters behind the `?` parsed into `T`.
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
                "malformed_address",
                "A parameter behind the ? of the address is unknown or does not have the right form.",
            )
            .into()),
        }
    }
}
