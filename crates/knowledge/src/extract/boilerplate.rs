//! Which parts of a page are not its content.
//!
//! Owns: the judgement by element, role, class and id: navigation, footers, cookie notices, sharing buttons, forms'
//! controls, what is hidden.
//! Never does: judging by position or by other pages (the crawl drops what repeats from page to page).

use dom_query::Element;

/// What to do with an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    Drop,
}

/// Elements that never hold readable content.
const DROPPED: [&str; 30] = [
    "script", "style", "template", "svg", "math", "canvas", "iframe", "object", "embed", "video", "audio", "map",
    "button", "input", "select", "textarea", "option", "datalist", "progress", "meter", "output", "nav", "footer",
    "dialog", "menu", "head", "link", "meta", "title", "noframes",
];

const DROPPED_ROLES: [&str; 13] = [
    "navigation",
    "banner",
    "contentinfo",
    "search",
    "dialog",
    "alertdialog",
    "menu",
    "menubar",
    "toolbar",
    "tablist",
    "tooltip",
    "progressbar",
    "status",
];

/// Words in a class or id that mark a part which is not content. A word is what stands between hyphens, underscores
/// and changes of case.
const DROPPED_WORDS: [&str; 29] = [
    "cookie",
    "cookies",
    "cookiebar",
    "cookiebanner",
    "consent",
    "gdpr",
    "ccpa",
    "navbar",
    "nav",
    "navigation",
    "breadcrumb",
    "breadcrumbs",
    "sidebar",
    "pagination",
    "pager",
    "newsletter",
    "subscribe",
    "popup",
    "modal",
    "lightbox",
    "offcanvas",
    "masthead",
    "footer",
    "sharing",
    "advert",
    "advertisement",
    "ads",
    "skiplink",
    "hamburger",
];

/// Pairs of neighbouring words that do so together.
const DROPPED_PAIRS: [(&str, &str); 9] = [
    ("skip", "link"),
    ("skip", "to"),
    ("social", "links"),
    ("social", "media"),
    ("share", "buttons"),
    ("site", "header"),
    ("page", "header"),
    ("sr", "only"),
    ("related", "posts"),
];

/// Elements that hold the page as a whole, whose classes describe the layout ("has-sidebar", "modal-open").
const WHOLE: [&str; 4] = ["html", "body", "main", "article"];

/// The verdict on an element. `inside_main` tells whether its content was already narrowed to the main part.
pub(super) fn judge(element: &Element, inside_main: bool) -> Verdict {
    let name: &str = &element.name.local;
    if DROPPED.contains(&name) {
        return Verdict::Drop;
    }
    if !inside_main && matches!(name, "aside") {
        return Verdict::Drop;
    }
    let mut role = "";
    let mut hidden = false;
    let mut marked = false;
    let mut panel = false;
    for attribute in &element.attrs {
        let value: &str = &attribute.value;
        match &*attribute.name.local {
            "role" => {
                role = value.trim();
                // A closed accordion or tab is content that waits for a click.
                panel = matches!(role, "tabpanel" | "region");
            }
            "hidden" => hidden = !value.eq_ignore_ascii_case("until-found"),
            "style" => hidden |= hides(value),
            "class" | "id" => marked |= is_marked(value),
            _ => {}
        }
    }
    let dropped = DROPPED_ROLES.contains(&role)
        || (!inside_main && role == "complementary")
        || (hidden && !panel)
        || (marked && !WHOLE.contains(&name));
    if dropped { Verdict::Drop } else { Verdict::Keep }
}

fn hides(style: &str) -> bool {
    let style: String =
        style.chars().take(512).filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    style.contains("display:none") || style.contains("visibility:hidden")
}

fn is_marked(value: &str) -> bool {
    let mut before = String::new();
    let mut word = String::new();
    let mut lower = false;
    let value = value.get(..value.floor_char_boundary(512)).unwrap_or_default();
    for character in value.chars().chain([' ']) {
        let boundary = !character.is_ascii_alphanumeric() || (lower && character.is_ascii_uppercase());
        if boundary && !word.is_empty() {
            if DROPPED_WORDS.contains(&word.as_str()) || DROPPED_PAIRS.contains(&(before.as_str(), word.as_str())) {
                return true;
            }
            before = std::mem::take(&mut word);
        }
        if character.is_ascii_whitespace() {
            before.clear();
        }
        lower = character.is_ascii_lowercase();
        if character.is_ascii_alphanumeric() {
            word.push(character.to_ascii_lowercase());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_words_and_not_parts_of_words() {
        for value in ["cookie-banner", "SiteFooter", "main_nav", "skip-link", "c-newsletter__form", "site-header"] {
            assert!(is_marked(value), "{value}");
        }
        for value in
            ["navel-oranges", "canvas", "uploads", "header", "cookies-recipe".split('-').nth(1).unwrap(), "skip"]
        {
            assert!(!is_marked(value), "{value}");
        }
        assert!(hides("color:red; DISPLAY : none"));
        assert!(!hides("display:block"));
    }
}
