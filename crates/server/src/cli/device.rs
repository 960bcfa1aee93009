//! `chatward device add | list | revoke | token`: the owner's devices.

use super::{Common, Outcome, print, when};
use crate::app::App;
use crate::ops::devices;
use crate::ops::trail::Actor;
use chatward_store::DeviceRow;
use chatward_types::{SECOND, Scope};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// What to do with devices.
#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// Put a device on the list of those allowed
    #[command(after_help = "Example: chatward device add terminal-1 --feed art")]
    Add(AddArguments),
    /// List the devices
    #[command(after_help = "Example: chatward device list --json")]
    List,
    /// Revoke a device, for good and at once; its connections end
    #[command(after_help = "Example: chatward device revoke terminal-1")]
    Revoke(RevokeArguments),
    /// Issue a token for a device and show it, this once
    #[command(after_help = "Example: chatward device token terminal-1 --for 30d")]
    Token(TokenArguments),
}

#[derive(Debug, Args)]
pub(super) struct AddArguments {
    /// What it calls itself: letters, digits, hyphens and underscores
    name: String,
    /// A feed that it may publish to; feeds are not served yet
    #[arg(long, value_name = "NAME")]
    feed: Vec<String>,
    /// How long it is allowed [default: until it is revoked]
    #[arg(long = "for", value_name = "SPAN")]
    span: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArguments {
    /// The device's name or id
    device: String,
}

#[derive(Debug, Args)]
pub(super) struct TokenArguments {
    /// The device's name or id
    device: String,
    /// How long the token holds, and each that renews it: 1m to 90d; renewals end after a year
    #[arg(long = "for", value_name = "SPAN", default_value = "30d")]
    span: String,
}

pub(super) async fn run(common: &Common, command: DeviceCommand) -> Outcome {
    let app = common.open().await?;
    let outcome = match command {
        DeviceCommand::Add(arguments) => add(&app, common, arguments).await,
        DeviceCommand::List => list(&app, common).await,
        DeviceCommand::Revoke(arguments) => revoke(&app, common, &arguments).await,
        DeviceCommand::Token(arguments) => token(&app, common, &arguments).await,
    };
    app.stop().await;
    outcome
}

async fn add(app: &App, common: &Common, arguments: AddArguments) -> Outcome {
    let ends_in = arguments.span.as_deref().map(when::span).transpose()?;
    let scope = Scope::of(app.owner);
    let row = devices::add(app, &scope, &arguments.name, arguments.feed, ends_in, &Actor::Operator).await?;
    if common.json {
        print::json(&view(&row, app.clock.now()));
    } else {
        print::line(&format!("Added {} ({}). Its token: chatward device token {}", row.name, row.id, row.name));
    }
    Ok(())
}

async fn list(app: &App, common: &Common) -> Outcome {
    let rows = app.store.list_devices(&Scope::of(app.owner)).await?;
    let now = app.clock.now();
    if common.json {
        print::json(&rows.iter().map(|row| view(row, now)).collect::<Vec<_>>());
    } else if rows.is_empty() {
        print::line("There is no device yet. Add one with: chatward device add NAME");
    } else {
        for row in rows {
            print::line(&format!("{}  {}  {}", row.id, state(&row, now), row.name));
        }
    }
    Ok(())
}

async fn revoke(app: &App, common: &Common, arguments: &RevokeArguments) -> Outcome {
    let scope = Scope::of(app.owner);
    let row = devices::named(app, &scope, &arguments.device).await?;
    devices::revoke(app, &scope, row.id, &Actor::Operator).await?;
    if common.json {
        print::json(&json!({ "revoked": row.id }));
    } else {
        print::line(&format!("Revoked {}. Running servers refuse it from now on.", row.name));
    }
    Ok(())
}

async fn token(app: &App, common: &Common, arguments: &TokenArguments) -> Outcome {
    let life = when::span(&arguments.span)?;
    let scope = Scope::of(app.owner);
    let row = devices::named(app, &scope, &arguments.device).await?;
    let token = devices::issue(app, &scope, row.id, life, &Actor::Operator).await?;
    if common.json {
        print::json(&token);
    } else {
        print::line("The token, shown this once. Keep it on the device:");
        print::line(&format!("  {}", token.token));
    }
    Ok(())
}

fn state(row: &DeviceRow, now: i64) -> &'static str {
    match (row.revoked_at, row.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if end <= now => "ended",
        _ => "allowed",
    }
}

fn view(row: &DeviceRow, now: i64) -> Value {
    json!({
        "id": row.id,
        "name": row.name,
        "feeds": row.feeds,
        "state": state(row, now),
        "created_at": row.created_at / SECOND,
        "seen_at": row.seen_at.map(|at| at / SECOND),
        "expires_at": row.expires_at.map(|at| at / SECOND),
        "revoked_at": row.revoked_at.map(|at| at / SECOND),
    })
}
