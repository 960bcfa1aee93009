//! The configuration: defaults, then `chatward.toml`, then the environment, then the command line; immutable once loaded.
//!
//! Owns: every setting's name, default, bounds and explanation (`sections*.rs`, each written once), the rules between
//! them (`rules*.rs`), and the only place that reads the process's environment (`environment.rs`).
//! Never does: show a secret. A wrong setting stops the start with one line that names it and the fix, never its value;
//! programs exit with 2.

mod document;
mod environment;
mod error;
mod file;
mod issuers;
mod kinds;
mod layers;
mod providers;
mod rules;
mod rules_issuers;
mod rules_secrets;
mod secret_files;
mod section;
mod sections;
mod sections_answers;
mod sections_sockets;
mod sections_tokens;
mod shape;
#[cfg(test)]
mod tests;

pub use document::{example, reference};
pub use environment::process_environment;
pub use error::ConfigError;
pub use layers::Origin;
pub use sections::{
    Accounts, AddressChange, Admin, Audit, Blocks, ClientAddressHeader, Cors, Database, Feeds, Front, Headers,
    Installation, Keys, Limits, LogFormat, LogLevel, Logging, Registration, SecondFactorDemand, Server, Sessions,
    Vault,
};
pub use sections_answers::{Budgets, Crawl, Messages, ProviderConfig, ProviderKind};
pub use sections_sockets::Sockets;
pub use sections_tokens::{IssuerAlgorithm, IssuerConfig, IssuerKind, NewUsers, TokenAlgorithm, Tokens};

use chatward_types::{Environment, Secret};
use layers::Layers;
use shape::Raw;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use url::Url;

/// Everything that can be set. Made by [`Config::load`], never changed afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Development, staging or production.
    pub environment: Environment,
    /// The public address, as a browser shows it.
    pub public_url: Url,
    /// The folder for the database and the logs.
    pub data_dir: PathBuf,
    /// Listening and waiting.
    pub server: Server,
    /// The administrative listener.
    pub admin: Admin,
    /// Where records are kept.
    pub database: Database,
    /// The master key.
    pub vault: Vault,
    /// The age of keys.
    pub keys: Keys,
    /// Who may call from a browser.
    pub cors: Cors,
    /// Requests an address may make.
    pub limits: Limits,
    /// Visitors' sessions.
    pub sessions: Sessions,
    /// People's accounts.
    pub accounts: Accounts,
    /// The tokens that we sign.
    pub tokens: Tokens,
    /// Outside issuers whose tokens are accepted.
    pub issuers: Vec<IssuerConfig>,
    /// Money and load.
    pub budgets: Budgets,
    /// What a visitor may write.
    pub messages: Messages,
    /// Providers in the order in which they are asked; the last one is always `extractive`.
    pub providers: Vec<ProviderConfig>,
    /// Reading a site.
    pub crawl: Crawl,
    /// Logs.
    pub logging: Logging,
    /// The audit trail.
    pub audit: Audit,
    /// Blocked addresses.
    pub blocks: Blocks,
    /// WebSockets.
    pub sockets: Sockets,
    /// Response headers.
    pub headers: Headers,
    /// Broadcast feeds.
    pub feeds: Feeds,
    origins: BTreeMap<String, Origin>,
    warnings: Vec<String>,
    /// The files that secrets were read from, by the setting that they hold.
    secret_files: BTreeMap<String, PathBuf>,
}

/// What the command line sets; it wins over everything else.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--data`.
    pub data_dir: Option<PathBuf>,
    /// Any other setting by its full name, written as in the environment (`demo` switches the admin listener off).
    /// An unknown name is an error.
    pub settings: BTreeMap<&'static str, String>,
}

impl Config {
    /// Reads all layers and checks them. `path` is the configuration file; without one there is no file layer.
    /// `environment` is [`process_environment`]'s in a program and a literal map in a test.
    ///
    /// # Errors
    /// The first setting that is unknown, malformed or unsafe.
    pub fn load(
        path: Option<&Path>,
        environment: &BTreeMap<String, String>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        if let Some(path) = path {
            file::read(path, &mut layers)?;
        }
        environment::add(environment, &mut layers)?;
        overrides.add(&mut layers)?;
        let config = Self::build(layers, environment)?;
        config.validate()?;
        Ok(config)
    }

