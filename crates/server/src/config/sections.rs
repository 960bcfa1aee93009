//! The settings of the server itself, each written once with its default, its bounds and its explanation.
//!
//! Owns: the sections' structs. Never does: relate one setting to another; that is `rules.rs`.
//! The money, content and provider sections stand in `sections_answers.rs`.

use super::error::ConfigError;
use super::kinds::{
    address, choice, host, name, network, origin, path, secret, secret_without_file, span, web_address,
};
use super::layers::Fallback::{Derived, Text, Unset};
use super::layers::Layers;
use super::section::{Section, key, section, setting};
use super::shape::{Shape, list, number, optional, or_off, whole};
use chatward_types::{Environment, Secret};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

section! {
    /// The installation as a whole.
    Installation "" {
        /// `production` is the one switch that refuses unsafe settings. NODE_ENV can only tighten what the file says.
        environment: Environment = Text("development"), choice(&[
            ("development", Environment::Development),
            ("staging", Environment::Staging),
            ("production", Environment::Production),
        ]), ["NODE_ENV"];
        /// The folder for the database and the logs. Created when it is missing.
        data_dir: PathBuf = Text("data"), path(), [];
    }
}

section! {
    /// The address that people use.
    Front "" {
        /// The public address, as a browser shows it. Links, the widget's frame and the accepted Host are made from it.
        public_url: Url = Derived("`http://localhost:` and the port of `server.listen`; must be set in production"),
            web_address(), [];
    }
}

/// Which header of a trusted proxy carries the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAddressHeader {
    /// `X-Forwarded-For`, read from right to left past trusted hops.
    XForwardedFor,
    /// `X-Real-IP`, one address.
    XRealIp,
    /// `CF-Connecting-IP`, one address.
    CfConnectingIp,
    /// `Forwarded` (RFC 7239), its `for` parameters read from right to left past trusted hops.
    Forwarded,
}

impl ClientAddressHeader {
    /// The header's name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::XRealIp => "x-real-ip",
            Self::CfConnectingIp => "cf-connecting-ip",
            Self::Forwarded => "forwarded",
        }
    }
}

section! {
    /// Where the server listens, whom it believes, and how long it waits.
    Server "server" {
        /// The address and port. Anything but loopback needs `trusted_proxies`. The variable PORT changes the port alone.
        listen: SocketAddr = Text("127.0.0.1:3001"), address(), [];
        /// Host names accepted besides the public address. A request for another name gets 421.
        hosts: Vec<String> = Derived("`localhost`, `127.0.0.1` and `::1`; empty in production"), list(host(), 64), [];
        /// Reverse proxies whose client address header is believed.
        trusted_proxies: Vec<IpNet> = Text(""), list(network(), 64), [];
        /// The one header that carries the client's address. Must be named when there are trusted proxies.
        client_address_header: Option<ClientAddressHeader> = Unset("the address of the connection counts"),
            optional(choice(&[
                ("x-forwarded-for", ClientAddressHeader::XForwardedFor),
                ("x-real-ip", ClientAddressHeader::XRealIp),
                ("cf-connecting-ip", ClientAddressHeader::CfConnectingIp),
                ("forwarded", ClientAddressHeader::Forwarded),
            ])), [];
        /// Bytes of a request's body; a larger one gets 413.
        max_body_bytes: usize = Text("65536"), whole(1024, 16_777_216), [];
        /// How long a request's body may take to arrive; a slower one gets 408.
        body_timeout: Duration = Text("10s"), span("100ms", "5m"), [];
        /// How long a request may take until its answer begins. An answer in one piece begins when the provider has ended,
        /// so this is longer than a provider's `total_deadline`.
        request_timeout: Duration = Text("150s"), span("1s", "10m"), [];
        /// How long a request's headers may take to arrive; a slower connection is closed.
        header_timeout: Duration = Text("10s"), span("100ms", "1m"), [];
        /// How long an idle connection is kept.
        idle_timeout: Duration = Text("75s"), span("1s", "10m"), [];
        /// Open connections in all; further ones are closed at once.
        max_connections: usize = Text("10000"), whole(1, 1_000_000), [];
        /// Open connections an address (IPv6: a /64). Trusted proxies are not counted.
        max_connections_per_address: usize = Text("100"), whole(1, 1_000_000), [];
        /// How long open answers may take to end when the server stops.
        drain_deadline: Duration = Text("20s"), span("0s", "10m"), [];
    }
}

