//! `chatward block`, `unblock`, `blocks` and `lockdown`: what an operator does first while something goes wrong.

use super::{Common, Failure, Outcome, print, when};
use crate::app::App;
use crate::events::{neutral, time_text};
use crate::ops::blocks::{self, Block};
use crate::ops::lockdown;
use crate::ops::trail::Actor;
use chatward_store::BlockRow;
use chatward_types::SECOND;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(super) struct BlockArguments {
    /// An address, or a network such as 192.0.2.0/24
    address: String,
    /// How long, such as 30m, 12h or 7d [default: until it is lifted]
    #[arg(long = "for", value_name = "SPAN")]
    length: Option<String>,
    /// Why, for whoever reads the list
    #[arg(long, default_value = "")]
    reason: String,
    /// Block it even if it is one of `blocks.allowed`
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct UnblockArguments {
    /// The address or network, as `chatward blocks` lists it
    address: String,
}

/// What to do with the lockdown.
#[derive(Debug, Subcommand)]
pub(super) enum LockdownCommand {
    /// Serve nobody from now on, but administrators who are logged in
    #[command(after_help = "Example: chatward lockdown on --reason \"a key leaked\"")]
    On(OnArguments),
    /// Serve again
    #[command(after_help = "Example: chatward lockdown off")]
    Off(ReasonArguments),
    /// Say whether it is on
    Status,
}

#[derive(Debug, Args)]
pub(super) struct OnArguments {
    /// Why, for the audit trail
    #[arg(long, default_value = "")]
    reason: String,
    /// Let people log in meanwhile; only administrators are served
    #[arg(long)]
    allow_sign_in: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReasonArguments {
    /// Why, for the audit trail
    #[arg(long, default_value = "")]
    reason: String,
}

pub(super) async fn block(common: &Common, arguments: &BlockArguments) -> Outcome {
    let length = arguments.length.as_deref().map(when::span).transpose()?;
    let app = common.open().await?;
    let block = Block { reason: &arguments.reason, length, force: arguments.force };
    let made = blocks::block(&app, &arguments.address, block, &Actor::Operator).await;
    app.stop().await;
    let made = made?;
    if common.json {
        print::json(&view(&made));
    } else {
        print::line(&format!("Blocked {}{}. Running servers refuse it within a second.", made.network, ending(&made)));
    }
    Ok(())
}

pub(super) async fn unblock(common: &Common, arguments: &UnblockArguments) -> Outcome {
    let app = common.open().await?;
    let lifted = blocks::unblock(&app, &arguments.address, &Actor::Operator).await;
    app.stop().await;
    if !lifted? {
        return Err(Failure::Failed("there is no block of exactly that network; see chatward blocks".to_owned()));
    }
    if common.json {
        print::json(&json!({ "unblocked": arguments.address }));
    } else {
        print::line(&format!("Lifted the block of {}.", arguments.address));
    }
    Ok(())
}

pub(super) async fn list(common: &Common) -> Outcome {
    let app = common.open().await?;
    let rows = app.store.list_blocks(app.clock.now()).await;
    app.stop().await;
    let rows = rows?;
    if common.json {
        print::json(&rows.iter().map(view).collect::<Vec<_>>());
    } else if rows.is_empty() {
        print::line("Nobody is blocked.");
    }
    for row in rows.iter().filter(|_| !common.json) {
        print::line(&neutral(&format!("{}{}  by {}  {}", row.network, ending(row), row.created_by, row.reason)));
    }
    Ok(())
}

pub(super) async fn lockdown(common: &Common, command: LockdownCommand) -> Outcome {
    let app = common.open().await?;
    let outcome = switch(&app, common, command).await;
    app.stop().await;
    outcome
}

async fn switch(app: &App, common: &Common, command: LockdownCommand) -> Outcome {
    let changed = match command {
        LockdownCommand::On(arguments) => {
            lockdown::begin(app, &arguments.reason, arguments.allow_sign_in, &Actor::Operator).await?
        }
        LockdownCommand::Off(arguments) => lockdown::end(app, &arguments.reason, &Actor::Operator).await?,
        LockdownCommand::Status => false,
    };
    let row = app.store.get_lockdown().await?;
    if common.json {
        let since = row.as_ref().map(|row| row.created_at / SECOND);
        let reason = row.as_ref().map(|row| row.reason.clone());
        let sign_in = row.as_ref().map(|row| row.allow_sign_in);
        print::json(&json!({
            "lockdown": row.is_some(), "changed": changed, "since": since, "reason": reason, "allow_sign_in": sign_in,
        }));
        return Ok(());
    }
    match row {
        Some(row) => print::line(&neutral(&format!(
            "The lockdown is on since {}: nobody is served but administrators who {}. {}",
            time_text(row.created_at),
            if row.allow_sign_in { "log in" } else { "are logged in" },
            row.reason
        ))),
        None => print::line("The lockdown is off: everybody is served."),
    }
    Ok(())
}

fn ending(row: &BlockRow) -> String {
    row.until.map_or_else(|| " until it is lifted".to_owned(), |until| format!(" until {}", time_text(until)))
}

fn view(row: &BlockRow) -> Value {
    json!({
        "network": row.network,
        "until": row.until.map(|at| at / SECOND),
        "reason": row.reason,
        "created_by": row.created_by,
        "created_at": row.created_at / SECOND,
        "strikes": row.strikes,
        "forced": row.forced,
    })
}
