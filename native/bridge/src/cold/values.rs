//! Kinds of values that JSON has no safe form for in every language, each with its schema.
//!
//! `xtask codegen` knows them by their `format` and renders checked numbers, bytes and so on in each language.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A 64-bit integer: a decimal string, so that no language rounds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Int64(pub i64);

/// Bytes: base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

/// A double: a number, or one of the strings `NaN`, `Infinity`, `-Infinity`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Double(pub f64);

/// A password, token or key. Goes in, never out, and never into a log or an error.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

/// Bytes that are a secret: base64. They go out to those who own them, in a form that is not printed by accident.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretBytes(pub Vec<u8>);

/// A name of a set that may grow: unknown ones are kept as they came.
pub trait OpenNames {
    /// Name of the type in each language.
    const TITLE: &'static str;
    /// What it is, for each language's documentation.
    const DOC: &'static str;
    /// The names known today.
    const NAMES: &'static [&'static str];
}

/// One of `N`'s names, or a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open<N>(pub Cow<'static, str>, std::marker::PhantomData<N>);

impl<N> Open<N> {
    /// A name.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into(), std::marker::PhantomData)
    }
}

impl Serialize for Int64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| de::Error::custom("not a decimal string of a 64-bit integer"))
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text).map(Self).map_err(|_| de::Error::custom("not base64"))
    }
}

impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Base64::deserialize(deserializer).map(|Base64(bytes)| Self(bytes))
    }
}

impl std::fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            finite if finite.is_finite() => serializer.serialize_f64(finite),
            nan if nan.is_nan() => serializer.serialize_str("NaN"),
            infinite => serializer.serialize_str(if infinite > 0.0 { "Infinity" } else { "-Infinity" }),
        }
    }
}

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(f64),
            Name(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Self(number)),
            Either::Name(name) => match name.as_str() {
                "NaN" => Ok(Self(f64::NAN)),
                "Infinity" => Ok(Self(f64::INFINITY)),
                "-Infinity" => Ok(Self(f64::NEG_INFINITY)),
                _ => Err(de::Error::custom("not a double")),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl<N> Serialize for Open<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, N> Deserialize<'de> for Open<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

macro_rules! schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema!(Int64, "Int64", { "type": "string", "format": "int64" });
schema!(Base64, "Base64", { "type": "string", "format": "base64" });
schema!(Double, "Double", { "type": ["number", "string"], "format": "double" });
schema!(SecretBytes, "SecretBytes", { "type": "string", "format": "secret-base64" });
schema!(Secret, "Secret", { "type": "string", "format": "secret" });

impl<N: OpenNames> JsonSchema for Open<N> {
    fn schema_name() -> Cow<'static, str> {
        N::TITLE.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "open", "description": N::DOC, "examples": N::NAMES })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_all_64_bits_and_refuse_what_is_none() {
        for value in [i64::MIN, -1, 0, 9_007_199_254_740_993, i64::MAX] {
            let json = serde_json::to_string(&Int64(value)).unwrap();
            assert_eq!(json, format!("\"{value}\""));
            assert_eq!(serde_json::from_str::<Int64>(&json).unwrap(), Int64(value));
        }
        for wrong in ["1", "\"1.5\"", "\"\"", "\"9223372036854775808\""] {
            assert!(serde_json::from_str::<Int64>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn doubles_outside_of_json_are_strings() {
        let json = serde_json::to_string(&[Double(1.5), Double(f64::NAN), Double(f64::NEG_INFINITY)]).unwrap();
        assert_eq!(json, r#"[1.5,"NaN","-Infinity"]"#);
        let back: Vec<Double> = serde_json::from_str(&json).unwrap();
        assert!(back[0].0 == 1.5 && back[1].0.is_nan() && back[2].0 == f64::NEG_INFINITY);
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(format!("{secret:?}"), "***");
        let bytes: SecretBytes = serde_json::from_str("\"aHVudGVyMg==\"").unwrap();
        assert_eq!(bytes.0, b"hunter2");
        assert_eq!(format!("{bytes:?}"), "***");
    }
}
