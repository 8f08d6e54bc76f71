//! Kafka's numbers that people know by their names: APIs and errors. A request may give either.
//!
//! Not [`super::values::Open`]: the names are those of this build, and one that is not among them is an error.

use std::borrow::Cow;
use std::marker::PhantomData;

use dohle_client::options::nearest;
use dohle_protocol::{ApiKey, ErrorCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::failure::Failure;

/// A set of numbers that have names.
pub trait Names {
    /// Name of the type in each language.
    const TITLE: &'static str;
    /// What one of them is called in an error, such as `API`.
    const WHAT: &'static str;
    /// The table that each language has rendered already, so that it need not be repeated.
    const TABLE: Option<&'static str> = None;

    /// The numbers with their names.
    fn all() -> Vec<(i16, &'static str)>;
}

/// A number of `N`, as it is or by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<N>(Given, PhantomData<N>);

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Given {
    Number(i16),
    Name(String),
}

impl<N: Names> Named<N> {
    /// The number. A name that is not known is an error at `path`, with the nearest one that is.
    pub fn number(&self, path: &str) -> Result<i16, Failure> {
        let name = match &self.0 {
            Given::Number(number) => return Ok(*number),
            Given::Name(name) => name,
        };
        let all = N::all();
        if let Some((number, _)) = all.iter().find(|(_, known)| known == name) {
            return Ok(*number);
        }
        let hint = match nearest(name, all.iter().map(|(_, known)| *known)) {
            Some(known) => format!("; did you mean {known}?"),
            None => String::new(),
        };
        let shown: String = name.chars().take(60).collect();
        Err(Failure::argument(path, &format!("'{shown}' is no {} of Kafka{hint}", N::WHAT)))
    }
}

impl<'de, N> Deserialize<'de> for Named<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Given::deserialize(deserializer).map(|given| Self(given, PhantomData))
    }
}

impl<N: Names> JsonSchema for Named<N> {
    fn schema_name() -> Cow<'static, str> {
        N::TITLE.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = N::all().into_iter().map(|(_, name)| name).collect();
        json_schema!({
            "type": ["integer", "string"],
            "format": "named",
            "description": format!("An {} by Kafka's name or number.", N::WHAT),
            "minimum": i16::MIN,
            "maximum": i16::MAX,
            "examples": names,
            "x-table": N::TABLE,
        })
    }
}

/// The APIs, such as `Produce`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apis;

impl Names for Apis {
    const TITLE: &'static str = "FaultApi";
    const WHAT: &'static str = "API";

    fn all() -> Vec<(i16, &'static str)> {
        let named = |number| (number, ApiKey(number).name());
        (0..=i16::from(u8::MAX)).map(named).filter(|(_, name)| !name.is_empty()).collect()
    }
}

/// The errors, such as `NOT_LEADER_OR_FOLLOWER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors;

impl Names for Errors {
    const TITLE: &'static str = "FaultCode";
    const WHAT: &'static str = "error";
    const TABLE: Option<&'static str> = Some("errors");

    fn all() -> Vec<(i16, &'static str)> {
        ErrorCode::all().filter(|code| code.is_error()).map(|code| (code.0, code.name())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number<N: Names>(json: &str) -> Result<i16, String> {
        let named: Named<N> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        named.number("api").map_err(|failure| failure.message)
    }

    #[test]
    fn a_number_is_itself_and_a_name_is_its_number() {
        assert_eq!(number::<Apis>("3"), Ok(3));
        assert_eq!(number::<Apis>("\"Produce\""), Ok(0));
        assert_eq!(number::<Errors>("\"NOT_LEADER_OR_FOLLOWER\""), Ok(6));
        assert_eq!(number::<Errors>("\"UNKNOWN_SERVER_ERROR\""), Ok(-1));
        assert_eq!(number::<Errors>("-5"), Ok(-5));
    }

    #[test]
    fn an_unknown_name_is_an_error_with_the_nearest_one() {
        let hint = |json| number::<Apis>(json).unwrap_err();
        assert_eq!(hint("\"produce\""), "api: 'produce' is no API of Kafka; did you mean Produce?");
        assert_eq!(hint("\"Metdata\""), "api: 'Metdata' is no API of Kafka; did you mean Metadata?");
        assert_eq!(hint("\"zzzzzzzzzzzzzzzz\""), "api: 'zzzzzzzzzzzzzzzz' is no API of Kafka");
        assert!(number::<Apis>("40000").is_err());
    }
}
