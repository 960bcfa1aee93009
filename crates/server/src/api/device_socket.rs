//! `GET /api/v1/devices/socket`: a device's connection.
//!
//! It is held open until the token ends. Feeds are not served yet: whatever is not a ping or a renewal is answered with an
//! error that says so.

use crate::app::App;
use crate::error::ApiResult;
use crate::json;
use crate::ops::devices;
use crate::realtime::{Caller, End, Front, Session, Socket, Upgrade};
use axum::extract::State;
use axum::response::Response;
use chatward_types::{Error, Kind, MINUTE, SECOND, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

/// How often one connection renews its token.
const RENEW_EVERY: Timestamp = MINUTE;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Said {
    Ping {},
    Renew {},
}

/// Opens a device's WebSocket.
///
/// A program proves itself by `Authorization: Bearer`, or within ten seconds by the first frame
/// `{"type":"auth","token":"…"}`; else it is closed with 1008. Then it is told
/// `{"type":"ready","device","name","feeds","expires_at"}`. `{"type":"ping"}` is answered by `{"type":"pong"}`,
/// `{"type":"renew"}` by `{"type":"token",…}`, which lets the connection go on until the new end. Feeds are not served yet:
/// any other message is answered by an error that says so, and what is no JSON by an error and a close with 1007. Closed with 4001 at the token's end, 1008 when the device is
/// revoked or the address blocked, 1001 when the server stops. No page may open it.
#[utoipa::path(get, path = "/api/v1/devices/socket", tag = "devices", security(("device" = [])),
    responses(
        (status = 101, description = "Open."),
        (status = 400, description = "Not a WebSocket's handshake, or an address with a query.", body = crate::error::ErrorBody),
        (status = 401, description = "The upgrade has a credential, which does not hold.", body = crate::error::ErrorBody),
        (status = 403, description = "A page sent it.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many new or open connections from this address.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many open connections.", body = crate::error::ErrorBody)))]
pub async fn open_socket(State(app): State<App>, upgrade: Upgrade) -> ApiResult<Response> {
    upgrade.serve(&app, Connected { renewed_at: None })
}

#[derive(Debug)]
struct Connected {
    renewed_at: Option<Timestamp>,
}

impl Front for Connected {
    async fn talk(mut self, app: &App, socket: &mut Socket, session: &mut Session) -> End {
        let Caller::Device(device) = &session.caller else { return End::Failed };
        let ready = json!({
            "type": "ready",
            "device": device.id,
            "name": device.name,
            "feeds": device.feeds,
            "expires_at": device.expires_at / SECOND,
        });
        if let Err(end) = socket.send(ready.to_string()).await {
            return end;
        }
        loop {
            let text = match socket.receive().await {
                Ok(text) => text,
                Err(end) => return end,
            };
            let answer = self.answer(app, session, &text).map(|answer| answer.to_string());
            if let Err(end) = socket.answer(answer, &session.client.request_id).await {
                return end;
            }
        }
    }
}

impl Connected {
    fn answer(&mut self, app: &App, session: &mut Session, text: &str) -> Result<Value, Error> {
        match json::parse::<Said>(text.as_bytes()) {
            Ok(Said::Ping {}) => Ok(json!({ "type": "pong" })),
            Ok(Said::Renew {}) => self.renew(app, session),
            Err(refusal) if refusal.kind() == Kind::Malformed => Err(refusal),
            Err(_) => Err(Error::new(
                Kind::Invalid,
                "feeds_not_served",
                "Feeds are not served yet. This connection understands {\"type\":\"ping\"} and {\"type\":\"renew\"}.",
            )),
        }
    }

    fn renew(&mut self, app: &App, session: &mut Session) -> Result<Value, Error> {
        let now = app.clock.now();
        if self.renewed_at.is_some_and(|at| now - at < RENEW_EVERY) {
            return Err(Error::new(Kind::Limited, "renewed_too_soon", "A token is renewed at most once a minute."));
        }
        let Caller::Device(device) = &mut session.caller else {
            return Err(Error::internal("a device's socket is another's"));
        };
        let token = devices::renew(app, device, &session.client)?;
        self.renewed_at = Some(now);
        device.expires_at = token.expires_at * SECOND;
        session.standing.extend(device.expires_at);
        let mut view = serde_json::to_value(&token).map_err(Error::internal)?;
        view["type"] = "token".into();
        Ok(view)
    }
}
