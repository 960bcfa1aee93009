//! `chatward site set | show | origins | identity`: what an owner decides about a site.
//!
//! Owns: the flags and the printing. A flag becomes a member of the same partial change that the HTTP API takes, so
//! that there is one set of rules and one set of errors.

use super::{Common, Failure, Outcome, print, site};
use crate::app::App;
use crate::ops::site_changes::{self, SiteChange};
use crate::ops::site_settings::{INTERFACE_LANGUAGES, Settings, SettingsChange};
use crate::ops::trail::Actor;
use crate::ops::{identities, refusals};
use chatward_types::{SECOND, Scope};
use clap::Args;
use serde_json::{Map, Value, json};

/// The settings that can be cleared.
const CLEARABLE: [&str; 16] = [
    "title",
    "greeting",
    "starters",
    "language",
    "contact",
    "link_origins",
    "languages",
    "tone",
    "theme",
    "color",
    "position",
    "avatar",
    "corner",
    "consent",
    "quiet_hours",
    "privacy_url",
];

#[derive(Debug, Args)]
pub(super) struct SetArguments {
    /// The site: its id, key, host or name
    site: String,
    /// The name
    #[arg(long)]
    name: Option<String>,
    /// The chat's heading
    #[arg(long)]
    title: Option<String>,
    /// What the chat says first
    #[arg(long)]
    greeting: Option<String>,
    /// A question to offer; repeat for several; replaces those before
    #[arg(long = "starter", value_name = "QUESTION")]
    starters: Vec<String>,
    /// What to tell a visitor whose question the site does not answer
    #[arg(long)]
    contact: Option<String>,
    /// The site's language as a BCP 47 tag
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// The interface languages to offer, such as en,de; replaces those before
    #[arg(long, value_name = "TAGS", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(INTERFACE_LANGUAGES))]
    languages: Vec<String>,
    /// How the assistant speaks
    #[arg(long, value_parser = ["neutral", "friendly", "formal", "concise"])]
    tone: Option<String>,
    /// Light or dark
    #[arg(long, value_parser = ["auto", "light", "dark"])]
    theme: Option<String>,
    /// The colour of the chat, as #rrggbb
    #[arg(long, value_name = "#RRGGBB")]
    color: Option<String>,
    /// The corner of the page
    #[arg(long, value_parser = ["bottom-right", "bottom-left", "top-right", "top-left"])]
    position: Option<String>,
    /// Initials in the avatar, at most 2 characters
    #[arg(long)]
    avatar: Option<String>,
    /// The radius of the corners in pixels, 0 to 24
    #[arg(long, value_name = "PIXELS")]
    corner: Option<u8>,
    /// Whether to ask the visitor before anything is stored or sent
    #[arg(long, value_name = "BOOL")]
    consent: Option<bool>,
    /// When nobody is there, such as "22:00-07:00 Europe/Berlin"
    #[arg(long, value_name = "HOURS")]
    quiet_hours: Option<String>,
    /// The https address of the privacy notice
    #[arg(long, value_name = "URL")]
    privacy_url: Option<String>,
    /// Allow an origin to show the chat
    #[arg(long = "add-origin", value_name = "ORIGIN")]
    add_origins: Vec<String>,
    /// No longer allow an origin
    #[arg(long = "remove-origin", value_name = "ORIGIN")]
    remove_origins: Vec<String>,
    /// An origin to which links in answers may be live; repeat for several; replaces those before
    #[arg(long = "link-origin", value_name = "ORIGIN")]
    link_origins: Vec<String>,
    /// Clear a setting by its name, such as color; repeat for several
    #[arg(long = "clear", value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(CLEARABLE))]
    cleared: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct SiteArgument {
    /// The site: its id, key, host or name
    pub(super) site: String,
}

#[derive(Debug, Args)]
pub(super) struct IdentityArguments {
    /// The site: its id, key, host or name
    site: String,
    /// Make a new secret; what was signed with the one before no longer holds
    #[arg(long)]
    rotate: bool,
}

pub(super) async fn set(app: &App, common: &Common, arguments: SetArguments) -> Outcome {
    let row = site::find(app, &arguments.site).await?;
    let change = SiteChange {
        settings: settings_change(&arguments)?,
        name: arguments.name,
        origins: None,
        add_origins: arguments.add_origins,
        remove_origins: arguments.remove_origins,
        version: None,
    };
    let row = site_changes::change(app, &Scope::of(app.owner), row.id, change, &Actor::Operator).await?;
    if common.json {
        print::json(&site::view(&row));
    } else {
        print::line(&format!("Changed {}. Running servers use it within a second.", row.name));
    }
    Ok(())
}

fn settings_change(arguments: &SetArguments) -> Result<SettingsChange, Failure> {
    let mut members = Map::new();
    let texts = [
        ("title", &arguments.title),
        ("greeting", &arguments.greeting),
        ("contact", &arguments.contact),
        ("language", &arguments.language),
        ("tone", &arguments.tone),
        ("theme", &arguments.theme),
        ("color", &arguments.color),
        ("position", &arguments.position),
        ("avatar", &arguments.avatar),
        ("privacy_url", &arguments.privacy_url),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            members.insert(name.to_owned(), json!(text));
        }
    }
    let lists = [
        ("starters", &arguments.starters),
        ("languages", &arguments.languages),
        ("link_origins", &arguments.link_origins),
    ];
    for (name, list) in lists {
        if !list.is_empty() {
            members.insert(name.to_owned(), json!(list));
        }
    }
    if let Some(corner) = arguments.corner {
        members.insert("corner".to_owned(), json!(corner));
    }
    if let Some(consent) = arguments.consent {
        members.insert("consent".to_owned(), json!(consent));
    }
    if let Some(hours) = &arguments.quiet_hours {
        let parts = hours.split_once(' ').and_then(|(times, zone)| Some((times.split_once('-')?, zone)));
        let Some(((from, to), zone)) = parts else {
            return Err(Failure::Usage(
                "--quiet-hours takes times and a zone, such as \"22:00-07:00 Europe/Berlin\"".to_owned(),
            ));
        };
        members.insert("quiet_hours".to_owned(), json!({ "from": from, "to": to, "zone": zone.trim() }));
    }
    for name in &arguments.cleared {
        if members.insert(name.clone(), Value::Null).is_some() {
            return Err(Failure::Usage(format!("{name} is set and cleared at once; do one of the two")));
        }
    }
    serde_json::from_value(Value::Object(members)).map_err(|error| Failure::Usage(error.to_string()))
}

