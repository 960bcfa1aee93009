//! Streams that end before their own end, because what let them in is gone.
//!
//! Owns: the last words of such a stream. A stream of events gets an error as its last event, any other is broken off: neither
//! ever looks whole. Never decides what ends it: the gate, the signing keys and the issued keys bring a future that does.

use super::Client;
use crate::error;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::response::Response;
use chatward_types::Error;
use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use std::future::Future;
use std::pin::Pin;

struct Watched {
    /// Gives the reason when it is over. What must be kept as long as the stream is open lives in it.
    ended: Pin<Box<dyn Future<Output = Error> + Send>>,
    request_id: Box<str>,
    events: bool,
    pieces: BodyDataStream,
}

/// Ends what is still to come of a response when `ended` gives a reason. What is there already goes out.
pub(super) fn watch_stream(
    client: &Client,
    response: Response,
    ended: impl Future<Output = Error> + Send + 'static,
) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    let events =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let (parts, body) = response.into_parts();
    let request_id = client.request_id.as_ref().into();
    let watched = Watched { ended: Box::pin(ended), request_id, events, pieces: body.into_data_stream() };
    let pieces = stream::unfold(Some(watched), |watched| async move {
        let mut watched = watched?;
        tokio::select! {
            biased;
            reason = &mut watched.ended => {
                let last = if watched.events {
                    let text = error::body_text(&reason, &watched.request_id);
                    Ok(Bytes::from(format!("event: error\ndata: {text}\n\n")))
                } else {
                    Err(axum::Error::new(reason))
                };
                Some((last, None))
            }
            piece = watched.pieces.next() => piece.map(|piece| (piece, Some(watched))),
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;
    use chatward_types::Kind;
    use http_body_util::BodyExt;
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    /// What comes of a stream that ends after its first piece, and whether what it stands on was held until then.
    async fn cut(kind: &'static str) -> (String, bool, bool) {
        let (over, held) = (CancellationToken::new(), Arc::new(()));
        let client =
            Client { request_id: "req".into(), address: IpAddr::V4(Ipv4Addr::LOCALHOST), user_agent: None, path: None };
        let pieces = stream::once(async { Ok::<_, std::io::Error>(Bytes::from("event: delta\n\n")) });
        let body = Body::from_stream(pieces.chain(stream::pending()));
        let response = ([(CONTENT_TYPE, kind)], body).into_response();
        let ended = {
            let (over, held) = (over.clone(), Arc::clone(&held));
            async move {
                over.cancelled().await;
                drop(held);
                Error::new(Kind::Unauthenticated, "key_invalid", "It is over.")
            }
        };
        let mut body = watch_stream(&client, response, ended).into_body();
        let mut text = String::new();
        let (mut broken, was_held) = (false, Arc::strong_count(&held) == 2);
        while let Some(frame) = body.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => text.push_str(&String::from_utf8_lossy(&data)),
                _ => broken = true,
            }
            over.cancel();
        }
        (text, broken, was_held && Arc::strong_count(&held) == 1)
    }

    #[tokio::test]
    async fn a_stream_that_is_cut_never_looks_whole() {
        let (text, broken, held) = cut("text/event-stream").await;
        assert!(text.starts_with("event: delta") && text.contains("event: error") && text.contains("key_invalid"));
        assert!(!broken && held);
        let (text, broken, held) = cut("application/octet-stream").await;
        assert!(text == "event: delta\n\n" && broken && held, "{text}");
    }
}
