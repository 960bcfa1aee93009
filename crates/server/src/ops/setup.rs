//! The first user: made with a one-time token that only whoever started the server has seen.
//!
//! The token has 256 bits, holds for an hour and once; the store has its hash alone. It is made anew at a start as long as
//! there is no user. Of two who use it at once one succeeds: using it up and making the user are one transaction.

use crate::app::App;
use crate::client::Client;
use crate::ops::logins::{self, Issued};
use crate::ops::trail::Actor;
use crate::ops::users::{self, NewUser};
use chatward_types::{Error, EventName, HOUR, Kind, Outcome, Result, Scope, Secret, Severity, Timestamp};
use chatward_vault::{base62_encode, digest, equal_constant_time};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

const SETTING: &str = "setup.token";
const FILE: &str = "setup-token";
const LIFE: Timestamp = HOUR;

/// Makes the token, if there is no user yet. One that was made before no longer holds.
///
/// # Errors
/// When the store or the entropy source fails.
pub async fn prepare(app: &App) -> Result<Option<Secret<String>>> {
    if app.store.count_users(&Scope::of(app.owner)).await? > 0 {
        return Ok(None);
    }
    let secret = chatward_vault::random_secret(app.entropy.as_ref())?;
    let (left, right) = secret.expose().split_at(16);
    let half = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).map(base62_encode).map_err(Error::internal);
    let text = Secret::new(format!("{}{}", half(left)?, half(right)?));
    app.store.replace_setting(SETTING, &format!("{}:{}", hash(text.expose()), app.clock.now() + LIFE)).await?;
    Ok(Some(text))
}

/// Makes the first user, an owner, and logs them in.
///
/// # Errors
/// [`Kind::Unauthenticated`], alike for a token that is wrong, spent or run out and where there is a user already; only
/// who has the right one is told what is wrong with the rest.
pub async fn complete(app: &App, token: &str, new: &NewUser, client: &Client) -> Result<Issued> {
    let scope = Scope::of(app.owner);
    let stored = app.store.get_setting(SETTING).await?.unwrap_or_default();
    let holds = stored.split_once(':').is_some_and(|(expected, end)| {
        let same = equal_constant_time(hash(token).as_bytes(), expected.as_bytes());
        same && end.parse::<Timestamp>().is_ok_and(|end| end > app.clock.now())
    });
    if !holds {
        return Err(refuse(app, client));
    }
    let row = users::prepare(app, new).await?;
    let lookup = app.account_keys.lookup(&row.email);
    let detail = json!({ "what": "first user made", "with": "set-up token", "role": row.role.as_str() });
    let store = users::audited(app, &scope, &Actor::User(row.id), row.id, &detail)?;
    if !store.insert_first_user(&scope, &row, &lookup, SETTING, &stored).await? {
        return Err(refuse(app, client));
    }
    remove_file(app);
    users::tell(app, &scope, Some(client), format!("the first user, {}, was made with the set-up token", row.id));
    logins::begin(app, &scope, &row, client).await
}

/// Writes the token to a file in the data folder that only the server's user may read.
///
/// # Errors
/// When the file cannot be written.
pub fn write_file(app: &App, token: &Secret<String>) -> Result<PathBuf> {
    let path = app.config.data_dir.join(FILE);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    writeln!(file, "{}", token.expose())?;
    Ok(path)
}

/// Removes the file of a token that no longer holds.
pub fn remove_file(app: &App) {
    let path = app.config.data_dir.join(FILE);
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %path.display(), "the file of a set-up token cannot be removed");
    }
}

fn hash(token: &str) -> String {
    digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refuse(app: &App, client: &Client) -> Error {
    let event = app.event(EventName::TokenRefused, Severity::Warning, Outcome::Refused);
    event.of(client).detail("a set-up token that does not hold").emit();
    Error::new(
        Kind::Unauthenticated,
        "setup_invalid",
        "This set-up token does not hold. It is used once, within an hour of the server's start; a new start makes another \
         as long as there is no user.",
    )
}
