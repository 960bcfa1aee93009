//! Conversations as a site's owner works with them: read, and erased.
//!
//! They are other people's words. Owns: that nobody reads one without a record of the audit trail that says who read which,
//! written before a word is opened, and that an erasure takes all that a visitor's own erasure takes, with its record.

use crate::app::App;
use crate::client::Client;
use crate::ops::acting::Acting;
use crate::ops::chat::{self, Content};
use crate::ops::{data_keys, feedback, trail};
use chatward_store::{ConversationRow, FeedbackRow, MessageCursor, MessageRow};
use chatward_types::{ConversationId, Error, EventName, MessageId, Outcome, Result, Scope, Severity};
use serde_json::json;
use std::collections::HashMap;

/// A message, opened.
#[derive(Debug)]
pub struct Opened {
    /// What is stored of it in clear.
    pub row: MessageRow,
    /// What was said, and the sources.
    pub content: Content,
    /// The visitor's judgement, and why.
    pub judged: Option<(i16, Option<String>)>,
}

/// Up to `limit` messages of a conversation, oldest first, those after `after` alone.
///
/// # Errors
/// [`chatward_types::Kind::NotFound`] when the owner has no such conversation; and where the reading cannot be recorded,
/// nothing is read.
pub async fn read(
    app: &App,
    id: ConversationId,
    after: Option<MessageCursor>,
    limit: u32,
    by: &Acting,
    client: &Client,
) -> Result<Vec<Opened>> {
    let scope = Scope::of(by.owner);
    let conversation = app.store.get_conversation(&scope, id).await?.ok_or_else(Error::not_found)?;
    let detail = json!({ "what": "conversation read", "site": conversation.site });
    let name = EventName::ConversationRead;
    app.store.append_trail(trail::entry(app, name, &by.actor, Some(by.owner), &id.to_string(), &detail)?).await?;
    tell(app, name, &conversation, by, client);
    let keys = data_keys::of(app, &scope).await?;
    let mut judged: HashMap<MessageId, FeedbackRow> =
        app.store.list_feedback(&scope, id).await?.into_iter().map(|row| (row.message, row)).collect();
    let mut opened = Vec::new();
    for row in app.store.messages_after(&scope, id, after, limit).await? {
        let content = chat::open_content(&keys, &row)?;
        let judged = match judged.remove(&row.id) {
            Some(judgement) => Some((judgement.rating, feedback::open_reason(&keys, &judgement)?)),
            None => None,
        };
        opened.push(Opened { row, content, judged });
    }
    Ok(opened)
}

/// Erases a conversation with its session, messages and feedback, at once on every node.
///
/// # Errors
/// [`chatward_types::Kind::NotFound`] when the owner has no such conversation; where it cannot be recorded, nothing is
/// erased.
pub async fn erase(app: &App, id: ConversationId, by: &Acting, client: &Client) -> Result<()> {
    let scope = Scope::of(by.owner);
    let conversation = app.store.get_conversation(&scope, id).await?.ok_or_else(Error::not_found)?;
    let detail = json!({ "what": "conversation erased", "site": conversation.site, "messages": conversation.messages });
    let name = EventName::SessionDeleted;
    let entry = trail::entry(app, name, &by.actor, Some(by.owner), &id.to_string(), &detail)?;
    let erased = trail::audited(app, entry).delete_session(&scope, &conversation.session, app.clock.now()).await?;
    app.sessions.forget(&conversation.session);
    // Its visitor, or another, was faster.
    if erased.is_none() {
        return Err(Error::not_found());
    }
    tell(app, name, &conversation, by, client);
    Ok(())
}

fn tell(app: &App, name: EventName, conversation: &ConversationRow, by: &Acting, client: &Client) {
    let event = app.event(name, Severity::Info, Outcome::Success).of(client);
    let event = event.site(by.owner, conversation.site).session(&conversation.session);
    event.detail(format!("conversation {} {}", conversation.id, by.how)).emit();
}
