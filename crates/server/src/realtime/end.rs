//! Why a socket ends, and what its client and the log are told of it.
//!
//! Owns: the codes and the constant words. 1008 is for whoever may not (any more), 4001 for a token that has run out,
//! 1013 for whoever may come again.

use super::meter::Flooded;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client closed it.
    Left,
    /// The connection broke off.
    Lost,
    /// The first frame came too late, or never.
    Late,
    /// The first frame proved nothing.
    Unproven,
    /// The token has run out.
    Expired,
    /// The credential was revoked, or the role is not enough any more.
    Revoked,
    /// The address was blocked.
    Blocked,
    /// The lockdown began.
    Locked,
    /// The server stops.
    Stopping,
    /// A frame or a message over the cap.
    TooLarge,
    /// More frames or bytes than may be.
    Flood,
    /// Bytes where text belongs.
    Binary,
    /// Text that is none.
    NotText,
    /// Text that is no JSON.
    NotJson,
    /// Something else that is not the protocol.
    Protocol,
    /// No answer to a ping.
    Silent,
    /// It does not read what it is sent.
    Slow,
    /// One credential has too many sockets.
    Full,
    /// Our own fault.
    Failed,
}

impl End {
    /// The code for the client, and the word for it and the log.
    pub fn told(self) -> (u16, &'static str) {
        match self {
            Self::Left => (1000, "closed by the client"),
            Self::Lost => (1006, "the connection broke off"),
            Self::Late => (1008, "no credential in time"),
            Self::Unproven => (1008, "the credential does not hold"),
            Self::Expired => (4001, "the token has run out"),
            Self::Revoked => (1008, "the credential was revoked"),
            Self::Blocked => (1008, "the address is blocked"),
            Self::Locked => (1008, "closed for a while"),
            Self::Stopping => (1001, "the server stops"),
            Self::TooLarge => (1009, "a message is too large"),
            Self::Flood => (1008, "too many frames or bytes"),
            Self::Binary => (1003, "only text is understood"),
            Self::NotText => (1007, "not text in UTF-8"),
            Self::NotJson => (1007, "not JSON"),
            Self::Protocol => (1002, "not the protocol"),
            Self::Silent => (1008, "no answer to a ping"),
            Self::Slow => (1013, "the reader is too slow"),
            Self::Full => (1013, "too many connections with this credential"),
            Self::Failed => (1011, "something went wrong on our side"),
        }
    }

    /// Whether it is one of the ordinary ends.
    pub(super) fn is_ordinary(self) -> bool {
        matches!(self, Self::Left | Self::Lost | Self::Expired | Self::Stopping)
    }

    /// The frame that says it; none where the client has gone or closed already.
    pub(super) fn frame(self) -> Option<CloseFrame> {
        if matches!(self, Self::Left | Self::Lost) {
            return None;
        }
        let (code, reason) = self.told();
        Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() })
    }

    /// What an error of the protocol comes to.
    pub(super) fn of(error: &Error) -> Self {
        use tokio_tungstenite::tungstenite::error::ProtocolError;
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => Self::Left,
            Error::Capacity(_) => Self::TooLarge,
            Error::Utf8(_) => Self::NotText,
            Error::WriteBufferFull(_) => Self::Slow,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Lost,
            Error::Protocol(_) => Self::Protocol,
            Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<Flooded>()) => Self::Flood,
            _ => Self::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_fits_into_a_close_frame() {
        for end in [
            End::Left,
            End::Lost,
            End::Late,
            End::Unproven,
            End::Expired,
            End::Revoked,
            End::Blocked,
            End::Locked,
            End::Stopping,
            End::TooLarge,
            End::Flood,
            End::Binary,
            End::NotText,
            End::NotJson,
            End::Protocol,
            End::Silent,
            End::Slow,
            End::Full,
            End::Failed,
        ] {
            let (code, reason) = end.told();
            assert!(reason.len() <= 123 && (1000..5000).contains(&code), "{end:?}");
            assert_eq!(end.frame().is_none(), matches!(end, End::Left | End::Lost), "{end:?}");
        }
    }
}
