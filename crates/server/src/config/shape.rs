//! What a value may look like: one small reader for each kind, for the file's typed values and the environment's words.
//!
//! Owns: parsing, ranges, and how a value prints as TOML. Never does: put the value it refuses into its complaint.

use std::borrow::Cow;
use std::fmt;

/// A value as a layer gave it.
#[derive(Clone, PartialEq)]
pub(super) enum Raw {
    /// Untyped words: the environment, the command line, a default, a secret's file.
    Words(String),
    /// A text of the file.
    Text(String),
    /// A whole number of the file.
    Whole(i64),
    /// A fractional number of the file.
    Fraction(f64),
    /// A list of the file.
    List(Vec<Raw>),
    /// Something that no setting takes.
    Other,
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[unread value]")
    }
}

impl Raw {
    /// The text of a text, of words, and of nothing else.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Words(text) | Self::Text(text) => Some(text.trim()),
            _ => None,
        }
    }
}

/// Why a value is refused. Neither text repeats it.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) problem: Cow<'static, str>,
    pub(super) fix: Cow<'static, str>,
}

/// A refusal.
pub(super) fn wrong<T>(problem: impl Into<Cow<'static, str>>, fix: impl Into<Cow<'static, str>>) -> Result<T, Wrong> {
    Err(Wrong { problem: problem.into(), fix: fix.into() })
}

/// Whether a value may be printed, and whether it may stand in a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    Open,
    Secret,
    SecretOrFile,
}

/// A kind of value.
pub(super) trait Shape {
    /// The typed value.
    type Out;
    /// Reads it, or says what is wrong.
    fn read(&self, raw: &Raw) -> Result<Self::Out, Wrong>;
    /// How it prints in TOML; `None` when it is not set.
    fn show(&self, value: &Self::Out) -> Option<String>;
    /// What it may be, for the documentation and the fix: "a whole number from 1 to 10".
    fn expects(&self) -> String;
    /// What it is when nothing gives it, if that is allowed.
    fn absent(&self) -> Option<Self::Out> {
        None
    }
    /// Whether it may be printed.
    fn secrecy(&self) -> Secrecy {
        Secrecy::Open
    }
}

/// Reads a trimmed text that is not empty.
pub(super) type ReadText<T> = Box<dyn Fn(&str) -> Result<T, Wrong>>;

/// A shape made of three functions; most are.
pub(super) struct Simple<T> {
    pub(super) expects: Cow<'static, str>,
    pub(super) read: ReadText<T>,
    pub(super) show: fn(&T) -> String,
}

impl<T> Shape for Simple<T> {
    type Out = T;
    fn read(&self, raw: &Raw) -> Result<T, Wrong> {
        match raw.as_text() {
            Some("") => wrong("is empty", format!("write {}", self.expects)),
            Some(text) => (self.read)(text),
            None => wrong("is not a text", format!("write {} in quotation marks", self.expects)),
        }
    }
    fn show(&self, value: &T) -> Option<String> {
        Some((self.show)(value))
    }
    fn expects(&self) -> String {
        self.expects.clone().into_owned()
    }
}

/// A whole number between two bounds, both included.
pub(super) struct Whole<T> {
    least: i64,
    most: i64,
    convert: fn(i64) -> Option<T>,
}

/// See [`Whole`].
pub(super) fn whole<T: TryFrom<i64>>(least: i64, most: i64) -> Whole<T> {
    Whole { least, most, convert: |number| T::try_from(number).ok() }
}

impl<T: fmt::Display> Shape for Whole<T> {
    type Out = T;
    fn read(&self, raw: &Raw) -> Result<T, Wrong> {
        let fix = || format!("write {}", self.expects());
        let number = match raw {
            Raw::Whole(number) => *number,
            Raw::Words(text) => match text.trim().parse() {
                Ok(number) => number,
                Err(_) => return wrong("is not a whole number", fix()),
            },
            _ => return wrong("is not a whole number", fix()),
        };
        match (self.convert)(number) {
            Some(value) if (self.least..=self.most).contains(&number) => Ok(value),
            _ => wrong("is out of range", fix()),
        }
    }
    fn show(&self, value: &T) -> Option<String> {
        Some(value.to_string())
    }
    fn expects(&self) -> String {
        format!("a whole number from {} to {}", self.least, self.most)
    }
}

/// A number between two bounds, multiplied into what the program wants.
pub(super) struct Number<T> {
    least: f64,
    most: f64,
    convert: fn(f64) -> T,
    back: fn(&T) -> f64,
}

/// A share or a factor.
pub(super) fn number(least: f64, most: f64) -> Number<f32> {
    let convert = |number| number as f32;
    // Through text: 0.8 as f32 is 0.800000011920929 as f64.
    Number { least, most, convert, back: |value| value.to_string().parse().unwrap_or(0.0) }
}

