//! `chatward login-session list | end`: the devices on which a user is logged in.

use super::{Common, Outcome, print};
use crate::app::App;
use crate::ops::{logins, users};
use chatward_types::{LoginId, SECOND, Scope};
use clap::{Args, Subcommand};
use serde_json::json;

/// What to do with a user's logins.
#[derive(Debug, Subcommand)]
pub(super) enum LoginSessionCommand {
    /// List the devices on which a user is logged in
    #[command(after_help = "Example: chatward login-session list ann@example.com")]
    List(Named),
    /// End one, or all of them; running servers refuse its tokens at once
    #[command(after_help = "Example: chatward login-session end ann@example.com --all")]
    End(EndArguments),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The user's e-mail address or id
    user: String,
}

#[derive(Debug, Args)]
pub(super) struct EndArguments {
    /// The user's e-mail address or id
    user: String,
    /// The login's id from the list
    #[arg(required_unless_present = "all", conflicts_with = "all", value_parser = |text: &str| text.parse::<LoginId>())]
    login: Option<LoginId>,
    /// All of them
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(common: &Common, command: LoginSessionCommand) -> Outcome {
    let app = common.open().await?;
    let outcome = match command {
        LoginSessionCommand::List(named) => list(&app, common, &named).await,
        LoginSessionCommand::End(arguments) => end(&app, common, &arguments).await,
    };
    app.stop().await;
    outcome
}

async fn list(app: &App, common: &Common, named: &Named) -> Outcome {
    let scope = Scope::of(app.owner);
    let user = users::named(app, &scope, &named.user).await?;
    let rows = logins::list(app, &scope, user.id).await?;
    if common.json {
        let views = rows.iter().map(|row| {
            json!({
                "id": row.id,
                "user_agent": row.user_agent,
                "network": row.network,
                "created_at": row.created_at / SECOND,
                "last_used_at": row.last_used_at / SECOND,
                "expires_at": row.expires_at / SECOND,
            })
        });
        print::json(&views.collect::<Vec<_>>());
    } else if rows.is_empty() {
        print::line(&format!("{} is not logged in anywhere.", user.email));
    } else {
        for row in rows {
            // A stranger wrote the agent's name; it must not write to this terminal.
            let agent: String = row.user_agent.chars().filter(|c| !c.is_control()).collect();
            print::line(&format!("{}  {}  {agent}", row.id, row.network));
        }
    }
    Ok(())
}

async fn end(app: &App, common: &Common, arguments: &EndArguments) -> Outcome {
    let scope = Scope::of(app.owner);
    let user = users::named(app, &scope, &arguments.user).await?;
    let ids: Vec<LoginId> = match arguments.login {
        Some(id) => vec![id],
        None => logins::list(app, &scope, user.id).await?.into_iter().map(|row| row.id).collect(),
    };
    for id in &ids {
        logins::end_one(app, &scope, user.id, *id, None).await?;
    }
    if common.json {
        print::json(&json!({ "ended": ids }));
    } else {
        print::line(&format!("Ended {}. Running servers refuse their tokens from now on.", ids.len()));
    }
    Ok(())
}
