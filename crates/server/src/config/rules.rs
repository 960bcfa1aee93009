//! The rules between settings, and what production refuses.
//!
//! Owns: every refusal that needs more than one value or the environment. Never does: I/O beyond following the links of
//! the two paths that must not stand inside one another. Rules about secrets and databases stand in `rules_secrets.rs`.

use super::error::ConfigError;
use super::sections::LogLevel;
use super::sections_answers::ProviderKind;
use super::{Config, rules_issuers, rules_secrets};
use chatward_types::Environment;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Component, Path, PathBuf};
use url::{Host, Url};

/// Every broken rule, in the order of the sections.
pub(super) fn problems(config: &Config) -> Vec<ConfigError> {
    let mut found = Findings { config, problems: Vec::new() };
    found.front();
    found.server();
    rules_secrets::database(&mut found);
    rules_secrets::vault(&mut found);
    found.cors();
    rules_issuers::issuers(&mut found);
    found.providers();
    found.logging();
    found.audit();
    rules_secrets::feeds(&mut found);
    found.problems
}

/// The problems found so far.
pub(super) struct Findings<'a> {
    pub(super) config: &'a Config,
    problems: Vec<ConfigError>,
}

impl Findings<'_> {
    pub(super) fn production(&self) -> bool {
        self.config.environment == Environment::Production
    }

    /// Notes a problem unless `fine`.
    pub(super) fn expect(&mut self, fine: bool, setting: &str, problem: &str, fix: &str) {
        if !fine {
            let origin = self.config.origin(setting).clone();
            self.problems.push(ConfigError::new(setting, origin, problem.to_owned(), fix.to_owned()));
        }
    }

    fn front(&mut self) {
        let url = &self.config.public_url;
        self.expect(
            url.path() == "/",
            "public_url",
            "has a path",
            "write scheme and host alone, such as \"https://chat.example.com\"",
        );
        if self.production() {
            let set = self.config.origin("public_url") != &super::Origin::Default;
            let fix = "set it to the https address that people use, such as \"https://chat.example.com\"";
            self.expect(set, "public_url", "is missing in production", fix);
            self.expect(!set || url.scheme() == "https", "public_url", "is not an https address in production", fix);
            self.expect(!set || !is_loopback(url), "public_url", "is a loopback address in production", fix);
        }
    }

    fn server(&mut self) {
        let server = &self.config.server;
        let behind_proxy = !server.trusted_proxies.is_empty();
        self.expect(
            server.listen.ip().to_canonical().is_loopback() || behind_proxy,
            "server.listen",
            "is reachable from other machines without TLS",
            "listen on 127.0.0.1, or name the TLS-ending reverse proxy in server.trusted_proxies",
        );
        let narrow = |network: &IpNet| network.prefix_len() >= if network.addr().is_ipv4() { 8 } else { 16 };
        self.expect(
            server.trusted_proxies.iter().all(narrow),
            "server.trusted_proxies",
            "trusts a large part of the internet",
            "list the networks of your reverse proxies alone, none wider than /8 (IPv6: /16)",
        );
        self.expect(
            !behind_proxy || server.client_address_header.is_some(),
            "server.client_address_header",
            "is missing although there are trusted proxies",
            "name the one header that they set, such as \"x-forwarded-for\"",
        );
        self.expect(
            behind_proxy || server.client_address_header.is_none(),
            "server.client_address_header",
            "is set although no proxy is trusted",
            "list the proxies in server.trusted_proxies, or remove it",
        );
        if let Some(listen) = self.config.admin.listen {
            self.expect(
                is_private(listen.ip()),
                "admin.listen",
                "is reachable from the internet",
                "write a loopback or private address such as \"127.0.0.1:9464\", or \"off\"",
            );
            self.expect(
                listen != self.config.server.listen || listen.port() == 0,
                "admin.listen",
                "is the same as server.listen",
                "choose another port",
            );
        }
    }

    fn cors(&mut self) {
        if !self.production() {
            return;
        }
        let origins = &self.config.cors.allowed_origins;
        let name = "cors.allowed_origins";
        let urls: Vec<Url> = origins.iter().filter_map(|origin| Url::parse(origin).ok()).collect();
        self.expect(
            !urls.iter().any(is_loopback),
            name,
            "holds a localhost origin in production",
            "remove it, or set environment = \"development\"",
        );
        self.expect(
            !urls.iter().any(|url| url.scheme() != "https" && !is_loopback(url)),
            name,
            "holds an http origin in production",
            "write it with https",
        );
    }

    fn providers(&mut self) {
        let config = self.config;
        let mut names = BTreeSet::new();
        let last = config.providers.len().saturating_sub(1);
        for (index, provider) in config.providers.iter().enumerate() {
            let at = |key: &str| format!("providers[{index}].{key}");
            self.expect(
                names.insert(provider.name.to_ascii_lowercase()),
                &at("name"),
                "is the name of an earlier provider",
                "give each provider a name of its own",
            );
            let extractive = provider.kind == ProviderKind::Extractive;
            self.expect(
                !extractive || index == last,
                &at("kind"),
                "is extractive before the last place, where no later provider is ever asked",
                "move it to the end, or remove it: it is always there, last",
            );
            if let Some(url) = provider.base_url.as_ref().filter(|url| url.scheme() == "http") {
                let secret = provider.api_key.is_some();
                self.expect(
                    is_inside(url) || !(secret || self.production()),
                    &at("base_url"),
                    "would send keys and conversations over the internet in clear",
                    "write it with https",
                );
            }
        }
    }

    fn audit(&mut self) {
        let Some(url) = &self.config.audit.head_webhook else { return };
        self.expect(
            url.scheme() == "https" || (is_loopback(url) && !self.production()),
            "audit.head_webhook",
            "is not an https address",
            "write one that begins with https://",
        );
    }

    fn logging(&mut self) {
        if self.production() {
            self.expect(
                self.config.logging.level <= LogLevel::Info,
                "logging.level",
                "may show what people wrote, in production",
                "write \"info\", \"warn\" or \"error\"",
            );
            self.expect(
                self.config.logging.security_file.is_some(),
                "logging.security_file",
                "is off in production",
                "remove the setting, or name a file",
            );
        }
    }
}