    /// The rules between settings; `serve` and `doctor` use this one function. [`Config::load`] has called it.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Every rule that is broken, for a report.
    pub fn problems(&self) -> Vec<ConfigError> {
        rules::problems(self)
    }

    /// Where a setting's value came from, by its full name such as `server.listen`.
    pub fn origin(&self, setting: &str) -> &Origin {
        self.origins.get(setting).unwrap_or(&Origin::Default)
    }

    /// What is accepted but deserves a look (a secret's file that others can read, a variable that was ignored).
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Reads the file of a secret anew, by the setting's full name such as `providers[0].api_key`; nothing where it was not
    /// read from a file. What was loaded stays as it is: whoever asks puts the new one to use.
    ///
    /// # Errors
    /// The setting, when its file cannot be read or holds no secret.
    pub fn reread_secret(&self, setting: &str) -> Option<Result<Secret<String>, ConfigError>> {
        let path = self.secret_files.get(setting)?;
        let wrong = |wrong: secret_files::Wrong| {
            ConfigError::new(format!("{setting}_file"), self.origin(setting).clone(), wrong.problem, wrong.fix)
        };
        Some(secret_files::read(path).map_err(wrong))
    }

    /// Whether a secret stands in a file of its own.
    pub fn has_secret_file(&self, setting: &str) -> bool {
        self.secret_files.contains_key(setting)
    }

    /// The hosts of the databases that only a look-up can place, each with its setting.
    pub fn database_names(&self) -> Vec<(&'static str, String)> {
        rules_secrets::database_names(self)
    }

    /// The configuration in force as TOML, with the origin of each value and without secrets.
    pub fn redacted(&self) -> String {
        document::redacted(self)
    }

    /// The same configuration once the port is known (`--listen ADDR:0`): a public address that was not set follows it.
    #[must_use]
    pub fn bound_to(mut self, address: SocketAddr) -> Self {
        self.server.listen = address;
        if self.origin("public_url") == &Origin::Default {
            // Setting the port of an http address with a host cannot fail.
            let _ = self.public_url.set_port(Some(address.port()));
        }
        self
    }

    fn build(mut layers: Layers, environment: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let installation = Installation::read(&mut layers, Installation::TABLE)?;
        let production = installation.environment == Environment::Production;
        let inside = |name: &str| Raw::Words(installation.data_dir.join(name).to_string_lossy().into_owned());
        let hosts = if production { "" } else { "localhost,127.0.0.1,::1" };
        layers.derive("server.hosts", Raw::Words(hosts.to_owned()));
        let server = Server::read(&mut layers, Server::TABLE)?;
        let public_url = format!("http://localhost:{}", server.listen.port());
        layers.derive("public_url", Raw::Words(public_url));
        if let Raw::Words(path) = inside("chatward.db") {
            layers.derive("database.url", Raw::Words(format!("sqlite://{path}")));
        }
        if layers.given("vault.key").is_none() && !production {
            layers.derive("vault.key_file", inside("keys/master.key"));
        }
        layers.derive("logging.security_file", inside("logs/security.log"));
        layers.derive("audit.head_file", inside("logs/audit-heads.jsonl"));
        let format = if production { "json" } else { "text" };
        layers.derive("logging.format", Raw::Words(format.to_owned()));
        let second_factor = if production { "admins" } else { "optional" };
        layers.derive("accounts.second_factor", Raw::Words(second_factor.to_owned()));
        environment::settle_vault(&mut layers)?;
        let mut config = Self {
            environment: installation.environment,
            data_dir: installation.data_dir,
            public_url: Front::read(&mut layers, Front::TABLE)?.public_url,
            server,
            admin: Admin::read(&mut layers, Admin::TABLE)?,
            database: Database::read(&mut layers, Database::TABLE)?,
            vault: Vault::read(&mut layers, Vault::TABLE)?,
            keys: Keys::read(&mut layers, Keys::TABLE)?,
            cors: Cors::read(&mut layers, Cors::TABLE)?,
            limits: Limits::read(&mut layers, Limits::TABLE)?,
            sessions: Sessions::read(&mut layers, Sessions::TABLE)?,
            accounts: Accounts::read(&mut layers, Accounts::TABLE)?,
            tokens: Tokens::read(&mut layers, Tokens::TABLE)?,
            issuers: issuers::read(&mut layers)?,
            budgets: Budgets::read(&mut layers, Budgets::TABLE)?,
            messages: Messages::read(&mut layers, Messages::TABLE)?,
            providers: providers::read(&mut layers, environment)?,
            crawl: Crawl::read(&mut layers, Crawl::TABLE)?,
            logging: Logging::read(&mut layers, Logging::TABLE)?,
            audit: Audit::read(&mut layers, Audit::TABLE)?,
            blocks: Blocks::read(&mut layers, Blocks::TABLE)?,
            sockets: Sockets::read(&mut layers, Sockets::TABLE)?,
            headers: Headers::read(&mut layers, Headers::TABLE)?,
            feeds: Feeds::read(&mut layers, Feeds::TABLE)?,
            origins: BTreeMap::new(),
            warnings: Vec::new(),
            secret_files: BTreeMap::new(),
        };
        (config.origins, config.warnings, config.secret_files) = layers.finish();
        Ok(config)
    }
}

