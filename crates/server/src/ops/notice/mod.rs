//! The privacy notice of a site's chat, made from the settings that are in force.
//!
//! Owns: what the notice says, and from which setting each sentence comes; what it promises is what other modules do with
//! the same settings. Never does: say a word of its own (`words.rs`), know where it is shown (`forms.rs`), or name a
//! machine in the operator's own network.

mod forms;
mod words;

use crate::app::App;
use crate::events;
use crate::ops::blocks;
use crate::ops::sites::Site;
use chatward_providers::ProviderKind;
use chatward_types::DAY;
use std::net::IpAddr;
use url::{Host, Url};
use words::Words;

/// A network as an example of what is kept of an address; from the range for documentation.
const EXAMPLE: &str = "192.0.2.0/24";

/// The notice, ready to be given a form.
#[derive(Debug)]
pub struct Notice {
    words: Words,
    title: String,
    lead: String,
    sections: Vec<Section>,
    made: String,
}

#[derive(Debug)]
struct Section {
    heading: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    List(Vec<String>),
    /// A text with a gap for an address that is a link where there are links.
    Link {
        before: String,
        address: String,
        after: String,
    },
}

/// The notice of a site, in the language that is asked for, else in the site's.
pub fn of(app: &App, site: &Site, language: Option<&str>) -> Notice {
    let words = Words::chosen(language, &site.settings);
    let name = site.name.trim();
    let url = Url::parse(&site.url).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or(&site.url);
    let date: String = events::time_text(app.clock.now()).chars().take(10).collect();
    Notice {
        title: words.say("noticeTitle", &[("name", name)]),
        lead: words.say("noticeIntro", &[("host", host)]),
        sections: vec![
            responsible(words, site),
            stored(app, words),
            recipients(app, words),
            browser(words),
            consent(words, site),
            rights(words),
            logs(app, words),
        ],
        made: words.say("noticeMade", &[("time", &date)]),
        words,
    }
}

fn section(words: Words, heading: &str, parts: Vec<Part>) -> Section {
    Section { heading: words.say(heading, &[]), parts }
}

fn responsible(words: Words, site: &Site) -> Section {
    let address = Part::Link { before: String::new(), address: site.url.to_string(), after: String::new() };
    let mut parts = vec![Part::Text(site.name.to_string()), address];
    parts.push(Part::Text(match &site.settings.contact {
        Some(contact) => words.say("noticeContact", &[("contact", contact)]),
        None => words.say("noticeNoContact", &[]),
    }));
    if let Some(address) = &site.settings.privacy_url {
        let text = words.say("noticePolicy", &[]);
        let (before, after) = text.split_once("{address}").unwrap_or((&text, ""));
        parts.push(Part::Link { before: before.to_owned(), address: address.clone(), after: after.to_owned() });
    }
    section(words, "noticeWho", parts)
}

fn stored(app: &App, words: Words) -> Section {
    let what = vec![
        words.say("noticeMessages", &[]),
        words.say("noticeNetwork", &[("example", EXAMPLE)]),
        words.say("noticeIdentity", &[]),
    ];
    let kept = words.count("keptHours", app.config.sessions.idle_hours);
    section(words, "noticeStored", vec![Part::List(what), Part::Text(kept)])
}

/// Those that are really asked: nobody stands behind `extractive`, which asks nobody.
fn recipients(app: &App, words: Words) -> Section {
    let asked = app.providers.providers().filter(|provider| provider.kind() != ProviderKind::Extractive);
    let all: Vec<String> = asked
        .map(|provider| {
            let name = provider.name();
            let config = app.config.providers.iter().find(|config| config.name == name);
            let url = config.and_then(|config| config.base_url.as_ref());
            match url.filter(|url| !is_own(url)).and_then(|url| url.host_str()) {
                Some(host) => words.say("noticeProvider", &[("provider", name), ("host", host)]),
                None => words.say("noticeProviderOwn", &[("provider", name)]),
            }
        })
        .collect();
    let mut parts = Vec::new();
    if all.is_empty() {
        parts.push(Part::Text(words.say("noticeNobody", &[])));
    } else {
        let several = all.len() > 1;
        parts.push(Part::List(all));
        if several {
            parts.push(Part::Text(words.say("noticeOrder", &[])));
        }
        parts.push(Part::Text(words.say("noticePassed", &[])));
    }
    section(words, "noticeRecipients", parts)
}

fn browser(words: Words) -> Section {
    section(words, "noticeBrowser", vec![Part::Text(words.say("noticeBrowserText", &[]))])
}

fn consent(words: Words, site: &Site) -> Section {
    let key = if site.settings.consent == Some(true) { "noticeConsentAsked" } else { "noticeConsentNot" };
    section(words, "noticeConsent", vec![Part::Text(words.say(key, &[]))])
}

fn rights(words: Words) -> Section {
    let place = words.say("privacy", &[]);
    let parts = vec![
        Part::Text(words.say("noticeRightsText", &[("privacy", &place)])),
        Part::Text(words.say("noticeRightsMore", &[])),
    ];
    section(words, "noticeRights", parts)
}

fn logs(app: &App, words: Words) -> Section {
    let settings = &app.config.logging;
    let days = |key: &str, number: u32| words.say(key, &[("days", &words.count("noticeDays", number))]);
    let mut parts = Vec::new();
    if settings.security_file.is_some() {
        // The last line of a file is kept as long as the file, whose time begins when it is rotated.
        let open_days = events::rotate_after(settings).div_euclid(DAY).saturating_add(1);
        let kept = settings.keep_days.saturating_add(u32::try_from(open_days).unwrap_or(u32::MAX));
        parts.push(Part::Text(words.say("noticeLogText", &[])));
        parts.push(Part::List(vec![days("noticeLogAddress", settings.address_days), days("noticeLogKept", kept)]));
    } else {
        parts.push(Part::Text(words.say("noticeNoLog", &[])));
    }
    parts.push(Part::Text(words.say("noticeServerLog", &[])));
    parts.push(Part::Text(days("noticeBlocks", blocks::remembered_days(settings))));
    section(words, "noticeLog", parts)
}

/// A machine of the operator's, whose name is nobody's business.
fn is_own(url: &Url) -> bool {
    let private = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    match url.host() {
        Some(Host::Ipv4(address)) => private(address.into()),
        Some(Host::Ipv6(address)) => private(address.into()),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            let ends = [".localhost", ".local", ".internal", ".lan", ".home.arpa", ".corp", ".intranet"];
            !name.contains('.') || ends.iter().any(|end| name.ends_with(end))
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn machines_of_the_operators_own_are_not_named() {
        let own = |text: &str| is_own(&text.parse().expect("a URL"));
        for text in [
            "http://127.0.0.1:11434",
            "http://[::1]:1",
            "http://10.1.2.3",
            "http://[fd00::1]",
            "http://localhost",
            "http://ollama:11434",
            "https://llm.internal",
            "https://gpu.lan./v1",
        ] {
            assert!(own(text), "{text}");
        }
        for text in
            ["https://api.openai.com/v1", "https://8.8.8.8", "https://local.example.com", "https://[2001:db8::1]"]
        {
            assert!(!own(text), "{text}");
        }
    }
}
