//! `chatward receipt verify FILE`: whether a visitor's receipt is this installation's word.

use super::{Common, Failure, Outcome, print};
use crate::ops::receipts;
use clap::{Args, Subcommand};
use std::io::Read as _;

/// The longest file that is read.
const MOST_BYTES: u64 = 64 << 20;

/// What to do with a receipt.
#[derive(Debug, Subcommand)]
pub(super) enum ReceiptCommand {
    /// Check a receipt of an erasure, or an exported file with its receipt
    #[command(after_help = "Example: chatward receipt verify chat-export.json")]
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// The file; - reads standard input
    file: String,
}

pub(super) async fn run(common: &Common, command: ReceiptCommand) -> Outcome {
    let ReceiptCommand::Verify(arguments) = command;
    let (receipt, export) = receipts::read(&read(&arguments.file)?)?;
    let app = common.open().await?;
    let genuine = receipts::is_genuine(&app, &receipt, export.as_ref());
    app.stop().await;
    if common.json {
        print::json(&serde_json::json!({ "genuine": genuine, "id": receipt.id.to_string() }));
    } else if genuine {
        let (what, at) = match (receipt.erased_at, receipt.exported_at) {
            (Some(at), _) => ("erased", at),
            (None, at) => ("exported", at.unwrap_or_default()),
        };
        print::line(&format!("Genuine: {} messages were {what} at {at} (seconds since 1970, UTC).", receipt.messages));
        if receipt.digest.is_some() && export.is_none() {
            print::line("The export itself was not checked: give the whole exported file for that.");
        }
    } else {
        print::line("Not genuine: this installation did not sign it, or it was changed since.");
    }
    if genuine { Ok(()) } else { Err(Failure::Told) }
}

fn read(file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == "-" {
        std::io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::Usage(format!("{file} cannot be read ({error})")))?;
    Ok(text)
}
