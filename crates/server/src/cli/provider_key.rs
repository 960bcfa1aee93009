//! `chatward key set | unset PROVIDER`: a provider's key from standard input, in force on every server without a restart.
//!
//! Owns: the reading of the key. It is never an argument, which other users of the machine could see, and never shown.

use super::{Common, Failure, Outcome, print};
use crate::app::App;
use crate::ops::provider_keys;
use crate::ops::trail::Actor;
use chatward_types::Secret;
use clap::Args;
use serde_json::json;
use std::io::{IsTerminal as _, Read as _};

/// A key is read up to here; a longer text is none.
const MOST: u64 = 16 * 1024;

#[derive(Debug, Args)]
pub(super) struct SetArguments {
    /// The provider's name in the configuration, such as openai
    provider: String,
}

pub(super) async fn set(app: &App, common: &Common, arguments: &SetArguments) -> Outcome {
    let secret = read()?;
    provider_keys::set(app, &arguments.provider, &secret, &Actor::Operator).await?;
    if common.json {
        print::json(&json!({ "provider": arguments.provider, "set": true }));
    } else {
        print::line(
            "The key is sealed in the database. Running servers use it within a second, and after a restart too.",
        );
        print::line("Revoke the old one with the provider when its last answers have ended.");
    }
    Ok(())
}

pub(super) async fn unset(app: &App, common: &Common, arguments: &SetArguments) -> Outcome {
    if !provider_keys::unset(app, &arguments.provider, &Actor::Operator).await? {
        return Err(Failure::Failed("no key was set for this provider".to_owned()));
    }
    if common.json {
        print::json(&json!({ "provider": arguments.provider, "set": false }));
    } else {
        print::line("Running servers use the configured key again within a second.");
    }
    Ok(())
}

fn read() -> Result<Secret<String>, Failure> {
    let input = std::io::stdin();
    if input.is_terminal() {
        print::note("Paste the new key, then press Enter and Ctrl-D:");
    }
    let mut text = String::new();
    let read = input.lock().take(MOST + 1).read_to_string(&mut text);
    let text = Secret::new(text);
    match read {
        Ok(length) if length as u64 <= MOST => Ok(Secret::new(text.expose().trim().to_owned())),
        _ => Err(Failure::Usage("standard input holds no key".to_owned())),
    }
}