pub(super) async fn show(app: &App, common: &Common, arguments: &SiteArgument) -> Outcome {
    let row = site::find(app, &arguments.site).await?;
    let settings = Settings::read(&row.settings)?;
    if common.json {
        print::json(&site::view(&row));
        return Ok(());
    }
    for (name, value) in
        [("name", &row.name), ("key", &row.publishable_key), ("url", &row.url), ("origins", &row.origins.join(", "))]
    {
        print::line(&format!("{name:<13}{value}"));
    }
    if let Value::Object(members) = serde_json::to_value(&settings).map_err(chatward_types::Error::internal)? {
        for (name, value) in members {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            print::line(&format!("{name:<13}{text}"));
        }
    }
    Ok(())
}

pub(super) async fn origins(app: &App, common: &Common, arguments: &SiteArgument) -> Outcome {
    let row = site::find(app, &arguments.site).await?;
    let refused = refusals::list(app, &Scope::of(app.owner), &row).await?;
    if common.json {
        let refused: Vec<Value> = refused
            .iter()
            .map(|one| {
                json!({
                    "origin": one.origin, "count": one.count,
                    "first_at": one.first_at / SECOND, "last_at": one.last_at / SECOND,
                })
            })
            .collect();
        print::json(&json!({ "origins": row.origins, "refused": refused }));
        return Ok(());
    }
    print::line("May show the chat:");
    for origin in &row.origins {
        print::line(&format!("  {origin}"));
    }
    if row.origins.is_empty() {
        print::line("  nobody");
    }
    if !refused.is_empty() {
        print::line("Asked and were refused; the line below each lets it in:");
    }
    for one in &refused {
        print::line(&format!("  {}  ({} times)", one.origin, one.count));
        print::line(&format!("    chatward site set {} --add-origin '{}'", row.publishable_key, one.origin));
    }
    Ok(())
}

pub(super) async fn identity(app: &App, common: &Common, arguments: &IdentityArguments) -> Outcome {
    let row = site::find(app, &arguments.site).await?;
    let scope = Scope::of(app.owner);
    if !arguments.rotate {
        let exists = app.store.identity_secret(&scope, row.id).await?.is_some();
        if common.json {
            print::json(&json!({ "identity_secret": exists }));
        } else if exists {
            print::line("The site has an identity secret. It was shown when it was made; --rotate makes another.");
        } else {
            print::line("The site has no identity secret yet; --rotate makes one.");
        }
        return Ok(());
    }
    let secret = identities::rotate_secret(app, &scope, row.id).await?;
    if common.json {
        print::json(&json!({ "identity_secret": secret.expose(), "aud": row.publishable_key }));
    } else {
        print::line("The site's identity secret, shown this once. Keep it on your server, never in a page:");
        print::line(&format!("  {}", secret.expose()));
        print::line("Your server signs a JWT with it (HS256, the text above as the key) with the claims");
        print::line(&format!("  sub (who it is), aud \"{}\", exp (at most 24 hours ahead)", row.publishable_key));
        print::line("and perhaps name and email; the page hands it over with Chatward.identify({ token }).");
    }
    Ok(())
}
