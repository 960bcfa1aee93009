//! What an owner sets on a site: how the chat looks, what it says of itself, and how it behaves.
//!
//! Owns: the settings as they are stored (JSON), their bounds with a sentence for each, and partial changes: absent
//! leaves a setting, `null` clears it. Never decides what a model is told in the owner's name beyond one of our own
//! sentences: a tone is a word, not a text.

use crate::ops::origins;
use chatward_types::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;
use utoipa::ToSchema;

/// The languages that the chat's interface speaks.
pub const INTERFACE_LANGUAGES: [&str; 13] =
    ["en", "de", "fr", "es", "pt", "it", "nl", "pl", "tr", "ar", "he", "zh", "ja"];
/// The most further origins to which links may be live.
const MOST_LINK_ORIGINS: usize = 50;

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the visitor's system is set.
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// The corner of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Position {
    /// Below, on the right.
    BottomRight,
    /// Below, on the left.
    BottomLeft,
    /// Above, on the right.
    TopRight,
    /// Above, on the left.
    TopLeft,
}

/// How the assistant speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Plainly.
    Neutral,
    /// Warmly.
    Friendly,
    /// With distance.
    Formal,
    /// In as few words as will do.
    Concise,
}

/// When nobody of the owner's is there; shown to visitors, nothing is switched off by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// From this time of the day.
    #[schema(example = "22:00")]
    pub from: String,
    /// Until this time, perhaps of the next day.
    #[schema(example = "07:00")]
    pub to: String,
    /// The time zone, by its name in the IANA database.
    #[schema(example = "Europe/Berlin")]
    pub zone: String,
}

/// The settings of a site; what is absent is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Settings {
    /// The heading of the chat; at most 80 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the chat says first; at most 500 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub greeting: Option<String>,
    /// Questions offered before the first message; at most 6 of 120 characters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub starters: Vec<String>,
    /// The language of the site as a BCP 47 tag, where the crawl should not guess it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What a visitor is told to do when the site does not answer, such as an address to write to; at most 300 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Further origins to which links in answers are live; at most 50.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub link_origins: Vec<String>,
    /// The interface languages to offer; all where empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// How the assistant speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tone: Option<Tone>,
    /// Light or dark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<Theme>,
    /// The colour of the launcher and of what is pressed, as `#rrggbb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// The corner of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Initials in the avatar; at most 2 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// The radius of the corners in pixels, 0 to 24.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corner: Option<u8>,
    /// Whether the visitor is asked before anything is stored or sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<bool>,
    /// When nobody of the owner's is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// The address of the site's privacy notice; https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_url: Option<String>,
}

/// A partial change: an absent member stays as it is, `null` clears it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsChange {
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub title: Option<Option<String>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub greeting: Option<Option<String>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    pub starters: Option<Option<Vec<String>>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub language: Option<Option<String>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub contact: Option<Option<String>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    pub link_origins: Option<Option<Vec<String>>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    pub languages: Option<Option<Vec<String>>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Tone>)]
    pub tone: Option<Option<Tone>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Theme>)]
    pub theme: Option<Option<Theme>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub color: Option<Option<String>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Position>)]
    pub position: Option<Option<Position>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub avatar: Option<Option<String>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<u8>)]
    pub corner: Option<Option<u8>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    pub consent: Option<Option<bool>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<QuietHours>)]
    pub quiet_hours: Option<Option<QuietHours>>,
    /// See `Settings`.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub privacy_url: Option<Option<String>>,
}

/// Tells `null` from a member that is not there.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

fn set<T>(setting: &mut Option<T>, change: Option<Option<T>>) {
    if let Some(value) = change {
        *setting = value;
    }
}

fn set_list(setting: &mut Vec<String>, change: Option<Option<Vec<String>>>) {
    if let Some(value) = change {
        *setting = value.unwrap_or_default();
    }
}

impl SettingsChange {
    /// Makes the change.
    pub fn apply(self, settings: &mut Settings) {
        set(&mut settings.title, self.title);
        set(&mut settings.greeting, self.greeting);
        set_list(&mut settings.starters, self.starters);
        set(&mut settings.language, self.language);
        set(&mut settings.contact, self.contact);
        set_list(&mut settings.link_origins, self.link_origins);
        set_list(&mut settings.languages, self.languages);
        set(&mut settings.tone, self.tone);
        set(&mut settings.theme, self.theme);
        set(&mut settings.color, self.color);
        set(&mut settings.position, self.position);
        set(&mut settings.avatar, self.avatar);
        set(&mut settings.corner, self.corner);
        set(&mut settings.consent, self.consent);
        set(&mut settings.quiet_hours, self.quiet_hours);
        set(&mut settings.privacy_url, self.privacy_url);
    }
}

