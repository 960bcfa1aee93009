//! The command line: reads the arguments, loads the configuration, calls ops, prints.
//!
//! The only part that prints to standard output. Every command takes `--json`; exit status 0 means done, 1 failed,
//! 2 a mistake in the arguments or the configuration. It works beside a running server: what it changes, the
//! server sees through the `changes` and `jobs` tables.

mod ask;
mod audit;
mod blocks;
mod demo;
mod device;
mod events;
mod key;
mod key_ends;
mod login_session;
mod master_key;
mod print;
mod provider_key;
mod receipt;
mod sample;
mod secret;
mod serve;
mod settings;
mod site;
mod site_embed;
mod site_privacy;
mod site_set;
mod store;
mod user;
mod when;

use crate::app::{App, Options};
use crate::config::{Config, ConfigError, Overrides, process_environment};
use chatward_types::{Error, Kind};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// AI chat on the open internet without giving away the keys.
#[derive(Debug, Parser)]
#[command(name = "chatward", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
struct Common {
    /// The configuration file [default: ./chatward.toml where there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder for the database and the logs; wins over the configuration
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: a sample shop, crawled and answering, on this machine alone
    ///
    /// Needs no key, no network and no service. With OPENAI_API_KEY or OLLAMA_BASE_URL set, that provider answers.
    #[command(after_help = "Example: chatward demo --listen 127.0.0.1:3001")]
    Demo(demo::DemoArguments),
    /// Run the server
    #[command(after_help = "Example: chatward serve --config /etc/chatward/chatward.toml")]
    Serve(serve::ServeArguments),
    /// Add, change, crawl, embed, check, list and remove sites
    #[command(subcommand)]
    Site(site::SiteCommand),
    /// Make, list, rotate and revoke keys, and see how old they are
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Add, list, disable and change users
    #[command(subcommand)]
    User(user::UserCommand),
    /// List and end the logins of a user, device by device
    #[command(subcommand)]
    LoginSession(login_session::LoginSessionCommand),
    /// Add, list and revoke devices, and issue their tokens
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// Print a strong secret (256 bits in 44 letters and digits); or rotate the keys that sign tokens, and list their ages
    #[command(after_help = "Examples: chatward secret > jwt-secret\n          chatward secret rotate all --now")]
    Secret(secret::SecretArguments),
    /// Check what a visitor was told about an erasure or an export
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    /// Block an address or a network, at once, on every server
    #[command(after_help = "Example: chatward block 192.0.2.0/24 --for 1h --reason scraping")]
    Block(blocks::BlockArguments),
    /// Lift a block
    #[command(after_help = "Example: chatward unblock 192.0.2.0/24")]
    Unblock(blocks::UnblockArguments),
    /// List who is blocked
    #[command(after_help = "Example: chatward blocks --json")]
    Blocks,
    /// Serve nobody while an incident lasts
    #[command(subcommand)]
    Lockdown(blocks::LockdownCommand),
    /// Verify, sign and prune the audit trail
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Show and follow the security log and the audit trail
    #[command(after_help = "Example: chatward events --since 2h --name LIMIT --follow")]
    Events(events::EventsArguments),
    /// Ask a site a question, as a visitor would
    #[command(after_help = "Example: chatward ask shop.example \"What does shipping to Canada cost?\"")]
    Ask(ask::AskArguments),
    /// Check, print and explain the configuration
    #[command(subcommand)]
    Config(settings::SettingsCommand),
    /// Bring the database's schema up to date
    #[command(after_help = "Example: chatward migrate --config /etc/chatward/chatward.toml")]
    Migrate,
    /// Say whether the database, the master key and the providers' settings are in order
    #[command(after_help = "Example: chatward health --json")]
    Health,
    /// Print the API's description (OpenAPI 3.1)
    #[command(after_help = "Example: chatward openapi > openapi.json")]
    Openapi,
}

/// Why a command ended without success.
#[derive(Debug)]
enum Failure {
    /// The arguments or the configuration are wrong: exit 2.
    Usage(String),
    /// It was tried and failed: exit 1.
    Failed(String),
    /// The result, which is printed already, is a bad one: exit 1.
    Told,
}

type Outcome = Result<(), Failure>;

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // The person at this machine may read the cause; strangers never see this text.
        let text = match error.source_line() {
            Some(source) => format!("{} ({source})", error.public()),
            None => error.public().to_owned(),
        };
        match error.kind() {
            Kind::Invalid | Kind::Malformed => Self::Usage(text),
            _ => Self::Failed(text),
        }
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.common.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return print::failure(json, &Failure::Failed(format!("the runtime cannot start: {error}"))),
    };
    let outcome = runtime.block_on(run(cli));
    // A blocking task (an extraction, say) must not hold the program back for long.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => print::failure(json, &failure),
    }
}

async fn run(cli: Cli) -> Outcome {
    let common = cli.common;
    match cli.command {
        Command::Demo(arguments) => demo::run(&common, arguments).await,
        Command::Serve(arguments) => serve::run(&common, arguments).await,
        Command::Site(command) => site::run(&common, command).await,
        Command::Key(command) => key::run(&common, command).await,
        Command::User(command) => user::run(&common, command).await,
        Command::LoginSession(command) => login_session::run(&common, command).await,
        Command::Device(command) => device::run(&common, command).await,
        Command::Secret(arguments) => secret::run(&common, arguments).await,
        Command::Receipt(command) => receipt::run(&common, command).await,
        Command::Block(arguments) => blocks::block(&common, &arguments).await,
        Command::Unblock(arguments) => blocks::unblock(&common, &arguments).await,
        Command::Blocks => blocks::list(&common).await,
        Command::Lockdown(command) => blocks::lockdown(&common, command).await,
        Command::Audit(command) => audit::run(&common, command).await,
        Command::Events(arguments) => events::run(&common, arguments).await,
        Command::Ask(arguments) => ask::run(&common, arguments).await,
        Command::Config(command) => settings::run(&common, &command),
        Command::Migrate => store::migrate(&common).await,
        Command::Health => store::health(&common).await,
        Command::Openapi => {
            print::text(&crate::openapi::text());
            Ok(())
        }
    }
}

impl Common {
    /// Loads the configuration with this command's overrides.
    fn load(&self, listen: Option<SocketAddr>) -> Result<Config, Failure> {
        let overrides = Overrides { listen, data_dir: self.data.clone(), ..Overrides::default() };
        Ok(Config::load(self.file().as_deref(), &process_environment(), &overrides)?)
    }

    fn file(&self) -> Option<PathBuf> {
        let beside = PathBuf::from("chatward.toml");
        self.config.clone().or_else(|| beside.exists().then_some(beside))
    }

    /// Opens the installation for a command that does its work and ends.
    async fn open(&self) -> Result<App, Failure> {
        let config = self.load(None)?;
        Ok(App::start(config, Options::default()).await?)
    }
}
