//! `chatward key rotate | revoke`: how keys end.
//!
//! Owns: what may be named (a public id, a whole key, a pasted text that holds one, a site), and that nothing of a secret
//! key is shown. What is named is looked for among all owners: whoever sits at this machine ends a leak, whosever it is.

use super::{Common, Failure, Outcome, key, print, site, when};
use crate::app::App;
use crate::events::time_text;
use crate::ops::trail::Actor;
use crate::ops::{issued_keys, site_keys};
use chatward_store::SiteRow;
use chatward_types::{Error, KeyScope, Kind, Scope, Secret, Timestamp};
use chatward_vault::{PublishableKey, SecretKey};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::io::{IsTerminal as _, Read as _};

const BY: Actor = Actor::Operator;
/// Owners whose keys are revoked together.
const OWNERS_AT_ONCE: u32 = 500;
/// A pasted text is read up to here.
const MOST_PASTED: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct RotateArguments {
    /// The secret key's public id, the publishable key, or the site whose publishable key it is
    key: String,
    /// How long the old key is honoured beside the new one, such as 12h or 7d
    #[arg(long, value_name = "SPAN", default_value = "24h", conflicts_with = "now")]
    overlap: String,
    /// Cut the old key off at once
    #[arg(long)]
    now: bool,
    /// Days until the new secret key ends [default: when the old one would have]
    #[arg(long, value_name = "DAYS")]
    expires_days: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArguments {
    /// The key's public id or the publishable key; without one, standard input holds the leaked key
    key: Option<String>,
    /// Every key of a kind
    #[arg(long, conflicts_with = "key")]
    all: bool,
    /// The kind [default: secret]
    #[arg(long, value_enum)]
    kind: Option<KindOfKey>,
    /// Only secret keys that may do this
    #[arg(long, value_parser = |text: &str| text.parse::<KeyScope>())]
    scope: Option<KeyScope>,
    /// Yes, all of them
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindOfKey {
    Secret,
    Publishable,
}

impl RevokeArguments {
    /// What clap cannot see.
    pub(super) fn check(&self) -> Outcome {
        let wrong = |text: &str| Err(Failure::Usage(text.to_owned()));
        if !self.all && (self.kind.is_some() || self.scope.is_some() || self.yes) {
            return wrong("--kind, --scope and --yes go with --all");
        }
        if self.kind == Some(KindOfKey::Publishable) && self.scope.is_some() {
            return wrong("publishable keys have no scopes; leave --scope out");
        }
        if self.all && !self.yes {
            return wrong("this ends every key of the kind at once and for good, on every server; add --yes");
        }
        Ok(())
    }
}

/// What a text names.
enum Named {
    /// A secret key, by its public id.
    Secret(String),
    Publishable(String),
}

pub(super) async fn rotate(app: &App, common: &Common, arguments: &RotateArguments) -> Outcome {
    let overlap = if arguments.now { 0 } else { when::span(&arguments.overlap)? };
    match find_in(&arguments.key) {
        Some(Named::Secret(id)) => {
            let scope = owner_of(app, &id).await?;
            let made = issued_keys::rotate(app, &scope, &id, overlap, arguments.expires_days, &BY).await?;
            key::show(app, common, &made);
            let old = app.store.get_issued_key(&scope, &id).await?;
            if !common.json
                && let Some(end) = old.and_then(|old| old.honoured_until)
            {
                print::line(&honoured(app, "The old key", end));
            }
            Ok(())
        }
        Some(Named::Publishable(text)) => {
            let (scope, row) = site_keys::rotatable(app, &text).await?;
            rotate_site(app, common, &scope, &row, overlap).await
        }
        None => {
            let row = site::find(app, &arguments.key).await?;
            rotate_site(app, common, &Scope::of(row.owner), &row, overlap).await
        }
    }
}

async fn rotate_site(app: &App, common: &Common, scope: &Scope, row: &SiteRow, overlap: Timestamp) -> Outcome {
    let site = site_keys::rotate(app, scope, row, overlap, &BY).await?;
    let keys = app.store.site_keys(scope, site.id).await?;
    let end = keys.iter().find(|key| key.publishable_key == row.publishable_key).and_then(|key| key.honoured_until);
    if common.json {
        let end = end.map(|end| end / chatward_types::SECOND);
        print::json(&json!({ "site": site.publishable_key, "before": row.publishable_key, "honoured_until": end }));
        return Ok(());
    }
    print::line(&format!("{} has the key {} now.", site.name, site.publishable_key));
    if let Some(end) = end {
        print::line(&honoured(app, "Pages with the old one", end));
    }
    print::line(&format!("Put the new one into the pages: chatward site embed {}", site.publishable_key));
    Ok(())
}

fn honoured(app: &App, what: &str, end: Timestamp) -> String {
    if end <= app.clock.now() {
        format!("{what}: cut off. Running servers refuse it within a second.")
    } else {
        format!("{what}: honoured until {}.", time_text(end))
    }
}

pub(super) async fn revoke(app: &App, common: &Common, arguments: RevokeArguments) -> Outcome {
    if arguments.all {
        return revoke_all(app, common, arguments.kind.unwrap_or(KindOfKey::Secret), arguments.scope).await;
    }
    let text = match arguments.key {
        Some(text) => Secret::new(text),
        None => pasted()?,
    };
    let revoked = match find_in(text.expose()) {
        Some(Named::Secret(id)) => {
            let scope = owner_of(app, &id).await?;
            issued_keys::revoke_by(app, &scope, &id, &BY).await?;
            id
        }
        Some(Named::Publishable(key)) => {
            let Some((owner, _)) = app.store.find_site_key(&key).await? else { return Err(unknown()) };
            site_keys::revoke(app, owner, &key, &BY).await?;
            key
        }
        None => {
            return Err(Failure::Usage("that is no key and no public id; `chatward key list` shows them".to_owned()));
        }
    };
    if common.json {
        print::json(&json!({ "revoked": revoked }));
    } else {
        print::line(&format!("Revoked {revoked}. Running servers refuse it within a second, and end what runs on it."));
    }
    Ok(())
}

async fn revoke_all(app: &App, common: &Common, kind: KindOfKey, having: Option<KeyScope>) -> Outcome {
    let (mut revoked, mut after) = (Vec::new(), None);
    loop {
        let owners = app.store.admin_owners(after, OWNERS_AT_ONCE).await?;
        let Some(last) = owners.last() else { break };
        after = Some(*last);
        for scope in owners.into_iter().map(Scope::of) {
            match kind {
                KindOfKey::Secret => revoked.extend(issued_keys::revoke_all(app, &scope, having, &BY).await?),
                KindOfKey::Publishable => {
                    let sites = site_keys::revoke_all(app, &scope, &BY).await?;
                    revoked.extend(sites.into_iter().map(|site| site.to_string()));
                }
            }
        }
    }
    if common.json {
        print::json(&json!({ "revoked": revoked }));
        return Ok(());
    }
    match kind {
        KindOfKey::Secret => print::line(&format!("Revoked {} secret keys.", revoked.len())),
        KindOfKey::Publishable => {
            print::line(&format!("Revoked the publishable keys of {} sites.", revoked.len()));
            print::line("No page can begin a chat. Give a site another key with: chatward key rotate SITE");
        }
    }
    print::line("Running servers refuse them within a second.");
    Ok(())
}

/// The owner of a secret key, whoever it is.
async fn owner_of(app: &App, id: &str) -> Result<Scope, Failure> {
    app.store.find_key_owner(id).await?.map(Scope::of).ok_or_else(unknown)
}

fn unknown() -> Failure {
    Failure::from(Error::new(
        Kind::NotFound,
        "not_found",
        "There is no such key. `chatward key list` shows those there are.",
    ))
}

/// The key that a text is, or that stands somewhere in it; or a public id.
fn find_in(text: &str) -> Option<Named> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    for word in text.split(|letter: char| !is_part(letter)) {
        if let Some(id) = word.find("cw_sk_").and_then(|at| SecretKey::public_part(&word[at..])) {
            return Some(Named::Secret(id.to_owned()));
        }
        if let Some(key) = word.find("cw_pk_").and_then(|at| PublishableKey::parse(&word[at..]).ok()) {
            return Some(Named::Publishable(key.to_string()));
        }
    }
    let text = text.trim();
    let is_id = text.len() == 22 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| Named::Secret(text.to_owned()))
}

