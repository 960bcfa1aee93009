//! The first frame of a socket that sent no Authorization field: it proves itself, in time, or the socket ends.
//!
//! Owns: its form, `{"type":"auth","token":"…"}` (the type may be left out, as older devices do), and its deadline.
//! Whether the token holds, the row's policy says once more.

use super::{Caller, End, Socket};
use crate::app::App;
use crate::client::Client;
use crate::error;
use crate::json;
use crate::middleware::sockets;
use crate::routes::SocketCaller;
use chatward_types::Secret;
use serde::Deserialize;
use tokio::time::timeout;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstFrame {
    #[serde(rename = "type", default)]
    _kind: Option<Kind>,
    token: Secret<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Auth,
}

/// Waits for the frame and asks the policy.
pub(super) async fn read(app: &App, socket: &mut Socket, client: &Client, caller: SocketCaller) -> Result<Caller, End> {
    let (token, end) = match timeout(app.config.sockets.first_frame_timeout, socket.receive()).await {
        Ok(Ok(text)) => (token_of(&text), End::Unproven),
        Ok(Err(end)) => return Err(end),
        Err(_) => (None, End::Late),
    };
    let token = token.as_ref().map(|token| token.expose().as_str());
    match sockets::prove(app, client, caller, token).await {
        Ok(caller) => Ok(caller),
        Err(refusal) => {
            let end = match refusal.error().kind() {
                chatward_types::Kind::Internal | chatward_types::Kind::Unavailable => End::Failed,
                _ => end,
            };
            socket.send(error::frame_text(refusal.error(), &client.request_id)).await?;
            Err(end)
        }
    }
}

fn token_of(text: &str) -> Option<Secret<String>> {
    json::parse::<FirstFrame>(text.as_bytes()).ok().map(|frame| frame.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_and_nothing_else_is_a_first_frame() {
        for good in [r#"{"type":"auth","token":"x"}"#, r#"{"token":"x"}"#] {
            assert_eq!(token_of(good).expect("a token").expose(), "x");
        }
        for bad in [
            "",
            "x",
            "[]",
            "{}",
            r#"{"type":"auth"}"#,
            r#"{"type":"ping","token":"x"}"#,
            r#"{"token":1}"#,
            r#"{"token":"x","token":"y"}"#,
            r#"{"token":"x","role":"owner"}"#,
            r#"{"token":"x"} {}"#,
            r#"["auth","x"]"#,
        ] {
            assert!(token_of(bad).is_none(), "{bad}");
        }
    }
}
