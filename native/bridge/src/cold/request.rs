//! Reading requests: JSON into an operation's type, or what is wrong and where.
//!
//! The JSON is parsed before the type sees it, so that serde's code for a type exists once, over one deserializer, and errors
//! gather their path on the way out. Of what is wrong only the path and the kind are told: the value could be a secret.

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};
use serde_json::Value;

use crate::failure::Failure;

/// Reads the request of the operation of this name.
pub(super) fn read<T: DeserializeOwned>(name: &str, request: &str) -> Result<T, Failure> {
    T::deserialize(parse(name, request)?).map_err(|wrong| wrong.failure(name))
}

fn parse(name: &str, request: &str) -> Result<Node, Failure> {
    serde_json::from_str(request).map(Node).map_err(|_| Failure::argument(name, "is not JSON"))
}

/// What is wrong with a request.
#[derive(Debug)]
struct Wrong {
    problem: &'static str,
    /// Where, from the inside out.
    path: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

impl Wrong {
    fn new(problem: &'static str) -> Self {
        Self { problem, path: Vec::new() }
    }

    fn at(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    fn failure(self, name: &str) -> Failure {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => {
                    path.push('.');
                    path.push_str(key);
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        if path.is_empty() {
            return Failure::argument(name, self.problem);
        }
        Failure::argument(&format!("{name}: {path}"), self.problem)
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.problem)
    }
}

impl std::error::Error for Wrong {}

/// The texts of serde are not taken over: they quote what was read.
impl de::Error for Wrong {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self::new("has a wrong type, or something in it is missing or unknown")
    }

    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        wrong_type()
    }

    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::new("is out of range")
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::new("is none of the values there are")
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self::new("there is no such field")
    }

    fn missing_field(_: &'static str) -> Self {
        Self::new("lacks a field that is needed")
    }
}

/// A value of a request.
struct Node(Value);

macro_rules! whole {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match self.whole()? {
                Ok(number) => visitor.visit_i64(number),
                Err(number) => visitor.visit_u64(number),
            }
        })*
    };
}

