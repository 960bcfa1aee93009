//! Rules about what secrets hold: database addresses, the master key, the token-signing secret.
//!
//! Owns: DATA-09, SEC-06 and SEC-12 at start-up. Never does: repeat any part of such a value.

use super::Config;
use super::rules::{Findings, is_localhost, is_private, stands_inside};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use std::net::IpAddr;
use url::Url;

/// DATA-09, and the three logins that production wants.
pub(super) fn database(found: &mut Findings<'_>) {
    let database = &found.config.database;
    let main = Address::read(database.url.expose());
    judge(found, "database.url", &main);
    let others = [("database.migrate_url", &database.migrate_url), ("database.admin_url", &database.admin_url)];
    let mut users = vec![main.user()];
    for (name, url) in others {
        match (url, &main) {
            (Some(_), Address::Sqlite) => found.expect(
                false,
                name,
                "is set although database.url names a SQLite file",
                "remove it, or set database.url to a postgres:// address",
            ),
            (Some(url), _) => {
                let address = Address::read(url.expose());
                judge(found, name, &address);
                found.expect(
                    !matches!(address, Address::Sqlite),
                    name,
                    "is not a postgres:// address",
                    "write postgres://login:password@host/database",
                );
                users.push(address.user());
            }
            (None, Address::Postgres { .. }) if found.production() => found.expect(
                false,
                name,
                "is missing in production",
                "set it to a login of its own, so that requests can neither change tables nor see across owners",
            ),
            (None, _) => {}
        }
    }
    if found.production() && matches!(main, Address::Postgres { .. }) && users.len() == 3 {
        users.sort();
        users.dedup();
        found.expect(
            users.len() == 3,
            "database.url",
            "shares its login with database.migrate_url or database.admin_url, or those share theirs",
            "use three different logins in production",
        );
    }
}

/// Names, because an address of numbers was judged by `database` already.
pub(super) fn database_names(config: &Config) -> Vec<(&'static str, String)> {
    let database = &config.database;
    let urls = [
        ("database.url", Some(&database.url)),
        ("database.migrate_url", database.migrate_url.as_ref()),
        ("database.admin_url", database.admin_url.as_ref()),
    ];
    let mut names = Vec::new();
    for (setting, url) in urls {
        let Some(url) = url.and_then(|url| Url::parse(url.expose()).ok()) else { continue };
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            continue;
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let more = url.query_pairs().filter(|(key, _)| matches!(key.as_ref(), "host" | "hostaddr"));
        let hosts = std::iter::once(host).chain(more.map(|(_, value)| value.into_owned()));
        let is_name = |host: &String| {
            !host.is_empty()
                && !host.contains(['/', '%', '['])
                && !is_localhost(host)
                && host.parse::<IpAddr>().is_err()
        };
        names.extend(hosts.filter(is_name).map(|host| (setting, host)));
    }
    names
}

fn judge(found: &mut Findings<'_>, name: &str, address: &Address) {
    match address {
        Address::Unreadable => found.expect(
            false,
            name,
            "is not a database address",
            "write sqlite:///path/to/chatward.db or postgres://login:password@host/database",
        ),
        Address::Postgres { places, tls, .. } if found.production() => {
            found.expect(
                !places.is_empty(),
                name,
                "names no host in production",
                "name the host, so that no variable of the environment can choose it",
            );
            found.expect(
                !places.contains(&Place::Public),
                name,
                "names a public address in production",
                "put the database on loopback, a socket or a private address",
            );
            let remote = places.iter().any(|place| *place != Place::Local);
            let fine = !remote || (!tls.is_empty() && tls.iter().all(|mode| mode == "verify-full"));
            found.expect(
                fine,
                name,
                "reaches a remote database without verified TLS in production",
                "append ?sslmode=verify-full (and sslrootcert=FILE for a private authority)",
            );
        }
        Address::Sqlite | Address::Postgres { .. } => {}
    }
}

/// What a database address says about where it leads.
#[derive(Debug, PartialEq)]
enum Address {
    Unreadable,
    Sqlite,
    Postgres { places: Vec<Place>, tls: Vec<String>, user: String },
}

/// Where a host is, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Loopback or a socket.
    Local,
    /// A private address, or a name.
    Remote,
    /// A public address.
    Public,
}