section! {
    /// The administrative listener (`/metrics`).
    Admin "admin" {
        /// Loopback or a private address.
        listen: Option<SocketAddr> = Text("127.0.0.1:9464"), or_off(address()), [];
    }
}

section! {
    /// Where records are kept.
    Database "database" {
        /// `sqlite://` and a path, or a `postgres://` address. In production PostgreSQL must be on loopback, a socket
        /// or a private address, and a remote one needs `?sslmode=verify-full`.
        url: Secret<String> = Derived("a SQLite file `chatward.db` in `data_dir`"),
            secret("a sqlite:// or postgres:// address"), ["DATABASE_URL"];
        /// PostgreSQL: the login that owns the tables. Must be set, and be another one, in production.
        migrate_url: Option<Secret<String>> = Unset("`url` is used"), optional(secret("a postgres:// address")), [];
        /// PostgreSQL: the login for administrative queries. Must be set, and be another one, in production.
        admin_url: Option<Secret<String>> = Unset("`url` is used"), optional(secret("a postgres:// address")), [];
        /// Connections in the pool.
        pool_size: u32 = Text("10"), whole(1, 500), [];
        /// How long a request waits for a connection before it gets 503.
        acquire_deadline: Duration = Text("3s"), span("50ms", "1m"), [];
    }
}

section! {
    /// The master key that seals conversations and stored secrets.
    Vault "vault" {
        /// The master key's file, mode 0600, created when it is missing. In production it must be named and stand
        /// outside `data_dir`, so that no copy of the data holds its key. `chatward secret rotate master` puts a new key on
        /// its first line and takes the old one out when nothing needs it any more; empty lines and such that begin with
        /// `#` are left alone. A backup of the database needs the key that was in use when it was made, so keep a copy of
        /// each key, apart from the backups, as long as a backup of its time. With several servers every one needs the file:
        /// the new key is not used before all of them hold it.
        key_file: Option<PathBuf> = Derived("`keys/master.key` in `data_dir`; must be set in production"),
            optional(path()), [];
        /// The master key itself, 32 bytes in hexadecimal or base64, instead of a file; several with commas, the newest
        /// first. A running server cannot read a variable again, so such a key is not rotated before it stands in a file:
        /// `chatward secret rotate master --to-file PATH` writes it there.
        key: Option<Secret<String>> = Unset("`key_file` is used"),
            optional(secret_without_file("32 bytes in hexadecimal or base64")), [];
    }
}

section! {
    /// Keys that are issued or configured: the providers', the programs', the sites' and those that sign.
    Keys "keys" {
        /// Days after which a key should be rotated. An older one raises a warning and an event a day, and goes on working.
        /// `chatward key ages` and `chatward secret ages` list them.
        rotation_days: u32 = Text("30"), whole(1, 3650), [];
    }
}

section! {
    /// Who may call from a browser.
    Cors "cors" {
        /// Origins accepted besides the public address and each site's own. In the environment JSON or comma-separated.
        /// There are no wildcards; http and localhost are refused in production.
        allowed_origins: Vec<String> = Text(""), list(origin(), 256), ["ALLOWED_ORIGINS", "CORS_ORIGIN"];
    }
}

section! {
    /// Requests an address may make (IPv6: a /64), in fixed windows that start at its first.
    Limits "limits" {
        /// Requests of the chat API a minute.
        per_minute: u32 = Text("60"), whole(1, 1_000_000), ["MAX_REQUESTS_PER_MINUTE"];
        /// Requests of the chat API an hour.
        per_hour: u32 = Text("1000"), whole(1, 100_000_000), ["MAX_REQUESTS_PER_HOUR"];
        /// Requests of every other route in one window.
        api_requests: u32 = Text("100"), whole(1, 1_000_000), [];
        /// Seconds of that window.
        api_window_seconds: u32 = Text("900"), whole(1, 86_400), [];
        /// Requests a minute of the routes that take a password or a token for another.
        sign_in_per_minute: u32 = Text("20"), whole(1, 1_000_000), [];
        /// WebSockets that an address may open a minute.
        sockets_per_minute: u32 = Text("10"), whole(1, 1_000_000), [];
        /// Addresses remembered one by one; beyond them networks are counted instead.
        tracked_addresses: usize = Text("65536"), whole(1024, 16_777_216), [];
        /// Requests in flight from which on limits tighten.
        tighten_above: u32 = Text("512"), whole(1, 1_000_000), [];
        /// The fraction of each limit that is left then.
        tighten_to: f32 = Text("0.5"), number(0.01, 1.0), [];
    }
}

