//! Reading JSON bodies: a JSON content type, a bounded body that arrives in time, a strict type.
//!
//! Unknown members and duplicate keys are refused by the types (`deny_unknown_fields` and serde's derive), so
//! what was checked is what is used. An error names a field of ours and never repeats what the client sent.

use crate::app::App;
use crate::error::{self, ApiError};
use axum::extract::{FromRequest, Request};
use chatward_types::{Error, Kind};
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};

/// A body parsed into `T`.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        if !is_json(&request) {
            return Err(Error::new(
                Kind::Malformed,
                "not_json",
                "Send the body as JSON, with the header Content-Type: application/json.",
            )
            .into());
        }
        let most = app.config.server.max_body_bytes;
        let declared = request
            .headers()
            .get(http::header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|length| length > most) {
            return Err(error::too_large().into());
        }
        let body = Limited::new(request.into_body(), most);
        let collected = tokio::time::timeout(app.config.server.body_timeout, body.collect())
            .await
            .map_err(|_| {
                Error::new(Kind::TooSlow, "body_too_slow", "The request body took too long to arrive. Send it again.")
            })?
            .map_err(|cause| {
                if cause.is::<http_body_util::LengthLimitError>() {
                    error::too_large()
                } else {
                    Error::new(Kind::Malformed, "body_broken", "The request body broke off. Send it again.")
                }
            })?;
        Ok(Self(parse(&collected.to_bytes())?))
    }
}

fn is_json(request: &Request) -> bool {
    let mut values = request.headers().get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let essence = value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Parses a body strictly.
///
/// # Errors
/// [`Kind::Malformed`] for what is no JSON, [`Kind::Invalid`] for JSON of the wrong form, naming the field.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    // Every body is an object; serde would take an array of the members' values as well.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(if is_whole(bytes) { wrong_form() } else { not_json() });
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| explain(&error, bytes))?;
    reader.end().map_err(|_| not_json())?;
    Ok(value)
}

/// Whether it is JSON at all, of whatever form.
fn is_whole(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

fn wrong_form() -> Error {
    Error::invalid("The request body does not have the right form.")
}

fn not_json() -> Error {
    Error::new(Kind::Malformed, "malformed_json", "The request body is not valid JSON in UTF-8.")
}

fn explain(error: &serde_path_to_error::Error<serde_json::Error>, bytes: &[u8]) -> Error {
    use serde_json::error::Category;
    let inner = error.inner();
    // A number where one of our words is expected counts as bad syntax with serde_json.
    if !matches!(inner.classify(), Category::Data) && !is_whole(bytes) {
        return not_json();
    }
    // serde's own texts repeat the client's words after "unknown field" and "invalid value"; only the parts that
    // come from our types are used: the name of a missing or doubled field, and the list of those expected.
    let text = inner.to_string();
    if let Some(name) = ours(&text, "missing field `") {
        return Error::invalid(format!("Field `{name}` is missing."));
    }
    if let Some(name) = ours(&text, "duplicate field `") {
        return Error::invalid(format!("Field `{name}` stands twice. Send it once."));
    }
    if text.starts_with("unknown field `") {
        return Error::invalid(match text.rfind("expected ") {
            Some(at) if text[at..].contains('`') => {
                let expected = text[at..].split(" at line").next().unwrap_or_default();
                format!("There is a field too many; {expected}.")
            }
            _ => "There is a field too many.".to_owned(),
        });
    }
    let path = error.path().to_string();
    let known =
        path.len() <= 64 && path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']'));
    if known && path != "." {
        Error::invalid(format!("Field `{path}` does not have the right type or value."))
    } else {
        wrong_form()
    }
}

fn ours<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.strip_prefix(before)?.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        message: String,
        #[serde(default)]
        rating: Option<u8>,
    }

    fn refusal(text: &str) -> Error {
        parse::<Body>(text.as_bytes()).expect_err("a refusal")
    }

    #[test]
    fn a_refusal_names_the_field_and_echoes_nothing() {
        for (body, kind, named) in [
            (r"{}", Kind::Invalid, "`message` is missing"),
            (r#"{"message":5}"#, Kind::Invalid, "`message`"),
            (r#"{"message":"a","rating":"canary"}"#, Kind::Invalid, "`rating`"),
            (r#"{"message":"a","message":"canary"}"#, Kind::Invalid, "`message` stands twice"),
            (r#"{"message":"a","canary":1}"#, Kind::Invalid, "too many"),
            (r#"{"message":"canary"#, Kind::Malformed, "JSON"),
            (r#"{"message":"a"} canary"#, Kind::Malformed, "JSON"),
            ("canary", Kind::Malformed, "JSON"),
            ("[]", Kind::Invalid, "form"),
            (r#"["canary"]"#, Kind::Invalid, "form"),
            (r#"["canary""#, Kind::Malformed, "JSON"),
        ] {
            let error = refusal(body);
            assert_eq!(error.kind(), kind, "{body}");
            assert!(error.public().contains(named), "{body}: {}", error.public());
            assert!(!error.public().contains("canary"), "{body}: {}", error.public());
        }
        let error = parse::<Body>(b"{\"message\":\"\xff\xfe\"}").expect_err("bad UTF-8");
        assert_eq!(error.kind(), Kind::Malformed);
        let fine = parse::<Body>(br#"{"message":"a < b","rating":1}"#).expect("a body");
        assert_eq!((fine.message.as_str(), fine.rating), ("a < b", Some(1)));
    }
}