/// Whether an address belongs to this machine or a private network.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6 == Ipv6Addr::LOCALHOST || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Whether an address is this machine's own, by name or number.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        // `http:` and `https:` addresses always have their host parsed.
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(v4)) => v4.is_loopback() || v4.is_unspecified(),
        Some(Host::Ipv6(v6)) => {
            let address = IpAddr::V6(v6).to_canonical();
            address.is_loopback() || address.is_unspecified()
        }
        None => false,
    }
}

/// `localhost` and its subdomains (RFC 6761).
pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

/// Whether an address stays on this machine or inside a private network, as far as its name tells.
fn is_inside(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let inner = [".local", ".internal", ".lan", ".svc", ".home.arpa"];
            is_localhost(name) || !name.contains('.') || inner.iter().any(|end| name.ends_with(end))
        }
        Some(Host::Ipv4(v4)) => is_private(IpAddr::V4(v4)),
        Some(Host::Ipv6(v6)) => is_private(IpAddr::V6(v6)),
        None => false,
    }
}

/// Whether `path` stands inside `folder`, links followed as far as they exist.
pub(super) fn stands_inside(path: &Path, folder: &Path) -> bool {
    resolve(path).starts_with(resolve(folder))
}

fn resolve(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut resolved = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::CurDir => {}
            other => {
                resolved.push(other);
                if let Ok(followed) = resolved.canonicalize() {
                    resolved = followed;
                }
            }
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_inside_a_folder_also_through_dots_and_links() {
        let root = tempfile::tempdir().expect("a folder");
        let data = root.path().join("data");
        std::fs::create_dir_all(data.join("keys")).expect("folders");
        assert!(stands_inside(&data.join("keys/master.key"), &data));
        assert!(stands_inside(&root.path().join("other/../data/master.key"), &data));
        assert!(!stands_inside(&root.path().join("data-keys/master.key"), &data));
        assert!(!stands_inside(&data.join("../master.key"), &data));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&data, root.path().join("link")).expect("a link");
            assert!(stands_inside(&root.path().join("link/master.key"), &data));
        }
    }

    #[test]
    fn private_and_public_addresses_are_told_apart() {
        for text in
            ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"]
        {
            assert!(is_private(text.parse().expect(text)), "{text}");
        }
        for text in ["8.8.8.8", "0.0.0.0", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::", "::ffff:8.8.8.8"] {
            assert!(!is_private(text.parse().expect(text)), "{text}");
        }
    }
}
