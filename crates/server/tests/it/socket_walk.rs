//! The policy walk's part for devices and WebSockets: whoever a row does not name is refused at the upgrade, and closed
//! with 1008 after a first frame; whoever it names is let in both ways.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::frames::Heard;
use crate::world::World;
use chatward::ops::devices;
use chatward::ops::trail::Actor;
use chatward::routes::{Row, SocketPolicy};
use chatward_types::{HOUR, MINUTE, OwnerId, Scope};
use serde_json::json;

/// Tokens of devices: one that holds, one of another owner's, and what must be refused.
pub(crate) struct Devices {
    pub(crate) good: String,
    pub(crate) others: String,
    pub(crate) refused: Vec<(&'static str, String)>,
}

/// Whom a credential is of, the credential, and the status of its refusal; none where it is let in.
pub(crate) type Case = (String, String, Option<u16>);

impl Devices {
    /// Moves the clock on by an hour.
    pub(crate) async fn new(world: &World, another: OwnerId) -> Self {
        let (id, expired) = world.device("ends-soon").await;
        let short = world.token_of(world.app.owner, id, MINUTE).await.token;
        let scope = Scope::of(world.app.owner);
        let brief = devices::add(&world.app, &scope, "brief", Vec::new(), Some(HOUR), &Actor::Operator).await.unwrap();
        let ended = world.token_of(world.app.owner, brief.id, 2 * HOUR).await.token;
        world.clock.advance(HOUR);
        devices::revoke(&world.app, &scope, id, &Actor::Operator).await.expect("revoked");
        let (_, revoked) = world.device("revoked").await;
        let row = world.app.store.find_device(&scope, "revoked").await.unwrap().expect("a device");
        devices::revoke(&world.app, &scope, row.id, &Actor::Operator).await.expect("revoked");
        // The name is another device's now; the old token is still the old one's.
        world.device("revoked").await;
        let (_, good) = world.device("walker").await;
        let (_, others) = world.device_of(another, "walker").await;
        let part = |token: &str, at: usize| token.split('.').nth(at).unwrap_or_default().to_owned();
        let refused = vec![
            ("an expired device token", short),
            ("a revoked device", expired),
            ("a device that has ended", ended),
            ("a revoked device whose name is another's", revoked),
            ("another owner's claims", format!("{}.{}.{}", part(&good, 0), part(&others, 1), part(&good, 2))),
            ("a device without a signature", format!("{}.{}.", part(&good, 0), part(&good, 1))),
            ("no algorithm", format!("eyJhbGciOiJub25lIn0.{}.", part(&good, 1))),
        ];
        Self { good, others, refused }
    }
}

/// Walks a socket's row with every credential, at the upgrade and in the first frame.
pub(crate) async fn walk(world: &World, row: &Row, policy: SocketPolicy, cases: &[Case]) {
    let what = |who: &str| format!("{} {policy:?} as {who}", row.path);
    let refused = world.open_socket(row.path, &[("authorization", "")]).await;
    assert_eq!(refused.err().map(|reply| reply.status.as_u16()), Some(401), "{}", what("nobody"));
    let mut nobody = world.open_socket(row.path, &[]).await.expect("an upgrade");
    nobody.say(&json!({ "type": "ping" })).await;
    assert_eq!(nobody.close_code().await, 1008, "{}", what("nobody"));
    for (who, token, refusal) in cases {
        let at_upgrade = world.open_socket(row.path, &[("authorization", &format!("Bearer {token}"))]).await;
        let mut by_frame = world.open_with_frame(row.path, token).await;
        match (refusal, at_upgrade) {
            (Some(status), Err(reply)) => {
                assert_eq!(reply.status.as_u16(), *status, "{}: {}", what(who), reply.text());
                assert_eq!(by_frame.close_code().await, 1008, "{}", what(who));
            }
            (None, Ok(mut socket)) => {
                socket.expect("ready").await;
                let ready = by_frame.hear().await;
                assert!(matches!(&ready, Heard::Text(value) if value["type"] == "ready"), "{}: {ready:?}", what(who));
            }
            (Some(_), Ok(_)) => assert_eq!("let in", "refused", "{}", what(who)),
            (None, Err(reply)) => assert_eq!(reply.text(), "let in", "{}", what(who)),
        }
    }
}
