//! `chatward audit verify | head | prune`: whether the audit trail is as it was written, its signed head, and its end.

use super::{Common, Failure, Outcome, print, when};
use crate::app::App;
use crate::events;
use crate::ops::trail_heads::{self, Heads};
use crate::ops::trail_verify;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Walk the whole trail and name the first record that is not as it was written
    #[command(after_help = "Example: chatward audit verify --anchor /mnt/elsewhere/audit-heads.jsonl")]
    Verify(VerifyArguments),
    /// Print the signed head of now, and add it to the configured file
    #[command(after_help = "Example: chatward audit head --json | ssh elsewhere 'cat >> audit-heads.jsonl'")]
    Head,
    /// Take old records away; a signed record of it stays
    #[command(after_help = "Example: chatward audit prune --before 2026-01-01")]
    Prune(PruneArguments),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// A file of signed heads that was kept elsewhere [default: the configured `audit.head_file`]
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct PruneArguments {
    /// Records older than this go: a date, a time in UTC, or a span back from now
    #[arg(long, value_name = "DATE")]
    before: String,
}

pub(super) async fn run(common: &Common, command: AuditCommand) -> Outcome {
    let app = common.open().await?;
    let outcome = match command {
        AuditCommand::Verify(arguments) => verify(&app, common, arguments).await,
        AuditCommand::Head => head(&app, common).await,
        AuditCommand::Prune(arguments) => prune(&app, common, &arguments).await,
    };
    app.stop().await;
    outcome
}

async fn verify(app: &App, common: &Common, arguments: VerifyArguments) -> Outcome {
    let configured = app.config.audit.head_file.clone().filter(|path| path.exists());
    let heads = match arguments.anchor.or(configured) {
        Some(path) => trail_heads::read(&path)?,
        None => Heads::default(),
    };
    for line in &heads.unreadable {
        print::note(&format!("warning: line {line} of the file of heads is no head"));
    }
    let report = trail_verify::verify(app, &heads).await?;
    if common.json {
        print::json(&report);
    } else {
        print::line(&format!("records   {} hold, {} to {}", report.records, report.first, report.last));
        match report.newest_head {
            Some(head) => print::line(&format!(
                "heads     compared up to record {head}; what came later is held by the chain alone"
            )),
            None => print::line("heads     none to compare with: a cut at the end would not be seen"),
        }
        match &report.fault {
            Some(fault) => print::line(&format!("BROKEN    at record {}: {}", fault.record, fault.text)),
            None => print::line("in order"),
        }
    }
    if report.fault.is_some() { Err(Failure::Told) } else { Ok(()) }
}

async fn head(app: &App, common: &Common) -> Outcome {
    let Some(head) = trail_heads::current(app).await? else {
        return Err(Failure::Failed("the audit trail is empty; there is no head yet".to_owned()));
    };
    trail_heads::write(app).await?;
    if common.json {
        print::json(&head);
    } else {
        print::line(&format!("records   {}", head.count));
        print::line(&format!("hash      {}", head.hash));
        print::line(&format!("time      {}", events::time_text(head.at)));
        print::line(&format!("signature {} (key {})", head.signature, head.key_id));
    }
    Ok(())
}

async fn prune(app: &App, common: &Common, arguments: &PruneArguments) -> Outcome {
    let before = when::time(&arguments.before, app.clock.now())?;
    let count = trail_verify::prune(app, before).await?;
    if common.json {
        print::json(&json!({ "pruned": count }));
    } else {
        print::line(&format!("{count} records are gone; a signed record says so."));
    }
    Ok(())
}
