//! controls.toml, parsed: every promise of the catalogue with its status, tests and breaks; and the table made of it.
//!
//! Owns: the form of the file and of docs/controls.md.
//! Never does: decide whether a control holds; `controls` does.

use std::fmt::Write as _;

use crate::tree;

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Catalogue {
    pub(crate) control: Vec<Control>,
}

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Control {
    pub(crate) id: String,
    pub(crate) says: String,
    pub(crate) from: Vec<String>,
    pub(crate) proof: Proof,
    pub(crate) status: Status,
    /// The tests that a break turns red.
    #[serde(default)]
    pub(crate) tests: Vec<String>,
    /// Further tests that cover the control.
    #[serde(default)]
    pub(crate) also: Vec<String>,
    #[serde(default)]
    pub(crate) breaks: Breaks,
    /// What is not yet covered, in words; shown in the table.
    #[serde(default)]
    pub(crate) note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Proof {
    Live,
    Config,
    Test,
    Ops,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Planned,
    Kept,
}

/// One patch or several.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Breaks {
    One(String),
    Many(Vec<String>),
}

impl Default for Breaks {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Breaks {
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::One(name) => vec![name],
            Self::Many(names) => names.iter().map(String::as_str).collect(),
        }
    }
}

impl Proof {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Config => "config",
            Self::Test => "test",
            Self::Ops => "ops",
        }
    }
}

/// The repository's catalogue.
pub(crate) fn catalogue() -> Catalogue {
    let text = tree::read("controls.toml").expect("controls.toml is committed");
    match toml::from_str(text) {
        Ok(catalogue) => catalogue,
        Err(error) => panic!("controls.toml: {error}"),
    }
}

/// docs/controls.md for a catalogue.
pub(crate) fn table(catalogue: &Catalogue) -> String {
    let kept = catalogue.control.iter().filter(|control| control.status == Status::Kept).count();
    let mut page = format!(
        "# Control coverage\n\n\
         Made from [`controls.toml`](../controls.toml) by `./check generate`; do not edit.\n\n\
         Kept: {kept} of {}. A kept control is proven by the tests named beside it; `./check prove ID` removes the\n\
         protection by a patch of [`controls/breaks/`](../controls/breaks) and shows that they turn red.\n\
         A planned control is promised and not built yet: do not rely on it.\n",
        catalogue.control.len()
    );
    let mut group = "";
    for control in &catalogue.control {
        let of = control.id.split('-').next().unwrap_or_default();
        if of != group {
            group = of;
            let _ = write!(
                page,
                "\n## {group}\n\n| id | promise | from | proof | status | tests |\n|---|---|---|---|---|---|\n"
            );
        }
        let status = match control.status {
            Status::Kept => "**kept**",
            Status::Planned => "planned",
        };
        let tests: Vec<String> =
            control.tests.iter().chain(&control.also).map(|test| format!("`{}`", cell(test))).collect();
        let note = control.note.as_ref().map_or_else(String::new, |note| format!(" *{}*", cell(note)));
        let _ = writeln!(
            page,
            "| {} | {}{note} | {} | {} | {status} | {} |",
            control.id,
            cell(&control.says),
            cell(&control.from.join("; ")),
            control.proof.word(),
            tests.join("<br>")
        );
    }
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('*', "\\*").replace('\n', " ")
}
