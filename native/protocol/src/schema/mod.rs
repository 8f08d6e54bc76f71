//! Requests and responses as values with names: for what treats all messages alike and is in what users are given, such as
//! the replay of a recorded session. It interprets the schemas as data, so that no message costs code.
//! Not on a hot path: messages that are worked with have their types in [`crate::messages`].

mod codec;
mod value;

pub use value::{Struct, Value};

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use crate::{
    ApiKey, DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, frame, generated::schemas::SCHEMAS, messages,
};

/// Whether a message asks or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// A request.
    Request,
    /// Its response.
    Response,
}

/// The schemas of all messages; each is read when it is first needed.
#[derive(Default)]
pub struct Schemas(Mutex<BTreeMap<(i16, Direction), Arc<Schema>>>);

/// One message in all its versions.
struct Schema {
    versions: (i16, i16),
    /// The message itself first.
    structs: Vec<(&'static str, Vec<Field>)>,
}

struct Field {
    name: &'static str,
    kind: Kind,
    array: bool,
    in_place: Range,
    nullable: Range,
    tag: Option<(u32, Range)>,
}

#[derive(Clone, Copy)]
enum Kind {
    Bool,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F64,
    Uuid,
    String,
    Bytes,
    /// A struct of the message, by its place.
    Struct(usize),
}

#[derive(Clone, Copy)]
struct Range(i16, i16);

impl Range {
    fn has(self, version: i16) -> bool {
        self.0 <= version && version <= self.1
    }
}

impl Schemas {
    /// Reads a message; bytes left over are an error.
    pub fn decode(&self, api: ApiKey, direction: Direction, version: i16, body: Bytes) -> Result<Struct, DecodeError> {
        let schema = self.of(api, direction).ok_or_else(|| DecodeError::new(DecodeErrorKind::UnknownApi(api.0), 0))?;
        let (min, max) = schema.versions;
        if !(min..=max).contains(&version) {
            return Err(DecodeError::new(DecodeErrorKind::UnsupportedVersion { version, min, max }, 0));
        }
        let mut d = Decoder::new(body);
        let read = codec::decode(&schema, 0, &mut d, version, flexible(api, version))?;
        d.finish()?;
        Ok(read)
    }

    /// Writes a message. A field that is absent is written as its type's zero, a tagged one is left out.
    pub fn encode(
        &self,
        api: ApiKey,
        direction: Direction,
        version: i16,
        message: &Struct,
    ) -> Result<Bytes, EncodeError> {
        let unsupported = EncodeError::UnsupportedVersion { message: api.name(), version };
        let schema = self.of(api, direction).ok_or(unsupported)?;
        let mut e = Encoder::new();
        codec::encode(&schema, 0, &mut e, message, version, flexible(api, version))?;
        Ok(e.finish().to_bytes())
    }

    fn of(&self, api: ApiKey, direction: Direction) -> Option<Arc<Schema>> {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = read.get(&(api.0, direction)) {
            return Some(schema.clone());
        }
        let request = direction == Direction::Request;
        let (.., lowest, highest, text) = SCHEMAS.iter().find(|of| of.0 == api.0 && of.1 == request)?;
        let schema = Arc::new(Schema { versions: (*lowest, *highest), structs: structs(text) });
        read.insert((api.0, direction), schema.clone());
        Some(schema)
    }
}

/// Where the message of a response frame (without its length) begins; none when the frame is shorter.
pub fn response_body(api: ApiKey, version: i16, frame: &Bytes) -> Option<Bytes> {
    frame::response_body(frame.clone(), api, flexible(api, version)).ok()
}

fn flexible(api: ApiKey, version: i16) -> bool {
    messages::flexible(api, version).unwrap_or(false)
}

/// Reads what `xtask codegen` wrote; the tests read all of it.
fn structs(text: &'static str) -> Vec<(&'static str, Vec<Field>)> {
    let names: Vec<&'static str> = text.lines().filter_map(|line| line.strip_prefix('#')).collect();
    let mut structs: Vec<(&'static str, Vec<Field>)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix('#'), structs.last_mut()) {
            (Some(name), _) => structs.push((name, Vec::new())),
            (None, Some((_, fields))) => fields.extend(field(line, &names)),
            (None, None) => {}
        }
    }
    structs
}

fn field(line: &'static str, names: &[&str]) -> Option<Field> {
    let mut words = line.split(' ');
    let (name, ty) = (words.next()?, words.next()?);
    let (in_place, nullable) = (range(words.next()?), range(words.next()?));
    let tag = words.next().and_then(|tag| Some((tag.parse().ok()?, range(words.next()?))));
    let (array, ty) = ty.strip_prefix("[]").map_or((false, ty), |element| (true, element));
    let kind = match ty {
        "bool" => Kind::Bool,
        "int8" => Kind::I8,
        "int16" => Kind::I16,
        "uint16" => Kind::U16,
        "int32" => Kind::I32,
        "uint32" => Kind::U32,
        "int64" => Kind::I64,
        "float64" => Kind::F64,
        "uuid" => Kind::Uuid,
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        of => Kind::Struct(names.iter().position(|name| *name == of)?),
    };
    Some(Field { name, kind, array, in_place, nullable, tag })
}

fn range(text: &str) -> Range {
    let number = |text: &str| text.parse().unwrap_or(0);
    match (text.strip_suffix('+'), text.split_once('-')) {
        _ if text == "none" => Range(0, -1),
        (Some(lowest), _) => Range(number(lowest), i16::MAX),
        (None, Some((lowest, highest))) => Range(number(lowest), number(highest)),
        (None, None) => Range(number(text), number(text)),
    }
}