impl Address {
    fn read(text: &str) -> Self {
        if text.starts_with("sqlite:") {
            // As the store reads it: a path as it stands. Databases in memory would lose what was acknowledged.
            let path = text.strip_prefix("sqlite://").unwrap_or_default();
            let fits = !path.is_empty() && !path.contains('?') && !path.contains(":memory:");
            return if fits { Self::Sqlite } else { Self::Unreadable };
        }
        let Ok(url) = Url::parse(text) else { return Self::Unreadable };
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Self::Unreadable;
        }
        let mut places = Vec::new();
        if let Some(host) = url.host_str().filter(|host| !host.is_empty()) {
            // A socket's folder may stand in the place of the host, its slashes encoded.
            let socket = host.len() >= 3 && host[..3].eq_ignore_ascii_case("%2f");
            places.push(if socket { Place::Local } else { place(host) });
        }
        let mut tls = Vec::new();
        // Later parameters override the host, so each of them is judged.
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "host" if value.starts_with('/') => places.push(Place::Local),
                "host" | "hostaddr" => places.push(place(&value)),
                "sslmode" | "ssl-mode" => tls.push(value.into_owned()),
                _ => {}
            }
        }
        Self::Postgres { places, tls, user: url.username().to_owned() }
    }

    fn user(&self) -> String {
        match self {
            Self::Postgres { user, .. } => user.clone(),
            _ => String::new(),
        }
    }
}

fn place(host: &str) -> Place {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(address) if address.is_loopback() => Place::Local,
        Ok(address) if is_private(address) => Place::Remote,
        Ok(_) => Place::Public,
        Err(_) if is_localhost(bare) => Place::Local,
        Err(_) => Place::Remote,
    }
}

/// SEC-06: the master key stands outside the data folder in production.
pub(super) fn vault(found: &mut Findings<'_>) {
    let config = found.config;
    if let Some(key) = &config.vault.key {
        found.expect(
            key.expose().split(',').all(|key| is_32_bytes(key.trim())),
            "vault.key",
            "is not 32 bytes in hexadecimal or base64",
            "make one with: openssl rand -base64 32",
        );
    }
    if !found.production() {
        return;
    }
    match (&config.vault.key, &config.vault.key_file) {
        (None, None) => found.expect(
            false,
            "vault.key_file",
            "is missing in production",
            "name a file outside data_dir, such as \"/etc/chatward/master.key\"",
        ),
        (_, Some(file)) => found.expect(
            !stands_inside(file, &config.data_dir),
            "vault.key_file",
            "stands inside data_dir in production, so that every copy of the data would hold its key",
            "move it outside, such as to \"/etc/chatward/master.key\"",
        ),
        _ => {}
    }
}