/// What happens when a session is used from another network than the one that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressChange {
    /// It is logged.
    Log,
    /// It is logged and refused.
    Refuse,
}

section! {
    /// Visitors' sessions.
    Sessions "sessions" {
        /// Hours without activity after which a session and its messages are removed.
        idle_hours: u32 = Text("24"), whole(1, 8760), ["SESSION_MAX_AGE_HOURS"];
        /// When a session is used from another network.
        on_address_change: AddressChange = Text("log"), choice(&[
            ("log", AddressChange::Log),
            ("refuse", AddressChange::Refuse),
        ]), [];
        /// Seconds between two sweeps for idle sessions.
        sweep_seconds: u32 = Text("300"), whole(1, 86_400), [];
    }
}

/// Whether anybody may register by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Nobody: users are invited.
    Closed,
    /// Anybody, as an owner of their own.
    Open,
}

/// Who must have a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactorDemand {
    /// Whoever wants one.
    Optional,
    /// Users with the role admin or owner.
    Admins,
    /// Every user.
    Everyone,
}

section! {
    /// People's accounts.
    Accounts "accounts" {
        /// Characters that a new password has at least.
        password_min_length: u32 = Text("12"), whole(6, 64), [];
        /// Whether a new password needs a letter and a digit beside its length. Length protects better; with this on and
        /// `password_min_length` at 6 the rule is the one that guides for small apps ask for.
        password_letters_and_digits: bool = Text("off"), choice(&[("on", true), ("off", false)]), [];
        /// Passwords that are computed at once; each takes a core for a moment, and 19 MiB.
        password_workers: usize = Text("1"), whole(1, 64), [];
        /// Minutes that an access token holds.
        access_minutes: u32 = Text("30"), whole(1, 1440), ["ACCESS_TOKEN_EXPIRE_MINUTES"];
        /// Days after which a device that was not used must log in again.
        login_days: u32 = Text("30"), whole(1, 365), [];
        /// Hours that an invitation holds.
        invitation_hours: u32 = Text("72"), whole(1, 720), [];
        /// Whether anybody may register by themselves. `open` lets whoever reaches the server become an owner of their own:
        /// they never see anybody else's sites, but they use this installation's providers and share its daily budget.
        /// Nothing is mailed yet, so nobody proves that an address is theirs; whoever logs in afterwards can tell whether
        /// it was free.
        registration: Registration = Text("closed"), choice(&[
            ("closed", Registration::Closed),
            ("open", Registration::Open),
        ]), [];
        /// Registrations a day over the whole installation, whether they lead to an account or not; a day is one of UTC.
        registrations_per_day: u32 = Text("50"), whole(1, 100_000), [];
        /// Who must have a second factor (an authenticator program and recovery codes): nobody, users with the role admin or
        /// owner, or every user. Whoever must and has none can log in, and then reaches nothing but what makes one.
        second_factor: SecondFactorDemand = Derived("`optional`; `admins` in production"), choice(&[
            ("optional", SecondFactorDemand::Optional),
            ("admins", SecondFactorDemand::Admins),
            ("everyone", SecondFactorDemand::Everyone),
        ]), [];
    }
}

/// How the server's log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

/// How much the server's log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Failures alone.
    Error,
    /// And what deserves a look.
    Warn,
    /// And the ordinary course of things.
    Info,
    /// And its details.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level in a filter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

