//! `chatward secret [rotate | ages]`: a strong secret for whatever needs one; the keys that sign our tokens, and the master key.
//!
//! A rotation takes effect on every running server within a second.

use super::{Common, Failure, Outcome, master_key, print, when};
use crate::app::App;
use crate::events::time_text;
use crate::ops::master_key::OVERLAP;
use crate::ops::rotation::{self, Age, Before, Rotated};
use crate::ops::trail::Actor;
use chatward_types::{DAY, Error, SECOND, Secret};
use chatward_vault::{SystemEntropy, base62_encode, random_secret};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A secret, or what to do with the signing keys.
#[derive(Debug, Args)]
pub(super) struct SecretArguments {
    #[command(subcommand)]
    command: Option<SecretCommand>,
}

#[derive(Debug, Subcommand)]
enum SecretCommand {
    /// Put a new signing key in the place of one, or a new master key; what the old one signed holds until it ends
    ///
    /// The new master key goes onto the first line of its file. Running servers take it over, everything in the database is
    /// wrapped anew, and the old key leaves the file when the overlap ends. Whatever stops in between goes on by itself on a
    /// running server, or with the same command again.
    #[command(
        after_help = "Examples: chatward secret rotate user\n          chatward secret rotate all --now\n          chatward secret rotate master --overlap 7d"
    )]
    Rotate(RotateArguments),
    /// List the signing keys and the master keys with their ages
    #[command(after_help = "Example: chatward secret ages --json")]
    Ages,
}

#[derive(Debug, Args)]
struct RotateArguments {
    /// visitor, user, device, ticket, resume, receipt, trail; all of these; or master
    ring: String,
    /// Cut the old key off at once: every token that it signed ends, and with `user` every login, open invitation and recovery. With
    /// `all`, receipts and the audit trail stay to be checked
    #[arg(long)]
    now: bool,
    /// How long the file keeps the old master key, such as 24h (the default) or 7d: for other servers and for backups
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["at_once", "to_file"])]
    overlap: Option<String>,
    /// Take the old master key out of the file as soon as everything is wrapped anew
    #[arg(long, conflicts_with = "to_file")]
    at_once: bool,
    /// The new master key stands above the old one in the file already, which this program cannot write
    #[arg(long, conflicts_with = "to_file")]
    prepared: bool,
    /// Write the master key that stands in a variable into a new file, and rotate nothing
    #[arg(long, value_name = "PATH")]
    to_file: Option<PathBuf>,
}

impl RotateArguments {
    /// What clap cannot see.
    fn check(&self) -> Outcome {
        let of_master = self.overlap.is_some() || self.at_once || self.prepared || self.to_file.is_some();
        if self.ring == "master" && self.now {
            return Err(Failure::Usage("the master key is given up at once with --at-once".to_owned()));
        }
        if self.ring != "master" && of_master {
            return Err(Failure::Usage("--overlap, --at-once, --prepared and --to-file go with master".to_owned()));
        }
        Ok(())
    }
}

pub(super) async fn run(common: &Common, arguments: SecretArguments) -> Outcome {
    let Some(command) = arguments.command else { return make(common) };
    if let SecretCommand::Rotate(arguments) = &command {
        arguments.check()?;
        if let Some(path) = &arguments.to_file {
            return master_key::to_file(common, path);
        }
    }
    let app = common.open().await?;
    let outcome = match command {
        SecretCommand::Rotate(arguments) => rotate(&app, common, &arguments).await,
        SecretCommand::Ages => ages(&app, common).await,
    };
    app.stop().await;
    outcome
}

/// Prints 256 random bits as 44 letters and digits.
fn make(common: &Common) -> Outcome {
    let random = random_secret(&SystemEntropy)?;
    let (left, right) = random.expose().split_at(16);
    let half = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).map(base62_encode).map_err(Error::internal);
    let text = Secret::new(format!("{}{}", half(left)?, half(right)?));
    if common.json {
        print::json(&json!({ "secret": text.expose() }));
    } else {
        print::line(text.expose());
    }
    Ok(())
}

async fn rotate(app: &App, common: &Common, arguments: &RotateArguments) -> Outcome {
    let by = Actor::Operator;
    if arguments.ring == "master" {
        let overlap = match &arguments.overlap {
            _ if arguments.at_once => 0,
            Some(text) => when::span(text)?,
            None => OVERLAP,
        };
        return master_key::rotate(app, common, overlap, arguments.prepared).await;
    }
    let done = if arguments.ring == "all" {
        rotation::rotate_all(app, arguments.now, &by).await?
    } else {
        vec![rotation::rotate(app, &arguments.ring, arguments.now, &by).await?]
    };
    if common.json {
        print::json(&done.iter().map(view).collect::<Vec<_>>());
        return Ok(());
    }
    for rotated in done {
        let then = match rotated.before {
            Before::Until(until) => format!("the key before it checks until {}", until / SECOND),
            Before::Kept => "the keys before it check for ever".to_owned(),
            Before::Cut => "whatever the keys before it signed has ended".to_owned(),
        };
        let Rotated { purpose, kid, algorithm, logins_ended, .. } = rotated;
        print::line(&format!("{purpose}: {kid} signs now ({algorithm}); {then}."));
        if logins_ended > 0 {
            print::line(&format!("{logins_ended} logins have ended."));
        }
    }
    Ok(())
}

fn view(rotated: &Rotated) -> Value {
    let (until, cut) = match rotated.before {
        Before::Until(until) => (Some(until / SECOND), false),
        Before::Kept => (None, false),
        Before::Cut => (None, true),
    };
    json!({
        "ring": rotated.purpose,
        "kid": rotated.kid,
        "algorithm": rotated.algorithm,
        "before_until": until,
        "cut": cut,
        "logins_ended": rotated.logins_ended,
    })
}

async fn ages(app: &App, common: &Common) -> Outcome {
    let now = app.clock.now();
    let ages = rotation::ages(app).await?;
    let days = |age: &Age| (now - age.since) / DAY;
    if common.json {
        let view = |age: &Age| {
            json!({
                "key": age.purpose,
                "id": age.id,
                "algorithm": age.algorithm,
                "state": age.state,
                "since": age.since / SECOND,
                "until": age.until.map(|until| until / SECOND),
                "age_days": days(age),
                "overdue": age.overdue,
            })
        };
        print::json(&ages.iter().map(view).collect::<Vec<_>>());
        return Ok(());
    }
    for age in &ages {
        let algorithm = age.algorithm.as_deref().unwrap_or("-");
        let warning = match (age.overdue, age.until) {
            (true, _) if age.purpose == rotation::MASTER => "  overdue: chatward secret rotate master".to_owned(),
            (true, _) => "  overdue: chatward secret rotate".to_owned(),
            (false, Some(until)) => format!("  until {}", time_text(until)),
            (false, None) => String::new(),
        };
        let (purpose, id, state) = (&age.purpose, &age.id, age.state);
        print::line(&format!("{purpose:<11}  {id:<22}  {algorithm:<5}  {state:<6}  {:>4} days{warning}", days(age)));
    }
    Ok(())
}
