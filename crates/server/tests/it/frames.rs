//! The other end of a WebSocket, for tests.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, as tests do"
)]

use crate::people::roomy;
use crate::world::{Builder, PATIENCE, Reply, World};
use bytes::Bytes;
use chatward::ops::devices::{self, DeviceToken};
use chatward::ops::trail::Actor;
use chatward_types::{DeviceId, OwnerId, Scope};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

/// A device's connection.
pub(crate) const DEVICE: &str = "/api/v1/devices/socket";
/// The live view of events.
pub(crate) const EVENTS: &str = "/api/v1/events/stream";

/// A client's socket.
pub(crate) struct Ws(pub(crate) WebSocketStream<TcpStream>);

/// What a socket says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    /// A text, as JSON.
    Text(Value),
    /// A close, with its code and reason.
    Closed(u16, String),
    /// The connection is gone without a word.
    Gone,
}

/// A world in which no limit of requests or new sockets is in the way.
pub(crate) fn sockets_world() -> Builder {
    roomy().set("limits.sockets_per_minute", 10_000)
}

impl World {
    /// Opens a socket with these header fields; the refusal where there is one.
    pub(crate) async fn open_socket(&self, path: &str, headers: &[(&str, &str)]) -> Result<Ws, Reply> {
        self.open_socket_on(self.connect().await, path, headers).await
    }

    pub(crate) async fn open_socket_on(
        &self,
        stream: TcpStream,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Ws, Reply> {
        let mut request = format!("ws://localhost:{}{path}", self.address.port()).into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        let opening = tokio_tungstenite::client_async(request, stream);
        match timeout(PATIENCE, opening).await.expect("an answer in time") {
            Ok((socket, _)) => Ok(Ws(socket)),
            Err(Error::Http(response)) => {
                let (parts, body) = response.into_parts();
                Err(Reply { status: parts.status, headers: parts.headers, body: Bytes::from(body.unwrap_or_default()) })
            }
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    /// A socket that proves itself by its first frame.
    pub(crate) async fn open_with_frame(&self, path: &str, token: &str) -> Ws {
        let mut socket = self.open_socket(path, &[]).await.expect("an upgrade");
        socket.say(&json!({ "type": "auth", "token": token })).await;
        socket
    }

    /// A socket that is ready.
    pub(crate) async fn ready(&self, path: &str, token: &str) -> Ws {
        let mut socket = self.open_with_frame(path, token).await;
        socket.expect("ready").await;
        socket
    }

    /// A new device of an owner, and its token.
    pub(crate) async fn device_of(&self, owner: OwnerId, name: &str) -> (DeviceId, String) {
        let scope = Scope::of(owner);
        let row = devices::add(&self.app, &scope, name, vec!["art".to_owned()], None, &Actor::Operator).await.unwrap();
        (row.id, self.token_of(owner, row.id, devices::TOKEN_LIFE).await.token)
    }

    pub(crate) async fn token_of(&self, owner: OwnerId, id: DeviceId, life: i64) -> DeviceToken {
        devices::issue(&self.app, &Scope::of(owner), id, life, &Actor::Operator).await.unwrap()
    }

    /// A new device of the default owner, and its token.
    pub(crate) async fn device(&self, name: &str) -> (DeviceId, String) {
        self.device_of(self.app.owner, name).await
    }
}

impl Ws {
    pub(crate) async fn say(&mut self, value: &Value) {
        self.send(Message::Text(value.to_string().into())).await;
    }

    /// Sends; a connection that is closed meanwhile is no failure of the test.
    pub(crate) async fn send(&mut self, message: Message) {
        let _ = timeout(PATIENCE, self.0.send(message)).await.expect("sent in time");
    }

    /// The next thing that is said; pings and pongs are not.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            return match timeout(PATIENCE, self.0.next()).await.expect("a word in time") {
                Some(Ok(Message::Text(text))) => Heard::Text(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(Some(frame)))) => Heard::Closed(frame.code.into(), frame.reason.to_string()),
                Some(Ok(Message::Close(None))) => Heard::Closed(1005, String::new()),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Heard::Gone,
            };
        }
    }

    /// The next text, which must be of this type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        match self.hear().await {
            Heard::Text(value) if value["type"] == kind => value,
            other => panic!("not {kind}: {other:?}"),
        }
    }

    /// The code of the close, whatever is said before.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match self.hear().await {
                Heard::Text(_) => {}
                Heard::Closed(code, _) => return code,
                Heard::Gone => return 0,
            }
        }
    }

    /// Whether it answers.
    pub(crate) async fn is_alive(&mut self) -> bool {
        self.say(&json!({ "type": "ping" })).await;
        loop {
            match self.hear().await {
                Heard::Text(value) if value["type"] == "pong" => return true,
                Heard::Text(_) => {}
                _ => return false,
            }
        }
    }
}
