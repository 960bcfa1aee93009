//! `chatward site embed` and `chatward site check`: putting the chat on a website, and seeing whether it is there.
//!
//! Owns: the snippet, where it goes on each platform, and the words around them.
//! Never does: judging a page; `ops::page_check` does.

use super::{Common, Failure, Outcome, print, site};
use crate::app::App;
use crate::ops::page_check::{self, Level};
use crate::ops::site_settings::Settings;
use crate::ui::loader_pin;
use clap::{Args, ValueEnum};
use serde_json::json;

#[derive(Debug, Args)]
pub(super) struct EmbedArguments {
    /// The site: its id, key, host or name
    site: String,
    /// What the website is made with
    #[arg(long, value_enum, default_value = "html")]
    platform: Platform,
    /// An address that never changes its contents, with integrity; print it again after each update of Chatward
    #[arg(long)]
    pinned: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The address of a page that should have the chat
    url: String,
}

/// What a website is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Platform {
    Html,
    Wordpress,
    Shopify,
    Squarespace,
    Webflow,
    Gtm,
}

impl Platform {
    fn place(self) -> &'static str {
        match self {
            Self::Html => "Paste it before </body> on each page, best in the template that all pages share.",
            Self::Wordpress => {
                "Appearance > Theme File Editor > footer.php of a child theme, before </body>; or with a plugin for \
                 header and footer code, in its footer box. The post editor removes scripts."
            }
            Self::Shopify => "Online Store > Themes > ... > Edit code > layout/theme.liquid, before </body>.",
            Self::Squarespace => {
                "Settings > Developer Tools > Code Injection > Footer. It needs a plan with code injection."
            }
            Self::Webflow => "Site settings > Custom code > Footer code; save, then publish the site.",
            Self::Gtm => {
                "Tags > New > Custom HTML, trigger All Pages; then submit the container. The script makes the element \
                 itself, because Tag Manager takes data attributes off script elements."
            }
        }
    }
}

pub(super) async fn embed(app: &App, common: &Common, arguments: &EmbedArguments) -> Outcome {
    let row = site::find(app, &arguments.site).await?;
    let own = app.origins.own();
    let looks = looks(&Settings::read_known(&row.settings).unwrap_or_default());
    let snippet = snippet(own, &row.publishable_key, &looks, arguments.platform, arguments.pinned);
    let directives = ["script-src", "frame-src", "connect-src"].map(|name| format!("{name} {own}"));
    if common.json {
        print::json(&json!({
            "snippet": snippet,
            "where": arguments.platform.place(),
            "csp": directives,
            "preview": format!("{own}/preview/{}", row.publishable_key),
        }));
        return Ok(());
    }
    print::line(&snippet);
    print::line("");
    print::line(arguments.platform.place());
    print::line("");
    print::line("If the website sends a Content-Security-Policy, add this server to these directives:");
    print::line(&format!("  {}    the loader", directives[0]));
    print::line(&format!("  {}     the chat, which is a frame", directives[1]));
    print::line(&format!("  {}   the loader's call for a ticket, made from the page", directives[2]));
    print::line("");
    print::line(&format!("The chat appears on: {}", row.origins.join(", ")));
    print::line(&format!("See it before:       {own}/preview/{}", row.publishable_key));
    print::line(&format!("Check it after:      chatward site check {}", row.url));
    if arguments.pinned {
        print::note("note: after each update of Chatward this address is another one; print the snippet again then");
    }
    Ok(())
}

/// What the launcher shows before it is opened for the first time, when it has not yet asked us for anything.
fn looks(settings: &Settings) -> Vec<(&'static str, String)> {
    // Checked when they were set; what an attribute could not hold is left out all the same.
    let color = settings.color.clone().filter(|color| {
        color.strip_prefix('#').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    let position = settings.position.and_then(|position| serde_json::to_value(position).ok());
    let position = position.as_ref().and_then(|value| value.as_str()).map(str::to_owned);
    [("data-primary-color", color), ("data-position", position)]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .collect()
}

fn snippet(own: &str, key: &str, looks: &[(&str, String)], platform: Platform, pinned: bool) -> String {
    let (digest, integrity) = loader_pin();
    let src = if pinned { format!("{own}/widget/{digest}/widget.js") } else { format!("{own}/widget.js") };
    if platform == Platform::Gtm {
        let pin = if pinned {
            format!("  s.integrity = \"{integrity}\";\n  s.crossOrigin = \"anonymous\";\n")
        } else {
            String::new()
        };
        let set = looks.iter().map(|(name, value)| format!("  s.setAttribute(\"{name}\", \"{value}\");\n"));
        let set: String = set.collect();
        return format!(
            "<script>\n(function () {{\n  var s = document.createElement(\"script\");\n  s.src = \"{src}\";\n{pin}  \
             s.async = true;\n  s.setAttribute(\"data-site-id\", \"{key}\");\n{set}  document.body.appendChild(s);\n}})();\n</script>"
        );
    }
    let pin = if pinned { format!(" integrity=\"{integrity}\" crossorigin=\"anonymous\"") } else { String::new() };
    let set: String = looks.iter().map(|(name, value)| format!(" {name}=\"{value}\"")).collect();
    format!("<script src=\"{src}\" data-site-id=\"{key}\"{set}{pin} async></script>")
}

pub(super) async fn check(app: &App, common: &Common, arguments: &CheckArguments) -> Outcome {
    let report = page_check::visit(app, &arguments.url, &loader_pin().0).await?;
    if common.json {
        print::json(&report);
    } else {
        print::line(&report.final_url);
        for finding in &report.findings {
            let level = if finding.level == Level::Problem { "problem" } else { "note" };
            print::line(&format!("  {level:<8} {}", finding.text));
            if let Some(fix) = &finding.fix {
                print::line(&format!("           {fix}"));
            }
        }
        if report.ok {
            print::line("All is well: the chat is there, may run, and is let in.");
        }
    }
    if report.ok { Ok(()) } else { Err(Failure::Told) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_one_line_but_for_tag_managers() {
        let plain = snippet("https://chat.example", "KEY", &[], Platform::Html, false);
        assert_eq!(plain, "<script src=\"https://chat.example/widget.js\" data-site-id=\"KEY\" async></script>");
        let pinned = snippet("https://chat.example", "KEY", &[], Platform::Shopify, true);
        assert!(
            pinned.contains("/widget/") && pinned.contains(" integrity=\"sha256-") && pinned.contains("crossorigin")
        );
        let read = |text: &str| looks(&Settings::read_known(text).expect("settings"));
        let set = read(r##"{"color":"#aa3300","position":"top-left"}"##);
        let coloured = snippet("https://chat.example", "KEY", &set, Platform::Html, false);
        assert!(coloured.contains(" data-primary-color=\"#aa3300\" data-position=\"top-left\" async"), "{coloured}");
        assert!(read(r##"{"color":"#\"><script>"}"##).is_empty());
        let gtm = snippet("https://chat.example", "KEY", &set, Platform::Gtm, true);
        assert!(gtm.contains("s.setAttribute(\"data-position\", \"top-left\");"), "{gtm}");
        assert!(gtm.contains("setAttribute(\"data-site-id\", \"KEY\")") && gtm.contains("s.integrity"), "{gtm}");
        for platform in Platform::value_variants() {
            assert!(platform.place().len() > 30);
        }
    }
}