impl Settings {
    /// Reads what the store holds, in order to change it.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Invalid`] when it is of another form, [`chatward_types::Kind::Conflict`] when it holds
    /// what this version does not know and would lose.
    pub fn read(text: &str) -> Result<Self> {
        let settings = Self::read_known(text)?;
        let stored: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(Error::internal)?;
        let known = serde_json::to_value(&settings).map_err(Error::internal)?;
        let is_set =
            |value: &serde_json::Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
        if stored.iter().any(|(name, value)| is_set(value) && known.get(name) != Some(value)) {
            return Err(Error::new(
                chatward_types::Kind::Conflict,
                "settings_of_another_version",
                "A newer version of Chatward has set something on this site that this one does not know. Change the site there.",
            ));
        }
        Ok(settings)
    }

    /// Reads what the store holds and passes over what only a newer version knows: for answering, never for writing.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Invalid`] when it is of another form.
    pub fn read_known(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|error| Error::invalid("The site's settings are not of the right form.").with_source(error))
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Invalid`], naming the setting and what it takes.
    pub fn check(&self) -> Result<()> {
        check_text("title", self.title.as_deref(), 80)?;
        check_text("greeting", self.greeting.as_deref(), 500)?;
        check_text("contact", self.contact.as_deref(), 300)?;
        check_text("avatar", self.avatar.as_deref(), 2)?;
        if self.starters.len() > 6 {
            return Err(Error::invalid("starters takes at most 6 questions of 120 characters each."));
        }
        for starter in &self.starters {
            check_text("a question of starters", Some(starter), 120)?;
        }
        if self.link_origins.len() > MOST_LINK_ORIGINS
            || self.link_origins.iter().any(|origin| origins::parse(origin).is_none())
        {
            return Err(Error::invalid("link_origins takes at most 50 origins such as https://docs.example.com."));
        }
        let known = |language: &String| INTERFACE_LANGUAGES.contains(&language.as_str());
        if self.languages.len() > INTERFACE_LANGUAGES.len() || !self.languages.iter().all(known) {
            let list = INTERFACE_LANGUAGES.join(", ");
            return Err(Error::invalid(format!("languages takes a choice of: {list}.")));
        }
        let refusals = [
            (self.language.as_deref().is_none_or(is_language_tag), "language takes a BCP 47 tag such as en or pt-BR."),
            (self.color.as_deref().is_none_or(is_color), "color takes the form #rrggbb, such as #0f5d58."),
            (self.corner.is_none_or(|corner| corner <= 24), "corner takes 0 to 24 pixels."),
            (
                self.privacy_url.as_deref().is_none_or(is_https),
                "privacy_url takes an https address of at most 500 characters.",
            ),
        ];
        if let Some((_, text)) = refusals.into_iter().find(|(fine, _)| !fine) {
            return Err(Error::invalid(text));
        }
        match &self.quiet_hours {
            Some(hours) => hours.check(),
            None => Ok(()),
        }
    }
}

impl QuietHours {
    fn check(&self) -> Result<()> {
        if !is_time(&self.from) || !is_time(&self.to) || self.from == self.to {
            return Err(Error::invalid("quiet_hours takes two different times such as 22:00 and 07:00."));
        }
        if !is_zone(&self.zone) {
            return Err(Error::invalid("quiet_hours takes a time zone by name, such as Europe/Berlin or UTC."));
        }
        Ok(())
    }
}

fn check_text(name: &'static str, text: Option<&str>, most: usize) -> Result<()> {
    let Some(text) = text else { return Ok(()) };
    if text.trim().is_empty() || text.chars().count() > most {
        return Err(Error::invalid(format!("{name} takes 1 to {most} characters; clear it with null.")));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Error::invalid(format!("{name} must not hold control characters.")));
    }
    Ok(())
}

fn is_language_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    text.len() <= 35
        && (2..=3).contains(&first.len())
        && first.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_color(text: &str) -> bool {
    text.len() == 7 && text.strip_prefix('#').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_https(text: &str) -> bool {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.host_str().is_some());
    text.len() <= 500 && url.is_some_and(|url| url.username().is_empty() && url.password().is_none())
}

fn is_time(text: &str) -> bool {
    let Some((hours, minutes)) = text.split_once(':') else { return false };
    let below = |part: &str, most: u8| {
        part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()) && part.parse().is_ok_and(|n: u8| n < most)
    };
    below(hours, 24) && below(minutes, 60)
}

/// The shape of a name in the IANA database; whether there is such a zone, the visitor's browser knows.
fn is_zone(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-'))
    };
    text.len() <= 64 && text.split('/').count() <= 3 && text.split('/').all(part)
}

#[cfg(test)]
mod tests;
