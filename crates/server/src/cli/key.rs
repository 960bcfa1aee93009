//! `chatward key create | list | ages | reload`: keys as they are made and as they are; `key_ends` rotates and revokes,
//! `provider_key` sets a provider's.

use super::{Common, Failure, Outcome, key_ends, print, provider_key, site};
use crate::app::App;
use crate::events::time_text;
use crate::ops::issued_keys::{self, Created, KeyState, NewKey};
use crate::ops::trail::Actor;
use crate::ops::{key_ages, upstreams};
use chatward_store::{IssuedKeyChange, IssuedKeyRow};
use chatward_types::{KeyScope, SECOND, Scope, Timestamp};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a secret key and show it, this once
    #[command(after_help = "Example: chatward key create --scope manage --name deployment --expires-days 90")]
    Create(CreateArguments),
    /// List the secret keys, without what would let anybody use them
    #[command(after_help = "Example: chatward key list --json")]
    List,
    /// Put another key in the place of one, which is honoured for a while yet
    ///
    /// A secret key's successor has the same rights, bounds and end. A site answers to both of its publishable keys until
    /// the overlap ends; `chatward site embed` prints the new one at once.
    #[command(after_help = "Example: chatward key rotate 3kTMd9... --overlap 7d")]
    Rotate(key_ends::RotateArguments),
    /// Revoke a leaked key, or all keys of a kind, for good and at once on every server
    ///
    /// Without a key and without --all it reads the leaked key from standard input and never shows it.
    #[command(after_help = "Example: chatward key revoke < leaked.txt")]
    Revoke(key_ends::RevokeArguments),
    /// Show how old each key is, and which are due for rotation (keys.rotation_days)
    #[command(after_help = "Example: chatward key ages --json")]
    Ages,
    /// Give a provider another key, on every running server within a second; standard input holds it
    ///
    /// It is sealed in the database and is in force in the place of the one in the environment, the configuration or a file,
    /// also after a restart, and for the provider's present host alone.
    #[command(after_help = "Example: chatward key set openai < new-key")]
    Set(provider_key::SetArguments),
    /// Go back to the key that the environment, the configuration or a file holds
    #[command(after_help = "Example: chatward key unset openai")]
    Unset(provider_key::SetArguments),
    /// Have every running server read the files of the providers' keys again
    #[command(after_help = "Example: chatward key reload")]
    Reload,
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// What the key may do: chat, gateway, realtime, feed:publish, manage; several with commas
    #[arg(long, required = true, value_delimiter = ',', value_parser = |text: &str| text.parse::<KeyScope>())]
    scope: Vec<KeyScope>,
    /// What it is for
    #[arg(long, default_value = "")]
    name: String,
    /// A site that it reaches, by id, key, host or name; may stand several times [default: all]
    #[arg(long = "site", value_name = "SITE")]
    sites: Vec<String>,
    /// A model that it may ask; may stand several times [default: all]
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// Days until it ends [default: it does not]
    #[arg(long, value_name = "DAYS")]
    expires_days: Option<u32>,
    /// Requests in a minute [default: no bound of its own]
    #[arg(long, value_name = "REQUESTS")]
    per_minute: Option<i64>,
    /// Requests in an hour [default: no bound of its own]
    #[arg(long, value_name = "REQUESTS")]
    per_hour: Option<i64>,
    /// Micro-dollars in a day (UTC) [default: no bound of its own]
    #[arg(long, value_name = "MICRO_USD")]
    daily_micro_usd: Option<i64>,
    /// Micro-dollars in all [default: no bound of its own]
    #[arg(long, value_name = "MICRO_USD")]
    total_micro_usd: Option<i64>,
}

pub(super) async fn run(common: &Common, command: KeyCommand) -> Outcome {
    // What is wrong with the arguments is said before anything is opened.
    if let KeyCommand::Revoke(arguments) = &command {
        arguments.check()?;
    }
    let app = common.open().await?;
    let outcome = match command {
        KeyCommand::Create(arguments) => create(&app, common, arguments).await,
        KeyCommand::List => list(&app, common).await,
        KeyCommand::Rotate(arguments) => key_ends::rotate(&app, common, &arguments).await,
        KeyCommand::Revoke(arguments) => key_ends::revoke(&app, common, arguments).await,
        KeyCommand::Ages => ages(&app, common).await,
        KeyCommand::Set(arguments) => provider_key::set(&app, common, &arguments).await,
        KeyCommand::Unset(arguments) => provider_key::unset(&app, common, &arguments).await,
        KeyCommand::Reload => reload(&app, common).await,
    };
    app.stop().await;
    outcome
}

