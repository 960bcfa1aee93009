//! Security events: what the guides' operators grep for.

use crate::{OwnerId, SessionId, SiteId, Timestamp};
use std::net::IpAddr;

/// The name of a security event, as the guides spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventName {
    /// A provider key or publishable key was checked.
    ApiKeyValidation,
    /// A session began.
    SessionCreated,
    /// Idle sessions were removed.
    SessionCleanup,
    /// A session was deleted at the visitor's wish.
    SessionDeleted,
    /// A session was used from another network than the one that made it.
    SessionAddressChanged,
    /// A limit refused a request.
    RateLimitExceeded,
    /// A request from an origin that is not allowed.
    CorsBlocked,
    /// A session id or visitor token that is malformed, forged or unknown.
    InvalidSessionId,
    /// A ticket that is forged, spent or run out.
    TicketRefused,
    /// A visitor's identity that the site's owner did not sign.
    IdentityRefused,
    /// A visitor took what is stored of them.
    SessionExported,
    /// A secret key came from a browser, where it must never be.
    SecretKeyExposed,
    /// An issued key was made, changed, rotated or revoked.
    IssuedKeyChanged,
    /// A user, their role, state or password was changed, or somebody was invited.
    UserChanged,
    /// Somebody logged in.
    LoginSucceeded,
    /// A refresh token was traded for the next.
    LoginContinued,
    /// Somebody did not log in: address or password was wrong, or the account is disabled.
    LoginFailed,
    /// An attempt came too soon after failed ones.
    LoginHeld,
    /// A code of a second factor was wrong or used before.
    SecondFactorFailed,
    /// A second factor was begun, activated, used up in part, renewed or removed.
    SecondFactorChanged,
    /// A login was ended.
    LoginEnded,
    /// A refresh token was used that was spent before; its login was ended.
    RefreshReused,
    /// An access or refresh token, a set-up token, an invitation or a recovery that does not hold.
    TokenRefused,
    /// A message was answered.
    ChatMessageProcessed,
    /// A message could not be answered as it should.
    ChatError,
    /// A request was addressed to a host name that is not ours.
    HostRefused,
    /// A budget is nearly used up.
    BudgetWarning,
    /// A budget is used up; answers come from sources alone.
    BudgetExhausted,
    /// A provider failed and the next one was asked.
    ProviderFailed,
    /// A fetch of a stranger's URL was refused by the guard.
    FetchRefused,
    /// A site or a setting was changed.
    ConfigurationChanged,
    /// The server started or stopped.
    ServerLifecycle,
    /// A request from a blocked address.
    AddressBlocked,
    /// A call of the API came without any credential.
    CredentialMissing,
    /// Somebody of a site's owner read a conversation.
    ConversationRead,
    /// A crawl was asked for.
    CrawlQueued,
    /// Old turns of a conversation were left out of what a provider is told.
    HistoryTrimmed,
    /// The store was read across owners, which only named functions do.
    AdministrativeRead,
    /// A signed head of the audit trail has not left the machine for an hour.
    AuditHeadUndelivered,
    /// A block was made or lifted.
    BlockChanged,
    /// The lockdown was switched on or off.
    LockdownChanged,
    /// Old records were taken from the audit trail.
    AuditTrailPruned,
    /// A device proved itself, or did not.
    DeviceAuthentication,
    /// A device was added or revoked, or got a token.
    DeviceChanged,
    /// A WebSocket was opened.
    WebSocketOpened,
    /// A WebSocket ended.
    WebSocketClosed,
    /// A ring of signing keys was rotated.
    SigningKeyRotated,
    /// A rotation of the master key began, or ended with the end of the key before.
    MasterKeyRotated,
    /// A key is older than the rotation period.
    KeyOverdue,
    /// An outside issuer's keys could not be fetched.
    IssuerUnreachable,
}

