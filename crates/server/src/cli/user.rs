//! `chatward user add | list | disable | enable | reset-password | reset-second-factor | roles | unlock | link | unlink |
//! links`: people's accounts.
//!
//! The way back in for whoever forgot a password, until mail exists: the operator makes a link and hands it on, or sets
//! another password. A password is read from standard input, never from an argument, which other people of the machine could
//! see; that of a new user may be made here and is shown once.

use super::{Common, Failure, Outcome, print};
use crate::app::App;
use crate::ops::issuers::links;
use crate::ops::recoveries::{self, Recovery};
use crate::ops::second_factor;
use crate::ops::trail::Actor;
use crate::ops::users::{self, NewUser};
use chatward_store::{UserLinkRow, UserRow, UserState};
use chatward_types::{Error, Role, SECOND, Scope, Secret};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::{BufRead as _, Read as _};

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add a user, with a password that is made here and shown once
    #[command(after_help = "Example: chatward user add ann@example.com --name \"Ann Example\" --role admin")]
    Add(AddArguments),
    /// List the users
    #[command(after_help = "Example: chatward user list --json")]
    List,
    /// Shut a user out; every login of theirs ends at once
    #[command(after_help = "Example: chatward user disable ann@example.com")]
    Disable(Named),
    /// Let a user in again
    #[command(after_help = "Example: chatward user enable ann@example.com")]
    Enable(Named),
    /// Print a link by which a user sets another password, once and within an hour
    ///
    /// No mail is sent yet: hand the link on yourself, to nobody else. With --password-stdin the password is set here and
    /// now. Either way every login of the user ends when there is another password.
    #[command(after_help = "Example: chatward user reset-password ann@example.com")]
    ResetPassword(ResetArguments),
    /// Take away the second factor of a user who has lost it; every login of theirs ends at once
    #[command(after_help = "Example: chatward user reset-second-factor ann@example.com")]
    ResetSecondFactor(Named),
    /// Give a user another role; it holds from the next request on
    #[command(after_help = "Example: chatward user roles ann@example.com member")]
    Roles(RolesArguments),
    /// Let a user try again who must wait after failed attempts
    #[command(after_help = "Example: chatward user unlock ann@example.com")]
    Unlock(Named),
    /// Let tokens of an outside issuer speak for a user
    #[command(after_help = "Example: chatward user link ann@example.com --issuer supabase --subject 4f6c…")]
    Link(LinkArguments),
    /// Let tokens of an outside issuer speak for a user no more, at once
    #[command(after_help = "Example: chatward user unlink ann@example.com --issuer supabase")]
    Unlink(UnlinkArguments),
    /// List whose tokens speak for a user
    #[command(after_help = "Example: chatward user links ann@example.com --json")]
    Links(Named),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The user's e-mail address or id
    user: String,
}

#[derive(Debug, Args)]
pub(super) struct LinkArguments {
    /// The user's e-mail address or id
    user: String,
    /// The name of the [[issuer]] in the configuration
    #[arg(long)]
    issuer: String,
    /// The `sub` of the issuer's tokens for this person
    #[arg(long)]
    subject: String,
}