/// US dollars, kept as millionths.
pub(super) fn dollars(most: f64) -> Number<i64> {
    let convert = |number: f64| (number * 1e6).round() as i64;
    let back = |value: &i64| *value as f64 / 1e6;
    Number { least: 0.0, most, convert, back }
}

impl<T> Shape for Number<T> {
    type Out = T;
    fn read(&self, raw: &Raw) -> Result<T, Wrong> {
        let fix = || format!("write {}", self.expects());
        let number = match raw {
            Raw::Whole(number) => *number as f64,
            Raw::Fraction(number) => *number,
            Raw::Words(text) => match text.trim().parse() {
                Ok(number) => number,
                Err(_) => return wrong("is not a number", fix()),
            },
            _ => return wrong("is not a number", fix()),
        };
        if (self.least..=self.most).contains(&number) {
            Ok((self.convert)(number))
        } else {
            wrong("is out of range", fix())
        }
    }
    fn show(&self, value: &T) -> Option<String> {
        Some(format!("{:?}", (self.back)(value)))
    }
    fn expects(&self) -> String {
        format!("a number from {} to {}", self.least, self.most)
    }
}

/// One or more values, in TOML a list, in the environment JSON or comma-separated.
pub(super) struct List<S> {
    item: S,
    most: usize,
}

/// At most `most` values of the kind `item`.
pub(super) fn list<S: Shape>(item: S, most: usize) -> List<S> {
    List { item, most }
}

impl<S: Shape> Shape for List<S> {
    type Out = Vec<S::Out>;
    fn read(&self, raw: &Raw) -> Result<Self::Out, Wrong> {
        let items = match raw {
            Raw::List(items) => items.clone(),
            Raw::Words(text) => split(text)?,
            _ => return wrong("is not a list", "write a list in square brackets"),
        };
        if items.len() > self.most {
            return wrong("has too many entries", format!("list at most {}", self.most));
        }
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            values.push(self.item.read(item).map_err(|refused| Wrong {
                problem: format!("entry {} {}", index + 1, refused.problem).into(),
                fix: refused.fix,
            })?);
        }
        Ok(values)
    }
    fn show(&self, value: &Self::Out) -> Option<String> {
        let items: Vec<String> = value.iter().filter_map(|item| self.item.show(item)).collect();
        Some(format!("[{}]", items.join(", ")))
    }
    fn expects(&self) -> String {
        format!("a list of at most {}, each {}", self.most, self.item.expects())
    }
}

/// `["a", "b"]` (JSON, as one guide writes it) or `a,b` (as another does).
fn split(text: &str) -> Result<Vec<Raw>, Wrong> {
    let text = text.trim();
    if text.starts_with('[') {
        // A trailing comma is what people leave when they cut a list short.
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::trim);
        let cut = inner.map(|inner| format!("[{}]", inner.strip_suffix(',').unwrap_or(inner)));
        let parsed: Option<Vec<String>> = cut.and_then(|cut| serde_json::from_str(&cut).ok());
        return match parsed {
            Some(items) => Ok(items.into_iter().map(Raw::Text).collect()),
            None => wrong(
                "begins like JSON but is not a JSON list of texts",
                r#"write ["first", "second"] or first,second"#,
            ),
        };
    }
    Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(|item| Raw::Text(item.to_owned())).collect())
}

/// A value that may be missing, or be switched off by the word `off`.
pub(super) struct Maybe<S> {
    inner: S,
    off: bool,
}

/// May be missing.
pub(super) fn optional<S: Shape>(inner: S) -> Maybe<S> {
    Maybe { inner, off: false }
}

/// Has a default, and the word `off` for nothing.
pub(super) fn or_off<S: Shape>(inner: S) -> Maybe<S> {
    Maybe { inner, off: true }
}

impl<S: Shape> Shape for Maybe<S> {
    type Out = Option<S::Out>;
    fn read(&self, raw: &Raw) -> Result<Self::Out, Wrong> {
        if self.off && raw.as_text() == Some("off") {
            return Ok(None);
        }
        self.inner.read(raw).map(Some)
    }
    fn show(&self, value: &Self::Out) -> Option<String> {
        match value {
            Some(value) => self.inner.show(value),
            None => self.off.then(|| "\"off\"".to_owned()),
        }
    }
    fn expects(&self) -> String {
        if self.off { format!("{}, or \"off\"", self.inner.expects()) } else { self.inner.expects() }
    }
    fn absent(&self) -> Option<Self::Out> {
        Some(None)
    }
    fn secrecy(&self) -> Secrecy {
        self.inner.secrecy()
    }
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
