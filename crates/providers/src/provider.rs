//! A provider's settings, checked once: where it is, what it speaks, what it costs, how long it may take.
//!
//! Owns: the list of kinds, their default addresses and deadlines. Never does: hold a key; keys come with each call.

use crate::error::SettingsError;
use crate::openai::Dialect;
use crate::price::Price;
use crate::prices::price_of;
use chatward_egress::Reach;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// Quotes the passages; needs nobody.
    Extractive,
    /// OpenAI itself. Needs a key.
    OpenAi,
    /// A server that speaks OpenAI's chat completions. Its key is optional.
    OpenAiCompatible,
    /// Ollama's own API. Its key is optional (a proxy in front of it may want one).
    Ollama,
}

impl ProviderKind {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extractive => "extractive",
            Self::OpenAi => "openai",
            Self::OpenAiCompatible => "openai-compatible",
            Self::Ollama => "ollama",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProviderKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Extractive, Self::OpenAi, Self::OpenAiCompatible, Self::Ollama]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or("expected extractive, openai, openai-compatible or ollama")
    }
}

/// How long each part of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// To a connection, TLS included.
    pub connect: Duration,
    /// From the request to the first byte of the answer.
    pub first_byte: Duration,
    /// From the request to the first piece of text: a stream that is open but says nothing is given up by then. Never
    /// less than `first_byte`, so that an operator who waits longer for that one need not know of this one.
    pub first_piece: Duration,
    /// Between two bytes.
    pub between_bytes: Duration,
    /// For the whole call.
    pub total: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(20),
            first_piece: Duration::from_secs(30),
            between_bytes: Duration::from_secs(15),
            total: Duration::from_secs(120),
        }
    }
}

/// What an operator sets.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Its name in events, metrics and messages; unique in a set.
    pub name: String,
    /// What it speaks.
    pub kind: ProviderKind,
    /// Where it is: with `/v1` for OpenAI's API, without `/api` for Ollama. OpenAI's and a local Ollama's are known.
    pub base_url: Option<Url>,
    /// Which model.
    pub model: String,
    /// What it costs; the table's price if none is set, nothing for Ollama.
    pub price: Option<Price>,
    /// How long it may take.
    pub deadlines: Deadlines,
    /// What addresses it may have. OpenAI at its own address is always held to public ones.
    pub reach: Reach,
}

/// Who can be asked. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Quotes the passages.
    Extractive,
    /// OpenAI or a server that speaks its API.
    OpenAiCompatible(Arc<Upstream>),
    /// Ollama.
    Ollama(Arc<Upstream>),
}

/// A checked address with all that a call needs but the key.
#[derive(Debug)]
pub struct Upstream {
    pub(crate) name: Arc<str>,
    pub(crate) kind: ProviderKind,
    pub(crate) endpoint: Url,
    pub(crate) model: Arc<str>,
    pub(crate) price: Price,
    pub(crate) deadlines: Deadlines,
    pub(crate) reach: Reach,
    pub(crate) dialect: Dialect,
}

const OPENAI: &str = "https://api.openai.com/v1";
const OLLAMA: &str = "http://127.0.0.1:11434";

impl Provider {
    /// Checks settings.
    ///
    /// # Errors
    /// The setting that cannot be used.
    pub fn new(settings: ProviderSettings) -> Result<Self, SettingsError> {
        if settings.kind == ProviderKind::Extractive {
            return Ok(Self::Extractive);
        }
        if settings.name.is_empty() || settings.name.len() > 64 {
            return Err(SettingsError::Name);
        }
        if settings.model.is_empty() || settings.model.len() > 256 {
            return Err(SettingsError::Model);
        }
        let (default, path, dialect) = match settings.kind {
            ProviderKind::OpenAi => (Some(OPENAI), ["chat", "completions"], Dialect::OpenAi),
            ProviderKind::Ollama => (Some(OLLAMA), ["api", "chat"], Dialect::Compatible),
            ProviderKind::OpenAiCompatible | ProviderKind::Extractive => {
                (None, ["chat", "completions"], Dialect::Compatible)
            }
        };
        let reach = match (settings.kind, &settings.base_url) {
            (ProviderKind::OpenAi, None) => Reach::Public,
            _ => settings.reach,
        };
        let base = match (settings.base_url, default) {
            (Some(url), _) => url,
            (None, Some(text)) => Url::parse(text).map_err(|_| SettingsError::BaseUrl)?,
            (None, None) => return Err(SettingsError::NoBaseUrl),
        };
        let price = settings.price.unwrap_or(match settings.kind {
            ProviderKind::Ollama => Price::FREE,
            _ => price_of(&settings.model),
        });
        let upstream = Arc::new(Upstream {
            name: settings.name.into(),
            kind: settings.kind,
            endpoint: endpoint(base, path)?,
            model: settings.model.into(),
            price,
            deadlines: settings.deadlines,
            reach,
            dialect,
        });
        Ok(match settings.kind {
            ProviderKind::Ollama => Self::Ollama(upstream),
            _ => Self::OpenAiCompatible(upstream),
        })
    }

