//! `chatward site privacy`: the privacy notice of a site's chat, for the owner's own pages and papers.
//!
//! Never does: say anything of its own; `ops::notice` does.

use super::{Common, Outcome, print, site};
use crate::app::App;
use crate::ops::notice;
use crate::ops::sites::Site;
use clap::{Args, ValueEnum};
use serde_json::json;

#[derive(Debug, Args)]
pub(super) struct PrivacyArguments {
    /// The site: its id, key, host or name
    site: String,
    /// The form
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The language [default: the site's own, else English]
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
}

/// The form of the notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal or a mail
    Text,
    /// For the body of a page
    Html,
    /// For a site that is made from Markdown
    Markdown,
}

pub(super) async fn privacy(app: &App, common: &Common, arguments: &PrivacyArguments) -> Outcome {
    let row = site::find(app, &arguments.site).await?;
    let key = row.publishable_key.clone();
    let notice = notice::of(app, &Site::of(row, Vec::new()), arguments.language.as_deref());
    let text = match arguments.format {
        Format::Text => notice.text(),
        Format::Html => notice.html(),
        Format::Markdown => notice.markdown(),
    };
    if common.json {
        print::json(&json!({ "notice": text, "page": format!("{}/privacy/{key}", app.origins.own()) }));
    } else {
        print::line(text.trim_end());
    }
    Ok(())
}
