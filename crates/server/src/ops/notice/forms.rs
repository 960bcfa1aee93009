//! The notice as plain text, as Markdown and as HTML.
//!
//! Owns: the three forms and their escaping: what owners write is text in each of them. Never does: decide what is said.

use super::{Notice, Part};

/// The style sheet of the page.
const STYLES: &str = "/assets/notice/notice.css";
const ICON: &str = "/assets/embed/icon.svg";

impl Notice {
    /// For a terminal or a mail.
    pub fn text(&self) -> String {
        let mut out = format!("{}\n\n{}\n", self.title, self.lead);
        for section in &self.sections {
            out.push_str(&format!("\n{}\n", section.heading));
            for part in &section.parts {
                match part {
                    Part::Text(text) => out.push_str(&format!("  {text}\n")),
                    Part::List(items) => items.iter().for_each(|item| out.push_str(&format!("  - {item}\n"))),
                    Part::Link { before, address, after } => out.push_str(&format!("  {before}{address}{after}\n")),
                }
            }
        }
        out.push_str(&format!("\n{}\n", self.made));
        out
    }

    /// For a site that is made from Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n{}\n", marked(&self.title), marked(&self.lead));
        for section in &self.sections {
            out.push_str(&format!("\n## {}\n", marked(&section.heading)));
            for part in &section.parts {
                out.push('\n');
                match part {
                    Part::Text(text) => out.push_str(&format!("{}\n", marked(text))),
                    Part::List(items) => items.iter().for_each(|item| out.push_str(&format!("- {}\n", marked(item)))),
                    Part::Link { before, address, after } => {
                        // Addresses were parsed when they were set; none of these can stand in one as it is.
                        let address = address.replace(['<', '>', ' ', '\n'], "");
                        out.push_str(&format!("{}<{address}>{}\n", marked(before), marked(after)));
                    }
                }
            }
        }
        out.push_str(&format!("\n{}\n", marked(&self.made)));
        out
    }

    /// For a page of the owner's: the part that goes into its body.
    pub fn html(&self) -> String {
        let language = self.words.language;
        let direction = if self.words.is_right_to_left() { "rtl" } else { "ltr" };
        let mut out = format!(
            "<main lang=\"{language}\" dir=\"{direction}\">\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n",
            escaped(&self.title),
            escaped(&self.lead)
        );
        for section in &self.sections {
            out.push_str(&format!("<section>\n<h2>{}</h2>\n", escaped(&section.heading)));
            for part in &section.parts {
                match part {
                    Part::Text(text) => out.push_str(&format!("<p>{}</p>\n", escaped(text))),
                    Part::List(items) => {
                        let items: String = items.iter().map(|item| format!("<li>{}</li>\n", escaped(item))).collect();
                        out.push_str(&format!("<ul>\n{items}</ul>\n"));
                    }
                    Part::Link { before, address, after } => out.push_str(&format!(
                        "<p>{}<a dir=\"ltr\" href=\"{address}\" rel=\"noopener noreferrer\">{address}</a>{}</p>\n",
                        escaped(before),
                        escaped(after),
                        address = escaped(address)
                    )),
                }
            }
            out.push_str("</section>\n");
        }
        out.push_str(&format!("<footer>{}</footer>\n</main>\n", escaped(&self.made)));
        out
    }

    /// A page of ours.
    pub fn page(&self) -> String {
        let direction = if self.words.is_right_to_left() { "rtl" } else { "ltr" };
        format!(
            "<!doctype html>\n<html lang=\"{}\" dir=\"{direction}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{}</title>\n<link rel=\"icon\" href=\"{ICON}\">\n<link rel=\"stylesheet\" href=\"{STYLES}\">\n\
             </head>\n<body>\n{}</body>\n</html>\n",
            self.words.language,
            escaped(&self.title),
            self.html()
        )
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Text in Markdown: whatever could be a mark, and a line's end, is not.
fn marked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' => out.extend(['\\', c]),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_owners_write_is_text_in_every_form() {
        assert_eq!(escaped("<b a=\"x\" b='y'>&"), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;");
        assert_eq!(marked("a *b* [c](d)\n# e <f>"), "a \\*b\\* \\[c\\](d) \\# e \\<f\\>");
    }
}