fn pasted() -> Result<Secret<String>, Failure> {
    let input = std::io::stdin();
    if input.is_terminal() {
        print::note("Paste the leaked key, then press Enter and Ctrl-D:");
    }
    let mut text = String::new();
    input
        .lock()
        .take(MOST_PASTED)
        .read_to_string(&mut text)
        .map_err(|error| Failure::Usage(format!("standard input holds no text ({})", error.kind())))?;
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatward_types::Environment;
    use chatward_vault::SystemEntropy;

    #[test]
    fn a_key_is_found_in_whatever_was_pasted() {
        let secret = SecretKey::generate(Environment::Production, &SystemEntropy).expect("a key");
        let whole = secret.reveal().expose();
        let cut = &whole[..whole.len() - 20];
        for text in [
            whole.clone(),
            format!("  {whole}\n"),
            format!("Authorization: Bearer {whole}"),
            format!("CHATWARD_KEY=\"{whole}\" # production"),
            format!("+key={cut}\n"),
            secret.id().to_owned(),
        ] {
            assert!(matches!(find_in(&text), Some(Named::Secret(id)) if id == secret.id()), "{text}");
        }
        let publishable = PublishableKey::generate(Environment::Production, &SystemEntropy).expect("a key");
        let tag = format!("<script data-site-id=\"{publishable}\">");
        assert!(matches!(find_in(&tag), Some(Named::Publishable(key)) if key == publishable.as_str()));
        for text in ["", "shop.example", "cw_sk_", &whole[10..]] {
            assert!(find_in(text).is_none(), "{text}");
        }
    }
}
