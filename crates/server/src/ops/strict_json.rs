//! JSON that has one meaning: no object in it has a member twice, however deep.
//!
//! Of two members of one name a person reads one and a program the other, and so do two programs. Owns that one refusal; what
//! the members are, the caller says.

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// The value of a text whose every member stands once; nothing for any other text.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice::<Single>(bytes).ok()?;
    serde_json::from_slice(bytes).ok()
}

/// Any JSON in which no object has a member twice.
struct Single;

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SingleVisitor)
    }
}

struct SingleVisitor;

impl<'de> Visitor<'de> for SingleVisitor {
    type Value = Single;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without doubled members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Single, A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name) {
                return Err(serde::de::Error::custom("a member stands twice"));
            }
            members.next_value::<Single>()?;
        }
        Ok(Single)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Single, A::Error> {
        while items.next_element::<Single>()?.is_some() {}
        Ok(Single)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Single, E> {
        Ok(Single)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Single, E> {
        Ok(Single)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Single, E> {
        Ok(Single)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Single, E> {
        Ok(Single)
    }

    fn visit_str<E>(self, _: &str) -> Result<Single, E> {
        Ok(Single)
    }

    fn visit_unit<E>(self) -> Result<Single, E> {
        Ok(Single)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_member_that_stands_twice_is_found_at_any_depth() {
        for twice in [r#"{"a":1,"a":1}"#, r#"{"b":{"a":1,"a":2}}"#, r#"[{"x":[{"a":1,"\u0061":2}]}]"#] {
            assert_eq!(read::<Value>(twice.as_bytes()), None, "{twice}");
        }
        for bad in ["", "{", "{}x", "{\"a\":\"\u{0}\"}", &"[".repeat(5000)] {
            assert_eq!(read::<Value>(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(read::<Value>(b"{\"a\":\"\xff\"}"), None);
        for once in [r#"{"a":1,"b":{"a":null}}"#, "[1.5,-1,true,[]]", r#"[{"a":1},{"a":2}]"#] {
            assert!(read::<Value>(once.as_bytes()).is_some(), "{once}");
        }
    }
}
