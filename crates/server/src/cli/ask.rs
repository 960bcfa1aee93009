//! `chatward ask SITE "question"`: what a visitor would be answered, with the sources.

use super::{Common, Failure, Outcome, print, site};
use crate::ops::single::ask_once;
use crate::ops::sites;
use chatward_types::Scope;
use clap::Args;

/// What to ask.
#[derive(Debug, Args)]
pub(super) struct AskArguments {
    /// The site: its id, key, host or name
    site: String,
    /// The question
    question: String,
}

pub(super) async fn run(common: &Common, arguments: AskArguments) -> Outcome {
    let app = common.open().await?;
    let outcome = async {
        let row = site::find(&app, &arguments.site).await?;
        let site = sites::by_id(&app, &Scope::of(app.owner), row.id)
            .await?
            .ok_or_else(|| Failure::Failed("the site is gone".to_owned()))?;
        Ok::<_, Failure>(ask_once(&app, &site, &arguments.question).await?)
    }
    .await;
    app.stop().await;
    let answer = outcome?;
    if common.json {
        print::json(&serde_json::json!({
            "text": answer.text,
            "citations": answer.citations,
            "provider": answer.provider,
        }));
    } else {
        print::line(&answer.text);
        for citation in &answer.citations {
            print::line(&format!("[{}] {} {}", citation.id, citation.title, citation.url));
        }
    }
    Ok(())
}
