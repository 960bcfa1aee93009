//! The macro by which a setting is written once: its type, default, shape, other names and explanation.
//!
//! Owns: what follows from that one place, which is the struct, its reader, its printer and its documentation.
//! Never does: hold a setting.

use super::layers::Fallback;
use super::shape::{Secrecy, Shape};

/// One setting, as documentation and name checks see it.
#[derive(Debug)]
pub(super) struct Setting {
    /// The name inside its section.
    pub(super) key: &'static str,
    /// What it does, line by line.
    pub(super) about: Vec<&'static str>,
    /// The default as TOML prints it, if it is a constant.
    pub(super) default: Option<String>,
    /// What no value means, if the default is not a constant.
    pub(super) otherwise: Option<&'static str>,
    /// What it may be.
    pub(super) expects: String,
    /// Whether it may be printed.
    pub(super) secrecy: Secrecy,
    /// Names of environment variables that the security guides use for it.
    pub(super) also: &'static [&'static str],
}

/// The settings of one table of the file.
#[derive(Debug)]
pub(super) struct Section {
    /// The table's name, empty for the top of the file.
    pub(super) name: &'static str,
    /// What it is about, line by line.
    pub(super) about: Vec<&'static str>,
    /// Its settings in order.
    pub(super) settings: Vec<Setting>,
}

/// Builds one [`Setting`]; called by the macro.
pub(super) fn setting<T, S: Shape<Out = T>>(
    key: &'static str,
    about: &[&'static str],
    shape: &S,
    fallback: Fallback,
    also: &'static [&'static str],
) -> Setting {
    let (default, otherwise) = match fallback {
        Fallback::Text(text) => {
            let value = shape.read(&super::shape::Raw::Words(text.to_owned()));
            (value.ok().and_then(|value| shape.show(&value)), None)
        }
        Fallback::Derived(text) | Fallback::Unset(text) => (None, Some(text)),
        Fallback::Required => (None, Some("must be set")),
    };
    Setting {
        key,
        about: about.iter().map(|line| line.trim()).collect(),
        default,
        otherwise,
        expects: shape.expects(),
        secrecy: shape.secrecy(),
        also,
    }
}

/// The key of a field: its own name, or the one that `as` gives.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}

/// `Name "table" { /// about … field: Type = fallback, shape, ["OTHER_NAME"]; }`
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident $table:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident $(as $key:literal)? : $type:ty = $fallback:expr, $shape:expr, [$($also:literal),*];
            )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )*
        }

        impl $name {
            /// The table's name in the file.
            pub(super) const TABLE: &'static str = $table;

            /// Reads the section whose settings stand under `at`.
            pub(super) fn read(layers: &mut Layers, at: &str) -> Result<Self, ConfigError> {
                Ok(Self {
                    $( $field: layers.take(at, key!($field $($key)?), &$shape, $fallback)?, )*
                })
            }

            /// Every setting as TOML; `None` for what is not set.
            pub(super) fn show(&self) -> Vec<(&'static str, Option<String>)> {
                vec![ $( (key!($field $($key)?), $shape.show(&self.$field)), )* ]
            }

            /// What there is to say about the section.
            pub(super) fn section() -> Section {
                Section {
                    name: Self::TABLE,
                    about: [$($about),+].iter().map(|line| line.trim()).collect(),
                    settings: vec![
                        $( setting::<$type, _>(key!($field $($key)?), &[$($doc),+], &$shape, $fallback, &[$($also),*]), )*
                    ],
                }
            }
        }
    };
}

pub(super) use {key, section};