async fn create(app: &App, common: &Common, arguments: CreateArguments) -> Outcome {
    let mut sites = Vec::new();
    for named in &arguments.sites {
        sites.push(site::find(app, named).await?.id);
    }
    let new = NewKey {
        name: arguments.name,
        scopes: arguments.scope.into_iter().collect(),
        sites,
        models: arguments.models,
        expires_days: arguments.expires_days,
        bounds: IssuedKeyChange {
            name: None,
            per_minute: arguments.per_minute.map(Some),
            per_hour: arguments.per_hour.map(Some),
            daily_micro_usd: arguments.daily_micro_usd.map(Some),
            total_micro_usd: arguments.total_micro_usd.map(Some),
        },
    };
    let made = issued_keys::create_by(app, &Scope::of(app.owner), &new, &Actor::Operator).await?;
    show(app, common, &made);
    Ok(())
}

/// Shows a key that was just made, this once.
pub(super) fn show(app: &App, common: &Common, made: &Created) {
    if common.json {
        let mut view = view(&made.row, app.clock.now());
        view["key"] = json!(made.text.expose());
        print::json(&view);
    } else {
        print::line("The key, shown this once. Keep it on your server, never in a page:");
        print::line(&format!("  {}", made.text.expose()));
    }
}

async fn list(app: &App, common: &Common) -> Outcome {
    let rows = app.store.list_issued_keys(&Scope::of(app.owner)).await?;
    let now = app.clock.now();
    if common.json {
        print::json(&rows.iter().map(|row| view(row, now)).collect::<Vec<_>>());
    } else if rows.is_empty() {
        print::line("There is no key yet. Make one with: chatward key create --scope manage");
    } else {
        for row in rows {
            let state = KeyState::of(&row, now);
            let mut text = format!("{}  {}  {}", row.id, row.scopes, state.as_str());
            if let (KeyState::Rotated, Some(end)) = (state, row.honoured_until) {
                text.push_str(&format!(" until {}", time_text(end)));
            }
            if let Some(successor) = &row.successor {
                text.push_str(&format!(" -> {successor}"));
            }
            print::line(&format!("{text}  {}", row.name));
        }
    }
    Ok(())
}

async fn ages(app: &App, common: &Common) -> Outcome {
    let ages = key_ages::report(app).await?;
    if common.json {
        print::json(&ages);
        return Ok(());
    }
    for key in &ages {
        let due = if key.due { format!("due: {}", key.fix) } else { String::new() };
        let (days, kind, source, name) = (key.days, key.kind, key.source, &key.name);
        print::line(format!("{days:>5} days  {kind:<11}  {source:<13}  {name}  {due}").trim_end());
    }
    let due = ages.iter().filter(|key| key.due).count();
    print::line(&format!("{due} of {} keys are {} days old or older.", ages.len(), app.config.keys.rotation_days));
    Ok(())
}

/// This program has read the files just now, so a key that will not do has stopped it before.
async fn reload(app: &App, common: &Common) -> Outcome {
    upstreams::announce(app, &Actor::Operator).await?;
    if app.store.live_nodes(app.clock.now()).await?.is_empty() {
        return Err(Failure::Failed("no server runs; one that starts reads the files by itself".to_owned()));
    }
    if common.json {
        print::json(&json!({ "announced": true }));
    } else {
        print::line(
            "Running servers read the files again within a second; their security logs name the keys replaced.",
        );
        print::line(
            "A key that stands in a variable or in the configuration file is replaced by: chatward key set PROVIDER",
        );
    }
    Ok(())
}

pub(super) fn view(row: &IssuedKeyRow, now: Timestamp) -> Value {
    let seconds = |at: Option<Timestamp>| at.map(|at| at / SECOND);
    json!({
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes.iter().map(KeyScope::as_str).collect::<Vec<_>>(),
        "sites": row.sites,
        "models": row.models,
        "per_minute": row.per_minute,
        "per_hour": row.per_hour,
        "daily_micro_usd": row.daily_micro_usd,
        "total_micro_usd": row.total_micro_usd,
        "environment": row.environment.map(|environment| environment.to_string()),
        "state": KeyState::of(row, now).as_str(),
        "created_at": row.created_at / SECOND,
        "expires_at": seconds(row.expires_at),
        "last_used_at": seconds(row.last_used_at),
        "revoked_at": seconds(row.revoked_at),
        "honoured_until": seconds(row.honoured_until),
        "successor": row.successor,
    })
}
