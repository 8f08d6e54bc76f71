//! Messages as JSON, in the shape of Kafka's own `JsonConverter` classes, and back.
//! For the differential oracle and for tools; no request comes through here. Unknown tagged fields are left out.
//! Bytes are base64, ids their usual text, 64-bit integers plain numbers.

use crate::reflect::{FieldFacts, Reflect, ReflectError, Slot, Visitor};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

type Result<T> = std::result::Result<T, ReflectError>;

/// The fields of this version as a JSON object.
pub fn to_json<T: Reflect + Clone>(message: &T, version: i16) -> Value {
    let mut writer = Writer(Map::new());
    match message.clone().reflect(version, &mut writer) {
        Ok(()) => Value::Object(writer.0),
        Err(error) => unreachable!("writing JSON never fails: {error}"),
    }
}

/// Reads what [`to_json`], or Kafka, has written. Every field of the version must be there, but for tagged ones.
pub fn from_json<T: Reflect + Default>(json: &Value, version: i16) -> Result<T> {
    let mut message = T::default();
    read_object(&mut message, json, version)?;
    Ok(message)
}

struct Writer(Map<String, Value>);

impl Visitor for Writer {
    fn field(&mut self, field: FieldFacts, slot: Slot<'_>, version: i16) -> Result<()> {
        if !field.tagged || field.differs {
            self.0.insert(field.name.to_owned(), write(slot, version)?);
        }
        Ok(())
    }
}

fn write(slot: Slot<'_>, version: i16) -> Result<Value> {
    Ok(match slot {
        Slot::Bool(x) => (*x).into(),
        Slot::I8(x) => (*x).into(),
        Slot::I16(x) => (*x).into(),
        Slot::U16(x) => (*x).into(),
        Slot::I32(x) => (*x).into(),
        Slot::U32(x) => (*x).into(),
        Slot::I64(x) => (*x).into(),
        Slot::F64(x) => (*x).into(),
        Slot::Uuid(x) => x.to_string().into(),
        Slot::String(x) => x.as_str().into(),
        Slot::Bytes(x) => STANDARD.encode(x).into(),
        Slot::Object(x) => {
            let mut inner = Writer(Map::new());
            x.reflect(version, &mut inner)?;
            Value::Object(inner.0)
        }
        Slot::Array(x) => Value::Array((0..x.len()).map(|i| write(x.at(i), version)).collect::<Result<_>>()?),
        Slot::Optional(x) => match x.value() {
            Some(inner) => write(inner, version)?,
            None => Value::Null,
        },
    })
}

struct Reader<'a>(&'a Map<String, Value>);

impl Visitor for Reader<'_> {
    fn field(&mut self, field: FieldFacts, slot: Slot<'_>, version: i16) -> Result<()> {
        let read = match self.0.get(field.name) {
            Some(value) => read(slot, value, field.nullable, version),
            None if field.tagged => Ok(()),
            None => Err(ReflectError::new("missing")),
        };
        read.map_err(|error| error.inside(field.name))
    }
}

fn read_object(object: &mut dyn Reflect, json: &Value, version: i16) -> Result<()> {
    let fields = json.as_object().ok_or_else(|| wrong("an object", json))?;
    object.reflect(version, &mut Reader(fields))
}

fn read(slot: Slot<'_>, json: &Value, nullable: bool, version: i16) -> Result<()> {
    match slot {
        Slot::Bool(x) => *x = json.as_bool().ok_or_else(|| wrong("true or false", json))?,
        Slot::I8(x) => *x = integer(json)?,
        Slot::I16(x) => *x = integer(json)?,
        Slot::U16(x) => *x = integer(json)?,
        Slot::I32(x) => *x = integer(json)?,
        Slot::U32(x) => *x = integer(json)?,
        Slot::I64(x) => *x = integer(json)?,
        Slot::F64(x) => *x = json.as_f64().ok_or_else(|| wrong("a number", json))?,
        Slot::Uuid(x) => *x = text(json)?.parse().map_err(|_| wrong("an id", json))?,
        Slot::String(x) => *x = text(json)?.to_owned(),
        Slot::Bytes(x) => *x = STANDARD.decode(text(json)?).map_err(|_| wrong("base64", json))?.into(),
        Slot::Object(x) => read_object(x, json, version)?,
        Slot::Array(x) => {
            x.clear();
            for (i, element) in json.as_array().ok_or_else(|| wrong("an array", json))?.iter().enumerate() {
                read(x.push(), element, false, version).map_err(|error| error.inside(&format!("[{i}]")))?;
            }
        }
        Slot::Optional(x) if json.is_null() && nullable => x.set_none(),
        Slot::Optional(x) => read(x.set_default(), json, nullable, version)?,
    }
    Ok(())
}

fn integer<T: TryFrom<i64>>(json: &Value) -> Result<T> {
    json.as_i64().and_then(|x| T::try_from(x).ok()).ok_or_else(|| wrong("an integer within its type's range", json))
}

fn text(json: &Value) -> Result<&str> {
    json.as_str().ok_or_else(|| wrong("a string", json))
}

fn wrong(expected: &str, found: &Value) -> ReflectError {
    let kind = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "another number",
        Value::String(_) => "other text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    ReflectError::new(format!("expected {expected}, found {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{FetchResponse, MetadataRequest};
    use serde_json::json;

    #[test]
    fn the_shape_is_kafkas() {
        let request = MetadataRequest { topics: None, ..Default::default() };
        assert_eq!(to_json(&request, 1), json!({"topics": null}));
        let response = FetchResponse { throttle_time_ms: 5, ..Default::default() };
        let expected = json!({"throttleTimeMs": 5, "errorCode": 0, "sessionId": 0, "responses": []});
        assert_eq!(to_json(&response, 16), expected);
        assert_eq!(from_json::<FetchResponse>(&expected, 16), Ok(response));
    }

    #[test]
    fn a_wrong_value_is_reported_with_its_path() {
        let error = |json| from_json::<MetadataRequest>(&json, 1).unwrap_err().to_string();
        assert_eq!(error(json!({})), "topics: missing");
        assert_eq!(error(json!({"topics": [{"name": 7}]})), "topics[0].name: expected a string, found another number");
    }
}