    /// Its configured name.
    pub fn name(&self) -> &str {
        self.upstream().map_or("extractive", |upstream| &upstream.name)
    }

    /// Its model.
    pub fn model(&self) -> &str {
        self.upstream().map_or("extractive", |upstream| &upstream.model)
    }

    /// What it speaks.
    pub fn kind(&self) -> ProviderKind {
        self.upstream().map_or(ProviderKind::Extractive, |upstream| upstream.kind)
    }

    /// What it costs; none if it can never cost anything.
    pub fn price(&self) -> Option<&Price> {
        self.upstream().map(|upstream| &upstream.price).filter(|price| !price.is_free())
    }

    /// The host that its key must be bound to.
    pub fn host(&self) -> Option<&str> {
        self.upstream().and_then(|upstream| upstream.endpoint.host_str())
    }

    pub(crate) fn upstream(&self) -> Option<&Arc<Upstream>> {
        match self {
            Self::Extractive => None,
            Self::OpenAiCompatible(upstream) | Self::Ollama(upstream) => Some(upstream),
        }
    }
}

fn endpoint(mut base: Url, path: [&str; 2]) -> Result<Url, SettingsError> {
    let plain = matches!(base.scheme(), "http" | "https")
        && base.has_host()
        && base.username().is_empty()
        && base.password().is_none()
        && base.query().is_none()
        && base.fragment().is_none();
    if !plain {
        return Err(SettingsError::BaseUrl);
    }
    base.path_segments_mut().map_err(|()| SettingsError::BaseUrl)?.pop_if_empty().extend(path);
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(kind: ProviderKind, base_url: Option<&str>) -> ProviderSettings {
        ProviderSettings {
            name: "one".to_owned(),
            kind,
            base_url: base_url.map(|text| Url::parse(text).expect("a URL")),
            model: "gpt-4o-mini".to_owned(),
            price: None,
            deadlines: Deadlines::default(),
            reach: Reach::Operator,
        }
    }

    #[test]
    fn the_endpoint_is_appended_to_the_base_whatever_its_form() {
        for (kind, base, endpoint) in [
            (ProviderKind::OpenAi, None, "https://api.openai.com/v1/chat/completions"),
            (ProviderKind::Ollama, None, "http://127.0.0.1:11434/api/chat"),
            (ProviderKind::Ollama, Some("http://ollama.example:11434/"), "http://ollama.example:11434/api/chat"),
            (ProviderKind::OpenAiCompatible, Some("http://host/v1"), "http://host/v1/chat/completions"),
            (ProviderKind::OpenAiCompatible, Some("https://host/a/v1/"), "https://host/a/v1/chat/completions"),
        ] {
            let provider = Provider::new(settings(kind, base)).expect("a provider");
            assert_eq!(provider.upstream().expect("an upstream").endpoint.as_str(), endpoint);
        }
    }

    #[test]
    fn unusable_settings_are_named() {
        let refused = |settings| Provider::new(settings).expect_err("refused");
        assert_eq!(refused(settings(ProviderKind::OpenAiCompatible, None)), SettingsError::NoBaseUrl);
        for base in [
            "ftp://host/v1",
            "https://user@host/v1",
            "https://:pw@host/v1",
            "https://host/v1?key=1",
            "https://host/#x",
            "data:text/plain,x",
        ] {
            assert_eq!(refused(settings(ProviderKind::OpenAiCompatible, Some(base))), SettingsError::BaseUrl, "{base}");
        }
        let with = |change: fn(&mut ProviderSettings)| {
            let mut settings = settings(ProviderKind::OpenAi, None);
            change(&mut settings);
            refused(settings)
        };
        assert_eq!(with(|settings| settings.model.clear()), SettingsError::Model);
        assert_eq!(with(|settings| settings.model = "m".repeat(257)), SettingsError::Model);
        assert_eq!(with(|settings| settings.name.clear()), SettingsError::Name);
        assert_eq!(with(|settings| settings.name = "n".repeat(65)), SettingsError::Name);
    }

    #[test]
    fn openai_at_its_own_address_is_held_to_public_addresses_and_priced_by_the_table() {
        let provider = Provider::new(settings(ProviderKind::OpenAi, None)).expect("a provider");
        let upstream = provider.upstream().expect("an upstream");
        assert!(matches!(upstream.reach, Reach::Public));
        assert_eq!(provider.price(), Some(&Price::cents(15, 60)));
        assert_eq!(provider.host(), Some("api.openai.com"));
        let local = Provider::new(settings(ProviderKind::Ollama, None)).expect("a provider");
        assert_eq!(local.price(), None, "a model on one's own machine is free");
        assert!(matches!(local.upstream().expect("an upstream").reach, Reach::Operator));
    }

    #[test]
    fn a_kind_is_read_as_it_is_written() {
        for kind in
            [ProviderKind::Extractive, ProviderKind::OpenAi, ProviderKind::OpenAiCompatible, ProviderKind::Ollama]
        {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("OpenAI".parse::<ProviderKind>().is_err());
    }
}