impl<'de> de::Deserializer<'de> for Node {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(flag),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (_, Some(number)) => visitor.visit_i64(number),
                _ => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(&mut Items { left: items.into_iter(), index: 0 }),
            Value::Object(members) => visitor.visit_map(Members { left: members.into_iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    /// Enums of requests are names, or objects with a `kind`, which do not come through here.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(name.into_deserializer()),
            _ => Err(wrong_type()),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(self.members()?)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_seq(&mut self.items()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Bool(flag) => visitor.visit_bool(flag),
            _ => Err(wrong_type()),
        }
    }

    whole! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_i8 deserialize_i16 deserialize_i32
        deserialize_i64
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// What a type asks for by name; `deserialize_any`, which can do all of it, is for the few that take several things.
impl Node {
    fn members(self) -> Result<Members, Wrong> {
        match self.0 {
            Value::Object(members) => Ok(Members { left: members.into_iter(), value: None }),
            _ => Err(wrong_type()),
        }
    }

    fn items(self) -> Result<Items, Wrong> {
        match self.0 {
            Value::Array(items) => Ok(Items { left: items.into_iter(), index: 0 }),
            _ => Err(wrong_type()),
        }
    }

    fn text(self) -> Result<String, Wrong> {
        match self.0 {
            Value::String(text) => Ok(text),
            _ => Err(wrong_type()),
        }
    }

    /// A whole number, which may be too large for one of the two.
    fn whole(&self) -> Result<Result<i64, u64>, Wrong> {
        let Value::Number(number) = &self.0 else { return Err(wrong_type()) };
        match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Ok(Ok(number)),
            (None, Some(number)) => Ok(Err(number)),
            (None, None) => Err(wrong_type()),
        }
    }
}

fn wrong_type() -> Wrong {
    Wrong::new("has a wrong type")
}

/// The elements of an array.
struct Items {
    left: std::vec::IntoIter<Value>,
    index: usize,
}

impl<'de> de::SeqAccess<'de> for &mut Items {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some(value) = self.left.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Node(value)).map(Some).map_err(|wrong| wrong.at(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

/// The members of an object.
struct Members {
    left: serde_json::map::IntoIter,
    value: Option<(String, Value)>,
}

impl<'de> de::MapAccess<'de> for Members {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((key, value)) = self.left.next() else { return Ok(None) };
        let name: de::value::StrDeserializer<'_, Wrong> = key.as_str().into_deserializer();
        let known = seed.deserialize(name).map_err(|wrong| wrong.at(Step::Key(key.clone())))?;
        self.value = Some((key, value));
        Ok(Some(known))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let Some((key, value)) = self.value.take() else { return Err(de::Error::custom("a value before its key")) };
        seed.deserialize(Node(value)).map_err(|wrong| wrong.at(Step::Key(key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cold::{admin, consumer};

    fn said<T: DeserializeOwned>(request: &str) -> String {
        read::<T>("op", request).err().map(|failure| failure.message).unwrap_or_default()
    }

    #[test]
    fn a_wrong_request_is_named_by_its_path_and_never_quoted() {
        let wrong = r#"{"topics":[{"topic":"a"},{"topic":{"password":"hunter2"}}]}"#;
        let failure = read::<admin::topics::CreateTopics>("admin.createTopics", wrong).err().unwrap();
        assert_eq!(failure.code, "INVALID_ARGUMENT");
        assert!(failure.message.starts_with("admin.createTopics: topics[1].topic: "), "{failure}");
        assert!(!failure.message.contains("hunter2"));
    }

    #[cfg(feature = "broker")]
    #[test]
    fn a_wrong_request_says_what_is_wrong() {
        use crate::cold::broker::Start;
        use crate::cold::faults::AddFault;
        assert_eq!(said::<Start>(r#"{"port":70000}"#), "op: port: is out of range");
        assert_eq!(said::<Start>(r#"{"port":-1}"#), "op: port: is out of range");
        assert_eq!(said::<Start>(r#"{"port":"x"}"#), "op: port: has a wrong type");
        assert_eq!(said::<Start>(r#"{"port":1.5}"#), "op: port: has a wrong type");
        assert_eq!(said::<Start>(r#"{"prot":1}"#), "op: prot: there is no such field");
        assert_eq!(said::<Start>("3"), "op: has a wrong type");
        assert_eq!(said::<Start>("{"), "op: is not JSON");
        assert_eq!(
            said::<admin::topics::CreateTopics>(r#"{"topics":[{}]}"#),
            "op: topics[0]: lacks a field that is needed"
        );
        let fault = |action: &str| said::<AddFault>(&format!(r#"{{"action":{action}}}"#));
        assert_eq!(fault(r#"{"kind":"drop","when":"before"}"#), "");
        assert_eq!(fault(r#"{"kind":"drop","when":"never"}"#), "op: action: is none of the values there are");
        assert_eq!(fault(r#"{"kind":"lose"}"#), "op: action.kind: is none of the values there are");
        assert_eq!(fault(r#"{"kind":"drop"}"#), "op: action: lacks a field that is needed");
        assert_eq!(
            said::<AddFault>(r#"{"api":true}"#),
            "op: api: has a wrong type, or something in it is missing or unknown"
        );
    }

    #[test]
    fn numbers_of_64_bits_are_strings() {
        let seek = |offset: &str| {
            let start = format!(r#"{{"kind":"offset","offset":{offset}}}"#);
            said::<consumer::Seek>(&format!(r#"{{"to":{{"topic":"t","partition":0,"start":{start}}}}}"#))
        };
        assert_eq!(seek("\"9007199254740993\""), "");
        assert_eq!(seek("\"1.5\""), "op: to.start: has a wrong type, or something in it is missing or unknown");
        assert_eq!(seek("5"), "op: to.start: has a wrong type");
    }
}