impl EventName {
    /// The name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKeyValidation => "API_KEY_VALIDATION",
            Self::SessionCreated => "SESSION_CREATED",
            Self::SessionCleanup => "SESSION_CLEANUP",
            Self::SessionDeleted => "SESSION_DELETED",
            Self::SessionAddressChanged => "SESSION_ADDRESS_CHANGED",
            Self::RateLimitExceeded => "RATE_LIMIT_EXCEEDED",
            Self::CorsBlocked => "CORS_BLOCKED",
            Self::InvalidSessionId => "INVALID_SESSION_ID",
            Self::TicketRefused => "TICKET_REFUSED",
            Self::IdentityRefused => "IDENTITY_REFUSED",
            Self::SessionExported => "SESSION_EXPORTED",
            Self::SecretKeyExposed => "SECRET_KEY_EXPOSED",
            Self::IssuedKeyChanged => "ISSUED_KEY_CHANGED",
            Self::UserChanged => "USER_CHANGED",
            Self::LoginSucceeded => "LOGIN_SUCCEEDED",
            Self::LoginContinued => "LOGIN_CONTINUED",
            Self::LoginFailed => "LOGIN_FAILED",
            Self::LoginHeld => "LOGIN_HELD",
            Self::SecondFactorFailed => "SECOND_FACTOR_FAILED",
            Self::SecondFactorChanged => "SECOND_FACTOR_CHANGED",
            Self::LoginEnded => "LOGIN_ENDED",
            Self::RefreshReused => "REFRESH_REUSED",
            Self::TokenRefused => "TOKEN_REFUSED",
            Self::ChatMessageProcessed => "CHAT_MESSAGE_PROCESSED",
            Self::ChatError => "CHAT_ERROR",
            Self::HostRefused => "HOST_REFUSED",
            Self::BudgetWarning => "BUDGET_WARNING",
            Self::BudgetExhausted => "BUDGET_EXHAUSTED",
            Self::ProviderFailed => "PROVIDER_FAILED",
            Self::FetchRefused => "FETCH_REFUSED",
            Self::ConfigurationChanged => "CONFIGURATION_CHANGED",
            Self::ServerLifecycle => "SERVER_LIFECYCLE",
            Self::AddressBlocked => "ADDRESS_BLOCKED",
            Self::CredentialMissing => "CREDENTIAL_MISSING",
            Self::ConversationRead => "CONVERSATION_READ",
            Self::CrawlQueued => "CRAWL_QUEUED",
            Self::HistoryTrimmed => "HISTORY_TRIMMED",
            Self::AdministrativeRead => "ADMINISTRATIVE_READ",
            Self::AuditHeadUndelivered => "AUDIT_HEAD_UNDELIVERED",
            Self::BlockChanged => "BLOCK_CHANGED",
            Self::LockdownChanged => "LOCKDOWN_CHANGED",
            Self::AuditTrailPruned => "AUDIT_TRAIL_PRUNED",
            Self::DeviceAuthentication => "DEVICE_AUTHENTICATION",
            Self::DeviceChanged => "DEVICE_CHANGED",
            Self::WebSocketOpened => "WEBSOCKET_OPENED",
            Self::WebSocketClosed => "WEBSOCKET_CLOSED",
            Self::SigningKeyRotated => "SIGNING_KEY_ROTATED",
            Self::MasterKeyRotated => "MASTER_KEY_ROTATED",
            Self::KeyOverdue => "KEY_OVERDUE",
            Self::IssuerUnreachable => "ISSUER_UNREACHABLE",
        }
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The ordinary course of things.
    Info,
    /// Worth a look.
    Warning,
    /// Somebody should act.
    Error,
}

impl Severity {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused by a rule.
    Refused,
    /// It was tried and failed.
    Failure,
}

impl Outcome {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Failure => "failure",
        }
    }
}

/// A security event. It never holds message content, a token, a key or a cookie.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub name: EventName,
    /// How much it matters.
    pub severity: Severity,
    /// How it ended.
    pub outcome: Outcome,
    /// The request that caused it, if one did.
    pub request_id: Option<Box<str>>,
    /// The client's address, if there is a client.
    pub address: Option<IpAddr>,
    /// The client's User-Agent, cut to 256 bytes by the writer.
    pub user_agent: Option<Box<str>>,
    /// The route's pattern (not the raw path, which a stranger writes).
    pub path: Option<&'static str>,
    /// Whose it is: an owner reads its own events.
    pub owner: Option<OwnerId>,
    /// The site concerned.
    pub site: Option<SiteId>,
    /// The session concerned.
    pub session: Option<SessionId>,
    /// A constant explanation, or one made of our own words and numbers.
    pub detail: Option<std::borrow::Cow<'static, str>>,
}

impl Event {
    /// An event with nothing but its name; fill the rest with struct update syntax.
    pub fn new(at: Timestamp, name: EventName, severity: Severity, outcome: Outcome) -> Self {
        Self {
            at,
            name,
            severity,
            outcome,
            request_id: None,
            address: None,
            user_agent: None,
            path: None,
            owner: None,
            site: None,
            session: None,
            detail: None,
        }
    }
}
