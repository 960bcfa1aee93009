//! One answer outside any session, for the command line: nothing is stored, the money is reserved and settled all the
//! same. Never used for a visitor.

use crate::app::App;
use crate::ops::answers::{cite, cut_off};
use crate::ops::chat::{self, Allowance};
use crate::ops::lookup::{self, Citation};
use crate::ops::sites::Site;
use chatward_providers::Piece;
use chatward_types::Result;
use std::sync::Arc;

/// An answer that nobody's session holds: for the command line.
#[derive(Debug)]
pub struct Unstored {
    /// The whole text.
    pub text: String,
    /// Its sources.
    pub citations: Vec<Citation>,
    /// Who answered.
    pub provider: String,
}

/// Answers a question outside any session; the money is reserved and settled all the same.
///
/// # Errors
/// When the store fails or the answer breaks off.
pub async fn ask_once(app: &App, site: &Site, question: &str) -> Result<Unstored> {
    let question = chat::clean(app, question)?;
    let found = Arc::new(lookup::find(app, site, &question, &[]).await?);
    let asked = chat::Asked { question, ..chat::Asked::default() };
    let request = chat::request(app, site, Vec::new(), asked, &found, chatward_providers::Delivery::Whole);
    let allowance = chat::reserve(app, site, &request, None).await;
    let credentials = |name: &str| app.credentials.of(name);
    let mut answering = match &allowance {
        Some(_) => app.providers.answer(&request, &credentials, &()).await,
        None => app.providers.answer_from_sources(&request),
    };
    let mut text = String::new();
    let mut failure = None;
    while let Some(piece) = answering.next().await {
        match piece {
            Ok(Piece::Text(more)) => text.push_str(&more),
            Ok(_) => {}
            Err(error) => failure = Some(cut_off(error)),
        }
    }
    if let Some(Allowance { reservation, .. }) = allowance {
        reservation.settle(answering.cost());
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(Unstored {
            citations: cite(&found, answering.provider(), &text),
            provider: answering.provider().to_string(),
            text,
        }),
    }
}
