//! Rust text of one message: structs, defaults, the traits. How a struct is written and read is `codec.rs`.
//! Which fields there are in which version was decided in `model.rs`.

use super::codec::codec;
use super::model::{FieldModel, Model, StructModel, max_stable};
use crate::import::snake_case;
use crate::spec::{Kind, Plain, Type, Versions};
use std::fmt::Write;

/// The module of a message, without its first line.
pub fn module(model: &Model) -> String {
    let message = model.message;
    let mut body = String::new();
    for structure in &model.structs {
        body.push_str(&declaration(structure));
        body.push_str(&defaults(structure));
        body.push_str(&codec(structure));
    }
    body.push_str(&message_impl(model));
    let optional = [("RawTaggedField", ", RawTaggedField"), ("Uuid", ", Uuid")];
    let imported: String =
        optional.iter().filter(|(name, _)| mentions(&body, name)).map(|(_, import)| *import).collect();
    let mut out =
        format!("//! {}, versions {} to {}.\n\n", message.name, message.versions.lowest, message.versions.highest);
    let _ = writeln!(out, "use crate::{{DecodeError, Decoder, EncodeError, Encoder, Message{imported}}};");
    if mentions(&body, "Bytes") {
        out.push_str("use bytes::Bytes;\n");
    }
    out + &body
}

/// `version >= 3` for the open range that begins at 3, or a literal.
pub fn from_version(variable: &str, versions: Versions) -> String {
    match versions {
        versions if versions.is_empty() => "false".into(),
        Versions { lowest: 0, .. } => "true".into(),
        Versions { lowest, .. } => format!("{variable} >= {lowest}"),
    }
}

/// Whether `v`, known to be within `all`, is within `versions`.
pub fn condition(versions: Versions, all: Versions) -> String {
    let Versions { lowest, highest } = versions;
    match (lowest <= all.lowest, highest >= all.highest) {
        _ if versions.is_empty() => "false".into(),
        (true, true) => "true".into(),
        (true, false) => format!("v <= {highest}"),
        (false, true) => format!("v >= {lowest}"),
        _ if lowest == highest => format!("v == {lowest}"),
        _ => format!("({lowest}..={highest}).contains(&v)"),
    }
}

