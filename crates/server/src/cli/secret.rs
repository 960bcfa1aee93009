//! `chatward secret [rotate | ages]`: a strong secret for whatever needs one; and the keys that sign our tokens.
//!
//! A rotation takes effect on every running server within a second.

use super::{Common, Outcome, print};
use crate::app::App;
use crate::ops::rotation::{self, Age, Before, Rotated};
use crate::ops::trail::Actor;
use chatward_types::{DAY, Error, SECOND, Secret};
use chatward_vault::{SystemEntropy, base62_encode, random_secret};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// A secret, or what to do with the signing keys.
#[derive(Debug, Args)]
pub(super) struct SecretArguments {
    #[command(subcommand)]
    command: Option<SecretCommand>,
}

#[derive(Debug, Subcommand)]
enum SecretCommand {
    /// Put a new signing key in the place of one; what the old one signed holds until it ends
    #[command(after_help = "Examples: chatward secret rotate user\n          chatward secret rotate all --now")]
    Rotate(RotateArguments),
    /// List the signing keys with their ages, and since when the master key is known
    #[command(after_help = "Example: chatward secret ages --json")]
    Ages,
}

#[derive(Debug, Args)]
struct RotateArguments {
    /// visitor, user, ticket, resume, receipt, trail; or all
    ring: String,
    /// Cut the old key off at once: every token that it signed ends, and with `user` every login, open invitation and recovery. With
    /// `all`, receipts and the audit trail stay to be checked
    #[arg(long)]
    now: bool,
}

pub(super) async fn run(common: &Common, arguments: SecretArguments) -> Outcome {
    let Some(command) = arguments.command else { return make(common) };
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
        let warning = if age.overdue { "  overdue: chatward secret rotate" } else { "" };
        let (purpose, id, state) = (&age.purpose, &age.id, age.state);
        print::line(&format!("{purpose:<10}  {id:<22}  {algorithm:<5}  {state:<6}  {:>4} days{warning}", days(age)));
    }
    Ok(())
}