fn is_32_bytes(text: &str) -> bool {
    let hexadecimal = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    hexadecimal
        || [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
            .iter()
            .any(|engine| engine.decode(text).is_ok_and(|bytes| bytes.len() == 32))
}

/// SEC-12: the token-signing secret.
pub(super) fn feeds(found: &mut Findings<'_>) {
    if let Some(secret) = &found.config.feeds.jwt_secret
        && let Some(problem) = weakness(secret.expose())
    {
        found.expect(
            false,
            "feeds.jwt_secret",
            problem,
            "set at least 32 random characters, for example from: openssl rand -base64 48",
        );
    }
}

/// Letters and digits of values that tutorials, templates and guides print, in lower case.
const KNOWN_WEAK: [&str; 19] = [
    "secret",
    "changeme",
    "changethis",
    "password",
    "passphrase",
    "yourvery",
    "yourjwt",
    "yourtoken",
    "yourkey",
    "placeholder",
    "default",
    "insecure",
    "keyboardcat",
    "replaceme",
    "replacethis",
    "example",
    "qwerty",
    "abc123",
    "letmein",
];

/// What is wrong with a signing secret, if anything is.
fn weakness(secret: &str) -> Option<&'static str> {
    if secret.chars().count() < 32 {
        return Some("is shorter than 32 characters");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-+/=.~!@#$%^&*".contains(&b);
    if !secret.bytes().all(allowed) {
        return Some("holds a character outside A-Z a-z 0-9 _ - + / = . ~ ! @ # $ % ^ & *");
    }
    let plain: String = secret.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if KNOWN_WEAK.iter().any(|weak| plain.contains(weak)) {
        return Some("holds words of a well-known example");
    }
    let bytes = secret.as_bytes();
    let mut distinct = bytes.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let repeats = (1..=bytes.len() / 2).any(|size| bytes.iter().zip(&bytes[size..]).all(|(left, right)| left == right));
    // Ten neighbours in a row (abcdefghij, 9876543210) do not come from a random source.
    let run = |step: i16| {
        bytes.windows(10).any(|window| window.windows(2).all(|pair| i16::from(pair[1]) - i16::from(pair[0]) == step))
    };
    if distinct.len() < 8 || repeats || run(1) || run(-1) {
        return Some("is a repeated or counted pattern");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_secrets_that_are_short_odd_or_known_are_refused() {
        let long = |text: &str, times: usize| text.repeat(times);
        let cases = [
            (long("k9", 5), "shorter"),
            (["mZ4!q8Lw_", "e2Rt6Yu1-Ik9Op3As5Df7G"].concat(), "shorter"),
            ("your-very-long-secure-random-string-here-32-chars-minimum".to_owned(), "well-known"),
            (["my-super-", "secret-jwt-token-that-is-long-enough"].concat(), "well-known"),
            ("Change-Me-Please-Change-Me-Please-1234".to_owned(), "well-known"),
            (long("a", 40), "pattern"),
            (long("k3Jx9Qw7", 5), "pattern"),
            (["0123456789", "abcdefghijklmnopqrstuvwxyz"].concat(), "pattern"),
            (["k3Jx9Qw7zT5 ", "with a space inside it, long"].concat(), "outside"),
            (["k3Jx9Qw7zT5ü", "umlautumlautumlautumlaut"].concat(), "outside"),
        ];
        for (secret, word) in cases {
            let problem = weakness(&secret).unwrap_or("accepted");
            assert!(problem.contains(word), "{secret}: {problem}");
        }
        for secret in
            [["mZ4!q8Lw_", "e2Rt6Yu1-Ik9Op3As5Df7Gx"].concat(), ["9f86d081884c7d65", "9a2feaa0c55ad015"].concat()]
        {
            assert_eq!(weakness(&secret), None, "{secret}");
        }
    }

    #[test]
    fn a_database_address_is_read_as_the_driver_reads_it() {
        let places = |text: &str| match Address::read(text) {
            Address::Postgres { places, .. } => places,
            other => panic!("{other:?}"),
        };
        assert_eq!(places("postgres://u@localhost/d"), [Place::Local]);
        assert_eq!(places("postgres://u@127.0.0.1:5433/d"), [Place::Local]);
        assert_eq!(places("postgres://u@[::1]/d"), [Place::Local]);
        assert_eq!(places("postgres://u@%2Frun%2Fpostgresql/d"), [Place::Local]);
        assert_eq!(places("postgres:///d?host=/run/postgresql"), [Place::Local]);
        assert_eq!(places("postgres://u@10.0.0.4/d"), [Place::Remote]);
        assert_eq!(places("postgres://u@db.example.com/d"), [Place::Remote]);
        assert_eq!(places("postgresql://u@8.8.8.8/d"), [Place::Public]);
        assert_eq!(places("postgres://u@[::ffff:8.8.8.8]/d"), [Place::Public]);
        // The parameter wins in the driver, so a harmless host does not hide it.
        assert_eq!(places("postgres://u@localhost/d?host=8.8.8.8"), [Place::Local, Place::Public]);
        assert_eq!(places("postgres://u@localhost/d?hostaddr=8.8.8.8"), [Place::Local, Place::Public]);
        assert!(places("postgres:///d").is_empty());
        assert_eq!(Address::read("mysql://u@localhost/d"), Address::Unreadable);
        assert_eq!(Address::read("sqlite://"), Address::Unreadable);
        for text in ["sqlite::memory:", "sqlite://:memory:", "sqlite://a.db?mode=memory", "sqlite:a.db"] {
            assert_eq!(Address::read(text), Address::Unreadable, "{text}");
        }
        assert_eq!(Address::read("sqlite:///srv/chatward.db"), Address::Sqlite);
    }
}