pub fn mentions(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

pub fn rust_name(field: &FieldModel) -> String {
    let name = snake_case(&field.field.name);
    match name.as_str() {
        "type" | "match" | "ref" | "final" | "move" | "where" | "use" | "self" | "in" | "override" => {
            format!("r#{name}")
        }
        _ => name,
    }
}

fn rust_type(ty: &Type) -> String {
    match ty {
        Type::Plain(plain) => plain_type(*plain).into(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", rust_type(element)),
    }
}

pub fn plain_type(plain: Plain) -> &'static str {
    match plain {
        Plain::Bool => "bool",
        Plain::Int8 => "i8",
        Plain::Int16 => "i16",
        Plain::Uint16 => "u16",
        Plain::Int32 => "i32",
        Plain::Uint32 => "u32",
        Plain::Int64 => "i64",
        Plain::Float64 => "f64",
        Plain::String => "String",
        Plain::Bytes | Plain::Records => "Bytes",
        Plain::Uuid => "Uuid",
    }
}

fn declaration(structure: &StructModel) -> String {
    let derive = if structure.fields.iter().all(|field| default(field).is_none()) { ", Default" } else { "" };
    let name = structure.name;
    let mut out =
        format!("\n/// {name}: versions {}.\n#[derive(Clone, Debug, PartialEq{derive})]\n", structure.versions);
    let _ = writeln!(out, "pub struct {name} {{");
    for field in &structure.fields {
        let ty = rust_type(&field.field.ty);
        let ty = if field.optional { format!("Option<{ty}>") } else { ty };
        let _ = writeln!(out, "    /// {}", fact(field));
        let _ = writeln!(out, "    pub {}: {ty},", rust_name(field));
    }
    if !structure.flexible.is_empty() {
        let _ = writeln!(out, "    /// Tagged fields that the schema does not know.");
        let _ = writeln!(out, "    pub unknown_tagged_fields: Vec<RawTaggedField>,");
    }
    out.push_str("}\n");
    out
}

/// The schema's facts of a field, as its doc.
fn fact(field: &FieldModel) -> String {
    let schema = field.field;
    let mut out = format!("`{}` ({}), versions {}", schema.name, schema.ty, field.versions);
    if !field.nullable.is_empty() {
        let _ = match field.nullable == field.versions {
            true => write!(out, ", may be null"),
            false => write!(out, ", null from {}", field.nullable),
        };
    }
    if let Some((tag, _)) = schema.tag {
        let _ = write!(out, ", tag {tag}");
    }
    if let Some(default) = &schema.default {
        let _ = write!(out, ", default {default}");
    }
    if let Some(entity) = &schema.entity {
        let _ = write!(out, ", {entity}");
    }
    for (set, name) in [(schema.map_key, "key"), (schema.ignorable, "ignorable")] {
        if set {
            let _ = write!(out, ", {name}");
        }
    }
    out + "."
}

/// The schema's default as a Rust expression, `None` when it is `Default::default()`.
fn default(field: &FieldModel) -> Option<String> {
    let schema = field.field;
    let given = schema.default.as_deref();
    if field.optional && (given == Some("null") || schema.ty == Type::Plain(Plain::Records)) {
        return None;
    }
    let value = match (&schema.ty, given) {
        (Type::Plain(Plain::String), Some(text)) => format!("\"{text}\".to_owned()"),
        (Type::Plain(_), Some(text)) => text.to_owned(),
        _ => String::new(),
    };
    match (field.optional, value.is_empty()) {
        (true, true) => Some("Some(Default::default())".into()),
        (true, false) => Some(format!("Some({value})")),
        (false, true) => None,
        (false, false) => Some(value),
    }
}

fn defaults(structure: &StructModel) -> String {
    if structure.fields.iter().all(|field| default(field).is_none()) {
        return String::new();
    }
    let mut out = format!("\nimpl Default for {} {{\n    fn default() -> Self {{\n        Self {{\n", structure.name);
    for field in &structure.fields {
        let value = default(field).unwrap_or_else(|| "Default::default()".into());
        let _ = writeln!(out, "            {}: {value},", rust_name(field));
    }
    if !structure.flexible.is_empty() {
        out.push_str("            unknown_tagged_fields: Vec::new(),\n");
    }
    out.push_str("        }\n    }\n}\n");
    out
}

/// Whether the field of `self` differs from its default.
pub fn differs(field: &FieldModel) -> String {
    let name = rust_name(field);
    let schema = field.field;
    match (&schema.ty, default(field)) {
        (_, None) if field.optional => format!("self.{name}.is_some()"),
        (Type::Array(_) | Type::Plain(Plain::Bytes | Plain::String), Some(value)) if value.contains("Default") => {
            format!("self.{name}.as_ref().is_none_or(|x| !x.is_empty())")
        }
        (_, Some(value)) if value.starts_with("Some") => format!("self.{name} != {value}"),
        (Type::Plain(Plain::Bool), Some(_)) => format!("!self.{name}"),
        (Type::Plain(Plain::Bool), None) => format!("self.{name}"),
        (Type::Plain(Plain::String | Plain::Bytes) | Type::Array(_), None) => format!("!self.{name}.is_empty()"),
        (Type::Plain(Plain::Uuid), _) => format!("self.{name} != Uuid::ZERO"),
        (Type::Plain(Plain::Float64), None) => format!("self.{name} != 0.0"),
        (Type::Plain(_), None) => format!("self.{name} != 0"),
        (Type::Plain(Plain::String), Some(value)) => {
            format!("self.{name} != {}", value.trim_end_matches(".to_owned()"))
        }
        (Type::Plain(_), Some(value)) => format!("self.{name} != {value}"),
        (Type::Struct(ty), _) => format!("self.{name} != {ty}::default()"),
        (Type::Array(_), Some(_)) => unreachable!("an array has no default but null and empty"),
    }
}

fn message_impl(model: &Model) -> String {
    let message = model.message;
    let name = &message.name;
    let (min, max) = (message.versions.lowest, message.versions.highest);
    let mut out = format!(
        "\nimpl Message for {name} {{
    const NAME: &'static str = \"{name}\";
    const MIN_VERSION: i16 = {min};
    const MAX_VERSION: i16 = {max};

    fn encode(&self, e: &mut Encoder, version: i16) -> Result<(), EncodeError> {{
        Self::check_encode(version)?;
        self.write(e, version)
    }}

    fn decode(d: &mut Decoder, version: i16) -> Result<Self, DecodeError> {{
        Self::check_decode(d, version)?;
        Self::read(d, version)
    }}
{}}}
",
        throttle_time(message)
    );
    if let (Kind::Request, Some(key)) = (message.kind, message.key) {
        let api = name.trim_end_matches("Request");
        let flexible = from_version("version", message.flexible);
        let version = if mentions(&flexible, "version") { "version" } else { "_version" };
        let _ = write!(
            out,
            "\nimpl crate::Request for {name} {{
    type Response = super::{api}Response;
    const API_KEY: crate::ApiKey = crate::ApiKey({key});
    const MAX_STABLE_VERSION: i16 = {};

    fn flexible({version}: i16) -> bool {{
        {flexible}
    }}
}}
",
            max_stable(message)
        );
    }
    out
}

/// Responses that carry how long the broker wants the client to pause.
fn throttle_time(message: &crate::spec::Message) -> &'static str {
    if !message.fields.iter().any(|field| field.name == "ThrottleTimeMs") {
        return "";
    }
    "
    fn throttle_time_ms(&self) -> i32 {
        self.throttle_time_ms
    }

    fn set_throttle_time_ms(&mut self, millis: i32) -> bool {
        self.throttle_time_ms = millis;
        true
    }
"
}
