//! Rust text of one message: structs, defaults, `write` and `read`.
//! Which fields there are in which version was decided in `model.rs`.

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
    let imports = [
        ("Bytes", "use bytes::Bytes;\n"),
        ("Uuid", "use crate::Uuid;\n"),
        ("RawTaggedField", "use crate::RawTaggedField;\n"),
    ];
    let mut out =
        format!("//! {}, versions {} to {}.\n\n", message.name, message.versions.lowest, message.versions.highest);
    out.push_str("use crate::{DecodeError, Decoder, EncodeError, Encoder, Message};\n");
    for (_, line) in imports.iter().filter(|(name, _)| mentions(&body, name)) {
        out.push_str(line);
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

fn mentions(code: &str, word: &str) -> bool {
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

fn plain_type(plain: Plain) -> &'static str {
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

fn codec(structure: &StructModel) -> String {
    let mut write = String::new();
    let mut read = String::new();
    for field in &structure.fields {
        write.push_str(&write_field(structure, field));
        read.push_str(&read_field(structure, field));
    }
    write.push_str(&write_tags(structure));
    read.push_str(&read_tags(structure));
    let flex = format!("        let flex = {};\n", condition(structure.flexible, structure.versions));
    let flex_for = |body: &str| if mentions(body, "flex") { flex.clone() } else { String::new() };
    let v_for = |body: &str| if mentions(body, "v") { "v" } else { "_v" };
    let write = flex_for(&write) + &write;
    let read = flex_for(&read) + &read;
    let mut out = format!("\nimpl {} {{\n", structure.name);
    let _ = writeln!(out, "    fn write(&self, e: &mut Encoder, {}: i16) -> Result<(), EncodeError> {{", v_for(&write));
    out.push_str(&write);
    if structure.flexible.is_empty() {
        out.push_str("        Ok(())\n");
    }
    let _ =
        writeln!(out, "    }}\n\n    fn read(d: &mut Decoder, {}: i16) -> Result<Self, DecodeError> {{", v_for(&read));
    out.push_str("        let mut x = Self::default();\n");
    out.push_str(&read);
    out.push_str("        Ok(x)\n    }\n}\n");
    out
}

/// `Struct.field`, as encode errors name it.
fn label(structure: &StructModel, field: &FieldModel) -> String {
    format!("\"{}.{}\"", structure.name, rust_name(field).trim_start_matches("r#"))
}

fn flex(structure: &StructModel, field: &FieldModel, within: Versions) -> String {
    match condition(structure.flexible, within).as_str() {
        _ if field.field.never_flexible => "false".into(),
        literal @ ("true" | "false") => literal.into(),
        _ => "flex".into(),
    }
}

fn write_field(structure: &StructModel, field: &FieldModel) -> String {
    let mut out = String::new();
    let label = label(structure, field);
    if !field.in_place.is_empty() {
        let flex = flex(structure, field, structure.versions);
        let nullable = condition(field.nullable, field.in_place);
        let statement = write_statement(field, &label, &flex, &nullable);
        match condition(field.in_place, structure.versions).as_str() {
            "true" => out.push_str(&format!("        {statement}\n")),
            condition => out.push_str(&format!("        if {condition} {{\n            {statement}\n        }}\n")),
        }
    }
    if !field.versions.covers(structure.versions) && !field.field.ignorable {
        let absent = match condition(field.versions, structure.versions) {
            condition if condition.starts_with("v <= ") => condition.replace("v <= ", "v > "),
            condition if condition.starts_with("v >= ") => condition.replace("v >= ", "v < "),
            condition if condition.starts_with("v == ") => condition.replace("v == ", "v != "),
            condition => format!("!{condition}"),
        };
        let _ = writeln!(out, "        if {absent} && {} {{", differs(field));
        let _ = writeln!(
            out,
            "            return Err(EncodeError::UnsupportedField {{ field: {label}, version: v }});\n        }}"
        );
    }
    out
}

/// The statement that writes a field, its versions already checked.
fn write_statement(field: &FieldModel, label: &str, flex: &str, nullable: &str) -> String {
    let name = format!("self.{}", rust_name(field));
    match (&field.field.ty, field.optional) {
        (Type::Plain(Plain::String), true) => {
            format!("e.string_opt({label}, {name}.as_deref(), {flex}, {nullable})?;")
        }
        (Type::Plain(Plain::Bytes | Plain::Records), true) => {
            format!("e.bytes_opt({label}, {name}.as_ref(), {flex}, {nullable})?;")
        }
        (Type::Plain(Plain::String | Plain::Bytes | Plain::Records) | Type::Struct(_), false) => {
            write_element(&field.field.ty, label, &name, flex)
        }
        (Type::Plain(plain), _) => format!("e.{}({name});", plain_type(*plain).to_lowercase()),
        (Type::Struct(_), true) => {
            format!("if let Some(x) = e.object_opt({label}, &{name}, {nullable})? {{ x.write(e, v)?; }}")
        }
        (Type::Array(element), true) => format!(
            "for x in e.array_opt({label}, &{name}, {flex}, {nullable})? {{ {} }}",
            write_element(element, label, "x", flex)
        ),
        (Type::Array(element), false) => format!(
            "e.array_len({label}, {name}.len(), {flex})?;\n        for x in &{name} {{ {} }}",
            write_element(element, label, "x", flex)
        ),
    }
}

/// Writes a value that cannot be null; `name` is a place, or `x`, a reference.
fn write_element(ty: &Type, label: &str, name: &str, flex: &str) -> String {
    let (reference, value) =
        if name == "x" { ("x".into(), "*x".into()) } else { (format!("&{name}"), name.to_owned()) };
    match ty {
        Type::Plain(Plain::String) => format!("e.string({label}, {reference}, {flex})?;"),
        Type::Plain(Plain::Bytes | Plain::Records) => format!("e.bytes({label}, {reference}, {flex})?;"),
        Type::Plain(plain) => format!("e.{}({value});", plain_type(*plain).to_lowercase()),
        Type::Struct(_) => format!("{name}.write(e, v)?;"),
        Type::Array(_) => unreachable!("Kafka has no arrays of arrays"),
    }
}

fn read_field(structure: &StructModel, field: &FieldModel) -> String {
    if field.in_place.is_empty() {
        return String::new();
    }
    let flex = flex(structure, field, structure.versions);
    let value = read_value(field, &flex, &condition(field.nullable, field.in_place));
    let statement = format!("x.{} = {value};", rust_name(field));
    match condition(field.in_place, structure.versions).as_str() {
        "true" => format!("        {statement}\n"),
        condition => format!("        if {condition} {{\n            {statement}\n        }}\n"),
    }
}

/// The expression that reads a field, its versions already checked.
fn read_value(field: &FieldModel, flex: &str, nullable: &str) -> String {
    let label = format!("\"{}\"", rust_name(field).trim_start_matches("r#"));
    let min = field.element_min_size;
    match (&field.field.ty, field.optional) {
        (Type::Plain(Plain::String), true) => format!("d.string_opt({label}, {flex}, {nullable})?"),
        (Type::Plain(Plain::Bytes | Plain::Records), true) => format!("d.bytes_opt({label}, {flex}, {nullable})?"),
        (Type::Struct(name), true) => format!("d.object_opt({label}, {nullable}, |d| {name}::read(d, v))?"),
        (Type::Struct(name), false) => format!("d.object({label}, |d| {name}::read(d, v))?"),
        (Type::Array(element), true) => {
            format!("d.array_opt({label}, {flex}, {nullable}, {min}, |d| {})?", read_element(element, flex))
        }
        (Type::Array(element), false) => {
            format!("d.array({label}, {flex}, {min}, |d| {})?", read_element(element, flex))
        }
        (ty, _) => format!("{}?", read_element(ty, flex).replace("\"\"", &label)),
    }
}

fn read_element(ty: &Type, flex: &str) -> String {
    match ty {
        Type::Plain(Plain::String) => format!("d.string(\"\", {flex})"),
        Type::Plain(Plain::Bytes | Plain::Records) => format!("d.bytes(\"\", {flex})"),
        Type::Plain(plain) => format!("d.{}(\"\")", plain_type(*plain).to_lowercase()),
        Type::Struct(name) => format!("{name}::read(d, v)"),
        Type::Array(_) => unreachable!("Kafka has no arrays of arrays"),
    }
}

/// The tagged fields of a struct, by tag.
pub fn tagged<'a>(structure: &'a StructModel) -> Vec<(u32, Versions, &'a FieldModel<'a>)> {
    let mut all: Vec<_> = structure
        .fields
        .iter()
        .filter_map(|field| {
            let (tag, versions) = field.field.tag?;
            let versions = versions.and(field.versions).and(structure.flexible);
            (!versions.is_empty()).then_some((tag, versions, field))
        })
        .collect();
    all.sort_by_key(|(tag, ..)| *tag);
    all
}

fn write_tags(structure: &StructModel) -> String {
    let tagged = tagged(structure);
    let name = structure.name;
    let flexible = condition(structure.flexible, structure.versions);
    if structure.flexible.is_empty() {
        return String::new();
    }
    let general = |flexible: &str| format!("e.tags(\"{name}\", &self.unknown_tagged_fields, v, {flexible})\n");
    if tagged.is_empty() {
        let flexible = if flexible == "true" { "true" } else { "flex" };
        return format!("        {}", general(flexible));
    }
    let mut out = String::new();
    if flexible != "true" {
        let _ = write!(
            out,
            "        if !flex {{\n            return {}        }}\n",
            general("false").replace(")\n", ");\n")
        );
    }
    for (tag, versions, field) in &tagged {
        let present = match condition(*versions, structure.flexible).as_str() {
            "true" => differs(field),
            condition => format!("{condition} && ({})", differs(field)),
        };
        let _ = writeln!(out, "        let tag_{tag} = {present};");
    }
    let count: Vec<String> = tagged.iter().map(|(tag, ..)| format!("usize::from(tag_{tag})")).collect();
    let _ = writeln!(
        out,
        "        let mut tags = e.known_tags(\"{name}\", &self.unknown_tagged_fields, {});",
        count.join(" + ")
    );
    for (tag, versions, field) in &tagged {
        let nullable = condition(field.nullable, *versions);
        let statement = write_statement(field, &label(structure, field), "true", &nullable);
        let _ = writeln!(out, "        if tag_{tag} {{");
        let _ = writeln!(
            out,
            "            tags.field({tag}, |e| {{\n                {statement}\n                Ok(())\n            }})?;"
        );
        out.push_str("        }\n");
    }
    out.push_str("        tags.finish()\n");
    out
}

fn read_tags(structure: &StructModel) -> String {
    if structure.flexible.is_empty() {
        return String::new();
    }
    let mut inner = String::new();
    let tagged = tagged(structure);
    if tagged.is_empty() {
        inner.push_str("x.unknown_tagged_fields = d.tags(|_, _| Ok(false))?;\n");
    } else {
        inner.push_str("let unknown = d.tags(|d, tag| {\n    match tag {\n");
        for (tag, versions, field) in &tagged {
            let guard = match condition(*versions, structure.flexible).as_str() {
                "true" => String::new(),
                condition => format!(" if {condition}"),
            };
            let value = read_value(field, "true", &condition(field.nullable, *versions));
            let _ = writeln!(inner, "        {tag}{guard} => x.{} = {value},", rust_name(field));
        }
        inner.push_str(
            "        _ => return Ok(false),\n    }\n    Ok(true)\n})?;\nx.unknown_tagged_fields = unknown;\n",
        );
    }
    let indented = |depth: usize| -> String { inner.lines().map(|line| format!("{:depth$}{line}\n", "")).collect() };
    match condition(structure.flexible, structure.versions).as_str() {
        "true" => indented(8),
        _ => format!("        if flex {{\n{}        }}\n", indented(12)),
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
"
}
