//! Rust text of how a struct is written and read: `fn write` and `fn read`.
//! Declarations, defaults and the trait's implementations are `code.rs`.

use super::code::{condition, differs, mentions, plain_type, rust_name};
use super::model::{FieldModel, StructModel};
use crate::spec::{Plain, Type, Versions};
use std::fmt::Write;

/// `impl Struct { fn write, fn read }`.
pub fn codec(structure: &StructModel) -> String {
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
        (Type::Struct(_), true) if field.field.tag.is_some() => {
            format!("if let Some(x) = e.object_opt_tagged(&{name}) {{\nx.write(e, v)?;\n}}")
        }
        (Type::Struct(_), true) => {
            format!("if let Some(x) = e.object_opt({label}, &{name}, {nullable})? {{\nx.write(e, v)?;\n}}")
        }
        (Type::Array(element), true) => format!(
            "for x in e.array_opt({label}, &{name}, {flex}, {nullable})? {{\n{}\n}}",
            write_element(element, label, "x", flex)
        ),
        (Type::Array(element), false) => format!(
            "e.array_len({label}, {name}.len(), {flex})?;\nfor x in &{name} {{\n{}\n}}",
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
        (Type::Struct(name), true) if field.field.tag.is_some() => {
            format!("d.object_opt_tagged({label}, |d| {name}::read(d, v))?")
        }
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
