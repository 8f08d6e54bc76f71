//! Bytes to values and back, by a schema. The same checks as generated code: both use [`Decoder`] and [`Encoder`].

use super::{Field, Kind, Schema, Struct, Value};
use crate::{DecodeError, Decoder, EncodeError, Encoder, Uuid};

/// Reads the struct at this place of the schema.
pub(super) fn decode(
    schema: &Schema,
    place: usize,
    d: &mut Decoder,
    version: i16,
    flexible: bool,
) -> Result<Struct, DecodeError> {
    let fields = &schema.structs[place].1;
    let mut read = Struct::default();
    for field in fields.iter().filter(|field| field.in_place.has(version)) {
        read.fields.push((field.name, decode_field(schema, field, d, version, flexible)?));
    }
    if !flexible {
        return Ok(read);
    }
    let mut tagged = Vec::new();
    read.unknown = d.tags(|d, tag| {
        let Some(field) = fields.iter().find(|field| field.tagged(version) == Some(tag)) else { return Ok(false) };
        tagged.push((field.name, decode_field(schema, field, d, version, flexible)?));
        Ok(true)
    })?;
    read.fields.append(&mut tagged);
    Ok(read)
}

impl Field {
    fn tagged(&self, version: i16) -> Option<u32> {
        self.tag.filter(|(_, versions)| versions.has(version)).map(|(tag, _)| tag)
    }
}

fn decode_field(
    schema: &Schema,
    field: &Field,
    d: &mut Decoder,
    version: i16,
    flexible: bool,
) -> Result<Value, DecodeError> {
    let (name, nullable) = (field.name, field.nullable.has(version));
    if field.array {
        let elements =
            d.array_opt(name, flexible, nullable, 1, |d| decode_one(schema, field, d, version, (flexible, false)))?;
        return Ok(elements.map_or(Value::Null, Value::Array));
    }
    decode_one(schema, field, d, version, (flexible, nullable))
}

fn decode_one(
    schema: &Schema,
    field: &Field,
    d: &mut Decoder,
    version: i16,
    (flexible, nullable): (bool, bool),
) -> Result<Value, DecodeError> {
    let name = field.name;
    Ok(match field.kind {
        Kind::Bool => Value::Bool(d.bool(name)?),
        Kind::I8 => Value::Int(d.i8(name)?.into()),
        Kind::I16 => Value::Int(d.i16(name)?.into()),
        Kind::U16 => Value::Int(d.u16(name)?.into()),
        Kind::I32 => Value::Int(d.i32(name)?.into()),
        Kind::U32 => Value::Int(d.u32(name)?.into()),
        Kind::I64 => Value::Int(d.i64(name)?),
        Kind::F64 => Value::F64(d.f64(name)?),
        Kind::Uuid => Value::Uuid(d.uuid(name)?),
        Kind::String => d.string_opt(name, flexible, nullable)?.map_or(Value::Null, Value::String),
        Kind::Bytes => d.bytes_opt(name, flexible, nullable)?.map_or(Value::Null, Value::Bytes),
        Kind::Struct(place) => {
            let inner = |d: &mut Decoder| decode(schema, place, d, version, flexible);
            let read = match nullable && field.tag.is_some() {
                true => d.object_opt_tagged(name, inner)?,
                false => d.object_opt(name, nullable, inner)?,
            };
            read.map_or(Value::Null, Value::Struct)
        }
    })
}

/// Writes the struct at this place of the schema.
pub(super) fn encode(
    schema: &Schema,
    place: usize,
    e: &mut Encoder,
    message: &Struct,
    version: i16,
    flexible: bool,
) -> Result<(), EncodeError> {
    let (name, ref fields) = schema.structs[place];
    for field in fields.iter().filter(|field| field.in_place.has(version)) {
        encode_field(schema, field, e, message.field(field.name), version, flexible)?;
    }
    if !flexible {
        return e.tags(name, &message.unknown, version, false);
    }
    let mut tagged: Vec<(u32, &Field)> =
        fields.iter().filter_map(|field| Some((field.tagged(version)?, field))).collect();
    tagged.retain(|(_, field)| message.field(field.name).is_some());
    tagged.sort_unstable_by_key(|(tag, _)| *tag);
    let mut writer = e.known_tags(name, &message.unknown, tagged.len());
    for (tag, field) in tagged {
        writer.field(tag, |e| encode_field(schema, field, e, message.field(field.name), version, flexible))?;
    }
    writer.finish()
}

fn encode_field(
    schema: &Schema,
    field: &Field,
    e: &mut Encoder,
    value: Option<&Value>,
    version: i16,
    flexible: bool,
) -> Result<(), EncodeError> {
    let nullable = field.nullable.has(version);
    if !field.array {
        return encode_one(schema, field, e, value, version, (flexible, nullable));
    }
    let none = Vec::new();
    let elements = match value {
        Some(Value::Array(elements)) => Some(elements),
        _ if nullable => None,
        _ => Some(&none),
    };
    let Some(elements) = elements else {
        e.array_opt::<Value>(field.name, &None, flexible, true)?;
        return Ok(());
    };
    e.array_len(field.name, elements.len(), flexible)?;
    elements.iter().try_for_each(|element| encode_one(schema, field, e, Some(element), version, (flexible, false)))
}

fn encode_one(
    schema: &Schema,
    field: &Field,
    e: &mut Encoder,
    value: Option<&Value>,
    version: i16,
    (flexible, nullable): (bool, bool),
) -> Result<(), EncodeError> {
    let int = || value.and_then(Value::int).unwrap_or(0);
    match field.kind {
        Kind::Bool => e.bool(matches!(value, Some(Value::Bool(true)))),
        Kind::I8 => e.i8(int() as i8),
        Kind::I16 => e.i16(int() as i16),
        Kind::U16 => e.u16(int() as u16),
        Kind::I32 => e.i32(int() as i32),
        Kind::U32 => e.u32(int() as u32),
        Kind::I64 => e.i64(int()),
        Kind::F64 => e.f64(if let Some(Value::F64(x)) = value { *x } else { 0.0 }),
        Kind::Uuid => e.uuid(if let Some(Value::Uuid(x)) = value { *x } else { Uuid::ZERO }),
        Kind::String => match value {
            Some(Value::String(text)) => e.string(field.name, text, flexible)?,
            _ if nullable => e.string_opt(field.name, None, flexible, true)?,
            _ => e.string(field.name, "", flexible)?,
        },
        Kind::Bytes => match value {
            Some(Value::Bytes(bytes)) => e.bytes(field.name, bytes, flexible)?,
            _ if nullable => e.bytes_opt(field.name, None, flexible, true)?,
            _ => e.bytes(field.name, &bytes::Bytes::new(), flexible)?,
        },
        Kind::Struct(place) => {
            let inner = if let Some(Value::Struct(inner)) = value { Some(inner) } else { None };
            if nullable {
                match field.tag {
                    Some(_) => e.varint(inner.is_some().into()),
                    None => e.i8(if inner.is_some() { 1 } else { -1 }),
                }
                return inner.map_or(Ok(()), |inner| encode(schema, place, e, inner, version, flexible));
            }
            let empty = Struct::default();
            encode(schema, place, e, inner.unwrap_or(&empty), version, flexible)?;
        }
    }
    Ok(())
}
