//! The file layer: `chatward.toml`, read with the line of every key.
//!
//! Owns: unknown keys and where they stand. Never does: quote a line of the file, which may hold a secret.

use super::error::{ConfigError, nearest};
use super::layers::{Layers, Origin, join, readable_by_others};
use super::section::Section;
use super::shape::{Raw, Secrecy};
use std::io::Read;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// What a message calls the file itself.
pub(super) const FILE: &str = "configuration file";
/// A configuration file is read up to here.
const FILE_BYTES: u64 = 1024 * 1024;

/// Reads the file into the layers.
pub(super) fn read(path: &Path, layers: &mut Layers) -> Result<(), ConfigError> {
    let refused = |problem: String, fix: &'static str| ConfigError::new(FILE, Origin::Default, problem, fix);
    let mut text = String::new();
    std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_string(&mut text)).map_err(
        |error| {
            refused(
                format!("cannot be read ({})", error.kind()),
                "check the path that --config names, or print a new file with: chatward config example",
            )
        },
    )?;
    if text.len() as u64 > FILE_BYTES {
        return Err(refused("is larger than 1 MiB".to_owned(), "name a chatward.toml"));
    }
    let holds_secret = add(&text, layers)?;
    if holds_secret && readable_by_others(path) {
        layers.warn(
            "the configuration file holds a secret and other users of this machine can read it; run chmod 600 on it"
                .to_owned(),
        );
    }
    Ok(())
}

/// Puts the text's values into the layers; says whether a secret is among them.
pub(super) fn add(text: &str, layers: &mut Layers) -> Result<bool, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        ConfigError::new(
            FILE,
            Origin::File { line },
            // The parser's own message may quote the line.
            "is not valid TOML there",
            "write `name = value`, with texts in quotation marks",
        )
    })?;
    let sections = super::sections();
    let mut reader = Reader { text, sections: &sections, layers, holds_secret: false };
    reader.top(table.get_ref())?;
    Ok(reader.holds_secret)
}

struct Reader<'a> {
    text: &'a str,
    sections: &'a [Section],
    layers: &'a mut Layers,
    holds_secret: bool,
}

impl Reader<'_> {
    fn top(&mut self, table: &DeTable<'_>) -> Result<(), ConfigError> {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let line = line_at(self.text, key.span().start);
            let named = self.sections.iter().any(|section| !name.is_empty() && section.name == name);
            match value.get_ref() {
                DeValue::Array(items) if super::is_list(name) => {
                    let most = super::LISTS.iter().find(|(list, _)| *list == name).map_or(0, |(_, most)| *most);
                    if items.len() > most {
                        return Err(ConfigError::new(
                            name,
                            Origin::File { line },
                            "has too many entries",
                            format!("list at most {most}"),
                        ));
                    }
                    for (index, item) in items.iter().enumerate() {
                        let at = format!("{name}[{index}]");
                        let DeValue::Table(item_table) = item.get_ref() else {
                            return Err(self.not_a_table(&at, line));
                        };
                        self.section(name, &at, item_table)?;
                    }
                }
                DeValue::Table(inner) if named && !super::is_list(name) => {
                    self.section(name, name, inner)?;
                }
                _ if named => return Err(self.not_a_table(name, line)),
                value => self.setting("", "", name, value, line)?,
            }
        }
        Ok(())
    }

    fn not_a_table(&self, name: &str, line: usize) -> ConfigError {
        let table = name.split('[').next().unwrap_or(name);
        let header = if super::is_list(table) { format!("[[{table}]]") } else { format!("[{table}]") };
        ConfigError::new(
            name,
            Origin::File { line },
            "is not a section",
            format!("write {header} on a line of its own and its settings below"),
        )
    }

    fn section(&mut self, section: &str, at: &str, table: &DeTable<'_>) -> Result<(), ConfigError> {
        for (key, value) in table {
            let line = line_at(self.text, key.span().start);
            self.setting(section, at, key.get_ref(), value.get_ref(), line)?;
        }
        Ok(())
    }

    fn setting(
        &mut self,
        section: &str,
        at: &str,
        key: &str,
        value: &DeValue<'_>,
        line: usize,
    ) -> Result<(), ConfigError> {
        let origin = Origin::File { line };
        let known: Vec<(String, bool)> = self
            .sections
            .iter()
            .filter(|candidate| candidate.name == section)
            .flat_map(|candidate| &candidate.settings)
            .flat_map(|setting| {
                let secret = setting.secrecy != Secrecy::Open;
                let file = (setting.secrecy == Secrecy::SecretOrFile).then(|| (format!("{}_file", setting.key), false));
                [(setting.key.to_owned(), secret)].into_iter().chain(file)
            })
            .collect();
        let Some((_, secret)) = known.iter().find(|(name, _)| name == key) else {
            return Err(self.unknown(section, at, key, &known, origin));
        };
        self.holds_secret |= secret;
        self.layers.put(join(at, key), raw(value), origin);
        Ok(())
    }

    fn unknown(&self, section: &str, at: &str, key: &str, known: &[(String, bool)], origin: Origin) -> ConfigError {
        let tables = self.sections.iter().map(|section| section.name).filter(|name| !name.is_empty());
        let here = known.iter().map(|(name, _)| name.as_str());
        let near = if section.is_empty() { nearest(key, here.chain(tables)) } else { nearest(key, here) };
        let elsewhere = self
            .sections
            .iter()
            .find(|other| other.settings.iter().any(|setting| setting.key == key))
            .map(|other| other.name);
        let fix = match (near, elsewhere) {
            (Some(name), _) => format!("did you mean {name}?"),
            (None, Some("")) => "move it to the top of the file".to_owned(),
            (None, Some(other)) => format!("move it below [{other}]"),
            (None, None) => "remove it, or see: chatward config reference".to_owned(),
        };
        // A name shaped like a name is shown; anything else may be a secret that slipped to the left of the `=`.
        let name = if looks_like_a_name(key) { join(at, key) } else { join(at, "(a key)") };
        ConfigError::new(name, origin, "is not a setting", fix)
    }
}

/// Lower case words joined by `_`, few digits: a name, not a key or token.
pub(super) fn looks_like_a_name(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    !text.is_empty()
        && text.len() <= 40
        && digits <= 4
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && text.split('_').all(|word| word.len() <= 16)
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_or(Raw::Other, Raw::Whole),
        DeValue::Float(number) => number.as_str().parse().map_or(Raw::Other, Raw::Fraction),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Table(_) => Raw::Other,
    }
}

/// The line of a byte, counted from 1.
fn line_at(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().get(..byte).unwrap_or(text.as_bytes());
    before.iter().filter(|b| **b == b'\n').count() + 1
}
