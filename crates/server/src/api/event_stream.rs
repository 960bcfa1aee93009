//! `GET /api/v1/events/stream`: an owner's security events as they happen.

use crate::app::App;
use crate::error::ApiResult;
use crate::events;
use crate::json;
use crate::ops::event_tail::{Asked, Filter, is_of};
use crate::realtime::{End, Front, Session, Socket, Upgrade};
use axum::extract::State;
use axum::response::Response;
use chatward_types::{Error, SECOND};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Said {
    Ping {},
    Filter {
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        address: Option<String>,
        #[serde(default)]
        key: Option<String>,
        #[serde(default)]
        session: Option<String>,
    },
}

/// Opens the live view of the owner's security events, as a WebSocket.
///
/// A user of role admin proves themselves by `Authorization: Bearer` (programs), by the cookie of a login in cookie mode
/// (pages of ours: the upgrade must name exactly our own origin, else it is refused), or within ten seconds by the first
/// frame `{"type":"auth","token":"…"}` (programs, and pages of ours); else it is closed with 1008. Then comes
/// `{"type":"ready","expires_at"}`, and from then on `{"type":"event","event":{…}}` for each event, in the form of the
/// security log; those that a storm gathers into one line are counted there and do not come. `{"type":"filter","name",
/// "address","key","session"}` narrows it and is answered by `{"type":"filtered"}`; `{"type":"ping"}` by `{"type":"pong"}`;
/// what is no JSON by an error and a close with 1007.
/// What is about no site and no tenant is shown to the tenant that runs the installation. Closed with 4001 at the token's
/// end, 1008 when login, role or address hold no more, 1013 when the client reads too slowly, 1001 when the server stops.
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "events", security(("user" = [])),
    responses(
        (status = 101, description = "Open."),
        (status = 400, description = "Not a WebSocket's handshake, or an address with a query.", body = crate::error::ErrorBody),
        (status = 401, description = "The upgrade has a credential, which does not hold.", body = crate::error::ErrorBody),
        (status = 403, description = "The user's role does not allow this, another's page sent it, or a cookie came without our origin.", body = crate::error::ErrorBody),
        (status = 429, description = "Too many new or open connections from this address.", body = crate::error::ErrorBody),
        (status = 503, description = "Too many open connections.", body = crate::error::ErrorBody)))]
pub async fn open_stream(State(app): State<App>, upgrade: Upgrade) -> ApiResult<Response> {
    upgrade.serve(&app, Watching { filter: Filter::default() })
}

#[derive(Debug)]
struct Watching {
    filter: Filter,
}

impl Front for Watching {
    async fn talk(mut self, app: &App, socket: &mut Socket, session: &mut Session) -> End {
        // Before it is said that all is ready, so that nothing falls between.
        let mut events = app.events.watch();
        let owner = session.caller.owner();
        let ready = json!({ "type": "ready", "expires_at": session.caller.expires_at() / SECOND });
        if let Err(end) = socket.send(ready.to_string()).await {
            return end;
        }
        loop {
            let next = tokio::select! {
                text = socket.receive() => match text {
                    Ok(text) => Some(self.answer(&text)),
                    Err(end) => return end,
                },
                event = events.recv() => match event {
                    Ok(event) => (is_of(app, owner, &event) && self.filter.takes(&event))
                        .then(|| Ok(format!("{{\"type\":\"event\",\"event\":{}}}", events::text_of(&event)))),
                    Err(RecvError::Lagged(_)) => return End::Slow,
                    Err(RecvError::Closed) => return End::Stopping,
                },
            };
            if let Some(answer) = next
                && let Err(end) = socket.answer(answer, &session.client.request_id).await
            {
                return end;
            }
        }
    }
}

impl Watching {
    fn answer(&mut self, text: &str) -> Result<String, Error> {
        match json::parse::<Said>(text.as_bytes())? {
            Said::Ping {} => Ok(json!({ "type": "pong" }).to_string()),
            Said::Filter { name, address, key, session } => {
                self.filter = Filter::of(Asked { name, address, key, session })?;
                Ok(json!({ "type": "filtered" }).to_string())
            }
        }
    }
}
