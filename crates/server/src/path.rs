//! Reading the parameters of an address: typed, and refused in the one error shape.
//!
//! A refusal names the parameter as the route table writes it and never repeats what the client sent.

use crate::error::ApiError;
use axum::extract::FromRequestParts;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use chatward_types::{Error, Kind};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// The parameters of the address parsed into `T`.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(explain(&rejection).into()),
        }
    }
}

fn explain(rejection: &PathRejection) -> Error {
    let PathRejection::FailedToDeserializePathParams(failure) = rejection else {
        return Error::internal("a handler asks for parameters that its address does not have");
    };
    let text = match failure.kind() {
        ErrorKind::InvalidUtf8InPathParam { key } => format!("Parameter `{key}` of the address is not valid UTF-8."),
        ErrorKind::ParseErrorAtKey { key, .. } => {
            format!("Parameter `{key}` of the address does not have the right form.")
        }
        _ => "A parameter of the address does not have the right form.".to_owned(),
    };
    Error::new(Kind::Malformed, "malformed_address", text)
}