impl Overrides {
    fn add(&self, layers: &mut Layers) -> Result<(), ConfigError> {
        if let Some(listen) = self.listen {
            let origin = Origin::CommandLine("--listen".to_owned());
            layers.put("server.listen".to_owned(), Raw::Words(listen.to_string()), origin);
        }
        if let Some(data_dir) = &self.data_dir {
            let origin = Origin::CommandLine("--data".to_owned());
            let path = data_dir.to_string_lossy().into_owned();
            layers.put("data_dir".to_owned(), Raw::Words(path), origin);
        }
        for (name, text) in &self.settings {
            let origin = Origin::CommandLine((*name).to_owned());
            if !names().iter().any(|known| known == name) {
                return Err(ConfigError::new(*name, origin, "is not a setting", "see the configuration reference"));
            }
            layers.put((*name).to_owned(), Raw::Words(text.clone()), origin);
        }
        Ok(())
    }
}

/// The sections that are lists of tables, with how many entries each may have.
const LISTS: [(&str, usize); 2] = [(ProviderConfig::TABLE, 16), (IssuerConfig::TABLE, 8)];

/// Whether a section is a list of tables.
fn is_list(name: &str) -> bool {
    LISTS.iter().any(|(list, _)| *list == name)
}

/// Every section in the order of the documentation; some are lists of tables.
fn sections() -> Vec<section::Section> {
    vec![
        Installation::section(),
        Front::section(),
        Server::section(),
        Admin::section(),
        Database::section(),
        Vault::section(),
        Keys::section(),
        Cors::section(),
        Limits::section(),
        Sessions::section(),
        Accounts::section(),
        Tokens::section(),
        Budgets::section(),
        Messages::section(),
        ProviderConfig::section(),
        IssuerConfig::section(),
        Crawl::section(),
        Logging::section(),
        Audit::section(),
        Blocks::section(),
        Sockets::section(),
        Headers::section(),
        Feeds::section(),
    ]
}

/// The full name of every setting outside the lists of tables, secrets' `_file` names included.
fn names() -> Vec<String> {
    let mut names = Vec::new();
    for section in sections().iter().filter(|section| !is_list(section.name)) {
        for setting in &section.settings {
            names.push(layers::join(section.name, setting.key));
            if setting.secrecy == shape::Secrecy::SecretOrFile {
                names.push(layers::join(section.name, &format!("{}_file", setting.key)));
            }
        }
    }
    names
}
