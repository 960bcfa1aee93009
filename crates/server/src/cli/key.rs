//! `chatward key create | list | revoke`: secret keys for the owner's own programs.

use super::{Common, Outcome, print};
use crate::app::App;
use crate::ops::issued_keys;
use chatward_store::IssuedKeyRow;
use chatward_types::{KeyScope, SECOND, Scope};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key and show it, this once
    #[command(after_help = "Example: chatward key create --scope manage --name deployment --expires-days 90")]
    Create(CreateArguments),
    /// List the keys, without what would let anybody use them
    #[command(after_help = "Example: chatward key list --json")]
    List,
    /// Revoke a key, for good and at once
    #[command(after_help = "Example: chatward key revoke 3kTMd9...")]
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// What the key may do
    #[arg(long, value_parser = |text: &str| text.parse::<KeyScope>())]
    scope: KeyScope,
    /// What it is for
    #[arg(long, default_value = "")]
    name: String,
    /// Days until it ends [default: it does not]
    #[arg(long, value_name = "DAYS")]
    expires_days: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArguments {
    /// The key's public id from `chatward key list`, or the whole key
    key: String,
}

pub(super) async fn run(common: &Common, command: KeyCommand) -> Outcome {
    let app = common.open().await?;
    let outcome = match command {
        KeyCommand::Create(arguments) => create(&app, common, &arguments).await,
        KeyCommand::List => list(&app, common).await,
        KeyCommand::Revoke(arguments) => revoke(&app, common, &arguments).await,
    };
    app.stop().await;
    outcome
}

async fn create(app: &App, common: &Common, arguments: &CreateArguments) -> Outcome {
    let scope = Scope::of(app.owner);
    let made = issued_keys::create(app, &scope, arguments.scope, &arguments.name, arguments.expires_days).await?;
    if common.json {
        let mut view = view(&made.row);
        view["key"] = json!(made.text.expose());
        print::json(&view);
    } else {
        print::line("The key, shown this once. Keep it on your server, never in a page:");
        print::line(&format!("  {}", made.text.expose()));
    }
    Ok(())
}

async fn list(app: &App, common: &Common) -> Outcome {
    let rows = app.store.list_issued_keys(&Scope::of(app.owner)).await?;
    if common.json {
        print::json(&rows.iter().map(view).collect::<Vec<_>>());
    } else if rows.is_empty() {
        print::line("There is no key yet. Make one with: chatward key create --scope manage");
    } else {
        let now = app.clock.now();
        for row in rows {
            let state = match (row.revoked_at, row.expires_at) {
                (Some(_), _) => "revoked",
                (None, Some(end)) if end <= now => "expired",
                _ => "holds",
            };
            print::line(&format!("{}  {}  {state}  {}", row.id, row.scope.as_str(), row.name));
        }
    }
    Ok(())
}

async fn revoke(app: &App, common: &Common, arguments: &RevokeArguments) -> Outcome {
    let id = issued_keys::revoke(app, &Scope::of(app.owner), &arguments.key).await?;
    if common.json {
        print::json(&json!({ "revoked": id }));
    } else {
        print::line(&format!("Revoked {id}. Running servers refuse it from now on."));
    }
    Ok(())
}

fn view(row: &IssuedKeyRow) -> Value {
    json!({
        "id": row.id,
        "name": row.name,
        "scope": row.scope.as_str(),
        "created_at": row.created_at / SECOND,
        "expires_at": row.expires_at.map(|at| at / SECOND),
        "revoked_at": row.revoked_at.map(|at| at / SECOND),
    })
}
