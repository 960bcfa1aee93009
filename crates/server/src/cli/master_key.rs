//! `chatward secret rotate master`: what a rotation of the master key says of itself.
//!
//! Owns: its words. A key is never printed.

use super::{Common, Failure, Outcome, print};
use crate::app::App;
use crate::events::time_text;
use crate::ops::master_key::{self, Progress, Rotation};
use crate::ops::trail::Actor;
use chatward_types::{SECOND, Timestamp};
use chatward_vault::{MasterKeyFile, SystemEntropy};
use serde_json::{Value, json};
use std::path::Path;

pub(super) async fn rotate(app: &App, common: &Common, overlap: Timestamp, is_prepared: bool) -> Outcome {
    let progress = master_key::rotate(app, overlap, is_prepared, &Actor::Operator).await?;
    if common.json {
        print::json(&view(app, &progress));
    } else {
        for line in lines(app, &progress) {
            print::line(&line);
        }
    }
    match progress {
        Progress::Kept(..) | Progress::Over(..) => Ok(()),
        Progress::Waiting(..) | Progress::Begun(..) => Err(Failure::Told),
    }
}

fn lines(app: &App, progress: &Progress) -> Vec<String> {
    let file =
        app.config.vault.key_file.as_deref().map_or_else(|| "vault.key".to_owned(), |path| path.display().to_string());
    let done = |rotation: &Rotation| {
        format!("The master key {} wraps in the place of {}; everything is wrapped anew.", rotation.to, rotation.from)
    };
    match progress {
        Progress::Begun(_) => vec!["The new key is not in the file yet. Run this again in a minute.".to_owned()],
        Progress::Waiting(rotation, nodes) => {
            let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            vec![
                format!("The master key {} is in {file} and is not used yet.", rotation.to),
                format!("These running servers do not hold it: {}.", names.join(", ")),
                "Copy the file to each of them (mode 0600, for the server's user). A running server finishes the rotation \
                 within a minute then; or run this again."
                    .to_owned(),
            ]
        }
        Progress::Kept(rotation, until) => vec![
            done(rotation),
            format!("{file} keeps the old one until {}; a running server takes it out then.", time_text(*until)),
            "Keep a copy of both apart from your backups: a backup from before needs the old one.".to_owned(),
        ],
        Progress::Over(rotation, in_the_way) => {
            let end = match in_the_way {
                None => format!("The old one is no longer in {file}. A backup from before needs your copy of it."),
                Some(reason) => format!("But {reason}."),
            };
            vec![done(rotation), end]
        }
    }
}

fn view(app: &App, progress: &Progress) -> Value {
    let (state, rotation, until, waiting, note) = match progress {
        Progress::Begun(rotation) => ("begun", rotation, None, &[][..], None),
        Progress::Waiting(rotation, nodes) => ("waiting", rotation, None, nodes.as_slice(), None),
        Progress::Kept(rotation, until) => ("kept", rotation, Some(until / SECOND), &[][..], None),
        Progress::Over(rotation, note) => ("over", rotation, None, &[][..], note.as_deref()),
    };
    json!({
        "state": state,
        "master_key": rotation.to,
        "before": rotation.from,
        "before_until": until,
        "waiting_for": waiting.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "note": note,
        "file": app.config.vault.key_file,
    })
}

/// Moves the key of a variable into a file: the one step that takes a restart.
pub(super) fn to_file(common: &Common, path: &Path) -> Outcome {
    let config = common.load(None)?;
    let Some(key) = &config.vault.key else {
        return Err(Failure::Usage("vault.key is not set; the master key stands in a file already".to_owned()));
    };
    if !MasterKeyFile::write_new(path, key, &SystemEntropy)? {
        return Err(Failure::Failed(format!("there is a file {} already; it stays as it is", path.display())));
    }
    let loaded = MasterKeyFile::load(path)?;
    if common.json {
        print::json(&json!({ "file": path, "master_keys": loaded.ring().ids() }));
    } else {
        print::line(&format!(
            "{} holds the master key now. Set vault.key_file (CHATWARD_VAULT_KEY_FILE) to it, remove",
            path.display()
        ));
        print::line(
            "vault.key (CHATWARD_VAULT_KEY), and restart: then chatward secret rotate master needs no restart.",
        );
    }
    Ok(())
}