section! {
    /// The server's log (standard error) and the file of security events.
    Logging "logging" {
        /// The form of the server's log.
        format: LogFormat = Derived("`text`; `json` in production"), choice(&[
            ("json", LogFormat::Json),
            ("text", LogFormat::Text),
        ]), [];
        /// How much is logged. `debug` and `trace` are refused in production: they may show what people wrote.
        level: LogLevel = Text("info"), choice(&[
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ]), [];
        /// The file of security events, one JSON line each, mode 0600.
        security_file: Option<PathBuf> = Derived("`logs/security.log` in `data_dir`"), or_off(path()), [];
        /// Bytes after which that file is rotated.
        rotate_bytes: u64 = Text("16777216"), whole(65_536, 1_073_741_824), [];
        /// Hours after which that file is rotated.
        rotate_hours: u32 = Text("24"), whole(1, 8760), [];
        /// Days that rotated files are kept.
        keep_days: u32 = Text("30"), whole(1, 3650), [];
        /// Days after which, at the latest, an address in that file becomes its network (IPv4: /24, IPv6: /48). A rotated
        /// file is replaced by its shortened copy when its first line is that old.
        address_days: u32 = Text("7"), whole(1, 3650), [];
    }
}

section! {
    /// The audit trail: who changed what, in a chain that shows whether somebody has changed it since.
    Audit "audit" {
        /// The file to which signed heads of the trail are added, one JSON line each. What it proves is worth most where
        /// the server's database cannot be reached from: ship it away, or name a file on another machine's disk.
        head_file: Option<PathBuf> = Derived("`logs/audit-heads.jsonl` in `data_dir`"), or_off(path()), [];
        /// An https address on another machine to which each head is sent by POST, one JSON object as in the file; http is
        /// for a loopback address outside production alone. Attempts that fail are repeated; after an hour of them there is
        /// an event `AUDIT_HEAD_UNDELIVERED`.
        head_webhook: Option<Url> = Unset("heads are not sent"), optional(web_address()), [];
        /// How often a head is added to the file and sent, if the trail has grown.
        head_every: Duration = Text("10m"), span("1m", "1d"), [];
    }
}

section! {
    /// Addresses that nobody is served from.
    Blocks "blocks" {
        /// Whether an address that is refused over and over (429 or 403) is blocked for a growing time. Loopback, trusted
        /// proxies and `allowed` never are.
        automatic: bool = Text("on"), choice(&[("on", true), ("off", false)]), [];
        /// Refusals in one window after which an address is blocked (IPv6: its /64).
        refusals: u32 = Text("300"), whole(5, 1_000_000), [];
        /// Seconds of that window.
        window_seconds: u32 = Text("300"), whole(1, 86_400), [];
        /// How long the first automatic block lasts; each further one twice as long as the one before, up to a day.
        first: Duration = Text("10m"), span("1m", "1d"), [];
        /// Networks that are never blocked automatically, and by hand only by whoever insists (`chatward block --force`).
        allowed: Vec<IpNet> = Text(""), list(network(), 64), [];
    }
}

section! {
    /// Response headers that are a matter of taste.
    Headers "headers" {
        /// The X-XSS-Protection header, which current browsers ignore and security guides still ask for.
        x_xss_protection: Option<String> = Text("1; mode=block"), or_off(choice_text(&["0", "1", "1; mode=block"])), [];
    }
}

section! {
    /// Broadcast feeds (served from a later version on; the values are checked now).
    Feeds "feeds" {
        /// The secret that verifies device tokens: at least 32 characters of A-Z a-z 0-9 _ - + / = . ~ ! @ # $ % ^ & *,
        /// and not a well-known one.
        jwt_secret: Option<Secret<String>> = Unset("no device can publish"),
            optional(secret("at least 32 random characters")), ["JWT_SECRET"];
        /// Devices that may publish.
        allowed_devices: Vec<String> = Text(""), list(name(64), 256), ["ALLOWED_DEVICE_ID"];
    }
}

/// One of a few texts that stand for themselves.
fn choice_text(words: &'static [&'static str]) -> super::shape::Simple<String> {
    super::shape::Simple {
        expects: words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ").into(),
        read: Box::new(move |text| {
            if words.contains(&text) {
                Ok(text.to_owned())
            } else {
                super::shape::wrong("is not one of its words", format!("write one of \"{}\"", words.join("\", \"")))
            }
        }),
        show: |value| super::shape::quoted(value),
    }
}
