//! `chatward config check | example | print | reference`.

use super::{Common, Outcome, print};
use crate::config;
use clap::Subcommand;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum SettingsCommand {
    /// Check the configuration and say what is wrong with it, without starting anything
    #[command(after_help = "Example: chatward config check --config /etc/chatward/chatward.toml")]
    Check,
    /// Print a commented example to start from
    #[command(after_help = "Example: chatward config example > chatward.toml")]
    Example,
    /// Print the settings in force and where each comes from, secrets redacted
    #[command(after_help = "Example: chatward config print")]
    Print,
    /// Print the reference of every setting, in markdown
    #[command(after_help = "Example: chatward config reference > configuration.md")]
    Reference,
}

pub(super) fn run(common: &Common, command: &SettingsCommand) -> Outcome {
    match command {
        SettingsCommand::Example => print::text(&config::example()),
        SettingsCommand::Reference => print::text(&config::reference()),
        SettingsCommand::Print => {
            let config = common.load(None)?;
            if common.json {
                print::json(&serde_json::json!({ "configuration": config.redacted() }));
            } else {
                print::text(&config.redacted());
            }
        }
        SettingsCommand::Check => {
            let config = common.load(None)?;
            for warning in config.warnings() {
                print::note(&format!("warning: {warning}"));
            }
            // The providers' keys have shapes that only their crate knows.
            crate::ops::upstreams::check(&config)?;
            if common.json {
                print::json(&serde_json::json!({ "ok": true, "warnings": config.warnings() }));
            } else {
                print::line("The configuration is in order.");
            }
        }
    }
    Ok(())
}