#[derive(Debug, Args)]
pub(super) struct UnlinkArguments {
    /// The user's e-mail address or id
    user: String,
    /// The name of the [[issuer]], or its `iss` if its entry is gone
    #[arg(long)]
    issuer: String,
    /// This subject alone
    #[arg(long)]
    subject: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct AddArguments {
    /// The e-mail address
    email: String,
    /// The full name
    #[arg(long)]
    name: String,
    /// What they may do: viewer, member, admin or owner
    #[arg(long, value_parser = |text: &str| text.parse::<Role>())]
    role: Role,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    /// Read what proves the password elsewhere, a bcrypt or argon2id hash, from the first line of standard input
    #[arg(long, conflicts_with = "password_stdin")]
    password_hash_stdin: bool,
}

#[derive(Debug, Args)]
pub(super) struct ResetArguments {
    /// The user's e-mail address or id
    user: String,
    /// Set the password from the first line of standard input, instead of printing a link
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
pub(super) struct RolesArguments {
    /// The user's e-mail address or id
    user: String,
    /// viewer, member, admin or owner
    #[arg(value_parser = |text: &str| text.parse::<Role>())]
    role: Role,
}

pub(super) async fn run(common: &Common, command: UserCommand) -> Outcome {
    let app = common.open().await?;
    let outcome = act(&app, common, command).await;
    app.stop().await;
    outcome
}

async fn act(app: &App, common: &Common, command: UserCommand) -> Outcome {
    let scope = Scope::of(app.owner);
    match command {
        UserCommand::Add(arguments) if arguments.password_hash_stdin => {
            let proof = read_line()?;
            let row =
                users::import(app, &scope, &arguments.email, &arguments.name, arguments.role, proof.expose()).await?;
            tell(common, view(&row), &format!("Added {} as {}.", row.email, row.role.as_str()), None);
        }
        UserCommand::Add(arguments) => {
            let (password, shown) = password(app, arguments.password_stdin)?;
            let new = NewUser { email: arguments.email, name: arguments.name, role: arguments.role, password };
            let row = users::add(app, &scope, &new).await?;
            tell(common, view(&row), &format!("Added {} as {}.", row.email, row.role.as_str()), shown.as_ref());
        }
        UserCommand::List => list(app, common, &scope).await?,
        UserCommand::Disable(named) => set_state(app, common, &named, UserState::Disabled).await?,
        UserCommand::Enable(named) => set_state(app, common, &named, UserState::Active).await?,
        UserCommand::ResetPassword(arguments) if arguments.password_stdin => {
            let row = users::named(app, &scope, &arguments.user).await?;
            users::reset_password(app, &scope, &row, &read_line()?).await?;
            tell(common, view(&row), &format!("{} has another password; every login has ended.", row.email), None);
        }
        UserCommand::ResetPassword(arguments) => {
            let row = users::named(app, &scope, &arguments.user).await?;
            let made = recoveries::make(app, &scope, row.id).await?;
            show_link(common, view(&row), &row.email, &made);
        }
        UserCommand::ResetSecondFactor(named) => {
            let row = users::named(app, &scope, &named.user).await?;
            let said = if second_factor::reset(app, &scope, &row).await? {
                "has no second factor any more; every login has ended."
            } else {
                "had no second factor."
            };
            tell(common, view(&row), &format!("{} {said}", row.email), None);
        }
        UserCommand::Roles(arguments) => {
            let row = users::named(app, &scope, &arguments.user).await?;
            users::set_role(app, &scope, row.id, arguments.role).await?;
            let row = UserRow { role: arguments.role, ..row };
            tell(common, view(&row), &format!("{} is {} now.", row.email, row.role.as_str()), None);
        }
        UserCommand::Unlock(named) => {
            let row = users::named(app, &scope, &named.user).await?;
            let said = if users::unlock(app, &scope, &row).await? { "may try again." } else { "did not have to wait." };
            tell(common, view(&row), &format!("{} {said}", row.email), None);
        }
        UserCommand::Link(arguments) => {
            let row = users::named(app, &scope, &arguments.user).await?;
            links::link(app, &scope, &row, &arguments.issuer, &arguments.subject, &Actor::Operator).await?;
            tell(common, view(&row), &format!("Tokens of {} speak for {} now.", arguments.issuer, row.email), None);
        }
        UserCommand::Unlink(arguments) => {
            let row = users::named(app, &scope, &arguments.user).await?;
            let subject = arguments.subject.as_deref();
            links::unlink(app, &scope, &row, &arguments.issuer, subject, &Actor::Operator).await?;
            let said = format!("Tokens of {} speak for {} no more.", arguments.issuer, row.email);
            tell(common, view(&row), &said, None);
        }
        UserCommand::Links(named) => list_links(app, common, &scope, &named).await?,
    }
    Ok(())
}

async fn set_state(app: &App, common: &Common, named: &Named, state: UserState) -> Outcome {
    let scope = Scope::of(app.owner);
    let row = users::named(app, &scope, &named.user).await?;
    users::set_state(app, &scope, row.id, state).await?;
    let row = UserRow { state, ..row };
    tell(common, view(&row), &format!("{} is {} now.", row.email, state.as_str()), None);
    Ok(())
}

async fn list_links(app: &App, common: &Common, scope: &Scope, named: &Named) -> Outcome {
    let row = users::named(app, scope, &named.user).await?;
    let links = app.store.list_user_links(scope, row.id).await?;
    if common.json {
        let view = |link: &UserLinkRow| json!({ "issuer": link.issuer, "subject": link.subject, "created_at": link.created_at / SECOND });
        print::json(&links.iter().map(view).collect::<Vec<_>>());
    } else if links.is_empty() {
        print::line("No outside issuer speaks for this user.");
    }
    if !common.json {
        for link in links {
            print::line(&format!("{}  {}", link.issuer, link.subject));
        }
    }
    Ok(())
}

async fn list(app: &App, common: &Common, scope: &Scope) -> Outcome {
    let rows = app.store.list_users(scope).await?;
    let factors = app.store.list_second_factors(scope).await?;
    let has_factor = |row: &UserRow| factors.iter().any(|factor| factor.user == row.id);
    if common.json {
        let views = rows.iter().map(|row| {
            let mut view = view(row);
            view["second_factor"] = json!(has_factor(row));
            view
        });
        print::json(&views.collect::<Vec<_>>());
    } else if rows.is_empty() {
        print::line("There is no user yet. The server's start shows a set-up token; or: chatward user add");
    } else {
        for row in rows {
            let (role, state) = (row.role.as_str(), row.state.as_str());
            let factor = if has_factor(&row) { "second-factor" } else { "password-only" };
            print::line(&format!("{}  {role}  {state}  {factor}  {}  {}", row.id, row.email, row.name));
        }
    }
    Ok(())
}

/// The password from standard input; or one of 128 random bits, which is then shown.
fn password(app: &App, from_input: bool) -> Result<(Secret<String>, Option<Secret<String>>), Failure> {
    if !from_input {
        let mut random = [0_u8; 16];
        app.entropy.fill(&mut random)?;
        let made = Secret::new(chatward_vault::base62_encode(random));
        return Ok((made.clone(), Some(made)));
    }
    Ok((read_line()?, None))
}

fn read_line() -> Result<Secret<String>, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().take(1024).read_line(&mut line).map_err(Error::from)?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn tell(common: &Common, mut view: Value, said: &str, made: Option<&Secret<String>>) {
    if common.json {
        if let Some(made) = made {
            view["password"] = json!(made.expose());
        }
        print::json(&view);
        return;
    }
    print::line(said);
    if let Some(made) = made {
        print::line("The password, shown this once:");
        print::line(&format!("  {}", made.expose()));
    }
}

fn show_link(common: &Common, mut view: Value, email: &str, made: &Recovery) {
    if common.json {
        view["url"] = json!(made.url.expose());
        view["expires_at"] = json!(made.expires_at / SECOND);
        print::json(&view);
        return;
    }
    print::line(&format!("Hand this link to {email}, and to nobody else. It holds once and for an hour:"));
    print::line(&format!("  {}", made.url.expose()));
}

fn view(row: &UserRow) -> Value {
    json!({
        "id": row.id,
        "email": row.email,
        "full_name": row.name,
        "role": row.role,
        "state": row.state.as_str(),
        "created_at": row.created_at / SECOND,
    })
}
