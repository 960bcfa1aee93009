//! WebSockets: the one wrapper that every socket of ours runs in, so that none has rules of its own.
//!
//! Owns: the handshake, the counts per address, per credential and in all, the first frame's deadline, the caps on frames
//! and floods, pings, the deadline of a slow reader, the end at expiry, revocation, block, lockdown and shutdown, and the
//! events of opening and closing. A front ([`Front`]) says what is talked about and nothing else.
//! Never decides who may open a socket (the row's policy does, in `middleware`), and never logs what was said.

mod end;
mod first_frame;
mod meter;
mod registry;
mod run;
mod socket;
mod upgrade;
mod watch;

pub use end::End;
pub use registry::{Sockets, Standing};
pub use socket::Socket;
pub use upgrade::Upgrade;

use crate::app::App;
use crate::client::Client;
use crate::ops::devices::{self, Device};
use crate::ops::logins::{self, Person};
use crate::routes::SocketPolicy;
use chatward_types::{OwnerId, Result, Role, Scope, Timestamp};
use std::sync::Arc;

/// What a policy let through; a request extension.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The row's demands, for a first frame.
    pub policy: SocketPolicy,
    /// Who it is, if the upgrade proved it.
    pub caller: Option<Caller>,
    /// The client of the upgrade.
    pub client: Client,
}

/// Who is at the other end of a socket.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A user, with the role that the row demands.
    User {
        /// Who.
        person: Arc<Person>,
        /// The least role.
        least: Role,
    },
    /// A device.
    Device(Box<Device>),
}

/// A socket whose caller is known.
#[derive(Debug)]
pub struct Session {
    /// Who it is.
    pub caller: Caller,
    /// The client of the upgrade.
    pub client: Client,
    /// How long it holds.
    pub standing: Arc<Standing>,
}

/// What one kind of socket talks about.
pub trait Front: Send + 'static {
    /// Talks until there is a reason to end. It is dropped at any `await` when the socket must end.
    fn talk(self, app: &App, socket: &mut Socket, session: &mut Session) -> impl Future<Output = End> + Send;
}

impl Caller {
    /// Whose rows it may touch.
    pub fn owner(&self) -> OwnerId {
        match self {
            Self::User { person, .. } => person.owner,
            Self::Device(device) => device.owner,
        }
    }

    /// When its token ends, in microseconds.
    pub fn expires_at(&self) -> Timestamp {
        match self {
            Self::User { person, .. } => person.expires_at,
            Self::Device(device) => device.expires_at,
        }
    }

    /// Whether it is an administrator of the installation, as long as its standing holds.
    fn administers(&self, app: &App) -> bool {
        matches!(self, Self::User { person, least } if person.owner == app.owner && *least >= Role::Admin)
    }

    /// The id of what it proved itself with.
    fn credential(&self) -> String {
        match self {
            Self::User { person, .. } => {
                person.login.map_or_else(|| person.user.to_string(), |login| login.to_string())
            }
            Self::Device(device) => device.id.to_string(),
        }
    }

    /// The ids whose change makes its standing a question, the credential's first.
    fn subjects(&self) -> Vec<String> {
        match self {
            Self::User { person, .. } => {
                let login = person.login.map(|login| login.to_string());
                login.into_iter().chain([person.user.to_string()]).collect()
            }
            Self::Device(device) => vec![device.id.to_string()],
        }
    }

    /// For events: who, by ids.
    fn text(&self) -> String {
        match self {
            Self::User { person, .. } => format!("user {}", person.user),
            Self::Device(device) => format!("device {}", device.id),
        }
    }

    /// Whether what it proved still holds, as the store says now.
    async fn still_holds(&self, app: &App) -> Result<bool> {
        match self {
            Self::User { person, least } => {
                let Person { owner, user, login, expires_at, .. } = **person;
                let Some(login) = login else { return Ok(false) };
                let person = logins::standing(app, &Scope::of(owner), user, login, expires_at).await?;
                Ok(person.is_some_and(|person| person.role >= *least && !person.must_enrol))
            }
            Self::Device(device) => devices::still_holds(app, device).await,
        }
    }
}
