//! How a site's chat presents itself, as the frame is told.
//!
//! Owns: the view of the settings that visitors may see. What the owner has not set is absent, so that the page's own
//! attributes count. Never holds what is meant for the model, such as the tone.

use crate::app::App;
use crate::ops::site_settings::{Position, QuietHours, Theme};
use crate::ops::sites::Site;
use serde::Serialize;
use utoipa::ToSchema;

/// How the chat presents itself; set by the site's owner. An absent member is not set.
#[derive(Debug, Serialize, ToSchema)]
pub struct Look {
    /// The site's name.
    pub name: String,
    /// The heading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the chat says first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub greeting: Option<String>,
    /// Questions to offer before the first message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub starters: Vec<String>,
    /// What to tell a visitor whose question the site does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The site's language as a BCP 47 tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The interface languages that the owner offers; all where absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// Light or dark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<Theme>,
    /// The owner's colour as `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// The corner of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Initials, at most 2 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// The radius of the corners in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corner: Option<u8>,
    /// Whether to ask before anything is stored or sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<bool>,
    /// When nobody of the owner's is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// The site's privacy notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_url: Option<String>,
    /// How many hours after the last question a conversation is kept.
    pub kept_hours: u32,
    /// The providers that questions are passed to, by the names that the operator gave them; nobody where absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// Origins to which links in answers may be live; all others are shown as text.
    pub link_origins: Vec<String>,
    /// The most characters (Unicode scalar values) that a message may have.
    pub max_characters: usize,
}

/// The look of a site.
pub fn of(app: &App, site: &Site) -> Look {
    let settings = site.settings.clone();
    let mut link_origins = site.origins.to_vec();
    link_origins.extend(settings.link_origins);
    Look {
        name: site.name.to_string(),
        title: settings.title,
        greeting: settings.greeting,
        starters: settings.starters,
        contact: settings.contact,
        language: settings.language,
        languages: settings.languages,
        theme: settings.theme,
        color: settings.color.map(|color| color.to_ascii_lowercase()),
        position: settings.position,
        avatar: settings.avatar,
        corner: settings.corner,
        consent: settings.consent,
        quiet_hours: settings.quiet_hours,
        privacy_url: settings.privacy_url,
        kept_hours: app.config.sessions.idle_hours,
        recipients: recipients(app),
        link_origins,
        max_characters: app.config.messages.max_characters,
    }
}

/// `extractive` passes nothing on.
fn recipients(app: &App) -> Vec<String> {
    let providers = app.providers.providers();
    let others = providers.filter(|provider| provider.kind() != chatward_providers::ProviderKind::Extractive);
    others.map(|provider| provider.name().to_owned()).collect()
}
